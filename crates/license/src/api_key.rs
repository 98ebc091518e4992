//! API keys: `<prefix>_<live|test>_<key id>_<secret><checksum>`.
//!
//! ```text
//! kg_live_0BdXnJ7tQxv2hYc5PzR9aW_<43 characters of secret><6 of CRC-32>
//! ```
//!
//! Owns: making, reading and the digest of a key. Refuses: a wrong checksum,
//! before anything is looked up. All parts are base62, so that a double click
//! selects the whole key; the checksum lets secret scanners know one.

use std::fmt;

use tenure_core::ApiKeyId;
use zeroize::Zeroizing;

use crate::{Digest, Pepper};

/// Random bytes of a secret: 256 bits, 43 characters of base62.
pub const SECRET_LEN: usize = 32;
/// Longest product prefix, in characters.
pub const PREFIX_LEN_MAX: usize = 16;
/// Longest key, in bytes.
pub const KEY_LEN_MAX: usize = PREFIX_LEN_MAX + 6 + ID_DIGITS + 1 + SECRET_DIGITS + CRC_DIGITS;

const SECRET_DIGITS: usize = 43;
const ID_DIGITS: usize = 22;
const CRC_DIGITS: usize = 6;
const DOMAIN: &str = "tenure api key v1";
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Why a text is not an API key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiKeyError {
    /// Not the shape of an API key.
    #[error("this is not an API key")]
    Malformed,
    /// The shape of one, mistyped or cut.
    #[error("the API key has a typing mistake: its checksum does not match")]
    Checksum,
    /// A prefix that cannot begin a key, when making one.
    #[error(
        "`{0}` cannot be the prefix of an API key: lower-case letters and digits, beginning with a letter, at most {PREFIX_LEN_MAX}"
    )]
    Prefix(String),
}

impl ApiKeyError {
    /// The stable name of the reason.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "api_key_malformed",
            Self::Checksum => "api_key_mistyped",
            Self::Prefix(_) => "api_key_prefix_invalid",
        }
    }
}

/// Whether a key opens real data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// Real data, real bills.
    Live,
    /// Trials and tests.
    Test,
}

impl Environment {
    /// `live` or `test`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }
}

/// An API key whose checksum is right. A secret: wiped when dropped, not shown
/// by `Debug`.
#[derive(Clone)]
pub struct ApiKey {
    text: Zeroizing<String>,
    prefix: String,
    environment: Environment,
    id: ApiKeyId,
}

impl ApiKey {
    /// Makes a key from 32 bytes of a cryptographic generator.
    pub fn generate(
        prefix: &str,
        environment: Environment,
        id: ApiKeyId,
        secret: &[u8; SECRET_LEN],
    ) -> Result<Self, ApiKeyError> {
        if !is_prefix(prefix) {
            return Err(ApiKeyError::Prefix(prefix.chars().take(40).collect()));
        }
        let id_digits = Zeroizing::new(to_base62(id.uuid().as_bytes(), ID_DIGITS));
        let secret_digits = Zeroizing::new(to_base62(secret, SECRET_DIGITS));
        let word = environment.word();
        let body = Zeroizing::new(format!("{prefix}_{word}_{}_{}", *id_digits, *secret_digits));
        let text = Zeroizing::new(format!("{}{}", *body, checksum(&body)));
        Ok(Self { text, prefix: prefix.into(), environment, id })
    }

    /// Reads a key. The checksum is checked first: a wrong one reaches nothing else.
    pub fn parse(text: &str) -> Result<Self, ApiKeyError> {
        if text.len() > KEY_LEN_MAX || !text.is_ascii() {
            return Err(ApiKeyError::Malformed);
        }
        let split = text.len().checked_sub(CRC_DIGITS).ok_or(ApiKeyError::Malformed)?;
        let (body, crc) = text.split_at(split);
        let mut parts = body.split('_');
        let mut next = || parts.next().ok_or(ApiKeyError::Malformed);
        let (prefix, word, id, secret) = (next()?, next()?, next()?, next()?);
        let shaped = is_prefix(prefix) && id.len() == ID_DIGITS && secret.len() == SECRET_DIGITS;
        if next().is_ok() || !shaped {
            return Err(ApiKeyError::Malformed);
        }
        if crc != checksum(body) {
            return Err(ApiKeyError::Checksum);
        }
        let environment = match word {
            "live" => Environment::Live,
            "test" => Environment::Test,
            _ => return Err(ApiKeyError::Malformed),
        };
        let id = from_base62::<16>(id).ok_or(ApiKeyError::Malformed)?;
        from_base62::<SECRET_LEN>(secret).map(Zeroizing::new).ok_or(ApiKeyError::Malformed)?;
        let id = ApiKeyId::from_uuid(uuid::Uuid::from_bytes(id));
        Ok(Self { text: Zeroizing::new(text.into()), prefix: prefix.into(), environment, id })
    }

    /// The whole key: shown once, when it is made.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The product's prefix.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether it opens real data.
    pub const fn environment(&self) -> Environment {
        self.environment
    }

    /// Under what it is looked up.
    pub const fn id(&self) -> ApiKeyId {
        self.id
    }

    /// What may be shown in lists: everything before the secret.
    pub fn hint(&self) -> String {
        let shown = self.text.rsplit_once('_').map_or("", |(shown, _)| shown);
        format!("{shown}_...")
    }

