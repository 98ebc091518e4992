//! From timelines to invoices: where changes cut, corrections, tax and sums.
#![allow(clippy::unwrap_used)]

mod common;

use std::{collections::BTreeMap, sync::LazyLock};

use common::{at, dec, month, product, qty};
use jiff::Timestamp;
use proptest::prelude::*;
use rust_decimal::Decimal;
use tenure_catalog::{
    Item, Model, Product,
    invoicing::{
        BilledLine, Committed, Correction, Entry, InvoiceDraft, InvoiceInputs, LineKind,
        MeterTotals, Of, PeriodInputs, TaxRate, Timeline, Total, Versions, asked, draft, segments,
        tax, use_credit,
    },
};
use tenure_core::{Currency, Money, Period, SubscriptionStatus};

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
        zone: "UTC".to_owned(),
        customer_class: None,
        status: SubscriptionStatus::Active,
    }
}

fn fox(from: &str, plan: &str) -> Entry {
    Entry { model: Model::SelfHosted, ..entry(from, plan) }
}

static KG: LazyLock<Product> = LazyLock::new(|| product("kg-rca"));

fn timeline(entries: Vec<Entry>) -> Timeline {
    let anchor = entries.iter().map(|entry| entry.from).min().unwrap();
    Timeline { anchor, customer_number: None, entries, items: Vec::new(), contracts: Vec::new() }
}

fn item(charge: &str, quantity: &str, from: &str) -> Item {
    Item { charge: charge.to_owned(), quantity: qty(quantity), from: at(from), to: None }
}

