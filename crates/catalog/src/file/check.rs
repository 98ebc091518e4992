//! Holds a file's tree against the grammar: unknown keys, wrong kinds of
//! values, missing keys, texts that do not have their form.

use tenure_core::money::parse_decimal;

use super::{
    node::{Entry, Node, Value},
    report::{Report, suggest},
};
use crate::{
    duration::Duration,
    grammar::{MODEL_WORDS, Naming, Shape, Table},
    plan::Rate,
    price::{Amount, UNIT_PRICE_DECIMALS_MAX},
};

/// Most entries of one table or list.
pub(super) const ENTRIES_MAX: usize = 500;
/// Longest id, in bytes.
pub(super) const ID_BYTES_MAX: usize = 48;
/// Largest whole number: what a quantity holds.
const WHOLE_MAX: i64 = 999_999_999_999_999;
/// Longest text, in bytes.
pub(super) const TEXT_BYTES_MAX: usize = 2_000;

/// Reports everything in `node` that `shape` does not allow.
pub(super) fn check(report: &mut Report<'_>, node: &Node, shape: &Shape, what: &str) {
    match shape {
        Shape::Table(table) => check_table(report, node, table),
        Shape::Map(naming, inner) => check_map(report, node, *naming, inner),
        Shape::List(inner) => match &node.value {
            Value::List(list) => {
                too_many(report, node, list.len());
                list.iter().take(ENTRIES_MAX).for_each(|item| check(report, item, inner, what));
            }
            _ => wrong_kind(report, node, shape, what),
        },
        Shape::Either(shapes) => match shapes.iter().find(|shape| fits(node, shape)) {
            Some(shape) => check(report, node, shape, what),
            None => wrong_kind(report, node, shape, what),
        },
        _ if !fits(node, shape) => wrong_kind(report, node, shape, what),
        Shape::Whole | Shape::Flag => {
            if matches!(node.value, Value::Whole(number) if number < 0) {
                report.error(&node.span, format!("`{what}` is negative"), None);
            }
            if matches!(node.value, Value::Whole(number) if number > WHOLE_MAX) {
                report.error(&node.span, format!("`{what}` is too large: at most 15 digits"), None);
            }
        }
        _ => check_text(report, node, shape, what),
    }
}

/// Whether the kind of value is right, whatever it says.
pub(super) fn fits(node: &Node, shape: &Shape) -> bool {
    match (&node.value, shape) {
        (Value::List(_), Shape::List(_))
        | (Value::Whole(_), Shape::Whole)
        | (Value::Flag(_), Shape::Flag)
        | (Value::Table(_), Shape::Table(_) | Shape::Map(..)) => true,
        (Value::Text(_), shape) => is_text(shape),
        (_, Shape::Either(shapes)) => shapes.iter().any(|shape| fits(node, shape)),
        _ => false,
    }
}

fn is_text(shape: &Shape) -> bool {
    match shape {
        Shape::Text
        | Shape::Price
        | Shape::ExactPrice
        | Shape::Decimal
        | Shape::Duration
        | Shape::DurationRange
        | Shape::Rate
        | Shape::Word(_) => true,
        Shape::Either(shapes) => shapes.iter().any(is_text),
        _ => false,
    }
}

fn wrong_kind(report: &mut Report<'_>, node: &Node, shape: &Shape, what: &str) {
    let priced = matches!(shape, Shape::Price | Shape::ExactPrice | Shape::Decimal)
        || matches!(shape, Shape::Either([Shape::Price, ..]));
    let hint = match &node.value {
        Value::Whole(number) if priced => {
            Some(format!("write \"{number}\": amounts are texts, so that no digit is lost"))
        }
        Value::Float(number) if priced => {
            Some(format!("write \"{number}\": amounts are texts, so that no digit is lost"))
        }
        _ => None,
    };
    let expected = words(shape);
    report.error(&node.span, format!("`{what}` is {}, expected {expected}", node.kind()), hint);
}

/// For messages: what a shape accepts.
pub(super) fn words(shape: &Shape) -> String {
    match shape {
        Shape::Text => "a text".to_owned(),
        Shape::Price => {
            "an amount in quotes (\"499\", \"from 1999\", \"50-100\" or \"custom\")".to_owned()
        }
        Shape::ExactPrice | Shape::Decimal => "an amount in quotes such as \"0.05\"".to_owned(),
        Shape::Whole => "a whole number".to_owned(),
        Shape::Flag => "true or false".to_owned(),
        Shape::Duration => "a length of time in quotes such as \"14d\"".to_owned(),
        Shape::DurationRange => {
            "a length of time in quotes such as \"30m\" or \"1d-3d\"".to_owned()
        }
        Shape::Rate => "a rate in quotes such as \"1000/minute\"".to_owned(),
        Shape::Word(list) => {
            list.iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(" or ")
        }
        Shape::List(_) => "a list".to_owned(),
        Shape::Map(..) => "a table".to_owned(),
        Shape::Table(table) => {
            let keys: Vec<&str> = table.keys.iter().take(3).map(|key| key.name).collect();
            format!("a table ({}, ...)", keys.join(", "))
        }
        Shape::Either(shapes) => shapes.iter().map(words).collect::<Vec<_>>().join(" or "),
    }
}

