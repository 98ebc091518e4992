//! The command line's orders, when an agent runs in the same data directory.
//!
//! Without a running agent the command line carries them out by itself, with the
//! same function.

use std::sync::Arc;

use axum::{Json, body::Bytes, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Agent, Error, error::Result};

/// An order.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Use this license key, token or file.
    Activate {
        /// What `LICENSE_KEY` would hold.
        license_key: String,
    },
    /// Take in a file of the vendor's.
    Install {
        /// Its text.
        file: String,
    },
    /// Write a request file.
    Request {
        /// With a new key pair, as an instance of its own.
        #[serde(default)]
        new_key: bool,
    },
    /// Write a return file, and finish.
    Return,
    /// Give the slot back over the network.
    Release {
        /// For people.
        reason: String,
    },
    /// Write a usage report.
    Report {
        /// Everything that is held, counted or not.
        all: bool,
    },
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Done {
    /// A file's text, where the order makes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The rest.
    #[serde(default)]
    pub result: Value,
}

impl Agent {
    /// Carries an order out.
    pub async fn command(&self, command: Command) -> Result<Done> {
        let only = |result: Value| Ok(Done { file: None, result });
        let file = |text: String| Ok(Done { file: Some(text), result: Value::Null });
        match command {
            Command::Activate { license_key } => {
                self.activate(&license_key).await?;
                if self.http.is_some() {
                    self.step().await?;
                }
                only(super::license::describe(self))
            }
            Command::Install { file } => {
                let done = self.install(&file).await?;
                only(serde_json::to_value(done).unwrap_or_default())
            }
            Command::Request { new_key: false } => file(self.request().await?),
            Command::Request { new_key: true } => file(self.request_with_new_key().await?),
            Command::Return => file(self.give_back().await?),
            Command::Release { reason } => {
                self.release(&reason).await?;
                self.forward_now().await;
                self.step().await?;
                only(super::license::describe(self))
            }
            Command::Report { all } => match self.report(all).await? {
                Some(written) => Ok(Done {
                    result: json!({ "first": written.first, "through": written.through }),
                    file: Some(written.text),
                }),
                None => only(Value::Null),
            },
        }
    }
}

pub(super) async fn run(State(agent): State<Arc<Agent>>, body: Bytes) -> Result<Json<Done>> {
    let command = serde_json::from_slice(&body)
        .map_err(|error| Error::refused("bad_command", error.to_string()))?;
    // A caller who hangs up must not leave an order half carried out.
    let done = tokio::spawn(async move { agent.command(command).await }).await;
    let done = done.map_err(|error| Error::refused("command_failed", error.to_string()))?;
    Ok(Json(done?))
}
