//! What a simulation says.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tenure_core::{Money, SubscriptionId, TenantId};
use utoipa::{IntoParams, ToSchema};

/// How much of the past is rated.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SimulationQuery {
    /// Billing periods that are over, 1 to 12; the last 12, or as many as there are, when absent.
    #[param(minimum = 1, maximum = 12)]
    pub periods: Option<u8>,
}

/// What the usage of past periods would have cost on every plan.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PlanSimulation {
    /// Of which subscription.
    pub subscription_id: SubscriptionId,
    /// Slug of the product.
    #[schema(example = "kg-rca")]
    pub product: String,
    /// Id of the present plan.
    #[schema(example = "basic")]
    pub plan: String,
    /// The first period begins here.
    pub from: Timestamp,
    /// The last period ends before this moment.
    pub to: Timestamp,
    /// How many billing periods were rated.
    #[schema(example = 12)]
    pub periods: u8,
    /// The cheapest first; those that need a contract last.
    pub plans: Vec<PlanCost>,
}

/// What one plan would have cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlanCost {
    /// Its id.
    #[schema(example = "pro")]
    pub plan: String,
    /// For people.
    #[schema(example = "Pro")]
    pub name: String,
    /// The one that the subscription is on, with its contracts.
    pub is_present: bool,
    /// Before tax; absent where a price has to be agreed on first.
    pub total: Option<Money>,
    /// Against the present plan: negative is cheaper.
    pub difference: Option<Money>,
    /// What the total is made of, by charge.
    pub charges: Vec<ChargeCost>,
    /// Usage that this plan would have refused, in whole windows.
    pub refused: Vec<Refused>,
    /// Why there is no total.
    #[schema(example = "Enterprise is priced on request; agree on it in a contract first.")]
    pub needs_contract: Option<String>,
}

/// What one charge comes to over all periods.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChargeCost {
    /// Id of the charge, add-on or service, `overage.<meter>` or `commitment`.
    #[schema(example = "overage.events")]
    pub charge: String,
    /// For people.
    pub description: String,
    /// Over all periods.
    pub amount: Money,
}

/// A limit that blocks and would have been passed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Refused {
    /// Id of the meter.
    #[schema(example = "api_calls")]
    pub meter: String,
    /// Windows in which the limit was passed.
    #[schema(example = 4)]
    pub windows: usize,
    /// Past the limit in all of them, in the meter's unit.
    #[schema(value_type = String, example = "1200")]
    pub quantity: Decimal,
}

/// What a product file would change before it is loaded.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FileSimulation {
    /// Slug of the product.
    #[schema(example = "kg-rca")]
    pub product: String,
    /// The version that it is compared with.
    #[schema(example = 3)]
    pub version: i32,
    /// What the file changes.
    pub changes: Vec<String>,
    /// Subscriptions that were rated.
    pub subscriptions: usize,
    /// There are more subscriptions than are rated at once.
    pub truncated: bool,
    /// What those came to, on their present terms.
    pub before: Money,
    /// What they would have come to.
    pub after: Money,
    /// Those that change most, the largest difference first.
    pub largest: Vec<SubscriptionChange>,
    /// Those that could not be rated, with the reason.
    pub not_rated: Vec<NotRated>,
}

/// What the file changes for one subscription.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SubscriptionChange {
    /// Whose.
    pub tenant_id: TenantId,
    /// Which.
    pub subscription_id: SubscriptionId,
    /// Id of its plan.
    pub plan: String,
    /// On the present terms, over the periods rated.
    pub before: Money,
    /// On the terms of the file.
    pub after: Money,
    /// After less before.
    pub difference: Money,
}

/// A subscription without a figure.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NotRated {
    /// Whose.
    pub tenant_id: TenantId,
    /// Which.
    pub subscription_id: SubscriptionId,
    /// Why.
    pub why: String,
}
