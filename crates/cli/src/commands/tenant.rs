//! `tenure tenant`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::{
    client::Client,
    common::{Common, Paging},
    error::{Error, Result},
    output,
};

/// Customers: register, change, suspend, carry elsewhere
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenure tenant list --product kg-rca
  tenure tenant create 'Acme Corp' --time-zone America/New_York
  tenure tenant show acme-corp")]
pub(crate) struct Tenant {
    #[command(subcommand)]
    command: TenantCommand,
    #[command(flatten)]
    common: Common,
}

/// What is known of a tenant.
#[derive(Debug, Args)]
struct Profile {
    /// IANA name of the time zone that days and months are counted in
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// A class that a discount is for: nonprofit, education
    #[arg(long, value_name = "CLASS")]
    customer_class: Option<String>,
    /// Where notices go
    #[arg(long, value_name = "ADDRESS")]
    contact_email: Option<String>,
    /// The customer's directory (Entra ID) tenant
    #[arg(long, value_name = "UUID")]
    azure_tenant_id: Option<String>,
}

impl Profile {
    fn body(self) -> Map<String, Value> {
        let fields = [
            ("time_zone", self.time_zone),
            ("customer_class", self.customer_class),
            ("contact_email", self.contact_email),
            ("azure_tenant_id", self.azure_tenant_id),
        ];
        let given = fields.into_iter().filter_map(|(name, value)| Some((name, value?)));
        given.map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
    }
}

