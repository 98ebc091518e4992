//! `tenure subscription`.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    client::{self, Client},
    common::{Common, moment, pair},
    error::{Error, Result},
    output,
};

/// What a tenant bought: plans, seats, contracts
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenure subscription create acme-corp --product kg-rca --plan pro
  tenure subscription list acme-corp
  tenure subscription move acme-corp --plan enterprise

SUBSCRIPTION may be left out where the tenant has one in use.")]
pub(crate) struct Subscription {
    #[command(subcommand)]
    command: SubscriptionCommand,
    #[command(flatten)]
    common: Common,
}

/// Which subscription of which tenant.
#[derive(Debug, Args)]
struct Which {
    /// Id or slug of the tenant
    tenant: String,
    /// Id of the subscription [default: the tenant's only one]
    subscription: Option<String>,
}

#[derive(Debug, Subcommand)]
enum SubscriptionCommand {
    /// Sell a plan to a tenant
    #[command(after_help = "Examples:
  tenure subscription create acme-corp --product kg-rca --plan pro
  tenure subscription create acme-corp --product meeting-minutes --plan pro --item base=40 --trial
  tenure subscription create acme-corp --product incidentfox --plan enterprise --model air_gapped")]
    Create(Box<New>),
    /// List a tenant's subscriptions
    #[command(after_help = "Examples:
  tenure subscription list acme-corp")]
    List {
        /// Id or slug of the tenant
        tenant: String,
    },
    /// Show a subscription and what it may do now
    #[command(after_help = "Examples:
  tenure subscription show acme-corp
  tenure subscription show acme-corp --json | jq .entitlements.features")]
    Show(Which),
    /// Move to another plan, or to the newest version's terms
    #[command(
        name = "move",
        after_help = "Examples:
  tenure subscription move acme-corp --plan enterprise
  tenure subscription move acme-corp                      keep the plan, take the newest terms"
    )]
    Move {
        #[command(flatten)]
        which: Which,
        /// Id of the plan [default: the present one]
        #[arg(long)]
        plan: Option<String>,
    },
    /// Activate: a trial that is bought, a suspended one that is settled
    #[command(after_help = "Examples:
  tenure subscription activate acme-corp")]
    Activate(Which),
    /// Withhold access
    #[command(after_help = "Examples:
  tenure subscription suspend acme-corp")]
    Suspend(Which),
    /// End it
    #[command(after_help = "Examples:
  tenure subscription cancel acme-corp")]
    Cancel(Which),
    /// Set how much of a charge is held: seats, add-ons, services
    #[command(after_help = "Examples:
  tenure subscription set-item acme-corp base=55
  tenure subscription set-item acme-corp premium-sla=1 --from 2026-04-01")]
    SetItem {
        /// Id or slug of the tenant
        tenant: String,
        /// The charge and how many; 0 ends it
        #[arg(value_name = "CHARGE=QUANTITY", value_parser = pair)]
        item: (String, String),
        /// Id of the subscription [default: the tenant's only one]
        #[arg(short, long, value_name = "ID")]
        subscription: Option<String>,
        /// From when [default: now]
        #[arg(long, value_name = "MOMENT", value_parser = moment)]
        from: Option<Timestamp>,
    },
    /// Negotiated prices, limits, features and discounts
    #[command(subcommand)]
    Contract(ContractCommand),
}

#[derive(Debug, Args)]
struct New {
    /// Id or slug of the tenant
    tenant: String,
    /// Id of the product; may be left out where the server knows one
    #[arg(long)]
    product: Option<String>,
    /// Id of the plan [default: starter, or else the first]
    #[arg(long)]
    plan: Option<String>,
    /// managed, byoi, self_hosted or air_gapped [default: the plan's first]
    #[arg(long)]
    model: Option<String>,
    /// The product's mode, where it has modes
    #[arg(long)]
    mode: Option<String>,
    /// What it is billed in, for good, such as EUR [default: the product's first currency]
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    /// Begin with the plan's free trial
    #[arg(long)]
    trial: bool,
    /// When it begins; may lie in the past [default: now]
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    starts_at: Option<Timestamp>,
    /// Length of the term signed for
    #[arg(long, value_name = "YEARS", value_parser = clap::value_parser!(i32).range(1..=10))]
    term_years: Option<i32>,
    /// A year is paid ahead
    #[arg(long)]
    prepaid: bool,
    /// Be blocked at this limit rather than charged (repeatable)
    #[arg(long = "hard-stop", value_name = "LIMIT")]
    hard_stops: Vec<String>,
    /// A charge held from the start: seats, an add-on (repeatable)
    #[arg(long = "item", value_name = "CHARGE=QUANTITY", value_parser = pair)]
    items: Vec<(String, String)>,
}

