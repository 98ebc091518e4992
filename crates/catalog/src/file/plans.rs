//! Plans and what they inherit from each other.

use tenure_core::Interval;

use super::{
    build::{Ids, models as models_of, titled},
    charges, limits,
    node::{Entry, Node, Value},
    parts::{self, entries},
    report::Report,
    running,
};
use crate::{
    model::Setting,
    plan::{BASE, Charge, Every, Limit, Over, Plan},
};

/// Most plans of a product.
pub(super) const PLANS_MAX: usize = 100;

pub(super) fn plans(report: &mut Report<'_>, ids: &Ids<'_>) -> Vec<Plan> {
    let all = entries(ids.root, "plans");
    if let Some(excess) = all.get(PLANS_MAX) {
        report.error(&excess.key_span, format!("a product has at most {PLANS_MAX} plans"), None);
    }
    if let (true, Some(plans)) = (all.is_empty(), ids.root.entry("plans")) {
        report.error(&plans.key_span, "there are no plans", "add [plans.starter]".to_owned());
    }
    all.iter().take(PLANS_MAX).map(|entry| plan(report, ids, entry)).collect()
}

/// The plan and those that it extends, the furthest first.
fn ancestry<'a>(report: &mut Report<'_>, ids: &Ids<'a>, entry: &'a Entry) -> Vec<&'a Entry> {
    let mut chain = vec![entry];
    let mut current = entry;
    while let Some(extends) = current.node.get("extends") {
        if !ids.refer(report, extends, "plans") {
            break;
        }
        let parent = extends
            .text()
            .and_then(|id| entries(ids.root, "plans").iter().find(|other| other.key == id));
        let Some(parent) = parent else { break };
        if chain.iter().any(|seen| seen.key == parent.key) {
            let path: Vec<&str> =
                chain.iter().map(|entry| entry.key.as_str()).chain([parent.key.as_str()]).collect();
            report.error(
                &extends.span,
                format!("plans extend each other in a circle: {}", path.join(" -> ")),
                "one of them has to stand on its own".to_owned(),
            );
            break;
        }
        chain.push(parent);
        current = parent;
    }
    chain.reverse();
    chain
}

fn plan(report: &mut Report<'_>, ids: &Ids<'_>, entry: &Entry) -> Plan {
    let node = &entry.node;
    let chain = ancestry(report, ids, entry);
    let latest =
        |key: &str| chain.iter().rev().find_map(|entry| entry.node.get(key).map(|_| &entry.node));
    let models = latest("models").map(|node| models_of(node, "models")).unwrap_or_default();
    // A list that cannot be read, or a parent that is not there, was told already.
    let told = node
        .get("models")
        .is_some_and(|node| !matches!(&node.value, Value::List(list) if list.is_empty()))
        || chain.first().is_some_and(|root| root.node.get("extends").is_some());
    if models.is_empty() && !told {
        let hint = "add models = [\"managed\"]".to_owned();
        report.error(&entry.key_span, format!("plan `{}` is sold in no model", entry.key), hint);
    }
    models_sold(report, ids, node);
    for key in ["mode", "support"] {
        let table = if key == "mode" { "modes" } else { "support" };
        if let Some(reference) = node.get(key) {
            ids.refer(report, reference, table);
        }
    }
    if latest("mode").is_none() && ids.of("modes").next().is_some() {
        let hint = "add mode = \"...\"".to_owned();
        report.error(&entry.key_span, format!("plan `{}` does not say its mode", entry.key), hint);
    }
    let name = node.text_of("name").unwrap_or_default();
    let stated = charges::interval(node, "billed");
    let charges = plan_charges(report, ids, entry, &name, stated);
    let mut features = Vec::new();
    for ancestor in &chain {
        for feature in ids.refer_all(report, &ancestor.node, "features", "features") {
            if !features.contains(&feature) {
                features.push(feature);
            }
        }
    }
    let limits = limits::limits(report, ids, entry, &chain, &charges);
    Plan {
        id: entry.key.clone(),
        summary: node.text_of("summary").unwrap_or_default(),
        models,
        mode: latest("mode").and_then(|node| node.text_of("mode")),
        billed: stated.unwrap_or_else(|| billed(&charges, &limits)),
        rate: latest("rate").and_then(|node| node.read("rate")),
        features,
        values: values(report, ids, &chain),
        support: latest("support").and_then(|node| node.text_of("support")),
        quoted: charges.iter().any(|charge| {
            !charge.optional && charge.tiers.is_empty() && charge.amount.billable().is_none()
        }),
        limits,
        charges,
        commitment: node.get("commitment").and_then(|node| charges::commitment(report, ids, node)),
        trial: trial(report, node),
        hidden: node.flag("hidden"),
        isolation: latest("isolation").and_then(|node| running::isolation(node, "isolation")),
        edition: latest("edition").and_then(|node| running::edition(node, "edition")),
        license_tier: license_tier(report, entry),
        name,
    }
}

