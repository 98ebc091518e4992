//! A generated year of each of the five products, over HTTP: twelve invoices that somebody
//! else's sums confirm to the cent, and from every line the way back to its events.
//!
//! The years come from the naive re-rater, and so do the sums that they are held against.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use tenure_catalog::{Product, ProductFile, plan::Basis};
use tenure_core::Interval;
use tenure_rerater::{
    self as naive, Input, Item, Terms, Unit,
    generate::{Scale, Which, year},
};
use tenure_server::jobs;

use crate::harness::{ADMIN, TestServer};

/// Events of one batch: the year arrives in many.
const BATCH: usize = 700;
/// Seeds that are looked at for a year that can be lived through.
const SEEDS_MAX: u64 = 200;

/// Something that is done at a moment; of one moment, in this order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    /// Everything that happened in period n arrives, and it is closed.
    Close(usize),
    End,
    /// The trial becomes a paid subscription.
    Buy,
    /// Another model, and with it another plan or the same.
    Convert {
        plan: String,
        model: String,
    },
    /// A contract on what only a later plan has.
    Agree(usize),
    Zone(String),
    Move(String),
    Hold {
        charge: String,
        quantity: String,
    },
}

/// What happens in a year beside what every generated one has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// Nothing.
    Plain,
    /// It begins with a trial that is bought early, when it ends, late, or never.
    Tried,
    /// Another deployment model, with another plan or on the same.
    Converted,
    /// It ends, and usage arrives after the last invoice, or is taken back.
    Late,
}

const DAY: SignedDuration = SignedDuration::from_hours(24);
/// After so many days a trial is bought; the third is never bought.
const BOUGHT: [Option<i32>; 4] = [Some(5), Some(14), None, Some(25)];

/// A year that this server can be led through, one customer's way of paying throughout: no
/// operation changes that of a subscription.
fn lived(which: Which, life: Life, from: u64) -> (u64, Input, Product) {
    for seed in from..SEEDS_MAX {
        let mut input = year(which, Scale::Small, seed).unwrap();
        let product = ProductFile::parse(&input.product_files[0], "product.toml").unwrap();
        if input.subscription.trial_ends_at.is_some() {
            continue;
        }
        let first = input.subscription.history[0].clone();
        for terms in &mut input.subscription.history {
            terms.customer_number = Some(1);
            terms.prepaid = first.prepaid;
            terms.hard_stops.clone_from(&first.hard_stops);
            if life != Life::Converted {
                terms.model.clone_from(&first.model);
            }
        }
        if !live(life, seed, &mut input, &product) {
            continue;
        }
        let sold = |terms: &Terms| {
            let plan = product.plan(&terms.plan).unwrap();
            // How long a period is follows from the plan.
            let billed = match terms.interval {
                Unit::Month => Interval::Month,
                Unit::Year => Interval::Year,
            };
            plan.billed == billed && plan.models.iter().any(|model| model.word() == terms.model)
        };
        if input.subscription.history.iter().all(sold) {
            return (seed, input, product);
        }
    }
    panic!("no year of {which:?} can be lived through");
}

/// Whether the year has what `life` asks for, with a hand where that is only a date.
fn live(life: Life, seed: u64, input: &mut Input, product: &Product) -> bool {
    let of = &mut input.subscription;
    match life {
        Life::Plain => true,
        Life::Tried => {
            let begins = of.history[0].from;
            let days = BOUGHT[usize::try_from(seed).unwrap() % BOUGHT.len()];
            // Who never buys has tried it for nothing all the while.
            let last = input.periods.last().unwrap().to;
            of.trial_ends_at = Some(days.map_or(last, |days| begins + DAY * days));
            product.plan(&of.history[0].plan).unwrap().trial.is_some()
        }
        Life::Converted => {
            // A license is what is converted, so there is one from the beginning.
            let licensed = ["self_hosted", "air_gapped"].contains(&&*of.history[0].model);
            let last = of.history.last().unwrap().clone();
            let other = product.plan(&last.plan).unwrap().models.iter();
            let mut other = other.map(|model| model.word()).filter(|model| *model != last.model);
            let at = last.from + DAY * 45;
            if let Some(model) = other.next()
                && at < input.periods.last().unwrap().to
            {
                of.history.push(Terms { from: at, model: model.to_owned(), ..last });
            }
            // A license is only converted to what can be billed.
            let agreed = (0..of.contracts.len()).all(|index| is_known(input, product, index));
            let of = &input.subscription;
            licensed && agreed && of.history.windows(2).any(|pair| pair[0].model != pair[1].model)
        }
        Life::Late => of.end.is_some(),
    }
}

