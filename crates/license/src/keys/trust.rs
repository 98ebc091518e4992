//! Whom a verifier believes: the public keys of ONE product.

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};

use super::{JWKS_LEN_MAX, Jwk, JwkSet, KeyError, PublicKey, TRUST_KEYS_MAX};
use crate::{
    json, text,
    token::{issuer, product_of},
};

/// Why a key set is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// Longer than [`JWKS_LEN_MAX`].
    #[error("the key set has {0} bytes; at most {JWKS_LEN_MAX} are read")]
    TooLarge(usize),
    /// Not a JSON Web Key Set, or one with members that do not belong there.
    #[error("not a key set: {0}")]
    Malformed(String),
    /// The set says that it belongs to another product.
    #[error("the key set is that of `{found}`, expected `{expected}`")]
    Issuer {
        /// What was wanted.
        expected: String,
        /// What the set says.
        found: String,
    },
    /// The set does not say whose keys it holds.
    #[error("the key set does not say whose keys it holds; name the product")]
    NoIssuer,
    /// A set without keys believes nobody.
    #[error("the key set is empty")]
    Empty,
    /// More than [`TRUST_KEYS_MAX`] keys.
    #[error("the key set has {0} keys; at most {TRUST_KEYS_MAX} are read")]
    TooMany(usize),
    /// A key that is not for RS256 signatures.
    #[error("key `{kid}`: {member} must be `{expected}`")]
    NotRs256 {
        /// The key.
        kid: String,
        /// The member of the JWK.
        member: &'static str,
        /// What it must say.
        expected: &'static str,
    },
    /// A key that cannot be used.
    #[error("key `{kid}`: {source}")]
    Key {
        /// The key.
        kid: String,
        /// What is wrong with it.
        source: KeyError,
    },
    /// The `kid` is not the thumbprint of the key.
    #[error("key `{0}`: its kid is not its RFC 7638 thumbprint")]
    Thumbprint(String),
    /// The same key twice.
    #[error("key `{0}` is listed twice")]
    Duplicate(String),
    /// A key whose private half is published with the golden vectors.
    #[error("key `{0}` is a published test key; anybody can sign with it")]
    TestKey(String),
}

impl TrustError {
    /// The stable name of the reason.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge(_) => "keys_too_large",
            Self::Malformed(_) => "keys_malformed",
            Self::Issuer { .. } => "keys_wrong_issuer",
            Self::NoIssuer => "keys_no_issuer",
            Self::Empty => "keys_empty",
            Self::TooMany(_) => "keys_too_many",
            Self::NotRs256 { .. } => "keys_not_rs256",
            Self::Key { .. } => "keys_unusable_key",
            Self::Thumbprint(_) => "keys_wrong_kid",
            Self::Duplicate(_) => "keys_duplicate",
            Self::TestKey(_) => "keys_test_key",
        }
    }
}

/// Keys whose private halves lie in `vectors/`. No trust set believes them, so
/// a test root cannot be shipped in a release by mistake.
pub const PUBLISHED_TEST_KIDS: [&str; 2] =
    ["eg2cUMqIzVAF2hzY-5Z5LtZQKlx6zM88iG2U1A82qjs", "VPT2uYORtGgTQ44x0v6zkYKDGyb_SM8wGiV-sG3IZSI"];

/// A key that is believed, parsed once.
#[derive(Debug, Clone)]
pub struct TrustedKey {
    public: PublicKey,
    parsed: ParsedPublicKey,
}

impl TrustedKey {
    fn new(public: PublicKey) -> Result<Self, TrustError> {
        let parsed =
            public.components().to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).map_err(
                |_| TrustError::Key { kid: public.kid().into(), source: KeyError::Unreadable },
            )?;
        Ok(Self { public, parsed })
    }

    /// The key.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Whether `signature` is this key's RS256 signature of `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed.verify_sig(message, signature).is_ok()
    }
}

/// The keys of one product. Binding the product here means that a token of
/// another product fails even if both were ever given the same key.
#[derive(Debug, Clone)]
pub struct TrustSet {
    product: String,
    keys: Vec<TrustedKey>,
}

impl TrustSet {
    /// The keys of `product` from a JSON Web Key Set.
    pub fn from_jwks(product: &str, jwks: &str) -> Result<Self, TrustError> {
        let set = read_set(jwks)?;
        Self::from_keys(product, read_keys(Some(product), &set)?)
    }

