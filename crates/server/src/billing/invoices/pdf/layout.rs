//! Where everything of an invoice stands: its head, its lines over as many sheets as
//! they need, its sums. What is paid or credited later is not on it: the document is
//! the one that was issued, until it is void.

use super::{
    below,
    font::Weight,
    paper::{BOTTOM, Ink, LEFT, Mark, Paper, Part, Piece, RIGHT, Role, Side, Strip, Style, TOP},
};
use crate::billing::invoices::{
    InvoiceStatus,
    model::InvoiceLine,
    told::Told,
    words::{self, Party},
};

const NAME: Style = Style::new(13.0, Weight::SemiBold, Ink::Text);
const TITLE: Style = Style::new(21.0, Weight::SemiBold, Ink::Text);
const NUMBER: Style = Style::new(11.0, Weight::Regular, Ink::Text);
const ALARM: Style = Style::new(9.5, Weight::SemiBold, Ink::Alarm);
const DUE: Style = Style::new(15.0, Weight::SemiBold, Ink::Text);
pub(super) const BODY: Style = Style::new(9.5, Weight::Regular, Ink::Text);
const STRONG: Style = Style::new(9.5, Weight::SemiBold, Ink::Text);
pub(super) const TOTAL: Style = Style::new(11.0, Weight::SemiBold, Ink::Text);
pub(super) const SMALL: Style = Style::new(8.2, Weight::Regular, Ink::Muted);
const LABEL: Style = Style::new(8.2, Weight::SemiBold, Ink::Muted);

/// Left edges and widths of the three columns of the head.
const THIRDS: [(f32, f32); 3] = [(LEFT, 150.0), (LEFT + 160.0, 150.0), (LEFT + 320.0, 179.0)];
/// Of that, for the labels of the third.
const FACT_LABEL: f32 = 48.0;
const WHAT: f32 = LEFT + 24.0;
pub(super) const WHAT_WIDTH: f32 = 300.0;
pub(super) const QUANTITY: f32 = RIGHT - 84.0;
const QUANTITY_WIDTH: f32 = 88.0;
/// Space above and below the text of a row.
const PADDING: f32 = 5.0;

/// The sheets of an invoice.
pub(super) fn lay_out(told: &Told) -> Paper {
    let mut paper = Paper::new();
    stamp(&mut paper, told);
    head(&mut paper, told);
    lines(&mut paper, told);
    below::sums(&mut paper, told);
    below::notes(&mut paper, told);
    below::feet(&mut paper, told);
    paper
}

/// `Invoice ACME-000042`
pub(super) fn title(told: &Told) -> String {
    match &told.invoice.summary.number {
        Some(number) => format!("Invoice {number}"),
        None => "Draft invoice".to_owned(),
    }
}

fn stamp(paper: &mut Paper, told: &Told) {
    if let Some(word) = words::stamp(told.invoice.summary.status) {
        paper.put(Mark::Stamp { run: TITLE.line(word), size: 150.0 });
    }
}

/// An empty sheet that says what it continues.
pub(super) fn turn(paper: &mut Paper, told: &Told) {
    paper.turn();
    stamp(paper, told);
    let run = SMALL.line(&format!("{}, continued", title(told)));
    paper.place(TOP, Piece { x: LEFT, side: Side::Left, style: SMALL, run, part: None });
    paper.y = TOP + 20.0;
}

