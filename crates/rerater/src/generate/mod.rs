//! Believable years: a subscription's history and its usage, from a seed. The same seed gives the same
//! year on every machine. It owns what is plausible; what it costs is worked out elsewhere.

mod profile;
mod random;
mod usage;

use jiff::civil::{DateTime, date};
use jiff::{SignedDuration, Timestamp};

use crate::input::{
    AgreedDiscount, AgreedLimit, AgreedPrice, Contract, Event, Input, Item, Span, Subscription,
    Terms, Unit,
};
use crate::{Error, Result, calendar};
use profile::{PlanChoice, Profile};
use random::Random;

/// The five products under `products/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Which {
    /// SPEC 000.
    AgentGovernance,
    /// SPEC 002.
    Dyocense,
    /// SPEC 004.
    Incidentfox,
    /// SPEC 003.
    KgRca,
    /// SPEC 001.
    MeetingMinutes,
}

impl Which {
    /// All five.
    pub const ALL: [Which; 5] = [
        Which::AgentGovernance,
        Which::Dyocense,
        Which::Incidentfox,
        Which::KgRca,
        Which::MeetingMinutes,
    ];
}

/// How much usage a year has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// A few thousand single events; contracts make the limits small, so that they are passed. For
    /// tests that send every event.
    Small,
    /// As much as the price lists speak of; an entry of the list stands for many events.
    Real,
}

/// The most entries of usage that a year has.
pub const EVENTS_MAX: usize = 20_000;

/// Zones with whole, half and quarter hours, with and without daylight saving, on both halves of
/// the earth.
pub const ZONES: [&str; 12] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Australia/Adelaide",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "America/Santiago",
    "Africa/Casablanca",
];

/// A plan for as long as it is held.
pub(crate) struct Stay<'a> {
    pub(crate) plan: &'a PlanChoice,
    pub(crate) span: Span,
}

/// A year of a customer of a product.
///
/// # Errors
/// None is known; the calendar's are passed on.
pub fn year(which: Which, scale: Scale, seed: u64) -> Result<Input> {
    let profile = profile::of(which);
    let random = &mut Random::new(seed, which as u64 + 1);
    let zone_name = (*random.pick(&ZONES)).to_owned();
    let zone = calendar::zone(&zone_name)?;
    let anchor = start(random, &zone)?;
    let first = random.pick(profile.plans);
    let trial = profile.trial_days.filter(|_| random.one_in(3));
    let begins = anchor - SignedDuration::from_hours(24 * trial.unwrap_or(0));
    // Now and then somebody leaves in the middle of a month.
    let end = random.one_in(6).then(|| moment(random, anchor, 100, 350));
    let count = if first.interval == Unit::Month { 12 } else { 1 };
    let mut periods = calendar::periods(anchor, &zone_name, first.interval, count, end)?;
    if trial.is_some() {
        periods.insert(0, Span { from: begins, to: anchor });
    }
    let until = periods.last().map_or(anchor, |p| p.to);
    let stays = stays(random, profile, first, Span { from: begins, to: until });
    let (events, voids) = usage::events(random, profile, &stays, &zone, &periods, scale);
    let subscription = Subscription {
        anchor,
        anchor_zone: None,
        end,
        trial_ends_at: trial.map(|_| anchor),
        history: history(random, &stays, &zone_name),
        items: items(random, profile, &stays),
        contracts: contracts(random, profile, &stays, scale),
    };
    let product_files = vec![profile.file.to_owned()];
    Ok(Input { product_files, subscription, periods, events, voids, as_of: None })
}

/// An anchor on the 28th to the 31st, at midnight or at some other time of the customer's day.
fn start(random: &mut Random, zone: &jiff::tz::TimeZone) -> Result<Timestamp> {
    // From the end of August 2027 on, the year has a 29th of February.
    let month = *random.pick(&[(2026, 12), (2027, 1), (2027, 3), (2027, 8), (2027, 10)]);
    let day = i8::try_from(random.between(28, 31)).map_err(|_| Error::OutOfTime)?;
    let midnight = date(month.0, month.1, day).at(0, 0, 0, 0);
    let local: DateTime =
        if random.one_in(3) { midnight.date().at(13, 37, 5, 250_000) } else { midnight };
    let zoned = local.to_zoned(zone.clone()).map_err(|_| Error::OutOfTime)?;
    Ok(zoned.timestamp())
}

/// A moment some days after another, on a second.
fn moment(random: &mut Random, after: Timestamp, low_days: u64, high_days: u64) -> Timestamp {
    let seconds = random.between(low_days * 86_400, high_days * 86_400);
    after + SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(0))
}

/// The plans of the year, one after the other. Only plans with the same invoice interval follow each
/// other: how an invoice period becomes another one is not the generator's to decide.
fn stays<'a>(
    random: &mut Random,
    profile: &'a Profile,
    first: &'a PlanChoice,
    span: Span,
) -> Vec<Stay<'a>> {
    let others: Vec<&PlanChoice> =
        profile.plans.iter().filter(|p| p.interval == first.interval).collect();
    let mut stays = vec![Stay { plan: first, span }];
    for _ in 0..random.between(0, 2) {
        let last = stays.last().map_or(span.from, |s| s.span.from);
        let at = moment(random, last, 40, 160);
        let next = *random.pick(&others);
        let held = stays.last().is_some_and(|s| s.plan.id == next.id);
        if at >= span.to || held {
            continue;
        }
        if let Some(last) = stays.last_mut() {
            last.span.to = at;
        }
        stays.push(Stay { plan: next, span: Span { from: at, to: span.to } });
    }
    stays
}

