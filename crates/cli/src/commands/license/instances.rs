//! `tenure license instances`, `release`, `restore` and `high-water`.

use clap::Args;
use serde_json::{Value, json};

use super::Which;
use crate::{
    client::Client,
    common::Paging,
    error::Result,
    output::{self, Field},
};

const COLUMNS: [Field; 8] = [
    ("instance", "/id"),
    ("name", "/name"),
    ("state", "/state"),
    ("slot", "/slot"),
    ("last seen", "/last_seen_at"),
    ("held until", "/held_until"),
    ("version", "/version"),
    ("ledger", "/ledger_seq"),
];
const FIELDS: [Field; 12] = [
    ("Instance", "/id"),
    ("Name", "/name"),
    ("State", "/state"),
    ("Slot", "/slot"),
    ("Held until", "/held_until"),
    ("By a file", "/offline"),
    ("Last seen", "/last_seen_at"),
    ("Version", "/version"),
    ("Key", "/key"),
    ("Ledger reported to", "/ledger_seq"),
    ("Quarantined", "/quarantined_at"),
    ("Released", "/released_at"),
];
const MARKS: [Field; 4] =
    [("month", "/month"), ("statistic", "/stat"), ("most", "/value"), ("reached", "/reached_at")];

/// List who holds it: state, slot, last contact, and how many slots are taken
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenure license instances acme-corp lic_0193...
  tenure license instances acme-corp lic_0193... --json | jq '.items[] | select(.state == \"quarantined\")'")]
pub(super) struct Instances {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    paging: Paging,
}

impl Instances {
    pub(super) async fn run(self) -> Result {
        let client = Client::new(&self.which.common)?;
        let found = client.find(&self.which.path("instances"), &self.paging.query()).await?;
        output::list(self.which.common.json, &found, &COLUMNS, "no instances");
        if !self.which.common.json {
            output::note(&slots(&found));
        }
        Ok(())
    }
}

/// `2 of 3 slots held`
fn slots(found: &Value) -> String {
    let number = |at: &str| found[at].as_u64();
    let held = number("held").unwrap_or(0);
    let held = match number("max") {
        Some(max) => format!("{held} of {max} slots held"),
        None => format!("{held} slots held, unlimited"),
    };
    match number("returned") {
        None | Some(0) => held,
        Some(returned) => format!("{held}, {returned} given back before their end"),
    }
}

/// Take an instance's slot: it gets no further lease; nothing that runs is stopped
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenure license release acme-corp lic_0193... ins_0193... --reason 'moved to prod-eu-2'
  tenure license release acme-corp lic_0193... ins_0193... --reason 'machine lost, ticket 4711' --force

Without --force the slot is free when the lease or file in the machine's hands ends.")]
pub(super) struct Release {
    #[command(flatten)]
    which: Which,
    /// Id of the instance
    instance: String,
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Free the slot at once, for a machine that is lost
    #[arg(long)]
    force: bool,
}

impl Release {
    pub(super) async fn run(self) -> Result {
        let body = json!({ "reason": self.reason, "force": self.force });
        let path = path(&self.which, &self.instance, "release");
        let gone = Client::new(&self.which.common)?.post(&path, &body).await?;
        output::show(self.which.common.json, &gone, &FIELDS);
        Ok(())
    }
}

/// Lift the quarantine of an instance of which a copy was found
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenure license restore acme-corp lic_0193... ins_0193...

Make sure first that only one copy runs: with two it is in quarantine again soon.")]
pub(super) struct Restore {
    #[command(flatten)]
    which: Which,
    /// Id of the instance
    instance: String,
}

impl Restore {
    pub(super) async fn run(self) -> Result {
        let path = path(&self.which, &self.instance, "restore");
        let back = Client::new(&self.which.common)?.act(&path).await?;
        output::show(self.which.common.json, &back, &FIELDS);
        Ok(())
    }
}

fn path<'a>(which: &'a Which, instance: &'a str, what: &'a str) -> [&'a str; 7] {
    ["tenants", &which.tenant, "licenses", &which.license, "instances", instance, what]
}

/// The most that was held at once, by month.
pub(super) async fn high_water(which: &Which) -> Result {
    let marks = Client::new(&which.common)?.get(&which.path("high-water")).await?;
    output::list(which.common.json, &marks, &MARKS, "nothing was reported");
    Ok(())
}