#[derive(Debug, Subcommand)]
enum ContractCommand {
    /// Add a contract to a subscription
    #[command(after_help = "Examples:
  tenure subscription contract add acme-corp --reason 'Quote Q-118' --approver cfo@vendor.example \\
      --price base=180000/year --limit teams=40 --discount 'Launch partner=12.5'")]
    Add(Box<NewContract>),
    /// List a subscription's contracts
    #[command(after_help = "Examples:
  tenure subscription contract list acme-corp")]
    List(Which),
}

#[derive(Debug, Args)]
struct NewContract {
    #[command(flatten)]
    which: Which,
    /// Why, for whoever reads it in a year
    #[arg(long)]
    reason: String,
    /// Who agreed on the vendor's side
    #[arg(long)]
    approver: String,
    /// It holds from this moment [default: now]
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    from: Option<Timestamp>,
    /// It holds before this moment [default: without end]
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    to: Option<Timestamp>,
    /// A price that replaces the listed one; `base` is the plan's (repeatable)
    #[arg(long = "price", value_name = "CHARGE=AMOUNT[/month|/year]", value_parser = pair)]
    prices: Vec<(String, String)>,
    /// A limit that replaces the plan's (repeatable)
    #[arg(long = "limit", value_name = "LIMIT=NUMBER|unlimited", value_parser = pair)]
    limits: Vec<(String, String)>,
    /// A feature on top of the plan's (repeatable)
    #[arg(long = "feature", value_name = "FEATURE")]
    features: Vec<String>,
    /// A reduction (repeatable)
    #[arg(long = "discount", value_name = "NAME=PERCENT", value_parser = pair)]
    discounts: Vec<(String, String)>,
}

/// How subscriptions are listed.
pub(crate) const COLUMNS: [output::Field; 7] = [
    ("subscription", "/id"),
    ("product", "/product"),
    ("plan", "/plan"),
    ("model", "/model"),
    ("mode", "/mode"),
    ("status", "/status"),
    ("began", "/anchor"),
];
const FIELDS: [output::Field; 14] = [
    ("Subscription", "/id"),
    ("Product", "/product"),
    ("Plan", "/plan"),
    ("Terms of version", "/catalog_version"),
    ("Model", "/model"),
    ("Mode", "/mode"),
    ("Status", "/status"),
    ("Began", "/anchor"),
    ("Billed by the", "/interval"),
    ("Term in years", "/term_years"),
    ("Trial ends", "/trial_ends_at"),
    ("Cancelled", "/cancelled_at"),
    ("Hard stops", "/hard_stops"),
    ("Billing account", "/billing_account_id"),
];
const CONTRACTS: [output::Field; 6] = [
    ("contract", "/id"),
    ("from", "/valid_from"),
    ("to", "/valid_to"),
    ("approver", "/approver"),
    ("reason", "/reason"),
    ("added", "/created_at"),
];

impl Subscription {
    /// Does it.
    pub(crate) async fn run(self) -> Result {
        let client = Client::new(&self.common)?;
        let json = self.common.json;
        let one = match self.command {
            SubscriptionCommand::Create(new) => {
                client.post(&["tenants", &new.tenant, "subscriptions"], &new.body()).await?
            }
            SubscriptionCommand::List { tenant } => {
                let all = client.get(&["tenants", &tenant, "subscriptions"]).await?;
                output::list(json, &all, &COLUMNS, "no subscriptions");
                return Ok(());
            }
            SubscriptionCommand::Show(which) => return show(&client, &which, json).await,
            SubscriptionCommand::Move { which, plan } => {
                let body = plan.map_or_else(|| json!({}), |plan| json!({ "plan": plan }));
                let id = which.id(&client).await?;
                client
                    .post(&["tenants", &which.tenant, "subscriptions", &id, "move"], &body)
                    .await?
            }
            SubscriptionCommand::Activate(which) => which.act(&client, "activate").await?,
            SubscriptionCommand::Suspend(which) => which.act(&client, "suspend").await?,
            SubscriptionCommand::Cancel(which) => which.act(&client, "cancel").await?,
            SubscriptionCommand::SetItem {
                tenant,
                item: (charge, quantity),
                subscription,
                from,
            } => {
                let id = client::subscription(&client, &tenant, subscription.as_deref()).await?;
                let body = json!({ "charge": charge, "quantity": quantity, "from": from });
                client.put(&["tenants", &tenant, "subscriptions", &id, "items"], &body).await?
            }
            SubscriptionCommand::Contract(command) => return command.run(&client, json).await,
        };
        output::show(json, &one, &FIELDS);
        items(json, &one);
        Ok(())
    }
}

impl Which {
    async fn id(&self, client: &Client) -> Result<String> {
        client::subscription(client, &self.tenant, self.subscription.as_deref()).await
    }

    async fn act(&self, client: &Client, what: &str) -> Result<Value> {
        let id = self.id(client).await?;
        client.act(&["tenants", &self.tenant, "subscriptions", &id, what]).await
    }
}

