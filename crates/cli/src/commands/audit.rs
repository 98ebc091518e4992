//! `tenure audit`.

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::{
    client::Client,
    common::Common,
    error::{Error, Result},
    output,
};

/// What was changed, by whom; whether the record is whole
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenure audit list acme-corp
  tenure audit verify acme-corp")]
pub(crate) struct Audit {
    #[command(subcommand)]
    command: AuditCommand,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// List changes, newest first
    #[command(after_help = "Examples:
  tenure audit list                       the vendor's own: products, credentials
  tenure audit list acme-corp --limit 10
  tenure audit list acme-corp --json | jq '.items[0] | {before, after}'")]
    List {
        /// Id or slug of a tenant [default: the vendor's own trail]
        tenant: Option<String>,
        /// Entries at most, 1 to 200
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: Option<u16>,
        /// Only entries with a smaller number
        #[arg(long, value_name = "NUMBER")]
        before: Option<i64>,
    },
    /// Follow the chain of digests from its first entry
    #[command(after_help = "Examples:
  tenure audit verify
  tenure audit verify acme-corp

Exit code 1 when an entry was changed, removed or put in.")]
    Verify {
        /// Id or slug of a tenant [default: the vendor's own trail]
        tenant: Option<String>,
    },
}

const COLUMNS: [output::Field; 5] = [
    ("number", "/seq"),
    ("when", "/at"),
    ("who", "/actor"),
    ("what", "/action"),
    ("of", "/target"),
];

impl Audit {
    /// Does it.
    pub(crate) async fn run(self) -> Result {
        let client = Client::new(&self.common)?;
        let base = |tenant: Option<String>| match tenant {
            Some(tenant) => vec!["tenants".to_owned(), tenant, "audit".to_owned()],
            None => vec!["audit".to_owned()],
        };
        match self.command {
            AuditCommand::List { tenant, limit, before } => {
                let limit = limit.map(|limit| ("limit", limit.to_string()));
                let before = before.map(|before| ("before", before.to_string()));
                let query: Vec<_> = limit.into_iter().chain(before).collect();
                let path = base(tenant);
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                let entries = client.find(&path, &query).await?;
                output::list(self.common.json, &entries, &COLUMNS, "nothing was changed yet");
                Ok(())
            }
            AuditCommand::Verify { tenant } => {
                let mut path = base(tenant);
                path.push("verify".to_owned());
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                verified(&client.get(&path).await?, self.common.json)
            }
        }
    }
}

fn verified(answer: &Value, as_json: bool) -> Result {
    if as_json {
        output::json(answer);
    } else {
        let rows = answer.as_object().into_iter().flatten();
        let rows: Vec<(String, String)> = rows
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.replace('_', " "), output::text(value)))
            .collect();
        output::record(&rows);
    }
    let whole =
        ["intact", "valid", "ok", "verified"].iter().find_map(|name| answer[*name].as_bool());
    match whole {
        Some(false) => {
            Err(Error::new("the audit trail is not whole: entries were changed or removed")
                .hint("compare with your last backup before anything else is changed"))
        }
        _ => Ok(()),
    }
}
