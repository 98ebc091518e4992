//! What explaining a line says.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tenure_core::{InvoiceId, Money};
use utoipa::{IntoParams, ToSchema};

/// Which events of a line.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExplainQuery {
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Events a page, 1 to 1,000; 50 when absent.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u16>,
}

/// What a line is made of, computed again.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// On which invoice.
    pub invoice_id: InvoiceId,
    /// Its number; absent while it is a draft.
    #[schema(example = "ACME-000042")]
    pub number: Option<String>,
    /// The line.
    #[schema(example = 2)]
    pub line: usize,
    /// Id of the charge, add-on or service, `overage.<meter>` or `commitment`.
    #[schema(example = "overage.events")]
    pub charge: String,
    /// For people.
    pub description: String,
    /// Id of the plan.
    #[schema(example = "pro")]
    pub plan: String,
    /// It is for the time from here,
    pub from: Timestamp,
    /// to before here.
    pub to: Timestamp,
    /// The catalog version whose prices these are.
    pub version: String,
    /// Usage of later generations is not counted.
    #[schema(example = 3)]
    pub cutoff: i32,
    /// How the amount comes about, as the invoice states it.
    pub arithmetic: String,
    /// As the invoice states it.
    pub amount: Money,
    /// As it is computed now, from the inputs; absent where they come to no such line.
    pub computed: Option<Money>,
    /// The line that this one corrects.
    pub cites: Option<Cited>,
    /// Usage that the line is made of; absent where none is billed.
    pub usage: Option<ExplainedUsage>,
    /// Whether everything that was computed is what the invoice states. With a later page of
    /// events, only the arithmetic is computed again.
    pub agrees: bool,
}

/// A line of an earlier invoice.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Cited {
    /// Id of the invoice.
    pub invoice_id: String,
    /// Number of the line.
    pub line: i32,
}

/// Usage behind a line.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ExplainedUsage {
    /// Id of the meter.
    #[schema(example = "events")]
    pub meter: String,
    /// `count`, `sum`, `max`, `last`, `unique` or `time_weighted`.
    #[schema(example = "count")]
    pub aggregation: String,
    /// By time: what the invoice was computed with, and what the events come to now. With the
    /// first page of events only.
    pub windows: Vec<ExplainedWindow>,
    /// A page of the events, by time.
    pub events: Vec<ExplainedEvent>,
    /// Of the next page of events; absent on the last.
    pub next_cursor: Option<String>,
    /// Why events are missing, where that is their age.
    #[schema(
        example = "Single events of `events` are kept 400 days; those of this time are gone. Totals stand."
    )]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<String>,
}

/// One window.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ExplainedWindow {
    /// Included.
    pub start: Timestamp,
    /// Excluded.
    pub end: Timestamp,
    /// As the invoice was computed with, in the meter's unit.
    #[schema(value_type = String)]
    pub quantity: Decimal,
    /// Of so many events.
    pub events: i64,
    /// XOR over their hashes: 32 hex digits.
    pub digest: String,
    /// Whether the single events come to just that.
    pub agrees: bool,
}

/// One event.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ExplainedEvent {
    /// The CloudEvents `source`.
    pub source: String,
    /// The CloudEvents `id`.
    pub id: String,
    /// The CloudEvents `time`.
    pub time: Timestamp,
    /// What the meter read.
    #[schema(value_type = String)]
    pub quantity: Decimal,
    /// What a `unique` meter counts once.
    pub member: Option<String>,
    /// By what the meter tells its events apart.
    pub dimensions: BTreeMap<String, String>,
    /// When it was recorded.
    pub received_at: Timestamp,
    /// In which generation.
    pub generation: i32,
    /// Its part of the digest, in hex.
    pub hash: String,
}
