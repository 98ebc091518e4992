//! Rating against a naive oracle: whole numbers, one unit at a time.
#![allow(clippy::unwrap_used)]

mod common;

use common::{at, dec, month, qty, terms};
use jiff::{Span, Timestamp, tz::TimeZone};
use proptest::prelude::*;
use rust_decimal::Decimal;
use tenure_catalog::{Item, Model, Per, Product, ProductFile, Usage, estimate, windows};
use tenure_core::{Interval, Period, period::billing_period};

/// A product with one plan; `body` goes under `[plans.p]`, `rest` after it.
fn one_plan(body: &str, rest: &str) -> Product {
    let text = format!(
        r#"
[product]
id = "x"
name = "X"
sales_contact = "sales@x.example"
api_key_prefix = "x"
[meters]
events = {{ type = "event", count = true }}
[allocations]
seats = {{ name = "Seats", one = "seat" }}
[models.managed]
isolation = "schema"
responsibility = {{ software = "vendor", infrastructure = "vendor", security = "vendor", compliance = "vendor", support = "vendor" }}
[plans.p]
name = "P"
models = ["managed"]
{body}
{rest}
"#
    );
    ProductFile::parse(&text, "x").unwrap_or_else(|found| panic!("{}", common::drawn(&found)))
}

/// `numerator / denominator` to the nearest whole number, halves to even.
fn half_even(numerator: i128, denominator: i128) -> i128 {
    let (whole, rest) = (numerator / denominator, numerator % denominator);
    match (rest * 2).cmp(&denominator) {
        std::cmp::Ordering::Less => whole,
        std::cmp::Ordering::Greater => whole + 1,
        std::cmp::Ordering::Equal => whole + whole % 2,
    }
}

fn day(index: usize) -> Timestamp {
    at("2026-05-01T00:00:00Z") + Span::new().hours(24 * i64::try_from(index).unwrap())
}

/// Usage of one day each, in the order given.
fn daily(days: &[u32]) -> Usage {
    days.iter().enumerate().fold(Usage::default(), |usage, (index, used)| {
        usage.with("events", day(index), Decimal::from(*used))
    })
}

