//! The customers' software reports what it did: several customers at once, in batches, each event
//! once however often a start was interrupted.

use std::{io::IsTerminal, sync::Arc};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use serde_json::Value;
use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    calendar,
    customers::{CUSTOMERS, Customer},
    state::State,
    traffic::{HOUR, Month},
};
use crate::{
    client::Client,
    commands,
    error::{Error, Result},
    output,
};

/// Events a request.
const BATCH_EVENTS: usize = 1_000;
/// Customers that send at once.
const SENDERS: usize = 4;

/// Sends every customer's usage that has not been sent, with its progress where there is much.
/// Returns how many events.
pub(crate) async fn usage(client: &Client, state: &mut State, month: &Month) -> Result<u64> {
    let bar = progress(if month.hours > 0 { left(state, month)? } else { 0 });
    let sent = send_all(client, state, month, &bar).await;
    bar.finish_and_clear();
    sent
}

/// How many events have not been sent.
fn left(state: &State, month: &Month) -> Result<u64> {
    let mut total = 0;
    for customer in CUSTOMERS.iter().filter(|one| state.keys.contains_key(one.slug)) {
        let first = unsent(state, customer)?;
        total += month.count(customer, first);
    }
    Ok(total)
}

fn progress(total: u64) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() && total > 0 {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template(
        "  usage      {bar:40} {human_pos}/{human_len} events, {eta} left",
    );
    let bar = ProgressBar::with_draw_target(Some(total), target);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

async fn send_all(
    client: &Client,
    state: &mut State,
    month: &Month,
    bar: &ProgressBar,
) -> Result<u64> {
    let month = Arc::new(month.clone());
    let places = Arc::new(Semaphore::new(SENDERS));
    let mut senders = JoinSet::new();
    for customer in &CUSTOMERS {
        let Some(key) = state.keys.get(customer.slug) else { continue };
        let first = unsent(state, customer)?;
        let (client, customer) = (client.with_token(key), *customer);
        let (month, places, bar) = (month.clone(), places.clone(), bar.clone());
        senders.spawn(async move {
            let _place = places.acquire().await;
            let sent = send(&client, &month, &customer, first, &bar).await;
            (customer, sent, first)
        });
    }
    let mut total = 0;
    while let Some(done) = senders.join_next().await {
        let (customer, sent, first) = done?;
        total += sent?;
        // A customer that came within this hour has its first whole hour still before it.
        state.sent_hours.insert(customer.slug.to_owned(), first.max(month.hours));
        state.save()?;
    }
    Ok(total)
}

/// The first hour of which nothing was sent.
fn unsent(state: &State, customer: &Customer) -> Result<i64> {
    let sent = state.sent_hours.get(customer.slug).copied();
    sent.map_or_else(|| first_hour(customer, state.began), Ok)
}

/// The first whole hour of a customer's subscription, counted from the beginning of the month.
fn first_hour(customer: &Customer, began: Timestamp) -> Result<i64> {
    let since = calendar::joined(customer, began)?.as_second() - Month::begin(began).as_second();
    Ok(since.div_euclid(HOUR) + i64::from(since.rem_euclid(HOUR) > 0))
}

async fn send(
    client: &Client,
    month: &Month,
    customer: &Customer,
    first: i64,
    bar: &ProgressBar,
) -> Result<u64> {
    let mut batch = Vec::with_capacity(BATCH_EVENTS);
    let mut sent = 0;
    for hour in first..month.hours {
        batch.extend(month.events(customer, hour));
        let last = hour + 1 == month.hours;
        while batch.len() >= BATCH_EVENTS || (last && !batch.is_empty()) {
            let rest = batch.split_off(batch.len().min(BATCH_EVENTS));
            let receipt = commands::send_usage(client, &batch).await?;
            if let Some(wrong) = refused(&receipt) {
                return Err(Error::new(format!("{}: {wrong}", customer.name)));
            }
            sent += batch.len() as u64;
            bar.inc(batch.len() as u64);
            batch = rest;
        }
    }
    Ok(sent)
}

fn refused(receipt: &Value) -> Option<String> {
    let results = receipt["results"].as_array()?;
    let wrong = |one: &&Value| one["outcome"] == "rejected" || one["outcome"] == "conflict";
    results.iter().find(wrong).map(|one| output::text(&one["detail"]))
}