/// What a plan calls an item: an allocation is one of each charge on it.
fn charges(product: &Product, plan: &str, item: &Item) -> Vec<String> {
    let plan = product.plan(plan).unwrap();
    if product.allocation(&item.charge).is_some() {
        let on = |basis: &Basis| matches!(basis, Basis::Held { allocation, .. } if *allocation == item.charge);
        return plan
            .charges
            .iter()
            .filter(|one| on(&one.basis))
            .map(|one| one.id.clone())
            .collect();
    }
    let known = plan.charge(&item.charge).is_some()
        || product.extra(&item.charge).is_some_and(|extra| extra.fits(&plan.id));
    known.then(|| item.charge.clone()).into_iter().collect()
}

/// Whether a contract can be entered when the year begins: the first plan has all that it names.
fn is_known(input: &Input, product: &Product, contract: usize) -> bool {
    let of = &input.subscription;
    let plan = product.plan(&of.history[0].plan).unwrap();
    of.contracts[contract].prices.iter().all(|price| {
        product.charge(plan, &price.charge).is_some()
            || price
                .charge
                .strip_prefix("overage.")
                .is_some_and(|limit| plan.limit(limit).is_some())
    })
}

/// Everything that happens in the year, by time.
fn acts(input: &Input, product: &Product) -> Vec<(Timestamp, Act)> {
    let of = &input.subscription;
    let mut all: Vec<(Timestamp, Act)> = Vec::new();
    for (index, terms) in of.history.iter().enumerate() {
        let until = of.history.get(index + 1).map(|next| next.from);
        if let Some(before) = index.checked_sub(1).map(|before| &of.history[before]) {
            if before.zone != terms.zone {
                all.push((terms.from, Act::Zone(terms.zone.clone())));
            }
            if before.model != terms.model {
                let (plan, model) = (terms.plan.clone(), terms.model.clone());
                all.push((terms.from, Act::Convert { plan, model }));
            } else if before.plan != terms.plan {
                all.push((terms.from, Act::Move(terms.plan.clone())));
            }
        }
        for item in &of.items {
            let from = item.from.max(terms.from);
            // A service or an add-on is bought once; seats are those of each plan anew.
            if product.allocation(&item.charge).is_none() && item.from < terms.from {
                continue;
            }
            let to = [item.to, until].into_iter().flatten().min();
            if until.is_some_and(|until| until <= from) || item.to.is_some_and(|to| to <= from) {
                continue;
            }
            for charge in charges(product, &terms.plan, item) {
                let quantity = item.quantity.clone();
                all.push((from, Act::Hold { charge: charge.clone(), quantity }));
                // Nothing follows: it is given back.
                let goes_on = |other: &Item| other.charge == item.charge && Some(other.from) == to;
                if let Some(to) = to.filter(|to| Some(*to) != until)
                    && !of.items.iter().any(goes_on)
                {
                    all.push((to, Act::Hold { charge, quantity: "0".to_owned() }));
                }
            }
        }
    }
    all.extend(of.end.map(|end| (end, Act::End)));
    let last = input.periods.last().unwrap().to;
    all.extend(of.trial_ends_at.filter(|at| *at < last).map(|at| (at, Act::Buy)));
    let later = (0..of.contracts.len()).filter(|index| !is_known(input, product, *index));
    all.extend(later.map(|index| (of.contracts[index].from, Act::Agree(index))));
    // What would come after the end does not come.
    let over = |at: Timestamp| of.end.is_some_and(|end| end <= at);
    all.retain(|(at, act)| !over(*at) || matches!(act, Act::End | Act::Close(_)));
    all.extend(input.periods.iter().enumerate().map(|(n, period)| (period.to, Act::Close(n))));
    all.sort();
    all
}

