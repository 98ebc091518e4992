//! `tenure clock`.

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use crate::{
    client::Client,
    common::{Common, moment},
    error::Result,
    output,
};

/// Read the server's clock; move it on a test installation
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenure clock
  tenure clock --to 2027-01-01            only forward, only with TENURE_TEST_CLOCK=1")]
pub(crate) struct Clock {
    /// Move the test clock forward to this moment
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    to: Option<Timestamp>,
    #[command(flatten)]
    common: Common,
}

impl Clock {
    /// Does it.
    pub(crate) async fn run(self) -> Result {
        let client = Client::new(&self.common)?;
        let clock = match self.to {
            Some(to) => client.post(&["clock"], &json!({ "now": to })).await?,
            None => client.get(&["clock"]).await?,
        };
        output::show(self.common.json, &clock, &[("Now", "/now")]);
        Ok(())
    }
}
