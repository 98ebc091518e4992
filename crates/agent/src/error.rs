//! Why the agent did not do what it was asked.
//!
//! Each variant has a stable code; the sentence says what to do.

use std::{io, path::PathBuf};

/// What an operation comes to.
pub type Result<T> = std::result::Result<T, Error>;

/// Everything that can go wrong here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file that cannot be read or written.
    #[error("{path}: {source}", path = .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The data directory is open to others, or somebody else's.
    #[error("{path}: {why}", path = .path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// What is wrong and how to put it right.
        why: String,
    },
    /// Another agent holds the data directory.
    #[error(
        "{path} is in use by another tenure-agent; stop it, or choose another directory with --data-dir",
        path = .0.display()
    )]
    InUse(PathBuf),
    /// The database refused.
    #[error("the agent's database: {0}")]
    Database(#[from] sqlx::Error),
    /// The database was made by a newer agent, or is damaged.
    #[error("the agent's database cannot be used: {0}")]
    Schema(String),
    /// What is written down cannot be read.
    #[error("{what} cannot be read: {why}")]
    Damaged {
        /// What.
        what: &'static str,
        /// Why not.
        why: String,
    },
    /// The system's generator of random numbers failed.
    #[error("the system gives no random numbers")]
    Random,
    /// The keys of the product are unusable.
    #[error("{code}: {message}")]
    Keys {
        /// Stable.
        code: &'static str,
        /// What is wrong.
        message: String,
    },
    /// A setting that makes no sense.
    #[error("{0}")]
    Setting(String),
    /// Something that was presented is not believed.
    #[error("{message}")]
    Refused {
        /// Stable.
        code: String,
        /// Why, and what to do.
        message: String,
    },
    /// The license service cannot be used.
    #[error("{0}")]
    Server(String),
    /// The spool holds as much as it may.
    #[error(
        "the usage spool holds {used} of {max} bytes and takes no more; nothing that was accepted \
         is lost. Restore the connection to {server}, export a report, or raise --spool-max-bytes"
    )]
    SpoolFull {
        /// Bytes in use.
        used: u64,
        /// Bytes allowed.
        max: u64,
        /// Where it would go.
        server: String,
    },
}

impl Error {
    /// The stable name of the reason.
    pub fn code(&self) -> &str {
        match self {
            Self::File { .. } => "file",
            Self::Directory { .. } => "data_dir_refused",
            Self::InUse(_) => "data_dir_in_use",
            Self::Database(_) => "database",
            Self::Schema(_) => "database_schema",
            Self::Damaged { .. } => "data_damaged",
            Self::Random => "no_random_numbers",
            Self::Keys { code, .. } => code,
            Self::Setting(_) => "setting",
            Self::Refused { code, .. } => code,
            Self::Server(_) => "server",
            Self::SpoolFull { .. } => "spool_full",
        }
    }

    /// Something presented is refused.
    pub fn refused(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Refused { code: code.into(), message: message.into() }
    }

    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::File { path, source }
    }
}
