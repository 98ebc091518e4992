//! The key pair of an instance.

use std::fmt;

use aws_lc_rs::signature::{
    ED25519, Ed25519KeyPair, KeyPair as _, ParsedPublicKey, UnparsedPublicKey,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use zeroize::Zeroizing;

use crate::{Digest, text};

/// Bytes of the seed that a key pair is made from.
pub const SEED_LEN: usize = 32;
const PUBLIC_LEN: usize = 32;

/// An Ed25519 key pair.
pub struct InstanceKey {
    pair: Ed25519KeyPair,
    public: InstancePublicKey,
}

impl InstanceKey {
    /// The pair of 32 bytes from a cryptographic generator. Keep the seed as
    /// you would a password; the pair follows from it.
    pub fn from_seed(seed: &Zeroizing<[u8; SEED_LEN]>) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed[..])
            .expect("32 bytes are an Ed25519 seed (RFC 8032, section 5.1.5)");
        let public = InstancePublicKey::from_slice(pair.public_key().as_ref())
            .expect("an Ed25519 public key has 32 bytes");
        Self { pair, public }
    }

    /// The public half.
    pub fn public(&self) -> &InstancePublicKey {
        &self.public
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

impl fmt::Debug for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstanceKey({})", self.public.thumbprint())
    }
}

/// The public half; as text and JSON: base64url.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InstancePublicKey([u8; PUBLIC_LEN]);

impl InstancePublicKey {
    /// The key that a database row holds, if it has 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes, as stored.
    pub const fn as_bytes(&self) -> &[u8; PUBLIC_LEN] {
        &self.0
    }

    /// RFC 7638 over the key as a JWK (RFC 8037, section 2).
    pub fn thumbprint(&self) -> String {
        let x = text::base64url(&self.0);
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        text::base64url(Digest::sha256(canonical.as_bytes()).as_bytes())
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match ParsedPublicKey::new(&ED25519, self.0) {
            Ok(key) => key.verify_sig(message, signature).is_ok(),
            Err(_) => UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok(),
        }
    }
}

impl fmt::Debug for InstancePublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::base64url(&self.0))
    }
}

impl Serialize for InstancePublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text::base64url(&self.0))
    }
}

impl<'de> Deserialize<'de> for InstancePublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = String::deserialize(deserializer)?;
        let bytes = text::from_base64url(&written).unwrap_or_default();
        Self::from_slice(&bytes)
            .ok_or_else(|| D::Error::custom("an instance's key is 32 bytes in base64url"))
    }
}
