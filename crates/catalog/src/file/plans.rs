//! Plans with their inheritance and limits, add-ons, services, discounts.

use rust_decimal::Decimal;
use tenure_core::{Interval, Quantity};

use super::{
    build::{Ids, models as models_of},
    charges,
    node::{Entry, Node, Value},
    parts,
    report::{Report, suggest},
};
use crate::{
    model::Setting,
    plan::{
        AddOn, BASE, Basis, Charge, Discount, Every, Limit, LimitKind, Over, Part, Plan, Raise,
        Volume,
    },
};

/// Most plans of a product.
pub(super) const PLANS_MAX: usize = 100;

fn entries<'a>(root: &'a Node, table: &str) -> &'a [Entry] {
    root.get(table).map(Node::entries).unwrap_or_default()
}

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
    let limits = limits(report, ids, entry, &chain, &charges);
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
        isolation: latest("isolation").and_then(|node| parts::isolation(node, "isolation")),
        edition: latest("edition").and_then(|node| parts::edition(node, "edition")),
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
        let name = described(ids, &price.node, name);
        charges.extend(charges::charge(report, ids, price, BASE, &name, stated));
    }
    for charge in entries(&entry.node, "charges") {
        if charge.key == BASE || ids.has("addons", &charge.key) || ids.has("services", &charge.key)
        {
            let message =
                format!("`{}` already names the price, an add-on or a service", charge.key);
            report.error(&charge.key_span, message, "give the charge another id".to_owned());
        }
        let name = described(ids, &charge.node, &super::build::titled(&charge.key));
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

/// A price by number is called after what is counted: `Pro, users`.
fn described(ids: &Ids<'_>, node: &Node, fallback: &str) -> String {
    let table = if node.get("meter").is_some() { "meters" } else { "allocations" };
    let of = node.get("meter").or_else(|| node.get("per")).and_then(Node::text);
    let declared = of.and_then(|id| Some((id, ids.root.get(table)?.get(id)?)));
    match declared {
        Some((id, entry)) => {
            let noun = entry.text().map(str::to_owned).or_else(|| entry.text_of("name"));
            let noun = noun.unwrap_or_else(|| super::build::titled(id));
            if fallback.eq_ignore_ascii_case(&noun) {
                noun
            } else {
                format!("{fallback}: {}", noun.to_lowercase())
            }
        }
        None => fallback.to_owned(),
    }
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

fn limits(
    report: &mut Report<'_>,
    ids: &Ids<'_>,
    entry: &Entry,
    chain: &[&Entry],
    charges: &[Charge],
) -> Vec<Limit> {
    // Of two statements about one thing only the nearer is read: what a parent
    // says may make no sense beside the charges of this plan.
    let mut stated: Vec<(&Entry, bool)> = Vec::new();
    for ancestor in chain {
        let own = ancestor.key == entry.key;
        for limit in entries(&ancestor.node, "limits") {
            match stated.iter_mut().find(|(earlier, _)| earlier.key == limit.key) {
                Some(earlier) => *earlier = (limit, own),
                None => stated.push((limit, own)),
            }
        }
    }
    stated
        .into_iter()
        .filter_map(|(stated, own)| limit(report, ids, stated, charges, own))
        .collect()
}

fn limit(
    report: &mut Report<'_>,
    ids: &Ids<'_>,
    entry: &Entry,
    charges: &[Charge],
    own: bool,
) -> Option<Limit> {
    let (id, node) = (&entry.key, &entry.node);
    let kind = match (ids.has("meters", id), ids.has("allocations", id)) {
        (true, _) => LimitKind::Meter,
        (false, true) => LimitKind::Allocation,
        (false, false) => {
            let hint = suggest(id, ids.of("meters").chain(ids.of("allocations")))
                .unwrap_or_else(|| "declare it under [meters] or [allocations] first".to_owned());
            report.error(
                &entry.key_span,
                format!("a limit on `{id}`, which is no meter and no allocation"),
                hint,
            );
            return None;
        }
    };
    let sold = charges
        .iter()
        .any(|charge| matches!(&charge.basis, Basis::Held { allocation, .. } if allocation == id));
    let amount = if node.entries().is_empty() { Some(node) } else { node.get("included") };
    let included = match amount {
        Some(number) => number.whole().map(charges::quantity),
        None if sold => Some(Quantity::ZERO),
        None => {
            let hint = "write included = 100, or \"unlimited\"".to_owned();
            report.error(
                &entry.key_span,
                format!("the limit on `{id}` does not say how much is included"),
                hint,
            );
            None
        }
    };
    if let (LimitKind::Allocation, Some(per)) = (kind, node.get("per")) {
        report.error(
            &per.span,
            format!("`{id}` is held, not consumed: its limit has no window"),
            None,
        );
    }
    let over = over(report, node);
    if let (LimitKind::Allocation, Over::Charge { .. } | Over::TrueUp { .. }, Some(span)) =
        (kind, &over, node.get("over").map(|node| &node.span))
    {
        let hint = format!("sell more of it: price = {{ month = \"...\", per = \"{id}\" }}");
        report.error(
            span,
            format!("`{id}` is held, not consumed: it has no price past its limit"),
            hint,
        );
    }
    let metered = charges
        .iter()
        .any(|charge| matches!(&charge.basis, Basis::Metered { meter, .. } if meter == id));
    if own && metered && matches!(over, Over::Charge { .. } | Over::TrueUp { .. }) {
        report.error(
            &entry.key_span,
            format!("`{id}` would be charged twice: by a charge, and past its limit"),
            None,
        );
    }
    let per = (kind == LimitKind::Meter).then(|| charges::per_of(node, "per"));
    Some(Limit { id: id.clone(), kind, included, per, over, warn_at: warn_at(report, node) })
}

fn warn_at(report: &mut Report<'_>, node: &Node) -> Vec<u32> {
    let mut levels: Vec<u32> = Vec::new();
    for level in node.get("warn_at").map(Node::list).unwrap_or_default() {
        match level.whole().and_then(|number| u32::try_from(number).ok()) {
            Some(number @ 1..=1000) if levels.last().is_none_or(|last| *last < number) => {
                levels.push(number)
            }
            _ => report.error(
                &level.span,
                "per cents rise, from 1 to 1000",
                "write warn_at = [80, 100]".to_owned(),
            ),
        }
    }
    levels
}

fn over(report: &mut Report<'_>, node: &Node) -> Over {
    let Some(over) = node.get("over") else { return Over::Block };
    match over.text() {
        Some("warn") => return Over::Warn,
        Some(_) => return Over::Block,
        None => {}
    }
    let each = charges::each(report, over);
    let rounding = charges::rounding(over);
    match (charges::exact(over, "price"), charges::exact(over, "true_up")) {
        (Some(price), None) => {
            Over::Charge { price, each, rounding, hard_stop: over.flag("hard_stop") }
        }
        (None, Some(price)) => Over::TrueUp { price, each, rounding },
        // One that cannot be read was told already.
        _ if over.get("price").is_some() != over.get("true_up").is_some() => Over::Block,
        _ => {
            let hint = "write over = { price = \"0.05\", each = 1_000 }, or { true_up = \"0.50\" }"
                .to_owned();
            report.error(&over.span, "past the limit, one of price and true_up is charged", hint);
            Over::Block
        }
    }
}

pub(super) fn add_ons(report: &mut Report<'_>, ids: &Ids<'_>, table: &str) -> Vec<AddOn> {
    let mut add_ons = Vec::new();
    for entry in entries(ids.root, table) {
        let node = &entry.node;
        let name = node.text_of("name").unwrap_or_default();
        if let Some(support) = node.get("support") {
            ids.refer(report, support, "support");
        }
        let mut raises = Vec::new();
        for raise in entries(node, "raises") {
            if !ids.has("meters", &raise.key) && !ids.has("allocations", &raise.key) {
                let hint = suggest(&raise.key, ids.of("meters").chain(ids.of("allocations")));
                report.error(&raise.key_span, format!("there is no limit `{}`", raise.key), hint);
            }
            let by = raise.node.whole().map_or(Quantity::ZERO, charges::quantity);
            raises.push(Raise { limit: raise.key.clone(), by });
        }
        let Some(price) = node.entry("price") else { continue };
        let Some(charge) = charges::charge(report, ids, price, &entry.key, &name, None) else {
            continue;
        };
        add_ons.push(AddOn {
            id: entry.key.clone(),
            name,
            summary: node.text_of("summary").unwrap_or_default(),
            plans: ids.refer_all(report, node, "plans", "plans"),
            charge: Charge { optional: true, ..charge },
            features: ids.refer_all(report, node, "features", "features"),
            support: node.text_of("support"),
            raises,
        });
    }
    add_ons
}

pub(super) fn discounts(report: &mut Report<'_>, ids: &Ids<'_>) -> Vec<Discount> {
    let mut discounts = Vec::new();
    for entry in entries(ids.root, "discounts") {
        let node = &entry.node;
        let volume = node.get("volume").map(|volume| {
            if let Some(of) = volume.get("of") {
                ids.refer(report, of, "allocations");
            }
            Volume {
                allocation: volume.text_of("of").unwrap_or_default(),
                at_least: volume.whole_of("at_least").map_or(Quantity::ZERO, charges::quantity),
            }
        });
        let part = |word: String| match word.as_str() {
            "addons" => Part::AddOns,
            "services" => Part::Services,
            "overage" => Part::Overage,
            _ => Part::Plan,
        };
        let reduces: Vec<Part> = node.texts("on").into_iter().map(part).collect();
        discounts.push(Discount {
            id: entry.key.clone(),
            name: node.text_of("name").unwrap_or_default(),
            percent: percent(report, node),
            plans: ids.refer_all(report, node, "plans", "plans"),
            reduces: if reduces.is_empty() { vec![Part::Plan, Part::AddOns] } else { reduces },
            term_years: node.whole_of("term_years").and_then(|years| u32::try_from(years).ok()),
            prepaid: node.flag("prepaid"),
            customers: node.texts("customers"),
            first_customers: node
                .whole_of("first_customers")
                .and_then(|first| u32::try_from(first).ok()),
            volume,
        });
    }
    discounts
}

fn percent(report: &mut Report<'_>, node: &Node) -> Decimal {
    let percent =
        node.whole_of("percent").map(Decimal::from).or_else(|| charges::exact(node, "percent"));
    let Some(percent) = percent else { return Decimal::ZERO };
    if percent.is_zero() || percent > Decimal::ONE_HUNDRED {
        let span = node.get("percent").map_or(0..0, |node| node.span.clone());
        report.error(&span, "a discount is more than 0 and at most 100 per cent", None);
    }
    percent
}
