//! What a demonstration bills: periods that are over are closed and issued by the server's own
//! jobs; most invoices are paid, some have a credit note. Each step is safe to repeat.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    customers::{CUSTOMERS, Customer},
    year::Credit,
};
use crate::{
    client::Client,
    error::{Error, Result},
    output,
};

/// Time between two looks at the jobs.
const LOOK_EVERY: Duration = Duration::from_millis(60);
/// Looks at most: some minutes.
const LOOKS_MAX: usize = 3_000;
/// Runs begun at most: closing leads to issuing, and then nothing is left.
const RUNS_MAX: usize = 10;
/// Invoices that are looked at: of one customer, or unpaid.
const INVOICES_MAX: usize = 200;
/// After so many days an invoice is paid.
const PAID_AFTER_DAYS: i64 = 25;
/// Who does not pay any more does so since so many days before the first start.
const UNPAID_DAYS: i64 = 75;

/// What there is to look at.
pub(crate) struct Billed {
    pub(crate) issued: usize,
    pub(crate) paid: usize,
    pub(crate) drafts: usize,
    /// A number and a line with usage, for `tenure invoice explain`.
    pub(crate) explain: Option<(&'static str, String, u64)>,
    /// The invoice that corrects an earlier one.
    pub(crate) corrected: Option<(&'static str, String)>,
}

/// Who sells, as invoices say it.
pub(crate) async fn name_seller(client: &Client) -> Result {
    let sellers = client.get(&["sellers"]).await?;
    let Some(seller) = sellers["items"].as_array().and_then(|all| all.first()) else {
        return Ok(());
    };
    let address = json!({ "line1": "12 Harbour Street", "postal_code": "02110", "city": "Boston",
        "region": "MA", "country": "US" });
    let named = json!({ "name": "Northlight", "legal_name": "Northlight Software Inc.",
        "address": address, "tax_ids": { "us_ein": "12-3456789" } });
    client.put(&["sellers", &output::text_at(seller, "/id")], &named).await?;
    Ok(())
}

/// Everything that is due, by the jobs that do it every day.
pub(crate) async fn close(client: &Client) -> Result {
    for _ in 0..RUNS_MAX {
        let mut run = client.post(&["billing", "runs"], &json!({})).await?;
        if !run["finished_at"].is_null() {
            return Ok(());
        }
        let id = output::text_at(&run, "/id");
        for _ in 0..LOOKS_MAX {
            let number = |field: &str| run[field].as_i64().unwrap_or(0);
            if number("done") + number("failed") >= number("total") {
                break;
            }
            sleep(LOOK_EVERY).await;
            run = client.get(&["billing", "runs", &id]).await?;
        }
        if let Some(why) = run["failures"].as_array().and_then(|all| all.first()) {
            return Err(Error::new(format!("cannot bill: {}", output::text(&why["detail"]))));
        }
    }
    Err(Error::new("closing months does not come to an end"))
}

/// A customer's invoices, newest period first.
async fn invoices(client: &Client, customer: &Customer) -> Result<Vec<Value>> {
    list(client, &[("tenant", customer.slug.to_owned())]).await
}

async fn list(client: &Client, query: &[(&str, String)]) -> Result<Vec<Value>> {
    let query = [query, &[("limit", INVOICES_MAX.to_string())]].concat();
    let page = client.find(&["invoices"], &query).await?;
    Ok(page["items"].as_array().cloned().unwrap_or_default())
}

/// Pays what was issued some weeks ago. Returns how many invoices were issued this morning, and
/// how many were paid.
pub(crate) async fn pay(
    client: &Client,
    began: Timestamp,
    now: Timestamp,
) -> Result<(usize, usize)> {
    let day = |days: i64| SignedDuration::from_hours(24 * days);
    let mut left = Vec::new();
    for customer in CUSTOMERS.iter().filter(|one| one.suspended && now > began - day(UNPAID_DAYS)) {
        left.extend(invoices(client, customer).await?.into_iter().map(|one| one["id"].clone()));
    }
    let (mut issued, mut paid) = (0, 0);
    for invoice in list(client, &[("status", "issued".to_owned())]).await? {
        let at = invoice["issued_at"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
        let Some(at) = at else { continue };
        issued += usize::from(at >= now);
        if at <= now - day(PAID_AFTER_DAYS) && !left.contains(&invoice["id"]) {
            let (tenant, id) =
                (output::text_at(&invoice, "/tenant_id"), output::text_at(&invoice, "/id"));
            client.post(&["tenants", &tenant, "invoices", &id, "pay"], &json!({})).await?;
            paid += 1;
        }
    }
    Ok((issued, paid))
}

/// A part of a customer's newest invoice is given back.
pub(crate) async fn credit(client: &Client, credit: &Credit) -> Result {
    let Some(customer) = CUSTOMERS.iter().find(|customer| customer.slug == credit.slug) else {
        return Ok(());
    };
    let all = invoices(client, customer).await?;
    let Some(newest) = all.iter().find(|one| one["status"] == "issued" || one["status"] == "paid")
    else {
        return Ok(());
    };
    let id = output::text_at(newest, "/id");
    let path = ["tenants", customer.slug, "invoices", &id];
    let whole = client.get(&path).await?;
    if whole["credit_notes"].as_array().is_some_and(|notes| !notes.is_empty()) {
        return Ok(());
    }
    let body = json!({ "amount": credit.amount, "reason": credit.reason });
    client.post(&[&path[..], &["credit-notes"]].concat(), &body).await.map(drop)
}

/// What there is, with the invoices that are worth a look.
pub(crate) async fn told(client: &Client) -> Result<Billed> {
    let mut billed = Billed { issued: 0, paid: 0, drafts: 0, explain: None, corrected: None };
    for customer in &CUSTOMERS {
        for invoice in invoices(client, customer).await? {
            match invoice["status"].as_str() {
                Some("draft") => billed.drafts += 1,
                Some("paid") => (billed.issued, billed.paid) = (billed.issued + 1, billed.paid + 1),
                Some("void") | None => {}
                Some(_) => billed.issued += 1,
            }
            if let Some(number) = invoice["number"].as_str() {
                let wanted = billed.explain.is_none() && customer.slug == "acme-retail"
                    || billed.corrected.is_none() && customer.late.is_some();
                if wanted {
                    look(client, customer, &invoice, number, &mut billed).await?;
                }
            }
        }
    }
    Ok(billed)
}

async fn look(
    client: &Client,
    customer: &Customer,
    invoice: &Value,
    number: &str,
    billed: &mut Billed,
) -> Result {
    let id = output::text_at(invoice, "/id");
    let whole = client.get(&["tenants", customer.slug, "invoices", &id]).await?;
    for line in whole["lines"].as_array().into_iter().flatten() {
        let has_events = line["events"].as_i64().is_some_and(|events| events > 0);
        if customer.late.is_some() && line["kind"] == "adjustment" {
            billed.corrected = Some((customer.slug, number.to_owned()));
        } else if customer.slug == "acme-retail" && has_events && billed.explain.is_none() {
            let line = line["line"].as_u64().unwrap_or(1);
            billed.explain = Some((customer.slug, number.to_owned(), line));
        }
    }
    Ok(())
}
