//! Charges that fall due at a moment: every month, every year, once.
//!
//! What is held at the start of an interval is paid for all of it; what is
//! added later, for the rest of it; what is given back counts from the next
//! interval on. So the highest number held so far is what has been paid.

use std::collections::BTreeSet;

use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::Decimal;
use tenure_core::{
    Interval, Period,
    period::{billing_period, billing_period_at},
};

use super::{Error, exact::Ratio};
use crate::{
    contract::Terms,
    plan::{Basis, Charge, Every},
};

/// Most intervals of one charge in a period: a period has at most some years.
const INTERVALS_MAX: i32 = 1_000;

/// A quantity that falls due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) at: Timestamp,
    pub(super) quantity: Decimal,
    /// How many of the interval are paid for before: tiers go on from there.
    pub(super) after: Decimal,
    /// The part of the interval that it is held for.
    pub(super) part: Ratio,
}

/// What of `charge` falls due in `period`, by time.
pub(super) fn due(
    charge: &Charge,
    every: Every,
    terms: &Terms,
    zone: &TimeZone,
    period: Period,
) -> Result<Vec<Due>, Error> {
    let interval = match every {
        Every::Month => Interval::Month,
        Every::Year => Interval::Year,
        Every::Once => return Ok(once(charge, terms, period)),
        Every::Usage => return Ok(Vec::new()),
    };
    let mut all = Vec::new();
    for instance in intervals(terms, zone, interval, period)? {
        all.extend(in_interval(charge, terms, instance, period));
    }
    Ok(all)
}

/// The intervals of the subscription that overlap `period`, by time.
pub(super) fn intervals(
    terms: &Terms,
    zone: &TimeZone,
    interval: Interval,
    period: Period,
) -> Result<Vec<Period>, Error> {
    let anchor = terms.anchored();
    let calendar = |_| Error::BadPeriod;
    let (first, _) = billing_period_at(anchor, zone, interval, period.start).map_err(calendar)?;
    let mut all = Vec::new();
    for n in first..first.saturating_add(INTERVALS_MAX) {
        let instance = billing_period(anchor, zone, interval, n).map_err(calendar)?;
        if instance.start >= period.end {
            return Ok(all);
        }
        all.push(instance);
    }
    Err(Error::BadPeriod)
}

/// How many of the charge are to be paid for at `at`.
fn held(charge: &Charge, terms: &Terms, at: Timestamp) -> Decimal {
    if at < terms.start || terms.end.is_some_and(|end| at >= end) {
        return Decimal::ZERO;
    }
    let items = terms.quantity(&charge.id, at);
    match &charge.basis {
        _ if charge.optional && items.is_none() => Decimal::ZERO,
        Basis::Held { minimum, .. } => items.unwrap_or_default().max(minimum.value()),
        Basis::Flat { .. } => items.unwrap_or(Decimal::ONE),
        Basis::Metered { .. } => Decimal::ZERO,
    }
}

fn in_interval(charge: &Charge, terms: &Terms, instance: Period, period: Period) -> Vec<Due> {
    let moments: BTreeSet<Timestamp> = terms
        .items
        .iter()
        .filter(|item| item.charge == charge.id)
        .map(|item| item.from)
        .chain([instance.start, terms.start])
        .filter(|at| instance.contains(*at))
        .collect();
    let until = terms.end.map_or(instance.end, |end| end.min(instance.end));
    let seconds = |from: Timestamp, to: Timestamp| Decimal::from(to.as_second() - from.as_second());
    let mut paid = Decimal::ZERO;
    let mut all = Vec::new();
    for at in moments {
        let quantity = held(charge, terms, at);
        if quantity <= paid {
            continue;
        }
        if period.contains(at) {
            let part =
                Ratio { part: seconds(at, until), whole: seconds(instance.start, instance.end) };
            all.push(Due { at, quantity: quantity - paid, after: paid, part });
        }
        paid = quantity;
    }
    all
}

/// A one-time charge is due when the terms start, or when its item does.
///
/// Of several stretches of one plan, the first has it.
fn once(charge: &Charge, terms: &Terms, period: Period) -> Vec<Due> {
    let whole = |at, quantity| Due { at, quantity, after: Decimal::ZERO, part: Ratio::ONE };
    let mine = |at: Timestamp| {
        period.contains(at)
            && (terms.stretch.is_none()
                || terms.start <= at && terms.end.is_none_or(|end| at < end))
    };
    let items: Vec<_> = terms.items.iter().filter(|item| item.charge == charge.id).collect();
    if items.is_empty() {
        let at = terms.start;
        let quantity = held(charge, terms, at);
        let due = mine(at) && terms.began() == at && !quantity.is_zero();
        return due.then(|| whole(at, quantity)).into_iter().collect();
    }
    let due = items.into_iter().filter(|item| mine(item.from));
    due.map(|item| whole(item.from, item.quantity.value())).collect()
}