struct Year {
    test: TestServer,
    /// Path of the subscription.
    subscription: String,
    tenant: String,
    key: String,
    /// Path of the license, where one is converted.
    license: Option<String>,
    contracts: Vec<naive::Contract>,
}

fn agreed(contract: &naive::Contract) -> Value {
    let discount = |one: &naive::AgreedDiscount| json!({ "name": "agreed", "percent": one.percent, "charges": one.charges });
    json!({ "reason": "agreed", "approver": "cfo", "valid_from": contract.from,
        "valid_to": contract.to, "changes": {
            "prices": contract.prices, "limits": contract.limits,
            "discounts": contract.discounts.iter().map(discount).collect::<Vec<_>>() } })
}

impl Year {
    /// The customer, as it was when the year began.
    async fn begin(life: Life, input: &Input, product: &Product) -> Self {
        let of = &input.subscription;
        let first = &of.history[0];
        let test = TestServer::with_product(&[&product.id]).await;
        test.advance_to(&first.from.to_string());
        let body = json!({ "name": "Acme", "slug": "acme", "time_zone": first.zone,
            "customer_class": first.customer_class });
        test.post(ADMIN, "/api/v1/admin/tenants", body).await.expect(201);
        let tenant = "/api/v1/admin/tenants/acme".to_owned();
        let held = of.items.iter().filter(|item| item.from <= first.from);
        let items: Vec<Value> = held
            .flat_map(|item| {
                charges(product, &first.plan, item)
                    .into_iter()
                    .map(|charge| (charge, &item.quantity))
            })
            .map(|(charge, quantity)| json!({ "charge": charge, "quantity": quantity }))
            .collect();
        let body = json!({ "product": product.id, "plan": first.plan, "model": first.model,
            "term_years": first.term_years, "prepaid": first.prepaid,
            "hard_stops": first.hard_stops, "items": items, "trial": life == Life::Tried });
        let made = test.post(ADMIN, &format!("{tenant}/subscriptions"), body).await.expect(201);
        let subscription = format!("{tenant}/subscriptions/{}", made["id"].as_str().unwrap());
        for index in (0..of.contracts.len()).filter(|index| is_known(input, product, *index)) {
            let body = agreed(&of.contracts[index]);
            test.post(ADMIN, &format!("{subscription}/contracts"), body).await.expect(201);
        }
        let body = json!({ "subscription": made["id"] });
        let key = test.post(ADMIN, &format!("{tenant}/keys"), body).await.expect(201);
        let key = key["api_key"].as_str().unwrap().to_owned();
        let mut license = None;
        if life == Life::Converted {
            let body = json!({ "subscription": made["id"] });
            let path = format!("{tenant}/licenses");
            let issued = test.post(ADMIN, &path, body).await.expect(201);
            license = Some(format!("{path}/{}", issued["license"]["id"].as_str().unwrap()));
        }
        Self { test, subscription, tenant, key, license, contracts: of.contracts.clone() }
    }

