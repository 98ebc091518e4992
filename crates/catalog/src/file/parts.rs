//! What plans are made of: meters, allocations, features, values, support.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::{
    build::{Ids, singular, titled},
    node::{Entry, Node, Value as Found},
    report::{Report, suggest},
};
use crate::{
    meter::{Aggregation, Allocation, DIMENSIONS_MAX, Meter, Retention},
    model::{Feature, OnCall, Setting, Support, Value, ValueKind, ValueType},
};

/// Longest name of a metric.
const METRIC_LEN_MAX: usize = 64;
/// Names of metrics that the server has for itself.
const RESERVED_METRICS: &[&str] = &["tenure_", "billing_events_ingested"];

pub(super) fn entries<'a>(root: &'a Node, table: &str) -> &'a [Entry] {
    root.get(table).map(Node::entries).unwrap_or_default()
}

pub(super) fn name(entry: &Entry) -> String {
    let plain = entry.node.text().map(str::to_owned);
    plain.or_else(|| entry.node.text_of("name")).unwrap_or_else(|| titled(&entry.key))
}

pub(super) fn meters(report: &mut Report<'_>, root: &Node) -> Vec<Meter> {
    let meter = |entry: &Entry| {
        let node = &entry.node;
        Meter {
            id: entry.key.clone(),
            name: name(entry),
            event_type: node.text_of("type").unwrap_or_default(),
            aggregation: aggregation(report, entry),
            unit: node.text_of("unit").unwrap_or_else(|| singular(&entry.key)),
            divide_by: Decimal::from(divisor(report, node)),
            reported_as: node.text_of("reported_as"),
            dimensions: dimensions(report, node),
            only: only(report, node),
            metric: metric(report, entry),
            retention: retention(report, entry),
        }
    };
    entries(root, "meters").iter().map(meter).collect()
}

fn divisor(report: &mut Report<'_>, node: &Node) -> u64 {
    match node.whole_of("divide_by") {
        Some(0) => {
            let span = node.get("divide_by").map_or(0..0, |node| node.span.clone());
            report.error(&span, "nothing can be divided by 0", None);
            1
        }
        Some(divisor) => divisor,
        None => 1,
    }
}

fn dimensions(report: &mut Report<'_>, node: &Node) -> Vec<String> {
    let given = node.get("dimensions").map(Node::list).unwrap_or_default();
    if let Some(sixth) = given.get(DIMENSIONS_MAX) {
        let text = format!("a meter has at most {DIMENSIONS_MAX} dimensions");
        report.error(
            &sixth.span,
            text,
            "every combination of their values is totalled apart".to_owned(),
        );
    }
    let mut names: Vec<String> = Vec::new();
    for node in given {
        let name = node.text().unwrap_or_default();
        if names.iter().any(|known| known == name) {
            let text = format!("the dimension `{name}` is given twice");
            report.error(&node.span, text, None);
            continue;
        }
        names.push(name.to_owned());
    }
    // The order says nothing.
    names.sort_unstable();
    names
}

fn only(report: &mut Report<'_>, node: &Node) -> BTreeMap<String, Vec<String>> {
    let mut only = BTreeMap::new();
    for Entry { key, node, .. } in entries(node, "where") {
        let one = node.text().map(|text| vec![text.to_owned()]);
        let mut texts = one.unwrap_or_else(|| {
            node.list().iter().filter_map(Node::text).map(str::to_owned).collect()
        });
        if texts.is_empty() && matches!(node.value, Found::List(_)) {
            let text = format!("nothing passes a filter on `{key}` without a text");
            report.error(&node.span, text, "name the texts that it may be".to_owned());
        }
        texts.sort_unstable();
        texts.dedup();
        only.insert(key.clone(), texts);
    }
    only
}

fn metric(report: &mut Report<'_>, entry: &Entry) -> Option<String> {
    let found = entry.node.get("metric")?;
    let name = found.text()?;
    let plain = name.len() <= METRIC_LEN_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !plain {
        let hint =
            "lower-case letters, digits and underscores, as in billing_queries_total".to_owned();
        report.error(&found.span, format!("`{name}` is no name for Prometheus"), hint);
    } else if RESERVED_METRICS.iter().any(|prefix| name.starts_with(prefix)) {
        let text = format!("`{name}` is a name that Tenure uses itself");
        report.error(&found.span, text, "choose another".to_owned());
    } else if let Some(hint) = unsuitable(&entry.node, name.ends_with("_total")) {
        let text = format!("`{name}` does not suit how `{}` is counted", entry.key);
        report.error(&found.span, text, hint.to_owned());
    }
    Some(name.to_owned())
}

/// Why a meter is not shown under such a name: the names of counters end with `_total`.
fn unsuitable(node: &Node, total: bool) -> Option<&'static str> {
    let given = |word: &str| node.get(word).is_some();
    if given("count") || given("sum") {
        (!total).then_some("the name of a counter ends with _total")
    } else if given("last") || given("time_weighted") {
        total.then_some("the name of a gauge does not end with _total")
    } else {
        Some("only count, sum, last and time_weighted can be shown as they come in")
    }
}

