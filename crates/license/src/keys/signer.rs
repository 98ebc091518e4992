//! Who signs. Two implementations: the key in memory here, and one behind
//! PKCS#11 that never sees its private key.

use std::fmt;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use zeroize::Zeroizing;

use super::{KeyError, PublicKey};

/// The signature could not be made (the module is gone, or refuses).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the signature could not be made: {0}")]
pub struct SignError(pub String);

/// Something that holds a private key and makes RSASSA-PKCS1-v1_5 SHA-256 signatures.
pub trait Signer: Send + Sync {
    /// The public half.
    fn public_key(&self) -> &PublicKey;

    /// The RS256 signature of `message`, as long as the modulus.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// A signer whose private key is in this process.
pub struct MemorySigner {
    pair: RsaKeyPair,
    public: PublicKey,
}

impl MemorySigner {
    /// A new 3072-bit key, drawn from the library's generator. Takes up to a
    /// second of one core.
    pub fn generate() -> Result<Self, KeyError> {
        let pair = RsaKeyPair::generate(KeySize::Rsa3072).map_err(|_| KeyError::Generation)?;
        Self::of(pair)
    }

    /// The key in an unencrypted PKCS#8 document (DER), as [`Self::to_pkcs8_der`] wrote it.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        let pair = RsaKeyPair::from_pkcs8(der).map_err(|_| KeyError::Unreadable)?;
        Self::of(pair)
    }

    /// The private key as unencrypted PKCS#8 (DER), wiped when dropped; seal it
    /// before it is stored.
    pub fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let der: Pkcs8V1Der<'_> = self.pair.as_der().map_err(|_| KeyError::Unreadable)?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    fn of(pair: RsaKeyPair) -> Result<Self, KeyError> {
        let public = PublicKey::from_library(pair.public_key())?;
        Ok(Self { pair, public })
    }
}

impl Signer for MemorySigner {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| SignError("the library refused".into()))?;
        Ok(signature)
    }
}

impl fmt::Debug for MemorySigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemorySigner({})", self.public.kid())
    }
}