proptest! {
    #[test]
    fn the_excess_of_each_day_is_summed_and_priced_once(
        days in prop::collection::vec(0u32..3_000_000, 0..31),
        included in 0u32..2_000_000,
        each in prop::sample::select(vec![1u32, 3, 7, 100, 1_000]),
        micros in 0u32..2_000_000,
        up: bool,
    ) {
        let rounding = if up { "up" } else { "exact" };
        let price = Decimal::new(i64::from(micros), 6);
        let product = one_plan("price = { month = \"0\" }", &format!(
            "[plans.p.limits]\nevents = {{ included = {included}, per = \"day\", \
             over = {{ price = \"{price}\", each = {each}, rounding = \"{rounding}\" }} }}"
        ));
        let bill = estimate(&product, &terms("p", Model::Managed), month("2026-05"), &daily(&days)).unwrap();

        let excess: i128 = days.iter().map(|used| i128::from(used.saturating_sub(included))).sum();
        let each = i128::from(each);
        let cents = if up {
            half_even((excess + each - 1) / each * i128::from(micros), 10_000)
        } else {
            half_even(excess * i128::from(micros), 10_000 * each)
        };
        prop_assert_eq!(i128::from(bill.total.minor()), cents);
        prop_assert_eq!(bill.lines.len(), if excess == 0 { 1 } else { 2 });
    }

    #[test]
    fn graduated_tiers_price_each_unit_where_it_lies(
        months in prop::collection::vec(0u32..400, 1..3),
        first in 1u32..100,
        second in 1u32..100,
        prices in prop::array::uniform3(0u32..1_000),
    ) {
        let end = first + second;
        let cents = |price: u32| Decimal::new(i64::from(price), 2);
        let product = one_plan("", &format!(
            "[plans.p.charges.runs]\nmeter = \"events\"\nreset = \"day\"\ntiers = [\
             {{ up_to = {first}, price = \"{}\" }}, {{ up_to = {end}, price = \"{}\" }}, {{ price = \"{}\" }}]",
            cents(prices[0]), cents(prices[1]), cents(prices[2]),
        ));
        let bill = estimate(&product, &terms("p", Model::Managed), month("2026-05"), &daily(&months)).unwrap();
        let unit = |number: u32| {
            let tier = if number <= first { 0 } else if number <= end { 1 } else { 2 };
            i64::from(prices[tier])
        };
        let naive: i64 = months.iter().flat_map(|used| 1..=*used).map(unit).sum();
        prop_assert_eq!(bill.total.minor(), naive);
    }

    #[test]
    fn seats_added_later_pay_for_the_rest_of_the_month(
        added in prop::collection::vec((0usize..31, 1u32..20), 1..6),
        least in 0u32..30,
        cents in 1i64..100_000,
    ) {
        let price = Decimal::new(cents, 2);
        let product = one_plan(
            &format!("price = {{ month = \"{price}\", per = \"seats\", at_least = {least} }}"), "");
        let mut terms = terms("p", Model::Managed);
        for (from, many) in &added {
            terms.items.push(Item { charge: "base".into(), quantity: (*many).into(), from: day(*from), to: None });
        }
        let bill = estimate(&product, &terms, month("2026-05"), &Usage::default()).unwrap();

        // Day by day: what is held that day, and never less than the minimum.
        let seat_days: i128 = (0..31usize)
            .map(|today| added.iter().filter(|(from, _)| *from <= today).map(|(_, many)| i128::from(*many)).sum())
            .map(|held: i128| held.max(i128::from(least)))
            .sum();
        prop_assert_eq!(i128::from(bill.total.minor()), half_even(seat_days * i128::from(cents), 31));
    }

    #[test]
    fn discounts_multiply_and_the_line_is_rounded_once(
        cents in 0i64..10_000_000, first in 1i128..=100, second in 1i128..=100, third in 1i128..=100,
    ) {
        let price = Decimal::new(cents, 2);
        let product = one_plan(&format!("price = {{ month = \"{price}\" }}"), &format!(
            "[discounts]\nyears = {{ name = \"A\", percent = {first}, term_years = 2 }}\n\
             class = {{ name = \"B\", percent = {second}, customers = [\"nonprofit\"] }}\n\
             early = {{ name = \"C\", percent = {third}, first_customers = 10 }}"
        ));
        let mut terms = terms("p", Model::Managed);
        terms.term_years = 2;
        terms.customer_class = Some("nonprofit".into());
        terms.customer_number = Some(10);
        let bill = estimate(&product, &terms, month("2026-05"), &Usage::default()).unwrap();
        let left = i128::from(cents) * (100 - first) * (100 - second) * (100 - third);
        prop_assert_eq!(i128::from(bill.total.minor()), half_even(left, 1_000_000));
    }

    #[test]
    fn the_largest_numbers_are_rated_or_refused_and_never_panic(
        quantities in prop::array::uniform3(0i64..1_000_000_000_000_000),
        used in prop::num::i64::ANY, scale in 0u32..28,
    ) {
        let product = one_plan(
            "price = { month = \"999999999999.999999999999\", per = \"seats\", at_least = 7 }\nlimits = { seats = 5 }",
            "[plans.p.charges.e]\nmeter = \"events\"\nprice = \"999999999999\"\neach = 7\nrounding = \"up\"\n\
             [addons.more]\nname = \"More\"\nprice = { once = \"5\", unit = \"piece\" }\nraises = { seats = 999_999_999_999_999 }");
        let quantity = |index: usize| tenure_core::Quantity::new(Decimal::from(quantities[index])).unwrap();
        let mut terms = terms("p", Model::Managed)
            .with_item("base", quantity(0))
            .with_item("more", quantity(1));
        terms.items.push(Item { charge: "base".into(), quantity: quantity(2), from: day(13), to: None });
        let usage = Usage::default().with("events", day(1), Decimal::new(used, scale));
        let _ = tenure_catalog::resolve(&product, &terms, day(20));
        let _ = estimate(&product, &terms, month("2026-05"), &usage);
    }

    #[test]
    fn every_window_is_billed_in_exactly_one_period(
        start in 1_700_000_000i64..1_800_000_000, months in 1i32..14, pick in 0usize..4, daily: bool,
    ) {
        let per = if daily { Per::Day } else { Per::Month };
        let mut terms = terms("p", Model::Managed);
        terms.zone = ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/New_York"][pick].into();
        terms.start = Timestamp::from_second(start).unwrap();
        let zone = TimeZone::get(&terms.zone).unwrap();
        let period = |n| billing_period(terms.start, &zone, Interval::Month, n).unwrap();
        let last = period(months - 1);
        let mut ending = terms.clone();
        ending.end = Some(last.end);
        let billed: Vec<Period> =
            (0..months).flat_map(|n| windows(&ending, period(n), per).unwrap()).collect();
        prop_assert_eq!(billed[0].start, terms.start);
        prop_assert_eq!(billed[billed.len() - 1].end, last.end);
        for pair in billed.windows(2) {
            prop_assert_eq!(pair[0].end, pair[1].start);
        }
        // What is listed is accepted.
        let product = one_plan("price = { month = \"0\" }", &format!(
            "[plans.p.limits]\nevents = {{ included = 1, per = \"{}\", over = {{ price = \"1\" }} }}", per.word()));
        let period = period(months - 1);
        let usage = windows(&ending, period, per).unwrap().into_iter()
            .fold(Usage::default(), |usage, window| usage.with("events", window.start, dec("2")));
        let count = usage.meters.first().map_or(0, |meter| meter.windows.len());
        let bill = estimate(&product, &ending, period, &usage).unwrap();
        prop_assert_eq!(bill.total.minor(), i64::try_from(count).unwrap() * 100);
    }

    #[test]
    fn the_order_of_windows_changes_nothing(
        days in prop::collection::vec(0u32..200, 1..31), seed: u64,
    ) {
        let product = one_plan("price = { month = \"0\" }",
            "[plans.p.limits]\nevents = { included = 50, per = \"day\", over = { price = \"0.333\" } }");
        let terms = terms("p", Model::Managed);
        let usage = daily(&days);
        let mut shuffled = usage.clone();
        let windows = &mut shuffled.meters[0].windows;
        let len = windows.len();
        windows.rotate_left(usize::try_from(seed % 31).unwrap() % len);
        let bill = |usage: &Usage| estimate(&product, &terms, month("2026-05"), usage).unwrap();
        prop_assert_eq!(bill(&usage), bill(&shuffled));
    }
}

