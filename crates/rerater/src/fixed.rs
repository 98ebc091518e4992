//! What costs by the month, by the year, or once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::books::{Books, Stretch};
use crate::exact::{Exact, whole};
use crate::input::{Span, Unit};
use crate::invoice::Part;
use crate::product::{Due, Kind, Price};
use crate::{Error, Result, calendar, discounts, pricing};

/// Everything of this sort that falls due in a period.
pub(crate) fn parts(books: &Books<'_>, period: Span) -> Result<Vec<Part>> {
    all_agreed(books, period)?;
    let mut parts = Vec::new();
    for unit in [Unit::Month, Unit::Year] {
        for interval in books.intervals(unit, period)? {
            parts.extend(interval_parts(books, unit, interval, period.to)?);
        }
    }
    parts.extend(plan_once(books, period.to)?);
    parts.extend(extras_once(books, period.to)?);
    // SPEC 6, product-file.md: a price falls due at a moment, and the period that holds it bills it.
    let end = books.input.subscription.end;
    parts.retain(|p| match p.closes && end == Some(p.at) {
        true => period.from < p.at && p.at <= period.to,
        false => period.from <= p.at && p.at < period.to,
    });
    Ok(parts)
}

/// SPEC 12: "from", ranges and "custom" need a contract before they can be billed. Where the list does
/// not even say when a price is due, the bill cannot be made; it is not left out in silence.
fn all_agreed(books: &Books<'_>, period: Span) -> Result<()> {
    for stretch in books.stretches.iter().filter(|s| !s.trial) {
        if stretch.span.to <= period.from || period.to <= stretch.span.from {
            continue;
        }
        let ordered = |id: &str| books.input.subscription.items.iter().any(|i| i.charge == id);
        let mut prices = books.plan(stretch)?.prices;
        prices.extend(books.extras(stretch)?);
        for price in prices.iter().filter(|p| p.due == Due::Unsaid) {
            if ordered(&price.line) || (price.kind == Kind::Plan && !price.optional) {
                return Err(Error::NeedsContract(price.line.clone()));
            }
        }
    }
    Ok(())
}

/// What an interval was paid for so far.
struct Paid {
    /// On these terms: product file, and plan for the plan's own charges.
    on: (usize, String),
    number: Exact,
    /// What that number costs for the whole interval, discounts taken off as they held.
    whole_amount: Exact,
}

/// One month or year from beginning to end, moment by moment. "A monthly or yearly price falls due
/// when its interval begins. What is added later pays for the rest of the interval; what is given
/// back counts from the next one." (product-file.md, How bills follow from it)
/// What comes after the period is not looked at: a bill does not know the future.
fn interval_parts(
    books: &Books<'_>,
    unit: Unit,
    interval: Span,
    until: Timestamp,
) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    let mut paid: BTreeMap<String, Paid> = BTreeMap::new();
    for at in moments(books, Span { from: interval.from, to: interval.to.min(until) }) {
        // "A subscription that is cancelled pays to that second." (product-file.md)
        if books.input.subscription.end == Some(at) && books.assumed.cancelled_pays_to_the_second {
            let rest = calendar::share(Span { from: at, to: interval.to }, interval);
            for (line, held) in std::mem::take(&mut paid) {
                parts.push(back(line, &held, at, &rest));
            }
        }
        // Before the start, after the end and while it is tried, nothing falls due.
        let Some(stretch) = books.stretch_at(at).filter(|s| !s.trial) else { continue };
        let rest = calendar::share(Span { from: at, to: interval.to }, interval);
        if let Some(part) = given_back(books, stretch, &mut paid, at, &rest) {
            parts.extend(part);
        }
        for price in due_now(books, stretch, &Due::Every(unit))? {
            let Some(number) = books.number(&price, at)? else { continue };
            let before = paid.get(&price.line).map_or_else(|| whole(0), |p| p.number.clone());
            // The highest number so far in the interval is paid; more is added, less is not.
            if number <= before && paid.contains_key(&price.line) {
                continue;
            }
            let more = pricing::cost(&price.rate, &number, &price.line)?
                - pricing::cost(&price.rate, &before, &price.line)?;
            let more = more * discounts::factor(books, stretch, price.kind, &price.line, at)?;
            parts.push(Part {
                line: price.line.clone(),
                at,
                closes: false,
                quantity: (&number - &before) * &rest,
                amount: &more * &rest,
                why: format!("{} more for {rest} of the interval, at {more}", &number - &before),
            });
            let entry = paid.entry(price.line.clone()).or_insert_with(|| Paid {
                on: on(stretch, price.kind),
                number: whole(0),
                whole_amount: whole(0),
            });
            entry.number = number;
            entry.whole_amount += more;
        }
    }
    Ok(parts)
}

/// The moments of an interval at which something can change: its start, every beginning of other
/// terms, every item that comes or goes.
fn moments(books: &Books<'_>, interval: Span) -> BTreeSet<Timestamp> {
    let mut moments = books.item_moments();
    moments.extend(books.stretches.iter().map(|s| s.span.from));
    moments.insert(interval.from);
    moments.retain(|m| interval.from <= *m && *m < interval.to);
    // The end closes a period rather than beginning one.
    moments.extend(
        books.input.subscription.end.filter(|end| interval.from < *end && *end <= interval.to),
    );
    moments
}