/// Usage by meter: when, and how much.
type Used = Vec<(&'static str, Timestamp, Decimal)>;

/// The period with every total that it asks for, summed from single uses.
fn rated(
    timeline: &Timeline,
    product: &Product,
    n: i32,
    period: Period,
    used: &Used,
) -> PeriodInputs {
    let versions = Versions::from([("v1".to_owned(), product)]);
    let mut all = segments(timeline, &versions, None, period).unwrap();
    for segment in &mut all {
        for asked in asked(product, segment, period, None).unwrap() {
            let total = |window: &Period| {
                let inside = used
                    .iter()
                    .filter(|(meter, when, _)| *meter == asked.meter && window.contains(*when));
                let (mut quantity, mut events) = (Decimal::ZERO, 0);
                for (_, _, more) in inside {
                    quantity += more;
                    events += 1;
                }
                let digest = format!("{events:032x}");
                Total { start: window.start, end: window.end, quantity, events, digest }
            };
            let totals = MeterTotals {
                windows: asked.windows.iter().map(total).collect(),
                meter: asked.meter,
            };
            match asked.of {
                Of::Period => segment.usage.push(totals),
                Of::Year => segment.year.push(totals),
            }
        }
    }
    PeriodInputs { n, period, cutoff: n, as_of: None, segments: all }
}

fn inputs(own: PeriodInputs) -> InvoiceInputs {
    InvoiceInputs {
        currency: Currency::USD,
        own,
        corrections: Vec::new(),
        committed: Vec::new(),
        tax: Vec::new(),
        zone_data: "test".to_owned(),
    }
}

fn invoice(product: &Product, inputs: &InvoiceInputs) -> InvoiceDraft {
    draft(inputs, &Versions::from([("v1".to_owned(), product)])).unwrap()
}

fn said(draft: &InvoiceDraft) -> Vec<(String, String)> {
    let one = |line: &tenure_catalog::invoicing::DraftLine| {
        (line.charge.clone(), line.arithmetic.clone())
    };
    draft.lines.iter().map(one).collect()
}

/// What an invoice billed, as its rows would say it.
fn billed(
    lines: &[tenure_catalog::invoicing::DraftLine],
    before: &[BilledLine],
) -> Vec<BilledLine> {
    let mut all: BTreeMap<(String, String), BilledLine> = before
        .iter()
        .map(|line| ((line.plan.clone(), line.charge.clone()), line.clone()))
        .collect();
    for (index, line) in lines.iter().enumerate() {
        let one = all.entry((line.plan.clone(), line.charge.clone())).or_insert(BilledLine {
            plan: line.plan.clone(),
            charge: line.charge.clone(),
            part: line.part,
            description: line.description.clone(),
            unit: line.unit.clone(),
            quantity: Decimal::ZERO,
            amount: Money::zero(Currency::USD),
            invoice: "inv_1".to_owned(),
            line: i32::try_from(index).unwrap() + 1,
        });
        one.amount = one.amount.checked_add(line.amount).unwrap();
        one.quantity += line.quantity;
    }
    all.into_values().collect()
}

#[test]
fn a_move_in_the_middle_of_a_month_bills_each_plan_for_its_part() {
    let product = product("kg-rca");
    let timeline = timeline(vec![
        entry("2026-06-01T00:00:00Z", "basic"),
        entry("2026-06-11T00:00:00Z", "pro"),
    ]);
    let used = vec![
        // 150,000 on 5 June: 50,000 over the 100,000 of Basic, at 0.10 a 1,000: 5.00.
        ("events", at("2026-06-05T12:00:00Z"), dec("150000")),
        // The same on Pro (a million a day) is included.
        ("events", at("2026-06-20T12:00:00Z"), dec("150000")),
    ];
    let own = rated(&timeline, &product, 0, month("2026-06"), &used);
    let draft = invoice(&product, &inputs(own));
    // June has 30 days: 99 x 10/30 = 33.00; 499 x 20/30 = 332.6667.
    let lines: Vec<(String, i64)> =
        draft.lines.iter().map(|line| (line.charge.clone(), line.amount.minor())).collect();
    let expected = [("base", 3_300), ("overage.events", 500), ("base", 33_267)];
    assert_eq!(
        lines,
        expected.map(|(charge, cents)| (charge.to_owned(), cents)),
        "{:#?}",
        said(&draft)
    );
    assert_eq!(draft.total.minor(), 37_067);
    let over = &draft.lines[1];
    assert_eq!((over.meter.as_deref(), over.events), (Some("events"), 1));
}

#[test]
fn a_trial_costs_nothing_and_what_follows_is_billed_from_its_end() {
    let product = product("kg-rca");
    let trial = Entry { status: SubscriptionStatus::Trial, ..entry("2026-06-01T00:00:00Z", "pro") };
    let only = timeline(vec![trial.clone()]);
    let own = rated(&only, &product, 0, month("2026-06"), &Vec::new());
    assert!(own.segments.is_empty());
    assert!(invoice(&product, &inputs(own)).lines.is_empty());

    let paid = timeline(vec![trial, entry("2026-06-16T00:00:00Z", "pro")]);
    let own = rated(&paid, &product, 0, month("2026-06"), &Vec::new());
    // Half of June: 249.50.
    assert_eq!(invoice(&product, &inputs(own)).total.minor(), 24_950);
}

#[test]
fn a_cancelled_subscription_is_billed_to_its_end() {
    let product = product("kg-rca");
    let over =
        Entry { status: SubscriptionStatus::Cancelled, ..entry("2026-06-16T00:00:00Z", "pro") };
    let timeline = timeline(vec![entry("2026-06-01T00:00:00Z", "pro"), over]);
    let june = rated(&timeline, &product, 0, month("2026-06"), &Vec::new());
    assert_eq!(invoice(&product, &inputs(june)).total.minor(), 24_950);
    let july = rated(&timeline, &product, 1, month("2026-07"), &Vec::new());
    assert!(july.segments.is_empty());
}

#[test]
fn seats_that_are_added_pay_for_the_rest_of_the_month() {
    let product = product("meeting-minutes");
    let mut timeline = timeline(vec![entry("2026-06-01T00:00:00Z", "starter")]);
    timeline.items =
        vec![item("base", "10", "2026-06-01T00:00:00Z"), item("base", "5", "2026-06-16T00:00:00Z")];
    let own = rated(&timeline, &product, 0, month("2026-06"), &Vec::new());
    let draft = invoice(&product, &inputs(own));
    // 10 x 5 = 50; 5 x 5 x 15/30 = 12.50.
    assert_eq!(draft.total.minor(), 6_250, "{:?}", said(&draft));
}

#[test]
fn a_year_paid_ahead_is_given_back_when_the_plan_is_left() {
    // Billed by the month (it has overage), paid by the year.
    let product = product("incidentfox");
    let before = timeline(vec![fox("2026-01-01T00:00:00Z", "starter")]);
    let january = rated(&before, &product, 0, month("2026-01"), &Vec::new());
    let first = invoice(&product, &inputs(january));
    assert_eq!(first.total.minor(), 2_500_000);

    let mut after = before;
    after.entries.push(fox("2026-07-02T12:00:00Z", "professional"));
    let july = rated(&after, &product, 6, month("2026-07"), &Vec::new());
    let january = rated(&after, &product, 0, month("2026-01"), &Vec::new());
    let mut inputs = inputs(july);
    inputs.corrections = vec![Correction { billed: billed(&first.lines, &[]), now: january }];
    let draft = invoice(&product, &inputs);
    // 2 July 12:00 is the middle of the 365 days: half of 25,000 goes back, half of 75,000 is due.
    let lines: Vec<(LineKind, i64)> =
        draft.lines.iter().map(|line| (line.kind, line.amount.minor())).collect();
    assert_eq!(
        lines,
        [(LineKind::Charge, 3_750_000), (LineKind::Adjustment, -1_250_000)],
        "{:#?}",
        said(&draft)
    );
    let cited = draft.lines[1].cites.as_ref().unwrap();
    assert_eq!((cited.invoice.as_str(), cited.line), ("inv_1", 1));
}

#[test]
fn a_change_of_zone_neither_loses_nor_doubles_an_hour_of_usage() {
    let product = product("kg-rca");
    let moved =
        Entry { zone: "Asia/Kathmandu".to_owned(), ..entry("2026-06-20T00:00:00Z", "basic") };
    let timeline = timeline(vec![entry("2026-06-01T00:00:00Z", "basic"), moved]);
    let versions = Versions::from([("v1".to_owned(), &product)]);
    let (june, july) = (month("2026-06"), month("2026-07"));
    let mut edge = None;
    for (before, period) in [(None, june), (Some(june), july)] {
        let segment = segments(&timeline, &versions, before, period).unwrap().remove(0);
        let asked = asked(&product, &segment, period, None).unwrap();
        let events = asked.iter().find(|one| one.meter == "events").unwrap();
        for window in &events.windows {
            assert_eq!(*edge.get_or_insert(window.start), window.start, "windows touch");
            edge = Some(window.end);
        }
    }
    // July's days are Kathmandu's (UTC+5:45): the last that ended in July did at 18:15 UTC.
    assert_eq!(edge, Some(at("2026-07-31T18:15:00Z")));
}

#[test]
fn periods_follow_one_another_from_the_31st_through_a_change_of_interval_to_the_end() {
    let yearly =
        Entry { interval: tenure_core::Interval::Year, ..entry("2026-05-10T12:00:00Z", "pro") };
    let over =
        Entry { status: SubscriptionStatus::Cancelled, ..entry("2027-06-01T00:00:00Z", "pro") };
    let mut timeline = timeline(vec![entry("2026-01-31T00:00:00Z", "pro"), yearly, over]);
    timeline.entries[0].zone = "Australia/Lord_Howe".to_owned();
    let mut period = timeline.first_period(at("2026-01-31T00:00:00Z")).unwrap();
    let mut ends = Vec::new();
    while let Some(one) = period {
        ends.push(one.end.to_string());
        period = timeline.period_from(one.end).unwrap();
    }
    // 11:00 in Lord Howe; on 5 April its clocks go back by half an hour, on 4 October forward.
    let expected = [
        "2026-02-28T00:00:00Z",
        "2026-03-31T00:00:00Z",
        "2026-04-30T00:30:00Z",
        "2026-05-10T12:00:00Z",
        "2027-01-31T00:00:00Z",
        "2027-06-01T00:00:00Z",
    ];
    assert_eq!(ends, expected);
}

#[test]
fn a_minimum_counts_what_earlier_invoices_billed_and_what_is_corrected_now() {
    let product = product("incidentfox");
    let timeline = timeline(vec![fox("2026-01-01T00:00:00Z", "consumption")]);
    let year = Period { start: at("2026-01-01T00:00:00Z"), end: at("2027-01-01T00:00:00Z") };
    let own = rated(&timeline, &product, 11, month("2026-12"), &Vec::new());
    let plan = product.plan("consumption").unwrap();
    assert!(plan.commitment.is_some());
    let mut inputs = inputs(own);
    inputs.committed = vec![Committed {
        n: 3,
        start: at("2026-04-01T00:00:00Z"),
        plan: "consumption".to_owned(),
        amount: Money::from_minor(400_000, Currency::USD),
    }];
    if plan.billed == tenure_core::Interval::Year {
        inputs.own = rated(&timeline, &product, 0, year, &Vec::new());
    }
    // 10,000 a year - 4,000 billed.
    assert_eq!(invoice(&product, &inputs).total.minor(), 600_000);

    // Late usage of April, 1,000 runs at 1.00: that much less is lacking.
    let late = vec![(meter_of_runs(&product), at("2026-04-10T00:00:00Z"), dec("1000"))];
    let april = rated(&timeline, &product, 3, month("2026-04"), &late);
    inputs.corrections = vec![Correction { billed: Vec::new(), now: april }];
    let draft = invoice(&product, &inputs);
    let amounts: Vec<i64> = draft.lines.iter().map(|line| line.amount.minor()).collect();
    assert!(amounts.contains(&500_000) && amounts.contains(&100_000), "{:#?}", said(&draft));
    assert_eq!(draft.total.minor(), 600_000);
}

fn meter_of_runs(product: &Product) -> &'static str {
    let meter = product.meters.iter().find(|meter| meter.event_type == "agent.run").unwrap();
    Box::leak(meter.id.clone().into_boxed_str())
}

