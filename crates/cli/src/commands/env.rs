//! `tenure env`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Method;

use crate::{
    client::{self, Client},
    common::Common,
    error::{Error, Result},
    output,
};

/// The environment file of a deployment
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenure env render acme-corp live -o acme.env")]
pub(crate) struct Env {
    #[command(subcommand)]
    command: EnvCommand,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum EnvCommand {
    /// Write it: mode flags, endpoints, license; secrets as references
    #[command(after_help = "Examples:
  tenure env render acme-corp
  tenure env render acme-corp live -o acme.env
  tenure env render acme-corp live --json

What is not known yet is empty, with a comment that says what is missing.")]
    Render {
        /// Id or slug of the tenant
        tenant: String,
        /// Id or name of the deployment [default: the only one in use]
        deployment: Option<String>,
        /// Where to write it [default: standard output]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

impl Env {
    /// Does it.
    pub(crate) async fn run(self) -> Result {
        let client = Client::new(&self.common)?;
        let EnvCommand::Render { tenant, deployment, output: path } = self.command;
        let id = client::deployment(&client, &tenant, deployment.as_deref()).await?;
        let format = if self.common.json { "json" } else { "dotenv" };
        let request = client.admin(Method::GET, &["tenants", &tenant, "deployments", &id, "env"]);
        let text = client.send(request.query(&[("format", format)])).await?.text().await?;
        match path {
            None => output::line(text.trim_end()),
            Some(path) => {
                std::fs::write(&path, text).map_err(|error| Error::file(&path, &error))?;
                output::note(&format!("wrote {}", path.display()));
            }
        }
        Ok(())
    }
}
