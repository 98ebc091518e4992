//! Usage on the wire: what became of each event, and what was used so far.

use std::borrow::Cow;

use jiff::{Timestamp, civil::Date};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tenure_core::{Quantity, SubscriptionId};
use utoipa::ToSchema;

/// A CloudEvent 1.0 to be sent; the server takes any extension attribute too.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// `1.0`.
    #[schema(example = "1.0")]
    pub specversion: String,
    /// Unique at its source: one event sent again keeps its id and is counted once.
    #[schema(example = "run-20260301-000017")]
    pub id: String,
    /// What produced it.
    #[schema(example = "/clusters/eu-1")]
    pub source: String,
    /// Which meters it feeds.
    #[serde(rename = "type")]
    #[schema(example = "event.ingested")]
    pub kind: String,
    /// When it happened.
    pub time: Timestamp,
    /// What is counted; may be left out where events themselves are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub data: Option<serde_json::Value>,
}

/// What became of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Recorded.
    Accepted,
    /// Recorded before, with the same content: nothing to do.
    Duplicate,
    /// Its source and id were used before, for other content.
    Conflict,
    /// Not recorded; see the reason.
    Rejected,
}

impl Outcome {
    /// The word of API and counters.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Conflict => "conflict",
            Self::Rejected => "rejected",
        }
    }
}

/// The answer to one event, in the order of the batch.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EventResult<'a> {
    /// Its place in the batch, from 0: in a minimal receipt, which does not list all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 17)]
    pub index: Option<usize>,
    /// The event's id, where it could be read.
    #[schema(value_type = Option<String>, example = "run-20260301-000017")]
    pub id: Option<Cow<'a, str>>,
    /// What became of it.
    pub outcome: Outcome,
    /// Stable: programs may compare it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "too_old")]
    pub reason: Option<Cow<'a, str>>,
    /// What is wrong and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The answer to a batch. Its events were recorded in one transaction.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Receipt<'a> {
    /// Recorded now.
    #[schema(example = 998)]
    pub accepted: usize,
    /// Recorded before.
    #[schema(example = 1)]
    pub duplicates: usize,
    /// Source and id used before for other content.
    #[schema(example = 0)]
    pub conflicts: usize,
    /// Not recorded.
    #[schema(example = 1)]
    pub rejected: usize,
    /// One an event, in the order of the batch; of a minimal receipt, conflicts and rejected events.
    pub results: Vec<EventResult<'a>>,
}

/// How far a source of events has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Producer {
    /// The `source` of its events.
    #[schema(example = "/clusters/eu-1")]
    pub source: String,
    /// Whether its events are numbered; if not, the other fields are 0.
    pub numbered: bool,
    /// The newest epoch.
    #[schema(example = 0)]
    pub epoch: i64,
    /// The last number that is settled in it: go on with the next.
    #[schema(example = 1042)]
    pub last: i64,
}

/// An event that was refused for what it says, as far as it could be read.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RefusedEvent {
    /// For which subscription it was sent.
    pub subscription: SubscriptionId,
    /// When it was refused.
    pub refused_at: Timestamp,
    /// Its `source`.
    #[schema(example = "/clusters/eu-1")]
    pub source: Option<String>,
    /// Its `id`.
    #[schema(example = "run-20260301-000017")]
    pub id: Option<String>,
    /// Its `type`.
    #[serde(rename = "type")]
    #[schema(example = "event.ingested")]
    pub kind: Option<String>,
    /// Its `time`, as it was sent.
    #[schema(example = "2024-12-01T12:00:00Z")]
    pub time: Option<String>,
    /// As in the receipt.
    #[schema(example = "too_old")]
    pub reason: String,
    /// As in the receipt.
    pub detail: String,
}

/// How often something was refused.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RefusedCount {
    /// As in the receipt.
    #[schema(example = "too_old")]
    pub reason: String,
    /// Events, since the tenant began.
    #[schema(example = 12)]
    pub count: i64,
}

/// Refused events: the newest, and exact counts of all.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RefusedEvents {
    /// Newest first.
    pub items: Vec<RefusedEvent>,
    /// Give it as `cursor` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// By reason.
    pub counts: Vec<RefusedCount>,
}

/// What making rollups again came to.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RebuildReport {
    /// Rows of rollups.
    #[schema(example = 96)]
    pub rollups: usize,
    /// Rows of members of `unique` meters.
    #[schema(example = 410)]
    pub members: usize,
    /// Rows of rollups that were not as they are now.
    #[schema(example = 0)]
    pub differing: usize,
}

/// How things stand with a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Below the limit and every warning.
    Ok,
    /// A warning threshold is reached.
    Warning,
    /// The limit is reached; going on is allowed, and perhaps charged.
    Over,
    /// The limit is reached; the product should refuse more. Usage that is
    /// reported all the same is recorded.
    Blocked,
}

/// A stretch of time that usage is totalled over.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct WindowNow {
    /// `day`, `month` or `period` (the billing period).
    #[schema(example = "day")]
    pub per: String,
    /// Included.
    pub start: Timestamp,
    /// Excluded: the count starts anew here.
    pub resets_at: Timestamp,
}

/// Usage of one calendar day in the tenant's time zone.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct DayUsage {
    /// Which day.
    #[schema(value_type = String, format = Date, example = "2026-03-29")]
    pub date: Date,
    /// In the meter's unit.
    #[schema(value_type = String, example = "1034000")]
    pub quantity: Decimal,
}

/// What was used of one meter.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MeterSummary {
    /// Its id.
    #[schema(example = "events")]
    pub meter: String,
    /// For people.
    #[schema(example = "Events")]
    pub name: String,
    /// What one is called.
    #[schema(example = "event")]
    pub unit: String,
    /// `count`, `sum`, `max`, `last`, `unique` or `time_weighted`.
    #[schema(example = "count")]
    pub aggregation: String,
    /// Used in the present window, in the unit.
    #[schema(value_type = String, example = "34000")]
    pub used: Decimal,
    /// The present window.
    pub window: WindowNow,
    /// Included in each window; absent: not limited.
    pub limit: Option<Quantity>,
    /// Used of the limit, in whole per cent, rounded down.
    #[schema(example = 34)]
    pub percent: Option<u64>,
    /// `block`, `warn`, `charge` or `true_up`; absent: not limited.
    #[schema(example = "charge")]
    pub past_limit: Option<String>,
    /// The same as a sentence.
    #[schema(example = "Past the limit, each 1,000 cost 0.05 USD.")]
    pub past_limit_text: Option<String>,
    /// How things stand.
    pub standing: Standing,
    /// The last days, oldest first, today included.
    pub daily: Vec<DayUsage>,
}

/// What a subscription used so far.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UsageSummary {
    /// Slug of the product.
    #[schema(example = "kg-rca")]
    pub product: String,
    /// Id of the plan.
    #[schema(example = "pro")]
    pub plan: String,
    /// When this was true.
    pub as_of: Timestamp,
    /// The zone of days and months.
    #[schema(example = "Europe/Berlin")]
    pub time_zone: String,
    /// The billing period begins here.
    pub period_start: Timestamp,
    /// The billing period ends before this moment.
    pub period_end: Timestamp,
    /// In the product's order.
    pub meters: Vec<MeterSummary>,
}