#[test]
fn totals_that_were_not_asked_for_are_refused() {
    let product = product("kg-rca");
    let timeline = timeline(vec![entry("2026-06-01T00:00:00Z", "basic")]);
    let versions = Versions::from([("v1".to_owned(), &product)]);
    let whole = rated(&timeline, &product, 0, month("2026-06"), &Vec::new());
    let mut less = whole.clone();
    less.segments[0].usage[0].windows.pop();
    assert!(draft(&inputs(less), &versions).is_err());
    let mut missing = whole.clone();
    missing.segments[0].usage.pop();
    assert!(draft(&inputs(missing), &versions).is_err());
    let mut bad = whole;
    bad.segments[0].usage[0].windows[0].digest = "+0000000000000000000000000000001".to_owned();
    assert!(draft(&inputs(bad), &versions).is_err());
}

#[test]
fn credit_is_used_last_and_takes_what_is_below_zero() {
    let usd = |cents| Money::from_minor(cents, Currency::USD);
    let of = |total, balance| {
        let used = use_credit(usd(total), usd(balance)).unwrap();
        (used.taken.minor(), used.due.minor())
    };
    assert_eq!(of(1_000, 0), (0, 1_000));
    assert_eq!(of(1_000, 400), (400, 600));
    assert_eq!(of(1_000, 4_000), (1_000, 0));
    assert_eq!(of(-700, 100), (-700, 0));
}

