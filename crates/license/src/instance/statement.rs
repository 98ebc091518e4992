//! Signing and the strict reading of statements: compact JWS, EdDSA.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{InstanceKey, InstancePublicKey};
use crate::{json, text};

/// Longest statement, in bytes.
pub const STATEMENT_LEN_MAX: usize = 16 * 1024;
const ALGORITHM: &str = "EdDSA";

/// What a statement is; each kind has its own `typ` and `aud`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatementKind {
    /// Asks for a license, by file.
    Request,
    /// Gives a license back, by file.
    Return,
    /// Begins a usage report.
    Report,
    /// Goes with a call of the license service.
    Proof,
    /// Asks for a slice of a quota, or gives one back.
    Slice,
}

impl StatementKind {
    /// The `typ` of its header.
    pub const fn typ(self) -> &'static str {
        match self {
            Self::Request => "tenure-request+jwt",
            Self::Return => "tenure-return+jwt",
            Self::Report => "tenure-report+jwt",
            Self::Proof => "tenure-proof+jwt",
            Self::Slice => "tenure-slice+jwt",
        }
    }

    /// The `aud` of its claims.
    pub const fn audience(self) -> &'static str {
        match self {
            Self::Request => "urn:tenure:request",
            Self::Return => "urn:tenure:return",
            Self::Report => "urn:tenure:report",
            Self::Proof => "urn:tenure:proof",
            Self::Slice => "urn:tenure:slice",
        }
    }
}

/// Claims that an instance can sign.
pub trait Statement: Serialize + DeserializeOwned {
    /// Of which kind.
    const KIND: StatementKind;

    /// `aud`; must be the kind's.
    fn audience(&self) -> &str;

    /// The key that must have signed.
    fn key(&self) -> &InstancePublicKey;
}

/// A statement whose signature was checked against the key that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stated<C>(C);

impl<C> Stated<C> {
    /// What was said.
    pub const fn claims(&self) -> &C {
        &self.0
    }

    /// What was said, owned.
    pub fn into_claims(self) -> C {
        self.0
    }
}

/// Why a statement is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Longer than [`STATEMENT_LEN_MAX`].
    #[error("the signed statement has {0} bytes; at most {STATEMENT_LEN_MAX} are read")]
    TooLarge(usize),
    /// Not three canonical base64url parts.
    #[error("not a signed statement: expected three base64url parts with dots between")]
    Malformed,
    /// Another header than Tenure writes.
    #[error("the statement's header is not one that an instance writes: {0}")]
    Header(String),
    /// A statement of another kind.
    #[error("the statement is a `{found}`, expected `{expected}`")]
    Type {
        /// What was wanted.
        expected: &'static str,
        /// What it says.
        found: String,
    },
    /// Claims that cannot be read.
    #[error("the statement cannot be read: {0}")]
    Claims(String),
    /// Not signed by the key that it names.
    #[error("the statement is not signed by the instance that it names")]
    Signature,
}

impl Error {
    /// The stable name of the reason.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge(_) => "statement_too_large",
            Self::Malformed => "statement_malformed",
            Self::Header(_) => "statement_header_refused",
            Self::Type { .. } => "statement_wrong_type",
            Self::Claims(_) => "statement_claims_invalid",
            Self::Signature => "statement_bad_signature",
        }
    }
}

/// Signs `claims`, whose [`Statement::key`] must be the public half of `key`.
pub fn sign<C: Statement>(claims: &C, key: &InstanceKey) -> Result<String, Error> {
    if claims.key() != key.public() {
        return Err(Error::Signature);
    }
    let header = format!(
        r#"{{"alg":"{ALGORITHM}","typ":"{}","kid":"{}"}}"#,
        C::KIND.typ(),
        key.public().thumbprint()
    );
    let payload = serde_json::to_vec(claims).map_err(|e| Error::Claims(e.to_string()))?;
    let message = format!("{}.{}", text::base64url(header.as_bytes()), text::base64url(&payload));
    let statement = format!("{message}.{}", text::base64url(&key.sign(message.as_bytes())));
    if statement.len() > STATEMENT_LEN_MAX {
        return Err(Error::TooLarge(statement.len()));
    }
    Ok(statement)
}

/// Reads a statement of kind `C` and checks that the key that it names signed it.
/// Whose key that is, is for the caller to know.
pub fn verify<C: Statement>(statement: &str) -> Result<Stated<C>, Error> {
    if statement.len() > STATEMENT_LEN_MAX {
        return Err(Error::TooLarge(statement.len()));
    }
    let (message, signature) = statement.rsplit_once('.').ok_or(Error::Malformed)?;
    let (header, payload) = message.split_once('.').ok_or(Error::Malformed)?;
    if payload.contains('.') {
        return Err(Error::Malformed);
    }
    let kid = read_header(header, C::KIND)?;
    let payload = text::from_base64url(payload).ok_or(Error::Malformed)?;
    let signature = text::from_base64url(signature).ok_or(Error::Malformed)?;
    let claims: C = json::read(&payload).map_err(Error::Claims)?;
    let trusted =
        claims.key().thumbprint() == kid && claims.key().verifies(message.as_bytes(), &signature);
    if !trusted {
        return Err(Error::Signature);
    }
    if claims.audience() != C::KIND.audience() {
        return Err(Error::Claims("its audience is another one".into()));
    }
    Ok(Stated(claims))
}

fn read_header(encoded: &str, kind: StatementKind) -> Result<String, Error> {
    let bytes = text::from_base64url(encoded).ok_or(Error::Malformed)?;
    let fields: Map<String, Value> = json::read(&bytes).map_err(Error::Header)?;
    let field = |name: &str| match fields.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        _ => Err(Error::Header(format!("`{name}` must be given as text"))),
    };
    if fields.len() != 3 {
        return Err(Error::Header("only alg, typ and kid are allowed".into()));
    }
    if field("alg")? != ALGORITHM {
        return Err(Error::Header(format!("only {ALGORITHM} is accepted")));
    }
    let typ = field("typ")?;
    if typ != kind.typ() {
        return Err(Error::Type { expected: kind.typ(), found: typ.chars().take(80).collect() });
    }
    field("kid")
}
