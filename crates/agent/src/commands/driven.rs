//! Orders: carried out here, or by the agent that holds the data directory.

use std::{fs, sync::Arc, time::Duration};

use tenure_core::clock::SystemClock;

use super::Options;
use crate::{
    Agent, Error, Settings,
    agent::meta,
    dir::{DataDir, Secrets},
    error::Result,
    local::{Command, Done},
    store::Store,
};

/// Where the running agent listens, in the data directory.
pub(super) const ADDRESS: &str = "address";
/// An order may wait for the license service.
const TIMEOUT: Duration = Duration::from_secs(150);

/// The key set of the last start.
pub(super) async fn remembered(dir: &DataDir) -> Result<Option<(String, String)>> {
    let Some(store) = Store::look(dir).await? else { return Ok(None) };
    let keys = store.meta(meta::KEYS).await?;
    let product = store.meta(meta::PRODUCT).await?;
    store.close().await?;
    Ok(keys.zip(product))
}

/// The settings, with what the last start knew where nothing is said.
pub(super) async fn settings(options: &Options) -> Result<Settings> {
    let dir = DataDir::open(&options.data_dir)?;
    options.settings(remembered(&dir).await?)
}

/// Carries an order out.
pub(super) async fn order(options: &Options, command: Command) -> Result<Done> {
    let settings = settings(options).await?;
    match Agent::open(settings, Arc::new(SystemClock), None).await {
        Ok(agent) => {
            let done = agent.command(command).await;
            agent.close().await?;
            done
        }
        Err(Error::InUse(_)) => ask(options, &command).await,
        Err(error) => Err(error),
    }
}

async fn ask(options: &Options, command: &Command) -> Result<Done> {
    let dir = DataDir::existing(&options.data_dir)?;
    let path = dir.file(ADDRESS);
    let address = fs::read_to_string(&path).map_err(Error::file(&path))?;
    let secrets = Secrets::open(&dir, None)?;
    let wrong = |error: reqwest::Error| {
        Error::Server(format!(
            "the agent that holds {} does not answer: {error}",
            dir.path().display()
        ))
    };
    // To this machine, never through a proxy.
    let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().map_err(wrong)?;
    let response = client
        .post(format!("http://{}/v1/command", address.trim()))
        .bearer_auth(secrets.admin())
        .json(command)
        .send()
        .await
        .map_err(wrong)?;
    let fine = response.status().is_success();
    let body = response.bytes().await.map_err(wrong)?;
    if fine {
        return serde_json::from_slice(&body)
            .map_err(|error| Error::Server(format!("the agent's answer: {error}")));
    }
    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |name: &str| problem[name].as_str().unwrap_or("refused").to_owned();
    Err(Error::refused(text("code"), text("detail")))
}
