//! Where and how the product runs: models, modes, resources, environment,
//! license.

use super::{
    build::{Ids, models as models_of},
    check::span_of,
    node::{Entry, Node, Value as Found},
    parts::{entries, name, settings},
    report::{Report, suggest},
};
use crate::{
    deployment::{
        Edition, Expiry, Flag, Isolation, License, Mode, ModelTerms, Party, Resource,
        Responsibility, Source, StateAction, States, Variable,
    },
    duration::Duration,
};

/// Largest share of instances beyond a limit, in per cent.
const OVERAGE_PERCENT_MAX: u32 = 1000;
/// Placeholders of names and literal variables.
const PLACEHOLDERS: &[&str] = &["tenant", "product", "environment", "region", "deployment"];

fn ready(node: &Node) -> (Option<Duration>, Option<Duration>) {
    match node.get("ready_in").and_then(Node::text).and_then(span_of) {
        Some((from, to)) => (from, Some(to)),
        None => (None, None),
    }
}

/// The word under `key` as an isolation.
pub(super) fn isolation(node: &Node, key: &str) -> Option<Isolation> {
    match node.get(key).and_then(Node::text)? {
        "shared_tables" => Some(Isolation::SharedTables),
        "schema" => Some(Isolation::Schema),
        "database" => Some(Isolation::Database),
        _ => None,
    }
}

/// The word under `key` as an edition.
pub(super) fn edition(node: &Node, key: &str) -> Option<Edition> {
    match node.get(key).and_then(Node::text)? {
        "standard" => Some(Edition::Standard),
        "enterprise" => Some(Edition::Enterprise),
        "government" => Some(Edition::Government),
        _ => None,
    }
}

pub(super) fn models(report: &mut Report<'_>, root: &Node) -> Vec<ModelTerms> {
    let mut sold = Vec::new();
    for Entry { key, node, .. } in entries(root, "models") {
        let Ok(model) = key.parse() else { continue };
        let matrix = node.get("responsibility");
        let party = |key| match matrix.and_then(|matrix| matrix.get(key)).and_then(Node::text) {
            Some("customer") => Party::Customer,
            Some("shared") => Party::Shared,
            _ => Party::Vendor,
        };
        let (ready_from, ready_in) = ready(node);
        let isolation = isolation(node, "isolation");
        if let Some(tables) = node.get("tables")
            && isolation != Some(Isolation::SharedTables)
        {
            let hint =
                "tables carry a tenant column only under isolation = \"shared_tables\"".to_owned();
            report.error(&tables.span, "`tables` has no use here", hint);
        }
        sold.push(ModelTerms {
            model,
            summary: node.text_of("summary").unwrap_or_default(),
            ready_from,
            ready_in,
            isolation,
            tables: node.texts("tables"),
            responsibility: Responsibility {
                software: party("software"),
                infrastructure: party("infrastructure"),
                security: party("security"),
                compliance: party("compliance"),
                support: party("support"),
            },
        });
    }
    sold
}

pub(super) fn modes(report: &mut Report<'_>, ids: &Ids<'_>) -> Vec<Mode> {
    let mut modes = Vec::new();
    for entry in entries(ids.root, "modes") {
        let node = &entry.node;
        for hidden in node.get("hides").map(Node::list).unwrap_or_default() {
            if hidden.text().is_some_and(|id| !ids.has("values", id)) {
                ids.refer(report, hidden, "features");
            }
        }
        let flag = |flag: &Entry| {
            let value = flag.node.text().unwrap_or_default().to_owned();
            Flag { name: flag.key.clone(), value }
        };
        let (ready_from, ready_in) = ready(node);
        modes.push(Mode {
            id: entry.key.clone(),
            name: name(entry),
            flags: entries(node, "flags").iter().map(flag).collect(),
            requires: ids.refer_all(report, node, "requires", "resources"),
            hides: node.texts("hides"),
            values: settings(report, ids, node, "values"),
            ready_from,
            ready_in,
            upgrade_within: node.read("upgrade_within"),
        });
    }
    modes
}

