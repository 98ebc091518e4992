//! Which windows of usage an invoice period bills.
//!
//! A window belongs to the period in which it ENDS: only then is its total
//! known. So a calendar month that two invoice periods share is billed once,
//! with one allowance, by the later of them.

use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::Decimal;
use tenure_core::{
    Period,
    period::{calendar_day, calendar_month},
};

use super::{Error, WINDOWS_MAX, exact::Ratio};
use crate::{contract::Terms, plan::Per};

/// The windows that the invoice of `period` bills, by time, cut at the start
/// and the end of the terms. Their starts are those of [`super::Window`].
///
/// Fails when the zone is unknown, or the period has more than [`WINDOWS_MAX`]
/// windows.
pub fn windows(terms: &Terms, period: Period, per: Per) -> Result<Vec<Period>, Error> {
    let zone = zone(terms)?;
    let stretch = terms.stretch.as_ref();
    let first = terms.start.max(stretch.and_then(|s| s.windows_from).unwrap_or(terms.start));
    let last = [terms.end, stretch.and_then(|s| s.windows_to)].into_iter().flatten().min();
    let until = last.map_or(period.end, |end| end.min(period.end));
    let mut all = Vec::new();
    let mut at = period.start.max(first);
    while at < until {
        let window = whole(per, at, &zone, period)?;
        let cut = Period {
            start: window.start.max(first),
            end: last.map_or(window.end, |end| end.min(window.end)),
        };
        if period.start < cut.end && cut.end <= period.end {
            all.push(cut);
        }
        if all.len() > WINDOWS_MAX || window.end <= at {
            return Err(Error::BadPeriod);
        }
        at = window.end;
    }
    Ok(all)
}

/// The part of a whole window that lies within the terms: a level that stood for a part of it
/// counts for that part (GB-months, SPEC 12).
pub(super) fn share(
    terms: &Terms,
    per: Per,
    start: Timestamp,
    zone: &TimeZone,
    period: Period,
) -> Result<Ratio, Error> {
    let window = whole(per, start, zone, period)?;
    let last = [terms.end, terms.stretch.as_ref().and_then(|s| s.windows_to)];
    let end = last.into_iter().flatten().min().map_or(window.end, |end| end.min(window.end));
    let micros =
        |from: Timestamp, to: Timestamp| Decimal::from(to.as_microsecond() - from.as_microsecond());
    let (part, whole) = (micros(start.max(window.start), end), micros(window.start, window.end));
    Ok(if part == whole { Ratio::ONE } else { Ratio { part, whole } })
}

/// The window that contains `at`, not cut.
pub(super) fn whole(
    per: Per,
    at: Timestamp,
    zone: &TimeZone,
    period: Period,
) -> Result<Period, Error> {
    match per {
        Per::Day => calendar_day(at, zone).map_err(|_| Error::BadPeriod),
        Per::Month => calendar_month(at, zone).map_err(|_| Error::BadPeriod),
        Per::Period => Ok(period),
    }
}

/// The zone that months and years of the subscription are counted in.
pub fn calendar_zone(terms: &Terms) -> Result<TimeZone, Error> {
    let name = terms.calendar_zone();
    TimeZone::get(name).map_err(|_| Error::UnknownZone(name.to_owned()))
}

/// The tenant's zone.
pub(super) fn zone(terms: &Terms) -> Result<TimeZone, Error> {
    TimeZone::get(&terms.zone).map_err(|_| Error::UnknownZone(terms.zone.clone()))
}
