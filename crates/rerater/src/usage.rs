//! What costs by use: charges by a meter, and what is over a limit.

use crate::books::{Books, Stretch};
use crate::exact::{Exact, above, whole};
use crate::input::{Span, Unit};
use crate::invoice::Part;
use crate::product::{Due, Kind, Limit, Meter, Over, Rate};
use crate::windows::Cut;
use crate::{Error, Result, discounts, meter, pricing, windows};

/// Everything of this sort that a period bills. Each stretch of the terms is rated by itself.
pub(crate) fn parts(books: &Books<'_>, period: Span) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    // "Trial periods cost nothing": their windows are not rated at all.
    for stretch in books.stretches.iter().filter(|s| !s.trial && s.span.from < period.to) {
        parts.extend(metered(books, stretch, period)?);
        for limit in books.plan(stretch)?.limits {
            if let Over::Priced(rate, hard_stop) = &limit.over {
                parts.extend(overage(books, stretch, &limit, rate, *hard_stop, period)?);
            }
        }
    }
    parts.extend(true_ups(books, period)?);
    Ok(parts)
}

fn meter_of<'a>(books: &'a Books<'_>, stretch: &Stretch<'_>, id: &str) -> Result<&'a Meter> {
    let meters = &books.product(stretch)?.meters;
    meters.iter().find(|m| m.id == id).ok_or_else(|| Error::NoMeter(id.to_owned()))
}

/// A cut window of a level counts for the part of the window that it is: ten gigabytes for half a
/// month are five GB-months. A cut window of a flow counts as it is.
fn weight(books: &Books<'_>, meter: &Meter, cut: &Cut) -> Exact {
    let level = matches!(meter.way, crate::product::Way::TimeWeighted(_));
    if level && books.assumed.cut_levels_count_in_part { cut.share() } else { whole(1) }
}

/// Charges by a meter: from the first unit on. product-file.md, price: `meter`, `tiers`, `reset`.
fn metered(books: &Books<'_>, stretch: &Stretch<'_>, period: Span) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    for price in books.plan(stretch)?.prices {
        let Due::Use(meter_id, window) = &price.due else { continue };
        let meter = meter_of(books, stretch, meter_id)?;
        let cuts = windows::ending_in(books, stretch, *window, period)?;
        let Some(at) = cuts.iter().map(|c| c.span.to).max() else { continue };
        let mut quantity = whole(0);
        let mut amount = whole(0);
        for cut in &cuts {
            let read = meter::quantity(meter, &books.events, cut.span);
            let weight = weight(books, meter, cut);
            // "Tiers that begin anew each month": each window climbs them from the bottom.
            if !price.rate.tiers.is_empty() {
                amount += pricing::cost(&price.rate, &read, &price.line)? * &weight;
            }
            quantity += read * weight;
        }
        if quantity == whole(0) {
            continue;
        }
        if price.rate.tiers.is_empty() {
            amount = pricing::cost(&price.rate, &quantity, &price.line)?;
        }
        parts.push(used(books, stretch, (price.kind, &price.line), at, quantity, amount)?);
    }
    Ok(parts)
}

/// What is over a limit in the windows that end in a span. "The excess of each day is summed over
/// the invoice period, then priced once." (SPEC 12, Daily allowance)
fn excess(books: &Books<'_>, stretch: &Stretch<'_>, limit: &Limit, span: Span) -> Result<Exact> {
    let Some(included) = &limit.included else { return Ok(whole(0)) };
    let meter = meter_of(books, stretch, &limit.of)?;
    let mut sum = whole(0);
    for cut in windows::ending_in(books, stretch, limit.per, span)? {
        let mut allowance = included + raised(books, stretch, &limit.of, cut.span)?;
        if books.assumed.cut_allowances_count_in_part {
            let level = matches!(meter.way, crate::product::Way::TimeWeighted(_));
            allowance *= if level { whole(1) } else { cut.share() };
        }
        let read = meter::quantity(meter, &books.events, cut.span);
        sum += above(&read, &allowance) * weight(books, meter, &cut);
    }
    Ok(sum)
}

