//! Invoices against somebody else's sums: the naive re-rater reads the same product file, the
//! same history and the same events, and was written without a look at how we rate.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rust_decimal::Decimal;
use tenure_catalog::{
    Aggregation, Contract, Item, Meter, Product, ProductFile,
    contract::{ContractDiscount, Effective, LimitOverride, NegotiatedPrice},
    invoicing::{
        BilledLine, Committed, Correction, Entry, InvoiceDraft, InvoiceInputs, MeterTotals, Of,
        PeriodInputs, Segment, Timeline, Total, Versions, asked, draft, segments,
    },
    plan::{Basis, Part},
};
use tenure_core::{Currency, Interval, Money, Period, Quantity, SubscriptionStatus};
use tenure_evidence::{Event, Needed, Sums};
use tenure_rerater::{
    self as naive, Input, Span, Unit,
    generate::{Scale, Which, year},
};

/// Years of each product; `TENURE_ORACLE_YEARS` asks for more.
const YEARS: u64 = 12;

fn dec(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn qty(text: &str) -> Quantity {
    Quantity::new(dec(text)).unwrap()
}

const fn interval(unit: Unit) -> Interval {
    match unit {
        Unit::Month => Interval::Month,
        Unit::Year => Interval::Year,
    }
}

const fn period(span: Span) -> Period {
    Period { start: span.from, end: span.to }
}

/// An item that names an allocation is one of each charge on it, for as long as a plan has that.
fn items(input: &Input, products: &[Product]) -> Vec<Item> {
    let history = &input.subscription.history;
    let mut all = Vec::new();
    for item in &input.subscription.items {
        let whole = Item {
            charge: item.charge.clone(),
            quantity: qty(&item.quantity),
            from: item.from,
            to: item.to,
        };
        if products[0].allocation(&item.charge).is_none() {
            all.push(whole);
            continue;
        }
        for (index, terms) in history.iter().enumerate() {
            let until = history.get(index + 1).map(|next| next.from);
            let from = whole.from.max(terms.from);
            let to = [whole.to, until].into_iter().flatten().min();
            if to.is_some_and(|to| to <= from) {
                continue;
            }
            let plan = products[terms.product_file].plan(&terms.plan).unwrap();
            for charge in &plan.charges {
                if matches!(&charge.basis, Basis::Held { allocation, .. } if *allocation == item.charge)
                {
                    all.push(Item { charge: charge.id.clone(), from, to, ..whole.clone() });
                }
            }
        }
    }
    all
}

/// The history as our timeline says it.
fn timeline(input: &Input, products: &[Product]) -> Timeline {
    let of = &input.subscription;
    let mut entries = Vec::new();
    for terms in &of.history {
        let trial = of.trial_ends_at.filter(|ends| terms.from < *ends);
        let entry = |from, status| Entry {
            from,
            version: format!("v{}", terms.product_file),
            plan: terms.plan.clone(),
            model: serde_json::from_value(terms.model.clone().into()).unwrap(),
            mode: None,
            interval: interval(terms.interval),
            term_years: terms.term_years,
            prepaid: terms.prepaid,
            hard_stops: terms.hard_stops.clone(),
            zone: terms.zone.clone(),
            customer_class: terms.customer_class.clone(),
            status,
        };
        match trial {
            Some(ends) => {
                entries.push(entry(terms.from, SubscriptionStatus::Trial));
                entries.push(entry(ends, SubscriptionStatus::Active));
            }
            None => entries.push(entry(terms.from, SubscriptionStatus::Active)),
        }
    }
    if let Some(end) = of.end {
        let last = entries.last().unwrap().clone();
        entries.push(Entry { from: end, status: SubscriptionStatus::Cancelled, ..last });
    }
    Timeline {
        anchor: of.anchor,
        customer_number: of.history.first().and_then(|terms| terms.customer_number),
        entries,
        items: items(input, products),
        contracts: of.contracts.iter().enumerate().map(contract).collect(),
    }
}

fn contract((index, of): (usize, &naive::Contract)) -> Contract {
    let when = Effective { from: of.from, to: of.to };
    Contract {
        id: format!("contract {index}"),
        prices: of
            .prices
            .iter()
            .map(|price| NegotiatedPrice {
                charge: price.charge.clone(),
                amount: dec(&price.amount),
                every: price.every.map(interval),
                when,
            })
            .collect(),
        limits: of
            .limits
            .iter()
            .map(|limit| LimitOverride {
                limit: limit.limit.clone(),
                included: limit.included.as_deref().map(qty),
                when,
            })
            .collect(),
        discounts: of
            .discounts
            .iter()
            .map(|discount| ContractDiscount {
                name: "agreed".to_owned(),
                percent: dec(&discount.percent),
                charges: discount.charges.clone(),
                when,
            })
            .collect(),
        ..Contract::default()
    }
}

/// What each meter counts, by meter: each event once, without those that were taken back.
fn counted(input: &Input, product: &Product) -> BTreeMap<String, Vec<Event>> {
    let mut seen = BTreeSet::new();
    let voided: BTreeSet<_> =
        input.voids.iter().map(|void| (void.source.as_str(), void.id.as_str())).collect();
    let mut arrived: Vec<&naive::Event> = input.events.iter().collect();
    arrived.sort_by_key(|event| event.received);
    let mut all: BTreeMap<String, Vec<Event>> = BTreeMap::new();
    for event in arrived {
        let name = (event.source.as_str(), event.id.as_str());
        if !seen.insert(name) || voided.contains(&name) {
            continue;
        }
        for meter in product.meters.iter().filter(|meter| meter.event_type == event.kind) {
            for n in 0..event.times {
                let read = read(meter, event, n);
                all.entry(meter.id.clone()).or_default().push(read);
            }
        }
    }
    for (meter, events) in &mut all {
        events.sort_by_key(|event| (event.time, event.hash(meter)));
    }
    all
}

fn read(meter: &Meter, event: &naive::Event, n: u64) -> Event {
    let value = meter.aggregation.field().map(|field| event.data[field].clone());
    let text = value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let unique = matches!(meter.aggregation, Aggregation::Unique { .. });
    Event {
        source: event.source.clone(),
        id: format!("{}/{n}", event.id),
        time: event.time,
        quantity: match &text {
            Some(text) if !unique => dec(text),
            _ => Decimal::ONE,
        },
        member: text.filter(|_| unique),
        dimensions: BTreeMap::new(),
        received_at: event.time,
        generation: 0,
    }
}

/// The timeline as it was known at a moment: a bill does not know the future.
fn known(whole: &Timeline, at: Timestamp) -> Timeline {
    let mut known = whole.clone();
    known.entries.retain(|entry| entry.from <= at);
    known.items.retain(|item| item.from < at);
    for item in &mut known.items {
        item.to = item.to.filter(|to| *to < at);
    }
    known
}

/// Adds what an invoice billed for a period to what was billed for it before.
fn bill(billed: &mut BTreeMap<(String, String), BilledLine>, n: i32, invoice: &InvoiceDraft) {
    for (index, line) in invoice.lines.iter().enumerate().filter(|(_, line)| line.n == n) {
        let new = BilledLine {
            plan: line.plan.clone(),
            charge: line.charge.clone(),
            part: line.part,
            description: line.description.clone(),
            unit: line.unit.clone(),
            quantity: Decimal::ZERO,
            amount: Money::zero(Currency::USD),
            invoice: "inv".to_owned(),
            line: i32::try_from(index).unwrap() + 1,
        };
        let one = billed.entry((line.plan.clone(), line.charge.clone())).or_insert(new);
        one.amount = one.amount.checked_add(line.amount).unwrap();
        one.quantity += line.quantity;
    }
}

/// A period that was billed.
struct Billed {
    n: i32,
    period: Period,
    before: Option<Period>,
    /// The terms that it was rated with, as text.
    terms: String,
    lines: BTreeMap<(String, String), BilledLine>,
}

/// Our invoices of every period, each with corrections of those before it whose terms changed.
fn ours(input: &Input) -> Vec<InvoiceDraft> {
    let products: Vec<Product> = input
        .product_files
        .iter()
        .map(|file| ProductFile::parse(file, "product.toml").unwrap())
        .collect();
    let versions: Versions<'_> =
        products.iter().enumerate().map(|(n, product)| (format!("v{n}"), product)).collect();
    let whole = timeline(input, &products);
    let counted = counted(input, &products[0]);
    let (mut all, mut closed): (Vec<InvoiceDraft>, Vec<Billed>) = (Vec::new(), Vec::new());
    for (n, span) in input.periods.iter().enumerate() {
        let (n, period) = (i32::try_from(n).unwrap(), period(*span));
        let timeline = known(&whole, period.end);
        let before = closed.last().map(|one| one.period);
        let rate = |n, period, before| {
            let parts = segments(&timeline, &versions, before, period).unwrap();
            let terms = serde_json::to_string(&parts).unwrap();
            (rated(n, period, parts, &versions, &counted), terms)
        };
        let (own, terms) = rate(n, period, before);
        let mut corrections = Vec::new();
        for old in &mut closed {
            let (now, terms) = rate(old.n, old.period, old.before);
            if terms != old.terms {
                corrections.push(Correction { billed: old.lines.values().cloned().collect(), now });
                old.terms = terms;
            }
        }
        let inputs = InvoiceInputs {
            currency: Currency::USD,
            own,
            corrections,
            committed: closed.iter().flat_map(committed).collect(),
            tax: Vec::new(),
            zone_data: "test".to_owned(),
        };
        let invoice = draft(&inputs, &versions).unwrap();
        closed.push(Billed { n, period, before, terms, lines: BTreeMap::new() });
        for one in &mut closed {
            bill(&mut one.lines, one.n, &invoice);
        }
        all.push(invoice);
    }
    all
}

/// A period with every total that it asks for.
fn rated(
    n: i32,
    period: Period,
    mut parts: Vec<Segment>,
    versions: &Versions<'_>,
    counted: &BTreeMap<String, Vec<Event>>,
) -> PeriodInputs {
    for segment in &mut parts {
        let product = versions[&segment.version];
        for asked in asked(product, segment, period, None).unwrap() {
            let totals = totals(product, &asked.meter, &asked.windows, counted);
            match asked.of {
                Of::Period => segment.usage.push(totals),
                Of::Year => segment.year.push(totals),
            }
        }
    }
    PeriodInputs { n, period, cutoff: 0, as_of: None, segments: parts }
}

/// What a period was billed towards a minimum.
fn committed(of: &Billed) -> Vec<Committed> {
    let mut plans: BTreeMap<&str, Money> = BTreeMap::new();
    for line in of.lines.values().filter(|line| matches!(line.part, Part::Plan | Part::Overage)) {
        let sum = plans.entry(&line.plan).or_insert(Money::zero(Currency::USD));
        *sum = sum.checked_add(line.amount).unwrap();
    }
    let one = |(plan, amount): (&str, Money)| Committed {
        n: of.n,
        start: of.period.start,
        plan: plan.to_owned(),
        amount,
    };
    plans.into_iter().map(one).collect()
}

fn totals(
    product: &Product,
    meter: &str,
    windows: &[Period],
    counted: &BTreeMap<String, Vec<Event>>,
) -> MeterTotals {
    let windows = windows
        .iter()
        .map(|window| Total {
            start: window.start,
            end: window.end,
            quantity: Decimal::ZERO,
            events: 0,
            digest: "0".repeat(32),
        })
        .collect();
    let needed = Needed { meter: product.meter(meter).unwrap().clone(), cutoff: 0, windows };
    let mut sums = Sums::new(&needed);
    counted.get(meter).into_iter().flatten().for_each(|event| sums.add(event));
    MeterTotals { meter: meter.to_owned(), windows: sums.totals() }
}

/// Amounts by charge in minor units, and of how many lines; what comes to nothing is as good
/// as no line.
fn by_charge(lines: impl Iterator<Item = (String, i64)>) -> BTreeMap<String, (i64, i64)> {
    let mut all = BTreeMap::new();
    for (charge, amount) in lines {
        let (sum, count) = all.entry(charge).or_insert((0, 0));
        *sum += amount;
        *count += 1;
    }
    all
}

/// The re-rater has one line a charge, we have one a charge and plan (and one a correction), each
/// rounded once: of several lines the sum may differ by a cent for each after the first.
fn agree(ours: &BTreeMap<String, (i64, i64)>, theirs: &BTreeMap<String, (i64, i64)>) -> bool {
    let charges: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    charges.into_iter().all(|charge| {
        let (our, lines) = ours.get(charge).copied().unwrap_or_default();
        let (their, _) = theirs.get(charge).copied().unwrap_or_default();
        (our - their).abs() <= (lines - 1).max(0)
    })
}

fn compare(which: Which, seed: u64) -> Vec<String> {
    let input = year(which, Scale::Small, seed).unwrap();
    let theirs = naive::rate_all(&input).unwrap();
    let ours = ours(&input);
    assert_eq!(ours.len(), theirs.len());
    let mut differences = Vec::new();
    for (n, (our, their)) in ours.iter().zip(&theirs).enumerate() {
        let own =
            by_charge(our.lines.iter().map(|line| (line.charge.clone(), line.amount.minor())));
        let other = by_charge(their.lines.iter().map(|line| (line.charge.clone(), line.amount)));
        if !agree(&own, &other) {
            let said: Vec<String> = our
                .lines
                .iter()
                .map(|line| format!("  {} {}: {}", line.plan, line.charge, line.arithmetic))
                .collect();
            let why: Vec<String> =
                their.parts.iter().map(|part| format!("  {}: {}", part.line, part.why)).collect();
            differences.push(format!(
                "{which:?} seed {seed} period {n} {:?}\nours {own:?}\n{}\nnaive {other:?}\n{}",
                input.periods[n],
                said.join("\n"),
                why.join("\n"),
            ));
        }
    }
    differences
}

/// Every year of a product, every period to the cent.
#[allow(clippy::disallowed_methods, reason = "whoever runs the test may ask for more years")]
fn years(which: Which) {
    let asked = std::env::var("TENURE_ORACLE_YEARS").ok().and_then(|text| text.parse().ok());
    let differences: Vec<String> =
        (0..asked.unwrap_or(YEARS)).flat_map(|seed| compare(which, seed)).collect();
    assert!(
        differences.is_empty(),
        "{} periods differ; the first:\n{}",
        differences.len(),
        differences.iter().take(4).cloned().collect::<Vec<_>>().join("\n\n")
    );
}

#[test]
fn years_of_agent_governance_are_billed_as_the_naive_re_rater_does() {
    years(Which::AgentGovernance);
}

#[test]
fn years_of_dyocense_are_billed_as_the_naive_re_rater_does() {
    years(Which::Dyocense);
}

#[test]
fn years_of_incidentfox_are_billed_as_the_naive_re_rater_does() {
    years(Which::Incidentfox);
}

#[test]
fn years_of_kg_rca_are_billed_as_the_naive_re_rater_does() {
    years(Which::KgRca);
}

#[test]
fn years_of_meeting_minutes_are_billed_as_the_naive_re_rater_does() {
    years(Which::MeetingMinutes);
}
