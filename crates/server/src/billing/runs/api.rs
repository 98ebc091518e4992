//! `/api/v1/admin/billing/runs`.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use serde::{Deserialize, Serialize};
use tenure_core::RunId;
use utoipa::ToSchema;

use super::{Run, StartRun};
use crate::{
    App,
    http::{Json, Problem},
    idempotency::Keyed,
    identity::{Admin, Staff},
};

/// The newest runs.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Runs {
    /// Newest first, at most a hundred.
    pub items: Vec<Run>,
}

/// Close what is due
///
/// Periods that are over are closed and billed, drafts whose grace is over are issued. The server does so
/// by itself; this begins at once, and tries again what failed. Asked again, it goes on where it was.
#[utoipa::path(post, path = "/api/v1/admin/billing/runs", tag = "Billing", operation_id = "startBillingRun",
    request_body = StartRun,
    responses((status = 202, body = Run), (status = 503, body = Problem)))]
pub async fn start(
    State(app): State<App>,
    Admin(actor): Admin,
    request: Keyed<StartRun>,
) -> Result<Response, Problem> {
    let server = app.clone();
    request
        .answer(&app, actor, StatusCode::ACCEPTED, async move |call, _: StartRun| {
            super::start(&server, &call).await
        })
        .await
}

/// Runs and how far they are
#[utoipa::path(get, path = "/api/v1/admin/billing/runs", tag = "Billing", operation_id = "listBillingRuns",
    responses((status = 200, body = Runs)))]
pub async fn list(State(app): State<App>, _staff: Staff) -> Result<Json<Runs>, Problem> {
    Ok(Json(Runs { items: super::list(&app).await? }))
}

/// How far a run is
#[utoipa::path(get, path = "/api/v1/admin/billing/runs/{run}", tag = "Billing", operation_id = "showBillingRun",
    params(("run" = RunId, Path)),
    responses((status = 200, body = Run), (status = 404, body = Problem)))]
pub async fn show(
    State(app): State<App>,
    _staff: Staff,
    Path(run): Path<String>,
) -> Result<Json<Run>, Problem> {
    let id = run.parse().map_err(|_| Problem::not_found("run"))?;
    super::read(&app, id).await.map(Json)
}
