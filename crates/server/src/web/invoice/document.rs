//! The document: parties, lines with their arithmetic, sums, what happened to it.

use jiff::Timestamp;
use tenure_core::Money;

use super::{Fact, standing};
use crate::{
    billing::invoices::{
        InvoiceStatus, InvoiceSummary,
        model::InvoiceLine,
        told::Told,
        words::{self as told, Party},
    },
    web::words,
};

/// A line.
pub(in crate::web) struct LineRow {
    pub(in crate::web) number: i32,
    pub(in crate::web) description: String,
    /// `Adjustment`, `Minimum`.
    pub(in crate::web) kind: Option<&'static str>,
    /// Words, and where the corrected line is explained.
    pub(in crate::web) corrects: Option<(String, String)>,
    /// For which time, where that is not the invoice's.
    pub(in crate::web) time: Option<String>,
    pub(in crate::web) quantity: String,
    pub(in crate::web) arithmetic: String,
    pub(in crate::web) amount: String,
}

/// A line of the sums.
pub(in crate::web) struct SumRow {
    pub(in crate::web) label: String,
    pub(in crate::web) amount: String,
    pub(in crate::web) strong: bool,
}

/// A credit note.
pub(in crate::web) struct NoteRow {
    pub(in crate::web) id: String,
    pub(in crate::web) number: String,
    pub(in crate::web) reason: String,
    pub(in crate::web) made: String,
    pub(in crate::web) amount: String,
    pub(in crate::web) tax: String,
    pub(in crate::web) to_balance: String,
}

/// Something that happened.
pub(in crate::web) struct Event {
    pub(in crate::web) when: String,
    pub(in crate::web) datetime: String,
    pub(in crate::web) what: String,
    pub(in crate::web) note: String,
    pub(in crate::web) tone: &'static str,
}

/// A message above it.
pub(in crate::web) struct Alarm {
    pub(in crate::web) tone: &'static str,
    pub(in crate::web) head: &'static str,
    pub(in crate::web) text: String,
}

/// The view model.
pub(in crate::web) struct Document {
    /// Where it is.
    pub(in crate::web) path: String,
    pub(in crate::web) title: String,
    pub(in crate::web) status: &'static str,
    pub(in crate::web) tone: &'static str,
    pub(in crate::web) alarm: Option<Alarm>,
    pub(in crate::web) seller: Party,
    pub(in crate::web) buyer: Party,
    pub(in crate::web) facts: Vec<Fact>,
    pub(in crate::web) lines: Vec<LineRow>,
    pub(in crate::web) sums: Vec<SumRow>,
    /// What it has to say beside its taxes.
    pub(in crate::web) notes: Vec<String>,
    pub(in crate::web) credit_notes: Vec<NoteRow>,
    pub(in crate::web) history: Vec<Event>,
}

/// `Invoice ACME-000042`
pub(in crate::web) fn title(invoice: &InvoiceSummary) -> String {
    match &invoice.number {
        Some(number) => format!("Invoice {number}"),
        None => "Draft invoice".to_owned(),
    }
}

impl Document {
    /// `base` is what the paths of the reader's invoices begin with.
    pub(in crate::web) fn new(told: &Told, base: &str, now: Timestamp) -> Self {
        let summary = &told.invoice.summary;
        let (status, tone) = standing(summary, now);
        let notes = told.invoice.taxes.iter().filter_map(|tax| tax.note.clone());
        Self {
            path: format!("{base}/{}", summary.id),
            title: title(summary),
            status,
            tone,
            alarm: alarm(told, now),
            seller: told::seller(told.seller()),
            buyer: told::buyer(told.buyer()),
            facts: facts(told),
            lines: told.invoice.lines.iter().map(|line| row(line, told, base)).collect(),
            sums: sums(told),
            notes: notes.collect(),
            credit_notes: credit_notes(told),
            history: history(told),
        }
    }
}

fn alarm(told: &Told, now: Timestamp) -> Option<Alarm> {
    let summary = &told.invoice.summary;
    let on = |at: Option<Timestamp>| at.map(|at| told::date(at, &told.zone)).unwrap_or_default();
    match (standing(summary, now).0, summary.status) {
        (_, InvoiceStatus::Draft) => Some(Alarm {
            tone: "info",
            head: "This is a draft.",
            text: format!(
                "It has no number and the customer does not see it. Usage that still comes is counted. \
                 It is issued by itself {}.",
                words::distance(summary.finalise_after, now)
            ),
        }),
        (_, InvoiceStatus::Void) => Some(Alarm {
            tone: "",
            head: "This invoice is void.",
            text: format!(
                "It was annulled on {}; nothing is to be paid. Its period is not billed again.",
                on(summary.closed_at)
            ),
        }),
        (_, InvoiceStatus::Uncollectible) => Some(Alarm {
            tone: "warn",
            head: "This invoice was given up.",
            text: format!("On {}. It can still be paid.", on(summary.closed_at)),
        }),
        ("Overdue", _) => Some(Alarm {
            tone: "bad",
            head: "This invoice is overdue.",
            text: format!(
                "{} had to be paid by {}.",
                summary.outstanding.display(),
                on(summary.due_at)
            ),
        }),
        _ => None,
    }
}

