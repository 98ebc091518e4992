//! One event as one meter counts it, on a line of its own.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tenure_api::evidence::Counted;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The CloudEvents `source`.
    pub source: String,
    /// The CloudEvents `id`.
    pub id: String,
    /// The CloudEvents `time`, in whole microseconds.
    pub time: Timestamp,
    /// What the meter read, in the event's own unit; 1 where events are counted.
    pub quantity: Decimal,
    /// What a `unique` meter counts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// By what the meter tells its events apart.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dimensions: BTreeMap<String, String>,
    /// When it was recorded.
    pub received_at: Timestamp,
    /// In which generation: an invoice counts those up to its cut-off.
    pub generation: i32,
}

impl Event {
    /// Its part of a digest: [`Counted::hash`].
    pub fn hash(&self, meter: &str) -> [u8; 16] {
        let counted = Counted {
            source: &self.source,
            id: &self.id,
            meter,
            time: self.time,
            quantity: self.quantity,
            member: self.member.as_deref(),
        };
        counted.hash()
    }
}
