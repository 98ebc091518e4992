//! What a lease says.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenure_core::{InstanceId, LicenseId};

use super::{LicenseClaims, NAME_LEN_MAX};
use crate::token::{Kind, Payload, Registered, issuer};

/// The short-lived renewal that an instance holds: proof that the vendor was in
/// contact with it and counted it against the license. It grants nothing by
/// itself; the license does.
///
/// Times are NumericDates, as in a license.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseClaims {
    /// [`issuer`] of the product.
    pub iss: String,
    /// The customer.
    pub sub: String,
    /// [`Kind::audience`] of leases.
    pub aud: String,
    /// When it was signed, by the server's clock: a moment that is proven to have passed.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub iat: Timestamp,
    /// The first moment at which it has ended.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub exp: Timestamp,
    /// The unique name of this token.
    pub jti: String,
    /// Id of the product in its product file.
    pub product: String,
    /// The license that it renews.
    pub license: LicenseId,
    /// The revision that governs at `iat`.
    pub revision: u64,
    /// Who holds it.
    pub instance: InstanceId,
    /// Thumbprint of the instance's public key.
    pub key: String,
    /// Number of the newest revocation list at `iat`; 0 when there is none.
    pub epoch: u64,
    /// How often the vendor wants to hear, in seconds.
    pub heartbeat_seconds: u32,
}

impl LeaseClaims {
    /// When to renew: after a third of its length.
    pub fn renew_at(&self) -> Timestamp {
        let third = (self.exp.as_second() - self.iat.as_second()) / 3;
        Timestamp::from_second(self.iat.as_second() + third).unwrap_or(self.exp)
    }
}

impl LeaseClaims {
    /// Whether it renews that license: the same one, and the same instance where the license is
    /// bound to one.
    pub fn renews(&self, license: &LicenseClaims) -> bool {
        let bound = license.binding.as_ref();
        self.license == license.license
            && bound.is_none_or(|to| to.instance == self.instance && to.key == self.key)
    }
}

impl Payload for LeaseClaims {
    const KIND: Kind = Kind::Lease;

    fn registered(&self) -> Registered<'_> {
        Registered { issuer: &self.iss, audience: &self.aud, product: &self.product }
    }

    fn check(&self) -> Result<(), String> {
        if self.iss != issuer(&self.product) {
            return Err("iss is not the product's issuer".into());
        }
        if self.aud != Kind::Lease.audience() {
            return Err("aud is not that of a lease".into());
        }
        if self.exp <= self.iat {
            return Err("the lease ends before it begins".into());
        }
        if [&self.sub, &self.jti, &self.key]
            .into_iter()
            .any(|s| s.is_empty() || s.len() > NAME_LEN_MAX)
        {
            return Err(format!("sub, jti and key have 1 to {NAME_LEN_MAX} bytes"));
        }
        Ok(())
    }
}
