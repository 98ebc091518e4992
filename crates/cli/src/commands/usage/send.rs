//! Sending events from a file.

use std::{io::Read, path::Path};

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    client::Client,
    error::{Error, Result},
    output,
};

/// Events a request, as many as a server takes.
const BATCH_EVENTS: usize = 1_000;

/// Sends a batch with the client's API key.
pub(crate) async fn send(client: &Client, events: &[Value]) -> Result<Value> {
    let request = client
        .request(Method::POST, &["api", "v1", "usage"])
        .header("content-type", "application/cloudevents-batch+json")
        .body(serde_json::to_vec(events)?);
    client.json(request).await
}

fn read(file: &Path) -> Result<Vec<Value>> {
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)?;
    } else {
        text = std::fs::read_to_string(file).map_err(|error| Error::file(file, &error))?;
    }
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(&text)
            .map_err(|error| Error::new(format!("{}: {error}", file.display())));
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            serde_json::from_str(line).map_err(|error| {
                Error::new(format!("{}:{}: {error}", file.display(), index + 1))
                    .hint("give a JSON array of CloudEvents, or one event a line")
            })
        })
        .collect()
}

/// `tenure usage send`.
pub(super) async fn file(client: &Client, file: &Path, as_json: bool) -> Result {
    let events = read(file)?;
    let mut counts = [("accepted", 0), ("duplicates", 0), ("conflicts", 0), ("rejected", 0)];
    let mut refused = Vec::new();
    for batch in events.chunks(BATCH_EVENTS) {
        let receipt = send(client, batch).await?;
        for (name, count) in &mut counts {
            *count += receipt[*name].as_u64().unwrap_or(0);
        }
        let results = receipt["results"].as_array().into_iter().flatten();
        refused.extend(
            results
                .filter(|one| one["outcome"] == "rejected" || one["outcome"] == "conflict")
                .cloned(),
        );
    }
    if as_json {
        let mut answer: Value =
            counts.iter().map(|(name, count)| ((*name).to_owned(), json!(count))).collect();
        answer["refused"] = refused.clone().into();
        output::json(&answer);
    } else {
        let rows: Vec<(String, String)> = counts
            .iter()
            .map(|(name, count)| ((*name).to_owned(), output::grouped(*count)))
            .collect();
        output::record(&rows);
    }
    if refused.is_empty() {
        return Ok(());
    }
    const SHOWN: usize = 10;
    let line =
        |one: &Value| format!("{}: {}", output::text(&one["id"]), output::text(&one["detail"]));
    let mut details: Vec<String> = refused.iter().take(SHOWN).map(line).collect();
    if refused.len() > SHOWN {
        details.push(format!("and {} more; --json lists them", refused.len() - SHOWN));
    }
    Err(Error::new(format!("{} events were not recorded", refused.len())).details(details))
}
