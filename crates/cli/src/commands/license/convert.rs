//! `tenure license convert`.

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::{Which, issued};
use crate::{client::Client, common::moment, error::Result};

/// Convert it: another model or plan, or from trial to paid; license and key stay the same
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenure license convert acme-corp lic_0193... --model air_gapped --supersede-at 2027-03-15
  tenure license convert acme-corp lic_0193... --plan enterprise
  tenure license convert acme-corp lic_0193... --paid

The subscription changes with it. Until the date of --supersede-at the old revision counts too, so
that a file can be carried.")]
pub(super) struct Convert {
    #[command(flatten)]
    which: Which,
    /// The model from now on; managed and byoi end the installations
    #[arg(long, value_name = "MODEL", value_parser = ["managed", "byoi", "self_hosted", "air_gapped"])]
    model: Option<String>,
    /// The plan from now on, on the newest terms
    #[arg(long, value_name = "PLAN")]
    plan: Option<String>,
    /// The trial becomes a paid subscription
    #[arg(long)]
    paid: bool,
    /// When the old revision no longer counts, at most 90 days from now [default: now]
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    supersede_at: Option<Timestamp>,
    /// When the new revision expires [default: the product's license term from now]
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    expires_at: Option<Timestamp>,
}

impl Convert {
    pub(super) async fn run(self) -> Result {
        let client = Client::new(&self.which.common)?;
        let body = json!({
            "model": self.model, "plan": self.plan, "paid": self.paid,
            "supersede_at": self.supersede_at, "expires_at": self.expires_at,
        });
        let converted = client.post(&self.which.path("convert"), &body).await?;
        issued(&converted, self.which.common.json);
        Ok(())
    }
}
