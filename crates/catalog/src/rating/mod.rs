//! What terms cost in a period, each line with its arithmetic.
//!
//! Owns: every rule that turns usage and quantities into money. Exact decimals
//! throughout; ONE rounding a line, halves to even, to the currency's decimals
//! (SPEC 12). Refuses: prices without a contract, windows outside the period.

mod due;
mod exact;
mod rater;
mod reductions;
mod settled;
mod used;
mod windows;
pub mod words;

pub use self::{
    settled::year_apart,
    windows::{calendar_zone as zone_of_calendar, windows},
};

use std::collections::BTreeSet;

use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tenure_core::{Money, MoneyError, Period};

use self::rater::Rater;
use crate::{
    contract::{self, NeedsContract, Terms},
    entitlements,
    model::Product,
    plan::{Part, Per, Plan},
};

/// Most windows of one meter: 15 months of days with room to spare.
pub const WINDOWS_MAX: usize = 500;

/// Usage of one invoice period.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Each meter at most once.
    pub meters: Vec<MeterUsage>,
    /// Usage of the subscription's year that ends with this period, for limits
    /// that are trued up once a year. Empty where the period is that year.
    #[serde(default)]
    pub year: Vec<MeterUsage>,
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
    /// By the windows that [`windows`] lists for [`crate::Plan::window`] (one
    /// for a whole period). A running window may be added to see where a bill
    /// is heading.
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
    /// Two totals of one window.
    #[error("usage of `{meter}` has the window at {start} twice")]
    WindowTwice {
        /// Id of the meter.
        meter: String,
        /// Of the window.
        start: Timestamp,
    },
    /// Totals of parts of a period where only the period's total means
    /// anything: highest values and averages cannot be added.
    #[error("usage of `{0}` cannot be added up: give one total for the whole period")]
    OneWindow(String),
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
/// moment; what is added later, for the rest of the interval. Usage is billed
/// with the period that it lies in; a true-up and a commitment with the period
/// that ends their year.
pub fn estimate(
    product: &Product,
    terms: &Terms,
    period: Period,
    usage: &Usage,
) -> Result<Bill, Error> {
    if period.start >= period.end {
        return Err(Error::BadPeriod);
    }
    let at = period.start.max(terms.start);
    let now = entitlements::resolve(product, terms, at)?;
    contract::billable(product, terms, at)?;
    let plan = product.plan(&now.plan).ok_or(Error::BadPeriod)?;
    let zone = windows::zone(terms)?;
    check_usage(product, plan, &zone, usage, period)?;
    let calendar = windows::calendar_zone(terms)?;
    let rater = Rater { product, plan, terms, zone: calendar, period, at, usage };
    let mut lines = Vec::new();
    for charge in &plan.charges {
        lines.extend(rater.charge(charge, Part::Plan)?);
    }
    for (extras, part) in [(&product.add_ons, Part::AddOns), (&product.services, Part::Services)] {
        for extra in extras.iter().filter(|extra| extra.fits(&plan.id)) {
            lines.extend(rater.charge(&extra.charge, part)?);
        }
    }
    for limit in &now.limits {
        lines.extend(rater.overage(limit)?);
    }
    if let Some(commitment) = &plan.commitment {
        lines.extend(rater.commitment(commitment, &lines)?);
    }
    let total = Money::sum(lines.iter().map(|line| line.amount), product.currency)?;
    Ok(Bill { period, lines, total })
}

fn check_usage(
    product: &Product,
    plan: &Plan,
    zone: &TimeZone,
    usage: &Usage,
    period: Period,
) -> Result<(), Error> {
    for (list, bounded) in [(&usage.meters, true), (&usage.year, false)] {
        for (index, meter) in list.iter().enumerate() {
            let id = &meter.meter;
            let twice = list.iter().take(index).any(|earlier| earlier.meter == *id);
            if twice || product.meter(id).is_none() {
                return Err(Error::UnknownMeter(id.clone()));
            }
            if meter.windows.len() > WINDOWS_MAX {
                return Err(Error::TooManyWindows(id.clone()));
            }
            if meter.windows.iter().any(|window| window.quantity < Decimal::ZERO) {
                return Err(Error::Negative(id.clone()));
            }
            for window in meter.windows.iter().filter(|_| bounded) {
                // One that runs on past the period is a forecast, not refused.
                let per = plan.window(id);
                let whole = windows::whole(per, window.start, zone, period)?;
                let early = per == Per::Period && window.start < period.start;
                if early || whole.end <= period.start || window.start >= period.end {
                    let start = window.start;
                    return Err(Error::WindowOutside { meter: id.clone(), start });
                }
            }
            let mut starts = BTreeSet::new();
            if let Some(window) = meter.windows.iter().find(|window| !starts.insert(window.start)) {
                return Err(Error::WindowTwice { meter: id.clone(), start: window.start });
            }
        }
    }
    Ok(())
}
