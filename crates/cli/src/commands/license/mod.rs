//! `tenure license`.

mod carried;
mod convert;
mod instances;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use self::{
    carried::{Answer, Report, Revocations},
    convert::Convert,
    instances::{Instances, Release, Restore},
};
use super::verify::Verify;
use crate::{
    client::{self, Client},
    common::{Common, Paging, moment},
    error::Result,
    output,
};

/// Issue licenses; verify them anywhere, with no network
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenure license issue acme-corp
  tenure license file acme-corp lic_0193... -o acme.lic
  tenure license instances acme-corp lic_0193...
  tenure license answer request.txt -o acme.lic
  tenure license verify acme.lic --keys jwks.json")]
pub(crate) struct License {
    #[command(subcommand)]
    command: LicenseCommand,
}

/// Which license of which tenant.
#[derive(Debug, Args)]
struct Which {
    /// Id or slug of the tenant
    tenant: String,
    /// Id of the license
    license: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum LicenseCommand {
    /// Issue a license: what it grants follows from the subscription
    #[command(after_help = "Examples:
  tenure license issue acme-corp
  tenure license issue acme-corp --expires-at 2027-12-31
  tenure license issue acme-corp --json | jq -r .token")]
    Issue {
        /// Id or slug of the tenant
        tenant: String,
        /// Id of the subscription [default: the tenant's only one]
        #[arg(short, long, value_name = "ID")]
        subscription: Option<String>,
        /// Only for this deployment, by id or name
        #[arg(short, long, value_name = "DEPLOYMENT")]
        deployment: Option<String>,
        /// When it expires [default: the product's license term from now]
        #[arg(long, value_name = "MOMENT", value_parser = moment)]
        expires_at: Option<Timestamp>,
        #[command(flatten)]
        common: Common,
    },
    /// List a tenant's licenses
    #[command(after_help = "Examples:
  tenure license list acme-corp")]
    List {
        /// Id or slug of the tenant
        tenant: String,
        #[command(flatten)]
        paging: Paging,
        #[command(flatten)]
        common: Common,
    },
    /// Show a license, its revisions, and whether it is up to date
    #[command(after_help = "Examples:
  tenure license show acme-corp lic_0193...")]
    Show(Which),
    /// Renew it: a new revision with what the subscription allows now; the key stays
    #[command(after_help = "Examples:
  tenure license renew acme-corp lic_0193... --expires-at 2028-03-01")]
    Renew {
        #[command(flatten)]
        which: Which,
        /// When the new revision expires [default: the product's license term from now]
        #[arg(long, value_name = "MOMENT", value_parser = moment)]
        expires_at: Option<Timestamp>,
    },
    /// Take it back; connected installations learn of it with their next contact
    #[command(after_help = "Examples:
  tenure license revoke acme-corp lic_0193...")]
    Revoke(Which),
    /// Write its .lic file, to be carried where there is no network
    #[command(after_help = "Examples:
  tenure license file acme-corp lic_0193... -o acme.lic")]
    File {
        #[command(flatten)]
        which: Which,
        /// Where to write it [default: standard output]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Show its license key again; the audit trail says to whom
    #[command(after_help = "Examples:
  tenure license key acme-corp lic_0193...")]
    Key(Which),
    /// Write the public keys that a product's licenses verify with
    #[command(after_help = "Examples:
  tenure license keys incidentfox > jwks.json

Needs no credential. Ship the file with the product.")]
    Keys {
        /// Id of the product
        product: String,
        #[command(flatten)]
        common: Common,
    },
    Convert(Convert),
    Instances(Instances),
    Release(Release),
    Restore(Restore),
    /// Show the most that was held at once, by month
    #[command(after_help = "Examples:
  tenure license high-water acme-corp lic_0193...")]
    HighWater(Which),
    Answer(Answer),
    Report(Report),
    Revocations(Revocations),
    /// Verify a license with no network and no database
    Verify(Verify),
}

const COLUMNS: [output::Field; 7] = [
    ("license", "/id"),
    ("model", "/model"),
    ("status", "/status"),
    ("revision", "/revision"),
    ("key", "/key_hint"),
    ("issued", "/issued_at"),
    ("expires", "/expires_at"),
];
const FIELDS: [output::Field; 11] = [
    ("License", "/id"),
    ("Subscription", "/subscription_id"),
    ("Deployment", "/deployment_id"),
    ("Model", "/model"),
    ("Status", "/status"),
    ("Revision", "/revision"),
    ("Key", "/key_hint"),
    ("Issued", "/issued_at"),
    ("Expires", "/expires_at"),
    ("Revoked", "/revoked_at"),
    ("Out of date in", "/differs"),
];

impl License {
    /// Does it.
    pub(crate) async fn run(self) -> Result {
        match self.command {
            LicenseCommand::Verify(verify) => verify.run(),
            LicenseCommand::Convert(convert) => convert.run().await,
            LicenseCommand::Instances(instances) => instances.run().await,
            LicenseCommand::Release(release) => release.run().await,
            LicenseCommand::Restore(restore) => restore.run().await,
            LicenseCommand::HighWater(which) => instances::high_water(&which).await,
            LicenseCommand::Answer(answer) => answer.run().await,
            LicenseCommand::Report(report) => report.run().await,
            LicenseCommand::Revocations(revocations) => revocations.run().await,
            LicenseCommand::Issue { tenant, subscription, deployment, expires_at, common } => {
                let client = Client::new(&common)?;
                let id = client::subscription(&client, &tenant, subscription.as_deref()).await?;
                let mut body = json!({ "subscription": id, "expires_at": expires_at });
                if let Some(name) = deployment {
                    body["deployment"] =
                        client::deployment(&client, &tenant, Some(&name)).await?.into();
                }
                issued(&client.post(&["tenants", &tenant, "licenses"], &body).await?, common.json);
                Ok(())
            }
            LicenseCommand::List { tenant, paging, common } => {
                let path = ["tenants", &tenant, "licenses"];
                let all = Client::new(&common)?.find(&path, &paging.query()).await?;
                output::list(common.json, &all, &COLUMNS, "no licenses");
                Ok(())
            }
            LicenseCommand::Show(which) => which.show().await,
            LicenseCommand::Renew { which, expires_at } => {
                let client = Client::new(&which.common)?;
                let body = json!({ "expires_at": expires_at });
                issued(&client.post(&which.path("renew"), &body).await?, which.common.json);
                Ok(())
            }
            LicenseCommand::Revoke(which) => {
                let gone = Client::new(&which.common)?.act(&which.path("revoke")).await?;
                output::show(which.common.json, &gone, &FIELDS);
                Ok(())
            }
            LicenseCommand::File { which, output } => which.file(output).await,
            LicenseCommand::Key(which) => {
                let key = Client::new(&which.common)?.act(&which.path("key")).await?;
                if which.common.json {
                    output::json(&key);
                } else {
                    output::line(&output::text_at(&key, "/license_key"));
                }
                Ok(())
            }
            LicenseCommand::Keys { product, common } => {
                let path = [".well-known", "tenure", &product, "jwks.json"];
                let client = Client::new(&common)?;
                output::json(&client.json(client.request(Method::GET, &path)).await?);
                Ok(())
            }
        }
    }
}

impl Which {
    fn path<'a>(&'a self, what: &'a str) -> [&'a str; 5] {
        ["tenants", &self.tenant, "licenses", &self.license, what]
    }

    async fn show(&self) -> Result {
        let path = ["tenants", &self.tenant, "licenses", &self.license];
        let found = Client::new(&self.common)?.get(&path).await?;
        output::show(self.common.json, &found, &FIELDS);
        if !self.common.json {
            let revisions = json!({ "items": found["revisions"] });
            let columns = [
                ("revision", "/revision"),
                ("issued", "/issued_at"),
                ("expires", "/expires_at"),
                ("signed by", "/kid"),
            ];
            output::line("");
            output::list(false, &revisions, &columns, "no revisions");
            if found["stale"] == true {
                let renew = format!("tenure license renew {} {}", self.tenant, self.license);
                output::note(&format!("\nhint: the subscription has changed since; {renew}"));
            }
        }
        Ok(())
    }

    async fn file(&self, path: Option<PathBuf>) -> Result {
        let client = Client::new(&self.common)?;
        let request = client.admin(Method::GET, &self.path("file"));
        let text = client.send(request).await?.text().await?;
        match path {
            None => output::line(text.trim_end()),
            Some(path) => {
                // Worth as much as the license key.
                output::write_private(&path, text.as_bytes())?;
                output::note(&format!("wrote {}", path.display()));
            }
        }
        Ok(())
    }
}

fn issued(license: &Value, json: bool) {
    if json {
        return output::json(license);
    }
    output::show(false, license, &[("License key", "/license_key")]);
    output::show(false, &license["license"], &FIELDS);
    let id = output::text_at(license, "/license/id");
    output::note(&format!("\nIts file: tenure license file TENANT {id} -o FILE.lic"));
}
