//! What stands below the lines: sums, notes, and the foot of every sheet.

use super::{
    layout::{BODY, QUANTITY, SMALL, TOTAL, WHAT_WIDTH, title, turn},
    paper::{HEIGHT, LEFT, Mark, Paper, Piece, RIGHT, Role, Side, Strip},
};
use crate::billing::invoices::{InvoiceStatus, told::Told, words};

/// What the lines come to.
pub(super) fn sums(paper: &mut Paper, told: &Told) {
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
    let table = paper.part(Role::Table, None);
    let body = paper.part(Role::Body, Some(table));
    let mut strips = Vec::new();
    for (label, amount, style) in sums {
        let row = paper.part(Role::Row, Some(body));
        let (name, cell) =
            (paper.part(Role::RowName, Some(row)), paper.part(Role::Cell, Some(row)));
        let right = |x, run, part| Piece { x, side: Side::Right, style, run, part: Some(part) };
        for (index, run) in style.lines(&label, WHAT_WIDTH).into_iter().enumerate() {
            let mut pieces = vec![right(QUANTITY, run, name)];
            if index == 0 {
                pieces.push(right(RIGHT, style.line(&amount), cell));
            }
            strips.push(Strip { pieces, height: style.leading() + 3.0 });
        }
    }
    let height = strips.iter().map(|strip| strip.height).sum::<f32>() + 8.0;
    if !paper.fits(height) {
        turn(paper, told);
    }
    paper.y += 8.0;
    for strip in strips {
        if !paper.fits(strip.height) {
            turn(paper, told);
        }
        paper.strip(strip);
    }
}

/// What has to be said beside it.
pub(super) fn notes(paper: &mut Paper, told: &Told) {
    let mut notes: Vec<String> =
        told.invoice.taxes.iter().filter_map(|tax| tax.note.clone()).collect();
    let zone = told.zone.iana_name().unwrap_or("UTC");
    notes.push(format!(
        "Each line is rounded once, halves to even. Days are those of {zone}. Usage is billed by single \
         events; the evidence of this invoice holds every one of them, and anybody can compute the \
         invoice again from it. Invoice {}.",
        told.invoice.summary.id
    ));
    paper.y += 18.0;
    for note in notes {
        let part = paper.part(Role::Paragraph, None);
        for run in SMALL.lines(&note, RIGHT - LEFT) {
            if !paper.fits(SMALL.leading()) {
                turn(paper, told);
            }
            let piece = Piece { x: LEFT, side: Side::Left, style: SMALL, run, part: Some(part) };
            paper.strip(Strip { pieces: vec![piece], height: SMALL.leading() });
        }
        paper.y += 4.0;
    }
}

/// The foot of every sheet, once it is known how many there are.
pub(super) fn feet(paper: &mut Paper, told: &Told) {
    let of = format!("{}, {}", words::seller(told.seller()).name, title(told));
    let count = paper.sheets.len();
    let left = SMALL.lines(&of, 380.0).into_iter().next();
    for (index, sheet) in paper.sheets.iter_mut().enumerate() {
        let y = HEIGHT - 36.0;
        let page = SMALL.line(&format!("Page {} of {count}", index + 1));
        let x = RIGHT - page.width * SMALL.size;
        sheet.marks.push(Mark::Text { x, y, style: SMALL, run: page, part: None });
        if let Some(run) = left.clone() {
            sheet.marks.push(Mark::Text { x: LEFT, y, style: SMALL, run, part: None });
        }
    }
}
