//! `tenure usage`.

mod send;
mod show;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::{
    client::{self, Client},
    common::Common,
    error::Result,
};

pub(crate) use send::send;

/// Send usage and see what was counted
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenure usage send events.jsonl --token kg_live_...
  tenure usage summary acme-corp
  tenure usage series acme-corp --meter events --by region")]
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
    /// A meter's totals by day or hour, told apart by a dimension
    #[command(after_help = "Examples:
  tenure usage series acme-corp --meter events
  tenure usage series acme-corp --meter events --by region --from 2026-03-01T00:00:00Z
  tenure usage series --meter events --every hour --token kg_live_...")]
    Series {
        /// Id or slug of the tenant [default: the API key's own]
        tenant: Option<String>,
        /// Id of the subscription [default: the tenant's only one]
        #[arg(short, long, value_name = "ID")]
        subscription: Option<String>,
        /// Id of the meter
        #[arg(short, long, value_name = "ID")]
        meter: String,
        /// One of the meter's dimensions [default: all together]
        #[arg(long, value_name = "DIMENSION")]
        by: Option<String>,
        /// From the day or hour that holds this moment [default: 30 days before the end]
        #[arg(long, value_name = "TIMESTAMP")]
        from: Option<jiff::Timestamp>,
        /// Up to this moment [default: now]
        #[arg(long, value_name = "TIMESTAMP")]
        to: Option<jiff::Timestamp>,
        /// How long each point is; days are those of the tenant's zone
        #[arg(long, value_enum, default_value_t = Every::Day)]
        every: Every,
    },
    /// Events that were refused for what they say, newest first
    #[command(after_help = "Examples:
  tenure usage refused acme-corp
  tenure usage refused acme-corp --limit 200 --json | jq '.items[] | select(.reason == \"too_old\")'
  tenure usage refused --token kg_live_...               the key's own")]
    Refused {
        /// Id or slug of the tenant [default: the API key's own]
        tenant: Option<String>,
        /// Events at most, 1 to 200
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
        /// Go on behind an earlier answer: its next_cursor
        #[arg(long, value_name = "CURSOR")]
        cursor: Option<String>,
    },
    /// Make a subscription's rollups again from its single events
    #[command(after_help = "Examples:
  tenure usage rebuild acme-corp

Tells how many rows were not as they should be: 0, unless somebody changed them in the database.
The subscription's usage waits meanwhile. Exit code 1 when rows differed; they are right afterwards.")]
    Rebuild {
        /// Id or slug of the tenant
        tenant: String,
        /// Id of the subscription [default: the tenant's only one]
        #[arg(short, long, value_name = "ID")]
        subscription: Option<String>,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Every {
    Day,
    Hour,
}

impl Every {
    const fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Hour => "hour",
        }
    }
}

impl Usage {
    /// Does it.
    pub(crate) async fn run(self) -> Result {
        let client = Client::new(&self.common)?;
        let as_json = self.common.json;
        match self.command {
            UsageCommand::Send { file } => send::file(&client, &file, as_json).await,
            UsageCommand::Summary { tenant, subscription, days } => {
                let whose = Whose { tenant, subscription };
                let request = whose.usage(&client, &["summary"], &[]).await?;
                let request = request.query(&[("days", days.to_string())]);
                show::summary(&client.json(request).await?, as_json);
                Ok(())
            }
            UsageCommand::Series { tenant, subscription, meter, by, from, to, every } => {
                let whose = Whose { tenant, subscription };
                let request = whose.usage(&client, &["series"], &["series"]).await?;
                let moment = |at: Option<jiff::Timestamp>| at.map(|at| at.to_string());
                let given = [("by", by), ("from", moment(from)), ("to", moment(to))];
                let given = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
                let always = [("meter", meter), ("every", every.word().to_owned())];
                let query: Vec<_> = always.into_iter().chain(given).collect();
                show::series(&client.json(request.query(&query)).await?, as_json);
                Ok(())
            }
            UsageCommand::Refused { tenant, limit, cursor } => {
                let request = match &tenant {
                    None => client.request(Method::GET, &["api", "v1", "usage", "refused"]),
                    Some(tenant) => {
                        client.admin(Method::GET, &["tenants", tenant, "usage", "refused"])
                    }
                };
                let cursor = cursor.map(|cursor| ("cursor", cursor));
                let query: Vec<_> =
                    [("limit", limit.to_string())].into_iter().chain(cursor).collect();
                show::refused(&client.json(request.query(&query)).await?, as_json);
                Ok(())
            }
            UsageCommand::Rebuild { tenant, subscription } => {
                let id = client::subscription(&client, &tenant, subscription.as_deref()).await?;
                let path = ["tenants", &tenant, "subscriptions", &id, "usage", "rebuild"];
                show::rebuilt(&client.post(&path, &json!({})).await?, as_json)
            }
        }
    }
}

/// Whose usage: of the API key that asks, or of a subscription that staff names.
struct Whose {
    tenant: Option<String>,
    subscription: Option<String>,
}

impl Whose {
    /// `/api/v1/usage/{own}`, or the same below the subscription, where it ends in `named`.
    async fn usage(&self, client: &Client, own: &[&str], named: &[&str]) -> Result<RequestBuilder> {
        let Some(tenant) = &self.tenant else {
            return Ok(client.request(Method::GET, &[&["api", "v1", "usage"], own].concat()));
        };
        let id = client::subscription(client, tenant, self.subscription.as_deref()).await?;
        let path = [&["tenants", tenant, "subscriptions", &id, "usage"], named].concat();
        Ok(client.admin(Method::GET, &path))
    }
}
