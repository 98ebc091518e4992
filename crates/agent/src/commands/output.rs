//! Lines, files and questions.

use std::{
    io::{IsTerminal, Write},
    path::Path,
};

use serde::Serialize;

use crate::{Error, dir, error::Result};

/// A line of data. A reader that has gone away is no failure of ours.
pub(super) fn line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// A line for people.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// JSON, indented.
pub(super) fn json(value: &impl Serialize) {
    line(&serde_json::to_string_pretty(value).unwrap_or_default());
}

/// A file that only its owner reads, or standard output.
pub(super) fn file(output: Option<&Path>, text: &str) -> Result<()> {
    match output {
        None => {
            let _ = write!(std::io::stdout().lock(), "{text}");
            Ok(())
        }
        Some(path) => {
            dir::write_private(path, text.as_bytes())?;
            note(&format!("written: {}", path.display()));
            Ok(())
        }
    }
}

/// Asks a person; a script must say --yes.
pub(super) fn confirm(yes: bool, question: &str) -> Result<()> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Error::Setting(format!(
            "{question}\nhint: say --yes to go on without being asked"
        )));
    }
    note(&format!("{question} Type `yes` to go on:"));
    let mut answer = String::new();
    let _ = std::io::stdin().read_line(&mut answer);
    match answer.trim() {
        "yes" => Ok(()),
        _ => Err(Error::Setting("nothing was done".into())),
    }
}
