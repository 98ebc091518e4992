//! What is settled once an interval: a minimum, a yearly true-up.
//!
//! The stretch of terms that holds when the interval ends settles it, for the
//! whole tenure of its plan. A plan that is left for another is settled when it
//! is left, for its part of the interval; a subscription that ends owes the
//! minimum of the interval that it ends in.

use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::Decimal;
use tenure_core::{Interval, Period};

use super::{Error, due, exact::Ratio, windows};
use crate::contract::Terms;

/// The interval of the subscription that these terms settle in `period`.
pub(super) fn interval(
    terms: &Terms,
    zone: &TimeZone,
    every: Interval,
    period: Period,
) -> Result<Option<Period>, Error> {
    let goes_on = terms.stretch.as_ref().is_some_and(|stretch| stretch.goes_on);
    let tenure_end = terms.end.filter(|_| !goes_on);
    let mine = |at: Timestamp| {
        let inside = period.start < at && at <= period.end;
        inside && terms.start < at && terms.end.is_none_or(|end| at <= end)
    };
    let all = due::intervals(terms, zone, every, period)?;
    // The one before may end where the period starts with a cut: it was settled then.
    Ok(all.into_iter().find(|one| {
        let left = tenure_end.filter(|end| one.start < *end && *end < one.end);
        mine(left.unwrap_or(one.end))
    }))
}

/// The subscription's year that these terms settle in `period`, when its usage
/// has to be given apart from the period's ([`super::Usage::year`]).
pub fn year_apart(terms: &Terms, period: Period) -> Result<Option<Period>, Error> {
    let zone = windows::calendar_zone(terms)?;
    let year = interval(terms, &zone, Interval::Year, period)?;
    Ok(year.filter(|year| *year != period || terms.began() < terms.start))
}

/// The part of `interval` that the plan was held for, when another plan was held
/// for the rest of it.
pub(super) fn part(terms: &Terms, interval: Period) -> Ratio {
    let Some(stretch) = &terms.stretch else { return Ratio::ONE };
    let from = stretch.began.max(interval.start);
    let to = stretch.left.map_or(interval.end, |left| left.min(interval.end));
    if from == interval.start && to == interval.end {
        return Ratio::ONE;
    }
    let seconds = |from: Timestamp, to: Timestamp| Decimal::from(to.as_second() - from.as_second());
    Ratio { part: seconds(from, to), whole: seconds(interval.start, interval.end) }
}
