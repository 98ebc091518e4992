//! Signed tokens: compact JWS, RS256, and nothing else.
//!
//! Owns: signing and the strict reading of every token that Tenure makes.
//! Refuses: any algorithm but the constant one, header fields other than
//! `alg`, `typ` and `kid`, duplicate JSON keys, a second spelling of the same
//! bytes, tokens of another kind, product or key, and oversized input.
//! Does NOT look at `exp` or `nbf`: an expired license is a genuine license,
//! and what it is still worth is for [`crate::state`] to say.
//!
//! The signature is checked with aws-lc-rs directly. `jsonwebtoken` would parse
//! the header three times into a type with room for every header field that is
//! refused here (the last of two equal extra fields wins), picks the verifier
//! by the token's own `alg`, and rebuilds the RSA key for each token; keys of a
//! [`TrustSet`] are parsed once. Tests use it as a second opinion.

mod error;

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{
    json,
    keys::{Signer, TrustSet, TrustedKey},
    text,
};

pub use error::{Error, IssueError};

/// Longest license, in bytes. One with a hundred limits has about 12 kB.
pub const TOKEN_LEN_MAX: usize = 48 * 1024;
/// Longest decoded header, in bytes. Ours have about 110; the rest is room to name
/// what is wrong with a foreign one.
pub const HEADER_LEN_MAX: usize = 2 * 1024;

const ALGORITHM: &str = "RS256";
/// What stands around algorithm, type and key in the headers written here.
const OWN_HEADER: [&str; 4] = [r#"{"alg":""#, r#"","typ":""#, r#"","kid":""#, r#""}"#];
/// Bytes decoded without asking for memory: a signature, an ordinary license.
const ROOM_LEN: usize = 4 * 1024;
const ISSUER_PREFIX: &str = "urn:tenure:product:";

/// What a token is. Each kind has its own `typ` and `aud`, so that none is
/// ever taken for another (RFC 8725, section 3.11 and 3.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The long-lived grant to a subscription.
    License,
    /// The short-lived renewal that an activation holds.
    Lease,
    /// What has been taken back.
    Revocations,
    /// The answer to a usage report.
    Receipt,
}

impl Kind {
    /// The `typ` of its header.
    pub const fn typ(self) -> &'static str {
        match self {
            Self::License => "tenure-license+jwt",
            Self::Lease => "tenure-lease+jwt",
            Self::Revocations => "tenure-revocations+jwt",
            Self::Receipt => "tenure-receipt+jwt",
        }
    }

    /// Longest token of the kind, in bytes: a list of what was taken back grows with
    /// the number of customers, the others do not.
    pub const fn len_max(self) -> usize {
        match self {
            Self::License => TOKEN_LEN_MAX,
            Self::Lease | Self::Receipt => 8 * 1024,
            Self::Revocations => 1024 * 1024,
        }
    }

    /// The `aud` of its claims.
    pub const fn audience(self) -> &'static str {
        match self {
            Self::License => "urn:tenure:license",
            Self::Lease => "urn:tenure:lease",
            Self::Revocations => "urn:tenure:revocations",
            Self::Receipt => "urn:tenure:receipt",
        }
    }
}

/// The `iss` of every token of `product` (its id in the product file).
pub fn issuer(product: &str) -> String {
    format!("{ISSUER_PREFIX}{product}")
}

/// The product whose [`issuer`] that is.
pub(crate) fn product_of(issuer: &str) -> Option<&str> {
    issuer.strip_prefix(ISSUER_PREFIX).filter(|product| !product.is_empty())
}

/// The claims that every token has (RFC 7519, section 4.1).
#[derive(Debug, Clone, Copy)]
pub struct Registered<'a> {
    /// `iss`; must be [`issuer`] of the product.
    pub issuer: &'a str,
    /// `aud`; must be the kind's.
    pub audience: &'a str,
    /// The product that the claims are about; must be the trust set's.
    pub product: &'a str,
}

/// Claims that a token can carry.
pub trait Payload: Serialize + DeserializeOwned {
    /// The kind of token that carries them.
    const KIND: Kind;

    /// What [`verify`] compares before it believes the rest.
    fn registered(&self) -> Registered<'_>;

    /// What is wrong with the claims in themselves, in a sentence. Called before
    /// signing and after verification, so nothing is issued that is refused later.
    fn check(&self) -> Result<(), String>;
}

/// Claims whose signature was checked: the only way to have one is [`verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<C> {
    claims: C,
    kid: String,
}

impl<C> Verified<C> {
    /// The claims.
    pub const fn claims(&self) -> &C {
        &self.claims
    }

    /// The claims, owned.
    pub fn into_claims(self) -> C {
        self.claims
    }

    /// The key that signed them.
    pub fn kid(&self) -> &str {
        &self.kid
    }
}

/// Signs `claims`; the token verifies with the signer's public key.
pub fn sign<C: Payload>(claims: &C, signer: &dyn Signer) -> Result<String, IssueError> {
    claims.check().map_err(IssueError::Claims)?;
    let [alg, typ, kid, end] = OWN_HEADER;
    let (kind, key) = (C::KIND.typ(), signer.public_key().kid());
    let header = [alg, ALGORITHM, typ, kind, kid, key, end].concat();
    let payload = serde_json::to_vec(claims).map_err(|e| IssueError::Claims(e.to_string()))?;
    json::check(&payload).map_err(IssueError::Claims)?;
    let message = format!("{}.{}", text::base64url(header.as_bytes()), text::base64url(&payload));
    let signature = signer.sign(message.as_bytes())?;
    let token = format!("{message}.{}", text::base64url(&signature));
    if token.len() > C::KIND.len_max() {
        return Err(IssueError::TooLarge(token.len(), C::KIND.len_max()));
    }
    Ok(token)
}

