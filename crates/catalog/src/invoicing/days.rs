//! On which day the cost of a period came about.
//!
//! A day costs what the usage up to its end is rated with, less what the usage up
//! to its beginning is. The days therefore add up to the bill to the cent, whatever
//! its rounding, tiers and packages: what begins a package on Tuesday costs on
//! Tuesday. An average or a latest value can fall; such a day is negative.
//!
//! Owns: which totals that takes, the differences, and how a day is shared out
//! among the values of a dimension. Refuses: spreading what no day of the period
//! caused: flat prices, what is settled once a year, corrections of earlier
//! periods. They stand apart.

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::Decimal;
use tenure_core::{Money, Period, period::calendar_day};

use super::{
    Error, Versions,
    inputs::{PeriodInputs, Segment},
    lines::{DraftLine, LineKind, period_lines},
    tax::allocate,
};
use crate::rating;

/// Weights of [`shares`] are compared by this many of their digits: a share is of
/// cents, so that more say nothing.
const WEIGHT_MAX: i64 = 1_000_000_000_000;

/// Usage of a window up to a moment inside it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartUsed {
    /// Number of the segment in the inputs.
    pub segment: usize,
    /// Id of the meter.
    pub meter: String,
    /// Start of the window.
    pub start: Timestamp,
    /// Excluded; a day begins here.
    pub until: Timestamp,
}

/// What usage cost, by charge; charges that cost nothing are left out.
pub type Charged = BTreeMap<String, Money>;

/// A period's cost, by days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayCosts {
    /// Of usage before the first day: a calendar month that began in the period
    /// before is billed whole in the one in which it ends.
    pub before: Charged,
    /// One a day, in the order given.
    pub days: Vec<Charged>,
    /// The lines that no day caused.
    pub apart: Vec<DraftLine>,
}

/// The calendar days of a period up to `until`, cut at both ends of the period.
pub fn days(period: Period, zone: &TimeZone, until: Timestamp) -> Result<Vec<Period>, Error> {
    let until = until.min(period.end);
    let mut all = Vec::new();
    let mut at = period.start;
    while at < until {
        let day = calendar_day(at, zone).map_err(|_| rating::Error::BadPeriod)?;
        all.push(Period { start: at, end: day.end.min(period.end) });
        at = day.end;
    }
    Ok(all)
}

/// The totals that [`by_day`] takes beside those of the inputs: of every window that
/// a day begins inside of, what was used before that day.
pub fn parts(inputs: &PeriodInputs, days: &[Period]) -> Vec<PartUsed> {
    let mut all = Vec::new();
    for (segment, one) in inputs.segments.iter().enumerate() {
        for totals in &one.usage {
            for window in &totals.windows {
                let inside = days.iter().filter(|day| window.start < day.start);
                all.extend(inside.filter(|day| day.start < window.end).map(|day| PartUsed {
                    segment,
                    meter: totals.meter.clone(),
                    start: window.start,
                    until: day.start,
                }));
            }
        }
    }
    all
}

/// What each of `days` costs. `lines` are those of the bill or the invoice, and
/// `used` holds a quantity for each of [`parts`].
pub fn by_day(
    inputs: &PeriodInputs,
    lines: &[DraftLine],
    days: &[Period],
    used: &BTreeMap<PartUsed, Decimal>,
    versions: &Versions<'_>,
) -> Result<DayCosts, Error> {
    let of_days = |line: &&DraftLine| is_of_days(line, inputs);
    let whole = charged(lines.iter().filter(of_days))?;
    let apart = lines.iter().filter(|line| !is_of_days(line, inputs)).cloned().collect();
    let mut reached = Vec::with_capacity(days.len() + 1);
    for day in days {
        let then = up_to(inputs, day.start, used)?;
        let lines = period_lines(&then, &[], versions)?;
        reached.push(charged(lines.iter().filter(of_days))?);
    }
    reached.push(whole);
    let mut costs = Vec::with_capacity(days.len());
    for pair in reached.windows(2) {
        costs.push(less(&pair[1], &pair[0])?);
    }
    let before = reached.swap_remove(0);
    Ok(DayCosts { before, days: costs, apart })
}

/// Whether a line is for usage of the period's own days.
fn is_of_days(line: &DraftLine, inputs: &PeriodInputs) -> bool {
    let Some(meter) = line.meter.as_deref().filter(|_| line.kind == LineKind::Charge) else {
        return false;
    };
    // A true-up is for the year that ends here.
    let of_line = |segment: &&Segment| {
        let terms = &segment.terms;
        segment.version == line.version
            && terms.plan == line.plan
            && inputs.period.start.max(terms.start) == line.from
    };
    let yearly = inputs.segments.iter().filter(of_line).flat_map(|segment| &segment.year);
    !(line.charge.starts_with("overage.") && yearly.into_iter().any(|year| year.meter == meter))
}

