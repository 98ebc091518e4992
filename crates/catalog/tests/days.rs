//! Cost by day: the days of a period add up to its bill.
#![allow(clippy::unwrap_used)]

mod common;

use std::{collections::BTreeMap, sync::LazyLock};

use common::{at, dec, month, product};
use jiff::{Timestamp, tz::TimeZone};
use proptest::prelude::*;
use rust_decimal::Decimal;
use tenure_catalog::{
    Model, Product,
    invoicing::{
        DraftLine, Entry, MeterTotals, Of, PeriodInputs, Timeline, Total, Versions, asked,
        days::{DayCosts, by_day, days, parts},
        period_lines, segments,
    },
};
use tenure_core::{Period, SubscriptionStatus};

static KG: LazyLock<Product> = LazyLock::new(|| product("kg-rca"));

/// When, of which meter, how much.
type Used = Vec<(&'static str, Timestamp, Decimal)>;

fn entry(from: &str, plan: &str) -> Entry {
    Entry {
        from: at(from),
        version: "v1".to_owned(),
        plan: plan.to_owned(),
        model: Model::Managed,
        mode: None,
        interval: tenure_core::Interval::Month,
        term_years: 1,
        prepaid: false,
        hard_stops: Vec::new(),
        zone: "Europe/Berlin".to_owned(),
        customer_class: None,
        status: SubscriptionStatus::Active,
    }
}

fn sum(used: &Used, meter: &str, from: Timestamp, to: Timestamp) -> Decimal {
    let inside = used.iter().filter(|(of, when, _)| *of == meter && from <= *when && *when < to);
    inside.map(|(_, _, more)| more).sum()
}

fn inputs(entries: Vec<Entry>, period: Period, used: &Used) -> PeriodInputs {
    let anchor = entries.iter().map(|entry| entry.from).min().unwrap();
    let timeline = Timeline {
        anchor,
        customer_number: None,
        entries,
        items: Vec::new(),
        contracts: Vec::new(),
    };
    let versions = Versions::from([("v1".to_owned(), &*KG)]);
    let mut all = segments(&timeline, &versions, None, period).unwrap();
    for segment in &mut all {
        for asked in asked(&KG, segment, period, None).unwrap() {
            assert_eq!(asked.of, Of::Period);
            let total = |window: &Period| Total {
                start: window.start,
                end: window.end,
                quantity: sum(used, &asked.meter, window.start, window.end),
                events: 0,
                digest: "0".repeat(32),
            };
            let windows = asked.windows.iter().map(total).collect();
            segment.usage.push(MeterTotals { windows, meter: asked.meter.clone() });
        }
    }
    PeriodInputs { n: 0, period, cutoff: 0, as_of: None, segments: all }
}

fn costs(inputs: &PeriodInputs, used: &Used) -> (Vec<DraftLine>, Vec<Period>, DayCosts) {
    let versions = Versions::from([("v1".to_owned(), &*KG)]);
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let all = days(inputs.period, &zone, inputs.period.end).unwrap();
    let parts: BTreeMap<_, _> = parts(inputs, &all)
        .into_iter()
        .map(|part| {
            let quantity = sum(used, &part.meter, part.start, part.until);
            (part, quantity)
        })
        .collect();
    let lines = period_lines(inputs, &[], &versions).unwrap();
    let costs = by_day(inputs, &lines, &all, &parts, &versions).unwrap();
    (lines, all, costs)
}

fn minor(charged: &BTreeMap<String, tenure_core::Money>) -> i64 {
    charged.values().map(|amount| amount.minor()).sum()
}

#[test]
fn the_day_that_passes_what_is_included_is_the_first_that_costs() {
    // Basic includes 1,000 queries a calendar month and charges 0.50 for each more.
    let noon = |day: u8| at(&format!("2026-03-{day:02}T12:00:00Z"));
    let used: Used = vec![
        ("queries", noon(3), dec("900")),
        ("queries", noon(10), dec("150")),
        ("queries", noon(20), dec("7")),
    ];
    let inputs = inputs(vec![entry("2026-02-28T23:00:00Z", "basic")], berlin_march(), &used);
    let (_, days, costs) = costs(&inputs, &used);
    assert_eq!(days.len(), 31);
    let costly: Vec<(usize, i64)> = costs
        .days
        .iter()
        .enumerate()
        .filter(|(_, charged)| !charged.is_empty())
        .map(|(index, charged)| (index + 1, minor(charged)))
        .collect();
    assert_eq!(costly, [(10, 2_500), (20, 350)], "50 and 7 queries at 0.50");
    assert_eq!(costs.apart.iter().map(|line| line.amount.minor()).sum::<i64>(), 9_900);
    assert!(costs.before.is_empty());
}

/// A calendar month that began in the period before is billed in the one where it
/// ends: what was used of it until then is before the first day.
#[test]
fn usage_of_a_month_that_began_before_the_period_is_before_the_first_day() {
    let used: Used = vec![
        ("queries", at("2026-03-02T12:00:00Z"), dec("1100")),
        ("queries", at("2026-03-20T12:00:00Z"), dec("10")),
        // In April: billed with the period that ends in May.
        ("queries", at("2026-04-02T12:00:00Z"), dec("5000")),
    ];
    let period = Period { start: at("2026-03-15T00:00:00Z"), end: at("2026-04-15T00:00:00Z") };
    let inputs = inputs(vec![entry("2026-02-15T00:00:00Z", "basic")], period, &used);
    let (_, _, costs) = costs(&inputs, &used);
    assert_eq!(minor(&costs.before), 5_000, "100 over at 0.50");
    assert_eq!(costs.days.iter().map(minor).sum::<i64>(), 500);
}

fn berlin_march() -> Period {
    Period { start: at("2026-02-28T23:00:00Z"), end: at("2026-03-31T22:00:00Z") }
}

fn uses() -> impl Strategy<Value = Used> {
    let meters = ["queries", "events", "storage"];
    let one =
        (0i64..31 * 86_400, 0u32..40_000, 0usize..3).prop_map(move |(second, many, meter)| {
            let when = berlin_march().start.as_second() + second;
            (meters[meter], Timestamp::from_second(when).unwrap(), Decimal::from(many))
        });
    prop::collection::vec(one, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Also where the plan changes in the middle of a day of the period.
    #[test]
    fn days_and_what_stands_apart_add_up_to_the_bill(used in uses(), day in 1i8..31, hour in 0i8..24) {
        let moved = format!("2026-03-{day:02}T{hour:02}:30:00Z");
        let entries = vec![entry("2026-02-28T23:00:00Z", "basic"), entry(&moved, "pro")];
        let inputs = inputs(entries, berlin_march(), &used);
        let (lines, days, costs) = costs(&inputs, &used);
        let apart: i64 = costs.apart.iter().map(|line| line.amount.minor()).sum();
        let sum = minor(&costs.before) + costs.days.iter().map(minor).sum::<i64>() + apart;
        prop_assert_eq!(sum, lines.iter().map(|line| line.amount.minor()).sum::<i64>());
        // What is counted only grows: no day is negative, and none without usage costs.
        for (day, charged) in days.iter().zip(&costs.days) {
            prop_assert!(charged.values().all(|amount| amount.minor() > 0), "{charged:?}");
            let quiet = used.iter().all(|(_, when, _)| !day.contains(*when));
            prop_assert!(!quiet || charged.is_empty(), "{charged:?} on {day:?}");
        }
    }

    /// A day does not cost another amount because of what is used later.
    #[test]
    fn what_is_used_later_changes_no_day_before(used in uses(), day in 2usize..31) {
        let one = vec![entry("2026-02-28T23:00:00Z", "basic")];
        let whole = inputs(one.clone(), berlin_march(), &used);
        let (_, days, all) = costs(&whole, &used);
        let until = days[day - 1].end;
        let earlier: Used = used.into_iter().filter(|(_, when, _)| *when < until).collect();
        let (_, _, some) = costs(&inputs(one, berlin_march(), &earlier), &earlier);
        prop_assert_eq!(&all.days[..day], &some.days[..day]);
    }
}

#[test]
fn a_period_that_nothing_is_charged_in_has_empty_days() {
    let used = Used::new();
    let inputs = inputs(vec![entry("2026-03-01T00:00:00Z", "free")], month("2026-03"), &used);
    let (_, _, costs) = costs(&inputs, &used);
    assert!(costs.days.iter().all(BTreeMap::is_empty) && costs.before.is_empty());
}
