//! Days, months and years: of the calendar, and counted from an anchor.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span as Length, Timestamp, ToSpan};

use crate::exact::{Exact, whole};
use crate::input::{Span, Unit};
use crate::{Error, Result};

/// A zone by its IANA name.
pub(crate) fn zone(name: &str) -> Result<TimeZone> {
    TimeZone::get(name).map_err(|_| Error::Zone(name.to_owned()))
}

/// The start of the n-th month or year from the anchor. SPEC 12 and product-file.md count intervals
/// from the anchor, never from the interval before: 31 January, 28 February, 31 March.
pub fn boundary(anchor: Timestamp, zone: &TimeZone, unit: Unit, n: i64) -> Result<Timestamp> {
    let length: Length = match unit {
        Unit::Month => n.months(),
        Unit::Year => n.years(),
    };
    let local = anchor.to_zoned(zone.clone()).datetime();
    let moved = local.checked_add(length).map_err(|_| Error::OutOfTime)?;
    let zoned = moved.to_zoned(zone.clone()).map_err(|_| Error::OutOfTime)?;
    Ok(zoned.timestamp())
}

/// Every whole month or year from the anchor that shares a moment with `span`.
pub(crate) fn intervals(
    anchor: Timestamp,
    zone: &TimeZone,
    unit: Unit,
    span: Span,
) -> Result<Vec<Span>> {
    let mut n = 0;
    while boundary(anchor, zone, unit, n)? > span.from {
        n -= 1;
    }
    while boundary(anchor, zone, unit, n + 1)? <= span.from {
        n += 1;
    }
    let mut found = Vec::new();
    while boundary(anchor, zone, unit, n)? < span.to {
        let from = boundary(anchor, zone, unit, n)?;
        found.push(Span { from, to: boundary(anchor, zone, unit, n + 1)? });
        n += 1;
    }
    Ok(found)
}

/// The first `count` periods from the anchor, cut at the end. For those who make an [`crate::Input`].
pub fn periods(
    anchor: Timestamp,
    zone_name: &str,
    unit: Unit,
    count: usize,
    end: Option<Timestamp>,
) -> Result<Vec<Span>> {
    let zone = zone(zone_name)?;
    let mut found = Vec::new();
    for n in 0..i64::try_from(count).map_err(|_| Error::OutOfTime)? {
        let from = boundary(anchor, &zone, unit, n)?;
        let to = boundary(anchor, &zone, unit, n + 1)?;
        match end {
            Some(end) if from >= end => break,
            Some(end) if to > end => found.push(Span { from, to: end }),
            _ => found.push(Span { from, to }),
        }
    }
    Ok(found)
}

/// The calendar day that holds a moment. It may have 23, 23.5, 24, 24.5 or 25 hours.
pub(crate) fn day(moment: Timestamp, zone: &TimeZone) -> Result<Span> {
    let date = moment.to_zoned(zone.clone()).date();
    let next = date.tomorrow().map_err(|_| Error::OutOfTime)?;
    Ok(Span { from: midnight(date, zone)?, to: midnight(next, zone)? })
}

/// The calendar month that holds a moment.
pub(crate) fn month(moment: Timestamp, zone: &TimeZone) -> Result<Span> {
    let first = moment.to_zoned(zone.clone()).date().first_of_month();
    let next = first.checked_add(1.month()).map_err(|_| Error::OutOfTime)?;
    Ok(Span { from: midnight(first, zone)?, to: midnight(next, zone)? })
}

/// The first moment of a date: 00:00, or what follows it where the clocks leave midnight out.
fn midnight(date: Date, zone: &TimeZone) -> Result<Timestamp> {
    let start = date.to_zoned(zone.clone()).map_err(|_| Error::OutOfTime)?;
    Ok(start.timestamp())
}

/// How much of `whole_span` lies from `from` on, as a fraction of its length.
pub(crate) fn share(part: Span, whole_span: Span) -> Exact {
    length(part) / length(whole_span)
}

/// Seconds, exactly.
pub(crate) fn length(span: Span) -> Exact {
    whole(span.to.as_nanosecond() - span.from.as_nanosecond()) / whole(1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_from_the_31st_ends_where_the_month_ends_and_comes_back_to_the_31st() {
        let anchor = "2027-12-31T00:00:00Z".parse().unwrap();
        let starts: Vec<String> = periods(anchor, "UTC", Unit::Month, 5, None)
            .unwrap()
            .iter()
            .map(|p| p.from.to_string())
            .collect();
        let expected = ["2027-12-31", "2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30"]
            .map(|d| format!("{d}T00:00:00Z"));
        assert_eq!(starts, expected);
    }

    #[test]
    fn the_day_on_which_lord_howe_moves_its_clocks_has_half_an_hour_more() {
        let zone = zone("Australia/Lord_Howe").unwrap();
        let span = day("2027-04-03T20:00:00Z".parse().unwrap(), &zone).unwrap();
        assert_eq!(length(span), whole(24 * 3600 + 1800));
    }
}
