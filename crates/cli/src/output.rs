//! How answers look: JSON for scripts, tables for people, no colour needed.

use std::io::{IsTerminal, Write};

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

/// A column or field: its title and where its value is (a JSON pointer).
pub(crate) type Field = (&'static str, &'static str);

/// Narrowest terminal that tables are fitted to.
const WIDTH_MIN: u16 = 40;
/// When the terminal does not say how wide it is.
const WIDTH_DEFAULT: u16 = 100;

/// A line of data. A reader that has gone away is no failure of ours.
pub(crate) fn line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// A line for people.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// JSON, indented.
pub(crate) fn json(value: &Value) {
    line(&serde_json::to_string_pretty(value).unwrap_or_default());
}

/// How wide tables may be.
pub(crate) fn width() -> u16 {
    Table::new().width().unwrap_or(WIDTH_DEFAULT).max(WIDTH_MIN)
}

/// Rows under a header, nothing around.
pub(crate) fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    // Into a file or a pipe every row stays on its line.
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width());
    }
    if !header.is_empty() {
        table.set_header(header.iter().map(|title| title.to_uppercase()));
    }
    table.add_rows(rows);
    let text = table.to_string();
    // The style pads left and right; a line begins with its first word.
    let lines = text.lines().map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end());
    lines.collect::<Vec<_>>().join("\n")
}

/// The items of an answer: as they came, or as a table.
pub(crate) fn list(as_json: bool, answer: &Value, fields: &[Field], none: &str) {
    if as_json {
        return json(answer);
    }
    let items = answer["items"].as_array().map_or(&[][..], Vec::as_slice);
    if items.is_empty() {
        return note(none);
    }
    let header: Vec<&str> = fields.iter().map(|(title, _)| *title).collect();
    let row = |item: &Value| fields.iter().map(|(_, at)| text_at(item, at)).collect();
    line(&table(&header, items.iter().map(row).collect()));
    if let Some(cursor) = answer["next_cursor"].as_str() {
        note(&format!("more: --cursor {cursor}"));
    }
}

/// One thing: as it came, or a field a line. Fields that are absent stay away.
pub(crate) fn show(as_json: bool, thing: &Value, fields: &[Field]) {
    if as_json {
        return json(thing);
    }
    let known = fields.iter().filter(|(_, at)| {
        thing.pointer(at).is_some_and(|value| !value.is_null() && value != &Value::from(""))
    });
    let rows = known.map(|(title, at)| ((*title).to_owned(), text_at(thing, at)));
    record(&rows.collect::<Vec<_>>());
}

/// A label and its value a line.
pub(crate) fn record(rows: &[(String, String)]) {
    let widest = rows.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    for (label, value) in rows {
        let indent = format!("\n{:1$}", "", widest + 2);
        line(&format!("{label:widest$}  {}", value.replace('\n', &indent)));
    }
}

/// The value at a pointer.
pub(crate) fn text_at(item: &Value, at: &str) -> String {
    item.pointer(at).map_or_else(|| "-".to_owned(), text)
}

/// A value for people.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => moment(text).unwrap_or_else(|| text.clone()),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Object(_) => value.to_string(),
    }
}

/// `2026-03-01T12:00:00.123Z` to the second, in UTC.
fn moment(text: &str) -> Option<String> {
    let dated = text.len() >= 20 && text.as_bytes().get(10) == Some(&b'T');
    let moment = dated.then(|| text.parse::<jiff::Timestamp>().ok()).flatten()?;
    Some(moment.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

/// A quantity with its thousands apart: `1,234,567.5`.
pub(crate) fn quantity(value: &Value) -> String {
    let text = text(value);
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), None), |(w, r)| (w, Some(r)));
    match (whole.parse(), rest) {
        (Ok(whole), None) => grouped(whole),
        (Ok(whole), Some(rest)) => format!("{}.{rest}", grouped(whole)),
        (Err(_), _) => text,
    }
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