#[test]
fn what_cannot_be_exact_is_refused() {
    let product = one_plan(
        "",
        "[plans.p.charges.e]\nmeter = \"events\"\nprice = \"999999999999.000000000001\"",
    );
    let usage = Usage::default().with("events", day(0), dec("999999999999999.999999"));
    let error =
        estimate(&product, &terms("p", Model::Managed), month("2026-05"), &usage).unwrap_err();
    assert_eq!(error.to_string(), "the amount of `e` is too large");
}

#[test]
fn usage_of_another_period_or_meter_is_refused() {
    let product = one_plan("price = { month = \"1\" }", "");
    let rate = |usage: &Usage| {
        estimate(&product, &terms("p", Model::Managed), month("2026-05"), usage)
            .unwrap_err()
            .to_string()
    };
    let other = Usage::default().with("events", at("2026-06-01T00:00:00Z"), dec("1"));
    assert!(rate(&other).contains("lies outside the period"));
    assert!(rate(&Usage::default().with("nothing", day(0), dec("1"))).contains("nothing"));
    assert!(rate(&Usage::default().with("events", day(0), dec("-1"))).contains("negative"));
    let twice = Usage::default().with("events", day(0), dec("1")).with("events", day(0), dec("1"));
    assert!(rate(&twice).contains("twice"));
}

#[test]
fn given_back_and_taken_again_is_not_paid_twice() {
    let product = one_plan("price = { month = \"31\", per = \"seats\" }", "");
    let mut terms = terms("p", Model::Managed);
    let item = |from, to, many: &str| Item { charge: "base".into(), quantity: qty(many), from, to };
    terms.items = vec![
        item(day(0), Some(day(10)), "5"),
        item(day(10), Some(day(20)), "2"),
        item(day(20), None, "6"),
    ];
    let bill = estimate(&product, &terms, month("2026-05"), &Usage::default()).unwrap();
    assert_eq!(
        bill.lines[0].arithmetic,
        "5 seats x $31.00 + 1 seat x $31.00 x 35.48% of the month = $166.00"
    );
    let next = estimate(&product, &terms, month("2026-06"), &Usage::default()).unwrap();
    assert_eq!(next.total.display(), "$186.00");
}

#[test]
fn the_longest_term_counts_alone() {
    let product = one_plan(
        "price = { month = \"100\" }",
        "[discounts]\ntwo = { name = \"Two years\", percent = 10, term_years = 2 }\nthree = { name = \"Three years\", percent = 15, term_years = 3 }",
    );
    let mut terms = terms("p", Model::Managed);
    for (years, total) in [(1, "$100.00"), (2, "$90.00"), (3, "$85.00"), (5, "$85.00")] {
        terms.term_years = years;
        assert_eq!(common::bill(&product, &terms, "2026-05").total.display(), total, "{years}");
    }
}

#[test]
fn seats_in_tiers_go_on_where_they_stopped() {
    let product = one_plan(
        "price = { per = \"seats\", every = \"month\", tiers = [{ up_to = 10, price = \"31\" }, { price = \"15.50\" }] }",
        "",
    );
    let terms = terms("p", Model::Managed).with_item("base", qty("8"));
    let mut more = terms.clone();
    more.items.push(Item { charge: "base".into(), quantity: qty("4"), from: day(30), to: None });
    assert_eq!(common::bill(&product, &terms, "2026-05").total.display(), "$248.00");
    // One day of two at 31 and two at 15.50.
    assert_eq!(common::bill(&product, &more, "2026-05").total.display(), "$251.00");
}
