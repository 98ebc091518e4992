//! The command groups, one file each.

mod audit;
mod bill;
mod client;
mod clock;
mod completions;
mod credential;
mod deployment;
mod env;
mod invoice;
mod key;
mod license;
mod product;
mod serve;
mod signing_key;
mod subscription;
mod tenant;
mod usage;
mod verify;

pub(crate) use product::load_text as load_product;
pub(crate) use usage::send as send_usage;

use clap::Subcommand;

use crate::{demo, error::Result};

/// What `tenure` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the control plane
    Serve(serve::Serve),
    /// Show everything with five products and believable customers
    Demo(demo::Demo),
    /// Check, show and load product files
    Product(product::Product),
    /// Make a customer that is ready to use a product, in one step
    Client(client::Client),
    /// Customers: register, change, suspend, carry elsewhere
    Tenant(tenant::Tenant),
    /// What a tenant bought: plans, seats, contracts
    Subscription(subscription::Subscription),
    /// API keys of a tenant
    Key(key::Key),
    /// The places where a product runs for a tenant
    Deployment(deployment::Deployment),
    /// The environment file of a deployment
    Env(env::Env),
    /// Issue licenses; verify them anywhere, with no network
    License(license::License),
    /// Send usage and see what was counted
    Usage(usage::Usage),
    /// What a subscription costs so far in the current period
    Bill(bill::Bill),
    /// Invoices: drafts, issued documents, corrections, credit
    Invoice(invoice::Invoice),
    /// What was changed, by whom; whether the record is whole
    Audit(audit::Audit),
    /// Credentials of the vendor's own people and programs
    Credential(credential::Credential),
    /// Read the server's clock; move it on a test installation
    Clock(clock::Clock),
    /// Print a completion script for a shell
    Completions(completions::Completions),
}

impl Command {
    /// Does it.
    pub(crate) async fn run(self) -> Result {
        match self {
            Self::Serve(command) => command.run().await,
            Self::Demo(command) => command.run().await,
            Self::Product(command) => command.run().await,
            Self::Client(command) => command.run().await,
            Self::Tenant(command) => command.run().await,
            Self::Subscription(command) => command.run().await,
            Self::Key(command) => command.run().await,
            Self::Deployment(command) => command.run().await,
            Self::Env(command) => command.run().await,
            Self::License(command) => command.run().await,
            Self::Usage(command) => command.run().await,
            Self::Bill(command) => command.run().await,
            Self::Invoice(command) => command.run().await,
            Self::Audit(command) => command.run().await,
            Self::Credential(command) => command.run().await,
            Self::Clock(command) => command.run().await,
            Self::Completions(command) => command.run(),
        }
    }
}
