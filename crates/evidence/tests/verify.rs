//! An archive that is whole agrees; one that was touched anywhere does not.
#![allow(clippy::unwrap_used)]

use std::io::Read;

use jiff::Timestamp;
use proptest::prelude::*;
use rust_decimal::Decimal;
use tenure_catalog::{
    Aggregation, Meter, Model, Product, ProductFile,
    invoicing::{
        Entry, InvoiceInputs, MeterTotals, Of, PeriodInputs, TaxRate, Timeline, Total, Versions,
        asked, draft, segments,
    },
};
use tenure_core::{Currency, Interval, Period, SubscriptionStatus};
use tenure_evidence::{Event, Needed, Report, Stated, Sums, Writer, needed, verify};

const KG_RCA: &str = include_str!("../../../products/kg-rca/product.toml");

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn event(id: &str, time: &str, quantity: i64) -> Event {
    Event {
        source: "/test".to_owned(),
        id: id.to_owned(),
        time: at(time),
        quantity: Decimal::from(quantity),
        member: None,
        dimensions: std::collections::BTreeMap::new(),
        received_at: at(time),
        generation: 0,
    }
}

fn meter(aggregation: Aggregation) -> Meter {
    Meter { aggregation, divide_by: Decimal::ONE, ..kg_rca().meters[0].clone() }
}

fn kg_rca() -> Product {
    ProductFile::parse(KG_RCA, "product.toml").unwrap()
}

