//! What goes beside a plan: add-ons, services, discounts.

use rust_decimal::Decimal;
use tenure_core::Quantity;

use super::{
    build::Ids,
    charges,
    node::Node,
    parts::entries,
    report::{Report, suggest},
};
use crate::plan::{AddOn, Charge, Discount, Part, Raise, Volume};

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
