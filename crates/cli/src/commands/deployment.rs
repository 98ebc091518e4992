//! `tenure deployment`.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::{
    client::{self, Client},
    common::{Common, pair},
    error::{Error, Result},
    output,
};

/// The places where a product runs for a tenant
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenure deployment list acme-corp
  tenure deployment show acme-corp live
  tenure deployment resources set acme-corp live database.url=postgres://...

A deployment is named by its id, or by its name where only one in use has it.")]
pub(crate) struct Deployment {
    #[command(subcommand)]
    command: DeploymentCommand,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum DeploymentCommand {
    /// List a tenant's deployments
    #[command(after_help = "Examples:
  tenure deployment list acme-corp")]
    List {
        /// Id or slug of the tenant
        tenant: String,
    },
    /// Show a deployment: what it needs, what is known of that, what is missing
    #[command(after_help = "Examples:
  tenure deployment show acme-corp
  tenure deployment show acme-corp staging --json | jq .resources.missing")]
    Show {
        /// Id or slug of the tenant
        tenant: String,
        /// Id or name [default: the only one in use]
        deployment: Option<String>,
    },
    /// Make another deployment for a subscription
    #[command(after_help = "Examples:
  tenure deployment create acme-corp --name staging --environment test")]
    Create(Box<New>),
    /// Take a deployment out of use; its licenses are revoked, its secrets destroyed
    #[command(after_help = "Examples:
  tenure deployment retire acme-corp staging")]
    Retire {
        /// Id or slug of the tenant
        tenant: String,
        /// Id or name
        deployment: String,
    },
    /// What is known of the resources that it needs
    #[command(subcommand)]
    Resources(ResourcesCommand),
}

#[derive(Debug, Args)]
struct New {
    /// Id or slug of the tenant
    tenant: String,
    /// Id of the subscription [default: the tenant's only one]
    #[arg(short, long, value_name = "ID")]
    subscription: Option<String>,
    /// What it is called [default: live or test]
    #[arg(long)]
    name: Option<String>,
    /// managed, byoi, self_hosted or air_gapped [default: the subscription's]
    #[arg(long)]
    model: Option<String>,
    /// The product's mode, where it has modes
    #[arg(long)]
    mode: Option<String>,
    /// live or test
    #[arg(long)]
    environment: Option<String>,
    /// Where
    #[arg(long)]
    region: Option<String>,
    /// The release that runs there
    #[arg(long)]
    release: Option<String>,
}

#[derive(Debug, Subcommand)]
enum ResourcesCommand {
    /// Record fields of resources; what is not named stays
    #[command(after_help = "Examples:
  tenure deployment resources set acme-corp live \\
      database.url=postgres://app:pw@db.acme.example/minutes llm.endpoint=https://llm.acme.example
  tenure deployment resources set acme-corp live storage.account=        forget a field

Secrets are sealed and never shown again.")]
    Set {
        /// Id or slug of the tenant
        tenant: String,
        /// Id or name of the deployment
        deployment: String,
        /// A field and its value; an empty value forgets it
        #[arg(required = true, value_name = "RESOURCE.FIELD=VALUE", value_parser = pair)]
        fields: Vec<(String, String)>,
    },
}

const COLUMNS: [output::Field; 8] = [
    ("deployment", "/id"),
    ("name", "/name"),
    ("model", "/model"),
    ("mode", "/mode"),
    ("environment", "/environment"),
    ("region", "/region"),
    ("release", "/release"),
    ("status", "/status"),
];
const FIELDS: [output::Field; 10] = [
    ("Deployment", "/id"),
    ("Name", "/name"),
    ("Subscription", "/subscription_id"),
    ("Model", "/model"),
    ("Mode", "/mode"),
    ("Environment", "/environment"),
    ("Region", "/region"),
    ("Release", "/release"),
    ("Status", "/status"),
    ("Still missing", "/resources/missing"),
];

impl Deployment {
    /// Does it.
    pub(crate) async fn run(self) -> Result {
        let client = Client::new(&self.common)?;
        let json = self.common.json;
        let one = match self.command {
            DeploymentCommand::List { tenant } => {
                let all = client.get(&["tenants", &tenant, "deployments"]).await?;
                output::list(json, &all, &COLUMNS, "no deployments");
                return Ok(());
            }
            DeploymentCommand::Show { tenant, deployment } => {
                let id = client::deployment(&client, &tenant, deployment.as_deref()).await?;
                client.get(&["tenants", &tenant, "deployments", &id]).await?
            }
            DeploymentCommand::Create(new) => {
                let id = client::subscription(&client, &new.tenant, new.subscription.as_deref());
                let body = json!({
                    "subscription": id.await?, "name": new.name, "model": new.model,
                    "mode": new.mode, "environment": new.environment, "region": new.region,
                    "release": new.release,
                });
                client.post(&["tenants", &new.tenant, "deployments"], &body).await?
            }
            DeploymentCommand::Retire { tenant, deployment } => {
                let id = client::deployment(&client, &tenant, Some(&deployment)).await?;
                client.act(&["tenants", &tenant, "deployments", &id, "retire"]).await?
            }
            DeploymentCommand::Resources(ResourcesCommand::Set { tenant, deployment, fields }) => {
                let id = client::deployment(&client, &tenant, Some(&deployment)).await?;
                let path = ["tenants", &tenant, "deployments", &id, "resources"];
                client.put(&path, &profile(&fields)?).await?
            }
        };
        output::show(json, &one, &FIELDS);
        if !json {
            resources(&one);
        }
        Ok(())
    }
}

/// `database.url=...` as `{"database": {"url": ...}}`.
fn profile(fields: &[(String, String)]) -> Result<Value> {
    let mut profile = Map::new();
    for (name, value) in fields {
        let (resource, field) = name.split_once('.').ok_or_else(|| {
            Error::new(format!("`{name}` names no field"))
                .hint("write RESOURCE.FIELD=VALUE, such as database.url=postgres://...")
        })?;
        let entry = profile.entry(resource).or_insert_with(|| json!({}));
        entry[field] = Some(value).filter(|value| !value.is_empty()).cloned().into();
    }
    Ok(Value::Object(profile))
}

fn resources(deployment: &Value) {
    let mut rows = Vec::new();
    for (id, resource) in deployment["resources"]["resources"].as_object().into_iter().flatten() {
        for (name, field) in resource["fields"].as_object().into_iter().flatten() {
            let value = match (field["value"].as_str(), field["set"] == true) {
                (Some(value), _) => value.to_owned(),
                (None, true) => "sealed".to_owned(),
                _ if resource["optional"] == true => "-".to_owned(),
                _ => "missing".to_owned(),
            };
            rows.push(vec![format!("{id}.{name}"), output::text(&resource["kind"]), value]);
        }
    }
    if !rows.is_empty() {
        output::line("");
        output::line(&output::table(&["field", "kind", "value"], rows));
    }
}
