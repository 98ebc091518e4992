//! The usage ledger and the report that carries it.
//!
//! A ledger is a hash chain ([`crate::chain`]) of usage that an installation
//! keeps. A report is a stretch of it, as lines of text:
//!
//! ```text
//! eyJhbGciOiJFZERTQSIs...                      the signed head ([`ReportHead`])
//! {"seq":1,"hash":"9f...","content":"{...}"}   an entry a line
//! ```
//!
//! The signature covers the entries through the hash of the last one. Files
//! are compressed (zstd) by whoever writes them; here is text only.
//!
//! Owns: the entry's content, the lines, and the check of a whole report.
//! Refuses: gaps, edits, forks, and reports that do not continue what is known.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenure_core::Quantity;

use crate::{
    Digest,
    chain::{self, Break, Entry, Head},
    instance::{self, InstanceKey, ReportHead, Stated},
    numbering::{self, NUMBER_MAX},
};

/// Entries of one report at most.
pub const ENTRIES_MAX: usize = 1_000_000;
/// Events of one entry at most.
pub const EVENTS_MAX: usize = 500;
/// Longest line, in bytes.
pub const LINE_LEN_MAX: usize = 1024 * 1024;

/// What an entry says: usage that was taken in together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// When it was taken in, by the installation's clock (never before its time floor).
    pub at: Timestamp,
    /// The ledger that numbered the events, by the thumbprint of its key. Another one than the
    /// report's own where a new key took over what the one before had not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger: Option<String>,
    /// The number of each event among those of its source in that ledger ([`crate::numbering`]);
    /// 0: it has none, and counts once by its name. None at all: as if all were 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<u64>,
    /// What these events took of slices of quotas.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken: Vec<TakenOfSlice>,
    /// CloudEvents, as the usage API takes them; at most [`EVENTS_MAX`].
    pub events: Vec<Value>,
}

/// A part of a slice of a quota that was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakenOfSlice {
    /// The slice's name.
    pub slice: String,
    /// How much, in the unit of the meter's events.
    pub quantity: Quantity,
}

impl Content {
    /// Events without numbers.
    pub const fn new(at: Timestamp, events: Vec<Value>) -> Self {
        Self { at, ledger: None, numbers: Vec::new(), taken: Vec::new(), events }
    }

    fn check_numbers(&self) -> Result<(), String> {
        if self.taken.len() > EVENTS_MAX {
            return Err(format!("an entry takes of at most {EVENTS_MAX} slices"));
        }
        if self.numbers.is_empty() {
            return Ok(());
        }
        if self.numbers.len() != self.events.len() {
            return Err("it has not as many numbers as events".into());
        }
        if !self.ledger.as_deref().is_some_and(numbering::is_ledger) {
            return Err("it does not say which ledger gave the numbers".into());
        }
        match self.numbers.iter().any(|number| *number > NUMBER_MAX) {
            true => Err(format!("numbers go up to {NUMBER_MAX}")),
            false => Ok(()),
        }
    }
}

/// An entry as a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Its number, from 1.
    pub seq: u64,
    /// Its [`chain::link`].
    pub hash: Digest,
    /// The JSON of a [`Content`]; these very bytes are hashed.
    pub content: String,
}

/// Why a report is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The head is not signed by the instance.
    #[error(transparent)]
    Head(#[from] instance::Error),
    /// The file is empty.
    #[error("the report is empty")]
    Empty,
    /// A line that is not an entry.
    #[error("line {0} is not a ledger entry: {1}")]
    Line(usize, String),
    /// A named limit.
    #[error("the report has more than {ENTRIES_MAX} entries; export it in parts")]
    TooLong,
    /// The chain is broken.
    #[error("{0}")]
    Chain(#[from] Break),
    /// The entries do not end where the signed head says.
    #[error(
        "the entries end at {found}, the signed head says {signed}: the report was cut or extended"
    )]
    End {
        /// What the signature says.
        signed: u64,
        /// The last entry in the file.
        found: u64,
    },
}

impl Error {
    /// The stable name of the reason.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Head(error) => error.code(),
            Self::Empty => "report_empty",
            Self::Line(..) => "report_bad_line",
            Self::TooLong => "report_too_long",
            Self::Chain(error) => error.code(),
            Self::End { .. } => "report_wrong_end",
        }
    }
}

/// A report whose signature and chain were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Who says so, and which stretch.
    pub head: Stated<ReportHead>,
    /// The entries, in order.
    pub lines: Vec<Line>,
}

/// The entry that follows `head` with that content, and its line.
pub fn append(head: Option<Head>, content: &Content) -> Result<Line, String> {
    if content.events.len() > EVENTS_MAX {
        return Err(format!("an entry has at most {EVENTS_MAX} events"));
    }
    let content = serde_json::to_string(content).map_err(|error| error.to_string())?;
    if content.len() > LINE_LEN_MAX / 2 {
        return Err(format!("an entry has at most {} bytes", LINE_LEN_MAX / 2));
    }
    let entry = Head::append(head, content);
    Ok(Line { seq: entry.seq, hash: entry.hash, content: entry.bytes })
}

impl Line {
    /// The chain's head once this is its last entry.
    pub const fn head(&self) -> Head {
        Head { seq: self.seq, hash: self.hash }
    }

    /// What it says.
    pub fn read(&self) -> Result<Content, String> {
        let content: Content = crate::json::read(self.content.as_bytes())?;
        if content.events.len() > EVENTS_MAX {
            return Err(format!("an entry has at most {EVENTS_MAX} events"));
        }
        content.check_numbers()?;
        Ok(content)
    }
}

/// Writes a report: `head` signed, then the lines.
pub fn write(head: &ReportHead, key: &InstanceKey, lines: &[Line]) -> Result<String, Error> {
    let mut report = instance::sign(head, key)?;
    for line in lines {
        report.push('\n');
        let text = serde_json::to_string(line).map_err(|e| Error::Line(0, e.to_string()))?;
        report.push_str(&text);
    }
    report.push('\n');
    Ok(report)
}

/// Reads a report: the signature of its head, its chain from `head.after`, and
/// that it ends where the head says. Whose key it is, and whether `after` is
/// what the reader knows, is for the caller.
pub fn read(report: &str) -> Result<Report, Error> {
    let mut rows = report.lines().enumerate();
    let first = rows.next().map(|(_, row)| row).filter(|row| !row.is_empty());
    let head = instance::verify::<ReportHead>(first.ok_or(Error::Empty)?)?;
    let mut lines = Vec::new();
    let mut end = head.claims().after;
    for (index, row) in rows {
        if lines.len() == ENTRIES_MAX {
            return Err(Error::TooLong);
        }
        let line = read_line(index + 1, row)?;
        let prev = end.map(|head| head.hash);
        let entry = Entry { seq: line.seq, prev, hash: line.hash, bytes: &line.content };
        end = Some(chain::follow(end, &entry)?);
        lines.push(line);
    }
    let signed = head.claims().through;
    match end {
        Some(found) if found == signed => Ok(Report { head, lines }),
        found => Err(Error::End { signed: signed.seq, found: found.map_or(0, |found| found.seq) }),
    }
}

fn read_line(number: usize, row: &str) -> Result<Line, Error> {
    if row.len() > LINE_LEN_MAX {
        return Err(Error::Line(number, format!("longer than {LINE_LEN_MAX} bytes")));
    }
    crate::json::read(row.as_bytes()).map_err(|error| Error::Line(number, error))
}