/// What add-ons add to a limit: the most that was held at any moment of the window.
fn raised(books: &Books<'_>, stretch: &Stretch<'_>, of: &str, window: Span) -> Result<Exact> {
    let mut sum = whole(0);
    for extra in &books.product(stretch)?.extras {
        for (_, one_adds) in extra.raises.iter().filter(|(limit, _)| limit == of) {
            let mut most = books.held(&[&extra.price.line], window.from)?;
            for at in books.item_moments() {
                if window.from <= at && at < window.to {
                    most = most.max(books.held(&[&extra.price.line], at)?);
                }
            }
            sum += most * one_adds;
        }
    }
    Ok(sum)
}

/// Over a limit, with each invoice.
fn overage(
    books: &Books<'_>,
    stretch: &Stretch<'_>,
    limit: &Limit,
    rate: &Rate,
    hard_stop: bool,
    period: Span,
) -> Result<Option<Part>> {
    // "The customer may ask to be blocked instead": then nothing past the limit is charged.
    if hard_stop && stretch.terms.hard_stops.contains(&limit.of) {
        return Ok(None);
    }
    let quantity = excess(books, stretch, limit, period)?;
    if quantity == whole(0) {
        return Ok(None);
    }
    let line = format!("overage.{}", limit.of);
    let amount = pricing::cost(rate, &quantity, &line)?;
    let at = stretch.span.to.min(period.to);
    used(books, stretch, (Kind::Overage, &line), at, quantity, amount).map(Some)
}

/// Over a limit, once a year: SPEC 12, "Enterprise trues up yearly". The year is the
/// subscription's; it is cut where the plan begins or ends, and is billed with the period in which
/// it ends.
fn true_ups(books: &Books<'_>, period: Span) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    for run in runs(books) {
        let year_span = Span { from: run.span.from, to: run.span.to.min(period.to) };
        if year_span.from >= year_span.to {
            continue;
        }
        for year in books.intervals(Unit::Year, year_span)? {
            let cut = Span { from: year.from.max(run.span.from), to: year.to.min(run.span.to) };
            if !(period.from < cut.to && cut.to <= period.to) {
                continue;
            }
            for stretch in &run.stretches {
                parts.extend(true_up(books, stretch, cut)?);
            }
        }
    }
    Ok(parts)
}

fn true_up(books: &Books<'_>, stretch: &Stretch<'_>, year: Span) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    for limit in books.plan(stretch)?.limits {
        let Over::TrueUp(rate, hard_stop) = &limit.over else { continue };
        if *hard_stop && stretch.terms.hard_stops.contains(&limit.of) {
            continue;
        }
        let quantity = excess(books, stretch, &limit, year)?;
        if quantity == whole(0) {
            continue;
        }
        let line = format!("overage.{}", limit.of);
        let amount = pricing::cost(rate, &quantity, &line)?;
        parts.push(used(books, stretch, (Kind::Overage, &line), year.to, quantity, amount)?);
    }
    Ok(parts)
}

/// A part for usage that ended at a moment, with the discounts that held just before it.
fn used(
    books: &Books<'_>,
    stretch: &Stretch<'_>,
    (kind, line): (Kind, &str),
    at: jiff::Timestamp,
    quantity: Exact,
    amount: Exact,
) -> Result<Part> {
    let last = at.min(stretch.span.to) - jiff::SignedDuration::from_nanos(1);
    let factor = discounts::factor(books, stretch, kind, line, last)?;
    let why = format!("{quantity} used, {amount}, times {factor}");
    Ok(Part { line: line.to_owned(), at, closes: true, quantity, amount: amount * factor, why })
}

/// A plan for as long as it lasts, without its trial.
pub(crate) struct Run<'a, 'b> {
    pub(crate) span: Span,
    pub(crate) stretches: Vec<&'b Stretch<'a>>,
}

/// Neighbouring stretches on the same plan of the same product file.
pub(crate) fn runs<'a, 'b>(books: &'b Books<'a>) -> Vec<Run<'a, 'b>> {
    let mut runs: Vec<Run<'a, 'b>> = Vec::new();
    for stretch in books.stretches.iter().filter(|s| !s.trial) {
        let plan = |s: &Stretch<'_>| (s.terms.product_file, s.terms.plan.clone());
        match runs.last_mut() {
            Some(run)
                if run.span.to == stretch.span.from
                    && run.stretches.iter().all(|s| plan(s) == plan(stretch)) =>
            {
                run.span.to = stretch.span.to;
                run.stretches.push(stretch);
            }
            _ => runs.push(Run { span: stretch.span, stretches: vec![stretch] }),
        }
    }
    runs
}
