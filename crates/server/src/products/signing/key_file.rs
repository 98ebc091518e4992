//! A signing key as an encrypted file: for a backup apart from the database, for
//! escrow, for another installation.
//!
//! Owns: the file's form. A key derived from a passphrase (Argon2id) encrypts the
//! private key (AES-256-GCM); everything else in the file is authenticated with
//! it. Refuses: members that are not listed here, since nothing would vouch for
//! them, and costs that only serve to exhaust whoever reads the file.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenure_license::{MemorySigner, Signer, keys::KeyError};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::vault::{self, Key};

/// The form of the file; another number is another form.
const FORM: u32 = 1;
/// Shortest passphrase, in characters.
pub const PASSPHRASE_CHARS_MIN: usize = 12;
/// Longest passphrase, in bytes.
pub const PASSPHRASE_BYTES_MAX: usize = 1024;
/// Memory that deriving takes, in KiB (64 MiB; RFC 9106 recommends it with 3 passes).
const MEMORY_KIB: u32 = 64 * 1024;
/// Passes over it.
const PASSES: u32 = 3;
/// Lanes.
const LANES: u32 = 4;
/// Most memory that a file may ask for, in KiB.
const MEMORY_KIB_MAX: u32 = 256 * 1024;
/// Most passes.
const PASSES_MAX: u32 = 10;
/// Most lanes.
const LANES_MAX: u32 = 16;
/// Bytes of a salt.
const SALT_LEN: usize = 16;
/// Largest sealed part, in characters; a 4096-bit key takes a third.
const SEALED_LEN_MAX: usize = 12 * 1024;

/// Why a file is not written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Too short or too long.
    #[error(
        "a passphrase has at least {PASSPHRASE_CHARS_MIN} characters and at most {PASSPHRASE_BYTES_MAX} bytes"
    )]
    Passphrase,
    /// Another form, or costs outside the limits.
    #[error("this file cannot be read here: {0}")]
    Unreadable(&'static str),
    /// The authentication failed.
    #[error("the passphrase is wrong, or the file was changed after it was written")]
    Refused,
    /// It opened, and holds no usable key.
    #[error("the file holds no usable key: {0}")]
    Key(#[from] KeyError),
    /// The operating system gave no random bytes.
    #[error(transparent)]
    Random(vault::Error),
}

/// How the encryption key follows from the passphrase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Stretching {
    /// Always `argon2id`, version 0x13.
    #[schema(example = "argon2id")]
    pub name: String,
    /// Memory, in KiB.
    #[schema(example = 65536)]
    pub memory_kib: u32,
    /// Passes over the memory.
    #[schema(example = 3)]
    pub passes: u32,
    /// Lanes.
    #[schema(example = 4)]
    pub lanes: u32,
    /// Random bytes, base64.
    #[schema(example = "AAAAAAAAAAAAAAAAAAAAAA==")]
    pub salt: String,
}

/// A signing key, encrypted. Every member but `sealed` is authenticated by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    /// The form of this file: 1.
    #[schema(example = 1)]
    pub tenure_signing_key: u32,
    /// Id of the product whose licenses the key signs.
    #[schema(example = "incidentfox")]
    pub product: String,
    /// The key's RFC 7638 thumbprint.
    #[schema(example = "eg2cUMqIzVAF2hzY-5Z5LtZQKlx6zM88iG2U1A82qjs")]
    pub kid: String,
    /// When the key was made.
    pub created_at: Timestamp,
    /// How the encryption key follows from the passphrase.
    pub kdf: Stretching,
    /// Always `AES-256-GCM`.
    #[schema(example = "AES-256-GCM")]
    pub cipher: String,
    /// Nonce, encrypted PKCS#8 document and tag, base64.
    #[schema(example = "AAAA")]
    pub sealed: String,
}

impl KeyFile {
    /// Encrypts a key. Takes 64 MiB and a noticeable part of a second.
    pub fn write(
        product: &str,
        created_at: Timestamp,
        signer: &MemorySigner,
        passphrase: &str,
    ) -> Result<Self, Error> {
        let length = passphrase.chars().count();
        if length < PASSPHRASE_CHARS_MIN || passphrase.len() > PASSPHRASE_BYTES_MAX {
            return Err(Error::Passphrase);
        }
        let salt = vault::random::<SALT_LEN>().map_err(Error::Random)?;
        let mut file = Self {
            tenure_signing_key: FORM,
            product: product.to_owned(),
            kid: signer.public_key().kid().to_owned(),
            created_at,
            kdf: Stretching {
                name: "argon2id".to_owned(),
                memory_kib: MEMORY_KIB,
                passes: PASSES,
                lanes: LANES,
                salt: STANDARD.encode(*salt),
            },
            cipher: "AES-256-GCM".to_owned(),
            sealed: String::new(),
        };
        let key = file.kdf.key(passphrase)?;
        let sealed = key.encrypt(&file.header(), &signer.to_pkcs8_der()?).map_err(Error::Random)?;
        file.sealed = STANDARD.encode(sealed);
        Ok(file)
    }

