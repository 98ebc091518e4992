//! `/api/v1/admin/audit` and the audit trail of a tenant.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{AuditEntry, Verification};
use crate::{
    App,
    http::{Json, PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX, Problem, Query},
    identity::Staff,
    tenants::api::PathTenant,
};

/// Which part of a trail.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Only entries with a smaller number.
    pub before: Option<i64>,
    /// Entries a page, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u16>,
}

impl AuditQuery {
    fn limit(&self) -> Result<i64, Problem> {
        let limit = self.limit.unwrap_or(PAGE_LIMIT_DEFAULT);
        if (1..=PAGE_LIMIT_MAX).contains(&limit) {
            return Ok(i64::from(limit));
        }
        Err(Problem::field("/limit", format!("limit must be between 1 and {PAGE_LIMIT_MAX}.")))
    }
}

/// Entries of a trail.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct AuditPage {
    /// Newest first; give the last one's `seq` as `before` for more.
    pub items: Vec<AuditEntry>,
}

/// The vendor's own audit trail
#[utoipa::path(get, path = "/api/v1/admin/audit", tag = "Audit", operation_id = "listVendorAudit",
    params(AuditQuery), responses((status = 200, body = AuditPage), (status = 422, body = Problem)))]
pub async fn vendor(
    State(app): State<App>,
    _staff: Staff,
    Query(query): Query<AuditQuery>,
) -> Result<Json<AuditPage>, Problem> {
    let items = super::list(&app, None, query.before, query.limit()?).await?;
    Ok(Json(AuditPage { items }))
}

/// A tenant's audit trail
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/audit", tag = "Audit", operation_id = "listTenantAudit",
    params(("tenant" = String, Path), AuditQuery),
    responses((status = 200, body = AuditPage), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn tenant(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
    Query(query): Query<AuditQuery>,
) -> Result<Json<AuditPage>, Problem> {
    let items = super::list(&app, Some(tenant.id()), query.before, query.limit()?).await?;
    Ok(Json(AuditPage { items }))
}

/// Follow the vendor's chain from its first entry
#[utoipa::path(get, path = "/api/v1/admin/audit/verify", tag = "Audit", operation_id = "verifyVendorAudit",
    responses((status = 200, body = Verification)))]
pub async fn verify_vendor(
    State(app): State<App>,
    _staff: Staff,
) -> Result<Json<Verification>, Problem> {
    super::verify(&app, None).await.map(Json)
}

/// Follow a tenant's chain from its first entry
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/audit/verify", tag = "Audit",
    operation_id = "verifyTenantAudit", params(("tenant" = String, Path)),
    responses((status = 200, body = Verification), (status = 404, body = Problem)))]
pub async fn verify_tenant(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
) -> Result<Json<Verification>, Problem> {
    super::verify(&app, Some(tenant.id())).await.map(Json)
}
