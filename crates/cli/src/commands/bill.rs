//! `tenure bill`.

use clap::Args;
use reqwest::Method;
use serde_json::Value;

use crate::{
    client::{self, Client},
    common::Common,
    error::Result,
    output,
};

/// What a subscription costs so far in the current period
///
/// Each line shows its arithmetic. Before tax.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenure bill acme-corp
  tenure bill acme-corp --json | jq .total
  tenure bill --token kg_live_...                        the key's own")]
pub(crate) struct Bill {
    /// Id or slug of the tenant [default: the API key's own]
    tenant: Option<String>,
    /// Id of the subscription [default: the tenant's only one]
    #[arg(short, long, value_name = "ID")]
    subscription: Option<String>,
    #[command(flatten)]
    common: Common,
}

impl Bill {
    /// Does it.
    pub(crate) async fn run(self) -> Result {
        let client = Client::new(&self.common)?;
        let request = match &self.tenant {
            None => client.request(Method::GET, &["api", "v1", "bill"]),
            Some(tenant) => {
                let id =
                    client::subscription(&client, tenant, self.subscription.as_deref()).await?;
                client.admin(Method::GET, &["tenants", tenant, "subscriptions", &id, "bill"])
            }
        };
        let bill = client.json(request).await?;
        if self.common.json {
            output::json(&bill);
        } else {
            tell(&bill);
        }
        Ok(())
    }
}

fn tell(bill: &Value) {
    output::show(
        false,
        bill,
        &[
            ("Product", "/product"),
            ("Plan", "/plan"),
            ("Period begins", "/period_start"),
            ("Period ends", "/period_end"),
            ("Counted until", "/as_of"),
        ],
    );
    output::line("");
    let row = |line: &Value| {
        vec![
            output::text(&line["description"]),
            output::text(&line["arithmetic"]),
            money(&line["amount"]),
        ]
    };
    let mut rows: Vec<Vec<String>> =
        bill["lines"].as_array().into_iter().flatten().map(row).collect();
    if !rows.is_empty() {
        rows.push(vec!["Total before tax".to_owned(), String::new(), money(&bill["total"])]);
        output::line(&output::table(&["what", "how it comes about", "amount"], rows));
    }
    for note in [&bill["needs_contract"], &bill["trial"]["note"]] {
        if let Some(note) = note.as_str() {
            output::note(&format!("\n{note}"));
        }
    }
}

/// `{"amount": "4.20", "currency": "USD"}` for people.
pub(crate) fn money(value: &Value) -> String {
    match value {
        Value::Object(_) => {
            format!("{} {}", output::text(&value["amount"]), output::text(&value["currency"]))
        }
        other => output::text(other),
    }
}
