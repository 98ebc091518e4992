//! `tenure usage`.

use std::{io::Read, path::PathBuf};

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    client::{self, Client},
    common::Common,
    error::{Error, Result},
    output,
};

/// Events a request, as many as a server takes.
const BATCH_EVENTS: usize = 1_000;

/// Send usage and see what was counted
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenure usage send events.jsonl --token kg_live_...
  tenure usage summary acme-corp")]
pub(crate) struct Usage {
    #[command(subcommand)]
    command: UsageCommand,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum UsageCommand {
    /// Send CloudEvents from a file: a JSON array, or an event a line
    #[command(after_help = "Examples:
  tenure usage send events.jsonl --token kg_live_...
  jq -c '.[]' export.json | tenure usage send - --token kg_live_...

Takes an API key. Safe to repeat: an event is counted once. Exit code 1 when an event is refused.")]
    Send {
        /// The events, or - for standard input
        file: PathBuf,
    },
    /// What was counted: each meter against its limit
    #[command(after_help = "Examples:
  tenure usage summary acme-corp
  tenure usage summary acme-corp --days 7 --json
  tenure usage summary --token kg_live_...               the key's own")]
    Summary {
        /// Id or slug of the tenant [default: the API key's own]
        tenant: Option<String>,
        /// Id of the subscription [default: the tenant's only one]
        #[arg(short, long, value_name = "ID")]
        subscription: Option<String>,
        /// Days of the daily series
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=400))]
        days: u16,
    },
}

impl Usage {
    /// Does it.
    pub(crate) async fn run(self) -> Result {
        let client = Client::new(&self.common)?;
        match self.command {
            UsageCommand::Send { file } => send_file(&client, &file, self.common.json).await,
            UsageCommand::Summary { tenant, subscription, days } => {
                let request = match tenant {
                    None => client.request(Method::GET, &["api", "v1", "usage", "summary"]),
                    Some(tenant) => {
                        let id = client::subscription(&client, &tenant, subscription.as_deref());
                        let id = id.await?;
                        let path = ["tenants", &tenant, "subscriptions", &id, "usage"];
                        client.admin(Method::GET, &path)
                    }
                };
                let request = request.query(&[("days", days.to_string())]);
                summary(&client.json(request).await?, self.common.json);
                Ok(())
            }
        }
    }
}

/// Sends a batch with the client's API key.
pub(crate) async fn send(client: &Client, events: &[Value]) -> Result<Value> {
    let request = client
        .request(Method::POST, &["api", "v1", "usage"])
        .header("content-type", "application/cloudevents-batch+json")
        .body(serde_json::to_vec(events)?);
    client.json(request).await
}

fn read(file: &std::path::Path) -> Result<Vec<Value>> {
    let mut text = String::new();
    if file == std::path::Path::new("-") {
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

async fn send_file(client: &Client, file: &std::path::Path, as_json: bool) -> Result {
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

fn summary(summary: &Value, as_json: bool) {
    if as_json {
        return output::json(summary);
    }
    output::show(
        false,
        summary,
        &[
            ("Product", "/product"),
            ("Plan", "/plan"),
            ("Period begins", "/period_start"),
            ("Period ends", "/period_end"),
            ("Days in", "/time_zone"),
            ("As of", "/as_of"),
        ],
    );
    let row = |meter: &Value| {
        let limit = match &meter["limit"] {
            Value::Null => "unlimited".to_owned(),
            limit => {
                format!("{} a {}", output::quantity(limit), output::text_at(meter, "/window/per"))
            }
        };
        let percent = meter["percent"].as_u64().map_or("-".to_owned(), |one| format!("{one}%"));
        vec![
            output::text(&meter["name"]),
            output::quantity(&meter["used"]),
            limit,
            percent,
            output::text(&meter["standing"]),
            trend(&meter["daily"]),
        ]
    };
    let rows: Vec<Vec<String>> =
        summary["meters"].as_array().into_iter().flatten().map(row).collect();
    output::line("");
    if rows.is_empty() {
        return output::note("this product has no meters");
    }
    output::line(&output::table(&["meter", "used", "limit", "of it", "standing", "by day"], rows));
}

/// The last days as bars, each against the highest.
fn trend(daily: &Value) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    const DAYS: usize = 30;
    let number = |day: &Value| output::text(&day["quantity"]).parse::<u128>().unwrap_or(0);
    let days: Vec<u128> = daily.as_array().into_iter().flatten().map(number).collect();
    let most = days.iter().copied().max().unwrap_or(0).max(1);
    let last = days.len().saturating_sub(DAYS);
    let bar = |day: &u128| BARS.get(usize::try_from(day * 7 / most).unwrap_or(7)).copied();
    days.get(last..).unwrap_or_default().iter().filter_map(bar).collect()
}
