//! `tenure serve`.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use clap::{Args, ValueEnum};
use tenure_server::{Config, Server, products::signing::pkcs11, vault::Vault};
use tenure_tenancy::{
    DbSettings, POOL_CONNECTIONS_MAX,
    local::{Cluster, Durability},
};
use tokio::{
    io::AsyncReadExt,
    signal::unix::{Signal, SignalKind, signal},
};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    common::moment,
    data_dir,
    error::{Error, Result},
    output,
};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// A line for people
    Text,
    /// An object a line, for collectors
    Json,
}

/// Run the control plane
///
/// Without a database URL it starts a private PostgreSQL in the data directory, and stops it again.
/// The first start makes a master key and shows the first credential once.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenure serve
  tenure serve --products-dir products --listen 0.0.0.0:8765
  TENURE_DATABASE_URL=postgres://tenure:secret@db.internal/tenure tenure serve --log-format json")]
pub(crate) struct Serve {
    /// PostgreSQL 15 or newer; a private one is started when absent
    #[arg(long, env = "TENURE_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<String>,
    /// A login that may create roles, for the first start, where the database URL's may not
    #[arg(long, env = "TENURE_OWNER_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    owner_database_url: Option<String>,
    /// Where to listen
    #[arg(
        long,
        env = "TENURE_LISTEN",
        hide_env_values = true,
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:8765"
    )]
    listen: SocketAddr,
    /// Where the master key and the private database live [default: /var/lib/tenure for root, else
    /// ~/.local/share/tenure]
    #[arg(long, env = "TENURE_DATA_DIR", hide_env_values = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The key that seals every secret; made on the first start: back it up [default: master.key in
    /// the data directory]
    #[arg(long, env = "TENURE_MASTER_KEY_FILE", hide_env_values = true, value_name = "FILE")]
    master_key_file: Option<PathBuf>,
    /// The first vendor credential; made and shown once when absent
    #[arg(long, env = "TENURE_ADMIN_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    admin_token: Option<String>,
    /// Load the product files in this directory at start
    #[arg(long, env = "TENURE_PRODUCTS_DIR", hide_env_values = true, value_name = "DIR")]
    products_dir: Option<PathBuf>,
    /// Where people reach this server, for links [default: http://<listen>]
    #[arg(long, env = "TENURE_PUBLIC_URL", hide_env_values = true, value_name = "URL")]
    public_url: Option<String>,
    /// Allow `tenure clock --to`; marks the database as a test database for ever
    #[arg(long, env = "TENURE_TEST_CLOCK", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new())]
    test_clock: bool,
    /// Where the test clock of a new database begins, such as 2025-11-01T00:00:00Z; a database that is
    /// there already keeps its own clock [default: now]
    #[arg(
        long,
        env = "TENURE_TEST_CLOCK_START",
        hide_env_values = true,
        value_name = "MOMENT",
        value_parser = moment,
        requires = "test_clock"
    )]
    test_clock_start: Option<jiff::Timestamp>,
    /// License tokens remembered as verified, at most; 0 verifies each one anew
    #[arg(
        long,
        env = "TENURE_VERIFIED_TOKENS_MAX",
        hide_env_values = true,
        value_name = "NUMBER",
        default_value_t = tenure_server::config::VERIFIED_TOKENS_MAX
    )]
    verified_tokens_max: usize,
    /// Leave closing periods and issuing invoices to other processes of this installation
    #[arg(long, env = "TENURE_WITHOUT_JOBS", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new())]
    without_jobs: bool,
    /// Hours between the end of a billing period and its invoice, for usage that comes late
    #[arg(
        long,
        env = "TENURE_INVOICE_GRACE_HOURS",
        hide_env_values = true,
        value_name = "HOURS",
        default_value_t = tenure_server::config::INVOICE_GRACE_HOURS,
        value_parser = clap::value_parser!(u32).range(0..=720)
    )]
    invoice_grace_hours: u32,
    /// The PKCS#11 module in which new signing keys are made; the private keys never leave it
    #[arg(
        long,
        env = "TENURE_PKCS11_MODULE",
        hide_env_values = true,
        value_name = "FILE",
        requires_all = ["pkcs11_token", "pkcs11_pin_file"]
    )]
    pkcs11_module: Option<PathBuf>,
    /// The label of the token in the PKCS#11 module
    #[arg(
        long,
        env = "TENURE_PKCS11_TOKEN",
        hide_env_values = true,
        value_name = "LABEL",
        requires = "pkcs11_module"
    )]
    pkcs11_token: Option<String>,
    /// The file with the PIN of the token; only its owner may read it
    #[arg(
        long,
        env = "TENURE_PKCS11_PIN_FILE",
        hide_env_values = true,
        value_name = "FILE",
        requires = "pkcs11_module"
    )]
    pkcs11_pin_file: Option<PathBuf>,
    /// How log lines look
    #[arg(
        long,
        env = "TENURE_LOG_FORMAT",
        hide_env_values = true,
        value_name = "FORMAT",
        default_value = "text"
    )]
    log_format: LogFormat,
    /// What is logged, as for RUST_LOG
    #[arg(
        long,
        env = "TENURE_LOG",
        hide_env_values = true,
        value_name = "FILTER",
        default_value = "info,sqlx=warn"
    )]
    log: String,
    /// Stop when standard input closes: a parent that dies takes this process with it
    #[arg(long, hide = true)]
    until_stdin_closes: bool,
}

