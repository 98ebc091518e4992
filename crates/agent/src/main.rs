//! `tenure-agent`: see [`tenure_agent`].
//!
//! One thread serves everything: an agent waits almost always.

use std::process::ExitCode;

use clap::Parser;
use tenure_agent::commands::{Cli, note};
use tracing_subscriber::EnvFilter;

/// Which lines are logged; `TENURE_AGENT_LOG` says otherwise.
const LOG_DEFAULT: &str = "info";

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::builder()
        .with_default_directive(LOG_DEFAULT.parse().expect("a level is a directive"))
        .with_env_var("TENURE_AGENT_LOG")
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .init();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            note(&format!("error: cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(cli.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("error: {error} ({})", error.code()));
            ExitCode::FAILURE
        }
    }
}