#[derive(Debug, Subcommand)]
enum TenantCommand {
    /// Register a tenant
    #[command(after_help = "Examples:
  tenure tenant create 'Acme Corp'
  tenure tenant create 'Open Harvest' --customer-class nonprofit --time-zone Africa/Nairobi")]
    Create {
        /// For people
        name: String,
        /// Readable and unique [default: made from the name]
        #[arg(long)]
        slug: Option<String>,
        #[command(flatten)]
        profile: Profile,
    },
    /// List tenants, newest first
    #[command(after_help = "Examples:
  tenure tenant list
  tenure tenant list --q acme --status active
  tenure tenant list --model air_gapped --json | jq -r '.items[].slug'")]
    List {
        /// Part of the name or slug
        #[arg(long, value_name = "TEXT")]
        q: Option<String>,
        /// active, suspended or cancelled
        #[arg(long)]
        status: Option<String>,
        /// Only with a subscription to this product
        #[arg(long)]
        product: Option<String>,
        /// Only on this plan
        #[arg(long)]
        plan: Option<String>,
        /// Only in this model: managed, byoi, self_hosted, air_gapped
        #[arg(long)]
        model: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Show a tenant with its subscriptions
    #[command(after_help = "Examples:
  tenure tenant show acme-corp")]
    Show {
        /// Id or slug
        tenant: String,
    },
    /// Change a tenant; what is not named stays
    #[command(after_help = "Examples:
  tenure tenant update acme-corp --contact-email it@acme.example")]
    Update {
        /// Id or slug
        tenant: String,
        /// For people
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        profile: Profile,
    },
    /// Withhold access from a tenant
    #[command(after_help = "Examples:
  tenure tenant suspend acme-corp")]
    Suspend {
        /// Id or slug
        tenant: String,
    },
    /// Give access back to a tenant
    #[command(after_help = "Examples:
  tenure tenant resume acme-corp")]
    Resume {
        /// Id or slug
        tenant: String,
    },
    /// End a tenant and its subscriptions
    #[command(after_help = "Examples:
  tenure tenant cancel acme-corp")]
    Cancel {
        /// Id or slug
        tenant: String,
    },
    /// Write everything of a tenant into one archive
    #[command(after_help = "Examples:
  tenure tenant export acme-corp -o acme.tar.zst

The secrets inside are sealed with an export key, printed this once; import asks for it.")]
    Export {
        /// Id or slug
        tenant: String,
        /// Where to write it [default: <tenant>.tar.zst]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Read a tenant from an archive into this server
    #[command(after_help = "Examples:
  tenure tenant import acme.tar.zst --export-key KEY

API keys are made anew and printed this once.")]
    Import {
        /// The archive
        archive: PathBuf,
        /// What export printed
        #[arg(long, value_name = "KEY", env = "TENURE_EXPORT_KEY", hide_env_values = true)]
        export_key: String,
    },
    /// Delete a cancelled tenant and all its data, for ever
    #[command(after_help = "Examples:
  tenure tenant delete acme-corp --confirm acme-corp")]
    Delete {
        /// Id or slug
        tenant: String,
        /// The tenant's slug, once more
        #[arg(long, value_name = "SLUG")]
        confirm: String,
    },
}

const COLUMNS: [output::Field; 6] = [
    ("tenant", "/slug"),
    ("name", "/name"),
    ("status", "/status"),
    ("time zone", "/time_zone"),
    ("since", "/created_at"),
    ("id", "/id"),
];
const FIELDS: [output::Field; 12] = [
    ("Tenant", "/slug"),
    ("Name", "/name"),
    ("Status", "/status"),
    ("Time zone", "/time_zone"),
    ("Environment", "/environment"),
    ("Region", "/region"),
    ("Class", "/customer_class"),
    ("Contact", "/contact_email"),
    ("Directory", "/azure_tenant_id"),
    ("Registered", "/created_at"),
    ("Changed", "/updated_at"),
    ("Id", "/id"),
];

impl Tenant {
    /// Does it.
    pub(crate) async fn run(self) -> Result {
        let client = Client::new(&self.common)?;
        let json = self.common.json;
        let one = match self.command {
            TenantCommand::Create { name, slug, profile } => {
                let mut body = profile.body();
                body.insert("name".to_owned(), name.into());
                body.extend(slug.map(|slug| ("slug".to_owned(), slug.into())));
                client.post(&["tenants"], &Value::Object(body)).await?
            }
            TenantCommand::List { q, status, product, plan, model, paging } => {
                let fields = [
                    ("q", q),
                    ("status", status),
                    ("product", product),
                    ("plan", plan),
                    ("model", model),
                ];
                let mut query = paging.query();
                query.extend(fields.into_iter().filter_map(|(name, value)| Some((name, value?))));
                let tenants = client.find(&["tenants"], &query).await?;
                output::list(json, &tenants, &COLUMNS, "no tenants here");
                return Ok(());
            }
            TenantCommand::Show { tenant } => return show(&client, &tenant, json).await,
            TenantCommand::Update { tenant, name, profile } => {
                let mut body = profile.body();
                body.extend(name.map(|name| ("name".to_owned(), name.into())));
                if body.is_empty() {
                    return Err(Error::new("nothing to change")
                        .hint("name what to change, such as --contact-email; see --help"));
                }
                client.patch(&["tenants", &tenant], &Value::Object(body)).await?
            }
            TenantCommand::Suspend { tenant } => {
                client.act(&["tenants", &tenant, "suspend"]).await?
            }
            TenantCommand::Resume { tenant } => client.act(&["tenants", &tenant, "resume"]).await?,
            TenantCommand::Cancel { tenant } => client.act(&["tenants", &tenant, "cancel"]).await?,
            TenantCommand::Export { tenant, output } => {
                return export(&client, &tenant, output, json).await;
            }
            TenantCommand::Import { archive, export_key } => {
                return import(&client, &archive, &export_key, json).await;
            }
            TenantCommand::Delete { tenant, confirm } => {
                let request = client.admin(Method::DELETE, &["tenants", &tenant]);
                let gone = client.send(request.query(&[("confirm", &confirm)])).await?;
                let text = gone.text().await?;
                if json {
                    output::json(&serde_json::from_str(&text).unwrap_or(Value::Null));
                } else {
                    output::note(&format!(
                        "{confirm} is deleted; its audit chain is kept, unreadable"
                    ));
                }
                return Ok(());
            }
        };
        output::show(json, &one, &FIELDS);
        Ok(())
    }
}

async fn show(client: &Client, tenant: &str, json: bool) -> Result {
    let found = client.get(&["tenants", tenant]).await?;
    output::show(json, &found, &FIELDS);
    if !json {
        let subscriptions = client.get(&["tenants", tenant, "subscriptions"]).await?;
        output::line("");
        output::list(false, &subscriptions, &super::subscription::COLUMNS, "no subscriptions");
    }
    Ok(())
}

async fn export(client: &Client, tenant: &str, path: Option<PathBuf>, json: bool) -> Result {
    let path = path.unwrap_or_else(|| PathBuf::from(format!("{tenant}.tar.zst")));
    let request = client.admin(Method::GET, &["tenants", tenant, "export"]);
    let answer = client.send(request).await?;
    let key = answer.headers().get("tenure-export-key").and_then(|value| value.to_str().ok());
    let key = key.map(str::to_owned);
    let bytes = answer.bytes().await?;
    write_private(&path, &bytes)?;
    let done = json!({ "file": path, "bytes": bytes.len(), "export_key": key });
    output::show(
        json,
        &done,
        &[("File", "/file"), ("Bytes", "/bytes"), ("Export key", "/export_key")],
    );
    if !json {
        output::note(
            "\nImport asks for the export key. It is shown this once: keep it apart from the file.",
        );
    }
    Ok(())
}

/// An archive holds personal data: only its owner reads it.
fn write_private(path: &Path, bytes: &[u8]) -> Result {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path).map_err(|error| Error::file(path, &error))?;
    file.write_all(bytes).map_err(|error| Error::file(path, &error))
}

async fn import(client: &Client, archive: &Path, key: &str, json: bool) -> Result {
    let bytes = std::fs::read(archive).map_err(|error| Error::file(archive, &error))?;
    let request = client
        .admin(Method::POST, &["imports"])
        .header("content-type", "application/zstd")
        .header("tenure-export-key", key)
        .body(bytes);
    let done = client.json(request).await?;
    if json || done.pointer("/tenant/slug").is_none() {
        output::json(&done);
        return Ok(());
    }
    output::show(false, &done["tenant"], &FIELDS);
    let keys = json!({ "items": done["api_keys"] });
    output::line("");
    output::list(false, &keys, &[("API key", "/api_key"), ("name", "/key/name")], "no API keys");
    output::note("\nAPI keys are new and shown this once.");
    Ok(())
}
