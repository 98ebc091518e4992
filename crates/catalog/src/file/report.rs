//! Collects mistakes while a file is read.

use std::ops::Range;

use crate::diagnostic::{Diagnostic, Severity};

/// Most mistakes that are reported at once; a file with more is cut there.
pub(super) const DIAGNOSTICS_MAX: usize = 100;
/// How like two words must be for one to be suggested for the other.
const LIKENESS_MIN: f64 = 0.8;

/// The mistakes of one file so far.
pub(super) struct Report<'a> {
    file: &'a str,
    text: &'a str,
    found: Vec<Diagnostic>,
}

impl<'a> Report<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, found: Vec::new() }
    }

    pub(super) fn error(
        &mut self,
        span: &Range<usize>,
        message: impl Into<String>,
        hint: impl Into<Option<String>>,
    ) {
        self.add(Severity::Error, span, message.into(), hint.into());
    }

    pub(super) fn warn(
        &mut self,
        span: &Range<usize>,
        message: impl Into<String>,
        hint: impl Into<Option<String>>,
    ) {
        self.add(Severity::Warning, span, message.into(), hint.into());
    }

    fn add(
        &mut self,
        severity: Severity,
        span: &Range<usize>,
        message: String,
        hint: Option<String>,
    ) {
        let found = Diagnostic::new(severity, (self.file, self.text), span.clone(), message, hint);
        // Inherited parts are read once for each plan; their mistakes count once.
        if self.found.len() < DIAGNOSTICS_MAX && !self.found.contains(&found) {
            self.found.push(found);
        }
    }

    pub(super) fn has_errors(&self) -> bool {
        self.found.iter().any(|found| found.severity == Severity::Error)
    }

    /// In file order.
    pub(super) fn finish(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|found| (found.span.start, found.severity));
        self.found
    }
}

/// `did you mean ...`, or the words to choose from when they are few.
pub(super) fn suggest<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<String> {
    /// More choices than this are not listed.
    const LISTED_MAX: usize = 12;
    let known: Vec<&str> = known.into_iter().collect();
    let near = known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), *candidate))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|left, right| left.0.total_cmp(&right.0));
    match near {
        Some((_, candidate)) => Some(format!("did you mean `{candidate}`?")),
        None if known.is_empty() || known.len() > LISTED_MAX => None,
        None => Some(format!("known here: {}", known.join(", "))),
    }
}