impl New {
    fn body(&self) -> Value {
        let item = |(charge, quantity): &(String, String)| json!({ "charge": charge, "quantity": quantity });
        json!({
            "product": self.product, "plan": self.plan, "model": self.model, "mode": self.mode,
            "currency": self.currency, "trial": self.trial, "starts_at": self.starts_at, "term_years": self.term_years,
            "prepaid": self.prepaid, "hard_stops": self.hard_stops,
            "items": self.items.iter().map(item).collect::<Vec<_>>(),
        })
    }
}

fn items(json: bool, subscription: &Value) {
    let held = subscription["items"].as_array().is_some_and(|items| !items.is_empty());
    if !json && held {
        output::line("");
        let columns =
            [("charge", "/charge"), ("quantity", "/quantity"), ("from", "/from"), ("to", "/to")];
        output::list(false, subscription, &columns, "");
    }
}

async fn show(client: &Client, which: &Which, json: bool) -> Result {
    let id = which.id(client).await?;
    let path = ["tenants", &which.tenant, "subscriptions", &id];
    let mut found = client.get(&path).await?;
    let may = client.get(&[&path[..], &["entitlements"]].concat()).await?;
    if json {
        found["entitlements"] = may;
        output::json(&found);
        return Ok(());
    }
    output::show(false, &found, &FIELDS);
    items(false, &found);
    output::line("");
    entitlements(&may);
    Ok(())
}

/// What a subscription may do, for people.
fn entitlements(may: &Value) {
    let ids = |value: &Value| -> String {
        let id = |one: &Value| one.get("id").map_or_else(|| output::text(one), output::text);
        let all: Vec<String> = value.as_array().into_iter().flatten().map(id).collect();
        if all.is_empty() { "-".to_owned() } else { all.join(", ") }
    };
    output::record(&[("Features".to_owned(), ids(&may["features"]))]);
    let limits: Vec<Vec<String>> = match &may["limits"] {
        Value::Array(all) => {
            all.iter().map(|one| limit(&output::text_at(one, "/id"), one)).collect()
        }
        Value::Object(all) => all.iter().map(|(id, one)| limit(id, one)).collect(),
        _ => Vec::new(),
    };
    if !limits.is_empty() {
        output::line("");
        output::line(&output::table(&["limit", "included", "per", "past it"], limits));
    }
}

fn limit(id: &str, one: &Value) -> Vec<String> {
    let included = match &one["included"] {
        Value::Null => "unlimited".to_owned(),
        value => output::quantity(value),
    };
    let over = match &one["over"] {
        _ if one["included"].is_null() => "-".to_owned(),
        Value::Object(over) => over.values().find_map(Value::as_str).unwrap_or("-").to_owned(),
        value => output::text(value),
    };
    vec![id.to_owned(), included, output::text(&one["per"]), over]
}

impl ContractCommand {
    async fn run(self, client: &Client, json: bool) -> Result {
        match self {
            Self::List(which) => {
                let id = which.id(client).await?;
                let path = ["tenants", &which.tenant, "subscriptions", &id, "contracts"];
                output::list(json, &client.get(&path).await?, &CONTRACTS, "no contracts");
            }
            Self::Add(new) => {
                let id = new.which.id(client).await?;
                let path = ["tenants", &new.which.tenant, "subscriptions", &id, "contracts"];
                output::show(json, &client.post(&path, &new.body()?).await?, &CONTRACTS_SHOWN);
            }
        }
        Ok(())
    }
}

const CONTRACTS_SHOWN: [output::Field; 5] = [
    ("Contract", "/id"),
    ("From", "/valid_from"),
    ("To", "/valid_to"),
    ("Approver", "/approver"),
    ("Reason", "/reason"),
];

impl NewContract {
    fn body(&self) -> Result<Value> {
        let price = |(charge, amount): &(String, String)| {
            let (amount, every) = match amount.split_once('/') {
                Some((amount, every @ ("month" | "year"))) => (amount, Some(every)),
                Some((_, other)) => {
                    let wrong = format!("--price {charge}: `/{other}` is neither /month nor /year");
                    return Err(Error::new(wrong));
                }
                None => (amount.as_str(), None),
            };
            Ok(json!({ "charge": charge, "amount": amount, "every": every }))
        };
        let limit = |(limit, included): &(String, String)| {
            let included = Some(included).filter(|included| *included != "unlimited");
            json!({ "limit": limit, "included": included })
        };
        let discount =
            |(name, percent): &(String, String)| json!({ "name": name, "percent": percent });
        Ok(json!({
            "reason": self.reason, "approver": self.approver,
            "valid_from": self.from, "valid_to": self.to,
            "changes": {
                "prices": self.prices.iter().map(price).collect::<Result<Vec<_>>>()?,
                "limits": self.limits.iter().map(limit).collect::<Vec<_>>(),
                "features": self.features,
                "discounts": self.discounts.iter().map(discount).collect::<Vec<_>>(),
            },
        }))
    }
}
