//! `tenure client`.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::json;

use crate::{client, common::Common, error::Result, output};

/// Make a customer that is ready to use a product, in one step
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenure client create 'Acme Corp' --product kg-rca --plan pro")]
pub(crate) struct Client {
    #[command(subcommand)]
    command: ClientCommand,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum ClientCommand {
    /// Tenant, billing account, subscription, deployment and API key at once
    #[command(after_help = "Examples:
  tenure client create 'Acme Corp'
  tenure client create 'Acme Corp' --product kg-rca --plan pro --environment prod --region us-east-1
  tenure client create 'Acme Corp' --json | jq -r .api_key

The API key is shown this once. Prints nothing else to standard output with --json.")]
    Create {
        /// Name of the customer
        name: String,
        /// The plan [default: starter, or else the product's first]
        #[arg(long)]
        plan: Option<String>,
        /// The product; may be left out where the server knows one
        #[arg(long)]
        product: Option<String>,
        /// Becomes part of the client id, such as prod
        #[arg(long)]
        environment: Option<String>,
        /// Becomes part of the client id, such as us-east-1
        #[arg(long)]
        region: Option<String>,
        /// IANA name of the time zone that days and months are counted in
        #[arg(long, value_name = "ZONE")]
        time_zone: Option<String>,
        /// Where notices go
        #[arg(long, value_name = "ADDRESS")]
        contact_email: Option<String>,
    },
}

impl Client {
    /// Does it.
    pub(crate) async fn run(self) -> Result {
        let ClientCommand::Create {
            name,
            plan,
            product,
            environment,
            region,
            time_zone,
            contact_email,
        } = self.command;
        let client = client::Client::new(&self.common)?;
        let body = json!({
            "name": name, "plan": plan, "product": product, "environment": environment,
            "region": region, "time_zone": time_zone, "contact_email": contact_email,
        });
        let request = client.request(Method::POST, &["admin", "clients"]).json(&body);
        let made = client.json(request).await?;
        output::show(
            self.common.json,
            &made,
            &[
                ("Client", "/client_id"),
                ("Tenant", "/tenant_id"),
                ("Subscription", "/subscription_id"),
                ("API key", "/api_key"),
            ],
        );
        if !self.common.json {
            output::note("\nThe API key is shown this once: keep it safe.");
        }
        Ok(())
    }
}
