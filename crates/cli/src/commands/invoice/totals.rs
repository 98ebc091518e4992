//! `tenure invoice totals`.

use serde_json::Value;

use super::Filter;
use crate::{client::Client, commands::bill::money, error::Result, output};

/// What invoices come to.
pub(super) async fn tell(client: &Client, filter: Filter, json: bool) -> Result {
    let totals = client.find(&["invoices", "totals"], &filter.query()).await?;
    if json {
        output::json(&totals);
        return Ok(());
    }
    let row = |total: &Value| {
        vec![
            output::text(&total["status"]),
            output::text(&total["count"]),
            money(&total["total"]),
            money(&total["outstanding"]),
        ]
    };
    let rows: Vec<_> = totals["items"].as_array().into_iter().flatten().map(row).collect();
    match rows.is_empty() {
        true => output::note("there is no such invoice"),
        false => {
            output::line(&output::table(&["status", "invoices", "total", "outstanding"], rows))
        }
    }
    Ok(())
}
