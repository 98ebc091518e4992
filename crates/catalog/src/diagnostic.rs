//! Mistakes in a product file, shown as a good compiler shows them.
//!
//! Owns: where a span of bytes lies in the text, and how that is drawn.

use std::{fmt, ops::Range};

/// Longest part of a source line that is drawn, in characters.
pub const SOURCE_CHARS_MAX: usize = 160;

/// How grave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is accepted.
    Warning,
}

/// One mistake, with the place and a way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How grave.
    pub severity: Severity,
    /// One sentence.
    pub message: String,
    /// Name of the file, as given.
    pub file: String,
    /// Bytes of the file.
    pub span: Range<usize>,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The line that the span starts in, cut at [`SOURCE_CHARS_MAX`].
    pub source_line: String,
    /// How many characters of the line are meant; at least 1.
    pub width: usize,
    /// The way out.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A diagnostic about the bytes `span` of `text`; a span outside the text
    /// is moved to its end.
    pub(crate) fn new(
        severity: Severity,
        (file, text): (&str, &str),
        span: Range<usize>,
        message: String,
        hint: Option<String>,
    ) -> Self {
        let start = floor(text, span.start);
        let end = floor(text, span.end.max(start));
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let rest = text.get(line_start..).unwrap_or_default();
        let full = rest.split('\n').next().unwrap_or_default().trim_end_matches('\r');
        let column = text.get(line_start..start).unwrap_or_default().chars().count() + 1;
        let meant = text.get(start..end.min(line_start + full.len()).max(start));
        Self {
            severity,
            message,
            file: file.to_owned(),
            span: start..end,
            line: before.matches('\n').count() + 1,
            column,
            source_line: full.chars().take(SOURCE_CHARS_MAX).collect(),
            width: meant.unwrap_or_default().chars().count().max(1),
            hint,
        }
    }
}

fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let gutter = self.line.to_string().len();
        writeln!(f, "{word}: {}", self.message)?;
        writeln!(f, "{:gutter$}--> {}:{}:{}", "", self.file, self.line, self.column)?;
        writeln!(f, "{:gutter$} |", "")?;
        writeln!(f, "{} | {}", self.line, self.source_line.replace('\t', " "))?;
        // Past the drawn part of the line, the caret stands at its end.
        let drawn = self.source_line.chars().count();
        let indent = (self.column - 1).min(drawn);
        let carets = self.width.min((drawn - indent).max(1));
        write!(f, "{:gutter$} | {:indent$}{}", "", "", "^".repeat(carets))?;
        if let Some(hint) = &self.hint {
            write!(f, "\n{:gutter$} = hint: {hint}", "")?;
        }
        Ok(())
    }
}