/// A month of the Basic plan: 1,200 queries and 25 GB stored from the second day on. March has
/// 31 days, so 30 of them at 25 GB are 24.193548 GB-months.
fn month() -> (InvoiceInputs, Vec<(&'static str, Vec<Event>)>) {
    let queries: Vec<Event> =
        (0..1_200).map(|n| event(&format!("q{n}"), "2026-03-10T12:00:00Z", 1)).collect();
    let stored = vec![event("s", "2026-03-02T00:00:00Z", 25_000_000_000)];
    let period = Period { start: at("2026-03-01T00:00:00Z"), end: at("2026-04-01T00:00:00Z") };
    let entry = Entry {
        from: period.start,
        version: "kg-rca-1".to_owned(),
        plan: "basic".to_owned(),
        model: Model::Managed,
        mode: None,
        interval: Interval::Month,
        term_years: 1,
        prepaid: false,
        hard_stops: Vec::new(),
        zone: "UTC".to_owned(),
        customer_class: None,
        status: SubscriptionStatus::Active,
    };
    let timeline = Timeline {
        anchor: period.start,
        customer_number: None,
        entries: vec![entry],
        items: Vec::new(),
        contracts: Vec::new(),
    };
    let product = kg_rca();
    let versions = Versions::from([("kg-rca-1".to_owned(), &product)]);
    let mut all = segments(&timeline, &versions, None, period).unwrap();
    for segment in &mut all {
        for asked in asked(&product, segment, period, None).unwrap() {
            assert_eq!(asked.of, Of::Period);
            let total =
                |window: &Period| stated_total(&product, &asked.meter, *window, &queries, &stored);
            let windows = asked.windows.iter().map(total).collect();
            segment.usage.push(MeterTotals { windows, meter: asked.meter.clone() });
        }
    }
    let inputs = InvoiceInputs {
        currency: Currency::USD,
        own: PeriodInputs { n: 0, period, cutoff: 0, as_of: None, segments: all },
        corrections: Vec::new(),
        committed: Vec::new(),
        tax: vec![TaxRate { name: "VAT".to_owned(), percent: Decimal::from(19), note: None }],
        zone_data: "test".to_owned(),
    };
    (inputs, vec![("queries", queries), ("storage", stored)])
}

/// What a server would state, worked out without [`Sums`].
fn stated_total(
    product: &Product,
    meter: &str,
    window: Period,
    queries: &[Event],
    stored: &[Event],
) -> Total {
    let none = ("0".parse().unwrap(), 0, 0);
    let hashed = |events: &[Event]| {
        events.iter().fold(0, |all, one| all ^ u128::from_be_bytes(one.hash(meter)))
    };
    assert!(product.meter(meter).is_some());
    let (quantity, events, digest): (Decimal, i64, u128) = match meter {
        "queries" => (Decimal::from(1_200), 1_200, hashed(queries)),
        "storage" => ("24.193548".parse().unwrap(), 1, hashed(stored)),
        _ => none,
    };
    Total {
        start: window.start,
        end: window.end,
        quantity,
        events,
        digest: format!("{digest:032x}"),
    }
}

fn stated(inputs: &InvoiceInputs) -> Stated {
    let product = kg_rca();
    let versions = Versions::from([("kg-rca-1".to_owned(), &product)]);
    Stated {
        id: "inv_1".to_owned(),
        number: Some("ACME-000001".to_owned()),
        status: "issued".to_owned(),
        issued_at: Some(at("2026-04-02T00:00:00Z")),
        seller: serde_json::json!({}),
        buyer: serde_json::json!({}),
        sums: draft(inputs, &versions).unwrap(),
    }
}

fn archive(
    stated: &Stated,
    inputs: &InvoiceInputs,
    file: &str,
    events: &[(&str, Vec<Event>)],
) -> Vec<u8> {
    let product = kg_rca();
    let versions = Versions::from([("kg-rca-1".to_owned(), &product)]);
    let mut writer = Writer::new(Vec::new(), stated, inputs, [("kg-rca-1", file)]).unwrap();
    for needed in needed(inputs, &versions).unwrap() {
        let own = events.iter().find(|(meter, _)| *meter == needed.meter.id);
        let Some((meter, own)) = own else { continue };
        let mut own = own.clone();
        own.sort_by_key(|event| (event.time, event.hash(meter)));
        let mut text = String::new();
        for event in own {
            text.push_str(&serde_json::to_string(&event).unwrap());
            text.push('\n');
        }
        writer.usage(&needed, text.len() as u64, text.as_bytes()).unwrap();
    }
    writer.finish().unwrap()
}

fn refused(report: &Report) -> Vec<&str> {
    let differing = report.checks.iter().filter(|check| !check.agrees);
    differing.map(|check| check.what.as_str()).collect()
}

#[test]
fn an_invoice_is_computed_again_from_its_events() {
    let (inputs, events) = month();
    let report = verify(archive(&stated(&inputs), &inputs, KG_RCA, &events).as_slice()).unwrap();
    assert!(report.agrees(), "{report:#?}");
    // 99 + 200 queries over at 0.50 + 14.193548 GB-months over at 2; VAT 19%.
    assert_eq!(report.computed_total.as_deref(), Some("$270.59"), "{report:#?}");
    assert_eq!((report.invoice.as_str(), report.events), ("ACME-000001", 1_201));
}

#[test]
fn the_same_evidence_gives_the_same_bytes() {
    let (inputs, events) = month();
    let one = archive(&stated(&inputs), &inputs, KG_RCA, &events);
    assert_eq!(one, archive(&stated(&inputs), &inputs, KG_RCA, &events));
}

#[test]
fn whatever_was_touched_is_named() {
    let (inputs, events) = month();
    let honest = stated(&inputs);

    let mut dearer = honest.clone();
    dearer.sums.lines[0].amount = tenure_core::Money::from_minor(9_901, Currency::USD);
    let report = verify(archive(&dearer, &inputs, KG_RCA, &events).as_slice()).unwrap();
    assert_eq!(refused(&report), ["line 1 base"]);

    let mut fewer = events.clone();
    fewer[0].1.pop();
    let report = verify(archive(&honest, &inputs, KG_RCA, &fewer).as_slice()).unwrap();
    assert_eq!(refused(&report), ["usage of queries up to generation 0"]);

    let mut other = events.clone();
    other[0].1[5].id = "another".to_owned();
    let report = verify(archive(&honest, &inputs, KG_RCA, &other).as_slice()).unwrap();
    assert_eq!(refused(&report), ["usage of queries up to generation 0"], "the digest differs");

    let mut twice = events.clone();
    let again = twice[0].1[0].clone();
    twice[0].1.push(again);
    let report = verify(archive(&honest, &inputs, KG_RCA, &twice).as_slice()).unwrap();
    assert_eq!(refused(&report), ["usage of queries up to generation 0"]);

    let cheaper = KG_RCA.replace("price = { month = \"99\" }", "price = { month = \"9\" }");
    assert_ne!(cheaper, KG_RCA);
    let report = verify(archive(&honest, &inputs, &cheaper, &events).as_slice()).unwrap();
    assert!(refused(&report).contains(&"line 1 base"), "{report:#?}");
}

#[test]
fn an_entry_that_is_not_as_the_manifest_says_is_noticed() {
    let (inputs, events) = month();
    let whole = archive(&stated(&inputs), &inputs, KG_RCA, &events);
    let mut text = Vec::new();
    zstd::Decoder::new(whole.as_slice()).unwrap().read_to_end(&mut text).unwrap();
    // Another name of the plan changes no amount, and no digest but that of its entry.
    let place = text.windows(13).position(|part| part == b"name = \"Basic").unwrap();
    text[place + 8] = b'M';
    let report = verify(zstd::encode_all(text.as_slice(), 1).unwrap().as_slice()).unwrap();
    assert!(refused(&report).contains(&"entries and manifest"), "{report:#?}");
}

#[test]
fn what_is_no_archive_is_told() {
    assert!(verify(b"nonsense".as_slice()).is_err());
    let empty = zstd::encode_all(&[0u8; 1024][..], 1).unwrap();
    let error = verify(empty.as_slice()).unwrap_err().to_string();
    assert!(error.contains("`inputs.json` is missing"), "{error}");
}

/// One window over ten seconds, with the readings of a level.
fn level(readings: &[(i64, i64)]) -> Decimal {
    let second = |n: i64| Timestamp::from_second(1_000 + n).unwrap();
    let nothing = Total {
        start: second(0),
        end: second(10),
        quantity: Decimal::ZERO,
        events: 0,
        digest: String::new(),
    };
    let needed = Needed {
        meter: meter(Aggregation::TimeWeighted { field: "bytes".to_owned() }),
        cutoff: 0,
        windows: vec![nothing],
    };
    let mut sums = Sums::new(&needed);
    for (n, (when, value)) in readings.iter().enumerate() {
        sums.add(&Event {
            time: second(*when),
            ..event(&n.to_string(), "2026-01-01T00:00:00Z", *value)
        });
    }
    sums.totals()[0].quantity
}

#[test]
fn a_level_stands_until_the_next() {
    let dec = |text: &str| text.parse::<Decimal>().unwrap();
    assert_eq!(level(&[]), Decimal::ZERO);
    assert_eq!(level(&[(5, 10)]), dec("5"), "before the first, nothing stood");
    assert_eq!(level(&[(-7, 3), (-2, 10)]), dec("10"), "what stood at the start came before it");
    assert_eq!(level(&[(-2, 10), (0, 4), (5, 8)]), dec("6"));
    assert_eq!(level(&[(0, 9), (0, 2), (10, 100)]), dec("9"), "of one moment, the largest");
    assert_eq!(level(&[(0, 1), (7, 0)]), dec("0.7"));
    assert_eq!(level(&[(0, 1), (3, 0)]), dec("0.3"));
}

proptest! {
    #[test]
    fn a_total_is_what_adding_up_by_hand_gives(
        readings in prop::collection::vec((0i64..20, 0i64..1_000, 0u8..4), 0..40)
    ) {
        let second = |n: i64| Timestamp::from_second(1_000 + n).unwrap();
        let mut events: Vec<Event> = readings.iter().enumerate().map(|(n, (when, value, who))| {
            let base = event(&n.to_string(), "2026-01-01T00:00:00Z", *value);
            Event { time: second(*when), member: Some(who.to_string()), ..base }
        }).collect();
        events.sort_by_key(|event| (event.time, event.hash("events")));
        let inside: Vec<&Event> =
            events.iter().filter(|e| second(5) <= e.time && e.time < second(15)).collect();
        let by_hand = [
            (Aggregation::Count, Decimal::from(inside.len())),
            (Aggregation::Sum { field: "n".into() }, inside.iter().map(|e| e.quantity).sum()),
            (Aggregation::Max { field: "n".into() },
                inside.iter().map(|e| e.quantity).max().unwrap_or_default()),
            (Aggregation::Last { field: "n".into() },
                inside.iter().max_by_key(|e| (e.time, e.quantity)).map_or(Decimal::ZERO, |e| e.quantity)),
            (Aggregation::Unique { field: "n".into() },
                Decimal::from(inside.iter().filter_map(|e| e.member.as_ref())
                    .collect::<std::collections::BTreeSet<_>>().len())),
        ];
        for (aggregation, expected) in by_hand {
            let nothing = Total { start: second(5), end: second(15), quantity: Decimal::ZERO,
                events: 0, digest: String::new() };
            let needed = Needed { meter: meter(aggregation), cutoff: 0, windows: vec![nothing] };
            let mut sums = Sums::new(&needed);
            for event in &events {
                sums.add(event);
                sums.add(&Event { generation: 1, ..event.clone() });
            }
            let total = &sums.totals()[0];
            prop_assert_eq!((total.quantity, total.events), (expected, i64::try_from(inside.len()).unwrap()));
        }
    }
}
