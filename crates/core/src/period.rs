//! Half-open periods of time and the calendars they come from.
//!
//! Period *n* is always computed from the original anchor, so an anchor on the
//! 31st gives 31 January, 28 February, 31 March: no drift.

use jiff::{Span, Timestamp, Zoned, civil::Time, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// From `start` (included) to `end` (excluded), in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Period {
    /// The first moment inside.
    pub start: Timestamp,
    /// The first moment after.
    pub end: Timestamp,
}

impl Period {
    /// Whether `at` lies inside.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}

/// How often something recurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    /// Every calendar month from the anchor.
    Month,
    /// Every calendar year from the anchor.
    Year,
}

impl Interval {
    /// The singular word: `month` or `year`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

/// The moment was outside what calendars can say (years -9999 to 9999).
#[derive(Debug, Clone, thiserror::Error)]
#[error("the date is out of range: {0}")]
pub struct OutOfRange(#[from] jiff::Error);

/// The `n`-th billing period (0 is the first) of an anchor, seen in `zone`.
pub fn billing_period(
    anchor: Timestamp,
    zone: &TimeZone,
    interval: Interval,
    n: i32,
) -> Result<Period, OutOfRange> {
    let anchor = anchor.to_zoned(zone.clone());
    Ok(Period {
        start: step(&anchor, interval, n)?.timestamp(),
        end: step(&anchor, interval, n.saturating_add(1))?.timestamp(),
    })
}

/// The billing period that contains `at`, and its number. Moments before the
/// anchor belong to period 0.
pub fn billing_period_at(
    anchor: Timestamp,
    zone: &TimeZone,
    interval: Interval,
    at: Timestamp,
) -> Result<(i32, Period), OutOfRange> {
    let from = anchor.to_zoned(zone.clone());
    let to = at.to_zoned(zone.clone());
    let months = i32::from(to.year() - from.year()) * 12 + i32::from(to.month() - from.month());
    let guess = match interval {
        Interval::Month => months,
        Interval::Year => months.div_euclid(12),
    };
    // The guess ignores the day of the month, so it is off by one at most.
    let mut n = guess.saturating_add(1).max(0);
    loop {
        let period = billing_period(anchor, zone, interval, n)?;
        if period.start <= at || n == 0 {
            return Ok((n, period));
        }
        n -= 1;
    }
}

fn step(anchor: &Zoned, interval: Interval, n: i32) -> Result<Zoned, jiff::Error> {
    let span = match interval {
        Interval::Month => Span::new().try_months(n)?,
        Interval::Year => Span::new().try_years(n)?,
    };
    anchor.checked_add(span)
}

/// The calendar day that contains `at` in `zone`.
pub fn calendar_day(at: Timestamp, zone: &TimeZone) -> Result<Period, OutOfRange> {
    let date = at.to_zoned(zone.clone()).date();
    let start = zone.to_zoned(date.to_datetime(Time::midnight()))?;
    let end = zone.to_zoned(date.tomorrow()?.to_datetime(Time::midnight()))?;
    Ok(Period { start: start.timestamp(), end: end.timestamp() })
}

/// The calendar month that contains `at` in `zone`.
pub fn calendar_month(at: Timestamp, zone: &TimeZone) -> Result<Period, OutOfRange> {
    let first = at.to_zoned(zone.clone()).date().first_of_month();
    let next = first.checked_add(Span::new().months(1))?;
    let start = zone.to_zoned(first.to_datetime(Time::midnight()))?;
    let end = zone.to_zoned(next.to_datetime(Time::midnight()))?;
    Ok(Period { start: start.timestamp(), end: end.timestamp() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    #[test]
    fn an_anchor_on_the_31st_returns_to_the_31st() {
        let anchor: Timestamp = "2026-01-31T00:00:00Z".parse().unwrap();
        let starts: Vec<String> = (0..4)
            .map(|n| billing_period(anchor, &TimeZone::UTC, Interval::Month, n).unwrap())
            .map(|p| p.start.to_string())
            .collect();
        assert_eq!(
            starts,
            [
                "2026-01-31T00:00:00Z",
                "2026-02-28T00:00:00Z",
                "2026-03-31T00:00:00Z",
                "2026-04-30T00:00:00Z"
            ]
        );
    }

    #[test]
    fn a_day_with_a_clock_change_has_23_or_25_hours() {
        let berlin = zone("Europe/Berlin");
        let hours = |at: &str| {
            let day = calendar_day(at.parse().unwrap(), &berlin).unwrap();
            day.end.duration_since(day.start).as_hours()
        };
        assert_eq!(hours("2026-03-29T12:00:00Z"), 23);
        assert_eq!(hours("2026-10-25T12:00:00Z"), 25);
        assert_eq!(hours("2026-07-01T12:00:00Z"), 24);
    }

    proptest! {
        #[test]
        fn every_moment_after_the_anchor_has_exactly_one_period(
            anchor in 0i64..2_000_000_000, later in 0i64..1_000_000_000, yearly: bool, pick in 0usize..4,
        ) {
            let zone = zone(["UTC", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe"][pick]);
            let interval = if yearly { Interval::Year } else { Interval::Month };
            let anchor = Timestamp::from_second(anchor).unwrap();
            let at = Timestamp::from_second(anchor.as_second() + later).unwrap();
            let (n, period) = billing_period_at(anchor, &zone, interval, at).unwrap();
            prop_assert!(period.contains(at));
            if n > 0 {
                let before = billing_period(anchor, &zone, interval, n - 1).unwrap();
                prop_assert_eq!(before.end, period.start);
            }
        }
    }
}
