//! The local API: what a product asks on 127.0.0.1.
//!
//! Owns: who may ask (a secret, and the `Host` header, so that a web page in a
//! browser on this machine cannot), the bound on bodies, and every route.
//! Refuses: decisions of its own; each answer is a pure function of the license
//! or a transaction of the store.
//!
//! | route | answers |
//! |---|---|
//! | `GET /health` | `{"status":"healthy","license":"active","version":"1.2.0"}`; no secret |
//! | `GET /v1/license` | state, reason, notice, claims, and the tokens to verify them by |
//! | `GET /v1/entitlements` | `max_teams`, features, ... |
//! | `GET /v1/notices` | what people should know |
//! | `POST /v1/check` | may this go on |
//! | `POST /v1/usage` | takes CloudEvents; 200 when the disk has them |
//! | `POST /v1/quota/{limit}/consume` | checks a quota and records the event, both or neither |
//! | `POST /v1/quota/{limit}/take`, `GET /v1/quota` | counted here alone |
//! | `GET /v1/sent` | what was sent to the vendor, and what the next message holds |
//! | `/ofrep/v1/...` | the entitlements as flags |
//! | `POST /v1/command` | the command line's orders; another secret |

mod command;
mod flags;
mod guard;
mod license;
mod problem;
mod quota;
mod usage;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post},
};
use tokio::net::TcpListener;

pub use command::{Command, Done};

use crate::{Agent, Error, error::Result};

/// Largest body, in bytes: a batch of events, or a revocation list.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// For how long requests may finish after a stop.
const DRAIN_SECONDS: u64 = 10;

/// Everything that answers.
pub fn router(agent: Arc<Agent>) -> Router {
    let asked = Router::new()
        .route("/v1/license", get(license::license))
        .route("/v1/entitlements", get(license::entitlements))
        .route("/v1/notices", get(license::notices))
        .route("/v1/check", post(license::check))
        .route("/v1/usage", post(usage::take))
        .route("/v1/quota", get(quota::all))
        .route("/v1/quota/{limit}/take", post(quota::take))
        .route("/v1/quota/{limit}/consume", post(quota::consume))
        .route("/v1/sent", get(usage::sent))
        .route("/ofrep/v1/evaluate/flags", post(flags::all))
        .route("/ofrep/v1/evaluate/flags/{key}", post(flags::one))
        .route("/ofrep/v1/configuration", get(flags::configuration))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&agent), guard::product));
    let ordered = Router::new()
        .route("/v1/command", post(command::run))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&agent), guard::admin));
    Router::new()
        .route("/health", get(license::health))
        .merge(asked)
        .merge(ordered)
        .fallback(problem::no_route)
        .layer(middleware::from_fn_with_state(Arc::clone(&agent), guard::host))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(agent)
}

/// Opens the address that the local API listens on.
pub async fn bind(agent: &Agent) -> Result<TcpListener> {
    let address = agent.settings.listen;
    TcpListener::bind(address).await.map_err(|error| {
        Error::Setting(format!("cannot listen on {address}: {error}; choose another with --listen"))
    })
}

/// Answers until the agent is stopped.
pub async fn serve(agent: Arc<Agent>, listener: TcpListener) -> Result<()> {
    let stop = agent.stop.clone();
    let server = axum::serve(listener, router(agent)).with_graceful_shutdown({
        let stop = stop.clone();
        async move { stop.cancelled().await }
    });
    let late = async {
        stop.cancelled().await;
        tokio::time::sleep(std::time::Duration::from_secs(DRAIN_SECONDS)).await;
    };
    tokio::select! {
        done = async { server.await } => done.map_err(|error| Error::Setting(format!("the local API: {error}"))),
        () = late => Ok(()),
    }
}
