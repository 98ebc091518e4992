//! Everything that one invoice depends on, and what comes of it. Stored and
//! exported as JSON: decimals and digests are texts.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tenure_core::{Currency, Money, Period};

use super::{lines::DraftLine, tax::TaxRate};
use crate::{contract::Terms, plan::Part};

/// All inputs of an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceInputs {
    /// Of every amount.
    pub currency: Currency,
    /// The period that is billed.
    pub own: PeriodInputs,
    /// Earlier periods that are rated again, by time.
    pub corrections: Vec<Correction>,
    /// What earlier periods were billed towards a minimum, by period.
    pub committed: Vec<Committed>,
    /// The rates that hold for this buyer.
    pub tax: Vec<TaxRate>,
    /// Release of the time zone data that periods and days were computed with.
    pub zone_data: String,
}

/// A period and the totals that it is rated with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeriodInputs {
    /// Its number in the subscription.
    pub n: i32,
    /// From when to when.
    pub period: Period,
    /// Usage of later generations is not counted.
    pub cutoff: i32,
    /// Of an estimate: windows that begin later are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
    /// By time.
    pub segments: Vec<Segment>,
}

/// A part of a period under the same terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Names the product version.
    pub version: String,
    /// From when to when, and all that prices depend on.
    pub terms: Terms,
    /// Totals of the windows that the period bills.
    pub usage: Vec<MeterTotals>,
    /// Totals of the year that is trued up with this period.
    #[serde(default)]
    pub year: Vec<MeterTotals>,
}

/// Totals of one meter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterTotals {
    /// Its id.
    pub meter: String,
    /// By time.
    pub windows: Vec<Total>,
}

/// What one window holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// Included.
    pub start: Timestamp,
    /// Excluded.
    pub end: Timestamp,
    /// In the meter's unit.
    pub quantity: Decimal,
    /// How many events it comes from.
    pub events: i64,
    /// XOR over their hashes: 32 hex digits.
    pub digest: String,
}

/// An earlier period, as it was billed and as it would be billed now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// What its invoice and earlier corrections billed, by plan and charge.
    pub billed: Vec<BilledLine>,
    /// How it is now.
    pub now: PeriodInputs,
}

/// What was billed for one charge of a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BilledLine {
    /// Id of the plan.
    pub plan: String,
    /// Id of the charge.
    pub charge: String,
    /// Where it stands on a bill.
    pub part: Part,
    /// As the original line said.
    pub description: String,
    /// What one of them is called.
    pub unit: String,
    /// In units.
    pub quantity: Decimal,
    /// Corrections included.
    pub amount: Money,
    /// The line that a correction cites.
    pub invoice: String,
    /// Its number there.
    pub line: i32,
}

/// What a period was billed towards a plan's minimum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    /// Number of the period.
    pub n: i32,
    /// When it started.
    pub start: Timestamp,
    /// Id of the plan.
    pub plan: String,
    /// Plan and overage lines, corrections included.
    pub amount: Money,
}

/// An invoice before it has a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceDraft {
    /// The period's lines, then corrections.
    pub lines: Vec<DraftLine>,
    /// What the lines come to.
    pub subtotal: Money,
    /// One a rate.
    pub taxes: Vec<TaxLine>,
    /// What the taxes come to.
    pub tax: Money,
    /// Subtotal and tax.
    pub total: Money,
}

/// A tax on the invoice's subtotal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxLine {
    /// The rate.
    pub rate: TaxRate,
    /// What it is charged on.
    pub base: Money,
    /// Rounded once.
    pub amount: Money,
}
