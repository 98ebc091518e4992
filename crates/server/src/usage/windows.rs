//! Totals of windows of time, exactly.
//!
//! A window begins and ends where the catalog says: at midnight in the
//! tenant's zone, or at the second that a subscription began. Whole quarter
//! hours inside come from rollups, the rest at both ends from single events.
//! `unique` and `time_weighted` meters cannot be added up from rollups and are
//! computed from events.

use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use tenure_catalog::{Aggregation, Meter};
use tenure_core::{Period, SubscriptionId};
use tenure_tenancy::TenantTx;

use super::{
    kept,
    raw::{self, Edges},
    retention::RETENTION_DAYS,
    store::{BUCKET_SECONDS, Rollup, bucket},
    totals::{self, Stretches},
};
use crate::{http::Problem, products::Catalog};

/// Windows asked for in one go at most, over all meters.
const WINDOWS_MAX: usize = 20_000;

/// Whose usage is read.
#[derive(Clone, Copy)]
pub(crate) struct Metered<'a> {
    pub(crate) subscription: SubscriptionId,
    /// Numbers the meters; any version of the subscription's product does.
    pub(crate) catalog: &'a Catalog,
}

/// What is asked of one meter.
pub struct Asked<'a> {
    /// Of the pinned version.
    pub meter: &'a Meter,
    /// In any order; may overlap.
    pub windows: Vec<Period>,
}

/// What was used in one window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Total {
    /// In the meter's unit.
    pub(crate) quantity: Decimal,
    /// How many events lie in the window. (What a `time_weighted` meter measured
    /// last before it stands in the window too, and is not among them.)
    pub(crate) events: i64,
    /// Their digest: [`tenure_api::evidence::digest`].
    pub(crate) digest: [u8; 16],
}

/// Totals in the order asked, of what was recorded up to the generation
/// `cutoff` (`None`: all). Windows that are not over count up to `now`: an
/// average is of the part that is over.
pub(crate) async fn windows(
    tx: &mut TenantTx,
    of: Metered<'_>,
    asked: &[Asked<'_>],
    now: Timestamp,
    cutoff: Option<i32>,
) -> Result<Vec<Vec<Total>>, Problem> {
    let wanted: usize = asked.iter().map(|one| one.windows.len()).sum();
    if wanted > WINDOWS_MAX {
        return Err(Problem::too_large(format!("At most {WINDOWS_MAX} windows at once.")));
    }
    let plan = Plan::new(of.catalog, asked, now)?;
    let cutoff = cutoff.unwrap_or(i32::MAX);
    let found = plan.run(tx, of.subscription, now, cutoff).await?;
    let mut found = found.into_iter();
    let totals = asked.iter().map(|one| found.by_ref().take(one.windows.len()).collect()).collect();
    Ok(totals)
}

/// How the windows are read; the n-th window of all is slot n.
#[derive(Default)]
struct Plan<'a> {
    meters: Vec<&'a Meter>,
    buckets: Stretches,
    edges: Stretches,
    /// Those of the buckets where members are counted.
    unique: Stretches,
    weighted: Stretches,
    divisors: Vec<Decimal>,
}

