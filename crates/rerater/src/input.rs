//! What a bill is made from, in words of its own. Nothing here is worked out.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Everything that the bills of one subscription follow from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The product files as they were written, one a catalog version.
    #[serde(default)]
    pub product_files: Vec<String>,
    /// What was sold.
    pub subscription: Subscription,
    /// Every invoice period from the start, in order, without gaps.
    pub periods: Vec<Span>,
    /// Every usage event ever received, duplicates and voided ones too.
    #[serde(default)]
    pub events: Vec<Event>,
    /// Removals.
    #[serde(default)]
    pub voids: Vec<Void>,
    /// Only what was received before this number counts; everything when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<u64>,
}

/// From a moment to before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// Inside.
    pub from: Timestamp,
    /// Outside.
    pub to: Timestamp,
}

/// Months or years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A month.
    Month,
    /// A year.
    Year,
}

/// A subscription with its whole past.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// Months and years are counted from here.
    pub anchor: Timestamp,
    /// The zone in which they are counted; that of the first terms when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor_zone: Option<String>,
    /// When it ends; open when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// Until when it was tried for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial_ends_at: Option<Timestamp>,
    /// What held from when on; the first begins the subscription.
    pub history: Vec<Terms>,
    /// What was held: seats, add-ons, services.
    #[serde(default)]
    pub items: Vec<Item>,
    /// What was agreed for this customer alone.
    #[serde(default)]
    pub contracts: Vec<Contract>,
}

/// What holds from a moment until the next entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// From this moment.
    pub from: Timestamp,
    /// Which of the product files, counted from 0.
    #[serde(default)]
    pub product_file: usize,
    /// Id of the plan.
    pub plan: String,
    /// The deployment model. Nothing is priced by it.
    pub model: String,
    /// The tenant's IANA zone.
    pub zone: String,
    /// How long an invoice period is.
    pub interval: Unit,
    /// A year is paid ahead.
    #[serde(default)]
    pub prepaid: bool,
    /// Length of the term that was signed for.
    #[serde(default = "one_year")]
    pub term_years: u32,
    /// `nonprofit`, `education`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_class: Option<String>,
    /// This was the n-th customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_number: Option<u32>,
    /// Limits where the customer asked to be blocked rather than charged.
    #[serde(default)]
    pub hard_stops: Vec<String>,
}

fn one_year() -> u32 {
    1
}

/// Something held for a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Id of an allocation, a charge, an add-on or a service.
    pub charge: String,
    /// How many, as a decimal.
    pub quantity: String,
    /// From this moment.
    pub from: Timestamp,
    /// Before this moment; as long as the subscription when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
}

/// What was agreed with one customer for a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// From this moment.
    pub from: Timestamp,
    /// Before this moment; without end when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// In place of listed prices.
    #[serde(default)]
    pub prices: Vec<AgreedPrice>,
    /// In place of the plan's numbers.
    #[serde(default)]
    pub limits: Vec<AgreedLimit>,
    /// After the product's own discounts.
    #[serde(default)]
    pub discounts: Vec<AgreedDiscount>,
}

/// A negotiated price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgreedPrice {
    /// Id of the line: `base`, a charge, an add-on, a service, `overage.<meter>`.
    pub charge: String,
    /// For one, or for one package.
    pub amount: String,
    /// Where the price list says neither month nor year.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Unit>,
}

/// A negotiated limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgreedLimit {
    /// Id of a meter or an allocation.
    pub limit: String,
    /// How much; nothing said is unlimited.
    #[serde(default)]
    pub included: Option<String>,
}

/// A negotiated reduction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgreedDiscount {
    /// Between 0 and 100.
    pub percent: String,
    /// Ids of the lines that it reduces; empty: the plan's charges and its add-ons.
    #[serde(default)]
    pub charges: Vec<String>,
}

/// A usage event, as it was received.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The producer's id of it.
    pub id: String,
    /// The producer; with the id it says what is one and the same event.
    #[serde(default)]
    pub source: String,
    /// The CloudEvents type.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened.
    pub time: Timestamp,
    /// Numbers of more than 15 digits are to be written as texts.
    #[serde(default)]
    pub data: Map<String, Value>,
    /// Its place in the order of arrival.
    pub received: u64,
    /// This many such events, alike but for their ids: a list that a person can still read.
    #[serde(default = "once")]
    pub times: u64,
}

fn once() -> u64 {
    1
}

/// Says that an event is to count no longer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Void {
    /// The event's id.
    pub id: String,
    /// The event's producer.
    #[serde(default)]
    pub source: String,
    /// The void's own place in the order of arrival.
    pub received: u64,
}