    /// What a server stores instead of the key; [`Digest`] compares in constant time.
    pub fn digest(&self, pepper: &Pepper) -> Digest {
        pepper.digest(DOMAIN, &self.text)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({})", self.hint())
    }
}

fn is_prefix(text: &str) -> bool {
    (1..=PREFIX_LEN_MAX).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

fn checksum(body: &str) -> String {
    to_base62(&crc32fast::hash(body.as_bytes()).to_be_bytes(), CRC_DIGITS)
}

/// A big-endian number in base62, left-padded to `digits`, which must hold it.
fn to_base62(bytes: &[u8], digits: usize) -> String {
    let mut number = Zeroizing::new(bytes.to_vec());
    let mut reversed = Zeroizing::new(Vec::with_capacity(digits));
    for _ in 0..digits {
        let mut remainder = 0u32;
        for byte in number.iter_mut() {
            let value = remainder << 8 | u32::from(*byte);
            *byte = (value / 62) as u8;
            remainder = value % 62;
        }
        reversed.push(BASE62[remainder as usize]);
    }
    debug_assert!(number.iter().all(|byte| *byte == 0), "the digits hold the number");
    reversed.iter().rev().map(|b| char::from(*b)).collect()
}

/// The number of `N` bytes that `to_base62` wrote; `None` when it is too large.
fn from_base62<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut number = [0u8; N];
    for digit in text.bytes() {
        let mut carry = BASE62.iter().position(|b| *b == digit)? as u32;
        for byte in number.iter_mut().rev() {
            let value = u32::from(*byte) * 62 + carry;
            *byte = (value & 0xff) as u8;
            carry = value >> 8;
        }
        if carry != 0 {
            return None;
        }
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(secret: [u8; SECRET_LEN]) -> ApiKey {
        let id = ApiKeyId::from_uuid(uuid::Uuid::from_bytes([0xab; 16]));
        ApiKey::generate("kg", Environment::Live, id, &secret).unwrap()
    }

    #[test]
    fn a_key_says_what_it_opens_and_hides_its_secret() {
        let key = key([7; SECRET_LEN]);
        assert!(key.expose().starts_with("kg_live_"), "{}", key.expose());
        let secret = key.expose().rsplit('_').next().unwrap();
        assert_eq!(secret.len(), SECRET_DIGITS + CRC_DIGITS);
        assert!(!format!("{key:?}").contains(secret));
        assert!(key.expose().len() <= KEY_LEN_MAX);
    }

    #[test]
    fn a_mistyped_key_is_told_apart_from_something_else() {
        let text = key([7; SECRET_LEN]).expose().to_owned();
        let typed = format!("{}{}", &text[..40], text[40..].replacen(|c: char| c != '0', "0", 1));
        assert_eq!(ApiKey::parse(&typed).unwrap_err(), ApiKeyError::Checksum);
        for other in
            ["", "kg_live_", "Bearer x", &text[1..], &format!("{text}0"), &format!("{text} ")]
        {
            assert!(ApiKey::parse(other).is_err(), "{other}");
        }
    }

    #[test]
    fn live_and_test_keys_of_the_same_bytes_differ() {
        let live = key([7; SECRET_LEN]);
        let test = ApiKey::generate("kg", Environment::Test, live.id(), &[7; SECRET_LEN]).unwrap();
        let pepper = Pepper::new(&[1; 32]).unwrap();
        assert_ne!(live.digest(&pepper), test.digest(&pepper));
        let renamed = live.expose().replace("_live_", "_test_");
        assert_eq!(ApiKey::parse(&renamed).unwrap_err(), ApiKeyError::Checksum);
    }

    #[test]
    fn a_prefix_is_lower_case_letters_and_digits() {
        let id = ApiKeyId::from_uuid(uuid::Uuid::nil());
        for prefix in ["", "Kg", "k_g", "1kg", "a-b", "abcdefghijklmnopq"] {
            let error = ApiKey::generate(prefix, Environment::Live, id, &[0; SECRET_LEN]);
            assert!(matches!(error, Err(ApiKeyError::Prefix(_))), "{prefix}");
        }
    }

    proptest! {
        #[test]
        fn every_generated_key_reads_back(secret: [u8; SECRET_LEN], id: [u8; 16]) {
            let id = ApiKeyId::from_uuid(uuid::Uuid::from_bytes(id));
            let key = ApiKey::generate("kg", Environment::Test, id, &secret).unwrap();
            let read = ApiKey::parse(key.expose()).unwrap();
            prop_assert_eq!(read.id(), id);
            prop_assert_eq!(read.environment(), Environment::Test);
            prop_assert_eq!(read.expose(), key.expose());
            let secret_digits = &key.expose().rsplit('_').next().unwrap()[..SECRET_DIGITS];
            prop_assert_eq!(from_base62::<SECRET_LEN>(secret_digits), Some(secret));
        }

        #[test]
        fn one_wrong_character_is_found(at in 0usize..80, c in "[0-9A-Za-z_]") {
            let text = key([3; SECRET_LEN]).expose().to_owned();
            let at = at % text.len();
            prop_assume!(&text[at..=at] != c.as_str());
            let mut typed = text;
            typed.replace_range(at..=at, &c);
            prop_assert!(ApiKey::parse(&typed).is_err());
        }

        #[test]
        fn any_text_is_refused_without_panic(text in "\\PC{0,120}") {
            prop_assert!(ApiKey::parse(&text).is_err());
        }
    }
}
