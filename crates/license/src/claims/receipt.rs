//! What a receipt for usage says.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenure_core::{InstanceId, LicenseId};

use super::NAME_LEN_MAX;
use crate::{
    chain::Head,
    token::{Kind, Payload, Registered, issuer},
};

/// The vendor's answer to a usage report: everything up to `through` has been
/// counted, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptClaims {
    /// [`issuer`] of the product.
    pub iss: String,
    /// The customer.
    pub sub: String,
    /// [`Kind::audience`] of receipts.
    pub aud: String,
    /// When it was signed: a moment that is proven to have passed.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub iat: Timestamp,
    /// The unique name of this receipt; the next license revision cites it.
    pub jti: String,
    /// Id of the product in its product file.
    pub product: String,
    /// The license whose usage it is.
    pub license: LicenseId,
    /// Whose ledger it is.
    pub instance: InstanceId,
    /// The last ledger entry that was counted.
    pub through: Head,
}

impl Payload for ReceiptClaims {
    const KIND: Kind = Kind::Receipt;

    fn registered(&self) -> Registered<'_> {
        Registered { issuer: &self.iss, audience: &self.aud, product: &self.product }
    }

    fn check(&self) -> Result<(), String> {
        if self.iss != issuer(&self.product) {
            return Err("iss is not the product's issuer".into());
        }
        if self.aud != Kind::Receipt.audience() {
            return Err("aud is not that of a receipt".into());
        }
        if self.jti.is_empty() || self.jti.len() > NAME_LEN_MAX {
            return Err(format!("jti has 1 to {NAME_LEN_MAX} bytes"));
        }
        Ok(())
    }
}