pub(super) fn resources(report: &mut Report<'_>, ids: &Ids<'_>) -> Vec<Resource> {
    let mut resources = Vec::new();
    for entry in entries(ids.root, "resources") {
        let node = &entry.node;
        node.get("names")
            .map(Node::list)
            .unwrap_or_default()
            .iter()
            .for_each(|n| placeholders(report, n));
        if let Some(kind) = node.get("kind")
            && kind.text().is_some_and(|kind| !is_kind(kind))
        {
            let hint =
                "a kind is a service and a thing: postgres.database, kafka.topics".to_owned();
            report.error(&kind.span, "this is no kind of resource", hint);
        }
        let (fields, secrets) = (node.texts("fields"), node.get("secrets"));
        for secret in secrets.map(Node::list).unwrap_or_default() {
            if let Some(text) =
                secret.text().filter(|text| !fields.iter().any(|field| field == text))
            {
                let hint = suggest(text, fields.iter().map(String::as_str));
                report.error(&secret.span, format!("`{text}` is not among the fields"), hint);
            }
        }
        resources.push(Resource {
            id: entry.key.clone(),
            kind: node.text_of("kind").unwrap_or_default(),
            name: name(entry),
            models: models_of(node, "models"),
            modes: ids.refer_all(report, node, "modes", "modes"),
            names: node.texts("names"),
            permissions: node.texts("permissions"),
            fields,
            secrets: node.texts("secrets"),
            optional: node.flag("optional"),
        });
    }
    resources
}

fn is_kind(kind: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    kind.split_once('.').is_some_and(|(service, thing)| part(service) && part(thing))
}

/// Every `{...}` is a known placeholder.
fn placeholders(report: &mut Report<'_>, node: &Node) {
    let text = node.text().unwrap_or_default();
    for piece in text.split('{').skip(1) {
        let Some((word, _)) = piece.split_once('}') else {
            report.error(&node.span, "a `{` is never closed", None);
            return;
        };
        if !PLACEHOLDERS.contains(&word) {
            let hint = suggest(word, PLACEHOLDERS.iter().copied());
            report.error(&node.span, format!("`{{{word}}}` is no placeholder"), hint);
        }
    }
}

pub(super) fn environment(report: &mut Report<'_>, ids: &Ids<'_>) -> Vec<Variable> {
    let mut variables = Vec::new();
    for entry in entries(ids.root, "environment") {
        let nodes = match &entry.node.value {
            Found::List(list) => list.as_slice(),
            _ => std::slice::from_ref(&entry.node),
        };
        for node in nodes {
            let Some(source) = source(report, ids, entry, node) else { continue };
            variables.push(Variable {
                name: entry.key.clone(),
                source,
                models: models_of(node, "models"),
                modes: ids.refer_all(report, node, "modes", "modes"),
            });
        }
    }
    variables
}

fn source(report: &mut Report<'_>, ids: &Ids<'_>, entry: &Entry, node: &Node) -> Option<Source> {
    const WORDS: [&str; 4] = ["value", "secret", "license", "from"];
    if let Some(value) = node.text() {
        placeholders(report, node);
        return Some(Source::Literal { value: value.to_owned() });
    }
    let given: Vec<&Entry> =
        node.entries().iter().filter(|entry| WORDS.contains(&entry.key.as_str())).collect();
    let [one] = given.as_slice() else {
        let message = format!("`{}` needs exactly one of value, secret, license, from", entry.key);
        report.error(&entry.key_span, message, None);
        return None;
    };
    let text = one.node.text().unwrap_or_default();
    match one.key.as_str() {
        "value" => {
            placeholders(report, &one.node);
            Some(Source::Literal { value: text.to_owned() })
        }
        "secret" => Some(Source::Secret { name: text.to_owned() }),
        "license" => Some(Source::License),
        _ => from_resource(report, ids, &one.node, text),
    }
}

