//! What a license says.
//!
//! Owns: [`LicenseClaims`], under the names that existing readers know (SPEC 5:
//! `entitlements.max_teams`, `customer.domain`, `seats`, `offlineGracePeriod`,
//! `phoneHomeRequired`), and our own beside them. Refuses: claims that
//! contradict themselves, and more of anything than its named limit.
//!
//! A reader ignores claims that it does not know, so a newer vendor can add
//! some. The words of the enumerations are closed: a new word needs a new `typ`.
//! Claims are readable by whoever holds the license: never put a secret in them.

mod check;
mod entitlements;
mod lease;
mod receipt;
mod revocations;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenure_core::{InstanceId, LicenseId, Quantity, SubscriptionId};

use crate::{
    enforcement::Enforcement,
    state::ExpiryPolicy,
    token::{Kind, Payload, Registered},
};

pub use check::{
    FEATURES_MAX, LIMITS_MAX, NAME_LEN_MAX, OFFLINE_GRACE_DAYS_MAX, REVISION_MAX, VALUES_MAX,
    WARNINGS_MAX,
};
pub use entitlements::{Cap, Entitlements};
pub use lease::LeaseClaims;
pub use receipt::ReceiptClaims;
pub use revocations::{RevocationsClaims, WITHDRAWN_MAX, Withdrawn};

/// Everything that a license grants, to whom, and until when.
///
/// Times are NumericDates (whole seconds since 1970, UTC; RFC 7519, section 2);
/// fractions of a second are dropped when signing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LicenseClaims {
    /// [`crate::token::issuer`] of the product.
    pub iss: String,
    /// The customer: always equal to `customer.id`.
    pub sub: String,
    /// The audience of license tokens, [`Kind::audience`].
    pub aud: String,
    /// When it was signed.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub iat: Timestamp,
    /// When it begins to count; from `iat` when left out.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub nbf: Option<Timestamp>,
    /// The first moment at which it has expired.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub exp: Timestamp,
    /// The unique name of this very token.
    pub jti: String,

    /// Who holds it.
    pub customer: Customer,
    /// Commercial edition.
    pub edition: Edition,
    /// How many people may use it; -1 is unlimited.
    pub seats: Cap,
    /// Ids of the features granted; the same as `entitlements.features`.
    pub features: Vec<String>,
    /// Days for which the license governs alone after a lease has ended.
    #[serde(rename = "offlineGracePeriod")]
    pub offline_grace_period_days: u32,
    /// Whether staying out of contact beyond that restricts the product.
    #[serde(rename = "phoneHomeRequired")]
    pub phone_home_required: bool,
    /// The same grant as `limits`, in the form that products read.
    pub entitlements: Entitlements,

    /// The license, the same through all its revisions.
    pub license: LicenseId,
    /// Counts the revisions of a license from 1; the higher one governs.
    pub revision: u64,
    /// Id of the product in its product file.
    pub product: String,
    /// The subscription that is licensed.
    pub subscription: SubscriptionId,
    /// Where it may run.
    pub model: DeploymentModel,
    /// Mode inside the product (SPEC 1), where it has modes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Releases dated later than this are not covered; all are when left out.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub update_until: Option<Timestamp>,
    /// All limits of the product, by the limit's id.
    #[serde(default)]
    pub limits: BTreeMap<String, Limit>,
    /// Settings that the plan grants (`rate = "10000/minute"`).
    #[serde(default)]
    pub values: BTreeMap<String, serde_json::Value>,
    /// What happens around `exp`.
    pub expiry_policy: ExpiryPolicy,
    /// The revision that this one replaces, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<Supersedes>,
    /// The one instance that may use this token; any when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<Binding>,
    /// `jti` of the newest receipt for usage that the vendor had given when this
    /// revision was signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
    /// What each state and each missing feature does; the standard table when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforcement: Option<Enforcement>,
    /// Where people ask for more: an e-mail address or a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sales_contact: Option<String>,
}

/// The instance that a token is bound to: useless without its private key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The instance.
    pub instance: InstanceId,
    /// Thumbprint of its public key (RFC 7638; RFC 7800 calls it `jkt`).
    pub key: String,
}

/// The organisation that holds a license.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// The tenant's id.
    pub id: String,
    /// As shown to people.
    pub name: String,
    /// Its internet domain; empty when unknown.
    #[serde(default)]
    pub domain: String,
}

/// Commercial editions (SPEC 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edition {
    /// The default.
    Standard,
    /// Enterprise agreements.
    Enterprise,
    /// Government agreements.
    Government,
}

/// The four deployment models (SPEC 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentModel {
    /// Multi-tenant, operated by the vendor.
    Managed,
    /// The vendor's application on the customer's infrastructure.
    Byoi,
    /// Operated by the customer, connected.
    SelfHosted,
    /// Operated by the customer, without a network.
    AirGapped,
}

/// One limit, exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// How much; `null` is unlimited. A decimal as text.
    pub max: Option<Quantity>,
    /// The calendar over which consumption counts; none for what is held (teams, seats).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<Per>,
    /// What happens past it.
    pub over: Over,
    /// For people, in the singular: `team`. The id when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Per cent of `max` at which people are told, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warn_at: Vec<u32>,
}

/// The calendar of a consumed limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// A day.
    Day,
    /// A month.
    Month,
    /// A year.
    Year,
}

impl Per {
    /// The word in `max_agent_runs_per_month`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

/// What happens past a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// Refused.
    Block,
    /// Allowed, with a warning.
    Warn,
    /// Allowed and charged by the plan's price.
    Charge,
    /// Allowed and settled at the end of the year.
    TrueUp,
}

/// Which revision a license replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supersedes {
    /// The replaced revision; lower than the license's own.
    pub revision: u64,
    /// From when the replaced one no longer counts.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub at: Timestamp,
}

impl LicenseClaims {
    /// Whether the feature is granted.
    pub fn has_feature(&self, feature: &str) -> bool {
        self.features.iter().any(|granted| granted == feature)
    }

    /// The limit with that id.
    pub fn limit(&self, limit: &str) -> Option<&Limit> {
        self.limits.get(limit)
    }

    /// Whether a release of that date may be installed (`update_until`).
    pub fn covers_release(&self, released: Timestamp) -> bool {
        self.update_until.is_none_or(|until| released <= until)
    }

    /// The table of what states and missing features do.
    pub fn enforcement(&self) -> Enforcement {
        self.enforcement.clone().unwrap_or_default()
    }

    /// From when the license counts: `nbf`, or else `iat`.
    pub fn starts(&self) -> Timestamp {
        self.nbf.unwrap_or(self.iat)
    }
}

impl Payload for LicenseClaims {
    const KIND: Kind = Kind::License;

    fn registered(&self) -> Registered<'_> {
        Registered { issuer: &self.iss, audience: &self.aud, product: &self.product }
    }

    fn check(&self) -> Result<(), String> {
        check::license(self)
    }
}
