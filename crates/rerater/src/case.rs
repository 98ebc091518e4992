//! Golden cases as files: an input, and what was worked out for it by hand.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::input::Input;
use crate::invoice::Line;
use crate::{Error, Result};

/// A stored case. Whoever rates in another way can run the same ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows, as a sentence.
    pub name: String,
    /// Product files by their path in the repository; their texts become the input's.
    pub product_files: Vec<String>,
    /// What is rated.
    pub input: Input,
    /// What was worked out by hand, for the periods that matter.
    pub expected: Vec<Expected>,
}

/// The invoice of one period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Which of the input's periods, counted from 0.
    pub period: usize,
    /// Every line, in any order.
    pub lines: Vec<Line>,
    /// Their sum, in minor units.
    pub total: i64,
}

/// Reads a case and the product files that it names.
///
/// # Errors
/// When a file cannot be read or does not have the shape of a case.
pub fn load_case(repository: &Path, case: &Path) -> Result<Case> {
    let read = |path: &Path| {
        std::fs::read_to_string(path).map_err(|e| Error::Case(format!("{}: {e}", path.display())))
    };
    let mut found: Case = serde_json::from_str(&read(case)?)
        .map_err(|e| Error::Case(format!("{}: {e}", case.display())))?;
    for file in &found.product_files {
        found.input.product_files.push(read(&repository.join(file))?);
    }
    Ok(found)
}