    /// Decrypts the key. Takes what the file says it takes, within limits.
    pub fn open(&self, passphrase: &str) -> Result<MemorySigner, Error> {
        if self.tenure_signing_key != FORM {
            return Err(Error::Unreadable("it has another form"));
        }
        if self.cipher != "AES-256-GCM" {
            return Err(Error::Unreadable("it is encrypted otherwise than with AES-256-GCM"));
        }
        if self.sealed.len() > SEALED_LEN_MAX || passphrase.len() > PASSPHRASE_BYTES_MAX {
            return Err(Error::Refused);
        }
        let sealed = STANDARD.decode(&self.sealed).map_err(|_| Error::Refused)?;
        let key = self.kdf.key(passphrase)?;
        let der = key.decrypt(&self.header(), &sealed).map_err(|_| Error::Refused)?;
        let signer = MemorySigner::from_pkcs8_der(&der)?;
        if signer.public_key().kid() != self.kid {
            return Err(Error::Refused);
        }
        Ok(signer)
    }

    /// What the encryption vouches for: the members in their order, but `sealed`.
    fn header(&self) -> Vec<u8> {
        let bare = Self { sealed: String::new(), ..self.clone() };
        let mut bytes = b"tenure signing key file\n".to_vec();
        bytes.extend(serde_json::to_vec(&bare).expect("text and numbers are JSON"));
        bytes
    }
}

impl Stretching {
    fn key(&self, passphrase: &str) -> Result<Key, Error> {
        let within = self.memory_kib <= MEMORY_KIB_MAX
            && self.passes <= PASSES_MAX
            && self.lanes <= LANES_MAX;
        if self.name != "argon2id" || !within {
            return Err(Error::Unreadable("its key derivation is another, or too costly"));
        }
        let salt = STANDARD.decode(&self.salt).map_err(|_| Error::Refused)?;
        let params = Params::new(self.memory_kib, self.passes, self.lanes, None)
            .map_err(|_| Error::Unreadable("its key derivation makes no sense"))?;
        let mut key = Zeroizing::new([0u8; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), &salt, &mut *key)
            .map_err(|_| Error::Refused)?;
        Ok(Key::from_slice(&*key).expect("32 bytes are a key"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    const PASSPHRASE: &str = "correct horse battery staple";
    static KEY: LazyLock<MemorySigner> = LazyLock::new(|| MemorySigner::generate().unwrap());

    fn written() -> KeyFile {
        let at = "2026-03-01T00:00:00Z".parse().unwrap();
        KeyFile::write("widget", at, &KEY, PASSPHRASE).unwrap()
    }

    #[test]
    fn a_file_opens_with_its_passphrase_alone() {
        let file = written();
        assert_eq!(file.open(PASSPHRASE).unwrap().public_key(), KEY.public_key());
        let wrong = file.open("correct horse battery stable");
        assert!(matches!(wrong, Err(Error::Refused)));
        assert_ne!(file.sealed, written().sealed, "each file has a salt of its own");
        let short = KeyFile::write("widget", file.created_at, &KEY, "elevenchars");
        assert!(matches!(short, Err(Error::Passphrase)));
    }

    #[test]
    fn every_member_is_vouched_for() {
        let file = written();
        let changes: [fn(&mut KeyFile); 8] = [
            |file| file.product = "gadget".into(),
            |file| file.kid = "x".into(),
            |file| file.created_at = Timestamp::UNIX_EPOCH,
            |file| file.kdf.memory_kib -= 1,
            |file| file.kdf.passes -= 1,
            |file| file.kdf.lanes -= 1,
            |file| file.kdf.salt = STANDARD.encode([7; SALT_LEN]),
            |file| {
                file.sealed
                    .replace_range(100..101, if &file.sealed[100..101] == "A" { "B" } else { "A" })
            },
        ];
        for (index, change) in changes.iter().enumerate() {
            let mut changed = file.clone();
            change(&mut changed);
            assert!(matches!(changed.open(PASSPHRASE), Err(Error::Refused)), "change {index}");
        }
        let mut other = file.clone();
        other.tenure_signing_key = 2;
        assert!(matches!(other.open(PASSPHRASE), Err(Error::Unreadable(_))));
        let mut costly = file;
        costly.kdf.memory_kib = u32::MAX;
        assert!(matches!(costly.open(PASSPHRASE), Err(Error::Unreadable(_))), "not derived at all");
    }
}
