//! `tenure key`.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    client::{self, Client},
    common::{Common, moment},
    error::Result,
    output,
};

/// API keys of a tenant
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenure key create acme-corp --name production
  tenure key list acme-corp
  tenure key rotate acme-corp key_0193... --overlap-hours 48")]
pub(crate) struct Key {
    #[command(subcommand)]
    command: KeyCommand,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make an API key for a subscription
    #[command(after_help = "Examples:
  tenure key create acme-corp
  tenure key create acme-corp --environment test --name ci --json | jq -r .api_key")]
    Create {
        /// Id or slug of the tenant
        tenant: String,
        /// Id of the subscription [default: the tenant's only one]
        #[arg(short, long, value_name = "ID")]
        subscription: Option<String>,
        /// live or test
        #[arg(long, default_value = "live")]
        environment: String,
        /// What it is called
        #[arg(long, default_value = "default")]
        name: String,
        /// It works before this moment [default: for ever]
        #[arg(long, value_name = "MOMENT", value_parser = moment)]
        expires_at: Option<Timestamp>,
    },
    /// List a tenant's API keys; their secrets are not kept
    #[command(after_help = "Examples:
  tenure key list acme-corp")]
    List {
        /// Id or slug of the tenant
        tenant: String,
    },
    /// Put a new key in the place of one; both work for a while
    #[command(after_help = "Examples:
  tenure key rotate acme-corp key_0193...
  tenure key rotate acme-corp key_0193... --overlap-hours 0    the old key ends at once")]
    Rotate {
        /// Id or slug of the tenant
        tenant: String,
        /// Id of the key
        key: String,
        /// For how long the old key keeps working
        #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u32).range(0..=720))]
        overlap_hours: u32,
    },
    /// End an API key at once
    #[command(after_help = "Examples:
  tenure key revoke acme-corp key_0193...")]
    Revoke {
        /// Id or slug of the tenant
        tenant: String,
        /// Id of the key
        key: String,
    },
}

const COLUMNS: [output::Field; 7] = [
    ("id", "/id"),
    ("name", "/name"),
    ("environment", "/environment"),
    ("key", "/hint"),
    ("made", "/created_at"),
    ("expires", "/expires_at"),
    ("revoked", "/revoked_at"),
];

impl Key {
    /// Does it.
    pub(crate) async fn run(self) -> Result {
        let client = Client::new(&self.common)?;
        let json = self.common.json;
        match self.command {
            KeyCommand::Create { tenant, subscription, environment, name, expires_at } => {
                let id = client::subscription(&client, &tenant, subscription.as_deref()).await?;
                let body = json!({
                    "subscription": id, "environment": environment, "name": name,
                    "expires_at": expires_at,
                });
                issued(&client.post(&["tenants", &tenant, "keys"], &body).await?, json);
            }
            KeyCommand::List { tenant } => {
                let keys = client.get(&["tenants", &tenant, "keys"]).await?;
                output::list(json, &keys, &COLUMNS, "no API keys");
            }
            KeyCommand::Rotate { tenant, key, overlap_hours } => {
                let body = json!({ "overlap_hours": overlap_hours });
                let path = ["tenants", &tenant, "keys", &key, "rotate"];
                issued(&client.post(&path, &body).await?, json);
            }
            KeyCommand::Revoke { tenant, key } => {
                let gone = client.delete(&["tenants", &tenant, "keys", &key]).await?;
                let fields = [("Id", "/id"), ("Key", "/hint"), ("Revoked", "/revoked_at")];
                output::show(json, &gone, &fields);
            }
        }
        Ok(())
    }
}

fn issued(key: &Value, json: bool) {
    let fields = [
        ("API key", "/api_key"),
        ("Id", "/key/id"),
        ("Name", "/key/name"),
        ("Environment", "/key/environment"),
        ("Expires", "/key/expires_at"),
    ];
    output::show(json, key, &fields);
    if !json {
        output::note("\nThe API key is shown this once: keep it safe.");
    }
}
