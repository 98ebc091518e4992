//! What a revocation list says.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenure_core::LicenseId;

use super::LicenseClaims;
use crate::{
    state::Revocation,
    token::{Kind, Payload, Registered, issuer},
};

/// Licenses on one list at most; what has long expired leaves it.
pub const WITHDRAWN_MAX: usize = 8_000;

/// Everything of one product that was taken back and has not expired by itself.
///
/// It reaches installations in heartbeats, and by hand inside bundles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationsClaims {
    /// [`issuer`] of the product.
    pub iss: String,
    /// [`Kind::audience`] of revocation lists.
    pub aud: String,
    /// When it was signed.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub iat: Timestamp,
    /// Id of the product in its product file.
    pub product: String,
    /// Counts the lists of a product: the higher one governs, and a lower one is never believed
    /// after it.
    pub epoch: u64,
    /// What was taken back, each license and bound once.
    pub withdrawn: Vec<Withdrawn>,
}

/// A license, or its older revisions, taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawn {
    /// Which.
    pub license: LicenseId,
    /// Only the revisions lower than this; the whole license when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<u64>,
    /// From when.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub at: Timestamp,
}

impl RevocationsClaims {
    /// What the list says of a license. A whole license that was taken back is graver than
    /// a replaced revision.
    pub fn of(&self, license: &LicenseClaims) -> Revocation {
        let mine = || self.withdrawn.iter().filter(|entry| entry.license == license.license);
        if let Some(at) = mine().filter(|entry| entry.below.is_none()).map(|entry| entry.at).min() {
            return Revocation::Revoked(at);
        }
        let replaced = mine().filter(|entry| entry.below.is_some_and(|n| license.revision < n));
        replaced.map(|entry| entry.at).min().map_or(Revocation::None, Revocation::Superseded)
    }
}

impl Payload for RevocationsClaims {
    const KIND: Kind = Kind::Revocations;

    fn registered(&self) -> Registered<'_> {
        Registered { issuer: &self.iss, audience: &self.aud, product: &self.product }
    }

    fn check(&self) -> Result<(), String> {
        if self.iss != issuer(&self.product) {
            return Err("iss is not the product's issuer".into());
        }
        if self.aud != Kind::Revocations.audience() {
            return Err("aud is not that of a revocation list".into());
        }
        if self.withdrawn.len() > WITHDRAWN_MAX {
            return Err(format!("a list has at most {WITHDRAWN_MAX} entries"));
        }
        Ok(())
    }
}
