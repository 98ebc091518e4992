//! A public key and how it is written down.

use aws_lc_rs::{
    encoding::AsDer,
    rsa::{PublicKey as RsaPublicKey, PublicKeyComponents},
};
use serde::{Deserialize, Serialize};

use super::{KEY_BITS_MAX, KEY_BITS_MIN};
use crate::{Digest, text, token::issuer};

/// The public exponent that everyone uses, 65537, as a JWK writes it.
const EXPONENT: &str = "AQAB";

/// Why a key is not one that Tenure signs or verifies with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not an RSA key that the library can read.
    #[error("not an RSA key that can be read")]
    Unreadable,
    /// Modulus too short or too long.
    #[error("a modulus has {KEY_BITS_MIN} to {KEY_BITS_MAX} bits, this one has {0}")]
    Size(usize),
    /// Public exponent other than 65537.
    #[error("the public exponent must be 65537")]
    Exponent,
    /// The library could not make a key.
    #[error("the key could not be generated")]
    Generation,
}

/// An RSA public key with the name that tokens call it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    kid: String,
    modulus: Vec<u8>,
}

impl PublicKey {
    /// A key from its big-endian modulus (no leading zeros); the exponent is 65537.
    pub fn from_modulus(modulus: &[u8]) -> Result<Self, KeyError> {
        let leading = modulus.first().ok_or(KeyError::Unreadable)?.leading_zeros();
        if leading == 8 {
            return Err(KeyError::Unreadable);
        }
        let bits = modulus.len() * 8 - leading as usize;
        if !(KEY_BITS_MIN..=KEY_BITS_MAX).contains(&bits) {
            return Err(KeyError::Size(bits));
        }
        // A product of two odd primes is odd.
        if modulus.last().is_none_or(|byte| byte % 2 == 0) {
            return Err(KeyError::Unreadable);
        }
        Ok(Self { kid: thumbprint(&text::base64url(modulus)), modulus: modulus.to_vec() })
    }

    /// A key from a PKCS#1 `RSAPublicKey` or a `SubjectPublicKeyInfo`, in DER.
    pub fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let key = RsaPublicKey::from_der(der).map_err(|_| KeyError::Unreadable)?;
        Self::from_library(&key)
    }

    pub(super) fn from_library(key: &RsaPublicKey) -> Result<Self, KeyError> {
        let exponent = key.exponent().big_endian_without_leading_zero();
        if text::base64url(exponent) != EXPONENT {
            return Err(KeyError::Exponent);
        }
        Self::from_modulus(key.modulus().big_endian_without_leading_zero())
    }

    /// The RFC 7638 thumbprint (SHA-256, base64url): the `kid` of its tokens.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Length of the modulus and of a signature, in bytes.
    pub fn modulus_len(&self) -> usize {
        self.modulus.len()
    }

    /// As a JSON Web Key for publication.
    pub fn jwk(&self) -> Jwk {
        Jwk {
            kty: "RSA".into(),
            key_use: Some("sig".into()),
            alg: "RS256".into(),
            kid: self.kid.clone(),
            n: text::base64url(&self.modulus),
            e: EXPONENT.into(),
        }
    }

    /// As `-----BEGIN PUBLIC KEY-----` (SubjectPublicKeyInfo), as OpenSSL reads it.
    ///
    /// # Errors
    /// [`KeyError::Unreadable`] when the library refuses the modulus.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        let der = self.components().as_der().map_err(|_| KeyError::Unreadable)?;
        Ok(text::pem("PUBLIC KEY", der.as_ref()))
    }

    pub(super) fn components(&self) -> PublicKeyComponents<&[u8]> {
        PublicKeyComponents { n: &self.modulus, e: &[1, 0, 1] }
    }
}

/// RFC 7638, section 3: the required members in order, hashed.
fn thumbprint(n: &str) -> String {
    let canonical = format!(r#"{{"e":"{EXPONENT}","kty":"RSA","n":"{n}"}}"#);
    text::base64url(Digest::sha256(canonical.as_bytes()).as_bytes())
}

/// One public key of a published set. Members that are not listed here are
/// refused on reading: a private key pasted by mistake must not go unnoticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jwk {
    /// Always `RSA`.
    pub kty: String,
    /// `sig` when present.
    #[serde(rename = "use", default, skip_serializing_if = "Option::is_none")]
    pub key_use: Option<String>,
    /// Always `RS256`.
    pub alg: String,
    /// The RFC 7638 thumbprint.
    pub kid: String,
    /// Modulus, base64url.
    pub n: String,
    /// Exponent, always `AQAB`.
    pub e: String,
}

/// What `/.well-known/...jwks.json` serves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwkSet {
    /// Whose keys they are, [`crate::token::issuer`] of the product, so that a
    /// carried key file says for itself what it verifies. Standard readers
    /// ignore it (RFC 7517, section 5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Newest first, by custom; order means nothing to a verifier.
    pub keys: Vec<Jwk>,
}

impl<'a> FromIterator<&'a PublicKey> for JwkSet {
    fn from_iter<I: IntoIterator<Item = &'a PublicKey>>(keys: I) -> Self {
        Self { issuer: None, keys: keys.into_iter().map(PublicKey::jwk).collect() }
    }
}

impl JwkSet {
    /// The set that a product publishes.
    pub fn of_product<'a>(product: &str, keys: impl IntoIterator<Item = &'a PublicKey>) -> Self {
        Self { issuer: Some(issuer(product)), ..keys.into_iter().collect() }
    }
}
