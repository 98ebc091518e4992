//! `tenure completions`.

use clap::{Args, CommandFactory};

use crate::error::Result;

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenure completions bash > /etc/bash_completion.d/tenure
  tenure completions zsh > ~/.zfunc/_tenure
  tenure completions fish > ~/.config/fish/completions/tenure.fish")]
pub(crate) struct Completions {
    /// For which shell
    shell: clap_complete::Shell,
}

impl Completions {
    /// Does it.
    pub(crate) fn run(self) -> Result {
        let mut command = crate::Cli::command();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "tenure", &mut script);
        crate::output::line(String::from_utf8_lossy(&script).trim_end());
        Ok(())
    }
}
