//! The generated years: the same for the same seed, within their bounds, and worth rating.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use tenure_rerater::generate::{EVENTS_MAX, Scale, Which, ZONES, one_by_one, year};
use tenure_rerater::{Input, Invoice, Unit, rate, rate_all};

/// Years a product that the tests look at.
const SEEDS: u64 = 30;

fn every_year(scale: Scale) -> impl Iterator<Item = (Which, u64, Input)> {
    Which::ALL.into_iter().flat_map(move |which| {
        (0..SEEDS).map(move |seed| (which, seed, year(which, scale, seed).unwrap()))
    })
}

fn totals(invoices: &[Invoice]) -> Vec<(i64, usize)> {
    invoices.iter().map(|i| (i.total, i.lines.len())).collect()
}

#[test]
fn a_seed_gives_the_same_year_and_another_seed_another() {
    for which in Which::ALL {
        for scale in [Scale::Small, Scale::Real] {
            let year_of = |seed| serde_json::to_string(&year(which, scale, seed).unwrap()).unwrap();
            assert_eq!(year_of(7), year_of(7));
            assert_ne!(year_of(7), year_of(8));
        }
    }
}

#[test]
fn a_year_stays_within_its_bounds() {
    for scale in [Scale::Small, Scale::Real] {
        for (which, seed, input) in every_year(scale) {
            let name = format!("{which:?} {seed}");
            let sold = &input.subscription;
            let first = input.periods.first().unwrap();
            let last = input.periods.last().unwrap();
            assert!(input.events.len() <= EVENTS_MAX, "{name}: {} events", input.events.len());
            assert!(input.periods.len() <= 13, "{name}");
            assert!(input.periods.windows(2).all(|p| p[0].to == p[1].from), "{name}: a gap");
            assert!(sold.history.windows(2).all(|h| h[0].from < h[1].from), "{name}");
            assert_eq!(sold.history[0].from, first.from, "{name}");
            assert!(sold.end.is_none_or(|end| end == last.to), "{name}");
            for event in &input.events {
                assert!(first.from <= event.time && event.time < last.to, "{name}: {}", event.id);
                assert!(scale == Scale::Real || event.times == 1, "{name}");
            }
            for item in &sold.items {
                assert!(item.to.is_none_or(|to| item.from < to), "{name}: {}", item.charge);
            }
        }
    }
}

#[test]
fn every_year_can_be_rated_and_what_was_not_used_costs_nothing() {
    for scale in [Scale::Small, Scale::Real] {
        for (which, seed, input) in every_year(scale).filter(|(_, seed, _)| *seed < 6) {
            let invoices = rate_all(&input).unwrap_or_else(|e| panic!("{which:?} {seed}: {e}"));
            assert_eq!(invoices.len(), input.periods.len());
            for invoice in invoices {
                let sum: i64 = invoice.lines.iter().map(|l| l.amount).sum();
                assert_eq!(sum, invoice.total);
            }
            let unused = Input { events: Vec::new(), ..input };
            for line in rate_all(&unused).unwrap().into_iter().flat_map(|i| i.lines) {
                let by_use = ["runs", "discoveries"].contains(&line.charge.as_str());
                assert!(!by_use && !line.charge.starts_with("overage."), "{which:?} {seed}");
            }
        }
    }
}

#[test]
fn the_years_together_have_what_goes_wrong_with_bills() {
    let mut zones = BTreeSet::new();
    let mut lines = BTreeSet::new();
    let (mut changes, mut ended, mut tried, mut yearly, mut moved) = (0, 0, 0, 0, 0);
    for (_, _, input) in every_year(Scale::Small) {
        let sold = &input.subscription;
        zones.extend(sold.history.iter().map(|t| t.zone.clone()));
        changes += sold.history.windows(2).filter(|h| h[0].plan != h[1].plan).count();
        moved += sold.history.windows(2).filter(|h| h[0].zone != h[1].zone).count();
        ended += usize::from(sold.end.is_some());
        tried += usize::from(sold.trial_ends_at.is_some());
        yearly += usize::from(sold.history[0].interval == Unit::Year);
        for invoice in rate_all(&input).unwrap() {
            lines.extend(invoice.lines.into_iter().map(|l| l.charge));
        }
    }
    assert_eq!(zones, ZONES.iter().map(ToString::to_string).collect());
    for (what, times) in [
        ("changes of plan", changes),
        ("changes of zone", moved),
        ("cancellations", ended),
        ("trials", tried),
        ("years paid at once", yearly),
    ] {
        assert!(times >= 3, "{what}: {times}");
    }
    for line in [
        "base",
        "license",
        "cloud-services",
        "data_plane",
        "discoveries",
        "professional",
        "runs",
        "commitment",
        "overage.events",
        "overage.queries",
        "overage.storage",
        "overage.agent_runs",
    ] {
        assert!(lines.contains(line), "no year has a line {line:?}");
    }
}

#[test]
fn a_bill_does_not_depend_on_the_order_of_the_list_nor_on_duplicates() {
    for which in [Which::KgRca, Which::Incidentfox] {
        for seed in 0..6 {
            let input = year(which, Scale::Small, seed).unwrap();
            let mut other = input.clone();
            other.events.reverse();
            let again = input.events.iter().filter(|e| e.received % 3 == 0).cloned();
            other.events.extend(again);
            assert_eq!(totals(&rate_all(&input).unwrap()), totals(&rate_all(&other).unwrap()));
        }
    }
}

#[test]
fn many_events_in_one_entry_are_as_many_single_ones() {
    let input = year(Which::MeetingMinutes, Scale::Real, 1).unwrap();
    let mut single = input.clone();
    single.events = one_by_one(&input.events);
    single.voids.clear();
    let mut listed = input;
    listed.voids.clear();
    assert_eq!(totals(&rate_all(&listed).unwrap()), totals(&rate_all(&single).unwrap()));
}

#[test]
fn a_bill_does_not_know_the_future() {
    for (which, seed, input) in every_year(Scale::Small).filter(|(_, seed, _)| *seed < 8) {
        let invoices = rate_all(&input).unwrap();
        for n in [0, 4] {
            let Some(period) = input.periods.get(n) else { continue };
            let mut known = input.clone();
            known.periods.truncate(n + 1);
            known.events.retain(|e| e.time < period.to);
            known.subscription.history.retain(|t| t.from < period.to);
            known.subscription.items.retain(|i| i.from < period.to);
            known.subscription.contracts.retain(|c| c.from < period.to);
            known.subscription.end = known.subscription.end.filter(|end| *end <= period.to);
            let then = rate(&known, n).unwrap();
            assert_eq!(then.lines, invoices[n].lines, "{which:?} {seed} {n}");
        }
    }
}
