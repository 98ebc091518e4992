//! A verified license and the questions that it answers at a moment.

use jiff::Timestamp;
use tenure_license::{
    LicenseClaims, TrustSet, Verdict, Verified,
    presented::Presented,
    state::{Input, evaluate},
    token,
};

use crate::Error;

/// A license whose signature was checked, for programs that look once: an installer, a command.
/// A product that runs uses [`crate::Tenure`].
#[derive(Debug, Clone)]
pub struct License {
    verified: Verified<LicenseClaims>,
}

impl License {
    /// The license in a token or in the text of a `.lic` file, believing the keys of `product` in
    /// `jwks` alone.
    pub fn verify(product: &str, jwks: &str, presented: &str) -> Result<Self, Error> {
        let trust = TrustSet::from_jwks(product, jwks)?;
        match Presented::read(presented)? {
            Presented::Token(token) => Ok(Self { verified: token::verify(&token, &trust)? }),
            Presented::Key(_) => Err(Error::KeyNeedsServer),
        }
    }

    /// What was granted, to whom, and until when.
    pub const fn claims(&self) -> &LicenseClaims {
        self.verified.claims()
    }

    /// What it is worth at a moment, by itself: without a time floor, a revocation list or a lease.
    pub fn at(&self, now: Timestamp) -> Verdict {
        evaluate(&Input::new(&self.verified, now))
    }
}
