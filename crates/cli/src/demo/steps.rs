//! What a demonstration does, each step safe to repeat.

use std::{path::Path, process::Stdio};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Command;

use super::{calendar, customers::Customer, state::State};
use crate::{
    client::Client,
    error::{Error, Result},
    output,
};

/// A customer comes, with everything that it has in the beginning.
pub(crate) async fn join(client: &Client, state: &mut State, customer: &Customer) -> Result {
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
    }
    Ok(())
}

/// Takes the plan and the quantities that it has today.
pub(crate) async fn change(client: &Client, customer: &Customer) -> Result {
    let subscription = bought(client, customer).await?;
    let id = output::text_at(&subscription, "/id");
    let path = ["tenants", customer.slug, "subscriptions", &id];
    if subscription["plan"] != customer.plan {
        let body = json!({ "plan": customer.plan });
        client.post(&[&path[..], &["move"]].concat(), &body).await?;
    }
    for (charge, quantity) in customer.items {
        let held = subscription["items"].as_array().into_iter().flatten();
        let held = held.filter(|item| item["charge"] == *charge && item["to"].is_null());
        if held.map(|item| output::text(&item["quantity"])).all(|has| has != *quantity) {
            let body = json!({ "charge": charge, "quantity": quantity });
            client.put(&[&path[..], &["items"]].concat(), &body).await?;
        }
    }
    Ok(())
}

/// Withholds access, where a customer stopped to pay. Returns the subscription.
pub(crate) async fn settle(client: &Client, customer: &Customer) -> Result<Value> {
    let subscription = bought(client, customer).await?;
    if customer.suspended && subscription["status"] != "suspended" {
        let id = output::text_at(&subscription, "/id");
        client.act(&["tenants", customer.slug, "subscriptions", &id, "suspend"]).await?;
    }
    Ok(subscription)
}

/// What a customer bought, when it did.
async fn bought(client: &Client, customer: &Customer) -> Result<Value> {
    let known = client.get(&["tenants", customer.slug, "subscriptions"]).await?;
    let first = known["items"].as_array().and_then(|items| items.first()).cloned();
    first.ok_or_else(|| Error::new(format!("{} has no subscription", customer.name)))
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
    let (plan, items) =
        customer.before.map_or((customer.plan, customer.items), |had| (had.plan, had.items));
    let starts_at = calendar::joined(customer, state.began)?;
    let body = json!({
        "product": customer.product, "plan": plan, "model": customer.model,
        "trial": customer.months == 0, "starts_at": starts_at, "billed_from": starts_at,
        "items": items.iter().map(item).collect::<Vec<_>>(),
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
