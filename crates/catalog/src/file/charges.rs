//! Prices of plans, add-ons and services: what is due, when, multiplied with
//! what.

use rust_decimal::Decimal;
use tenure_core::{Interval, Quantity};

use super::{
    build::Ids,
    node::{Entry, Node},
    report::Report,
};
use crate::{
    plan::{Basis, Charge, Commitment, Every, Per, Rounding, Tier},
    price::Amount,
};

/// A whole number as a quantity; the grammar check has refused larger ones.
pub(super) fn quantity(number: u64) -> Quantity {
    Quantity::new(Decimal::from(number)).unwrap_or_default()
}

/// `month` or `year` under `key`.
pub(super) fn interval(node: &Node, key: &str) -> Option<Interval> {
    match node.get(key).and_then(Node::text)? {
        "month" => Some(Interval::Month),
        "year" => Some(Interval::Year),
        _ => None,
    }
}

pub(super) fn rounding(node: &Node) -> Rounding {
    match node.get("rounding").and_then(Node::text) {
        Some("up") => Rounding::Up,
        _ => Rounding::Exact,
    }
}

/// How many make a package; refuses none.
pub(super) fn each(report: &mut Report<'_>, node: &Node) -> Quantity {
    match node.get("each") {
        Some(each) if each.whole() == Some(0) => {
            report.error(&each.span, "a package of 0 has no price", None);
            Quantity::ONE
        }
        Some(each) => each.whole().map_or(Quantity::ONE, quantity),
        None => Quantity::ONE,
    }
}

/// One exact amount under `key`; mistakes of form were reported already.
pub(super) fn exact(node: &Node, key: &str) -> Option<Decimal> {
    node.get(key).and_then(Node::text).and_then(|text| Amount::parse(text).ok())?.billable()
}

/// What the entry of a `price` or a charge says. `custom` plans are due by
/// `billed`, or by the month.
pub(super) fn charge(
    report: &mut Report<'_>,
    ids: &Ids<'_>,
    entry: &Entry,
    id: &str,
    name: &str,
    billed: Option<Interval>,
) -> Option<Charge> {
    let node = &entry.node;
    if let Some(text) = node.text() {
        return shorthand(report, node, text, id, name, billed);
    }
    let basis = basis(report, ids, entry);
    let (every, amount) = due(report, ids, entry, &basis)?;
    Some(Charge {
        id: id.to_owned(),
        name: node.text_of("name").unwrap_or_else(|| name.to_owned()),
        amount,
        tiers: tiers(report, node),
        every,
        basis,
        optional: node.flag("optional"),
    })
}

fn shorthand(
    report: &mut Report<'_>,
    node: &Node,
    text: &str,
    id: &str,
    name: &str,
    billed: Option<Interval>,
) -> Option<Charge> {
    let amount = Amount::parse(text).ok()?;
    if amount != Amount::Custom {
        let hint = format!("write {{ month = \"{text}\" }}, or year, or once");
        report.error(&node.span, format!("`{text}` does not say when it is due"), hint);
    }
    Some(Charge {
        id: id.to_owned(),
        name: name.to_owned(),
        amount,
        tiers: Vec::new(),
        every: if billed == Some(Interval::Year) { Every::Year } else { Every::Month },
        basis: Basis::Flat { unit: None },
        optional: false,
    })
}

fn basis(report: &mut Report<'_>, ids: &Ids<'_>, entry: &Entry) -> Basis {
    let node = &entry.node;
    match (node.get("meter"), node.get("per")) {
        (Some(meter), per) => {
            ids.refer(report, meter, "meters");
            if let Some(per) = per {
                report.error(
                    &per.span,
                    "a price is multiplied with a meter or an allocation, not both",
                    None,
                );
            }
            Basis::Metered {
                meter: meter.text().unwrap_or_default().to_owned(),
                per: per_of(node, "reset"),
                each: each(report, node),
                rounding: rounding(node),
            }
        }
        (None, Some(per)) => {
            ids.refer(report, per, "allocations");
            let minimum = node.whole_of("at_least").map_or(Quantity::ZERO, quantity);
            Basis::Held { allocation: per.text().unwrap_or_default().to_owned(), minimum }
        }
        (None, None) => {
            if let Some(at_least) = node.get("at_least") {
                let hint = "add per = \"users\", the allocation that is counted".to_owned();
                report.error(&at_least.span, "`at_least` of what?", hint);
            }
            Basis::Flat { unit: node.text_of("unit") }
        }
    }
}

/// The window under `key`; the invoice period when left out.
pub(super) fn per_of(node: &Node, key: &str) -> Per {
    match node.get(key).and_then(Node::text) {
        Some("day") => Per::Day,
        Some("month") => Per::Month,
        _ => Per::Period,
    }
}

