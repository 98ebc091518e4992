//! The master key and what it protects.
//!
//! Owns: sealing (envelope encryption with AES-256-GCM), the derived keys for
//! digests and database roles, and the master key's file. Refuses: a sealed
//! value anywhere but where it was sealed for: its place is authenticated with
//! it, so a ciphertext copied to another row, field or tenant does not open.

use std::{
    fmt, fs, io,
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hkdf, hmac, rand,
};
use tenure_license::Pepper;
use tenure_tenancy::roles::RoleSecret;
use zeroize::Zeroizing;

/// Bytes of a key.
const KEY_LEN: usize = 32;
/// Layout of sealed values; the first byte of each.
const VERSION: u8 = 1;
const NONCE: usize = NONCE_LEN;
const TAG: usize = 16;
/// A wrapped data key: nonce, key, tag.
const WRAPPED: usize = NONCE + KEY_LEN + TAG;

/// Why the master key or a sealed value cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key file is missing or unreadable.
    #[error("the master key file {path}: {source}")]
    File {
        /// Where.
        path: PathBuf,
        /// What.
        source: io::Error,
    },
    /// The key file holds something else.
    #[error(
        "the master key file {0} must hold 64 hex digits (32 bytes). Restore it from your backup; \
         what it sealed cannot be read without it"
    )]
    Malformed(PathBuf),
    /// Others could read it.
    #[error("the master key file {0} can be read by others: run chmod 600 on it")]
    Exposed(PathBuf),
    /// Another key, another place, or a changed ciphertext.
    #[error(
        "a sealed value does not open here: it was sealed for another place or with another key"
    )]
    Sealed,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
}

/// A place that a sealed value belongs to: `tenant|owner|field|version`.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The tenant's UUID, or nil for the vendor's.
    pub tenant: uuid::Uuid,
    /// The row.
    pub owner: uuid::Uuid,
    /// The column or named field.
    pub field: &'a str,
    /// Rises when the value is replaced, so that an old one cannot be put back.
    pub version: u32,
}

impl Place<'_> {
    fn bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(40 + self.field.len());
        bytes.extend_from_slice(self.tenant.as_bytes());
        bytes.extend_from_slice(self.owner.as_bytes());
        bytes.extend_from_slice(&self.version.to_be_bytes());
        bytes.extend_from_slice(self.field.as_bytes());
        bytes
    }
}

/// Thirty-two secret bytes, wiped when dropped.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; KEY_LEN]>);

impl Key {
    /// A new random key.
    pub fn random() -> Result<Self, Error> {
        let mut bytes = Zeroizing::new([0u8; KEY_LEN]);
        rand::fill(&mut *bytes).map_err(|_| Error::NoRandomness)?;
        Ok(Self(bytes))
    }

