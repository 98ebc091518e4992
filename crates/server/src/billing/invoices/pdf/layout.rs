//! What an invoice says, and where. What is paid or credited later is not on it: the document is
//! the one that was issued, until it is void.

use super::{
    frame::{BODY, Column, Frame, QUANTITY, QUANTITY_WIDTH, SMALL, Sum, TOTAL, WHAT, WHAT_WIDTH},
    paper::{LEFT, Paper, Part, Piece, RIGHT, Role, Side, Strip},
};
use crate::billing::invoices::{InvoiceStatus, model::InvoiceLine, told::Told, words};

const COLUMNS: &[Column] = &[
    (LEFT, Side::Left, "No."),
    (WHAT, Side::Left, "What, and how its amount comes about"),
    (QUANTITY, Side::Right, "Quantity"),
    (RIGHT, Side::Right, "Amount"),
];

/// The sheets of an invoice.
pub(super) fn lay_out(told: &Told) -> Paper {
    let mut paper = Paper::new();
    let frame = frame(told);
    frame.head(&mut paper);
    lines(&mut paper, &frame, told);
    frame.sums(&mut paper, sums(told));
    frame.notes(&mut paper, notes(told));
    frame.feet(&mut paper);
    paper
}

/// `Invoice ACME-000042`
pub(super) fn title(told: &Told) -> String {
    match &told.invoice.summary.number {
        Some(number) => format!("Invoice {number}"),
        None => "Draft invoice".to_owned(),
    }
}

fn frame(told: &Told) -> Frame {
    let summary = &told.invoice.summary;
    Frame {
        word: if summary.number.is_some() { "Invoice" } else { "Draft invoice" },
        number: summary.number.clone(),
        title: title(told),
        stamp: words::stamp(summary.status),
        alarm: alarm(told),
        seller: words::seller(told.seller()),
        buyer: ("Billed to", words::buyer(told.buyer())),
        facts: facts(told),
        lead: due(told),
        columns: COLUMNS,
    }
}

/// What makes it no invoice that is to be paid.
fn alarm(told: &Told) -> Option<String> {
    let summary = &told.invoice.summary;
    match summary.status {
        InvoiceStatus::Draft => Some("DRAFT: not issued, nothing is due yet.".to_owned()),
        InvoiceStatus::Void => {
            let on = summary.closed_at.map(|at| words::date(at, &told.zone));
            Some(format!("VOID: annulled on {}.", on.unwrap_or_default()))
        }
        InvoiceStatus::Issued | InvoiceStatus::Paid | InvoiceStatus::Uncollectible => None,
    }
}

/// What had to be paid when it was issued.
fn due(told: &Told) -> String {
    let summary = &told.invoice.summary;
    if summary.status == InvoiceStatus::Void {
        return "Nothing is to be paid.".to_owned();
    }
    match (summary.due, summary.due_at) {
        (Some(due), _) if due.is_zero() => "Nothing is left to be paid.".to_owned(),
        (Some(due), Some(at)) => {
            format!("{} due on {}", due.display(), words::date(at, &told.zone))
        }
        _ => format!("{} in total", summary.total.display()),
    }
}

fn facts(told: &Told) -> Vec<(&'static str, String)> {
    let summary = &told.invoice.summary;
    let day = |at: Option<jiff::Timestamp>| at.map(|at| words::date(at, &told.zone));
    let period = words::period(summary.period_start, summary.period_end, &told.zone);
    let terms = summary.due_at.map(|_| format!("{} days net", summary.net_days));
    let facts = [
        ("Issued", day(summary.issued_at)),
        ("Due", day(summary.due_at)),
        ("Terms", terms),
        ("Period", Some(period)),
        ("Product", Some(told.product.clone())),
    ];
    facts.into_iter().filter_map(|(label, value)| Some((label, value?))).collect()
}

