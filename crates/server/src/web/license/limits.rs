//! The limits of a license beside what was used of them and the most that was
//! held at once.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use tenure_api::usage::{MeterSummary, UsageSummary};
use tenure_catalog::Product;
use tenure_license::claims::{Limit, Over, Per};

use crate::{
    licensing::{
        Look,
        instances::{HighWater, HighWaters, Instances, SLOTS_LIMIT},
    },
    web::{frame::Bar, words},
};

/// One limit.
pub(in crate::web) struct LimitRow {
    pub(in crate::web) name: String,
    pub(in crate::web) window: &'static str,
    /// `34 of 100`, or only what is allowed where nothing was reported.
    pub(in crate::web) used: String,
    pub(in crate::web) bar: Option<Bar>,
    /// The most at once, and in which month.
    pub(in crate::web) most: Option<(String, String)>,
    pub(in crate::web) over: &'static str,
}

/// What is known of the use of a license.
pub(in crate::web) struct Use<'a> {
    pub(in crate::web) usage: &'a UsageSummary,
    pub(in crate::web) marks: &'a HighWaters,
    pub(in crate::web) instances: &'a Instances,
}

/// The limits in the product's order: what is held, then what is consumed.
pub(in crate::web) fn limits(look: &Look, known: &Use<'_>) -> Vec<LimitRow> {
    let product = &look.catalog.product;
    let place = |id: &str| {
        let allocation = product.allocations.iter().position(|one| one.id == id);
        let meter = product.meters.iter().position(|one| one.id == id);
        (allocation.is_none(), allocation.or(meter))
    };
    let mut all: Vec<(&String, &Limit)> = look.claims.limits.iter().collect();
    all.sort_by_key(|(id, _)| place(id));
    all.into_iter().map(|(id, limit)| row(product, id, limit, known)).collect()
}

fn row(product: &Product, id: &str, limit: &Limit, known: &Use<'_>) -> LimitRow {
    let meter = known.usage.meters.iter().find(|meter| meter.meter == id);
    let mark = mark(product, id, known.marks);
    let used = used(id, limit, meter, mark, known);
    let max = limit.max.map(|max| max.value());
    let most = max.map_or_else(|| "unlimited".to_owned(), words::number);
    LimitRow {
        name: name(product, id),
        window: window(limit),
        used: match used {
            Some(used) => format!("{} of {most}", words::number(used.round_dp(2))),
            None if max.is_none() => "Unlimited".to_owned(),
            None => format!("Up to {most}"),
        },
        bar: used.zip(max).and_then(|(used, max)| share(used, max)).map(Bar::new),
        most: mark.map(|mark| {
            let month = mark.month.strftime("%B %Y").to_string();
            (words::number(mark.value.normalize()), month)
        }),
        over: if max.is_some() { over(limit.over) } else { "No limit" },
    }
}

/// Slots are counted here, consumption is what was reported and counted, and of
/// what is held the mark of the month is all that is known.
fn used(
    id: &str,
    limit: &Limit,
    meter: Option<&MeterSummary>,
    mark: Option<&HighWater>,
    known: &Use<'_>,
) -> Option<Decimal> {
    match (id, limit.per, meter) {
        (SLOTS_LIMIT, ..) => Some(Decimal::from(known.instances.held)),
        (_, Some(_), Some(meter)) => Some(meter.used),
        (_, None, _) => mark.map(|mark| mark.value),
        _ => None,
    }
}

/// The newest mark of the statistic that goes with a limit.
fn mark<'a>(product: &Product, id: &str, marks: &'a HighWaters) -> Option<&'a HighWater> {
    let reported = product.meter(id).and_then(|meter| meter.reported_as.as_deref());
    let stat = reported.unwrap_or(id);
    marks.items.iter().find(|mark| mark.stat == stat)
}

/// The name of a limit, for people.
pub(in crate::web) fn name(product: &Product, id: &str) -> String {
    let allocation = product.allocation(id).map(|allocation| allocation.name.clone());
    let meter = || product.meter(id).map(|meter| meter.name.clone());
    allocation.or_else(meter).unwrap_or_else(|| words::title(id))
}

fn share(used: Decimal, max: Decimal) -> Option<u32> {
    let percent = (used.checked_mul(Decimal::ONE_HUNDRED)?).checked_div(max)?;
    Some(percent.to_u32().unwrap_or(u32::MAX))
}

pub(in crate::web) fn window(limit: &Limit) -> &'static str {
    match limit.per {
        None => "held at once",
        Some(Per::Day) => "a day",
        Some(Per::Month) => "a month",
        Some(Per::Year) => "a year",
    }
}

pub(in crate::web) fn over(over: Over) -> &'static str {
    match over {
        Over::Block => "Refused",
        Over::Warn => "Goes on, with a warning",
        Over::Charge => "Charged by the plan's price",
        Over::TrueUp => "Settled once a year",
    }
}
