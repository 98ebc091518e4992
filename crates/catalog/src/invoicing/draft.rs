//! Inputs into an invoice.

use jiff::{SignedDuration, Timestamp};
use tenure_core::{Currency, Money};

use super::{
    Error, Versions, corrections,
    inputs::{InvoiceDraft, InvoiceInputs, TaxLine},
    lines::{DraftLine, period_lines},
    product, tax,
};

/// The invoice that the inputs come to.
pub fn draft(inputs: &InvoiceInputs, versions: &Versions<'_>) -> Result<InvoiceDraft, Error> {
    require_currency(inputs, versions)?;
    let currency = inputs.currency;
    let mut committed = inputs.committed.clone();
    let mut corrected: Vec<DraftLine> = Vec::new();
    for correction in &inputs.corrections {
        let lines = corrections::lines(correction, &committed, versions, currency)?;
        corrections::carry(&mut committed, &lines, &correction.now)?;
        corrected.extend(lines);
    }
    let mut lines = period_lines(&inputs.own, &committed, versions)?;
    lines.extend(corrected);
    let subtotal = Money::sum(lines.iter().map(|line| line.amount), currency)?;
    let mut taxes = Vec::new();
    for rate in inputs.tax.iter().filter(|_| !lines.is_empty()) {
        let amount = tax::on(subtotal, rate)?;
        taxes.push(TaxLine { rate: rate.clone(), base: subtotal, amount });
    }
    let tax = Money::sum(taxes.iter().map(|tax| tax.amount), currency)?;
    let total = subtotal.checked_add(tax)?;
    Ok(InvoiceDraft { lines, subtotal, taxes, tax, total })
}

fn require_currency(inputs: &InvoiceInputs, versions: &Versions<'_>) -> Result<(), Error> {
    let own = inputs.own.segments.iter();
    let segments = own.chain(inputs.corrections.iter().flat_map(|one| &one.now.segments));
    let mut currencies: Vec<Currency> = Vec::new();
    for segment in segments {
        currencies.push(product(versions, &segment.version)?.currency);
    }
    match currencies.iter().find(|currency| **currency != inputs.currency) {
        Some(other) => Err(Error::Currency(format!("{} and {other}", inputs.currency))),
        None => Ok(()),
    }
}

/// What a balance does to an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditUse {
    /// Taken from the balance; negative: put on it.
    pub taken: Money,
    /// What is left to be paid, never negative.
    pub due: Money,
}

/// Credit is used last, after tax. An invoice below zero (corrections took back
/// more than was charged) is put on the balance.
pub fn use_credit(total: Money, balance: Money) -> Result<CreditUse, Error> {
    let available = balance.minor().max(0);
    let taken = total.minor().min(available);
    let taken = Money::from_minor(taken, total.currency());
    Ok(CreditUse { taken, due: total.checked_add(taken.checked_neg()?)? })
}

/// When an invoice is due that was issued at `issued`.
pub fn due_at(issued: Timestamp, net_days: i32) -> Timestamp {
    let days = SignedDuration::from_hours(24 * i64::from(net_days.max(0)));
    issued.checked_add(days).unwrap_or(Timestamp::MAX)
}
