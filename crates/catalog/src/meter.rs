//! What is counted: meters (consumed over time) and allocations (held).

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Something consumed: events, runs, gigabyte-months.
///
/// Its definition never changes under its id (DESIGN "What is pinned"): a new
/// way of counting is a new meter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meter {
    /// How plans and usage refer to it.
    pub id: String,
    /// For people, plural: `Agent runs`.
    pub name: String,
    /// The CloudEvents `type` that feeds it.
    pub event_type: String,
    /// How the values of one window become one quantity.
    pub aggregation: Aggregation,
    /// For people, what one of it is called: `run`, `GB`.
    pub unit: String,
    /// How many units of the event's field make one [`Meter::unit`]: 10^9 for
    /// bytes sold as GB (SPEC 12). 1 for most.
    pub divide_by: Decimal,
    /// The usage statistic that carries it in a license heartbeat or report
    /// (SPEC 5), where that differs from the id.
    #[serde(default)]
    pub reported_as: Option<String>,
    /// Members of an event's `data` by which totals are told apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dimensions: Vec<String>,
    /// Which events count: members of `data`, and the texts that each may be.
    #[serde(default, rename = "where", skip_serializing_if = "BTreeMap::is_empty")]
    pub only: BTreeMap<String, Vec<String>>,
    /// What Prometheus knows it as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// How long its single events are kept.
    #[serde(default, skip_serializing_if = "Retention::is_standard")]
    pub retention: Retention,
}

/// How long single events are kept. Totals stay as long as their subscription in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retention {
    /// By the month in which they came, for as long as late events are taken.
    #[default]
    Standard,
    /// As long as the subscription: a line of any age leads back to its events.
    Subscription,
}

impl Retention {
    /// The words of the product file.
    pub const WORDS: &'static [&'static str] = &["standard", "subscription"];

    /// The class of that word.
    pub fn of(word: &str) -> Option<Self> {
        [Self::Standard, Self::Subscription].into_iter().find(|class| class.word() == word)
    }

    /// The word of the product file.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Standard => Self::WORDS[0],
            Self::Subscription => Self::WORDS[1],
        }
    }

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_standard(&self) -> bool {
        *self == Self::Standard
    }
}

/// Dimensions of a meter at most.
pub const DIMENSIONS_MAX: usize = 5;

impl Meter {
    /// How long its single events are kept. What a `time_weighted` meter measured last stands
    /// until it measures again, however long that takes, so its events stay in any case.
    pub const fn kept(&self) -> Retention {
        match self.aggregation {
            Aggregation::TimeWeighted { .. } => Retention::Subscription,
            _ => self.retention,
        }
    }

    /// Whether another definition counts the same events in the same way.
    pub fn counts_as(&self, other: &Self) -> bool {
        self.event_type == other.event_type
            && self.aggregation == other.aggregation
            && self.divide_by == other.divide_by
            && self.dimensions == other.dimensions
            && self.only == other.only
    }
}

/// How a CloudEvent's value is read and added up. `field` names a member of
/// the event's `data`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum Aggregation {
    /// Each event counts one.
    Count,
    /// The sum of a field.
    Sum {
        /// Member of `data`.
        field: String,
    },
    /// The highest value of a field.
    Max {
        /// Member of `data`.
        field: String,
    },
    /// The latest value of a field.
    Last {
        /// Member of `data`.
        field: String,
    },
    /// How many different values a field had.
    Unique {
        /// Member of `data`.
        field: String,
    },
    /// The average of a field over the window, weighted by how long each value
    /// stood: bytes become GB-months.
    TimeWeighted {
        /// Member of `data`.
        field: String,
    },
}

impl Aggregation {
    /// The member of `data` that is read; `None` when events are counted.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Count => None,
            Self::Sum { field }
            | Self::Max { field }
            | Self::Last { field }
            | Self::Unique { field }
            | Self::TimeWeighted { field } => Some(field),
        }
    }

    /// The word of the product file: `count`, `sum`, ...
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum { .. } => "sum",
            Self::Max { .. } => "max",
            Self::Last { .. } => "last",
            Self::Unique { .. } => "unique",
            Self::TimeWeighted { .. } => "time_weighted",
        }
    }

    /// Whether the totals of two windows may be added to one of both.
    pub const fn is_additive(&self) -> bool {
        matches!(self, Self::Count | Self::Sum { .. })
    }
}

/// Something held rather than consumed: seats, teams, agents, locations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocation {
    /// How plans and items refer to it.
    pub id: String,
    /// For people, plural: `Teams`.
    pub name: String,
    /// For people, singular and lower-case: `team`.
    pub one: String,
}
