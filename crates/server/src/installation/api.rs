//! `POST /api/v1/admin/clock`.

use axum::{extract::State, http::StatusCode, response::Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    App,
    http::{Json, Problem},
    idempotency::Keyed,
    identity::{Admin, Staff},
};

/// The server's time.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClockState {
    /// The present moment.
    #[schema(example = "2026-06-01T00:00:00Z")]
    pub now: Timestamp,
}

/// The server's time
#[utoipa::path(get, path = "/api/v1/admin/clock", tag = "Installation", operation_id = "readClock",
    responses((status = 200, body = ClockState)))]
pub async fn read(State(app): State<App>, _staff: Staff) -> Json<ClockState> {
    Json(ClockState { now: app.now() })
}

/// Move the test clock forward
///
/// Only on a server started with `TENURE_TEST_CLOCK=1`. The database is a test
/// database from then on.
#[utoipa::path(post, path = "/api/v1/admin/clock", tag = "Installation", operation_id = "moveClock",
    request_body = ClockState,
    responses((status = 200, body = ClockState), (status = 409, body = Problem)))]
pub async fn advance(
    State(app): State<App>,
    Admin(actor): Admin,
    request: Keyed<ClockState>,
) -> Result<Response, Problem> {
    let server = app.clone();
    request
        .answer(&app, actor, StatusCode::OK, async move |call, body: ClockState| {
            let now = super::move_clock(&server, &call, body.now).await?;
            Ok(ClockState { now })
        })
        .await
}
