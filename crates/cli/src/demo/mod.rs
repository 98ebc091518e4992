//! `tenure demo`: everything with believable data, through the real API.
//!
//! Owns: a server process and its private PostgreSQL in a directory of their
//! own, five products, their customers, a month of usage, months of invoices. Refuses: to touch any
//! other installation. Ctrl-C leaves nothing running; the next start goes on.

mod billing;
mod customers;
mod process;
mod state;
mod steps;
mod traffic;

use std::{
    io::IsTerminal,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Instant,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tenure_core::Clock;
use tokio::signal::unix::{SignalKind, signal};

use self::{
    billing::Billed,
    customers::{CUSTOMERS, Customer},
    process::ServerProcess,
    state::State,
    traffic::Month,
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
const SECONDS_AN_HOUR: i64 = 3_600;

/// Show everything with five products and believable customers
///
/// Starts a server with a private PostgreSQL, sells five products to seventeen customers in all four
/// deployment models, sends a month of their usage through the API and closes the months before.
/// Stays up until Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenure demo
  tenure demo --quick                 an eighth of the usage
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
        let mut server = tokio::select! {
            server = self.server(&dir, &state, &client, state.billed) => server?,
            () = &mut stop => return Ok(()),
        };
        step("server", &format!("ready on http://{} after {}", self.listen, since(begun)));

        let ended = tokio::select! {
            done = self.fill(&client, &dir, &mut state) => done.map(|()| true),
            () = &mut stop => Ok(false),
            error = server.ended() => Err(error),
        };
        // Months are closed when all of their usage is there: until then no job runs.
        let ended = match ended {
            Ok(true) if !state.billed => {
                server.stop().await;
                server = tokio::select! {
                    server = self.server(&dir, &state, &client, true) => server?,
                    () = &mut stop => return Ok(()),
                };
                Ok(true)
            }
            other => other,
        };
        let billed = match ended {
            Ok(true) => tokio::select! {
                billed = self.billing(&client, &mut state) => billed.map(Some),
                () = &mut stop => Ok(None),
                error = server.ended() => Err(error),
            },
            Ok(false) => Ok(None),
            Err(error) => Err(error),
        };
        let ended = match billed {
            Ok(Some(billed)) => {
                self.ready(&dir, &state, &billed, begun);
                if self.exit_when_ready {
                    Ok(())
                } else {
                    tokio::select! {
                        () = &mut stop => Ok(()),
                        error = server.ended() => Err(error),
                    }
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

    async fn server(
        &self,
        dir: &Path,
        state: &State,
        client: &Client,
        with_jobs: bool,
    ) -> Result<ServerProcess> {
        ServerProcess::start(dir, self.listen, &state.token, client, with_jobs).await
    }

    async fn billing(&self, client: &Client, state: &mut State) -> Result<Billed> {
        let begun = Instant::now();
        let billed = billing::history(client, state).await?;
        let (issued, paid, drafts) = (billed.issued, billed.paid, billed.drafts);
        step(
            "invoices",
            &format!(
                "{issued} issued, {paid} of them paid, {drafts} in draft, in {}",
                since(begun)
            ),
        );
        Ok(billed)
    }

    fn state(&self, dir: &Path) -> Result<State> {
        if let Some(known) = State::load(dir)? {
            return Ok(known);
        }
        let now = tenure_core::SystemClock.now().as_second();
        let hour = Timestamp::from_second(now - now % SECONDS_AN_HOUR)?;
        State::new(dir, hour, self.seed, self.quick)
    }

    async fn fill(&self, client: &Client, dir: &Path, state: &mut State) -> Result {
        self.products(client).await?;
        let subscriptions = customers(client, state).await?;
        let mut carried = Vec::new();
        let mut licensed = 0;
        for (customer, subscription) in CUSTOMERS.iter().zip(&subscriptions) {
            match customer.model {
                "byoi" => {
                    let status = steps::resources(client, customer).await?;
                    step("resources", &format!("{} recorded its own: {status}", customer.name));
                }
                "self_hosted" | "air_gapped" => {
                    let license = steps::license(client, customer, subscription).await?;
                    licensed += 1;
                    if customer.model == "air_gapped" {
                        let said = steps::carry(client, dir, customer, &license).await?;
                        carried.push(format!("{}.lic verified offline: {said}", customer.slug));
                    }
                }
                _ => {}
            }
        }
        step("licenses", &format!("{licensed} issued, signed with each product's own key"));
        carried.iter().for_each(|line| step("", line));
        self.usage(client, state).await
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
        let begin = state.began - SignedDuration::from_hours(24 * steps::DAYS);
        let now = tenure_core::SystemClock.now();
        let hours = (now.as_second() - begin.as_second()) / SECONDS_AN_HOUR;
        let month = Month { begin, hours, seed: state.seed, quick: state.quick };
        let left = |customer: &Customer| {
            let sent = state.sent_hours.get(customer.slug).copied();
            month.count(customer, sent.unwrap_or_else(|| steps::first_hour(customer)))
        };
        let total: u64 = CUSTOMERS.iter().map(left).sum();
        let bar = progress(total);
        let begun = Instant::now();
        let sent = steps::usage(client, state, &month, &CUSTOMERS, &bar).await?;
        bar.finish_and_clear();
        let seconds = begun.elapsed().as_secs().max(1);
        let pace = format!("{} events a second", output::grouped(sent / seconds));
        step(
            "usage",
            &format!("{} events sent in {} ({pace})", output::grouped(sent), since(begun)),
        );
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

async fn customers(client: &Client, state: &mut State) -> Result<Vec<Value>> {
    let mut subscriptions = Vec::new();
    for customer in &CUSTOMERS {
        let made = steps::customer(client, state, customer)
            .await
            .map_err(|error| Error::new(format!("{}: {error}", customer.name)))?;
        let note = match (customer.months, customer.suspended, customer.deal.is_some()) {
            (0, ..) => " (trial)",
            (_, true, _) => " (suspended)",
            (.., true) => " (contract)",
            _ => "",
        };
        let bought = format!("{} {}", customer.product, customer.plan);
        let model = customer.model.replace('_', "-");
        step("customer", &format!("{:<28} {bought:<38} {model}{note}", customer.name));
        subscriptions.push(made);
    }
    Ok(subscriptions)
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

fn progress(total: u64) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() && total > 0 {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template(
        "  usage      {bar:40} {human_pos}/{human_len} events, {eta} left",
    );
    let bar = ProgressBar::with_draw_target(Some(total), target);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
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