    /// The keys in a set that says itself whose they are
    /// ([`JwkSet::of_product`]): for people who verify a file by hand. A product
    /// names itself instead and uses [`Self::from_jwks`].
    pub fn from_published_jwks(jwks: &str) -> Result<Self, TrustError> {
        let set = read_set(jwks)?;
        let product = set.issuer.as_deref().and_then(product_of).ok_or(TrustError::NoIssuer)?;
        Self::from_keys(product, read_keys(None, &set)?)
    }

    /// As [`Self::from_jwks`], and believes [`PUBLISHED_TEST_KIDS`] too: for the
    /// golden vectors and for nothing else.
    pub fn from_test_jwks(product: &str, jwks: &str) -> Result<Self, TrustError> {
        let set = read_set(jwks)?;
        Self::collect(product, read_keys(Some(product), &set)?)
    }

    /// The keys of `product`, when the caller holds them already.
    pub fn from_keys(
        product: &str,
        keys: impl IntoIterator<Item = PublicKey>,
    ) -> Result<Self, TrustError> {
        let set = Self::collect(product, keys)?;
        let test = set.keys().find(|key| PUBLISHED_TEST_KIDS.contains(&key.kid()));
        if let Some(test) = test {
            return Err(TrustError::TestKey(test.kid().into()));
        }
        Ok(set)
    }

    fn collect(
        product: &str,
        keys: impl IntoIterator<Item = PublicKey>,
    ) -> Result<Self, TrustError> {
        let mut trusted: Vec<TrustedKey> = Vec::new();
        for key in keys {
            if trusted.len() == TRUST_KEYS_MAX {
                return Err(TrustError::TooMany(TRUST_KEYS_MAX + 1));
            }
            if trusted.iter().any(|known| known.public.kid() == key.kid()) {
                return Err(TrustError::Duplicate(key.kid().into()));
            }
            trusted.push(TrustedKey::new(key)?);
        }
        if trusted.is_empty() {
            return Err(TrustError::Empty);
        }
        Ok(Self { product: product.into(), keys: trusted })
    }

    /// The product whose tokens these keys verify.
    pub fn product(&self) -> &str {
        &self.product
    }

    /// The key that a token names, matched exactly.
    pub fn key(&self, kid: &str) -> Option<&TrustedKey> {
        self.keys.iter().find(|key| key.public.kid() == kid)
    }

    /// All keys, in the order given.
    pub fn keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.keys.iter().map(TrustedKey::public)
    }

    /// The set for publication.
    pub fn to_jwk_set(&self) -> JwkSet {
        JwkSet::of_product(&self.product, self.keys())
    }
}

fn read_set(jwks: &str) -> Result<JwkSet, TrustError> {
    if jwks.len() > JWKS_LEN_MAX {
        return Err(TrustError::TooLarge(jwks.len()));
    }
    json::read(jwks.as_bytes()).map_err(TrustError::Malformed)
}

fn read_keys(product: Option<&str>, set: &JwkSet) -> Result<Vec<PublicKey>, TrustError> {
    if let (Some(product), Some(found)) = (product, &set.issuer)
        && *found != issuer(product)
    {
        return Err(TrustError::Issuer { expected: issuer(product), found: found.clone() });
    }
    // Counted before the expensive part, which reads each key.
    if set.keys.len() > TRUST_KEYS_MAX {
        return Err(TrustError::TooMany(set.keys.len()));
    }
    set.keys.iter().map(read_jwk).collect()
}

fn read_jwk(jwk: &Jwk) -> Result<PublicKey, TrustError> {
    let kid = jwk.kid.clone();
    let not = |member, expected| TrustError::NotRs256 { kid: kid.clone(), member, expected };
    if jwk.kty != "RSA" {
        return Err(not("kty", "RSA"));
    }
    if jwk.alg != "RS256" {
        return Err(not("alg", "RS256"));
    }
    if jwk.key_use.as_deref().is_some_and(|key_use| key_use != "sig") {
        return Err(not("use", "sig"));
    }
    if jwk.e != "AQAB" {
        return Err(TrustError::Key { kid, source: KeyError::Exponent });
    }
    let modulus = text::from_base64url(&jwk.n)
        .ok_or_else(|| TrustError::Malformed(format!("key `{kid}`: n is not base64url")))?;
    let public = PublicKey::from_modulus(&modulus)
        .map_err(|source| TrustError::Key { kid: kid.clone(), source })?;
    if public.kid() != kid {
        return Err(TrustError::Thumbprint(kid));
    }
    Ok(public)
}
