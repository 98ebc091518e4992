//! Why a command did not do what it was asked, for people.

use std::fmt;

/// A sentence, what is wrong in particular, and the way out.
#[derive(Debug)]
pub(crate) struct Error {
    message: String,
    details: Vec<String>,
    hint: Option<String>,
    /// The HTTP status, when a server refused.
    pub status: Option<u16>,
}

/// What a command comes to.
pub(crate) type Result<T = ()> = std::result::Result<T, Error>;

impl Error {
    /// Only a sentence.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), details: Vec::new(), hint: None, status: None }
    }

    /// The same, with the way out.
    #[must_use]
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same, with a line a mistake.
    #[must_use]
    pub(crate) fn details(self, details: Vec<String>) -> Self {
        Self { details, ..self }
    }

    /// The same, with the status that a server answered.
    #[must_use]
    pub(crate) fn status(self, status: u16) -> Self {
        Self { status: Some(status), ..self }
    }

    /// A file that cannot be read or written.
    pub(crate) fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(format!("{}: {error}", path.display()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        for detail in &self.details {
            write!(f, "\n  {}", detail.replace('\n', "\n  "))?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        Self::new(error.to_string())
    }
}