fn lines(paper: &mut Paper, frame: &Frame, told: &Told) {
    let body = frame.table(paper);
    for line in &told.invoice.lines {
        let row = row(paper, body, line, told);
        frame.add(paper, row);
    }
    if told.invoice.lines.is_empty() {
        let row = paper.part(Role::Row, Some(body));
        let part = paper.part(Role::Cell, Some(row));
        let run = BODY.line("Nothing is charged for this period.");
        let piece = Piece { x: WHAT, side: Side::Left, style: BODY, run, part: Some(part) };
        frame.add(paper, vec![Strip { pieces: vec![piece], height: BODY.leading() }]);
    }
}

fn row(paper: &mut Paper, body: Part, line: &InvoiceLine, told: &Told) -> Vec<Strip> {
    let row = paper.part(Role::Row, Some(body));
    let [no, what, quantity, amount] =
        [Role::Cell, Role::RowName, Role::Cell, Role::Cell].map(|role| paper.part(role, Some(row)));
    let piece = |x, side, style, run, part| Piece { x, side, style, run, part: Some(part) };
    let about = [words::corrects(line, told), words::time_of(line, told)];
    let mut about: Vec<String> = about.into_iter().flatten().collect();
    if let Some(kind) = words::kind(line) {
        about.insert(0, kind.to_owned());
    }
    let mut strips: Vec<Strip> = Vec::new();
    for (style, text) in
        [(BODY, &line.description), (SMALL, &about.join(", ")), (SMALL, &line.arithmetic)]
    {
        for run in style.lines(text, WHAT_WIDTH) {
            let pieces = vec![piece(WHAT, Side::Left, style, run, what)];
            strips.push(Strip { pieces, height: style.leading() });
        }
    }
    let beside = |strips: &mut Vec<Strip>, index: usize, piece: Piece| {
        if strips.len() <= index {
            strips.resize_with(index + 1, || Strip { height: BODY.leading(), ..Strip::default() });
        }
        strips[index].pieces.push(piece);
    };
    let count = BODY.line(&line.line.to_string());
    beside(&mut strips, 0, piece(LEFT, Side::Left, BODY, count, no));
    let counted = BODY.lines(&words::quantity(line), QUANTITY_WIDTH);
    for (index, run) in counted.into_iter().enumerate() {
        beside(&mut strips, index, piece(QUANTITY, Side::Right, BODY, run, quantity));
    }
    let money = BODY.line(&line.amount.display());
    beside(&mut strips, 0, piece(RIGHT, Side::Right, BODY, money, amount));
    strips
}

/// What the lines come to.
fn sums(told: &Told) -> Vec<Sum> {
    let (invoice, summary) = (&told.invoice, &told.invoice.summary);
    let mut sums = vec![("Subtotal".to_owned(), summary.subtotal.display(), BODY)];
    sums.extend(invoice.taxes.iter().map(|tax| (words::tax(tax), tax.amount.display(), BODY)));
    sums.push(("Total".to_owned(), summary.total.display(), TOTAL));
    let credit = words::credit(summary.credit);
    sums.extend(credit.map(|(label, amount)| (label.to_owned(), amount, BODY)));
    let owed = !summary.credit.is_zero() && summary.status != InvoiceStatus::Void;
    if let (Some(due), true) = (summary.due, owed) {
        sums.push(("To be paid".to_owned(), due.display(), TOTAL));
    }
    sums
}

/// What has to be said beside it.
fn notes(told: &Told) -> Vec<String> {
    let mut notes: Vec<String> =
        told.invoice.taxes.iter().filter_map(|tax| tax.note.clone()).collect();
    let zone = told.zone.iana_name().unwrap_or("UTC");
    notes.push(format!(
        "Each line is rounded once, halves to even. Days are those of {zone}. Usage is billed by single \
         events; the evidence of this invoice holds every one of them, and anybody can compute the \
         invoice again from it. Invoice {}.",
        told.invoice.summary.id
    ));
    notes
}
