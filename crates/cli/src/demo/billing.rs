//! What a demonstration bills: months that are over are closed and issued by the
//! server's own jobs; some invoices are paid, one has a credit note, one corrects
//! usage that came late. Each step is safe to repeat.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    customers::{CUSTOMERS, Customer},
    state::State,
    traffic,
};
use crate::{
    client::Client,
    commands,
    error::{Error, Result},
    output,
};

/// Time between two looks at the jobs.
const LOOK_EVERY: Duration = Duration::from_millis(60);
/// Looks at most: some minutes.
const LOOKS_MAX: usize = 3_000;
/// Runs begun at most: closing leads to issuing, and then nothing is left.
const RUNS_MAX: usize = 10;
/// Invoices of one customer that are looked at.
const INVOICES_MAX: usize = 50;
/// Who gets a part of its newest invoice back.
const CREDITED: &str = "open-harvest";

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

/// Closes, issues, pays and corrects, once; then tells what there is.
pub(crate) async fn history(client: &Client, state: &mut State) -> Result<Billed> {
    if !state.billed {
        name_seller(client).await?;
        close(client).await?;
        for customer in &CUSTOMERS {
            pay(client, customer).await?;
        }
        credit(client).await?;
        for customer in CUSTOMERS.iter().filter(|customer| customer.late.is_some()) {
            correct(client, state, customer).await?;
        }
        state.billed = true;
        state.save()?;
    }
    told(client).await
}

/// Who sells, as invoices say it.
async fn name_seller(client: &Client) -> Result {
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
async fn close(client: &Client) -> Result {
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
    let query = [("tenant", customer.slug.to_owned()), ("limit", INVOICES_MAX.to_string())];
    let page = client.find(&["invoices"], &query).await?;
    Ok(page["items"].as_array().cloned().unwrap_or_default())
}

async fn step(
    client: &Client,
    customer: &Customer,
    invoice: &Value,
    what: &str,
    body: Value,
) -> Result {
    let id = output::text_at(invoice, "/id");
    client.post(&["tenants", customer.slug, "invoices", &id, what], &body).await.map(drop)
}

/// All but the newest are paid.
async fn pay(client: &Client, customer: &Customer) -> Result {
    let all = invoices(client, customer).await?;
    let issued = all.iter().filter(|invoice| invoice["number"].is_string());
    for invoice in issued.skip(1).filter(|invoice| invoice["status"] == "issued") {
        step(client, customer, invoice, "pay", json!({})).await?;
    }
    Ok(())
}

async fn credit(client: &Client) -> Result {
    let Some(customer) = CUSTOMERS.iter().find(|customer| customer.slug == CREDITED) else {
        return Ok(());
    };
    let all = invoices(client, customer).await?;
    let Some(newest) = all.iter().find(|invoice| invoice["status"] == "issued") else {
        return Ok(());
    };
    let id = output::text_at(newest, "/id");
    let path = ["tenants", customer.slug, "invoices", &id];
    let whole = client.get(&path).await?;
    if whole["credit_notes"].as_array().is_some_and(|notes| !notes.is_empty()) {
        return Ok(());
    }
    let body = json!({ "amount": "20.00", "reason": "Two days of slow transcription" });
    let path = [&path[..], &["credit-notes"]].concat();
    client.post_once(&path, "demo-credit-note", &body).await.map(drop)
}

/// Usage of a month that was invoiced arrives now; the next invoice corrects it.
async fn correct(client: &Client, state: &State, customer: &Customer) -> Result {
    let (Some(late), Some(key)) = (customer.late, state.keys.get(customer.slug)) else {
        return Ok(());
    };
    let events = traffic::late(customer, late, state.began);
    commands::send_usage(&client.with_token(key), &events).await?;
    let all = invoices(client, customer).await?;
    match all.iter().find(|invoice| invoice["status"] == "draft") {
        Some(draft) => step(client, customer, draft, "issue", json!({})).await,
        None => Ok(()),
    }
}

/// What there is, with the invoices that are worth a look.
async fn told(client: &Client) -> Result<Billed> {
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
