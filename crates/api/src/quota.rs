//! Quotas on the wire: what may still be used, and holding a part of it.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tenure_core::Quantity;
use utoipa::ToSchema;

use crate::usage::{Standing, WindowNow};

/// A limit that is consumed, in its present window.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Quota {
    /// Id of the meter.
    #[schema(example = "agent_runs")]
    pub meter: String,
    /// For people.
    #[schema(example = "Agent runs")]
    pub name: String,
    /// What one is called.
    #[schema(example = "run")]
    pub unit: String,
    /// The present window.
    pub window: WindowNow,
    /// Recorded in the window, in the unit.
    #[schema(value_type = String, example = "9998")]
    pub used: Decimal,
    /// Held by reservations, in the unit.
    #[schema(value_type = String, example = "2")]
    pub reserved: Decimal,
    /// Included in each window; absent: unlimited.
    pub limit: Option<Quantity>,
    /// Neither used nor held; never below zero; absent: unlimited.
    #[schema(value_type = Option<String>, example = "0")]
    pub remaining: Option<Decimal>,
    /// `block`, `warn`, `charge` or `true_up`.
    #[schema(example = "block")]
    pub past_limit: String,
    /// How things stand, by what was recorded.
    pub standing: Standing,
}

/// Every limit that is consumed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Quotas {
    /// In the product's order.
    pub items: Vec<Quota>,
}

/// A part of a quota to hold before it is used.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewReservation {
    /// Id of the meter.
    #[schema(example = "agent_runs")]
    pub meter: String,
    /// How much, in the unit of the meter's events; 1 when absent. A meter that
    /// counts events takes 1.
    pub quantity: Option<Quantity>,
    /// Names it, and with the source the usage event that it becomes; asking
    /// again under one id holds one part. Made by the server when absent.
    #[schema(example = "run-20260301-000017")]
    pub id: Option<String>,
    /// The source of the event; `/quota` when absent.
    #[schema(example = "/clusters/eu-1")]
    pub source: Option<String>,
    /// Given back after so many seconds, 1 to 86,400; 300 when absent.
    #[schema(minimum = 1, maximum = 86400, example = 300)]
    pub expires_in_seconds: Option<u32>,
}

/// What became of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReservationStatus {
    /// Its part is held.
    Held,
    /// It was used, and recorded as a usage event.
    Committed,
    /// It was given back.
    Released,
    /// Nobody committed it in time; its part is free again.
    Expired,
}

impl ReservationStatus {
    /// The word of API and database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Committed => "committed",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }
}

/// A part of a quota that is or was held.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Reservation {
    /// Its name; with the source, the name of the usage event.
    #[schema(example = "run-20260301-000017")]
    pub id: String,
    /// The source of the usage event.
    #[schema(example = "/quota")]
    pub source: String,
    /// Id of the meter.
    #[schema(example = "agent_runs")]
    pub meter: String,
    /// How much is held.
    pub quantity: Quantity,
    /// What became of it.
    pub status: ReservationStatus,
    /// When its part is given back.
    pub expires_at: Timestamp,
    /// What was really used, once committed.
    pub committed: Option<Quantity>,
    /// The quota after this.
    pub quota: Quota,
}

/// What a reservation came to.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CommitReservation {
    /// What was really used; the quantity held when absent. More is recorded
    /// too, because it happened.
    pub quantity: Option<Quantity>,
    /// When it was used; now when absent.
    pub time: Option<Timestamp>,
    /// More members of the event's `data`, such as dimensions.
    #[schema(value_type = Option<Object>)]
    pub data: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Usage that is recorded only where the quota allows it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Consume {
    /// Id of the meter.
    #[schema(example = "agent_runs")]
    pub meter: String,
    /// How much, in the unit of the meter's events; 1 when absent.
    pub quantity: Option<Quantity>,
    /// The id of the usage event: sent again, it counts once.
    #[schema(example = "run-20260301-000018")]
    pub id: String,
    /// The source of the event; `/quota` when absent.
    #[schema(example = "/clusters/eu-1")]
    pub source: Option<String>,
    /// When it was used; now when absent. With a time of its own, the same
    /// request is recognised when it comes again.
    pub time: Option<Timestamp>,
    /// More members of the event's `data`, such as dimensions.
    #[schema(value_type = Option<Object>)]
    pub data: Option<serde_json::Map<String, serde_json::Value>>,
}

/// What was consumed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Consumed {
    /// `accepted`, or `duplicate` where it was recorded before.
    #[schema(example = "accepted")]
    pub outcome: String,
    /// The quota after this.
    pub quota: Quota,
}