/// Every model that a plan lists is one that the product sells.
fn models_sold(report: &mut Report<'_>, ids: &Ids<'_>, node: &Node) {
    for model in node.get("models").map(Node::list).unwrap_or_default() {
        if let Some(word) = model.text()
            && word.parse::<crate::Model>().is_ok()
            && !ids.has("models", word)
        {
            let hint = format!("add [models.{word}], or sell the plan as another model");
            report.error(&model.span, format!("the product is not sold as {word}"), hint);
        }
    }
}

fn trial(report: &mut Report<'_>, node: &Node) -> Option<crate::duration::Duration> {
    let trial: crate::duration::Duration = node.read("trial")?;
    if trial.seconds().is_none_or(|seconds| seconds == 0) {
        let span = node.get("trial").map_or(0..0, |node| node.span.clone());
        report.error(&span, "a trial has a length in days", "write 14d".to_owned());
    }
    Some(trial)
}

fn license_tier(report: &mut Report<'_>, entry: &Entry) -> String {
    let Some(node) = entry.node.get("license_tier") else {
        let letters = entry.key.chars().filter(char::is_ascii_alphanumeric);
        return letters.take(3).collect::<String>().to_uppercase();
    };
    let tier = node.text().unwrap_or_default();
    let good = (2..=12).contains(&tier.len())
        && tier.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    if !good {
        report.error(
            &node.span,
            format!("`{tier}` is no license tier"),
            "2 to 12 upper-case letters and digits: ENT".to_owned(),
        );
    }
    tier.to_owned()
}

/// By the month as soon as anything is; by the year only when all of it is.
fn billed(charges: &[Charge], limits: &[Limit]) -> Interval {
    let yearly = charges.iter().any(|charge| charge.every == Every::Year);
    let monthly = charges.iter().any(|charge| matches!(charge.every, Every::Month | Every::Usage))
        || limits.iter().any(|limit| matches!(limit.over, Over::Charge { .. }));
    if yearly && !monthly { Interval::Year } else { Interval::Month }
}

fn plan_charges(
    report: &mut Report<'_>,
    ids: &Ids<'_>,
    entry: &Entry,
    name: &str,
    stated: Option<Interval>,
) -> Vec<Charge> {
    let mut charges = Vec::new();
    if let Some(price) = entry.node.entry("price") {
        let name = match counted(ids, &price.node) {
            Some(noun) => format!("{name}: {}", noun.to_lowercase()),
            None => name.to_owned(),
        };
        charges.extend(charges::charge(report, ids, price, BASE, &name, stated));
    }
    for charge in entries(&entry.node, "charges") {
        if charge.key == BASE || ids.has("addons", &charge.key) || ids.has("services", &charge.key)
        {
            let message =
                format!("`{}` already names the price, an add-on or a service", charge.key);
            report.error(&charge.key_span, message, "give the charge another id".to_owned());
        }
        let name = counted(ids, &charge.node).unwrap_or_else(|| titled(&charge.key));
        charges.extend(charges::charge(report, ids, charge, &charge.key, &name, stated));
    }
    if charges.is_empty()
        && entry.node.get("price").is_none()
        && entries(&entry.node, "charges").is_empty()
    {
        let hint = "add price = { month = \"499\" }, { month = \"0\" } or \"custom\"".to_owned();
        report.error(&entry.key_span, format!("plan `{}` has no price", entry.key), hint);
    }
    charges
}

/// What a charge counts, for people: `Users`.
fn counted(ids: &Ids<'_>, node: &Node) -> Option<String> {
    let table = if node.get("meter").is_some() { "meters" } else { "allocations" };
    let id = node.get("meter").or_else(|| node.get("per")).and_then(Node::text)?;
    let entry = ids.root.get(table)?.get(id)?;
    let name = entry.text().map(str::to_owned).or_else(|| entry.text_of("name"));
    Some(name.unwrap_or_else(|| titled(id)))
}

fn values(report: &mut Report<'_>, ids: &Ids<'_>, chain: &[&Entry]) -> Vec<Setting> {
    let mut values: Vec<Setting> = Vec::new();
    for ancestor in chain {
        for setting in parts::settings(report, ids, &ancestor.node, "values") {
            match values.iter_mut().find(|earlier| earlier.id == setting.id) {
                Some(earlier) => *earlier = setting,
                None => values.push(setting),
            }
        }
    }
    values
}