/// A change of plan cuts the interval: what was paid on the old plan for the rest of it is given
/// back, and the new plan pays for that rest. Each pays for its own seconds.
fn given_back(
    books: &Books<'_>,
    stretch: &Stretch<'_>,
    paid: &mut BTreeMap<String, Paid>,
    at: Timestamp,
    rest: &Exact,
) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let extras = books.extras(stretch).ok()?;
    let lines: Vec<String> = paid.keys().cloned().collect();
    for line in lines {
        let held = paid.get(&line)?;
        let kind = if held.on.1.is_empty() { Kind::Addons } else { Kind::Plan };
        let there = kind == Kind::Plan || extras.iter().any(|extra| extra.line == line);
        if held.on == on(stretch, kind) && there {
            continue;
        }
        let held = paid.remove(&line)?;
        if books.assumed.old_plan_is_given_back {
            parts.push(back(line, &held, at, rest));
        }
    }
    Some(parts)
}

/// What was paid for the rest of an interval, given back.
fn back(line: String, held: &Paid, at: Timestamp, rest: &Exact) -> Part {
    Part {
        line,
        at,
        closes: true,
        quantity: -(&held.number * rest),
        amount: -(&held.whole_amount * rest),
        why: format!("{} given back for {rest} of the interval", held.number),
    }
}

/// Plan charges are on the terms of a plan in a product file; add-ons and services on those of a
/// product file, whatever the plan.
fn on(stretch: &Stretch<'_>, kind: Kind) -> (usize, String) {
    let plan = if kind == Kind::Plan { stretch.terms.plan.clone() } else { String::new() };
    (stretch.terms.product_file, plan)
}

/// The prices of a stretch, of the plan and beside it, that are due in this way.
fn due_now(books: &Books<'_>, stretch: &Stretch<'_>, due: &Due) -> Result<Vec<Price>> {
    let mut prices = books.plan(stretch)?.prices;
    prices.extend(books.extras(stretch)?);
    prices.retain(|p| &p.due == due);
    Ok(prices)
}

/// One-time prices of a plan: due when the plan begins, and for what is added to it later. "A price
/// with `once` falls due when it is ordered." (product-file.md)
fn plan_once(books: &Books<'_>, until: Timestamp) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    let mut paid: BTreeMap<String, Exact> = BTreeMap::new();
    let mut plan_before = None;
    let mut moments = books.item_moments();
    moments.extend(books.stretches.iter().map(|s| s.span.from));
    moments.retain(|m| *m < until);
    for at in moments {
        let Some(stretch) = books.stretch_at(at).filter(|s| !s.trial) else { continue };
        // Another plan begins: what was bought with the last one is another purchase.
        if plan_before.replace(stretch.terms.plan.clone()) != Some(stretch.terms.plan.clone()) {
            paid.clear();
        }
        for price in due_now(books, stretch, &Due::Once)? {
            if price.kind != Kind::Plan || price.optional {
                continue;
            }
            let Some(number) = books.number(&price, at)? else { continue };
            let before = paid.insert(price.line.clone(), number.clone());
            let before = before.unwrap_or_else(|| whole(0));
            if number <= before {
                paid.insert(price.line.clone(), before);
                continue;
            }
            let amount = pricing::cost(&price.rate, &number, &price.line)?
                - pricing::cost(&price.rate, &before, &price.line)?;
            parts.push(once(books, stretch, &price, at, number - before, amount)?);
        }
    }
    Ok(parts)
}

/// One-time prices beside a plan: each item is an order of its own, due when it begins, and not
/// before the subscription costs anything.
fn extras_once(books: &Books<'_>, until: Timestamp) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    for item in &books.input.subscription.items {
        let costs = books.stretches.iter().filter(|s| !s.trial);
        let Some(stretch) = costs.into_iter().find(|s| item.from < s.span.to) else { continue };
        let at = item.from.max(stretch.span.from);
        if at >= until || item.to.is_some_and(|to| to <= at) {
            continue;
        }
        for price in due_now(books, stretch, &Due::Once)? {
            if price.line != item.charge || (price.kind == Kind::Plan && !price.optional) {
                continue;
            }
            let number = crate::books::read_number(&item.quantity)?;
            let number = match &price.per {
                None => number.max(price.at_least.clone()),
                Some(_) => books.number(&price, at)?.unwrap_or_else(|| whole(0)),
            };
            let amount = pricing::cost(&price.rate, &number, &price.line)?;
            parts.push(once(books, stretch, &price, at, number, amount)?);
        }
    }
    Ok(parts)
}

fn once(
    books: &Books<'_>,
    stretch: &Stretch<'_>,
    price: &Price,
    at: Timestamp,
    quantity: Exact,
    amount: Exact,
) -> Result<Part> {
    let factor = discounts::factor(books, stretch, price.kind, &price.line, at)?;
    let why = format!("{quantity} ordered, {amount}, times {factor}");
    let amount = amount * factor;
    Ok(Part { line: price.line.clone(), at, closes: false, quantity, amount, why })
}
