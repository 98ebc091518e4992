//! Why something is refused, each with a stable code.

use tenure_license::{keys::TrustError, presented::PresentedError, token};

/// Why there is no license, or no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No license, and nobody to ask for one.
    #[error("there is no license: set LICENSE_KEY, or run an agent")]
    Missing,
    /// A short key without anybody to exchange it.
    #[error("a license key is exchanged for a license: set TENURE_SERVER, or run an agent")]
    KeyNeedsServer,
    /// The agent or the server answered with a revision below the one that is held.
    #[error("a newer revision of this license is held")]
    Older,
    /// The product's key set cannot be believed.
    #[error(transparent)]
    Keys(#[from] TrustError),
    /// Neither a key nor a license.
    #[error(transparent)]
    Presented(#[from] PresentedError),
    /// A token that is not believed.
    #[error(transparent)]
    Token(#[from] token::Error),
    /// A file that cannot be read.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Agent or server gave no answer, or one that cannot be read.
    #[error("{0}")]
    Unreachable(String),
    /// Agent or server refused.
    #[error("{detail} (HTTP {status})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// In the other side's words.
        detail: String,
    },
    /// Only an agent has slices of quotas.
    #[error("quotas are used through an agent: set TENURE_AGENT_SECRET_FILE")]
    AgentMissing,
    /// The thread that asks the network could not be started, or is gone.
    #[error("the background thread is not running")]
    Stopped,
}

impl Error {
    /// The stable name of the reason; the same in every SDK.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing => "license_missing",
            Self::KeyNeedsServer => "license_key_needs_server",
            Self::Older => "license_older",
            Self::Keys(error) => error.code(),
            Self::Presented(error) => error.code(),
            Self::Token(error) => error.code(),
            Self::File { .. } => "file_unreadable",
            Self::Unreachable(_) => "unreachable",
            Self::Refused { .. } => "refused",
            Self::AgentMissing => "agent_missing",
            Self::Stopped => "stopped",
        }
    }

    /// Whether nobody answered as expected: the very same request may succeed later.
    pub const fn worth_retrying(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused { status, .. } => {
                matches!(status, 401 | 403 | 408 | 429) || *status >= 500
            }
            _ => false,
        }
    }
}

impl From<tenure_api::client::Error> for Error {
    fn from(error: tenure_api::client::Error) -> Self {
        match error {
            tenure_api::client::Error::Refused { status, detail, .. } => {
                Self::Refused { status, detail }
            }
            other => Self::Unreachable(other.to_string()),
        }
    }
}
