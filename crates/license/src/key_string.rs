//! License keys: the short string that a person types and that fetches a license.
//!
//! ```text
//! IFOX-ENT-ACME-7K3M-Q2XW-9D4T-B6HN-C8RV
//! |    |   |    |                   +-- check group: 20 bits over all before it
//! |    |   |    +-- random id: 80 bits in Crockford's base32
//! |    |   +-- who holds it: the start of the customer's slug
//! |    +-- tier
//! +-- product prefix
//! ```
//!
//! Owns: making, reading and the digest under which a server finds one.
//! Refuses: keys with a typing mistake, before any look-up. The check group
//! finds *every* single wrong character and *every* swap of two neighbours, and
//! all but one in a million of other mistakes; it is not a signature.
//! Reading forgives case, blanks, typographic dashes, and O for 0, I and L for 1.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

use crate::{Digest, Pepper};

/// Random bytes of a key: 80 bits.
pub const ID_LEN: usize = 10;
/// Longest product prefix and customer part, in characters.
pub const PART_LEN_MAX: usize = 12;
/// Longest tier, in characters.
pub const TIER_LEN_MAX: usize = 6;
/// Longest text that is read as a license key, in bytes.
pub const TEXT_LEN_MAX: usize = 160;

const GROUP_LEN: usize = 4;
const ID_GROUPS: usize = ID_LEN * 8 / 5 / GROUP_LEN;
const PARTS: usize = 3 + ID_GROUPS + 1;
const DOMAIN: &str = "tenure license key v1";

/// Crockford's base32: no I, L, O, U.
const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Largest prime below 2^20: a check value fits four characters of base32.
const CHECK_PRIME: u64 = 1_048_573;
/// Multiplier of the polynomial: neighbouring weights differ by a factor of it.
const CHECK_BASE: u64 = 1_021;

/// Why a text is not a license key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyStringError {
    /// Not the shape of a license key.
    #[error("this is not a license key: {0}; expected a key such as IFOX-ENT-ACME-7K3M-....")]
    Malformed(&'static str),
    /// The shape of one, with a typing mistake in it.
    #[error("the license key has a typing mistake; compare it with the one that you were sent")]
    Mistyped,
    /// A part that cannot stand in a key, when making one.
    #[error("`{0}` cannot be the {1} of a license key")]
    Part(String, &'static str),
}

impl KeyStringError {
    /// The stable name of the reason.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "license_key_malformed",
            Self::Mistyped => "license_key_mistyped",
            Self::Part(..) => "license_key_part_invalid",
        }
    }
}

/// A license key whose check group is right. Whether anybody issued it is for
/// the server to say. It is a secret: wiped when dropped,
/// not shown by `Debug`.
#[derive(Clone)]
pub struct LicenseKey {
    /// Upper case, dashes between groups; O, I and L as they were issued or typed.
    text: Zeroizing<String>,
    /// The same with O, I and L folded: what check and digest are made of.
    folded: Zeroizing<String>,
}

/// Equal when they are the same key, however they were typed; in constant time.
impl PartialEq for LicenseKey {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(self.folded.as_bytes(), other.folded.as_bytes()).is_ok()
    }
}

impl Eq for LicenseKey {}

impl LicenseKey {
    /// Makes a key: `prefix` from the product file, `tier` (`ENT`), the
    /// customer's slug (cut to what fits) and ten bytes from a cryptographic
    /// generator.
    pub fn issue(
        prefix: &str,
        tier: &str,
        customer_slug: &str,
        random: [u8; ID_LEN],
    ) -> Result<Self, KeyStringError> {
        let prefix = part(prefix, PART_LEN_MAX, "prefix")?;
        let tier = part(tier, TIER_LEN_MAX, "tier")?;
        let customer: String =
            customer_slug.chars().filter(char::is_ascii_alphanumeric).take(PART_LEN_MAX).collect();
        let customer = part(&customer, PART_LEN_MAX, "customer")?;
        let body = format!("{prefix}-{tier}-{customer}-{}", groups(&base32(random)));
        let check = check_group(&fold(&body));
        let text = Zeroizing::new(format!("{body}-{check}"));
        Ok(Self { folded: Zeroizing::new(fold(&text)), text })
    }

