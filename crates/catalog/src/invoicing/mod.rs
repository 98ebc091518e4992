//! From a subscription's timeline and its totals to an invoice.
//!
//! The path: a [`Timeline`] is cut into the [`segments`] that a period is rated
//! in; [`asked`] says which totals each of them needs; with those they are
//! [`PeriodInputs`]. [`draft`] turns everything one invoice depends on
//! ([`InvoiceInputs`]) into its lines, taxes and sums. Nothing else enters: who
//! has the inputs and the product files can compute the invoice again.
//!
//! Owns: where a change cuts a period, corrections of periods that were billed
//! before, tax, and the sums. Refuses: I/O, the time, totals that it was not
//! asked for.

mod asked;
mod corrections;
pub mod days;
mod draft;
mod inputs;
mod lines;
mod segments;
pub mod tax;
mod timeline;

pub use self::{
    asked::{Asked, Of, asked},
    draft::{CreditUse, draft, due_at, use_credit},
    inputs::{
        BilledLine, Committed, Correction, InvoiceDraft, InvoiceInputs, MeterTotals, PeriodInputs,
        Segment, TaxLine, Total,
    },
    lines::{Cite, DraftLine, LineKind, lines_in_a_row, period_lines},
    segments::segments,
    tax::{Buyer, PlainTable, TaxRate, TaxRule, TaxTable},
    timeline::{Entry, Timeline},
};

use std::collections::BTreeMap;

use tenure_core::MoneyError;

use crate::{model::Product, rating};

/// Product versions by the name that inputs call them.
pub type Versions<'a> = BTreeMap<String, &'a Product>;

/// Why a period cannot be invoiced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The rates do not say a price, or refuse the usage.
    #[error(transparent)]
    Rating(#[from] rating::Error),
    /// A version that inputs name was not given.
    #[error("the product version `{0}` is missing")]
    UnknownVersion(String),
    /// A total was asked for and not given, or the other way round.
    #[error("totals of `{0}` are missing or were not asked for")]
    Totals(String),
    /// A digest is not 32 hex digits.
    #[error("`{0}` is not a digest of 32 hex digits")]
    BadDigest(String),
    /// The product of a period bills in another currency than the invoice.
    #[error("one invoice has one currency: {0}")]
    Currency(String),
    /// Too large, or two currencies.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

fn product<'a>(versions: &Versions<'a>, version: &str) -> Result<&'a Product, Error> {
    versions.get(version).copied().ok_or_else(|| Error::UnknownVersion(version.to_owned()))
}
