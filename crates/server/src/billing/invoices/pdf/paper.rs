//! Sheets of paper before they are a file: texts and lines at their places, and
//! which part of the document's structure each text belongs to.

use super::font::{Run, Weight, set, wrap};

/// A4, in points.
pub(super) const WIDTH: f32 = 595.28;
pub(super) const HEIGHT: f32 = 841.89;
/// Margin at both sides.
pub(super) const LEFT: f32 = 48.0;
pub(super) const RIGHT: f32 = WIDTH - LEFT;
/// Where a sheet's text begins, and where it ends at the latest.
pub(super) const TOP: f32 = 52.0;
pub(super) const BOTTOM: f32 = HEIGHT - 64.0;
/// Height of a line in parts of its size.
const LEADING: f32 = 1.42;

/// A colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Text,
    Muted,
    Line,
    Stamp,
    Alarm,
}

/// How a text is set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) size: f32,
    pub(super) weight: Weight,
    pub(super) ink: Ink,
}

impl Style {
    pub(super) const fn new(size: f32, weight: Weight, ink: Ink) -> Self {
        Self { size, weight, ink }
    }

    /// Height of a line.
    pub(super) fn leading(self) -> f32 {
        self.size * LEADING
    }

    /// From the upper edge of a line to where its letters stand.
    fn rise(self) -> f32 {
        self.size * 1.06
    }

    /// In lines of at most that width.
    pub(super) fn lines(self, text: &str, width: f32) -> Vec<Run> {
        wrap(text, self.weight, width / self.size)
    }

    /// In one line.
    pub(super) fn line(self, text: &str) -> Run {
        set(text, self.weight)
    }
}

/// A part of the document's structure, for those who listen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Title,
    Paragraph,
    Table,
    Head,
    Body,
    Row,
    ColumnName,
    RowName,
    Cell,
}

/// The number of a part.
pub(super) type Part = usize;

/// Something on a sheet.
pub(super) enum Mark {
    Text {
        x: f32,
        /// Where the letters stand.
        y: f32,
        style: Style,
        run: Run,
        /// Without one it is decoration: repeated heads, numbers of pages.
        part: Option<Part>,
    },
    /// A horizontal line.
    Rule { x: f32, y: f32, width: f32, weight: f32, ink: Ink },
    /// A word across the sheet, behind everything.
    Stamp { run: Run, size: f32 },
}

/// One sheet.
#[derive(Default)]
pub(super) struct Sheet {
    pub(super) marks: Vec<Mark>,
}

/// Where a text stands in its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// A text of one line in a row.
pub(super) struct Piece {
    pub(super) x: f32,
    pub(super) side: Side,
    pub(super) style: Style,
    pub(super) run: Run,
    pub(super) part: Option<Part>,
}

/// One line over the whole width of a table: it is not cut by the end of a sheet.
#[derive(Default)]
pub(super) struct Strip {
    pub(super) pieces: Vec<Piece>,
    pub(super) height: f32,
}

/// All sheets, and the place where the next text goes.
pub(super) struct Paper {
    pub(super) sheets: Vec<Sheet>,
    pub(super) parts: Vec<(Role, Option<Part>)>,
    pub(super) y: f32,
}

impl Paper {
    pub(super) fn new() -> Self {
        Self { sheets: vec![Sheet::default()], parts: Vec::new(), y: TOP }
    }

    /// A part of the structure, inside another.
    pub(super) fn part(&mut self, role: Role, inside: Option<Part>) -> Part {
        self.parts.push((role, inside));
        self.parts.len() - 1
    }

    pub(super) fn put(&mut self, mark: Mark) {
        if let Some(sheet) = self.sheets.last_mut() {
            sheet.marks.push(mark);
        }
    }

    /// A set text whose line begins at `y`; `x` is its left or its right edge.
    pub(super) fn place(&mut self, y: f32, piece: Piece) {
        let Piece { x, side, style, run, part } = piece;
        let x = match side {
            Side::Left => x,
            Side::Right => x - run.width * style.size,
        };
        self.put(Mark::Text { x, y: y + style.rise(), style, run, part });
    }

    /// A line from margin to margin.
    pub(super) fn rule(&mut self, weight: f32) {
        let (y, width) = (self.y, RIGHT - LEFT);
        self.put(Mark::Rule { x: LEFT, y, width, weight, ink: Ink::Line });
    }

    /// Whether so much fits below.
    pub(super) fn fits(&self, height: f32) -> bool {
        self.y + height <= BOTTOM
    }

    /// An empty sheet.
    pub(super) fn turn(&mut self) {
        self.sheets.push(Sheet::default());
        self.y = TOP;
    }

    /// A strip at the present place.
    pub(super) fn strip(&mut self, strip: Strip) {
        let y = self.y;
        self.y += strip.height;
        for piece in strip.pieces {
            self.place(y, piece);
        }
    }

    /// A text in lines of its own; returns where it ends.
    pub(super) fn block(
        &mut self,
        (x, y, width): (f32, f32, f32),
        style: Style,
        text: &str,
        part: Option<Part>,
    ) -> f32 {
        let mut at = y;
        for run in style.lines(text, width) {
            self.place(at, Piece { x, side: Side::Left, style, run, part });
            at += style.leading();
        }
        at
    }
}