/// The terms of each stay. Now and then a customer asks to be blocked, or moves to another zone.
fn history(random: &mut Random, stays: &[Stay<'_>], zone: &str) -> Vec<Terms> {
    let term_years = *random.pick(&[1, 1, 1, 2, 3]);
    let class = random.pick(&[None, None, None, Some("nonprofit"), Some("education")]);
    let customer_number = random.pick(&[None, Some(3), Some(10), Some(11)]);
    let stops = random.one_in(8);
    let mut history = Vec::new();
    let mut zone = zone.to_owned();
    for stay in stays {
        let limits = stay.plan.limits.iter().map(|(meter, ..)| (*meter).to_owned());
        let terms = Terms {
            from: stay.span.from,
            product_file: 0,
            plan: stay.plan.id.to_owned(),
            model: stay.plan.model.to_owned(),
            zone: zone.clone(),
            interval: stay.plan.interval,
            prepaid: stay.plan.prepaid,
            term_years,
            customer_class: class.map(str::to_owned),
            customer_number: *customer_number,
            hard_stops: if stops { limits.collect() } else { Vec::new() },
        };
        history.push(terms.clone());
        let moves = moment(random, stay.span.from, 20, 200);
        if random.one_in(10) && moves < stay.span.to {
            (*random.pick(&ZONES)).clone_into(&mut zone);
            history.push(Terms { from: moves, zone: zone.clone(), ..terms });
        }
    }
    history
}

/// Seats that come and go, add-ons and services.
fn items(random: &mut Random, profile: &Profile, stays: &[Stay<'_>]) -> Vec<Item> {
    let mut items = Vec::new();
    let (Some(first), Some(last)) = (stays.first(), stays.last()) else { return items };
    if let Some(allocation) = profile.allocation {
        let mut from = first.span.from;
        let mut number = random.between(1, 60);
        for _ in 0..random.between(0, 6) {
            let to = moment(random, from, 1, 70);
            if to >= last.span.to {
                break;
            }
            items.push(item(allocation, number, from, Some(to)));
            from = to;
            number = random.between(number.saturating_sub(10).max(1), number + 15);
        }
        items.push(item(allocation, number, from, None));
    }
    for beside in profile.beside {
        for stay in stays {
            let sold = beside.plans.is_empty() || beside.plans.contains(&stay.plan.id);
            let from = moment(random, stay.span.from, 0, 90);
            if !sold || !random.one_in(3) || from >= stay.span.to {
                continue;
            }
            // What is sold with one plan ends with it; a service is a single order.
            let to = if beside.once { None } else { Some(stay.span.to) };
            items.push(item(beside.id, random.between(1, beside.most), from, to));
        }
    }
    items
}

fn item(charge: &str, quantity: u64, from: Timestamp, to: Option<Timestamp>) -> Item {
    Item { charge: charge.to_owned(), quantity: quantity.to_string(), from, to }
}

/// What has to be agreed, what a small year needs, and now and then a reduction.
fn contracts(
    random: &mut Random,
    profile: &Profile,
    stays: &[Stay<'_>],
    scale: Scale,
) -> Vec<Contract> {
    let mut contracts = Vec::new();
    for (index, stay) in stays.iter().enumerate() {
        // The last one goes on: a month of usage that runs past the year is not cut by it.
        let to = (index + 1 < stays.len()).then_some(stay.span.to);
        let mut prices = Vec::new();
        for (line, low, high, every) in stay.plan.agreed {
            prices.push(agreed(random, line, *low, *high, *every));
        }
        for beside in profile.beside.iter().filter(|b| b.plans.contains(&stay.plan.id)) {
            if let Some((low, high)) = beside.agreed {
                prices.push(agreed(random, beside.id, low, high, None));
            }
        }
        let small = stay.plan.limits.iter().filter(|_| scale == Scale::Small);
        let limits: Vec<AgreedLimit> = small
            .map(|(meter, _, small)| AgreedLimit {
                limit: (*meter).to_owned(),
                included: Some(small.to_string()),
            })
            .collect();
        let discounts: Vec<AgreedDiscount> = if random.one_in(6) {
            let percent = (*random.pick(&["5", "12.5", "33.3"])).to_owned();
            vec![AgreedDiscount { percent, charges: Vec::new() }]
        } else {
            Vec::new()
        };
        if prices.is_empty() && limits.is_empty() && discounts.is_empty() {
            continue;
        }
        contracts.push(Contract { from: stay.span.from, to, prices, limits, discounts });
    }
    contracts
}

fn agreed(
    random: &mut Random,
    line: &str,
    low: u64,
    high: u64,
    every: Option<Unit>,
) -> AgreedPrice {
    let cents = random.between(low, high);
    let amount = format!("{}.{:02}", cents / 100, cents % 100);
    AgreedPrice { charge: line.to_owned(), amount, every }
}

/// The events one by one: an entry that stands for many becomes so many, with ids of their own. For
/// those who cannot count a list of numbers, such as a server.
pub fn one_by_one(events: &[Event]) -> Vec<Event> {
    let mut single = Vec::new();
    for event in events {
        for n in 0..event.times {
            let id = if event.times == 1 { event.id.clone() } else { format!("{}#{n}", event.id) };
            single.push(Event { id, times: 1, ..event.clone() });
        }
    }
    single
}
