//! `tenure demo`: everything with believable data, through the real API.
//!
//! Owns: a server process and its private PostgreSQL in a directory of their
//! own, five products, their customers, a month of usage, a year of invoices: its clock begins a
//! year ago and is moved to the present. Refuses: to touch any other installation. Ctrl-C leaves
//! nothing running; the next start goes on.

mod billing;
mod calendar;
mod customers;
mod process;
mod sending;
mod state;
mod steps;
mod traffic;
mod year;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Instant,
};

use clap::Args;
use jiff::Timestamp;
use tenure_core::Clock;
use tokio::signal::unix::{SignalKind, signal};

use self::{
    billing::Billed, customers::CUSTOMERS, process::ServerProcess, state::State, traffic::Month,
};
use crate::{
    client::Client,
    commands, data_dir,
    error::{Error, Result},
    output,
};

/// The product files that come with this version.
const PRODUCTS: [&str; 5] = [
    include_str!("../../../../products/agent-governance/product.toml"),
    include_str!("../../../../products/meeting-minutes/product.toml"),
    include_str!("../../../../products/dyocense/product.toml"),
    include_str!("../../../../products/kg-rca/product.toml"),
    include_str!("../../../../products/incidentfox/product.toml"),
];

/// Show everything with five products and believable customers
///
/// Starts a server with a private PostgreSQL whose clock begins a year ago, and lives through that year:
/// five products are sold to seventeen customers in all four deployment models, their usage is sent
/// through the API, each month is closed, invoiced and paid. Then the clock shows the present.
/// Stays up until Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenure demo
  tenure demo --quick                 an eighth of the usage, and the whole year
  tenure demo --fresh                 forget the last demonstration first
  tenure demo --listen 127.0.0.1:9000 --data-dir /srv/tenure

A second start goes on where the first one was, and sends the usage of the time between.")]
pub(crate) struct Demo {
    /// Where the server listens
    #[arg(
        long,
        env = "TENURE_LISTEN",
        hide_env_values = true,
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:8765"
    )]
    listen: SocketAddr,
    /// Everything is kept in its subdirectory `demo` [default: /var/lib/tenure for root, else
    /// ~/.local/share/tenure]
    #[arg(long, env = "TENURE_DATA_DIR", hide_env_values = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Load these product files instead of the ones that come with this version
    #[arg(long, value_name = "DIR")]
    products_dir: Option<PathBuf>,
    /// Send less usage
    #[arg(long)]
    quick: bool,
    /// Delete what an earlier demonstration left
    #[arg(long)]
    fresh: bool,
    /// Chooses among months that look alike
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Stop when all data is there: for tests
    #[arg(long)]
    exit_when_ready: bool,
}

impl Demo {
    /// Does it.
    pub(crate) async fn run(self) -> Result {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let stop = async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
        };
        tokio::pin!(stop);

        let base = self.data_dir.clone().unwrap_or_else(data_dir::default);
        let dir = base.join("demo");
        let _held = data_dir::hold(&base, "demo.lock")?;
        if self.fresh {
            state::wipe(&dir)?;
        }
        std::fs::create_dir_all(&dir).map_err(|error| Error::file(&dir, &error))?;
        let dir = dir.canonicalize()?;
        let mut state = self.state(&dir)?;
        say(&format!("Tenure demonstration in {}", dir.display()));

        let client = Client::to(&format!("http://{}", self.listen), Some(state.token.clone()))?;
        let begun = Instant::now();
        let clock_start = calendar::start(state.began)?;
        let started = ServerProcess::start(&dir, self.listen, &state.token, &client, clock_start);
        let mut server = tokio::select! {
            server = started => server?,
            () = &mut stop => return Ok(()),
        };
        step("server", &format!("ready on http://{} after {}", self.listen, since(begun)));