    async fn act(&self, act: &Act, waiting: &mut Vec<Value>) {
        let test = &self.test;
        match act {
            Act::Zone(zone) => {
                test.patch(ADMIN, &self.tenant, json!({ "time_zone": zone })).await.expect(200);
            }
            Act::Move(plan) => {
                let path = format!("{}/move", self.subscription);
                test.post(ADMIN, &path, json!({ "plan": plan })).await.expect(200);
            }
            Act::Convert { plan, model } => {
                let path = format!("{}/convert", self.license.as_ref().unwrap());
                let body = json!({ "plan": plan, "model": model });
                test.post(ADMIN, &path, body).await.expect(201);
            }
            Act::Agree(index) => {
                let body = agreed(&self.contracts[*index]);
                let path = format!("{}/contracts", self.subscription);
                test.post(ADMIN, &path, body).await.expect(201);
            }
            Act::Buy => {
                let path = format!("{}/activate", self.subscription);
                test.post(ADMIN, &path, json!({})).await.expect(200);
            }
            Act::Hold { charge, quantity } => {
                let body = json!({ "charge": charge, "quantity": quantity });
                test.put(ADMIN, &format!("{}/items", self.subscription), body).await.expect(200);
            }
            Act::End => {
                self.arrive(waiting).await;
                let path = format!("{}/cancel", self.subscription);
                test.post(ADMIN, &path, json!({})).await.expect(200);
            }
            Act::Close(_) => {
                self.arrive(waiting).await;
                let done = jobs::run_due(test.app()).await.unwrap();
                assert_eq!(done.failed, 0, "at {}", test.clock_now());
            }
        }
    }

    /// What happened until now arrives in batches; the rest goes on waiting.
    async fn arrive(&self, waiting: &mut Vec<Value>) {
        let now = self.test.clock_now();
        let happened =
            |event: &Value| event["time"].as_str().unwrap().parse::<Timestamp>().unwrap() < now;
        let (due, later): (Vec<Value>, Vec<Value>) = std::mem::take(waiting)
            .into_iter()
            .partition(|event| event["time"].is_null() || happened(event));
        *waiting = later;
        // What is to be taken back has to be there.
        let (voids, due): (Vec<Value>, Vec<Value>) =
            due.into_iter().partition(|event| event["type"] == "tenure.void");
        for batch in due.chunks(BATCH).chain(voids.chunks(BATCH)) {
            let receipt =
                self.test.post(&self.key, "/api/v1/usage", json!(batch)).await.expect(200);
            assert_eq!(receipt["rejected"], 0, "{receipt}");
        }
    }

    /// What is left arrives after the last invoice, and is settled with the month.
    async fn settle(&self, mut late: Vec<Value>) {
        let before = self.test.clock_now();
        self.arrive(&mut late).await;
        assert_eq!(late.len(), 0, "all of it is dated before the end");
        for hours in [2, 24 * 35] {
            self.test.advance_to(&(before + SignedDuration::from_hours(hours)).to_string());
            assert_eq!(jobs::run_due(self.test.app()).await.unwrap().failed, 0);
        }
    }

    /// Every invoice, by the number of its period.
    async fn invoices(&self) -> BTreeMap<usize, Value> {
        let path = "/api/v1/admin/invoices?tenant=acme&limit=200";
        let page = self.test.get(ADMIN, path).await.expect(200);
        let mut all = BTreeMap::new();
        for summary in page["items"].as_array().unwrap() {
            let path = format!("{}/invoices/{}", self.tenant, summary["id"].as_str().unwrap());
            let whole = self.test.get(ADMIN, &path).await.expect(200);
            all.insert(usize::try_from(summary["period"].as_i64().unwrap()).unwrap(), whole);
        }
        all
    }

    /// From a line to its events, and back to what it states.
    async fn explain(&self, invoice: &Value) -> u64 {
        let mut found = 0;
        for line in invoice["lines"].as_array().unwrap() {
            let path = format!(
                "{}/invoices/{}/lines/{}?limit=1000",
                self.tenant,
                invoice["id"].as_str().unwrap(),
                line["line"]
            );
            let mut page = self.test.get(ADMIN, &path).await.expect(200);
            assert_eq!(page["agrees"], true, "{page}");
            loop {
                let usage = &page["usage"];
                found += usage["events"].as_array().map_or(0, Vec::len) as u64;
                let Some(next) = usage["next_cursor"].as_str() else { break };
                page = self.test.get(ADMIN, &format!("{path}&cursor={next}")).await.expect(200);
            }
        }
        found
    }
}

