//! Starting a close and watching it.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::{
    client::Client,
    error::{Error, Result},
    output,
};

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Starts a run, or goes on with today's.
pub(super) async fn run(client: &Client, no_wait: bool, as_json: bool) -> Result {
    let mut run = client.post(&["billing", "runs"], &json!({})).await?;
    let id = output::text_at(&run, "/id");
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    while !no_wait && !is_over(&run) {
        bar.set_length(run["total"].as_u64().unwrap_or(0));
        bar.set_position(run["done"].as_u64().unwrap_or(0));
        tokio::time::sleep(LOOK_EVERY).await;
        run = client.get(&["billing", "runs", &id]).await?;
    }
    bar.finish_and_clear();
    if as_json {
        output::json(&run);
    } else {
        output::show(
            false,
            &run,
            &[
                ("Run", "/id"),
                ("Day", "/day"),
                ("Finished", "/finished_at"),
                ("Done", "/done"),
                ("Failed", "/failed"),
                ("Of", "/total"),
            ],
        );
    }
    failures(&run)
}

/// Nothing is left, or what is left has failed and waits for its next try.
fn is_over(run: &Value) -> bool {
    let number = |field: &str| run[field].as_i64().unwrap_or(0);
    !run["finished_at"].is_null() || number("done") + number("failed") >= number("total")
}

fn failures(run: &Value) -> Result {
    let all = run["failures"].as_array().map_or(&[][..], Vec::as_slice);
    if all.is_empty() {
        return Ok(());
    }
    let line = |one: &Value| {
        let of = one["subscription_id"].as_str().or_else(|| one["invoice_id"].as_str());
        format!("{}: {}", of.unwrap_or("-"), output::text(&one["detail"]))
    };
    Err(Error::new(format!("{} could not be billed", run["failed"]))
        .details(all.iter().map(line).collect())
        .hint("they are tried again by themselves; mend the cause and run this again"))
}