    /// Reads what a person typed or a file holds.
    pub fn parse(typed: &str) -> Result<Self, KeyStringError> {
        let text = Zeroizing::new(normalise(typed)?);
        let folded = Zeroizing::new(fold(&text));
        let parts: Vec<&str> = folded.split('-').collect();
        if parts.len() != PARTS {
            return Err(KeyStringError::Malformed("it has a wrong number of groups"));
        }
        let (named, random) = parts.split_at(3);
        for (name, max) in named.iter().zip([PART_LEN_MAX, TIER_LEN_MAX, PART_LEN_MAX]) {
            if name.is_empty() || name.len() > max {
                return Err(KeyStringError::Malformed("its first groups have a wrong length"));
            }
        }
        if random.iter().any(|group| group.len() != GROUP_LEN) {
            return Err(KeyStringError::Malformed("its last groups have four characters each"));
        }
        let (body, check) = folded.rsplit_once('-').ok_or(KeyStringError::Mistyped)?;
        if check_group(body) != check || random.iter().any(|group| group.contains('U')) {
            return Err(KeyStringError::Mistyped);
        }
        Ok(Self { text, folded })
    }

    /// The whole key. A secret: for the person it belongs to, never for a log.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What may be shown in lists: product, tier and customer (`IFOX-ENT-ACME-...`).
    pub fn hint(&self) -> String {
        let shown: Vec<&str> = self.text.split('-').take(3).collect();
        format!("{}-...", shown.join("-"))
    }

    /// What a server stores and looks up instead of the key. The same however
    /// the key was typed.
    pub fn lookup_digest(&self, pepper: &Pepper) -> Digest {
        pepper.digest(DOMAIN, &self.folded)
    }
}

impl fmt::Debug for LicenseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LicenseKey({})", self.hint())
    }
}

fn part(text: &str, len_max: usize, what: &'static str) -> Result<String, KeyStringError> {
    let fits = (1..=len_max).contains(&text.len());
    if !fits || !text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(KeyStringError::Part(text.chars().take(40).collect(), what));
    }
    Ok(text.to_ascii_uppercase())
}

/// Upper case, plain dashes, no blanks.
fn normalise(typed: &str) -> Result<String, KeyStringError> {
    if typed.len() > TEXT_LEN_MAX {
        return Err(KeyStringError::Malformed("it is too long"));
    }
    typed
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| match c {
            // What word processors make of a dash.
            '\u{2010}'..='\u{2015}' | '\u{2212}' => Ok('-'),
            '-' => Ok('-'),
            c if c.is_ascii_alphanumeric() => Ok(c.to_ascii_uppercase()),
            _ => Err(KeyStringError::Malformed("it has a character that no key has")),
        })
        .collect()
}

/// Characters that look alike become one.
fn fold(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            'O' => '0',
            'I' | 'L' => '1',
            c => c,
        })
        .collect()
}

fn base32(random: [u8; ID_LEN]) -> String {
    let bits = random.iter().fold(0u128, |bits, byte| bits << 8 | u128::from(*byte));
    base32_digits(bits, ID_GROUPS * GROUP_LEN)
}

fn base32_digits(bits: u128, digits: usize) -> String {
    (0..digits).rev().map(|i| char::from(CROCKFORD[(bits >> (5 * i)) as usize & 31])).collect()
}

fn groups(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() + ID_GROUPS);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && i % GROUP_LEN == 0 {
            out.push('-');
        }
        out.push(c);
    }
    out
}