/// The year's events as producers send them, and the removals of what was sent before.
fn events(input: &Input) -> Vec<Value> {
    let mut times = BTreeMap::new();
    let mut all = Vec::new();
    for event in &input.events {
        assert_eq!(event.times, 1, "every event is sent");
        times.insert((&event.source, &event.id), event.time);
        all.push(json!({ "specversion": "1.0", "id": event.id, "source": event.source,
            "type": event.kind, "time": event.time, "data": event.data }));
    }
    for void in &input.voids {
        // It is taken back when it happened, so that it never stands on an invoice.
        let time = times[&(&void.source, &void.id)];
        all.push(json!({ "specversion": "1.0", "id": format!("void-{}", void.id),
            "source": "/operator", "type": "tenure.void", "time": time,
            "data": { "source": void.source, "id": void.id } }));
    }
    all
}

/// What arrives in time, and what after the end: some events, what takes them back, and what
/// takes others back.
fn held_back(life: Life, events: Vec<Value>) -> (Vec<Value>, Vec<Value>) {
    if life != Life::Late {
        return (events, Vec::new());
    }
    let mut late = BTreeSet::new();
    let is_late = |(n, event): &(usize, Value)| {
        let name = |of: &Value| (of["source"].to_string(), of["id"].to_string());
        match event["type"] == "tenure.void" {
            true => n % 2 == 0 || late.contains(&name(&event["data"])),
            false => {
                // One that is sent twice is held back twice.
                let held = late.contains(&name(event)) || n % 9 == 0;
                if held {
                    late.insert(name(event));
                }
                held
            }
        }
    };
    let (late, due): (Vec<_>, Vec<_>) = events.into_iter().enumerate().partition(is_late);
    let plain = |all: Vec<(usize, Value)>| all.into_iter().map(|(_, event)| event).collect();
    (plain(due), plain(late))
}

/// Amounts by charge, in minor units, and of how many lines; nothing is as good as no line.
fn by_charge(lines: impl Iterator<Item = (String, i64)>) -> BTreeMap<String, (i64, i64)> {
    let mut all = BTreeMap::new();
    for (charge, amount) in lines {
        let (sum, count) = all.entry(charge).or_insert((0, 0));
        *sum += amount;
        *count += 1;
    }
    all
}

fn cents(money: &Value) -> i64 {
    money["amount"].as_str().unwrap().replace('.', "").parse().unwrap()
}

/// As many years as `TENURE_HTTP_YEARS` asks for; one when it does not.
#[allow(clippy::disallowed_methods, reason = "whoever runs the test may ask for more years")]
async fn years_of(which: Which, life: Life) {
    let asked = std::env::var("TENURE_HTTP_YEARS").ok().and_then(|text| text.parse().ok());
    let mut from = 0;
    for _ in 0..asked.unwrap_or(1) {
        let (seed, input, product) = lived(which, life, from);
        a_year_of((which, life, seed), &input, &product).await;
        from = seed + 1;
    }
}