fn facts(told: &Told) -> Vec<Fact> {
    let summary = &told.invoice.summary;
    let day = |at: Timestamp| told::date(at, &told.zone);
    let period = told::period(summary.period_start, summary.period_end, &told.zone);
    let zone = told.zone.iana_name().unwrap_or("UTC");
    let mut facts = vec![
        Fact::new("Period", period).note(format!("days of {zone}")),
        Fact::new("Product", told.product.clone()),
    ];
    facts.extend(summary.issued_at.map(|at| Fact::new("Issued", day(at))));
    let terms = format!("{} net", words::counted(summary.net_days, "day"));
    match summary.due_at {
        Some(at) => facts.push(Fact::new("Due", day(at)).note(terms)),
        None => facts.push(Fact::new("Terms", terms)),
    }
    if matches!(summary.status, InvoiceStatus::Issued | InvoiceStatus::Uncollectible) {
        facts.push(Fact::new("Still to be paid", summary.outstanding.display()));
    }
    facts
}

fn row(line: &InvoiceLine, told: &Told, base: &str) -> LineRow {
    let cited = line.cites_invoice.zip(line.cites_line);
    let path = cited.map(|(id, line)| format!("{base}/{id}/lines/{line}"));
    LineRow {
        number: line.line,
        description: line.description.clone(),
        kind: told::kind(line),
        corrects: told::corrects(line, told).zip(path),
        time: told::time_of(line, told),
        quantity: told::quantity(line),
        arithmetic: line.arithmetic.clone(),
        amount: line.amount.display(),
    }
}

fn less(amount: Money) -> String {
    amount.checked_neg().unwrap_or(amount).display()
}

fn sums(told: &Told) -> Vec<SumRow> {
    let (invoice, summary) = (&told.invoice, &told.invoice.summary);
    let row =
        |label: &str, amount: String, strong| SumRow { label: label.to_owned(), amount, strong };
    let mut sums = vec![row("Subtotal", summary.subtotal.display(), false)];
    for tax in &invoice.taxes {
        sums.push(row(&told::tax(tax), tax.amount.display(), false));
    }
    sums.push(row("Total", summary.total.display(), true));
    if let Some((label, amount)) = told::credit(summary.credit) {
        sums.push(row(label, amount, false));
        if let Some(due) = summary.due {
            sums.push(row("Due when it was issued", due.display(), false));
        }
    }
    for note in &invoice.credit_notes {
        sums.push(row(&format!("Credit note {}", note.number), less(note.amount), false));
    }
    if summary.status == InvoiceStatus::Issued || summary.status == InvoiceStatus::Uncollectible {
        sums.push(row("Still to be paid", summary.outstanding.display(), true));
    }
    sums
}

fn credit_notes(told: &Told) -> Vec<NoteRow> {
    let row = |note: &crate::billing::invoices::model::CreditNote| NoteRow {
        id: note.id.to_string(),
        number: note.number.clone(),
        reason: note.reason.clone(),
        made: told::date(note.created_at, &told.zone),
        amount: note.amount.display(),
        tax: note.tax.display(),
        to_balance: note.to_balance.display(),
    };
    told.invoice.credit_notes.iter().map(row).collect()
}

/// What happened to it, newest first.
fn history(told: &Told) -> Vec<Event> {
    let summary = &told.invoice.summary;
    let mut all: Vec<(Timestamp, String, String, &'static str)> = vec![(
        summary.drafted_at,
        "Drafted".to_owned(),
        "the period was closed and rated".to_owned(),
        "",
    )];
    if let Some(at) = summary.issued_at {
        let number = summary.number.clone().unwrap_or_default();
        all.push((at, "Issued".to_owned(), format!("as {number}"), "ok"));
    }
    for note in &told.invoice.credit_notes {
        let text = format!("{}: {}", note.amount.display(), note.reason);
        all.push((note.created_at, format!("Credit note {}", note.number), text, "warn"));
    }
    if let Some(at) = summary.paid_at {
        all.push((at, "Paid".to_owned(), String::new(), "ok"));
    }
    if let Some(at) = summary.closed_at {
        let (what, tone) = match summary.status {
            InvoiceStatus::Void => ("Annulled", "bad"),
            _ => ("Given up", "bad"),
        };
        all.push((at, what.to_owned(), String::new(), tone));
    }
    // Stable: what has the same moment stays in the order of the steps.
    all.sort_by_key(|(at, ..)| *at);
    let events = all.into_iter().rev().map(|(at, what, note, tone)| Event {
        when: words::date_time(at, &told.zone),
        datetime: at.to_string(),
        what,
        note,
        tone,
    });
    events.collect()
}