/// `standard` is refused where it could not be held.
fn retention(report: &mut Report<'_>, entry: &Entry) -> Retention {
    let Some(found) = entry.node.get("retention") else { return Retention::default() };
    // What is no such word was told already.
    let Some(stated) = found.text().and_then(Retention::of) else { return Retention::default() };
    if stated == Retention::Standard && entry.node.get("time_weighted").is_some() {
        let text = format!(
            "`{}` is averaged over time: what it measured last stands however long ago, so its \
             events are kept as long as the subscription",
            entry.key
        );
        let hint = "leave `retention` out, or write retention = \"subscription\"".to_owned();
        report.error(&found.span, text, hint);
    }
    stated
}

fn aggregation(report: &mut Report<'_>, entry: &Entry) -> Aggregation {
    const WORDS: [&str; 6] = ["count", "sum", "max", "last", "unique", "time_weighted"];
    let given: Vec<&Entry> =
        entry.node.entries().iter().filter(|entry| WORDS.contains(&entry.key.as_str())).collect();
    let hint =
        || "give one of count = true, sum, max, last, unique, time_weighted = \"field\"".to_owned();
    let Some(first) = given.first() else {
        report.error(
            &entry.key_span,
            format!("meter `{}` does not say how it is counted", entry.key),
            hint(),
        );
        return Aggregation::Count;
    };
    if let Some(second) = given.get(1) {
        report.error(
            &second.key_span,
            format!("meter `{}` is counted in two ways", entry.key),
            hint(),
        );
    }
    if matches!(first.node.value, Found::Flag(false)) {
        report.error(&first.node.span, "write `count = true`, or name another way", hint());
    }
    let field = first.node.text().unwrap_or_default().to_owned();
    match first.key.as_str() {
        "sum" => Aggregation::Sum { field },
        "max" => Aggregation::Max { field },
        "last" => Aggregation::Last { field },
        "unique" => Aggregation::Unique { field },
        "time_weighted" => Aggregation::TimeWeighted { field },
        _ => Aggregation::Count,
    }
}

pub(super) fn allocations(root: &Node) -> Vec<Allocation> {
    let allocation = |entry: &Entry| Allocation {
        id: entry.key.clone(),
        name: name(entry),
        one: entry.node.text_of("one").unwrap_or_else(|| singular(&entry.key)),
    };
    entries(root, "allocations").iter().map(allocation).collect()
}

pub(super) fn features(report: &mut Report<'_>, ids: &Ids<'_>) -> Vec<Feature> {
    let feature = |entry: &Entry| {
        let missing = entry.node.get("missing");
        let status = missing.and_then(Node::whole).unwrap_or(403);
        if let Some(node) = missing
            && ![402, 403].contains(&status)
        {
            let hint = "402: can be bought; 403: not in this tier".to_owned();
            report.error(&node.span, format!("a missing feature cannot answer {status}"), hint);
        }
        Feature {
            id: entry.key.clone(),
            name: name(entry),
            missing: if status == 402 { 402 } else { 403 },
            modes: ids.refer_all(report, &entry.node, "modes", "modes"),
        }
    };
    entries(ids.root, "features").iter().map(feature).collect()
}

pub(super) fn values(root: &Node) -> Vec<ValueKind> {
    let value = |entry: &Entry| ValueKind {
        id: entry.key.clone(),
        name: name(entry),
        kind: match entry.node.get("type").and_then(Node::text) {
            Some("number") => ValueType::Number,
            Some("list") => ValueType::List,
            _ => ValueType::Text,
        },
    };
    entries(root, "values").iter().map(value).collect()
}

/// The settings under `key`, each held against its kind of value.
pub(super) fn settings(
    report: &mut Report<'_>,
    ids: &Ids<'_>,
    node: &Node,
    key: &str,
) -> Vec<Setting> {
    let mut settings = Vec::new();
    for Entry { key: id, key_span, node } in entries(node, key) {
        let Some(kind) = ids.root.get("values").and_then(|values| values.get(id)) else {
            let hint = suggest(id, ids.of("values"));
            report.error(key_span, format!("there is no value `{id}`"), hint);
            continue;
        };
        let value = match (&node.value, kind.get("type").and_then(Node::text)) {
            (Found::Text(text), Some("text")) => Value::Text(text.clone()),
            (Found::Whole(number), Some("number")) => Value::Number(*number),
            (Found::List(list), Some("list")) => {
                Value::List(list.iter().filter_map(Node::text).map(str::to_owned).collect())
            }
            (_, Some(wanted)) => {
                report.error(
                    &node.span,
                    format!("`{id}` is {}, expected a {wanted}", node.kind()),
                    None,
                );
                continue;
            }
            _ => continue,
        };
        settings.push(Setting { id: id.clone(), value });
    }
    settings
}

pub(super) fn support(root: &Node) -> Vec<Support> {
    let level = |entry: &Entry| {
        let node = &entry.node;
        Support {
            id: entry.key.clone(),
            name: name(entry),
            response: node.read("response"),
            resolution: node.read("resolution"),
            resolution_severity_1: node.read("resolution_severity_1"),
            channels: node.texts("channels"),
            hours: node.text_of("hours"),
            on_call: match node.get("on_call").and_then(Node::text) {
                Some("24/7") => OnCall::Always,
                Some("severity 1") => OnCall::Severity1,
                _ => OnCall::No,
            },
            updates: node.text_of("updates"),
            includes: node.texts("includes"),
        }
    };
    entries(root, "support").iter().map(level).collect()
}
