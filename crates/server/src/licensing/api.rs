//! `/api/v1/admin/tenants/{tenant}/licenses`.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use tenure_core::LicenseId;

use super::{
    ConvertLicense, IssuedLicense, License, LicenseDetail, NewLicense, RenewLicense, RevealedKey,
};
use crate::{
    App,
    http::{Json, Page, PageQuery, PathId, Problem, Query},
    idempotency::Keyed,
    identity::{Admin, Staff},
    tenants::api::PathTenant,
};

/// List licenses
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/licenses", tag = "Licensing",
    operation_id = "listLicenses", params(("tenant" = String, Path), PageQuery),
    responses((status = 200, body = Page<License>), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<License>>, Problem> {
    super::list(&app, tenant.id(), page.cursor()?).await.map(Json)
}

/// Issue a license
///
/// For `self_hosted` and `air_gapped`. What it grants follows from the subscription. The answer
/// holds the license key and the signed token; the token is also in the license's file.
#[utoipa::path(post, path = "/api/v1/admin/tenants/{tenant}/licenses", tag = "Licensing",
    operation_id = "issueLicense", params(("tenant" = String, Path)),
    request_body(content = NewLicense, example = json!({
        "subscription": "sub_01932f3ea1b27c3d9e4f5a6b7c8d9e0f"})),
    responses((status = 201, body = IssuedLicense), (status = 404, body = Problem),
              (status = 409, body = Problem, description = "A model without licenses, a plan without an agreed \
               price, or a license in force already"), (status = 422, body = Problem)))]
pub async fn issue(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    request: Keyed<NewLicense>,
) -> Result<Response, Problem> {
    let (server, id) = (app.clone(), tenant.id());
    request
        .answer(&app, actor, StatusCode::CREATED, async move |call, body| {
            super::issue(&server, &call, id, body).await
        })
        .await
}

/// Show a license, its revisions, and whether it is up to date
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/licenses/{license}", tag = "Licensing",
    operation_id = "showLicense", params(("tenant" = String, Path), ("license" = LicenseId, Path)),
    responses((status = 200, body = LicenseDetail), (status = 404, body = Problem)))]
pub async fn show(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
    PathId(id): PathId<LicenseId>,
) -> Result<Json<LicenseDetail>, Problem> {
    super::read(&app, tenant.id(), id).await.map(Json)
}

/// A license's file, to be carried where there is no network
///
/// Worth as much as the license key, so it takes the role `admin`.
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/licenses/{license}/file", tag = "Licensing",
    operation_id = "readLicenseFile", params(("tenant" = String, Path), ("license" = LicenseId, Path)),
    responses((status = 200, body = String, content_type = "text/plain",
                  example = "-----BEGIN TENURE LICENSE-----\neyJhbGciOiJSUzI1NiIsInR5cCI6InRlbnVyZS1saWNlbnNlK2p3dCIs...\n-----END TENURE LICENSE-----\n"),
              (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn file(
    State(app): State<App>,
    Admin(_actor): Admin,
    tenant: PathTenant,
    PathId(id): PathId<LicenseId>,
) -> Result<Response, Problem> {
    let file = super::file(&app, &tenant.0, id).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", file.name)),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, file.text).into_response())
}

/// Show a license key again; the audit trail says to whom
#[utoipa::path(post, path = "/api/v1/admin/tenants/{tenant}/licenses/{license}/key", tag = "Licensing",
    operation_id = "revealLicenseKey", params(("tenant" = String, Path), ("license" = LicenseId, Path)),
    responses((status = 200, body = RevealedKey), (status = 404, body = Problem)))]
pub async fn reveal(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    PathId(id): PathId<LicenseId>,
) -> Result<Response, Problem> {
    let call = app.call(actor);
    let key = super::reveal(&app, &call, tenant.id(), id).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(key)).into_response())
}

/// Renew a license: a new revision, with what the subscription allows now
///
/// The license key stays the same.
#[utoipa::path(post, path = "/api/v1/admin/tenants/{tenant}/licenses/{license}/renew", tag = "Licensing",
    operation_id = "renewLicense", params(("tenant" = String, Path), ("license" = LicenseId, Path)),
    request_body(content = RenewLicense, example = json!({"expires_at": "2028-03-01T00:00:00Z"})),
    responses((status = 201, body = IssuedLicense), (status = 404, body = Problem),
              (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn renew(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    PathId(id): PathId<LicenseId>,
    request: Keyed<RenewLicense>,
) -> Result<Response, Problem> {
    let (server, tenant) = (app.clone(), tenant.id());
    request
        .answer(&app, actor, StatusCode::CREATED, async move |call, body| {
            super::renew(&server, &call, tenant, id, body).await
        })
        .await
}

/// Take a license back
///
/// Connected installations learn of it with their next contact; a file without a network stays
/// genuine until it expires.
#[utoipa::path(post, path = "/api/v1/admin/tenants/{tenant}/licenses/{license}/revoke", tag = "Licensing",
    operation_id = "revokeLicense", params(("tenant" = String, Path), ("license" = LicenseId, Path)),
    responses((status = 200, body = License), (status = 404, body = Problem)))]
pub async fn revoke(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    PathId(id): PathId<LicenseId>,
) -> Result<Json<License>, Problem> {
    let call = app.call(actor);
    super::revoke(&app, &call, tenant.id(), id).await.map(Json)
}

/// Convert a license: another model, another plan, or from trial to paid
///
/// The license and its key stay the same. The subscription changes with it, a new revision is
/// issued, and the old one is superseded at a stated time.
#[utoipa::path(post, path = "/api/v1/admin/tenants/{tenant}/licenses/{license}/convert", tag = "Licensing",
    operation_id = "convertLicense", params(("tenant" = String, Path), ("license" = LicenseId, Path)),
    request_body(content = ConvertLicense, example = json!({
        "model": "air_gapped", "supersede_at": "2027-03-15T00:00:00Z"})),
    responses((status = 201, body = IssuedLicense), (status = 404, body = Problem),
              (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn convert(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    PathId(id): PathId<LicenseId>,
    request: Keyed<ConvertLicense>,
) -> Result<Response, Problem> {
    let (server, tenant) = (app.clone(), tenant.id());
    request
        .answer(&app, actor, StatusCode::CREATED, async move |call, body| {
            super::convert(&server, &call, tenant, id, body).await
        })
        .await
}