/// Reads a token of kind `C`, believing only `trust`. Nothing is returned that
/// the signature does not cover.
pub fn verify<C: Payload>(token: &str, trust: &TrustSet) -> Result<Verified<C>, Error> {
    if token.len() > C::KIND.len_max() {
        return Err(Error::TooLarge(token.len(), C::KIND.len_max()));
    }
    let (message, signature) = token.rsplit_once('.').ok_or(Error::Malformed)?;
    let (header, payload) = message.split_once('.').ok_or(Error::Malformed)?;
    if payload.contains('.') {
        return Err(Error::Malformed);
    }
    let key = read_header(header, C::KIND, trust)?;
    let mut room = [0; ROOM_LEN];
    let signature =
        text::from_base64url_in(signature, &mut room).ok_or(Error::Encoding("signature"))?;
    if !key.verifies(message.as_bytes(), &signature) {
        return Err(Error::Signature);
    }
    let payload = text::from_base64url_in(payload, &mut room).ok_or(Error::Encoding("payload"))?;
    let claims = read_claims(&payload, trust)?;
    Ok(Verified { claims, kid: key.public().kid().to_owned() })
}

/// What a token says of itself, WITHOUT believing it: no signature, kind, product or date was
/// looked at. For a product whose keys are to be tried, and for a token that was kept from its
/// own signing. `None` for what is no token, or says no such thing.
pub fn unverified<C: DeserializeOwned>(token: &str) -> Option<C> {
    if token.len() > Kind::Revocations.len_max() {
        return None;
    }
    let mut parts = token.split('.');
    let (_header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let mut room = [0; ROOM_LEN];
    let payload = text::from_base64url_in(payload, &mut room)?;
    serde_json::from_slice(&payload).ok()
}

/// Checks the header and returns the key that it names.
fn read_header<'t>(
    encoded: &str,
    kind: Kind,
    trust: &'t TrustSet,
) -> Result<&'t TrustedKey, Error> {
    // Four characters of base64 carry three bytes.
    if encoded.len() > HEADER_LEN_MAX / 3 * 4 {
        return Err(Error::Header(format!("longer than {HEADER_LEN_MAX} bytes")));
    }
    let mut room = [0; 256];
    let bytes = text::from_base64url_in(encoded, &mut room).ok_or(Error::Encoding("header"))?;
    if let Some(key) = own_header(&bytes, kind, trust) {
        return Ok(key);
    }
    let kid = foreign_header(&bytes, kind)?;
    trust.key(&kid).ok_or_else(|| Error::UnknownKey(shown(&kid)))
}

/// The header of [`sign`], byte by byte; `None` for any other, which may be as
/// good and is for [`foreign_header`] to read.
fn own_header<'t>(bytes: &[u8], kind: Kind, trust: &'t TrustSet) -> Option<&'t TrustedKey> {
    let [alg, typ, kid, end] = OWN_HEADER;
    let rest = bytes.strip_prefix(alg.as_bytes())?.strip_prefix(ALGORITHM.as_bytes())?;
    let rest = rest.strip_prefix(typ.as_bytes())?.strip_prefix(kind.typ().as_bytes())?;
    let kid = rest.strip_prefix(kid.as_bytes())?.strip_suffix(end.as_bytes())?;
    // A trusted kid is base64url: whatever equals one has no escapes in it.
    trust.key(std::str::from_utf8(kid).ok()?)
}

/// Checks a header in any spelling and returns the `kid`.
fn foreign_header(bytes: &[u8], kind: Kind) -> Result<String, Error> {
    let fields: Map<String, Value> = json::read(bytes).map_err(Error::Header)?;
    if let Some(other) = fields.keys().find(|name| !matches!(name.as_str(), "alg" | "typ" | "kid"))
    {
        return Err(Error::HeaderField(shown(other)));
    }
    let field = |name: &str| match fields.get(name) {
        Some(Value::String(text)) => Ok(text.as_str()),
        _ => Err(Error::Header(format!("`{name}` must be given as text"))),
    };
    let algorithm = field("alg")?;
    if algorithm != ALGORITHM {
        return Err(Error::Algorithm(shown(algorithm)));
    }
    let typ = field("typ")?;
    if typ != kind.typ() {
        return Err(Error::Type { expected: kind.typ(), found: shown(typ) });
    }
    Ok(field("kid")?.to_owned())
}

fn read_claims<C: Payload>(payload: &[u8], trust: &TrustSet) -> Result<C, Error> {
    let claims: C = json::read(payload).map_err(Error::Claims)?;
    let (registered, product) = (claims.registered(), trust.product());
    if product_of(registered.issuer) != Some(product) {
        let expected = issuer(product);
        return Err(Error::Issuer { expected, found: shown(registered.issuer) });
    }
    if registered.audience != C::KIND.audience() {
        let expected = C::KIND.audience();
        return Err(Error::Audience { expected, found: shown(registered.audience) });
    }
    if registered.product != product {
        let found = shown(registered.product);
        return Err(Error::Issuer { expected: product.into(), found });
    }
    claims.check().map_err(Error::Claims)?;
    Ok(claims)
}

/// Foreign text, cut for a message.
fn shown(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 80;
    text.chars().take(SHOWN_CHARS_MAX).collect()
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.typ())
    }
}