    /// The key of these bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        Some(Self(Zeroizing::new(bytes.try_into().ok()?)))
    }

    /// The bytes, to be sealed.
    pub fn expose(&self) -> &[u8] {
        &*self.0
    }

    fn aead(&self) -> RandomizedNonceKey {
        RandomizedNonceKey::new(&AES_256_GCM, &*self.0).expect("32 bytes are an AES-256 key")
    }

    /// `nonce | ciphertext | tag`, bound to `context`.
    pub fn encrypt(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, Error> {
        let mut body = plain.to_vec();
        let nonce = self
            .aead()
            .seal_in_place_append_tag(Aad::from(context), &mut body)
            .map_err(|_| Error::NoRandomness)?;
        let mut out = Vec::with_capacity(NONCE + body.len());
        out.extend_from_slice(nonce.as_ref());
        out.append(&mut body);
        Ok(out)
    }

    /// What [`Self::encrypt`] was given, if key and context are the same.
    pub fn decrypt(&self, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let (nonce, body) = sealed.split_at_checked(NONCE).ok_or(Error::Sealed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Error::Sealed)?;
        let mut body = Zeroizing::new(body.to_vec());
        let length = self
            .aead()
            .open_in_place(nonce, Aad::from(context), &mut body)
            .map_err(|_| Error::Sealed)?
            .len();
        body.truncate(length);
        Ok(body)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// Everything that derives from the master key.
#[derive(Clone)]
pub struct Vault {
    sealing: Key,
    digests: hmac::Key,
    pepper: Pepper,
    roles: RoleSecret,
}

impl Vault {
    /// From the master key itself; purposes get keys of their own (RFC 5869).
    pub fn new(master: &Key) -> Self {
        let derive = |purpose: &str| {
            let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"tenure master v1").extract(&*master.0);
            let mut bytes = Zeroizing::new([0u8; KEY_LEN]);
            prk.expand(&[purpose.as_bytes()], hkdf::HKDF_SHA256)
                .and_then(|okm| okm.fill(&mut *bytes))
                .expect("32 bytes are within what HKDF-SHA256 expands to");
            Key(bytes)
        };
        Self {
            sealing: derive("sealing"),
            digests: hmac::Key::new(hmac::HMAC_SHA256, derive("digests").expose()),
            pepper: Pepper::new(derive("pepper").expose()).expect("32 bytes are a pepper"),
            roles: RoleSecret::new(&derive("roles").0),
        }
    }

    /// Reads the master key, making the file on the first start.
    ///
    /// # Errors
    /// See [`Error`]; a file that others can read is refused.
    pub fn load_or_create(path: &Path) -> Result<Self, Error> {
        let file = |source| Error::File { path: path.to_owned(), source };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(file)?;
        }
        let fresh = Key::random()?;
        let text = Zeroizing::new(format!("{}\n", hex::encode(fresh.expose())));
        match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Ok(mut new) => {
                new.write_all(text.as_bytes()).and_then(|()| new.sync_all()).map_err(file)?;
                tracing::info!(path = %path.display(), "made a master key: back this file up");
                Ok(Self::new(&fresh))
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::load(path),
            Err(error) => Err(file(error)),
        }
    }

    fn load(path: &Path) -> Result<Self, Error> {
        let file = |source| Error::File { path: path.to_owned(), source };
        let mode = fs::metadata(path).map_err(file)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(Error::Exposed(path.to_owned()));
        }
        let text = Zeroizing::new(fs::read_to_string(path).map_err(file)?);
        let bytes = Zeroizing::new(hex::decode(text.trim()).unwrap_or_default());
        let key = Key::from_slice(&bytes).ok_or_else(|| Error::Malformed(path.to_owned()))?;
        Ok(Self::new(&key))
    }

    /// Seals `plain` for `place`, under a data key of its own.
    pub fn seal(&self, place: Place<'_>, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let context = place.bytes();
        let data_key = Key::random()?;
        let wrapped = self.sealing.encrypt(&context, data_key.expose())?;
        let body = data_key.encrypt(&context, plain)?;
        let mut out = Vec::with_capacity(1 + wrapped.len() + body.len());
        out.push(VERSION);
        out.extend_from_slice(&wrapped);
        out.extend_from_slice(&body);
        Ok(out)
    }

    /// Opens what was sealed for `place`.
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let context = place.bytes();
        let (version, rest) = sealed.split_first().ok_or(Error::Sealed)?;
        let (wrapped, body) = rest.split_at_checked(WRAPPED).ok_or(Error::Sealed)?;
        if *version != VERSION {
            return Err(Error::Sealed);
        }
        let data_key = self.sealing.decrypt(&context, wrapped)?;
        Key::from_slice(&data_key).ok_or(Error::Sealed)?.decrypt(&context, body)
    }

    /// A keyed digest for looking up what must not be stored, such as vendor tokens.
    pub fn digest(&self, purpose: &str, secret: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.digests);
        context.update(purpose.as_bytes());
        context.update(&[0]);
        context.update(secret);
        context.sign().as_ref().try_into().expect("HMAC-SHA256 gives 32 bytes")
    }

    /// Keys the digests of API keys and license keys.
    pub fn pepper(&self) -> &Pepper {
        &self.pepper
    }

    /// Derives the database roles' passwords.
    pub fn roles(&self) -> &RoleSecret {
        &self.roles
    }
}

/// Random bytes for a secret that is shown once.
pub fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, Error> {
    let mut bytes = Zeroizing::new([0u8; N]);
    rand::fill(&mut *bytes).map_err(|_| Error::NoRandomness)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn place(tenant: u128, field: &str, version: u32) -> Place<'_> {
        Place { tenant: Uuid::from_u128(tenant), owner: Uuid::from_u128(9), field, version }
    }

    #[test]
    fn a_sealed_value_opens_only_in_its_place() {
        let vault = Vault::new(&Key::random().unwrap());
        let sealed = vault.seal(place(1, "url", 1), b"secret").unwrap();
        assert_eq!(&**vault.open(place(1, "url", 1), &sealed).unwrap(), b"secret");
        for elsewhere in [place(2, "url", 1), place(1, "key", 1), place(1, "url", 2)] {
            assert!(matches!(vault.open(elsewhere, &sealed), Err(Error::Sealed)));
        }
        let other = Vault::new(&Key::random().unwrap());
        assert!(other.open(place(1, "url", 1), &sealed).is_err());
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let vault = Vault::new(&Key::random().unwrap());
        let sealed = vault.seal(place(1, "url", 1), b"secret").unwrap();
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(vault.open(place(1, "url", 1), &changed).is_err(), "byte {index}");
        }
        assert!(vault.open(place(1, "url", 1), &[]).is_err());
    }

    #[test]
    fn the_key_file_is_made_once_and_refused_when_others_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys/master.key");
        let first = Vault::load_or_create(&path).unwrap();
        let second = Vault::load_or_create(&path).unwrap();
        assert_eq!(first.digest("x", b"y"), second.digest("x", b"y"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Vault::load_or_create(&path), Err(Error::Exposed(_))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "short").unwrap();
        assert!(matches!(Vault::load_or_create(&path), Err(Error::Malformed(_))));
    }
}
