//! What a subscription is, and what callers may say about one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenure_catalog::{Model, Plan, Product};
use tenure_core::{
    BillingAccountId, CatalogVersionId, Currency, Interval, ItemId, Quantity, SubscriptionId,
    SubscriptionStatus, TenantId,
};
use utoipa::ToSchema;

use super::PARTS_MAX;
use crate::http::FieldError;

/// Longest term that is signed for, in years.
pub const TERM_YEARS_MAX: i32 = 10;

/// Tenant x product x plan.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// Whose.
    pub tenant_id: TenantId,
    /// Slug of the product.
    #[schema(example = "kg-rca")]
    pub product: String,
    /// The version whose commercial terms it is on.
    #[schema(example = 3)]
    pub catalog_version: i32,
    /// Id of that version.
    pub catalog_version_id: CatalogVersionId,
    /// Id of the plan.
    #[schema(example = "pro")]
    pub plan: String,
    /// Where it runs and who operates it.
    #[schema(value_type = String, example = "managed")]
    pub model: Model,
    /// The product's mode, where it has modes.
    pub mode: Option<String>,
    /// Its state.
    pub status: SubscriptionStatus,
    /// Who pays.
    pub billing_account_id: BillingAccountId,
    /// What it is billed in: the currency of the account.
    #[schema(value_type = String, example = "USD")]
    pub currency: Currency,
    /// Billing periods are counted from this moment, in the tenant's time zone.
    pub anchor: Timestamp,
    /// How long a billing period is.
    #[schema(value_type = String, example = "month")]
    pub interval: Interval,
    /// Length of the term that was signed for.
    #[schema(example = 1)]
    pub term_years: i32,
    /// Whether a year is paid ahead.
    pub prepaid: bool,
    /// Limits where the customer asked to be blocked rather than charged.
    pub hard_stops: Vec<String>,
    /// This was the n-th customer, where the product rewards the first ones.
    pub customer_number: Option<i32>,
    /// When the free trial ends.
    pub trial_ends_at: Option<Timestamp>,
    /// When it ended.
    pub cancelled_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Charges with quantities.
    pub items: Vec<Item>,
}

impl Subscription {
    /// The same subscription in another state.
    #[must_use]
    pub(crate) fn in_state(mut self, to: SubscriptionStatus, now: Timestamp) -> Self {
        self.status = to;
        self.updated_at = now;
        if to == SubscriptionStatus::Cancelled {
            self.cancelled_at = Some(now);
        }
        self
    }
}

/// A charge that a subscription holds.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Item {
    /// Its id.
    pub id: ItemId,
    /// Id of a charge, add-on or service of the product.
    #[schema(example = "seats")]
    pub charge: String,
    /// How many.
    pub quantity: Quantity,
    /// Held from this moment.
    pub from: Timestamp,
    /// Held before this moment; absent: until the subscription ends.
    pub to: Option<Timestamp>,
}

impl Item {
    /// As the catalog reads it.
    pub(crate) fn terms(&self) -> tenure_catalog::Item {
        tenure_catalog::Item {
            charge: self.charge.clone(),
            quantity: self.quantity,
            from: self.from,
            to: self.to,
        }
    }
}

/// A charge to be held from the start.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewItem {
    /// Id of a charge, add-on or service of the product.
    #[schema(example = "seats")]
    pub charge: String,
    /// How many.
    pub quantity: Quantity,
}

/// A plan to be sold to a tenant.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSubscription {
    /// Slug of the product; may be left out where the server knows one product.
    #[schema(example = "kg-rca")]
    pub product: Option<String>,
    /// Id of the plan; `starter`, or else the product's first plan, when absent.
    #[schema(example = "pro")]
    pub plan: Option<String>,
    /// The deployment model; the plan's first when absent.
    #[schema(value_type = Option<String>, example = "managed")]
    pub model: Option<Model>,
    /// The product's mode; the plan's when absent.
    pub mode: Option<String>,
    /// `live` or `test` deployment; `live` when absent.
    #[schema(value_type = Option<String>, example = "live")]
    pub environment: Option<tenure_license::Environment>,
    /// When it begins; now when absent. May lie in the past, for customers who
    /// come from another system.
    pub starts_at: Option<Timestamp>,
    /// The first billing period that is invoiced here is the one that holds this
    /// moment; now when absent. What lies before was billed elsewhere.
    pub billed_from: Option<Timestamp>,
    /// Begin with the plan's free trial.
    #[serde(default)]
    pub trial: bool,
    /// Length of the term signed for, 1 to 10 years; 1 when absent.
    pub term_years: Option<i32>,
    /// Whether a year is paid ahead.
    #[serde(default)]
    pub prepaid: bool,
    /// Limits where the customer asks to be blocked rather than charged.
    #[serde(default)]
    pub hard_stops: Vec<String>,
    /// Charges with quantities: seats, add-ons, services.
    #[serde(default)]
    pub items: Vec<NewItem>,
    /// Who pays; the tenant's own account in that currency when absent.
    pub billing_account: Option<BillingAccountId>,
    /// What it is billed in, for good; the account's when absent, or else the product's first.
    #[schema(value_type = Option<String>, example = "EUR")]
    pub currency: Option<Currency>,
}

impl NewSubscription {
    /// Every field that the product cannot satisfy.
    pub(super) fn check(&self, product: &Product, plan: &Plan) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let mut wrong = |pointer: String, detail: String| {
            errors.push(FieldError { pointer, detail });
        };
        if let Some(mode) = &self.mode
            && product.mode(mode).is_none()
        {
            wrong("/mode".into(), format!("{} has no mode `{mode}`.", product.name));
        }
        if self.term_years.is_some_and(|years| !(1..=TERM_YEARS_MAX).contains(&years)) {
            wrong("/term_years".into(), format!("A term has 1 to {TERM_YEARS_MAX} years."));
        }
        if self.items.len() > PARTS_MAX {
            wrong("/items".into(), format!("At most {PARTS_MAX} items."));
        }
        for (index, item) in self.items.iter().enumerate() {
            if let Some(detail) = charge_error(product, plan, &item.charge) {
                wrong(format!("/items/{index}/charge"), detail);
            }
        }
        for (index, limit) in self.hard_stops.iter().enumerate() {
            if plan.limit(limit).is_none() {
                let detail = format!("{} has no limit on `{limit}`.", plan.name);
                wrong(format!("/hard_stops/{index}"), detail);
            }
        }
        errors
    }
}

/// Why a charge cannot be held on a plan.
pub(super) fn charge_error(product: &Product, plan: &Plan, charge: &str) -> Option<String> {
    let known: Vec<&str> = plan
        .charges
        .iter()
        .map(|charge| charge.id.as_str())
        .chain(
            product
                .add_ons
                .iter()
                .chain(&product.services)
                .filter(|extra| extra.fits(&plan.id))
                .map(|extra| extra.id.as_str()),
        )
        .collect();
    if known.contains(&charge) {
        return None;
    }
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Some(format!(
        "`{charge}` is no charge, add-on or service of {}; there are: {known}.",
        plan.name
    ))
}