impl<'a> Plan<'a> {
    fn new(catalog: &Catalog, asked: &[Asked<'a>], now: Timestamp) -> Result<Self, Problem> {
        let mut plan = Self::default();
        for one in asked {
            let id = catalog.meter_id(&one.meter.id)?;
            for window in &one.windows {
                let slot = plan.meters.len();
                plan.meters.push(one.meter);
                plan.add(slot, id, *window);
                if matches!(one.meter.aggregation, Aggregation::TimeWeighted { .. }) {
                    let upper = window.end.min(now);
                    if window.start < upper {
                        plan.weighted.push(slot, id, window.start, upper);
                        plan.divisors.push(one.meter.divide_by);
                    }
                }
            }
        }
        Ok(plan)
    }

    /// Whole buckets, and what is left at both ends.
    fn add(&mut self, slot: usize, meter: i32, window: Period) {
        let (first, last) = (bucket_from(window.start), bucket_before(window.end));
        if first >= last {
            self.edges.push(slot, meter, window.start, window.end);
            return;
        }
        self.edges.push(slot, meter, window.start, first);
        self.buckets.push(slot, meter, first, last);
        if matches!(self.meters[slot].aggregation, Aggregation::Unique { .. }) {
            self.unique.push(slot, meter, first, last);
        }
        self.edges.push(slot, meter, last, window.end);
    }

    /// Events of a window's edge may be gone; a total without them would be wrong.
    async fn refuse_dropped(
        &self,
        tx: &mut TenantTx,
        subscription: SubscriptionId,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let age = SignedDuration::from_hours(24 * RETENTION_DAYS);
        let is_old = |lower: &Timestamp| lower.checked_add(age).is_ok_and(|at| at <= now);
        let edges = || self.edges.meters.iter().zip(&self.edges.lower);
        let old = || {
            edges()
                .map(|(meter, lower)| (*meter, lower.to_jiff()))
                .filter(|(_, lower)| is_old(lower))
        };
        if old().next().is_none() {
            return Ok(());
        }
        let kept = kept::meters(tx, subscription).await?;
        let first = old().filter(|(meter, _)| !kept.contains(meter)).map(|(_, lower)| lower).min();
        let Some(first) = first else { return Ok(()) };
        if kept::is_dropped(tx, first).await? {
            return Err(Problem::conflict(
                "usage-dropped",
                "The time asked for begins or ends inside a quarter of an hour whose single \
                 events are no longer kept.",
            ));
        }
        Ok(())
    }

    async fn run(
        self,
        tx: &mut TenantTx,
        subscription: SubscriptionId,
        now: Timestamp,
        cutoff: i32,
    ) -> Result<Vec<Total>, Problem> {
        let mut sums: Vec<Option<Rollup>> = vec![None; self.meters.len()];
        let mut parts = Vec::new();
        if !self.buckets.is_empty() {
            parts.extend(totals::of_rollups(tx, subscription, &self.buckets, cutoff).await?);
        }
        let mut edges = Edges::default();
        if !self.edges.is_empty() {
            self.refuse_dropped(tx, subscription, now).await?;
            edges = raw::edges(tx, subscription, &self.edges, cutoff).await?;
            parts.extend(edges.rollups.iter().map(|(slot, rollup)| (*slot, *rollup)));
        }
        for (slot, part) in parts {
            if let Some(into) = usize::try_from(slot).ok().and_then(|slot| sums.get_mut(slot)) {
                match into {
                    Some(into) => into.join(&part),
                    None => *into = Some(part),
                }
            }
        }
        let mut totals: Vec<Total> = self
            .meters
            .iter()
            .zip(&sums)
            .map(|(meter, sums)| total(meter, sums.as_ref()))
            .collect();
        if !self.unique.is_empty() || !edges.members.is_empty() {
            let found = totals::unique(tx, subscription, &self.unique, &edges, cutoff).await?;
            for (slot, members) in found {
                set(&mut totals, slot, in_units(self.meters[slot as usize], members.into()));
            }
        }
        if !self.weighted.is_empty() {
            let (asked, divisors) = (&self.weighted, &self.divisors);
            let found = totals::averages(tx, subscription, asked, divisors, cutoff).await?;
            for (slot, average) in found {
                set(&mut totals, slot, average);
            }
        }
        for total in &mut totals {
            total.quantity = total.quantity.normalize();
        }
        Ok(totals)
    }
}

fn set(totals: &mut [Total], slot: i32, value: Decimal) {
    if let Some(total) = usize::try_from(slot).ok().and_then(|slot| totals.get_mut(slot)) {
        total.quantity = value;
    }
}

fn total(meter: &Meter, sums: Option<&Rollup>) -> Total {
    let Some(sums) = sums else { return Total::default() };
    let raw = match meter.aggregation {
        Aggregation::Count => Decimal::from(sums.events),
        Aggregation::Sum { .. } => sums.sum,
        Aggregation::Max { .. } => sums.max,
        Aggregation::Last { .. } => sums.last,
        Aggregation::Unique { .. } | Aggregation::TimeWeighted { .. } => Decimal::ZERO,
    };
    Total { quantity: in_units(meter, raw), events: sums.events, digest: sums.digest.to_be_bytes() }
}

pub(super) fn in_units(meter: &Meter, raw: Decimal) -> Decimal {
    raw.checked_div(meter.divide_by).unwrap_or(raw)
}

/// The start of the first bucket that begins at `at` or later.
fn bucket_from(at: Timestamp) -> Timestamp {
    let before = bucket_before(at);
    if before == at { at } else { second(before.as_second() + BUCKET_SECONDS) }
}

/// The start of the bucket that holds `at`.
fn bucket_before(at: Timestamp) -> Timestamp {
    second(bucket(at))
}

fn second(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn buckets_are_quarter_hours() {
        assert_eq!(bucket_from(at("2026-03-01T12:00:00Z")), at("2026-03-01T12:00:00Z"));
        assert_eq!(bucket_from(at("2026-03-01T12:00:00.001Z")), at("2026-03-01T12:15:00Z"));
        assert_eq!(bucket_before(at("2026-03-01T12:14:59.999Z")), at("2026-03-01T12:00:00Z"));
    }
}