/// When the charge is due, and its price (nothing where tiers say it).
fn due(
    report: &mut Report<'_>,
    ids: &Ids<'_>,
    entry: &Entry,
    basis: &Basis,
) -> Option<(Every, Amount)> {
    let node = &entry.node;
    let timed: Vec<&Entry> = node
        .entries()
        .iter()
        .filter(|entry| ["month", "year", "once"].contains(&entry.key.as_str()))
        .collect();
    if let Some(second) = timed.get(1) {
        let hint = "make two plans, or two entries under charges".to_owned();
        report.error(&second.key_span, "one price cannot be due in two ways", hint);
    }
    let metered = matches!(basis, Basis::Metered { .. });
    let tiered = node.get("tiers").is_some();
    if let (true, Some(entry)) = (metered, timed.first()) {
        let hint = "a meter is billed with each invoice: write price = \"0.05\"".to_owned();
        report.error(&entry.key_span, "a meter's price is not due by the month or year", hint);
    }
    if let (false, Some(price)) = (metered, node.entry("price")) {
        let hint =
            "name the meter with meter = \"...\", or write month, year or once for a fixed price";
        report.error(
            &price.key_span,
            format!("a price without a meter in `{}`", entry.key),
            hint.to_owned(),
        );
        return None;
    }
    let priced = timed.first().copied().or_else(|| node.entry("price"));
    let every = match (timed.first().map(|entry| entry.key.as_str()), metered) {
        (_, true) => Every::Usage,
        (Some("year"), _) => Every::Year,
        (Some("once"), _) => Every::Once,
        (Some(_), _) => Every::Month,
        (None, _) => interval(node, "every").map_or(Every::Month, |interval| match interval {
            Interval::Month => Every::Month,
            Interval::Year => Every::Year,
        }),
    };
    match (priced, tiered) {
        (Some(priced), true) => {
            report.error(
                &priced.key_span,
                "a price stands beside tiers; the tiers say it all",
                None,
            );
        }
        (None, false) => {
            let hint = "write month = \"499\", year, once, or meter and price".to_owned();
            report.error(&entry.key_span, format!("`{}` has no price", entry.key), hint);
        }
        _ => {}
    }
    let amount = priced.and_then(|entry| Amount::parse(entry.node.text()?).ok());
    if let (Basis::Flat { .. }, Some(amount), Some(priced)) = (basis, amount, priced) {
        decimals(report, ids, &priced.node, amount);
    }
    Some((every, amount.unwrap_or(Amount::exact(Decimal::ZERO))))
}

/// A flat price is money that someone pays: it has the currency's decimals.
fn decimals(report: &mut Report<'_>, ids: &Ids<'_>, node: &Node, amount: Amount) {
    let allowed = ids.currency.exponent();
    if amount.numbers().iter().any(|number| number.normalize().scale() > allowed) {
        let text = node.text().unwrap_or_default();
        let message =
            format!("`{text}` has too many decimals: {} has {allowed}", ids.currency.code());
        report.error(
            &node.span,
            message,
            "only prices of a unit may have more, up to 12".to_owned(),
        );
    }
}

fn tiers(report: &mut Report<'_>, node: &Node) -> Vec<Tier> {
    let Some(list) = node.get("tiers") else { return Vec::new() };
    let mut tiers = Vec::new();
    let mut reached = 0;
    let last = list.list().len().saturating_sub(1);
    if list.list().is_empty() {
        report.error(&list.span, "there are no tiers", None);
    }
    for (at, tier) in list.list().iter().enumerate() {
        let up_to = tier.whole_of("up_to");
        if (at == last) == up_to.is_some() {
            let hint = "every tier but the last says up_to".to_owned();
            report.error(&tier.span, "tiers have to end without an end", hint);
        }
        if up_to.is_some_and(|up_to| up_to <= reached) {
            report.error(
                &tier.span,
                format!("tiers rise: this one ends at or before {reached}"),
                None,
            );
        }
        reached = up_to.unwrap_or(reached);
        let price = exact(tier, "price").unwrap_or_default();
        tiers.push(Tier { up_to: up_to.map(quantity), price });
    }
    tiers
}

pub(super) fn commitment(
    report: &mut Report<'_>,
    ids: &Ids<'_>,
    node: &Node,
) -> Option<Commitment> {
    let (month, year) = (exact(node, "month"), exact(node, "year"));
    let (amount, every, key) = match (month, year) {
        (Some(amount), None) => (amount, Interval::Month, "month"),
        (None, Some(amount)) => (amount, Interval::Year, "year"),
        _ => {
            let hint = "write { year = \"10000\" }".to_owned();
            report.error(&node.span, "a commitment is by the month or by the year", hint);
            return None;
        }
    };
    if let Some(node) = node.get(key) {
        decimals(report, ids, node, Amount::exact(amount));
    }
    Some(Commitment { amount, every })
}
