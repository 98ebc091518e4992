//! `/api/v1/reports`, and the reports of a license.

use axum::{body::Body, extract::State};
use tenure_api::licensing::ReportReceipt;
use tenure_core::LicenseId;

use super::{ImportedReport, ONLINE_BYTES_MAX};
use crate::{
    App,
    http::{Json, Page, PageQuery, PathId, Problem, Query, read_body},
    identity::Staff,
    tenants::api::PathTenant,
};

/// Report usage, signed by an instance
///
/// The body is a stretch of the instance's usage ledger: a signed head, then an entry a line. It
/// needs no credential: only the instance's key could have signed it. The same report again
/// gets the same receipt and counts nothing twice.
#[utoipa::path(post, path = "/api/v1/reports", tag = "Licensing", operation_id = "reportUsage", security(()),
    request_body(content = String, content_type = "text/plain"),
    responses((status = 200, body = ReportReceipt),
              (status = 404, body = Problem, description = "No instance has this key"),
              (status = 409, body = Problem, description = "Entries are missing, or another history"),
              (status = 413, body = Problem),
              (status = 422, body = Problem, description = "Not what the instance signed"),
              (status = 503, body = Problem, description = "Other large reports are under way; send it again")))]
pub async fn report(State(app): State<App>, body: Body) -> Result<Json<ReportReceipt>, Problem> {
    let body = read_body(body, ONLINE_BYTES_MAX).await?;
    let imported = super::receive(&app, body).await?;
    Ok(Json(ReportReceipt::from(&imported)))
}

/// List the usage reports imported for a license
///
/// Of those that an agent sends online, the newest of each instance.
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/licenses/{license}/reports", tag = "Licensing",
    operation_id = "listUsageReports",
    params(("tenant" = String, Path), ("license" = LicenseId, Path), PageQuery),
    responses((status = 200, body = Page<ImportedReport>), (status = 404, body = Problem),
              (status = 422, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
    PathId(id): PathId<LicenseId>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<ImportedReport>>, Problem> {
    super::list(&app, tenant.id(), id, page.cursor()?).await.map(Json)
}