/// A polynomial over the characters of `folded`, dashes included, modulo a prime.
///
/// One wrong character changes the sum by `weight * difference`, a swap of
/// neighbours by `(weight - next weight) * difference`: products of numbers that
/// the prime does not divide, so never zero.
fn check_group(folded: &str) -> String {
    let sum =
        folded.bytes().fold(0, |sum, byte| (sum * CHECK_BASE + u64::from(byte)) % CHECK_PRIME);
    base32_digits(u128::from(sum), GROUP_LEN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> LicenseKey {
        LicenseKey::issue("IFOX", "ENT", "acme", [0x5a, 1, 2, 3, 4, 5, 6, 7, 8, 255]).unwrap()
    }

    fn pepper() -> Pepper {
        Pepper::new(&[9; 32]).unwrap()
    }

    #[test]
    fn a_key_names_product_tier_and_customer_and_hides_the_rest() {
        let key = key();
        assert!(key.expose().starts_with("IFOX-ENT-ACME-"), "{}", key.expose());
        assert_eq!(key.expose().split('-').count(), PARTS);
        assert_eq!(key.hint(), "IFOX-ENT-ACME-...");
        assert_eq!(format!("{key:?}"), "LicenseKey(IFOX-ENT-ACME-...)");
    }

    #[test]
    fn the_check_prime_is_prime_and_larger_than_any_difference() {
        assert!(
            (2..=1_024).all(|n| !CHECK_PRIME.is_multiple_of(n)),
            "1,024 squared is above the prime"
        );
        const { assert!(CHECK_PRIME < 1 << (5 * GROUP_LEN)) };
    }

    #[test]
    fn lookalikes_case_blanks_and_typographic_dashes_are_forgiven() {
        let key = key();
        let typed = key.expose().to_lowercase().replace('0', "o").replace('1', "l");
        for variant in [
            typed.clone(),
            format!("  {}\n", typed.replace('-', " \u{2013} ")),
            typed.replace('l', "I"),
            typed.replace("ifox", "1F0X"),
        ] {
            let read = LicenseKey::parse(&variant).unwrap();
            assert_eq!(read.lookup_digest(&pepper()), key.lookup_digest(&pepper()), "{variant}");
        }
    }

    #[test]
    fn parts_that_cannot_stand_in_a_key_are_refused() {
        for (prefix, tier, customer) in [
            ("", "ENT", "acme"),
            ("I-F", "ENT", "acme"),
            ("IFOX", "ENTERPRISE", "a"),
            ("I", "E", "--"),
        ] {
            assert!(LicenseKey::issue(prefix, tier, customer, [0; ID_LEN]).is_err());
        }
        let long = LicenseKey::issue("IFOX", "ENT", "acme-prod-us-east-1", [0; ID_LEN]).unwrap();
        assert_eq!(long.hint(), "IFOX-ENT-ACMEPRODUSEA-...");
    }

    #[test]
    fn every_wrong_character_and_every_swap_of_neighbours_is_a_typing_mistake() {
        let text = key().expose().to_owned();
        let alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-";
        let mut mistakes: Vec<String> = Vec::new();
        for at in 0..text.len() {
            for c in alphabet.chars() {
                let mut typed = text.clone();
                typed.replace_range(at..=at, &c.to_string());
                mistakes.push(typed);
            }
            if at + 1 < text.len() {
                let mut bytes = text.clone().into_bytes();
                bytes.swap(at, at + 1);
                mistakes.push(String::from_utf8(bytes).unwrap());
            }
        }
        assert!(mistakes.len() > 1_000);
        for typed in mistakes.iter().filter(|typed| fold(typed) != fold(&text)) {
            assert!(LicenseKey::parse(typed).is_err(), "{typed} for {text}");
        }
    }

    proptest! {
        #[test]
        fn every_issued_key_reads_back(random: [u8; ID_LEN], customer in "[a-z0-9-]{0,20}[a-z]") {
            let key = LicenseKey::issue("IFOX", "ENT", &customer, random).unwrap();
            prop_assert_eq!(&LicenseKey::parse(key.expose()).unwrap(), &key);
        }

        #[test]
        fn a_single_mistake_anywhere_is_found(
            random: [u8; ID_LEN], at in 0usize..39, c in "[0-9A-Z]", swap: bool,
        ) {
            let key = LicenseKey::issue("IFOX", "ENT", "acme", random).unwrap();
            let mut typed = key.expose().as_bytes().to_vec();
            let at = at % (typed.len() - 1);
            if swap { typed.swap(at, at + 1) } else { typed[at] = c.as_bytes()[0] }
            let typed = String::from_utf8(typed).unwrap();
            prop_assume!(fold(&typed) != *key.folded);
            prop_assert!(LicenseKey::parse(&typed).is_err());
        }

        #[test]
        fn any_text_is_refused_without_panic(text in "\\PC{0,200}") {
            prop_assert!(LicenseKey::parse(&text).is_err());
        }
    }
}