async fn a_year_of((which, life, seed): (Which, Life, u64), input: &Input, product: &Product) {
    let expected = naive::rate_all(input).unwrap();
    let year = Year::begin(life, input, product).await;
    let (mut waiting, late) = held_back(life, events(input));
    for (at, act) in acts(input, product) {
        if at > year.test.clock_now() {
            year.test.advance_to(&at.to_string());
        }
        // What was held from the beginning is held already.
        let begun = at <= input.subscription.history[0].from;
        if !begun {
            year.act(&act, &mut waiting).await;
        }
    }
    let last = input.periods.last().unwrap().to + SignedDuration::from_hours(48);
    year.test.advance_to(&last.to_string());
    jobs::run_due(year.test.app()).await.unwrap();
    if life == Life::Late {
        assert!(year.invoices().await.len() <= input.periods.len());
        year.settle(late).await;
        assert!(year.invoices().await.len() > 1);
    }

    let invoices = year.invoices().await;
    let mut explained = 0;
    for (n, their) in expected.iter().enumerate() {
        let all = |one: &Value| one["lines"].as_array().unwrap().clone();
        let mut lines = invoices.get(&n).map_or_else(Vec::new, all);
        // What was settled belongs to the period that it corrects.
        let settled = invoices.range(expected.len()..).flat_map(|(_, one)| all(one));
        lines.extend(settled.filter(|line| line["period"] == n));
        let ours = by_charge(
            lines
                .iter()
                .map(|line| (line["charge"].as_str().unwrap().to_owned(), cents(&line["amount"]))),
        );
        let theirs = by_charge(their.lines.iter().map(|line| (line.charge.clone(), line.amount)));
        for charge in ours.keys().chain(theirs.keys()) {
            let (our, lines_of) = ours.get(charge).copied().unwrap_or_default();
            let (their_sum, _) = theirs.get(charge).copied().unwrap_or_default();
            // Each of our lines is rounded once, the re-rater's one line is too.
            assert!(
                (our - their_sum).abs() <= (lines_of - 1).max(0),
                "{which:?} {life:?} seed {seed} period {n} {:?}, {charge}: {our} against {their_sum}\n{}\n{}",
                input.periods[n],
                lines
                    .iter()
                    .map(|l| format!("  {} {}", l["charge"], l["arithmetic"]))
                    .collect::<Vec<_>>()
                    .join("\n"),
                their
                    .parts
                    .iter()
                    .map(|p| format!("  {}: {}", p.line, p.why))
                    .collect::<Vec<_>>()
                    .join("\n"),
            );
        }
    }
    for invoice in invoices.values() {
        // One of nothing is paid as it is issued.
        let status = invoice["status"].as_str().unwrap();
        assert!(["issued", "paid"].contains(&status), "{which:?} seed {seed}: {invoice}");
        explained += year.explain(invoice).await;
    }
    let metered = invoices.values().flat_map(|one| one["lines"].as_array().unwrap());
    let counted: i64 = metered.map(|line| line["events"].as_i64().unwrap()).sum();
    assert!(counted == 0 || explained > 0, "{counted} events are billed, none is shown");
    // The archive of one invoice is enough for somebody without this database.
    if let Some(invoice) =
        invoices.values().max_by_key(|one| one["lines"].as_array().unwrap().len())
    {
        let path = format!("{}/invoices/{}/evidence", year.tenant, invoice["id"].as_str().unwrap());
        let request = year.test.request(Method::GET, ADMIN, &path);
        let archive = request.send().await.unwrap().bytes().await.unwrap();
        let report = tenure_evidence::verify(&*archive).unwrap();
        assert!(report.agrees(), "{report:?}");
    }
}

#[tokio::test]
async fn a_year_of_agent_governance_ends_in_invoices_that_the_naive_re_rater_confirms() {
    years_of(Which::AgentGovernance, Life::Plain).await;
}

#[tokio::test]
async fn a_year_of_dyocense_ends_in_invoices_that_the_naive_re_rater_confirms() {
    years_of(Which::Dyocense, Life::Plain).await;
}

#[tokio::test]
async fn a_year_of_incidentfox_ends_in_invoices_that_the_naive_re_rater_confirms() {
    years_of(Which::Incidentfox, Life::Plain).await;
}

#[tokio::test]
async fn a_year_of_kg_rca_ends_in_invoices_that_the_naive_re_rater_confirms() {
    years_of(Which::KgRca, Life::Plain).await;
}

#[tokio::test]
async fn a_year_of_meeting_minutes_ends_in_invoices_that_the_naive_re_rater_confirms() {
    years_of(Which::MeetingMinutes, Life::Plain).await;
}

#[tokio::test]
async fn a_year_that_begins_with_a_trial_is_free_until_it_is_bought() {
    years_of(Which::MeetingMinutes, Life::Tried).await;
}

#[tokio::test]
async fn a_year_with_another_deployment_model_is_confirmed() {
    years_of(Which::AgentGovernance, Life::Converted).await;
    years_of(Which::MeetingMinutes, Life::Converted).await;
}

#[tokio::test]
async fn what_comes_after_the_end_of_a_year_is_settled_to_the_cent() {
    years_of(Which::KgRca, Life::Late).await;
    years_of(Which::AgentGovernance, Life::Late).await;
}