fn uses() -> impl Strategy<Value = Used> {
    let one = (0i64..61 * 86_400, 0u32..400_000, 0usize..3).prop_map(|(second, many, meter)| {
        let at = Timestamp::from_second(at("2026-06-01T00:00:00Z").as_second() + second).unwrap();
        (["events", "queries", "api_calls"][meter], at, Decimal::from(many))
    });
    prop::collection::vec(one, 0..40)
}

proptest! {
    #[test]
    fn lines_and_tax_sum_to_the_total(used in uses(), day in 1i64..29, percents in prop::collection::vec(0i64..30_000, 0..3)) {
        let product = &*KG;
        let moved = at("2026-06-01T00:00:00Z") + jiff::SignedDuration::from_hours(24 * day);
        let timeline = timeline(vec![
            entry("2026-06-01T00:00:00Z", "basic"),
            Entry { from: moved, ..entry("2026-06-01T00:00:00Z", "pro") },
        ]);
        let mut inputs = inputs(rated(&timeline, product, 0, month("2026-06"), &used));
        inputs.tax = percents.iter().map(|bp| TaxRate {
            name: "T".to_owned(), percent: Decimal::new(*bp, 3), note: None,
        }).collect();
        let draft = invoice(product, &inputs);
        let lines: i64 = draft.lines.iter().map(|line| line.amount.minor()).sum();
        let taxes: i64 = draft.taxes.iter().map(|tax| tax.amount.minor()).sum();
        prop_assert_eq!(lines, draft.subtotal.minor());
        prop_assert_eq!(lines + taxes, draft.total.minor());
        prop_assert!(draft.lines.iter().all(|line| line.amount.minor() >= 0));
        let again: InvoiceInputs = serde_json::from_str(&serde_json::to_string(&inputs).unwrap()).unwrap();
        prop_assert_eq!(invoice(product, &again), draft, "inputs survive JSON");
    }

    #[test]
    fn an_entry_that_changes_nothing_changes_no_cent(used in uses(), seconds in prop::collection::vec(0i64..90 * 86_400, 1..5)) {
        let product = &*KG;
        let plain = timeline(vec![entry("2026-06-01T00:00:00Z", "basic")]);
        let mut split = plain.clone();
        for second in seconds {
            let from = Timestamp::from_second(at("2026-06-01T00:00:00Z").as_second() + second).unwrap();
            split.entries.push(Entry { from, status: SubscriptionStatus::PastDue, ..plain.entries[0].clone() });
        }
        for (n, name) in [(0, "2026-06"), (1, "2026-07")] {
            let one = invoice(product, &inputs(rated(&plain, product, n, month(name), &used)));
            let other = invoice(product, &inputs(rated(&split, product, n, month(name), &used)));
            prop_assert_eq!(one, other);
        }
    }

    #[test]
    fn a_correction_is_the_difference_and_a_second_one_nothing(first in uses(), late in uses()) {
        let product = &*KG;
        let timeline = timeline(vec![entry("2026-06-01T00:00:00Z", "basic")]);
        let before = invoice(product, &inputs(rated(&timeline, product, 0, month("2026-06"), &first)));
        let all: Used = first.iter().chain(&late).copied().collect();
        let whole = invoice(product, &inputs(rated(&timeline, product, 0, month("2026-06"), &all)));
        let now = rated(&timeline, product, 0, month("2026-06"), &all);
        let nothing = PeriodInputs { segments: Vec::new(), ..rated(&timeline, product, 1, month("2026-07"), &Vec::new()) };
        let mut next = inputs(nothing);
        let rows = billed(&before.lines, &[]);
        next.corrections = vec![Correction { billed: rows.clone(), now: now.clone() }];
        let corrected = invoice(product, &next);
        prop_assert_eq!(before.total.minor() + corrected.total.minor(), whole.total.minor());
        prop_assert!(corrected.lines.iter().all(|line| line.kind == LineKind::Adjustment));
        next.corrections = vec![Correction { billed: billed(&corrected.lines, &rows), now }];
        prop_assert!(invoice(product, &next).lines.is_empty());
    }

    #[test]
    fn what_is_allocated_adds_up(total in -1_000_000i64..1_000_000, shares in prop::collection::vec(-10_000i64..10_000, 1..20)) {
        let parts = tax::allocate(total, &shares);
        prop_assert_eq!(parts.iter().sum::<i64>(), total);
    }

    #[test]
    fn each_part_is_within_a_unit_of_its_share(total in 0i64..1_000_000, shares in prop::collection::vec(1i64..10_000, 1..20)) {
        let parts = tax::allocate(total, &shares);
        let sum: i64 = shares.iter().sum();
        for (part, share) in parts.iter().zip(&shares) {
            let exact = i128::from(total) * i128::from(*share);
            prop_assert!((i128::from(*part) * i128::from(sum) - exact).abs() < i128::from(sum));
        }
    }
}
