//! The demonstration's year: where its clock begins, when each customer comes, and on which
//! mornings somebody looks after the billing. Plain functions of the moment at which it was
//! first started.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Span, Timestamp, civil::Date, tz::TimeZone};

use super::customers::{CUSTOMERS, Customer};
use crate::error::Result;

/// Months before the present one that are lived through.
pub(crate) const MONTHS: i64 = 12;
/// For how many days a trial has been running.
const TRIAL_DAYS: i64 = 5;
/// When the day begins (UTC): by then a day is over everywhere in the Americas.
const MORNING: i8 = 9;
/// Months a year.
const MONTHS_A_YEAR: i64 = 12;

/// A morning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stop {
    /// When it is.
    pub(crate) at: Timestamp,
    /// Whether a billing period ended, or a customer came, since the morning before. If not, invoices
    /// become due: the grace of one that ended the day before is over.
    pub(crate) news: bool,
}

/// Every morning of the year that has something to do, the first at the clock's beginning.
pub(crate) fn stops(began: Timestamp) -> Result<Vec<Stop>> {
    let first = start(began)?;
    let mut all = BTreeMap::from([(first, true)]);
    for customer in &CUSTOMERS {
        let joined = joined(customer, began)?.to_zoned(zone(customer));
        for month in 0_i64.. {
            let end = joined.checked_add(Span::new().months(month))?.timestamp();
            if end > began {
                break;
            }
            let at = morning_after(end)?;
            all.insert(at, true);
            all.entry(at + SignedDuration::from_hours(24)).or_insert(false);
        }
    }
    let stops = all.range(first..=began.max(first));
    Ok(stops.map(|(at, news)| Stop { at: *at, news: *news }).collect())
}

/// Where the clock begins: on the first morning of a month.
pub(crate) fn start(began: Timestamp) -> Result<Timestamp> {
    let day = first_of_month(began, MONTHS)?;
    Ok(day.at(MORNING, 0, 0, 0).to_zoned(TimeZone::UTC)?.timestamp())
}

/// The first morning that is not before a moment.
fn morning_after(at: Timestamp) -> Result<Timestamp> {
    let day = at.to_zoned(TimeZone::UTC).date();
    let morning = day.at(MORNING, 0, 0, 0).to_zoned(TimeZone::UTC)?.timestamp();
    Ok(if morning < at { morning + SignedDuration::from_hours(24) } else { morning })
}

/// When a customer's subscription begins: at the start of a month, so that the billing period and
/// the month that limits count in are one; or, in a trial, lately.
pub(crate) fn joined(customer: &Customer, began: Timestamp) -> Result<Timestamp> {
    let zone = zone(customer);
    if customer.months == 0 {
        let day = (began - SignedDuration::from_hours(24 * TRIAL_DAYS)).to_zoned(zone);
        return Ok(day.start_of_day()?.timestamp());
    }
    if customer.ends_today {
        return ends_today(customer, began, zone);
    }
    let day = first_of_month(began, customer.months)?;
    Ok(day.to_zoned(zone)?.timestamp())
}

/// Months ago on this day of the month, so that a billing period ends this morning.
fn ends_today(customer: &Customer, began: Timestamp, zone: TimeZone) -> Result<Timestamp> {
    let today = began.to_zoned(zone);
    // Not every month has a 31st.
    for months in customer.months..=customer.months + MONTHS_A_YEAR {
        let then = today.checked_sub(Span::new().months(months))?;
        if then.day() == today.day() {
            return Ok(then.start_of_day()?.timestamp());
        }
    }
    let then = today.checked_sub(Span::new().months(customer.months))?;
    Ok(then.start_of_day()?.timestamp())
}

fn first_of_month(began: Timestamp, months_before: i64) -> Result<Date> {
    let day = began.to_zoned(TimeZone::UTC).date().first_of_month();
    Ok(day.checked_sub(Span::new().months(months_before))?)
}

pub(crate) fn zone(customer: &Customer) -> TimeZone {
    TimeZone::get(customer.zone).unwrap_or(TimeZone::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Days that are hard: the ends of months, a leap day, the first hours and the last.
    const BEGAN: [&str; 8] = [
        "2026-11-22T15:00:00Z",
        "2026-03-31T23:00:00Z",
        "2028-02-29T12:00:00Z",
        "2026-01-01T00:00:00Z",
        "2026-05-01T10:00:00Z",
        "2026-05-02T08:00:00Z",
        "2026-12-31T23:00:00Z",
        "2027-03-28T01:00:00Z",
    ];

    #[test]
    fn usage_comes_before_an_invoice_is_due_whatever_the_day_is() {
        for began in BEGAN.map(|text| text.parse::<Timestamp>().unwrap()) {
            let stops = stops(began).unwrap();
            assert!(stops.windows(2).all(|pair| pair[0].at < pair[1].at), "{began}");
            assert_eq!(stops[0].at, start(began).unwrap(), "{began}");
            assert!(stops.last().unwrap().at <= began, "{began}");
            for customer in &CUSTOMERS {
                let joined = joined(customer, began).unwrap();
                for month in 0_i64.. {
                    let end = joined.to_zoned(zone(customer)) + Span::new().months(month);
                    let end = end.timestamp();
                    if end < stops[0].at || end + SignedDuration::from_hours(48) > began {
                        if end > began {
                            break;
                        }
                        continue;
                    }
                    let due = end + SignedDuration::from_hours(24);
                    let looked = |stop: &&Stop| stop.news && (end..due).contains(&stop.at);
                    let (slug, found) = (customer.slug, stops.iter().find(looked));
                    let found = found.unwrap_or_else(|| panic!("{began}: {slug} {end}"));
                    let next = found.at + SignedDuration::from_hours(24);
                    assert!(stops.iter().any(|stop| stop.at == next), "{began}: {slug} {end}");
                }
            }
        }
    }

    #[test]
    fn the_year_has_an_invoice_in_each_of_its_months() {
        for began in BEGAN.map(|text| text.parse::<Timestamp>().unwrap()) {
            let start = start(began).unwrap();
            let first = CUSTOMERS.iter().map(|one| joined(one, began).unwrap()).min().unwrap();
            assert!(first <= start, "{began}: somebody is there from the beginning");
            let months = began.to_zoned(TimeZone::UTC).date().first_of_month()
                - start.to_zoned(TimeZone::UTC).date().first_of_month();
            assert!(months.get_days() >= 365, "{began}: {months}");
        }
    }
}