impl Serve {
    /// Starts, serves until told to stop, stops in order.
    pub(crate) async fn run(self) -> Result {
        self.start_log()?;
        // Before anything starts: a signal meanwhile is kept, not lost.
        let mut stop = Stop::new(self.until_stdin_closes)?;
        let dir = self.data_dir.clone().unwrap_or_else(data_dir::default);
        let key = self.master_key_file.clone().unwrap_or_else(|| dir.join("master.key"));
        let held = match &self.database_url {
            Some(_) => None,
            None => Some(data_dir::hold(&dir, "serve.lock")?),
        };
        let vault = Vault::load_or_create(&key)?;
        let cluster = match &self.database_url {
            Some(_) => None,
            None => Some(start_cluster(dir.clone()).await?),
        };
        let served = self.serve(cluster.as_ref(), vault, &mut stop).await;
        if let Some(cluster) = cluster {
            // Dropping it waits for PostgreSQL to end.
            tokio::task::spawn_blocking(move || drop(cluster)).await?;
        }
        drop(held);
        served
    }

    async fn serve(&self, cluster: Option<&Cluster>, vault: Vault, stop: &mut Stop) -> Result {
        let url = self.database_url.as_deref().or(cluster.map(Cluster::url)).unwrap_or_default();
        let database = DbSettings {
            url: url.to_owned(),
            owner_url: self.owner_database_url.clone(),
            secret: vault.roles().clone(),
            connections_max: POOL_CONNECTIONS_MAX,
        };
        let public_url =
            self.public_url.clone().unwrap_or_else(|| format!("http://{}", self.listen));
        let config = Config {
            listen: self.listen,
            admin_token: self.admin_token.clone(),
            products_dir: self.products_dir.clone(),
            test_clock: self.test_clock,
            test_clock_start: self.test_clock_start,
            public_url,
            verified_tokens_max: self.verified_tokens_max,
            jobs: !self.without_jobs,
            invoice_grace_hours: self.invoice_grace_hours,
            pkcs11: self.pkcs11(),
        };
        let clock = Arc::new(tenure_core::SystemClock);
        let started = tokio::select! {
            started = Server::start_with_clock(config, database, vault, clock) => started?,
            () = stop.wait() => return Ok(()),
        };
        for loaded in &started.products {
            let what = if loaded.created { "new version" } else { "unchanged" };
            output::note(&format!(
                "product {} version {} ({what})",
                loaded.product, loaded.version
            ));
        }
        let address = started.server.address();
        output::note(&format!("tenure {} listens on http://{address}", env!("CARGO_PKG_VERSION")));
        if let Some(token) = started.first_token {
            output::note(&format!(
                "\nThe first vendor credential. It is shown this once: keep it safe.\n\n  {}\n\n\
                 Try: TENURE_TOKEN=... tenure product list --url http://{address}\n",
                *token
            ));
        }
        stop.wait().await;
        output::note("stopping: no new requests, waiting for those under way");
        started.server.stop().await;
        output::note("stopped");
        Ok(())
    }

    /// The security module, where all of it is said; the command line takes all or none.
    fn pkcs11(&self) -> Option<pkcs11::Settings> {
        Some(pkcs11::Settings {
            module: self.pkcs11_module.clone()?,
            token: self.pkcs11_token.clone()?,
            pin_file: self.pkcs11_pin_file.clone()?,
        })
    }

    fn start_log(&self) -> Result {
        let filter = EnvFilter::try_new(&self.log)
            .map_err(|error| Error::new(format!("--log `{}`: {error}", self.log)))?;
        let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(false);
        let registry = tracing_subscriber::registry().with(filter);
        match self.log_format {
            LogFormat::Text => registry.with(lines).init(),
            LogFormat::Json => registry.with(lines.json()).init(),
        }
        Ok(())
    }
}

async fn start_cluster(dir: PathBuf) -> Result<Cluster> {
    output::note(&format!("starting a private PostgreSQL in {}", dir.display()));
    let started =
        tokio::task::spawn_blocking(move || Cluster::start(&dir, Durability::Full)).await?;
    Ok(started?)
}

/// The ways to ask for an orderly end.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
    with_stdin: bool,
}

impl Stop {
    fn new(with_stdin: bool) -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            with_stdin,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = stdin_closed(), if self.with_stdin => {}
        }
    }
}

async fn stdin_closed() {
    let mut stdin = tokio::io::stdin();
    let mut ignored = [0u8; 64];
    while stdin.read(&mut ignored).await.is_ok_and(|count| count > 0) {}
}
