//! `tenure`: the control plane and its command line in one binary.
//!
//! Owns: what people and scripts type, and how answers look. Standard output is
//! data, standard error is for people. Exit codes: 0 done, 1 refused or failed,
//! 2 wrong usage. Refuses: any decision of its own; it asks the server, or a
//! pure crate for what needs none (`product check`, `license verify`).

mod client;
mod commands;
mod common;
mod data_dir;
mod demo;
mod error;
mod output;

use std::process::ExitCode;

use clap::Parser;

use commands::Command;

/// One product file, sold in every deployment model
#[derive(Debug, Parser)]
#[command(
    name = "tenure",
    version,
    max_term_width = 100,
    after_help = "Examples:
  tenure demo                                   see everything with believable data
  tenure product check products/*/product.toml  find every mistake in product files
  tenure serve                                  run the control plane
  tenure client create 'Acme Corp' --product kg-rca --plan pro

Every command has its own --help with examples.
Exit codes: 0 done, 1 refused or failed, 2 wrong usage."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error::Error::new(format!("cannot start: {error}"))),
    };
    let done = runtime.block_on(cli.command.run());
    // A thread that waits for standard input must not keep the process.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &error::Error) -> ExitCode {
    output::note(&error.to_string());
    ExitCode::FAILURE
}
