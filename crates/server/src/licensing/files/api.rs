//! `/api/v1/admin/license-files`, and `/api/v1/license-files` for who holds a license.

use axum::{
    body::Body,
    extract::{FromRequestParts, State},
    http::{header, request::Parts},
    response::{IntoResponse, Response},
};
use tenure_core::{LicenseId, TenantId};

use super::{Exchanged, FILE_BYTES_MAX, Scope};
use crate::{
    App,
    call::Actor,
    http::{Json, Problem, read_body},
    identity::Admin,
    licensing::service::holder,
};

/// Whoever holds a license: its key, or its token, is the bearer.
pub struct Holder {
    tenant: TenantId,
    license: LicenseId,
}

impl FromRequestParts<App> for Holder {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let held = holder::credential(app, &parts.headers, None).await?;
        Ok(Self { tenant: held.tenant, license: held.license })
    }
}

/// Answer a file carried from an installation without a network
///
/// A request file becomes a license file bound to the instance that asked; a return file frees its
/// slot; a usage report (plain or zstd) becomes a receipt. The same file again gets the same answer.
#[utoipa::path(post, path = "/api/v1/admin/license-files", tag = "Licensing", operation_id = "exchangeLicenseFile",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = Exchanged), (status = 404, body = Problem, description = "Nobody's license or instance"),
              (status = 409, body = Problem, description = "Every slot is held, entries are missing, or a copy was found"),
              (status = 413, body = Problem), (status = 422, body = Problem, description = "Not such a file, or changed"),
              (status = 503, body = Problem, description = "Other large files are under way; send it again")))]
pub async fn exchange(
    State(app): State<App>,
    Admin(actor): Admin,
    body: Body,
) -> Result<Response, Problem> {
    let body = read_body(body, FILE_BYTES_MAX).await?;
    let call = app.call(actor);
    let answer = super::exchange(&app, &call, body, Scope::Vendor).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// Answer a file carried from one's own installation without a network
///
/// As the vendor's operation, for the license whose key is the bearer and no other: a request file
/// becomes a license file bound to the instance that asked, a return file frees its slot, a usage
/// report (plain or zstd) becomes a receipt. The same file again gets the same answer.
#[utoipa::path(post, path = "/api/v1/license-files", tag = "Licensing", operation_id = "exchangeOwnLicenseFile",
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = Exchanged), (status = 404, body = Problem, description = "Not of this license"),
              (status = 409, body = Problem, description = "Every slot is held, entries are missing, or a copy was found"),
              (status = 413, body = Problem), (status = 422, body = Problem, description = "Not such a file, or changed"),
              (status = 503, body = Problem, description = "Other large files are under way; send it again")))]
pub async fn exchange_own(
    State(app): State<App>,
    Holder { tenant, license }: Holder,
    body: Body,
) -> Result<Response, Problem> {
    let body = read_body(body, FILE_BYTES_MAX).await?;
    let call = app.call(Actor::License { id: license, tenant });
    let answer = super::exchange(&app, &call, body, Scope::License(tenant, license)).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}
