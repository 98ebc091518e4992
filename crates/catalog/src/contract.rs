//! What one customer agreed to: the terms of a subscription, and contracts
//! that change them from a date.
//!
//! Owns: which negotiated change holds at a moment, and whether terms can be
//! billed. Refuses: bills from prices that are only a starting point.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tenure_core::{Interval, Quantity};

use crate::{
    deployment::Model,
    model::{Product, Setting},
    plan::{Charge, Plan, Rate},
};

/// Everything about a subscription that prices and entitlements depend on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Id of the plan.
    pub plan: String,
    /// Of the deployment.
    pub model: Model,
    /// The product's mode, where it differs from the plan's.
    #[serde(default)]
    pub mode: Option<String>,
    /// When these terms begin.
    pub start: Timestamp,
    /// Where the months and years of the subscription are counted from, when
    /// that is not [`Terms::start`]: after a change of plan.
    #[serde(default)]
    pub anchor: Option<Timestamp>,
    /// When it ends.
    #[serde(default)]
    pub end: Option<Timestamp>,
    /// IANA name of the tenant's zone, such as `Europe/Berlin`.
    pub zone: String,
    /// Charges with quantities.
    #[serde(default)]
    pub items: Vec<Item>,
    /// Negotiated changes.
    #[serde(default)]
    pub contracts: Vec<Contract>,
    /// Length of the term that was signed for; 0 or 1: no discount.
    #[serde(default)]
    pub term_years: u32,
    /// Whether a year is paid ahead.
    #[serde(default)]
    pub prepaid: bool,
    /// `nonprofit`, `education`, ...
    #[serde(default)]
    pub customer_class: Option<String>,
    /// This was the n-th customer of the product (1 is the first).
    #[serde(default)]
    pub customer_number: Option<u32>,
    /// Limits where the customer asked to be blocked rather than charged.
    #[serde(default)]
    pub hard_stops: Vec<String>,
    /// Where these terms stand, when they are one stretch of a longer timeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stretch: Option<Stretch>,
}

/// What lies around terms that are one stretch of a subscription's timeline:
/// what is settled once (a one-time fee, a year's minimum) belongs to the plan's
/// whole tenure, not to each stretch of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// When the plan was taken up and paid for.
    pub began: Timestamp,
    /// When it was left for another plan, if it was.
    #[serde(default)]
    pub left: Option<Timestamp>,
    /// The same plan goes on where these terms end.
    #[serde(default)]
    pub goes_on: bool,
    /// Months and years are counted in this zone: that of the time when the
    /// subscription began. Days and months of limits are the present zone's.
    pub calendar_zone: String,
    /// No window of usage begins earlier: another zone was in force before.
    #[serde(default)]
    pub windows_from: Option<Timestamp>,
    /// No window of usage ends later: another zone is in force from then on.
    #[serde(default)]
    pub windows_to: Option<Timestamp>,
}

impl Terms {
    /// The plain terms of a plan: no items, no contract, in UTC.
    pub fn new(plan: impl Into<String>, model: Model, start: Timestamp) -> Self {
        Self {
            plan: plan.into(),
            model,
            mode: None,
            start,
            anchor: None,
            end: None,
            zone: "UTC".to_owned(),
            items: Vec::new(),
            contracts: Vec::new(),
            term_years: 0,
            prepaid: false,
            customer_class: None,
            customer_number: None,
            hard_stops: Vec::new(),
            stretch: None,
        }
    }

    /// The same terms with one more item from the start.
    #[must_use]
    pub fn with_item(mut self, charge: impl Into<String>, quantity: Quantity) -> Self {
        let from = self.start;
        self.items.push(Item { charge: charge.into(), quantity, from, to: None });
        self
    }

    /// Where months and years are counted from.
    pub fn anchored(&self) -> Timestamp {
        self.anchor.unwrap_or(self.start)
    }

    /// Where the plan's tenure begins, for what is settled once in it.
    pub fn began(&self) -> Timestamp {
        self.stretch.as_ref().map_or(self.start, |stretch| stretch.began)
    }

    /// IANA name of the zone that months and years of the subscription are
    /// counted in.
    pub fn calendar_zone(&self) -> &str {
        self.stretch.as_ref().map_or(&self.zone, |stretch| &stretch.calendar_zone)
    }

    /// The negotiated price that holds at `at`, if any.
    pub fn negotiated(&self, charge: &str, at: Timestamp) -> Option<&NegotiatedPrice> {
        let prices = self.contracts.iter().flat_map(|contract| &contract.prices);
        newest(prices.filter(|price| price.charge == charge), at, |price| &price.when)
    }

    /// How much of a charge its items hold at `at`; `None` when none does.
    pub fn quantity(&self, charge: &str, at: Timestamp) -> Option<Decimal> {
        self.items
            .iter()
            .filter(|item| item.charge == charge && item.holds(at))
            .map(|item| item.quantity.value())
            .fold(None, |sum, quantity| Some(sum.unwrap_or_default() + quantity))
    }
}

/// A charge of the plan, an add-on or a service, held by a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Id of a charge of the plan, or of an add-on or service.
    pub charge: String,
    /// How many.
    pub quantity: Quantity,
    /// Included.
    pub from: Timestamp,
    /// Excluded; `None`: until the subscription ends.
    #[serde(default)]
    pub to: Option<Timestamp>,
}

