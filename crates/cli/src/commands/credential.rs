//! `tenure credential`.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use crate::{client::Client, common::Common, error::Result, output};

/// Credentials of the vendor's own people and programs
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenure credential create 'deploy pipeline' --role admin
  tenure credential list")]
pub(crate) struct Credential {
    #[command(subcommand)]
    command: CredentialCommand,
    #[command(flatten)]
    common: Common,
}

/// What a credential may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Everything
    Admin,
    /// Look
    Viewer,
}

#[derive(Debug, Subcommand)]
enum CredentialCommand {
    /// Make a vendor credential
    #[command(after_help = "Examples:
  tenure credential create 'deploy pipeline' --role admin
  tenure credential create grafana --role viewer --json | jq -r .token")]
    Create {
        /// What it is called
        name: String,
        /// What it may do
        #[arg(long, default_value = "viewer")]
        role: Role,
    },
    /// List vendor credentials
    #[command(after_help = "Examples:
  tenure credential list")]
    List,
    /// End a vendor credential at once
    #[command(after_help = "Examples:
  tenure credential revoke crd_0193...")]
    Revoke {
        /// Id of the credential
        credential: String,
    },
}

const COLUMNS: [output::Field; 5] = [
    ("credential", "/id"),
    ("name", "/name"),
    ("role", "/role"),
    ("made", "/created_at"),
    ("revoked", "/revoked_at"),
];

impl Credential {
    /// Does it.
    pub(crate) async fn run(self) -> Result {
        let client = Client::new(&self.common)?;
        let json = self.common.json;
        match self.command {
            CredentialCommand::Create { name, role } => {
                let role = if role == Role::Admin { "admin" } else { "viewer" };
                let body = json!({ "name": name, "role": role });
                let made = client.post(&["credentials"], &body).await?;
                let fields = [
                    ("Token", "/token"),
                    ("Credential", "/credential/id"),
                    ("Name", "/credential/name"),
                    ("Role", "/credential/role"),
                ];
                output::show(json, &made, &fields);
                if !json {
                    output::note("\nThe token is shown this once: keep it safe.");
                }
            }
            CredentialCommand::List => {
                let all = client.get(&["credentials"]).await?;
                output::list(json, &all, &COLUMNS, "no credentials");
            }
            CredentialCommand::Revoke { credential } => {
                let gone = client.delete(&["credentials", &credential]).await?;
                let fields = [("Credential", "/id"), ("Name", "/name"), ("Revoked", "/revoked_at")];
                output::show(json, &gone, &fields);
            }
        }
        Ok(())
    }
}
