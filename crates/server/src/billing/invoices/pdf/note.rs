//! What a credit note says, and where: which invoice it takes a part back of, how much, why, and
//! where that went. Like an invoice, it never changes: what happens to the invoice later is not on it.

use tenure_core::Money;

use super::{
    frame::{BODY, Column, Frame, SMALL, Sum, TOTAL, WHAT, WHAT_WIDTH},
    paper::{LEFT, Paper, Piece, RIGHT, Role, Side, Strip},
};
use crate::billing::invoices::{model::CreditNote, told::Told, words};

const COLUMNS: &[Column] = &[
    (LEFT, Side::Left, "No."),
    (WHAT, Side::Left, "What is taken back, and why"),
    (RIGHT, Side::Right, "Amount"),
];

/// `Credit note ACME-CN-000007`
pub(super) fn title(note: &CreditNote) -> String {
    format!("Credit note {}", note.number)
}

/// The sheets of a credit note.
pub(super) fn lay_out(told: &Told, note: &CreditNote) -> Paper {
    let mut paper = Paper::new();
    let frame = frame(told, note);
    frame.head(&mut paper);
    row(&mut paper, &frame, told, note);
    frame.sums(&mut paper, sums(told, note));
    frame.notes(&mut paper, notes(told, note));
    frame.feet(&mut paper);
    paper
}

/// The invoice by its number; only one that was issued has credit notes.
fn invoice(told: &Told) -> String {
    let summary = &told.invoice.summary;
    summary.number.clone().unwrap_or_else(|| summary.id.to_string())
}

fn frame(told: &Told, note: &CreditNote) -> Frame {
    let summary = &told.invoice.summary;
    let period = words::period(summary.period_start, summary.period_end, &told.zone);
    let facts = [
        ("Issued", Some(words::date(note.created_at, &told.zone))),
        ("Invoice", Some(invoice(told))),
        ("of", summary.issued_at.map(|at| words::date(at, &told.zone))),
        ("Period", Some(period)),
        ("Product", Some(told.product.clone())),
    ];
    Frame {
        word: "Credit note",
        number: Some(note.number.clone()),
        title: title(note),
        stamp: None,
        alarm: None,
        seller: words::seller(told.seller()),
        buyer: ("Credited to", words::buyer(told.buyer())),
        facts: facts.into_iter().filter_map(|(label, value)| Some((label, value?))).collect(),
        lead: format!("{} credited for invoice {}", note.amount.display(), invoice(told)),
        columns: COLUMNS,
    }
}

fn row(paper: &mut Paper, frame: &Frame, told: &Told, note: &CreditNote) {
    let body = frame.table(paper);
    let row = paper.part(Role::Row, Some(body));
    let [no, what, amount] =
        [Role::Cell, Role::RowName, Role::Cell].map(|role| paper.part(role, Some(row)));
    let piece = |x, side, style, run, part| Piece { x, side, style, run, part: Some(part) };
    let total = told.invoice.summary.total.display();
    let of = format!("Of invoice {}, over {total}", invoice(told));
    let mut strips: Vec<Strip> = Vec::new();
    for (style, text) in [(BODY, &note.reason), (SMALL, &of)] {
        for run in style.lines(text, WHAT_WIDTH) {
            let pieces = vec![piece(WHAT, Side::Left, style, run, what)];
            strips.push(Strip { pieces, height: style.leading() });
        }
    }
    if let Some(first) = strips.first_mut() {
        let net = less(note.amount, note.tax).display();
        first.pieces.push(piece(LEFT, Side::Left, BODY, BODY.line("1"), no));
        first.pieces.push(piece(RIGHT, Side::Right, BODY, BODY.line(&net), amount));
    }
    frame.add(paper, strips);
}

/// The amount with its tax, and what became of it.
fn sums(told: &Told, note: &CreditNote) -> Vec<Sum> {
    let mut sums = Vec::new();
    if !note.tax.is_zero() {
        let net = less(note.amount, note.tax);
        sums.push(("Subtotal".to_owned(), net.display(), BODY));
        sums.push((tax(told), note.tax.display(), BODY));
    }
    sums.push(("Total credited".to_owned(), note.amount.display(), TOTAL));
    let owed = less(note.amount, note.to_balance);
    for (label, amount) in
        [("Less to be paid on the invoice", owed), ("Put on the balance", note.to_balance)]
    {
        if !amount.is_zero() {
            sums.push((label.to_owned(), amount.display(), BODY));
        }
    }
    sums
}

/// What is left of an amount: neither tax nor what went to the balance is ever more than it.
fn less(amount: Money, part: Money) -> Money {
    Money::from_minor(amount.minor() - part.minor(), amount.currency())
}

/// The tax by its name, where the invoice has one only: it is taken back in proportion.
fn tax(told: &Told) -> String {
    match told.invoice.taxes.as_slice() {
        [one] => format!("{} {}%", one.name, one.percent.normalize()),
        _ => "Tax".to_owned(),
    }
}

fn notes(told: &Told, note: &CreditNote) -> Vec<String> {
    let mut notes: Vec<String> =
        told.invoice.taxes.iter().filter_map(|tax| tax.note.clone()).collect();
    let zone = told.zone.iana_name().unwrap_or("UTC");
    let invoice = invoice(told);
    notes.push(format!(
        "This credit note belongs to invoice {invoice}, which stands as it was issued. Tax is taken back in \
         the proportion of the amounts. Days are those of {zone}. Credit note {}.",
        note.id
    ));
    notes
}