fn from_resource(
    report: &mut Report<'_>,
    ids: &Ids<'_>,
    node: &Node,
    text: &str,
) -> Option<Source> {
    let (id, field) = text.split_once('.').unwrap_or((text, ""));
    let Some(resource) = ids.root.get("resources").and_then(|resources| resources.get(id)) else {
        let hint = suggest(id, ids.of("resources"));
        report.error(&node.span, format!("there is no resource `{id}`"), hint);
        return None;
    };
    let fields = resource.texts("fields");
    if !fields.iter().any(|known| known == field) {
        let hint = suggest(field, fields.iter().map(String::as_str)).unwrap_or_else(|| {
            format!("write resource.field, and list the field under [resources.{id}] fields")
        });
        report.error(&node.span, format!("resource `{id}` has no field `{field}`"), hint);
        return None;
    }
    Some(Source::Resource { id: id.to_owned(), field: field.to_owned() })
}

/// Whole days under `key`.
fn days(report: &mut Report<'_>, node: &Node, key: &str, default: u32) -> u32 {
    let Some(length) = node.read::<Duration>(key) else { return default };
    let days =
        length.seconds().filter(|seconds| seconds % 86_400 == 0).map(|seconds| seconds / 86_400);
    days.and_then(|days| u32::try_from(days).ok()).unwrap_or_else(|| {
        let span = node.get(key).map_or(0..0, |node| node.span.clone());
        report.error(&span, format!("`{key}` is counted in days"), "write 14d".to_owned());
        default
    })
}

fn measurable(report: &mut Report<'_>, node: &Node, key: &str, default: Duration) -> Duration {
    let Some(length) = node.read::<Duration>(key) else { return default };
    if length.seconds().is_none_or(|seconds| seconds == 0) {
        let span = node.get(key).map_or(0..0, |node| node.span.clone());
        report.error(
            &span,
            format!("`{key}` must be longer than nothing, and not in business days"),
            None,
        );
    }
    length
}

pub(super) fn license(report: &mut Report<'_>, node: &Node) -> License {
    let preset = License::default();
    let expiry = match node.get("expiry") {
        Some(table) if !table.entries().is_empty() => expiry(report, table),
        Some(word) if word.text() == Some("strict") => Expiry::STRICT,
        _ => preset.expiry,
    };
    License {
        edition: edition(node, "edition").unwrap_or(preset.edition),
        expiry,
        offline_grace_days: days(report, node, "offline_grace", preset.offline_grace_days),
        phone_home_required: node.flag("phone_home_required"),
        heartbeat: measurable(report, node, "heartbeat", preset.heartbeat),
        lease: measurable(report, node, "lease", preset.lease),
        offline_term: measurable(report, node, "offline_term", preset.offline_term),
        states: node.get("states").map_or(preset.states, states),
        overage_percent: overage(report, node),
    }
}

/// Words that the grammar does not know were reported there.
fn states(node: &Node) -> States {
    let preset = States::default();
    let action =
        |key, preset| node.text_of(key).and_then(|w| StateAction::of_word(&w)).unwrap_or(preset);
    States {
        expiring: action("expiring", preset.expiring),
        grace: action("grace", preset.grace),
        restricted: action("restricted", preset.restricted),
        terminated: action("terminated", preset.terminated),
    }
}

fn overage(report: &mut Report<'_>, node: &Node) -> u32 {
    let Some(percent) = node.get("overage") else { return 0 };
    let read = percent.whole().and_then(|number| u32::try_from(number).ok());
    read.filter(|percent| *percent <= OVERAGE_PERCENT_MAX).unwrap_or_else(|| {
        let message = format!("`overage` is 0 to {OVERAGE_PERCENT_MAX} per cent");
        report.error(&percent.span, message, "write overage = 20".to_owned());
        0
    })
}

fn expiry(report: &mut Report<'_>, node: &Node) -> Expiry {
    let preset = Expiry::default();
    let expiry = Expiry {
        warn_before_days: days(report, node, "warn_before", preset.warn_before_days),
        full_until_days: days(report, node, "full_until", preset.full_until_days),
        restricted_until_days: days(report, node, "restricted_until", preset.restricted_until_days),
    };
    if expiry.restricted_until_days < expiry.full_until_days {
        let hint = "restriction comes after full function: restricted_until is the later of both"
            .to_owned();
        report.error(&node.span, "`restricted_until` comes before `full_until`", hint);
    }
    expiry
}
