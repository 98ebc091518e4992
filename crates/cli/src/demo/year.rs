//! The demonstration lives through its year: from morning to morning the clock goes on, customers
//! come and change their minds, their usage arrives, periods end, invoices are issued and paid.
//! Then the clock comes to the present and stays there.
//!
//! A morning that was interrupted is lived through again: each thing done on it is safe to repeat.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde_json::json;
use tenure_core::Clock;

use super::{
    billing,
    calendar::{self, Stop},
    customers::{CUSTOMERS, Customer},
    sending,
    state::State,
    step, steps,
    traffic::{self, Month},
};
use crate::{
    client::Client,
    commands,
    error::{Error, Result},
    output,
};

/// When usage arrives whose month is invoiced already, in days before the first start.
const LATE_COMES_DAYS: i64 = 50;
/// Who gets a part of its newest invoice back, when (in days before the first start) and why.
const CREDITS: [Credit; 2] = [
    Credit {
        slug: "northwind-traders",
        days: 160,
        amount: "12.50",
        reason: "Queries that timed out on two days",
    },
    Credit {
        slug: "open-harvest",
        days: 8,
        amount: "20.00",
        reason: "Two days of slow transcription",
    },
];

/// A part of an invoice that is given back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Credit {
    pub(crate) slug: &'static str,
    days: i64,
    pub(crate) amount: &'static str,
    pub(crate) reason: &'static str,
}

/// What a month was.
#[derive(Debug, Default)]
struct Told {
    events: u64,
    issued: usize,
    paid: usize,
}

/// The time from one morning to the next.
#[derive(Debug, Clone, Copy)]
struct Span {
    after: Option<Timestamp>,
    to: Timestamp,
}

impl Span {
    fn holds(self, at: Timestamp) -> bool {
        at <= self.to && self.after.is_none_or(|after| at > after)
    }

    /// Whether the day so long before the first start is in it.
    fn holds_day(self, state: &State, days: i64) -> bool {
        self.holds(state.began - SignedDuration::from_hours(24 * days))
    }
}

/// Lives through what is left of the year, month by month on the screen.
pub(crate) async fn live(client: &Client, state: &mut State) -> Result {
    let stops = calendar::stops(state.began)?;
    let mut told = Told::default();
    for (index, stop) in stops.iter().enumerate() {
        if state.lived.is_some_and(|lived| stop.at <= lived) {
            continue;
        }
        live_morning(client, state, *stop, &mut told).await?;
        state.lived = Some(stop.at);
        state.save()?;
        let next = stops.get(index + 1).map(|next| name(next.at));
        if next.as_ref() != Some(&name(stop.at)) {
            tell(stop.at, &std::mem::take(&mut told));
        }
    }
    if !state.arrived {
        let real = tenure_core::SystemClock.now();
        move_clock(client, real).await?;
        state.arrived = true;
        state.save()?;
    }
    Ok(())
}

fn name(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%b %Y").to_string()
}

fn tell(at: Timestamp, told: &Told) {
    let events = output::grouped(told.events);
    let (issued, paid) = (told.issued, told.paid);
    step(&name(at), &format!("{events:>7} events, {issued} invoices to pay, {paid} paid"));
}

/// The clock goes on to a moment, if it is not there yet.
async fn move_clock(client: &Client, to: Timestamp) -> Result {
    let clock = client.get(&["clock"]).await?;
    let now = clock["now"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    if now.is_none_or(|now| now < to) {
        client.post(&["clock"], &json!({ "now": to })).await?;
    }
    Ok(())
}

async fn live_morning(client: &Client, state: &mut State, stop: Stop, told: &mut Told) -> Result {
    move_clock(client, stop.at).await?;
    let span = Span { after: state.lived, to: stop.at };
    come(client, state, span).await?;
    send_late(client, state, span).await?;
    if stop.news {
        told.events += sending::usage(client, state, &Month::until(state, stop.at)).await?;
    }
    billing::close(client).await?;
    let (issued, paid) = billing::pay(client, state.began, stop.at).await?;
    told.issued += issued;
    told.paid += paid;
    for credit in CREDITS.iter().filter(|credit| span.holds_day(state, credit.days)) {
        billing::credit(client, credit).await?;
    }
    Ok(())
}

/// Who comes, and who takes another plan or more seats.
async fn come(client: &Client, state: &mut State, span: Span) -> Result {
    for customer in &CUSTOMERS {
        let joined = calendar::joined(customer, state.began)?;
        if span.holds(joined) {
            steps::join(client, state, customer).await.map_err(|error| named(customer, &error))?;
            if customer.model == "byoi" {
                steps::resources(client, customer).await?;
            }
            step("customer", &described(customer));
        }
        if let Some(before) = customer.before.filter(|had| span.holds_day(state, had.days)) {
            steps::change(client, customer).await.map_err(|error| named(customer, &error))?;
            let (from, to) = (before.plan, customer.plan);
            let what = if from == to { "more seats".to_owned() } else { format!("{from} to {to}") };
            step("change", &format!("{:<28} {what}", customer.name));
        }
    }
    Ok(())
}

fn named(customer: &Customer, error: &Error) -> Error {
    Error::new(format!("{}: {error}", customer.name))
}

fn described(customer: &Customer) -> String {
    let note = match (customer.months, customer.suspended, customer.deal.is_some()) {
        (0, ..) => " (trial)",
        (_, true, _) => " (suspended later)",
        (.., true) => " (contract)",
        _ => "",
    };
    let plan = customer.before.map_or(customer.plan, |had| had.plan);
    let bought = format!("{} {plan}", customer.product);
    format!("{:<28} {bought:<38} {}{note}", customer.name, customer.model.replace('_', "-"))
}

/// What customers had held back of a month that is invoiced.
async fn send_late(client: &Client, state: &State, span: Span) -> Result {
    if !span.holds_day(state, LATE_COMES_DAYS) {
        return Ok(());
    }
    for customer in &CUSTOMERS {
        if let (Some(late), Some(key)) = (customer.late, state.keys.get(customer.slug)) {
            let events = traffic::late(customer, late, state.began);
            commands::send_usage(&client.with_token(key), &events).await?;
        }
    }
    Ok(())
}
