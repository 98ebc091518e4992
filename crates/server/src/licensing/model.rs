//! What a license is to those who manage it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenure_catalog::Model;
use tenure_core::{DeploymentId, LicenseId, SubscriptionId};
use utoipa::ToSchema;

/// The states of a license. Whether it has expired is for its claims to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LicenseStatus {
    /// In force until it expires.
    Active,
    /// Taken back.
    Revoked,
}

impl LicenseStatus {
    /// The word of API and database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Revoked => "revoked",
        }
    }
}

/// The grant to a subscription, a lineage of revisions; without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct License {
    /// The same through all its revisions.
    pub id: LicenseId,
    /// What it grants the use of.
    pub subscription_id: SubscriptionId,
    /// Where it may be used; absent: in every deployment of the subscription in its model.
    pub deployment_id: Option<DeploymentId>,
    /// `self_hosted` or `air_gapped`.
    #[schema(value_type = String, example = "self_hosted")]
    pub model: Model,
    /// Its state.
    pub status: LicenseStatus,
    /// The newest revision, which governs.
    #[schema(example = 2)]
    pub revision: i32,
    /// What may be shown of the license key.
    #[schema(example = "IFOX-ENT-ACME-...")]
    pub key_hint: String,
    /// When the first revision was issued.
    pub created_at: Timestamp,
    /// When the newest revision was issued.
    pub issued_at: Timestamp,
    /// When the newest revision expires.
    pub expires_at: Timestamp,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
}

/// A revision of a license, without its token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Revision {
    /// 1, 2, ...
    #[schema(example = 2)]
    pub revision: i32,
    /// The key that signed it.
    pub kid: String,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it expires.
    pub expires_at: Timestamp,
    /// What it says: customer, edition, seats, features, limits, dates.
    #[schema(value_type = Object)]
    pub claims: serde_json::Value,
}

/// A license with its revisions.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LicenseDetail {
    /// The license.
    #[serde(flatten)]
    pub license: License,
    /// Whether the subscription allows something else now than the newest revision
    /// says. Renew it to bring it up to date.
    pub stale: bool,
    /// The claims that would differ.
    #[schema(example = json!(["features", "limits"]))]
    pub differs: Vec<String>,
    /// The newest first.
    pub revisions: Vec<Revision>,
}

/// A license to be issued.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLicense {
    /// What it grants the use of.
    pub subscription: SubscriptionId,
    /// Where it may be used; absent: in every deployment of the subscription in its model.
    pub deployment: Option<DeploymentId>,
    /// When it expires; the product's license term from now when absent.
    pub expires_at: Option<Timestamp>,
}

/// How to renew a license.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewLicense {
    /// When the new revision expires. When absent: the product's license term from
    /// now, and never earlier than the present revision.
    pub expires_at: Option<Timestamp>,
}

/// A revision that was just issued.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct IssuedLicense {
    /// The license.
    pub license: License,
    /// What the customer types in; the same through all revisions. A secret.
    #[schema(example = "IFOX-ENT-ACME-7K3M-Q2XW-9D4T-B6HN-C8RV")]
    pub license_key: String,
    /// The signed grant (RS256): what the key is exchanged for, and what a `.lic` file holds.
    pub token: String,
}

/// A license key, shown again.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RevealedKey {
    /// A secret.
    #[schema(example = "IFOX-ENT-ACME-7K3M-Q2XW-9D4T-B6HN-C8RV")]
    pub license_key: String,
}
