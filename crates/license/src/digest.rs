//! SHA-256 digests, plain and peppered.
//!
//! Owns: the one digest type of the crate, compared in constant time, and the
//! pepper that keys it. Refuses: peppers too short to protect anything.

use std::fmt;

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest, hmac};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Bytes of a SHA-256 digest.
pub const DIGEST_LEN: usize = 32;
/// Shortest pepper, in bytes: as long as the digest that it keys (RFC 2104, section 3).
pub const PEPPER_LEN_MIN: usize = 32;

/// Thirty-two bytes of SHA-256 or HMAC-SHA256.
///
/// Comparison takes the same time wherever the difference is. As text and JSON:
/// 64 lower-case hex digits.
#[derive(Clone, Copy)]
pub struct Digest([u8; DIGEST_LEN]);

impl Digest {
    /// The digest that a database row holds.
    pub const fn from_bytes(bytes: [u8; DIGEST_LEN]) -> Self {
        Self(bytes)
    }

    /// The digest that a database row holds, if it has 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// SHA-256 of `bytes`.
    pub fn sha256(bytes: &[u8]) -> Self {
        Self::of_library(digest::digest(&digest::SHA256, bytes).as_ref())
    }

    /// The bytes, as stored.
    pub const fn as_bytes(&self) -> &[u8; DIGEST_LEN] {
        &self.0
    }

    pub(crate) fn of_library(bytes: &[u8]) -> Self {
        Self(bytes.try_into().expect("SHA-256 and HMAC-SHA256 give 32 bytes"))
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for Digest {}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let mut bytes = [0; DIGEST_LEN];
        hex::decode_to_slice(text.as_bytes(), &mut bytes).map_err(D::Error::custom)?;
        // `hex` reads upper case too; one digest has one text.
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(D::Error::custom("a digest is written in lower-case hex"));
        }
        Ok(Self(bytes))
    }
}

/// A pepper shorter than [`PEPPER_LEN_MIN`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a pepper has at least {PEPPER_LEN_MIN} bytes, this one has {0}")]
pub struct PepperTooShort(usize);

/// The server's secret that keys the digests of API keys and license keys, so
/// that a stolen table of digests cannot be searched.
#[derive(Clone)]
pub struct Pepper(hmac::Key);

impl Pepper {
    /// A pepper of at least [`PEPPER_LEN_MIN`] random bytes.
    pub fn new(secret: &[u8]) -> Result<Self, PepperTooShort> {
        if secret.len() < PEPPER_LEN_MIN {
            return Err(PepperTooShort(secret.len()));
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }

    /// HMAC-SHA256 of `text` within `domain`; a digest of one domain never
    /// equals that of another, so that one pepper may serve both kinds of key.
    pub(crate) fn digest(&self, domain: &'static str, text: &str) -> Digest {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(domain.as_bytes());
        context.update(&[0]);
        context.update(text.as_bytes());
        Digest::of_library(context.sign().as_ref())
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_pepper_is_refused() {
        assert_eq!(Pepper::new(&[7; 31]).unwrap_err(), PepperTooShort(31));
        assert!(Pepper::new(&[7; 32]).is_ok());
    }

    #[test]
    fn one_pepper_serves_two_domains_without_collision() {
        let pepper = Pepper::new(&[7; 32]).unwrap();
        assert_ne!(pepper.digest("a", "x"), pepper.digest("b", "x"));
        assert_ne!(pepper.digest("a", "x"), pepper.digest("a", "y"));
        assert_eq!(pepper.digest("a", "x"), pepper.digest("a", "x"));
    }

    #[test]
    fn a_digest_has_one_text() {
        let digest = Digest::sha256(b"tenure");
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
        assert!(serde_json::from_str::<Digest>(&json.to_uppercase()).is_err());
        assert!(serde_json::from_str::<Digest>("\"00\"").is_err());
    }
}
