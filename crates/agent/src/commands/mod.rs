//! The command line. Standard output is data, standard error is for people.
//! Exit codes: 0 done, 1 refused or failed, 2 wrong usage.

mod driven;
mod exchange;
mod look;
mod options;
mod output;
mod run;
mod screen;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub use options::Options;
pub use output::note;
pub use screen::{Status, render, sends};

use crate::error::Result;

/// Keeps a product's license at a customer's, and counts its usage
#[derive(Debug, Parser)]
#[command(
    name = "tenure-agent",
    version,
    max_term_width = 100,
    after_help = "Examples:
  LICENSE_KEY=IFOX-ENT-... tenure-agent run --server https://license.example.com --keys keys.json
  tenure-agent status                            how the license stands
  tenure-agent request export --output site.req  ask for a license without a network
  tenure-agent install acme.lic                  take in what the vendor answered

Exit codes: 0 done, 1 refused or failed, 2 wrong usage."
)]
pub struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run beside the product until stopped
    ///
    /// Starts only with a genuine license or key. Serves the product on 127.0.0.1.
    Run,
    /// Show how the license stands and what it means
    ///
    /// Reads the data directory, so it works while no agent runs.
    Status,
    /// Use a license key, token or .lic file
    ///
    /// With a license service it is exchanged at once; without one it is kept for
    /// `request export`.
    Activate {
        /// The key is in this file (instead of LICENSE_KEY or --license-key)
        file: Option<PathBuf>,
    },
    /// Take in a file of the vendor's: license, receipt or revocation list
    Install {
        /// The file
        file: PathBuf,
    },
    /// Ask the vendor for a license by file
    Request {
        #[command(subcommand)]
        verb: RequestVerb,
    },
    /// Give the license back by file; this installation is finished then
    Return {
        #[command(subcommand)]
        verb: ReturnVerb,
    },
    /// Give the license back over the network; this installation is finished then
    Release {
        /// Why, for the vendor's list
        #[arg(long, default_value = "")]
        reason: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Usage reports by file
    Report {
        #[command(subcommand)]
        verb: ReportVerb,
    },
    /// Show what is sent to the vendor: the last messages, and the next one
    Sends,
    /// Show this instance's public key
    Key,
}

#[derive(Debug, Subcommand)]
enum RequestVerb {
    /// Write a request file
    Export {
        /// Where to; standard output when left out
        #[arg(long, short)]
        output: Option<PathBuf>,
        /// With a new key pair, as an instance of its own: when the vendor has found a copy of this one
        #[arg(long)]
        new_key: bool,
        /// Do not ask
        #[arg(long, requires = "new_key")]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
enum ReturnVerb {
    /// Write a return file and stop using the license for good
    Export {
        /// Where to; standard output when left out
        #[arg(long, short)]
        output: Option<PathBuf>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
enum ReportVerb {
    /// Write a usage report of what the vendor has not counted yet
    Export {
        /// Where to; usage-FIRST-LAST.tur when left out
        #[arg(long, short)]
        output: Option<PathBuf>,
        /// Everything that is still held, counted or not
        #[arg(long)]
        all: bool,
    },
    /// Show how far usage is counted
    List,
}

impl Cli {
    /// Does what was asked.
    pub async fn run(self) -> Result<()> {
        let Self { options, command } = self;
        match command {
            Verb::Run => run::run(&options).await,
            Verb::Status => look::status(&options).await,
            Verb::Key => look::key(&options),
            Verb::Sends => look::sends(&options).await,
            Verb::Report { verb: ReportVerb::List } => look::reports(&options).await,
            Verb::Activate { file } => exchange::activate(&options, file.as_deref()).await,
            Verb::Install { file } => exchange::install(&options, &file).await,
            Verb::Request { verb: RequestVerb::Export { output, new_key, yes } } => {
                let new_key = exchange::NewKey { wanted: new_key, yes };
                exchange::request(&options, output.as_deref(), new_key).await
            }
            Verb::Return { verb: ReturnVerb::Export { output, yes } } => {
                exchange::give_back(&options, output.as_deref(), yes).await
            }
            Verb::Release { reason, yes } => exchange::release(&options, reason, yes).await,
            Verb::Report { verb: ReportVerb::Export { output, all } } => {
                exchange::report(&options, output.as_deref(), all).await
            }
        }
    }
}
