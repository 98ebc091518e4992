//! What verifying found, for people and programs.

use serde::Serialize;

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was compared: `usage of events up to generation 3`.
    pub what: String,
    /// Whether it agrees.
    pub agrees: bool,
    /// What was found; of a difference, both sides.
    pub found: String,
}

/// Every comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Number of the invoice, or its id while it has none.
    pub invoice: String,
    /// What the seller stated in all.
    pub stated_total: String,
    /// What was computed; absent where the inputs come to no invoice.
    pub computed_total: Option<String>,
    /// Single events that were added up.
    pub events: u64,
    /// In the order in which they were made.
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether everything agrees.
    pub fn agrees(&self) -> bool {
        self.checks.iter().all(|check| check.agrees)
    }

    pub(crate) fn push(&mut self, what: impl Into<String>, agrees: bool, found: impl Into<String>) {
        self.checks.push(Check { what: what.into(), agrees, found: found.into() });
    }
}
