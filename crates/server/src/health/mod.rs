//! Whether this server lives, whether it can serve, and its counters.
//!
//! Refuses: a ready answer while the database is away or changes of other
//! processes go unseen.

use std::{sync::Arc, time::Duration};

use axum::{extract::State, http::header, response::IntoResponse};
use prometheus_client::{
    encoding::{
        EncodeLabelSet,
        text::{encode_eof, encode_registry},
    },
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    App,
    http::{Json, Problem},
};

/// How long the database may take to answer before the server is not ready.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// What Prometheus sees.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    /// Answered requests, by status class.
    pub requests: Family<StatusClass, Counter>,
    /// Usage events, by outcome.
    pub usage_events: Family<Outcome, Counter>,
    /// Usage of each client.
    pub usage: crate::usage::live::Live,
}

/// `2xx`, `4xx`, ...
#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct StatusClass {
    /// The first digit.
    pub class: u16,
}

/// What became of a usage event.
#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Outcome {
    /// `accepted`, `duplicate`, ...
    pub outcome: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("tenure");
        let requests = Family::default();
        let usage_events = Family::default();
        registry.register("http_requests", "Answered requests by status class", requests.clone());
        registry.register("usage_events", "Usage events by outcome", usage_events.clone());
        let usage = crate::usage::live::Live::default();
        Self { registry: Arc::new(registry), requests, usage_events, usage }
    }
}

/// The state of a server.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ServerHealth)]
pub struct Health {
    /// `healthy`.
    #[schema(example = "healthy")]
    pub status: String,
    /// The version of Tenure.
    #[schema(example = "0.1.0")]
    pub version: String,
}

fn healthy() -> Health {
    Health { status: "healthy".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
}

/// Whether the process lives
#[utoipa::path(get, path = "/healthz", tag = "Health", operation_id = "healthz", security(()),
    responses((status = 200, body = Health)))]
pub async fn healthz() -> Json<Health> {
    Json(healthy())
}

/// Whether the server can serve
#[utoipa::path(get, path = "/readyz", tag = "Health", operation_id = "readyz", security(()),
    responses((status = 200, body = Health), (status = 503, body = Problem)))]
pub async fn readyz(State(app): State<App>) -> Result<Json<Health>, Problem> {
    let look = async {
        let tx = app.db().auth().await?;
        tx.commit().await
    };
    match tokio::time::timeout(READY_TIMEOUT, look).await {
        Ok(Ok(())) if app.freshness().holds() => Ok(Json(healthy())),
        Ok(Ok(())) => Err(Problem::unavailable("Catching up with changes of other servers.")),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(Problem::unavailable("The database does not answer.")),
    }
}

/// Counters for Prometheus
#[utoipa::path(get, path = "/metrics", tag = "Health", operation_id = "metrics", security(()),
    responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn metrics(State(app): State<App>) -> Result<impl IntoResponse, Problem> {
    let mut text = String::new();
    encode_registry(&mut text, &app.metrics().registry).map_err(Problem::internal)?;
    app.metrics().usage.encode(&mut text);
    encode_eof(&mut text).map_err(Problem::internal)?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text))
}
