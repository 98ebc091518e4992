//! Calendar windows of quotas: days, months and years in UTC.

use jiff::{Timestamp, ToSpan, Zoned, civil::Time, tz::TimeZone};
use tenure_license::claims::Per;

fn day(at: Timestamp) -> jiff::civil::Date {
    at.to_zoned(TimeZone::UTC).date()
}

fn midnight(date: jiff::civil::Date) -> Timestamp {
    date.to_datetime(Time::midnight())
        .to_zoned(TimeZone::UTC)
        .map_or(Timestamp::UNIX_EPOCH, |zoned: Zoned| zoned.timestamp())
}

fn first_day(per: Per, at: Timestamp) -> jiff::civil::Date {
    match per {
        Per::Day => day(at),
        Per::Month => day(at).first_of_month(),
        Per::Year => day(at).first_of_year(),
    }
}

/// When the window that `at` lies in began.
pub fn window_start(per: Per, at: Timestamp) -> Timestamp {
    midnight(first_day(per, at))
}

/// When it ends: the count starts anew then.
pub fn window_end(per: Per, at: Timestamp) -> Timestamp {
    let span = match per {
        Per::Day => 1.day(),
        Per::Month => 1.month(),
        Per::Year => 1.year(),
    };
    first_day(per, at).checked_add(span).map_or(Timestamp::MAX, midnight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_those_of_the_calendar() {
        let at = "2028-02-29T23:59:59Z".parse().unwrap();
        let window = |per| (window_start(per, at).to_string(), window_end(per, at).to_string());
        let of = |a: &str, b: &str| (format!("{a}T00:00:00Z"), format!("{b}T00:00:00Z"));
        assert_eq!(window(Per::Day), of("2028-02-29", "2028-03-01"));
        assert_eq!(window(Per::Month), of("2028-02-01", "2028-03-01"));
        assert_eq!(window(Per::Year), of("2028-01-01", "2029-01-01"));
    }
}
