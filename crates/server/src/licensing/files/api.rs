//! `/api/v1/admin/license-files`.

use axum::{
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};

use super::{Exchanged, FILE_BYTES_MAX, Scope};
use crate::{
    App,
    http::{Json, Problem, read_body},
    identity::Admin,
};

/// Answer a file carried from an installation without a network
///
/// A request file becomes a license file bound to the instance that asked; a return file frees its
/// slot; a usage report (plain or zstd) becomes a receipt. The same file again gets the same answer.
#[utoipa::path(post, path = "/api/v1/admin/license-files", tag = "Licensing", operation_id = "exchangeLicenseFile",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = Exchanged), (status = 404, body = Problem, description = "Nobody's license or instance"),
              (status = 409, body = Problem, description = "Every slot is held, entries are missing, or a copy was found"),
              (status = 413, body = Problem), (status = 422, body = Problem, description = "Not such a file, or changed")))]
pub async fn exchange(
    State(app): State<App>,
    Admin(actor): Admin,
    body: Body,
) -> Result<Response, Problem> {
    let body = read_body(body, FILE_BYTES_MAX).await?;
    let call = app.call(actor);
    let answer = super::exchange(&app, &call, &body, Scope::Vendor).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}
