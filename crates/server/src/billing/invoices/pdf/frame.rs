//! What every document of ours looks like: its head, a table over as many sheets as it needs, sums,
//! notes, feet. What is said in them is the document's own: an invoice's, a credit note's.

use super::{
    font::Weight,
    paper::{
        BOTTOM, HEIGHT, Ink, LEFT, Mark, Paper, Part, Piece, RIGHT, Role, Side, Strip, Style, TOP,
    },
};
use crate::billing::invoices::words::Party;

const NAME: Style = Style::new(13.0, Weight::SemiBold, Ink::Text);
const TITLE: Style = Style::new(21.0, Weight::SemiBold, Ink::Text);
const NUMBER: Style = Style::new(11.0, Weight::Regular, Ink::Text);
const ALARM: Style = Style::new(9.5, Weight::SemiBold, Ink::Alarm);
const LEAD: Style = Style::new(15.0, Weight::SemiBold, Ink::Text);
pub(super) const BODY: Style = Style::new(9.5, Weight::Regular, Ink::Text);
const STRONG: Style = Style::new(9.5, Weight::SemiBold, Ink::Text);
pub(super) const TOTAL: Style = Style::new(11.0, Weight::SemiBold, Ink::Text);
pub(super) const SMALL: Style = Style::new(8.2, Weight::Regular, Ink::Muted);
const LABEL: Style = Style::new(8.2, Weight::SemiBold, Ink::Muted);

/// Left edges and widths of the three columns of the head.
const THIRDS: [(f32, f32); 3] = [(LEFT, 150.0), (LEFT + 160.0, 150.0), (LEFT + 320.0, 179.0)];
/// Of that, for the labels of the third.
const FACT_LABEL: f32 = 48.0;
/// Where the words of a row stand, and where its numbers end.
pub(super) const WHAT: f32 = LEFT + 24.0;
pub(super) const WHAT_WIDTH: f32 = 300.0;
pub(super) const QUANTITY: f32 = RIGHT - 84.0;
pub(super) const QUANTITY_WIDTH: f32 = 88.0;
/// Space above and below the text of a row.
const PADDING: f32 = 5.0;

