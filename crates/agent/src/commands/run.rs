//! `tenure-agent run`: the start-up of SPEC 5, and the way out.

use std::{sync::Arc, time::Duration};

use tenure_core::clock::SystemClock;
use tenure_license::Reason;
use tokio::signal::unix::{SignalKind, signal};

use super::{Options, driven};
use crate::{Agent, Error, agent::meta, dir, error::Result, local};

/// For how long the first call may hold up the start.
const PHONE_HOME_TIMEOUT: Duration = Duration::from_secs(10);
/// For how long what is under way may finish after a stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(8);

pub(super) async fn run(options: &Options) -> Result<()> {
    let settings = driven::settings(options).await?;
    let presented = options.license_key.as_deref();
    let agent = Agent::open(settings, Arc::new(SystemClock), presented).await?;
    let done = serve(&agent).await;
    agent.stop();
    agent.close().await?;
    done
}

async fn serve(agent: &Arc<Agent>) -> Result<()> {
    let listener = local::bind(agent).await?;
    let address = listener.local_addr().map_err(Error::file("the local API"))?;
    dir::write_private(&agent.dir.file(driven::ADDRESS), address.to_string().as_bytes())?;
    let server = agent.settings.server.as_deref().unwrap_or_default();
    agent.store.set_meta(meta::SERVER, server).await?;
    let signals = stop_on_signals(agent)?;
    phone_home(agent).await?;
    let (now, view) = (agent.now(), agent.view());
    tracing::info!(%address, license = view.word(now), key = view.state.key, "the agent runs");
    if let Some(notice) = view.verdict(now).and_then(|verdict| verdict.notice) {
        tracing::warn!("{notice}");
    }
    let api = tokio::spawn(local::serve(Arc::clone(agent), listener));
    let around = tokio::spawn({
        let agent = Arc::clone(agent);
        async move { agent.run().await }
    });
    agent.stop.cancelled().await;
    tracing::info!("stopping");
    let both = async { (api.await, around.await) };
    let _ = tokio::time::timeout(STOP_TIMEOUT, both).await;
    signals.abort();
    Ok(())
}

/// The first round, as far as it comes in a moment; it goes on beside the start.
async fn phone_home(agent: &Arc<Agent>) -> Result<()> {
    let round = tokio::spawn({
        let agent = Arc::clone(agent);
        async move { agent.step().await }
    });
    if let Ok(Ok(done)) = tokio::time::timeout(PHONE_HOME_TIMEOUT, round).await {
        done?;
    }
    let (now, view) = (agent.now(), agent.view());
    if let Some(verdict) = view.verdict(now).filter(|verdict| verdict.reason == Reason::Revoked) {
        let notice = verdict.notice.unwrap_or_default();
        return Err(Error::refused("license_revoked", notice));
    }
    // The vendor refused the key and nothing is held: there is nothing to run with.
    let denied = view.state.trouble.as_ref().filter(|_| view.license.is_none());
    if let Some(trouble) = denied.filter(|trouble| !passes(&trouble.code)) {
        return Err(Error::refused(trouble.code.clone(), trouble.message.clone()));
    }
    Ok(())
}

/// Troubles that end by themselves.
fn passes(code: &str) -> bool {
    matches!(
        code,
        "vendor_unreachable"
            | "vendor_busy"
            | "no_free_slot"
            | "instance_unknown"
            | "instance_copied"
    )
}

fn stop_on_signals(agent: &Arc<Agent>) -> Result<tokio::task::JoinHandle<()>> {
    let wrong = |error| Error::Setting(format!("cannot listen for signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(wrong)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(wrong)?;
    let agent = Arc::clone(agent);
    Ok(tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        agent.stop();
    }))
}
