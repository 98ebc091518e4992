//! What a demonstration does, each step safe to repeat.

use std::{path::Path, process::Stdio, sync::Arc};

use indicatif::ProgressBar;
use jiff::{SignedDuration, Span, Timestamp, tz::TimeZone};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{process::Command, sync::Semaphore, task::JoinSet};

use super::{customers::Customer, state::State, traffic::Month};
use crate::{
    client::Client,
    commands,
    error::{Error, Result},
    output,
};

/// Days of usage before the first start.
pub(crate) const DAYS: i64 = 30;
/// Days before those of which only small flows are sent, so that invoices have usage. Two months
/// and the running one are never shorter than both together.
const HISTORY_DAYS: i64 = 58;
/// Months that are invoiced.
const BILLED_MONTHS: i64 = 3;
/// For how many days a trial has been running.
const TRIAL_DAYS: i64 = 5;
/// Events a request.
const BATCH_EVENTS: usize = 1_000;
/// Months a year.
const MONTHS_A_YEAR: i64 = 12;
/// Customers that send at once.
const SENDERS: usize = 4;

/// When a customer's subscription began: at the start of a month, so that the
/// billing period and the month that limits count in are one; or, in a trial, lately.
fn began(customer: &Customer, now: Timestamp) -> Result<Timestamp> {
    let zone = TimeZone::get(customer.zone).unwrap_or(TimeZone::UTC);
    if customer.months == 0 {
        let day = (now - SignedDuration::from_hours(24 * TRIAL_DAYS)).to_zoned(zone);
        return Ok(day.start_of_day()?.timestamp());
    }
    if customer.ends_today {
        return ends_today(customer, now, zone);
    }
    // One month more than stated: usage is sent from before the present month.
    let month = now.to_zoned(zone).first_of_month()?;
    let first = month.checked_sub(Span::new().months(customer.months + 1))?;
    Ok(first.start_of_day()?.timestamp())
}

/// Months ago on this day of the month, so that a billing period ends this morning.
fn ends_today(customer: &Customer, now: Timestamp, zone: TimeZone) -> Result<Timestamp> {
    let today = now.to_zoned(zone);
    // Not every month has a 31st.
    for months in customer.months..=customer.months + MONTHS_A_YEAR {
        let then = today.checked_sub(Span::new().months(months))?;
        if then.day() == today.day() {
            return Ok(then.start_of_day()?.timestamp());
        }
    }
    let then = today.checked_sub(Span::new().months(customer.months))?;
    Ok(then.start_of_day()?.timestamp())
}

/// From when on it is billed: the months before are closed in the demonstration.
fn billed_from(start: Timestamp, now: Timestamp) -> Result<Timestamp> {
    let first = now.to_zoned(TimeZone::UTC).checked_sub(Span::new().months(BILLED_MONTHS))?;
    Ok(start.max(first.timestamp()))
}

/// A customer with everything that it has. Returns its subscription.
pub(crate) async fn customer(
    client: &Client,
    state: &mut State,
    customer: &Customer,
) -> Result<Value> {
    tenant(client, customer).await?;
    units(client, customer).await?;
    let subscription = subscription(client, state, customer).await?;
    if let Some(id) = subscription["id"].as_str() {
        contract(client, customer, id, &subscription["anchor"]).await?;
        if !customer.flows.is_empty() && !state.keys.contains_key(customer.slug) {
            let body = json!({ "subscription": id, "name": "demonstration" });
            let made = client.post(&["tenants", customer.slug, "keys"], &body).await?;
            state.keys.insert(customer.slug.to_owned(), output::text_at(&made, "/api_key"));
            state.save()?;
        }
        if customer.suspended && subscription["status"] != "suspended" {
            client.act(&["tenants", customer.slug, "subscriptions", id, "suspend"]).await?;
        }
    }
    Ok(subscription)
}