fn check_table(report: &mut Report<'_>, node: &Node, table: &Table) {
    let Value::Table(entries) = &node.value else {
        return wrong_kind(report, node, &Shape::Map(Naming::Id, &Shape::Text), table.name);
    };
    for Entry { key, key_span, node } in entries {
        match table.keys.iter().find(|known| known.name == key) {
            Some(known) => check(report, node, &known.shape, key),
            None => {
                let hint = suggest(key, table.keys.iter().map(|known| known.name));
                report.error(key_span, format!("unknown key `{key}` in {}", a(table.name)), hint);
            }
        }
    }
    for key in table.keys.iter().filter(|key| key.required && node.entry(key.name).is_none()) {
        let hint = format!("{}: {}", key.name, key.about);
        // The first bytes of a table stand for it: its whole text may be long.
        let span = node.span.start..node.span.end.min(node.span.start + 40);
        report.error(&span, format!("this {} has no `{}`", table.name, key.name), hint);
    }
}

/// `a limit`, `an add-on`
fn a(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {noun}")
}

fn check_map(report: &mut Report<'_>, node: &Node, naming: Naming, inner: &Shape) {
    too_many(report, node, node.entries().len());
    for Entry { key, key_span, node } in node.entries().iter().take(ENTRIES_MAX) {
        if naming == Naming::Model && !MODEL_WORDS.contains(&key.as_str()) {
            let hint = suggest(key, MODEL_WORDS.iter().copied());
            report.error(key_span, format!("`{key}` is no deployment model"), hint);
            continue;
        }
        if let Some(rule) = misnamed(key, naming) {
            report.error(key_span, format!("`{key}` cannot be used as a name"), rule.to_owned());
        }
        check(report, node, inner, key);
    }
}

fn misnamed(key: &str, naming: Naming) -> Option<&'static str> {
    let starts = |class: fn(&u8) -> bool| key.as_bytes().first().is_some_and(class);
    let (good, rule) = match naming {
        Naming::Id => (
            starts(u8::is_ascii_lowercase)
                && key
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b)),
            "ids are lower-case letters, digits, _ and -, and start with a letter; at most 48 characters",
        ),
        Naming::Variable => (
            starts(|b| b.is_ascii_uppercase() || *b == b'_')
                && key.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'),
            "environment variables are upper-case letters, digits and _, and start with a letter; at most 48 characters",
        ),
        Naming::Model => (true, ""),
        Naming::Field => (
            starts(|b| b.is_ascii_alphabetic() || *b == b'_')
                && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)),
            "fields of data are letters, digits, _ and -, and start with a letter; at most 48 characters",
        ),
    };
    (!good || key.len() > ID_BYTES_MAX).then_some(rule)
}

fn too_many(report: &mut Report<'_>, node: &Node, count: usize) {
    if count > ENTRIES_MAX {
        let message = format!("{count} entries are too many: at most {ENTRIES_MAX}");
        report.error(&node.span, message, None);
    }
}

fn check_text(report: &mut Report<'_>, node: &Node, shape: &Shape, what: &str) {
    let Some(text) = node.text() else { return };
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("`{what}` is too long: at most {TEXT_BYTES_MAX} bytes");
        return report.error(&node.span, message, None);
    }
    let mistake = match shape {
        Shape::Price => Amount::parse(text).map_err(|e| e.to_string()).err(),
        Shape::ExactPrice | Shape::Decimal => match Amount::parse(text) {
            Ok(Amount::Exact { .. }) => None,
            Ok(_) => Some(format!("`{text}` must be an exact amount here")),
            Err(error) => Some(error.to_string()),
        },
        Shape::Duration => text.parse::<Duration>().map_err(|e| e.to_string()).err(),
        Shape::DurationRange => span_of(text)
            .is_none()
            .then(|| format!("`{text}` is not a length of time: write \"30m\" or \"1d-3d\"")),
        Shape::Rate => text.parse::<Rate>().map_err(|e| e.to_string()).err(),
        Shape::Word(list) if !list.contains(&text) => {
            let hint = suggest(text, list.iter().copied());
            return report.error(&node.span, format!("`{what}` cannot be `{text}`"), hint);
        }
        _ if text.trim().is_empty() => Some(format!("`{what}` is empty")),
        _ => None,
    };
    if let Some(message) = mistake {
        return report.error(&node.span, message, amount_hint(text, shape));
    }
    if matches!(shape, Shape::Price | Shape::ExactPrice | Shape::Decimal) {
        let numbers = Amount::parse(text).map(Amount::numbers).unwrap_or_default();
        if numbers.iter().any(|number| number.normalize().scale() > UNIT_PRICE_DECIMALS_MAX) {
            let message =
                format!("`{text}` has too many decimals: at most {UNIT_PRICE_DECIMALS_MAX}");
            report.error(&node.span, message, "price a package instead: each = 1_000".to_owned());
        }
    }
}

fn amount_hint(text: &str, shape: &Shape) -> Option<String> {
    if !matches!(shape, Shape::Price | Shape::ExactPrice | Shape::Decimal) {
        return None;
    }
    let plain: String =
        text.chars().filter(|c| !matches!(c, '$' | '€' | '£' | ',' | '_' | ' ')).collect();
    let better = plain != text && parse_decimal(&plain).is_ok();
    better.then(|| format!("write \"{plain}\": no currency sign and no separators"))
}

/// `30m`, or `1d-3d` as soonest and latest.
pub(super) fn span_of(text: &str) -> Option<(Option<Duration>, Duration)> {
    match text.split_once('-') {
        Some((from, to)) => Some((Some(from.parse().ok()?), to.parse().ok()?)),
        None => Some((None, text.parse().ok()?)),
    }
}
