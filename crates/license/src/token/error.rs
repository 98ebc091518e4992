//! Why a token is not believed, and why one is not made; each with a stable code.

use crate::keys::SignError;

/// Why a token is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Longer than [`super::Kind::len_max`].
    #[error("the token has {0} bytes; at most {1} are read")]
    TooLarge(usize, usize),
    /// Not three parts with dots between.
    #[error("not a signed token: expected three parts with dots between")]
    Malformed,
    /// A part that is not canonical base64url.
    #[error("the token's {0} is not canonical base64url (no padding, no blanks)")]
    Encoding(&'static str),
    /// A header that is not JSON, has a key twice, or lacks a field.
    #[error("the token's header is malformed: {0}")]
    Header(String),
    /// A header field that Tenure never writes (`jku`, `jwk`, `x5u`, `crit`, ...).
    #[error("the token's header has the field `{0}`; only alg, typ and kid are allowed")]
    HeaderField(String),
    /// An algorithm other than RS256.
    #[error("the token says algorithm `{0}`; only RS256 is accepted")]
    Algorithm(String),
    /// A token of another kind.
    #[error("the token is a `{found}`, expected `{expected}`")]
    Type {
        /// What was wanted.
        expected: &'static str,
        /// What the header says.
        found: String,
    },
    /// Signed by nobody in the trust set.
    #[error("the token is signed by key `{0}`, which is not trusted here")]
    UnknownKey(String),
    /// The signature is not that key's signature of this token.
    #[error("the token's signature does not verify: it was changed or forged")]
    Signature,
    /// Issued for another product.
    #[error("the token was issued by `{found}`, expected `{expected}`")]
    Issuer {
        /// What was wanted.
        expected: String,
        /// What the claims say.
        found: String,
    },
    /// Meant for another reader.
    #[error("the token is meant for `{found}`, expected `{expected}`")]
    Audience {
        /// What was wanted.
        expected: &'static str,
        /// What the claims say.
        found: String,
    },
    /// Signed, but with claims that cannot be read or contradict themselves.
    #[error("the token's claims are not usable: {0}")]
    Claims(String),
}

impl Error {
    /// The stable name of the reason, for logs, problem details and vectors.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge(..) => "token_too_large",
            Self::Malformed => "token_malformed",
            Self::Encoding(_) => "token_encoding",
            Self::Header(_) => "token_header_malformed",
            Self::HeaderField(_) => "token_header_field_refused",
            Self::Algorithm(_) => "token_algorithm_refused",
            Self::Type { .. } => "token_wrong_type",
            Self::UnknownKey(_) => "token_unknown_key",
            Self::Signature => "token_bad_signature",
            Self::Issuer { .. } => "token_wrong_issuer",
            Self::Audience { .. } => "token_wrong_audience",
            Self::Claims(_) => "token_claims_invalid",
        }
    }
}

/// Why a token was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The claims contradict themselves.
    #[error("the claims cannot be signed: {0}")]
    Claims(String),
    /// The token would be longer than verifiers read.
    #[error("the token would have {0} bytes; at most {1} are allowed")]
    TooLarge(usize, usize),
    /// The signer failed.
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl IssueError {
    /// The stable name of the reason.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Claims(_) => "issue_claims_invalid",
            Self::TooLarge(..) => "issue_too_large",
            Self::Sign(_) => "issue_signer_failed",
        }
    }
}
