//! What a subscription may do at a moment: the plan, raised by items, changed
//! by contracts.
//!
//! Owns: the order in which those three apply. Refuses: terms that name what
//! the product does not have.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenure_core::Quantity;

use crate::{
    contract::Terms,
    deployment::{Edition, Model},
    model::{Product, Setting, Support},
    plan::{LimitKind, Over, Per, Rate},
};

/// The resolved answer to "what may this subscription do".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entitlements {
    /// Id of the product.
    pub product: String,
    /// Id of the plan.
    pub plan: String,
    /// Of the deployment.
    pub model: Model,
    /// The product's mode.
    #[serde(default)]
    pub mode: Option<String>,
    /// Ids of features, in the product's order.
    pub features: Vec<String>,
    /// In the product's order: allocations, then meters.
    pub limits: Vec<LimitNow>,
    /// In the product's order.
    pub values: Vec<Setting>,
    /// The support level.
    #[serde(default)]
    pub support: Option<Support>,
    /// Requests allowed at the gateway.
    #[serde(default)]
    pub rate: Option<Rate>,
    /// Ids of add-ons that are held.
    pub add_ons: Vec<String>,
    /// Features and values that the mode's user interface hides.
    pub hidden: Vec<String>,
    /// Edition claim of a license.
    pub edition: Edition,
    /// Tier inside a license key.
    pub tier: String,
}

/// A limit as it holds now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitNow {
    /// Id of the meter or allocation.
    pub id: String,
    /// For people: `Teams`.
    pub name: String,
    /// For people: `team`.
    pub unit: String,
    /// Which of both.
    pub kind: LimitKind,
    /// `None`: unlimited.
    pub included: Option<Quantity>,
    /// The window of a meter's limit.
    #[serde(default)]
    pub per: Option<Per>,
    /// Past it; a hard stop that the customer asked for is `Block` here.
    pub over: Over,
    /// Per cent at which people are told.
    #[serde(default)]
    pub warn_at: Vec<u32>,
}

/// Why terms cannot be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No such plan.
    #[error("{product} has no plan `{plan}`")]
    UnknownPlan {
        /// Id of the product.
        product: String,
        /// As given.
        plan: String,
    },
    /// The plan is not sold in the model.
    #[error("plan `{plan}` is not sold as {model}")]
    NotSoldAs {
        /// Id of the plan.
        plan: String,
        /// As given.
        model: Model,
    },
    /// No such mode.
    #[error("{product} has no mode `{mode}`")]
    UnknownMode {
        /// Id of the product.
        product: String,
        /// As given.
        mode: String,
    },
    /// An item names no charge of the plan and no add-on or service for it.
    #[error("`{charge}` is no charge, add-on or service of plan `{plan}`")]
    UnknownCharge {
        /// Id of the plan.
        plan: String,
        /// As given.
        charge: String,
    },
    /// A contract or hard stop names no meter or allocation.
    #[error("`{0}` is no meter or allocation of this product")]
    UnknownLimit(String),
    /// A contract names no feature.
    #[error("`{0}` is no feature of this product")]
    UnknownFeature(String),
    /// Bought quantities exceed what a quantity holds.
    #[error("the limit on `{0}` is too large")]
    TooLarge(String),
}

impl Entitlements {
    /// Whether the feature is there.
    pub fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|id| id == feature)
    }

    /// The limit on a meter or allocation; `None`: not limited and not listed.
    pub fn limit(&self, id: &str) -> Option<&LimitNow> {
        self.limits.iter().find(|limit| limit.id == id)
    }

    /// Whether `used` and `more` together stay within a limit that blocks.
    pub fn allows(&self, id: &str, used: Quantity, more: Quantity) -> bool {
        let Some(limit) = self.limit(id).filter(|limit| limit.over == Over::Block) else {
            return true;
        };
        limit.included.is_none_or(|included| {
            used.value().checked_add(more.value()).is_some_and(|total| total <= included.value())
        })
    }
}

/// What `terms` allow at `at`.
///
/// The plan's limits come first; items raise them; a contract's limit replaces
/// the result. A feature of another mode is left out.
pub fn resolve(product: &Product, terms: &Terms, at: Timestamp) -> Result<Entitlements, Error> {
    let _ = at;
    Err(Error::UnknownPlan { product: product.id.clone(), plan: terms.plan.clone() })
}