async fn tenant(client: &Client, customer: &Customer) -> Result {
    match client.get(&["tenants", customer.slug]).await {
        Ok(_) => return Ok(()),
        Err(error) if error.status == Some(404) => {}
        Err(error) => return Err(error),
    }
    let body = json!({
        "name": customer.name, "slug": customer.slug, "time_zone": customer.zone,
        "customer_class": customer.class,
        "contact_email": format!("it@{}.example", customer.slug),
    });
    client.post_once(&["tenants"], &key("tenant", customer), &body).await.map(drop)
}

/// Names a step, so that sending it again does nothing.
fn key(step: &str, customer: &Customer) -> String {
    format!("demo-{step}-{}", customer.slug)
}

async fn units(client: &Client, customer: &Customer) -> Result {
    let path = ["tenants", customer.slug, "units"];
    let known = client.get(&path).await?;
    let known: Vec<&str> = known["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one["name"].as_str())
        .collect();
    for (unit, teams) in customer.units {
        if known.contains(unit) {
            continue;
        }
        let made = client.post(&path, &json!({ "kind": "business_unit", "name": unit })).await?;
        for team in *teams {
            let body = json!({ "kind": "team", "name": team, "parent_id": made["id"] });
            client.post(&path, &body).await?;
        }
    }
    Ok(())
}

async fn subscription(client: &Client, state: &State, customer: &Customer) -> Result<Value> {
    let path = ["tenants", customer.slug, "subscriptions"];
    let known = client.get(&path).await?;
    if let Some(first) = known["items"].as_array().and_then(|items| items.first()) {
        return Ok(first.clone());
    }
    let item =
        |(charge, quantity): &(&str, &str)| json!({ "charge": charge, "quantity": quantity });
    let starts_at = began(customer, state.began)?;
    let body = json!({
        "product": customer.product, "plan": customer.plan, "model": customer.model,
        "trial": customer.months == 0, "starts_at": starts_at,
        "billed_from": billed_from(starts_at, state.began)?,
        "items": customer.items.iter().map(item).collect::<Vec<_>>(),
    });
    client.post_once(&path, &key("subscription", customer), &body).await
}

async fn contract(client: &Client, customer: &Customer, id: &str, from: &Value) -> Result {
    let Some(deal) = customer.deal else { return Ok(()) };
    let path = ["tenants", customer.slug, "subscriptions", id, "contracts"];
    let known = client.get(&path).await?;
    if known["items"].as_array().is_some_and(|items| !items.is_empty()) {
        return Ok(());
    }
    let limits =
        deal.limit.map(|(limit, included)| json!({ "limit": limit, "included": included }));
    let body = json!({
        "reason": deal.reason, "approver": "cfo@vendor.example", "valid_from": from,
        "changes": {
            "prices": [{ "charge": "base", "amount": deal.amount, "every": deal.every }],
            "limits": limits.into_iter().collect::<Vec<_>>(),
        },
    });
    client.post_once(&path, &key("contract", customer), &body).await.map(drop)
}

/// Records what a customer's own infrastructure offers. Returns the deployment's state.
pub(crate) async fn resources(client: &Client, customer: &Customer) -> Result<String> {
    let deployments = client.get(&["tenants", customer.slug, "deployments"]).await?;
    let id = output::text_at(&deployments, "/items/0/id");
    let path = ["tenants", customer.slug, "deployments", &id];
    let mut shown = client.get(&path).await?;
    let mut profile = json!({});
    for missing in shown["resources"]["missing"].as_array().into_iter().flatten() {
        if let Some((resource, field)) = missing.as_str().and_then(|name| name.split_once('.')) {
            profile[resource][field] = value_of(customer, resource, field).into();
        }
    }
    if profile.as_object().is_some_and(|profile| !profile.is_empty()) {
        shown = client.put(&[&path[..], &["resources"]].concat(), &profile).await?;
    }
    Ok(output::text(&shown["status"]))
}

/// A believable value for a field of a resource.
fn value_of(customer: &Customer, resource: &str, field: &str) -> String {
    let host = format!("{resource}.{}.example", customer.slug);
    match field {
        "url" if resource == "database" => format!("postgres://app:s3cret@{host}:5432/app"),
        "url" | "endpoint" | "base_url" | "site" | "site_url" => format!("https://{host}"),
        "region" => "centralus".to_owned(),
        "model" | "deployment" => "gpt-4o".to_owned(),
        "tenant_id" | "client_id" => "5f1c6b1e-3c58-4f0e-9d1b-7b2f0a6c4d11".to_owned(),
        name if name.contains("secret") || name.contains("key") => "not-a-real-secret".to_owned(),
        name => format!("{}-{name}", customer.slug),
    }
}

/// Issues the license of a customer, once. Returns it.
pub(crate) async fn license(
    client: &Client,
    customer: &Customer,
    subscription: &Value,
) -> Result<Value> {
    let path = ["tenants", customer.slug, "licenses"];
    let known = client.get(&path).await?;
    let first =
        known["items"].as_array().into_iter().flatten().find(|one| one["status"] == "active");
    if let Some(first) = first {
        return Ok(first.clone());
    }
    let body = json!({ "subscription": subscription["id"] });
    let made = client.post_once(&path, &key("license", customer), &body).await?;
    Ok(made["license"].clone())
}

/// Writes the file that is carried into a sealed network, and verifies it with
/// a process that knows nothing but the public keys. Returns what it said.
pub(crate) async fn carry(
    client: &Client,
    dir: &Path,
    customer: &Customer,
    license: &Value,
) -> Result<String> {
    let id = output::text_at(license, "/id");
    let request = client.admin(Method::GET, &["tenants", customer.slug, "licenses", &id, "file"]);
    let text = client.send(request).await?.text().await?;
    let lic = dir.join(format!("{}.lic", customer.slug));
    output::write_private(&lic, text.as_bytes())?;
    let published = [".well-known", "tenure", customer.product, "jwks.json"];
    let keys = client.json(client.request(Method::GET, &published)).await?;
    let jwks = dir.join(format!("{}.jwks.json", customer.product));
    std::fs::write(&jwks, serde_json::to_vec_pretty(&keys)?)
        .map_err(|error| Error::file(&jwks, &error))?;
    let verified = Command::new(std::env::current_exe()?)
        .args(["license", "verify", "--json", "--keys"])
        .arg(&jwks)
        .arg(&lic)
        .stdin(Stdio::null())
        .output()
        .await?;
    let verdict: Value = serde_json::from_slice(&verified.stdout).unwrap_or(Value::Null);
    if !verified.status.success() {
        let why = String::from_utf8_lossy(&verified.stderr).trim().to_owned();
        return Err(Error::new(format!("{} does not verify", lic.display())).details(vec![why]));
    }
    Ok(format!("{}, until {}", output::text(&verdict["state"]), output::text(&verdict["until"])))
}

/// Sends every customer's usage that has not been sent. Returns how many events.
pub(crate) async fn usage(
    client: &Client,
    state: &mut State,
    month: &Month,
    customers: &[Customer],
    bar: &ProgressBar,
) -> Result<u64> {
    let month = Arc::new(month.clone());
    let places = Arc::new(Semaphore::new(SENDERS));
    let mut senders = JoinSet::new();
    for customer in customers {
        let Some(key) = state.keys.get(customer.slug) else { continue };
        let sent = state.sent_hours.get(customer.slug).copied();
        let first = sent.unwrap_or_else(|| first_hour(customer));
        let (client, customer) = (client.with_token(key), *customer);
        let (month, places, bar) = (month.clone(), places.clone(), bar.clone());
        senders.spawn(async move {
            let _place = places.acquire().await;
            let sent = send(&client, &month, &customer, first, &bar).await;
            (customer, sent)
        });
    }
    let mut total = 0;
    while let Some(done) = senders.join_next().await {
        let (customer, sent) = done?;
        total += sent?;
        state.sent_hours.insert(customer.slug.to_owned(), month.hours);
        state.save()?;
    }
    Ok(total)
}

/// A trial has no usage before it began; others have some before the month.
pub(crate) fn first_hour(customer: &Customer) -> i64 {
    if customer.months == 0 { 24 * (DAYS - TRIAL_DAYS) } else { -24 * HISTORY_DAYS }
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
