//! Base64url and PEM armour, in their one canonical form.
//!
//! Refuses: padding, trailing bits, blanks, other alphabets. A text that
//! decodes to the same bytes as another text is not accepted, so a token has
//! one spelling.

use std::{borrow::Cow, sync::LazyLock};

use base64::{
    Engine, decoded_len_estimate,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};

/// Characters on a line of armour (RFC 7468, section 2).
pub(crate) const ARMOUR_LINE_LEN: usize = 64;

/// As [`URL_SAFE_NO_PAD`], with the processor's wide registers where there are any.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
static DECODER: LazyLock<base64::engine::Simd> =
    LazyLock::new(|| base64::engine::Simd::url_safe(base64::engine::general_purpose::NO_PAD));
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
static DECODER: LazyLock<base64::engine::GeneralPurpose> = LazyLock::new(|| URL_SAFE_NO_PAD);

pub(crate) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of a canonical base64url text; `None` for any other text.
pub(crate) fn from_base64url(text: &str) -> Option<Vec<u8>> {
    // The engine refuses padding, foreign characters and non-zero trailing bits.
    DECODER.decode(text).ok()
}

/// As [`from_base64url`], into `room` where the bytes fit: verification is a hot path.
pub(crate) fn from_base64url_in<'a>(text: &str, room: &'a mut [u8]) -> Option<Cow<'a, [u8]>> {
    if decoded_len_estimate(text.len()) > room.len() {
        return from_base64url(text).map(Cow::Owned);
    }
    let len = DECODER.decode_slice(text, room).ok()?;
    Some(Cow::Borrowed(&room[..len]))
}

/// `body` between BEGIN and END lines, 64 characters a line, LF.
pub(crate) fn armour(label: &str, body: &str) -> String {
    let mut out = String::with_capacity(body.len() + body.len() / ARMOUR_LINE_LEN + 80);
    out.push_str(&format!("-----BEGIN {label}-----\n"));
    let mut rest = body;
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(ARMOUR_LINE_LEN));
        out.push_str(line);
        out.push('\n');
        rest = tail;
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    armour(label, &STANDARD.encode(der))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_have_one_spelling() {
        assert_eq!(from_base64url("AA").as_deref(), Some(&[0u8][..]));
        for other in ["AB", "AA==", "AA=", " AA", "AA\n", "A", "A+8", "A/8"] {
            assert_eq!(from_base64url(other), None, "{other:?}");
            assert_eq!(from_base64url_in(other, &mut [0; 8]), None, "{other:?}");
            assert_eq!(from_base64url_in(other, &mut []), None, "{other:?}");
        }
    }

    #[test]
    fn bytes_are_the_same_with_room_and_without() {
        for text in ["", "AA", "AAAA", "-_-_", "AQIDBAUGBwg", "AQIDBAUGBwgJ"] {
            let bytes = from_base64url(text).unwrap();
            for room in 0..12 {
                assert_eq!(from_base64url_in(text, &mut vec![1; room]).unwrap(), bytes, "{text}");
            }
        }
    }

    proptest! {
        /// The wide decoder and the plain one agree on what is canonical.
        #[test]
        fn a_text_means_the_same_to_both_decoders(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..2),
            cut in 0usize..4,
        ) {
            let mut text = base64url(&bytes).into_bytes();
            for (at, byte) in changes {
                if let Some(place) = text.len().checked_sub(1).map(|_| at.index(text.len())) {
                    text[place] = byte;
                }
            }
            text.truncate(text.len().saturating_sub(cut));
            if let Ok(text) = std::str::from_utf8(&text) {
                let plain = URL_SAFE_NO_PAD.decode(text).ok();
                prop_assert_eq!(from_base64url(text), plain.clone());
                let mut room = [0; 256];
                let read = from_base64url_in(text, &mut room).map(Cow::into_owned);
                prop_assert_eq!(read, plain);
            }
        }
    }
}
