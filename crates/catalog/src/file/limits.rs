//! Limits: how much is included, and what happens past it.

use tenure_core::Quantity;

use super::{
    build::Ids,
    charges,
    node::{Entry, Node},
    parts::entries,
    report::{Report, suggest},
};
use crate::plan::{Basis, Charge, Limit, LimitKind, Over};

/// The limits of a plan: its own and those of the plans that it extends.
pub(super) fn limits(
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
    let included = included(report, entry, charges);
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

/// How much is included; what is sold by number includes nothing else.
fn included(report: &mut Report<'_>, entry: &Entry, charges: &[Charge]) -> Option<Quantity> {
    let (id, node) = (&entry.key, &entry.node);
    let sold = charges
        .iter()
        .any(|charge| matches!(&charge.basis, Basis::Held { allocation, .. } if allocation == id));
    let amount = if node.entries().is_empty() { Some(node) } else { node.get("included") };
    match amount {
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
    }
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
