//! An invoice as a page shows it, to staff and to the customer.
//!
//! Owns: view models and their words. Refuses: reading and deciding anything;
//! everything comes from an operation of `billing`.

pub(super) mod document;
pub(super) mod explained;

use jiff::{Timestamp, tz::TimeZone};

use super::words;
use crate::billing::invoices::{InvoiceStatus, InvoiceSummary, words as told};

/// A label and its value.
pub(super) struct Fact {
    pub(super) label: &'static str,
    pub(super) value: String,
    pub(super) note: String,
}

impl Fact {
    fn new(label: &'static str, value: impl Into<String>) -> Self {
        Self { label, value: value.into(), note: String::new() }
    }

    fn note(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }
}

/// How an invoice stands, in a word and a colour.
pub(super) fn standing(invoice: &InvoiceSummary, now: Timestamp) -> (&'static str, &'static str) {
    match invoice.status {
        InvoiceStatus::Draft => ("Draft", ""),
        InvoiceStatus::Issued if invoice.due_at.is_some_and(|at| at < now) => ("Overdue", "bad"),
        InvoiceStatus::Issued => ("Issued", "info"),
        InvoiceStatus::Paid => ("Paid", "ok"),
        InvoiceStatus::Void => ("Void", ""),
        InvoiceStatus::Uncollectible => ("Uncollectible", "warn"),
    }
}

/// The moment that matters next, or that ended it.
pub(super) fn moment(invoice: &InvoiceSummary, now: Timestamp, zone: &TimeZone) -> String {
    let on = |at: Timestamp| told::date(at, zone);
    match (invoice.status, invoice.due_at, invoice.paid_at, invoice.closed_at) {
        (InvoiceStatus::Draft, ..) if invoice.finalise_after <= now => "issued shortly".to_owned(),
        (InvoiceStatus::Draft, ..) => {
            format!("issued {}", words::distance(invoice.finalise_after, now))
        }
        (InvoiceStatus::Issued, Some(at), ..) => format!("due {}", on(at)),
        (InvoiceStatus::Paid, _, Some(at), _) => format!("on {}", on(at)),
        (_, _, _, Some(at)) => format!("on {}", on(at)),
        _ => String::new(),
    }
}

/// A row of a list.
pub(super) struct InvoiceRow {
    /// Absent where nothing can be opened any more.
    pub(super) path: Option<String>,
    /// Its number; of a draft, what it is.
    pub(super) number: String,
    pub(super) product: String,
    pub(super) period: String,
    pub(super) status: &'static str,
    pub(super) tone: &'static str,
    pub(super) moment: String,
    pub(super) total: String,
    /// What is still to be paid, where that is another amount.
    pub(super) open: Option<String>,
}

impl InvoiceRow {
    /// `base` is what the paths of invoices begin with.
    pub(super) fn new(
        invoice: &InvoiceSummary,
        product: String,
        base: Option<&str>,
        now: Timestamp,
        zone: &TimeZone,
    ) -> Self {
        let (status, tone) = standing(invoice, now);
        let open = !invoice.outstanding.is_zero() && invoice.outstanding != invoice.total;
        Self {
            path: base.map(|base| format!("{base}/{}", invoice.id)),
            number: invoice.number.clone().unwrap_or_else(|| "Draft".to_owned()),
            product,
            period: told::period(invoice.period_start, invoice.period_end, zone),
            status,
            tone,
            moment: moment(invoice, now, zone),
            total: invoice.total.display(),
            open: open.then(|| format!("{} open", invoice.outstanding.display())),
        }
    }
}
