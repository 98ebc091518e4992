//! What a customer puts into `LICENSE_KEY`: the short key [004] or the token
//! itself [001]; and a `.lic` file's text, which is the same choice in a file.

use std::fmt;

use crate::{
    file::{self, FileError},
    key_string::{KeyStringError, LicenseKey},
};

/// A credential for a license, told apart by its shape.
#[derive(Clone)]
pub enum Presented {
    /// The short key, to be exchanged.
    Key(LicenseKey),
    /// A token, yet to be verified; bare or out of a `.lic` file.
    Token(String),
}

/// Why a text is neither.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PresentedError {
    /// It looks like a license key.
    #[error(transparent)]
    Key(#[from] KeyStringError),
    /// It looks like a license file.
    #[error(transparent)]
    File(#[from] FileError),
}

impl PresentedError {
    /// The stable name of the reason.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Key(error) => error.code(),
            Self::File(error) => error.code(),
        }
    }
}

/// Both are credentials: neither is shown.
impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => key.fmt(f),
            Self::Token(_) => f.write_str("Token(..)"),
        }
    }
}

impl Presented {
    /// Tells a key, a token and a file apart. Only dots occur in a token and
    /// never in a key; only armour has a BEGIN
    /// line, and whatever else stands in that file is refused where it is read.
    pub fn read(text: &str) -> Result<Self, PresentedError> {
        if text.contains("-----BEGIN") {
            return Ok(Self::Token(file::read(text)?));
        }
        // An environment file or a mounted secret often ends with a line break.
        let text = text.trim_ascii();
        if text.contains('.') {
            return Ok(Self::Token(text.to_owned()));
        }
        Ok(Self::Key(LicenseKey::parse(text)?))
    }
}