/// The inputs as they were at `at`: as for an estimate of that moment.
fn up_to(
    inputs: &PeriodInputs,
    at: Timestamp,
    used: &BTreeMap<PartUsed, Decimal>,
) -> Result<PeriodInputs, Error> {
    let mut then = inputs.clone();
    then.as_of = Some(at);
    for (index, segment) in then.segments.iter_mut().enumerate() {
        for totals in segment.usage.iter_mut().chain(&mut segment.year) {
            totals.windows.retain(|window| window.start < at);
        }
        for totals in &mut segment.usage {
            for window in totals.windows.iter_mut().filter(|window| at < window.end) {
                let part = PartUsed {
                    segment: index,
                    meter: totals.meter.clone(),
                    start: window.start,
                    until: at,
                };
                let quantity = used.get(&part).copied();
                window.quantity = quantity.ok_or_else(|| Error::Totals(totals.meter.clone()))?;
            }
        }
    }
    Ok(then)
}

fn charged<'a>(lines: impl Iterator<Item = &'a DraftLine>) -> Result<Charged, Error> {
    let mut all = Charged::new();
    for line in lines {
        let sum = match all.get(&line.charge) {
            Some(known) => known.checked_add(line.amount)?,
            None => line.amount,
        };
        all.insert(line.charge.clone(), sum);
    }
    all.retain(|_, amount| !amount.is_zero());
    Ok(all)
}

fn less(after: &Charged, before: &Charged) -> Result<Charged, Error> {
    let mut all = after.clone();
    for (charge, amount) in before {
        let negative = amount.checked_neg()?;
        let difference = match all.get(charge) {
            Some(known) => known.checked_add(negative)?,
            None => negative,
        };
        all.insert(charge.clone(), difference);
    }
    all.retain(|_, amount| !amount.is_zero());
    Ok(all)
}

/// `amount` in proportion to `weights`, to the cent and adding up to it (largest
/// remainder). Without any weight, the first has all of it.
pub fn shares(amount: Money, weights: &[Decimal]) -> Vec<Money> {
    let most = weights.iter().copied().max().unwrap_or_default();
    let scaled = |weight: &Decimal| -> i64 {
        let share = weight.checked_div(most).unwrap_or_default().max(Decimal::ZERO);
        i64::try_from((share * Decimal::from(WEIGHT_MAX)).trunc()).unwrap_or(0)
    };
    let weights: Vec<i64> = weights.iter().map(scaled).collect();
    let parts = allocate(amount.minor(), &weights);
    parts.into_iter().map(|part| Money::from_minor(part, amount.currency())).collect()
}

#[cfg(test)]
mod tests {
    use tenure_core::Currency;

    use super::*;

    fn cents(minor: i64, weights: &[&str]) -> Vec<i64> {
        let weights: Vec<Decimal> = weights.iter().map(|text| text.parse().unwrap()).collect();
        shares(Money::from_minor(minor, Currency::USD), &weights)
            .iter()
            .map(|money| money.minor())
            .collect()
    }

    #[test]
    fn shares_add_up_to_the_cent() {
        assert_eq!(cents(100, &["1", "1", "1"]), [34, 33, 33]);
        assert_eq!(cents(-100, &["1", "1", "1"]).iter().sum::<i64>(), -100);
        assert_eq!(cents(7, &["0.000001", "0"]), [7, 0]);
        assert_eq!(cents(7, &["0", "0"]), [7, 0]);
        assert_eq!(cents(7, &[]), Vec::<i64>::new());
    }

    #[test]
    fn a_period_that_begins_at_noon_has_a_half_day_at_both_ends() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let period = Period { start: at("2026-03-01T12:00:00Z"), end: at("2026-03-03T12:00:00Z") };
        let all = days(period, &TimeZone::UTC, at("2026-04-01T00:00:00Z")).unwrap();
        let starts: Vec<String> = all.iter().map(|day| day.start.to_string()).collect();
        let said = ["2026-03-01T12:00:00Z", "2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z"];
        assert_eq!(starts, said);
        assert_eq!(all[2].end, period.end);
        assert_eq!(days(period, &TimeZone::UTC, at("2026-03-02T05:00:00Z")).unwrap().len(), 2);
        assert!(days(period, &TimeZone::UTC, period.start).unwrap().is_empty());
    }
}