fn head(paper: &mut Paper, told: &Told) {
    let summary = &told.invoice.summary;
    let seller = words::seller(told.seller());
    let part = paper.part(Role::Paragraph, None);
    let below_name = paper.block((LEFT, TOP + 4.0, 280.0), NAME, &seller.name, Some(part));
    let part = paper.part(Role::Title, None);
    let right = |style: Style, text: &str| Piece {
        x: RIGHT,
        side: Side::Right,
        style,
        run: style.line(text),
        part: Some(part),
    };
    let word = if summary.number.is_some() { "Invoice" } else { "Draft invoice" };
    paper.place(TOP, right(TITLE, word));
    let mut below = TOP + TITLE.leading();
    if let Some(number) = &summary.number {
        paper.place(below, right(NUMBER, number));
        below += NUMBER.leading();
    }
    if let Some(text) = alarm(told) {
        let part = paper.part(Role::Paragraph, None);
        for run in ALARM.lines(&text, 280.0) {
            let piece = Piece { x: RIGHT, side: Side::Right, style: ALARM, run, part: Some(part) };
            paper.place(below + 3.0, piece);
            below += ALARM.leading();
        }
    }
    paper.y = below.max(below_name) + 26.0;
    let top = paper.y;
    let from = party(paper, top, THIRDS[0], "From", &seller);
    let to = party(paper, top, THIRDS[1], "Billed to", &words::buyer(told.buyer()));
    let facts = facts(paper, top, told);
    paper.y = from.max(to).max(facts) + 24.0;
    let part = paper.part(Role::Paragraph, None);
    let place = (LEFT, paper.y, RIGHT - LEFT);
    paper.y = paper.block(place, DUE, &due(told), Some(part)) + 16.0;
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

fn party(paper: &mut Paper, top: f32, (x, width): (f32, f32), label: &str, party: &Party) -> f32 {
    let part = paper.part(Role::Paragraph, None);
    let mut y = paper.block((x, top, width), LABEL, label, Some(part)) + 2.0;
    y = paper.block((x, y, width), STRONG, &party.name, Some(part));
    for line in &party.lines {
        y = paper.block((x, y, width), BODY, line, Some(part));
    }
    y
}

fn facts(paper: &mut Paper, top: f32, told: &Told) -> f32 {
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
    let (x, width) = THIRDS[2];
    let part = paper.part(Role::Paragraph, None);
    let mut y = paper.block((x, top, width), LABEL, "Details", Some(part)) + 2.0;
    for (label, value) in facts {
        let Some(value) = value else { continue };
        let piece =
            Piece { x, side: Side::Left, style: SMALL, run: SMALL.line(label), part: Some(part) };
        paper.place(y + 1.2, piece);
        let place = (x + FACT_LABEL, y, width - FACT_LABEL);
        y = paper.block(place, BODY, &value, Some(part));
    }
    y
}

/// The heads of the columns: read out once, repeated on every sheet.
fn columns(paper: &mut Paper, table: Option<Part>) {
    let row = table.map(|table| {
        let head = paper.part(Role::Head, Some(table));
        paper.part(Role::Row, Some(head))
    });
    paper.rule(0.8);
    let y = paper.y + PADDING;
    let heads = [
        (LEFT, Side::Left, "No."),
        (WHAT, Side::Left, "What, and how its amount comes about"),
        (QUANTITY, Side::Right, "Quantity"),
        (RIGHT, Side::Right, "Amount"),
    ];
    for (x, side, text) in heads {
        let part = row.map(|row| paper.part(Role::ColumnName, Some(row)));
        paper.place(y, Piece { x, side, style: LABEL, run: LABEL.line(text), part });
    }
    paper.y = y + LABEL.leading() + PADDING;
    paper.rule(0.8);
}

fn lines(paper: &mut Paper, told: &Told) {
    let table = paper.part(Role::Table, None);
    columns(paper, Some(table));
    let body = paper.part(Role::Body, Some(table));
    for line in &told.invoice.lines {
        let row = row(paper, body, line, told);
        add(paper, told, row);
    }
    if told.invoice.lines.is_empty() {
        let row = paper.part(Role::Row, Some(body));
        let part = paper.part(Role::Cell, Some(row));
        let run = BODY.line("Nothing is charged for this period.");
        let piece = Piece { x: WHAT, side: Side::Left, style: BODY, run, part: Some(part) };
        add(paper, told, vec![Strip { pieces: vec![piece], height: BODY.leading() }]);
    }
}

/// A row stays whole where a sheet can hold it, and is cut between its lines where none can.
fn add(paper: &mut Paper, told: &Told, row: Vec<Strip>) {
    let height = row.iter().map(|strip| strip.height).sum::<f32>() + 2.0 * PADDING;
    let sheet = BOTTOM - TOP - 60.0;
    if !paper.fits(height) && height <= sheet {
        turn(paper, told);
        columns(paper, None);
    }
    paper.y += PADDING;
    for strip in row {
        if !paper.fits(strip.height) {
            turn(paper, told);
            columns(paper, None);
            paper.y += PADDING;
        }
        paper.strip(strip);
    }
    paper.y += PADDING;
    paper.rule(0.4);
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