impl Item {
    /// Whether it is held at `at`.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && self.to.is_none_or(|to| at < to)
    }
}

/// Effective-dated changes to one subscription. Where two changes to one thing
/// hold, the one with the later start wins; with equal starts, the later listed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Contract {
    /// For records: the contract's id or number.
    pub id: String,
    /// Prices that replace listed ones.
    #[serde(default)]
    pub prices: Vec<NegotiatedPrice>,
    /// Limits that replace the plan's.
    #[serde(default)]
    pub limits: Vec<LimitOverride>,
    /// Features on top of the plan's.
    #[serde(default)]
    pub features: Vec<ExtraFeature>,
    /// Values that replace the plan's.
    #[serde(default)]
    pub values: Vec<ValueOverride>,
    /// Reductions, after the product's own.
    #[serde(default)]
    pub discounts: Vec<ContractDiscount>,
    /// Rate limits that replace the plan's.
    #[serde(default)]
    pub rates: Vec<RateOverride>,
}

/// From when to when a change holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effective {
    /// Included.
    pub from: Timestamp,
    /// Excluded; `None`: without end.
    #[serde(default)]
    pub to: Option<Timestamp>,
}

impl Effective {
    /// From `from` without end.
    pub const fn from(from: Timestamp) -> Self {
        Self { from, to: None }
    }

    /// Whether it holds at `at`.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && self.to.is_none_or(|to| at < to)
    }
}

/// A price that replaces a listed one, tiers included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NegotiatedPrice {
    /// Id of a charge, add-on or service, or `overage.<limit>`.
    pub charge: String,
    /// For one unit (or package), major units of the product's currency.
    pub amount: Decimal,
    /// Month or year instead of what the list says; for plans sold as
    /// `custom`, which say neither.
    #[serde(default)]
    pub every: Option<Interval>,
    /// When it holds. A charge takes the price that holds when it falls due.
    pub when: Effective,
}

/// A limit that replaces the plan's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitOverride {
    /// Id of a meter or allocation.
    pub limit: String,
    /// `None`: unlimited.
    pub included: Option<Quantity>,
    /// When it holds.
    pub when: Effective,
}

/// A feature on top of the plan's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtraFeature {
    /// Its id.
    pub feature: String,
    /// When it holds.
    pub when: Effective,
}

/// A value that replaces the plan's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueOverride {
    /// What it is set to.
    pub setting: Setting,
    /// When it holds.
    pub when: Effective,
}

/// A reduction that was negotiated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractDiscount {
    /// For people; on the invoice.
    pub name: String,
    /// Between 0 and 100.
    pub percent: Decimal,
    /// Charges, add-ons, services and `overage.<limit>` that it reduces;
    /// empty: the plan's charges and its add-ons.
    #[serde(default)]
    pub charges: Vec<String>,
    /// When it holds.
    pub when: Effective,
}

/// A rate limit that replaces the plan's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateOverride {
    /// What is allowed.
    pub rate: Rate,
    /// When it holds.
    pub when: Effective,
}

/// The one that holds at `at` with the latest start; the later listed on a tie.
pub(crate) fn newest<'a, T>(
    all: impl Iterator<Item = &'a T>,
    at: Timestamp,
    when: impl Fn(&T) -> &Effective,
) -> Option<&'a T> {
    all.filter(|entry| when(entry).holds(at)).max_by_key(|entry| when(entry).from)
}

/// A price that is only a starting point was about to be billed (SPEC 12).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{product} {plan}: {} priced on request; agree on it in a contract first (contact {contact})",
    list(.charges)
)]
pub struct NeedsContract {
    /// The product's name.
    pub product: String,
    /// The plan's name.
    pub plan: String,
    /// Names of the charges without an exact price.
    pub charges: Vec<String>,
    /// Whom to ask.
    pub contact: String,
}

fn list(names: &[String]) -> String {
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", names.join(", "))
}

/// Whether the terms can be billed at `at`: every charge that would be billed
/// has an exact or a negotiated price. An unknown plan or item is
/// [`crate::resolve`]'s to refuse, and passes here.
pub fn billable(product: &Product, terms: &Terms, at: Timestamp) -> Result<(), NeedsContract> {
    let Some(plan) = product.plan(&terms.plan) else { return Ok(()) };
    let open: Vec<String> = due(product, plan, terms, at)
        .filter(|charge| charge.tiers.is_empty() && charge.amount.billable().is_none())
        .filter(|charge| terms.negotiated(&charge.id, at).is_none())
        .map(|charge| charge.name.clone())
        .collect();
    if open.is_empty() {
        return Ok(());
    }
    Err(NeedsContract {
        product: product.name.clone(),
        plan: plan.name.clone(),
        charges: open,
        contact: product.sales_contact.clone(),
    })
}

/// The charges that would be billed at `at`: the plan's own, and those items name.
fn due<'a>(
    product: &'a Product,
    plan: &'a Plan,
    terms: &'a Terms,
    at: Timestamp,
) -> impl Iterator<Item = &'a Charge> {
    let extras = product.add_ons.iter().chain(&product.services).map(|extra| &extra.charge);
    plan.charges
        .iter()
        .chain(extras)
        .filter(move |charge| !charge.optional || terms.quantity(&charge.id, at).is_some())
}