        let filled = tokio::select! {
            done = self.fill(&client, &dir, &mut state) => done.map(Some),
            () = &mut stop => Ok(None),
            error = server.ended() => Err(error),
        };
        let ended = match filled {
            Ok(Some(billed)) => {
                self.ready(&dir, &state, &billed, begun);
                tokio::select! {
                    () = &mut stop, if !self.exit_when_ready => Ok(()),
                    error = server.ended(), if !self.exit_when_ready => Err(error),
                    else => Ok(()),
                }
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        say("stopping the server and its PostgreSQL");
        server.stop().await;
        say("stopped; the next start goes on from here");
        ended
    }

    fn state(&self, dir: &Path) -> Result<State> {
        if let Some(known) = State::load(dir)? {
            return Ok(known);
        }
        let now = tenure_core::SystemClock.now().as_second();
        let hour = Timestamp::from_second(now - now % traffic::HOUR)?;
        State::new(dir, hour, self.seed, self.quick)
    }

    async fn fill(&self, client: &Client, dir: &Path, state: &mut State) -> Result<Billed> {
        self.products(client).await?;
        billing::name_seller(client).await?;
        let begun = Instant::now();
        if !state.arrived {
            year::live(client, state).await?;
            step("clock", &format!("a year in {}, and at the present", since(begun)));
        }
        self.licenses(client, dir).await?;
        self.usage(client, state).await?;
        billing::close(client).await?;
        let billed = billing::told(client).await?;
        let (issued, paid, drafts) = (billed.issued, billed.paid, billed.drafts);
        step("invoices", &format!("{issued} issued, {paid} of them paid, {drafts} in draft"));
        Ok(billed)
    }

    /// Licenses are issued at the present: what verifies them runs on real time.
    async fn licenses(&self, client: &Client, dir: &Path) -> Result {
        let mut carried = Vec::new();
        let mut licensed = 0;
        for customer in &CUSTOMERS {
            let subscription = steps::settle(client, customer).await?;
            if !matches!(customer.model, "self_hosted" | "air_gapped") {
                continue;
            }
            let license = steps::license(client, customer, &subscription).await?;
            licensed += 1;
            if customer.model == "air_gapped" {
                let said = steps::carry(client, dir, customer, &license).await?;
                carried.push(format!("{}.lic verified offline: {said}", customer.slug));
            }
        }
        step("licenses", &format!("{licensed} issued, signed with each product's own key"));
        carried.iter().for_each(|line| step("", line));
        Ok(())
    }

    async fn products(&self, client: &Client) -> Result {
        let files: Vec<String> = match &self.products_dir {
            None => PRODUCTS.iter().map(|text| (*text).to_owned()).collect(),
            Some(dir) => product_files(dir)?,
        };
        let mut loaded = Vec::new();
        for text in &files {
            let product = commands::load_product(client, text).await?;
            loaded.push(format!("{} v{}", output::text(&product["product"]), product["version"]));
        }
        step("products", &loaded.join(", "));
        Ok(())
    }

    async fn usage(&self, client: &Client, state: &mut State) -> Result {
        let month = Month::until(state, tenure_core::SystemClock.now());
        let begun = Instant::now();
        let sent = sending::usage(client, state, &month).await?;
        let said = match sent {
            0 => "all of it was sent before".to_owned(),
            _ => format!("{} events sent in {}", output::grouped(sent), since(begun)),
        };
        step("usage", &said);
        Ok(())
    }

    fn ready(&self, dir: &Path, state: &State, billed: &Billed, begun: Instant) {
        let explain = billed.explain.as_ref().map_or_else(String::new, |(slug, number, line)| {
            format!("\n  tenure invoice explain {slug} {number} {line}")
        });
        let corrected = billed.corrected.as_ref().map_or_else(String::new, |(slug, number)| {
            format!("\n  tenure invoice show {slug} {number}      corrects usage that came late")
        });
        let url = format!("http://{}", self.listen);
        let path = dir.display();
        output::line(&format!(
            "\nReady after {}.

  Console       {url}/console
  Sign in with  {}

Commands to try in another terminal:

  export TENURE_URL={url} TENURE_TOKEN={}
  tenure tenant list
  tenure bill acme-retail
  tenure invoice list --tenant acme-retail{explain}{corrected}
  tenure license verify {path}/polaris-defence.lic --keys {path}/incidentfox.jwks.json
",
            since(begun),
            state.token,
            state.token
        ));
        if !self.exit_when_ready {
            say("Ctrl-C stops everything; the next start goes on, --fresh begins anew.");
        }
    }
}

fn product_files(dir: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|error| Error::file(dir, &error))? {
        let file = entry?.path().join("product.toml");
        if file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    let read =
        |file: &PathBuf| std::fs::read_to_string(file).map_err(|error| Error::file(file, &error));
    files.iter().map(read).collect()
}

fn say(text: &str) {
    output::note(text);
}

fn step(name: &str, text: &str) {
    output::note(&format!("  {name:<10} {text}"));
}

fn since(begun: Instant) -> String {
    format!("{:.1} s", begun.elapsed().as_secs_f64())
}