/// The head of a column, and where it stands.
pub(super) type Column = (f32, Side, &'static str);

/// What a document says in the places that each has.
pub(super) struct Frame {
    /// What it is: `Invoice`.
    pub(super) word: &'static str,
    /// Where it has one.
    pub(super) number: Option<String>,
    /// Both, for whoever sees one sheet: `Invoice ACME-000042`.
    pub(super) title: String,
    /// A word across each sheet.
    pub(super) stamp: Option<&'static str>,
    /// What makes it no document to be paid.
    pub(super) alarm: Option<String>,
    pub(super) seller: Party,
    /// The other party, and what it is: `Billed to`.
    pub(super) buyer: (&'static str, Party),
    /// Dates and names.
    pub(super) facts: Vec<(&'static str, String)>,
    /// What it comes to, in large letters.
    pub(super) lead: String,
    /// The heads of its table.
    pub(super) columns: &'static [Column],
}

/// An amount below the table, and how it is set.
pub(super) type Sum = (String, String, Style);

impl Frame {
    /// What stands above the table.
    pub(super) fn head(&self, paper: &mut Paper) {
        self.mark(paper);
        let part = paper.part(Role::Paragraph, None);
        let below_name = paper.block((LEFT, TOP + 4.0, 280.0), NAME, &self.seller.name, Some(part));
        let below = self.name(paper);
        paper.y = below.max(below_name) + 26.0;
        let top = paper.y;
        let from = party(paper, top, THIRDS[0], "From", &self.seller);
        let to = party(paper, top, THIRDS[1], self.buyer.0, &self.buyer.1);
        let facts = self.facts(paper, top);
        paper.y = from.max(to).max(facts) + 24.0;
        let part = paper.part(Role::Paragraph, None);
        let place = (LEFT, paper.y, RIGHT - LEFT);
        paper.y = paper.block(place, LEAD, &self.lead, Some(part)) + 16.0;
    }

    fn mark(&self, paper: &mut Paper) {
        if let Some(word) = self.stamp {
            paper.put(Mark::Stamp { run: TITLE.line(word), size: 150.0 });
        }
    }

    /// An empty sheet that says what it continues.
    fn turn(&self, paper: &mut Paper) {
        paper.turn();
        self.mark(paper);
        let run = SMALL.line(&format!("{}, continued", self.title));
        paper.place(TOP, Piece { x: LEFT, side: Side::Left, style: SMALL, run, part: None });
        paper.y = TOP + 20.0;
    }

    /// What it is, in the corner; returns where that ends.
    fn name(&self, paper: &mut Paper) -> f32 {
        let part = paper.part(Role::Title, None);
        let right = |style: Style, text: &str| Piece {
            x: RIGHT,
            side: Side::Right,
            style,
            run: style.line(text),
            part: Some(part),
        };
        paper.place(TOP, right(TITLE, self.word));
        let mut below = TOP + TITLE.leading();
        if let Some(number) = &self.number {
            paper.place(below, right(NUMBER, number));
            below += NUMBER.leading();
        }
        if let Some(text) = &self.alarm {
            let part = paper.part(Role::Paragraph, None);
            for run in ALARM.lines(text, 280.0) {
                let piece =
                    Piece { x: RIGHT, side: Side::Right, style: ALARM, run, part: Some(part) };
                paper.place(below + 3.0, piece);
                below += ALARM.leading();
            }
        }
        below
    }

    fn facts(&self, paper: &mut Paper, top: f32) -> f32 {
        let (x, width) = THIRDS[2];
        let part = paper.part(Role::Paragraph, None);
        let mut y = paper.block((x, top, width), LABEL, "Details", Some(part)) + 2.0;
        for (label, value) in &self.facts {
            let run = SMALL.line(label);
            let piece = Piece { x, side: Side::Left, style: SMALL, run, part: Some(part) };
            paper.place(y + 1.2, piece);
            let place = (x + FACT_LABEL, y, width - FACT_LABEL);
            y = paper.block(place, BODY, value, Some(part));
        }
        y
    }

    /// The table begins; rows are added to what it returns.
    pub(super) fn table(&self, paper: &mut Paper) -> Part {
        let table = paper.part(Role::Table, None);
        self.columns(paper, Some(table));
        paper.part(Role::Body, Some(table))
    }

    /// The heads of the columns: read out once, repeated on every sheet.
    fn columns(&self, paper: &mut Paper, table: Option<Part>) {
        let row = table.map(|table| {
            let head = paper.part(Role::Head, Some(table));
            paper.part(Role::Row, Some(head))
        });
        paper.rule(0.8);
        let y = paper.y + PADDING;
        for (x, side, text) in self.columns {
            let part = row.map(|row| paper.part(Role::ColumnName, Some(row)));
            let (x, side) = (*x, *side);
            paper.place(y, Piece { x, side, style: LABEL, run: LABEL.line(text), part });
        }
        paper.y = y + LABEL.leading() + PADDING;
        paper.rule(0.8);
    }

    /// A row stays whole where a sheet can hold it, and is cut between its lines where none can.
    pub(super) fn add(&self, paper: &mut Paper, row: Vec<Strip>) {
        let height = row.iter().map(|strip| strip.height).sum::<f32>() + 2.0 * PADDING;
        let sheet = BOTTOM - TOP - 60.0;
        if !paper.fits(height) && height <= sheet {
            self.turn(paper);
            self.columns(paper, None);
        }
        paper.y += PADDING;
        for strip in row {
            if !paper.fits(strip.height) {
                self.turn(paper);
                self.columns(paper, None);
                paper.y += PADDING;
            }
            paper.strip(strip);
        }
        paper.y += PADDING;
        paper.rule(0.4);
    }

    /// What the rows come to.
    pub(super) fn sums(&self, paper: &mut Paper, sums: Vec<Sum>) {
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
            self.turn(paper);
        }
        paper.y += 8.0;
        for strip in strips {
            if !paper.fits(strip.height) {
                self.turn(paper);
            }
            paper.strip(strip);
        }
    }

    /// What has to be said beside it.
    pub(super) fn notes(&self, paper: &mut Paper, notes: Vec<String>) {
        paper.y += 18.0;
        for note in notes {
            let part = paper.part(Role::Paragraph, None);
            for run in SMALL.lines(&note, RIGHT - LEFT) {
                if !paper.fits(SMALL.leading()) {
                    self.turn(paper);
                }
                let piece =
                    Piece { x: LEFT, side: Side::Left, style: SMALL, run, part: Some(part) };
                paper.strip(Strip { pieces: vec![piece], height: SMALL.leading() });
            }
            paper.y += 4.0;
        }
    }

    /// The foot of every sheet, once it is known how many there are.
    pub(super) fn feet(&self, paper: &mut Paper) {
        let of = format!("{}, {}", self.seller.name, self.title);
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
