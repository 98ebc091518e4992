//! `/api/v1/admin/tenants/{tenant}/licenses/{license}/instances` and the list of
//! instances that need a look.

use axum::{
    extract::{FromRequestParts, Path, State},
    http::request::Parts,
};
use serde::Deserialize;
use tenure_core::{InstanceId, LicenseId};
use utoipa::IntoParams;

use super::{Attention, Concern, HighWaters, InstanceView, Instances, ReleaseInstance};
use crate::{
    App,
    http::{Cursor, Json, Page, PageQuery, PathId, Problem, Query},
    identity::{Admin, Staff},
    tenants::api::PathTenant,
};

/// The license that a longer path names.
pub struct PathLicense(LicenseId);

impl<S: Send + Sync> FromRequestParts<S> for PathLicense {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let missing = || Problem::not_found("license");
        let Path(all) = Path::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|_| missing())?;
        let named = all.iter().find(|(name, _)| name == "license").ok_or_else(missing)?;
        named.1.parse().map(Self).map_err(|_| missing())
    }
}

/// List the instances of a license, and how its slots are taken
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/licenses/{license}/instances", tag = "Licensing",
    operation_id = "listInstances", params(("tenant" = String, Path), ("license" = LicenseId, Path), PageQuery),
    responses((status = 200, body = Instances), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
    PathLicense(license): PathLicense,
    Query(page): Query<PageQuery>,
) -> Result<Json<Instances>, Problem> {
    super::list(&app, tenant.id(), license, page.cursor()?).await.map(Json)
}

/// Take an instance's slot
///
/// It gets no further lease. The slot is free when the lease or file in its hands ends, for until
/// then that token is genuine; with `force` at once, which lets one more than was bought run.
#[utoipa::path(post, path = "/api/v1/admin/tenants/{tenant}/licenses/{license}/instances/{instance}/release",
    tag = "Licensing", operation_id = "releaseInstance",
    params(("tenant" = String, Path), ("license" = LicenseId, Path), ("instance" = InstanceId, Path)),
    request_body(content = ReleaseInstance, example = json!({"reason": "machine lost, ticket 4711"})),
    responses((status = 200, body = InstanceView), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn release(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    PathLicense(license): PathLicense,
    PathId(id): PathId<InstanceId>,
    Json(body): Json<ReleaseInstance>,
) -> Result<Json<InstanceView>, Problem> {
    let call = app.call(actor);
    super::release(&app, &call, tenant.id(), license, id, body).await.map(Json)
}

/// Lift a quarantine
///
/// The instance gets leases again. Where two copies of it still run, it is in quarantine again soon.
#[utoipa::path(post, path = "/api/v1/admin/tenants/{tenant}/licenses/{license}/instances/{instance}/restore",
    tag = "Licensing", operation_id = "restoreInstance",
    params(("tenant" = String, Path), ("license" = LicenseId, Path), ("instance" = InstanceId, Path)),
    responses((status = 200, body = InstanceView), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn restore(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    PathLicense(license): PathLicense,
    PathId(id): PathId<InstanceId>,
) -> Result<Json<InstanceView>, Problem> {
    let call = app.call(actor);
    super::restore(&app, &call, tenant.id(), license, id).await.map(Json)
}

/// Show the most of each statistic that a license reported at once, by month
///
/// Of several instances in one deployment the newest report counts; deployments are added up.
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/licenses/{license}/high-water", tag = "Licensing",
    operation_id = "licenseHighWater", params(("tenant" = String, Path), ("license" = LicenseId, Path)),
    responses((status = 200, body = HighWaters), (status = 404, body = Problem)))]
pub async fn high_water(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
    PathLicense(license): PathLicense,
) -> Result<Json<HighWaters>, Problem> {
    super::high_water(&app, tenant.id(), license).await.map(Json)
}

/// Which instances.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AttentionQuery {
    /// `quarantined`: two copies used one key. `silent`: connected, and not heard of for a day.
    #[param(example = "quarantined")]
    #[param(inline)]
    pub status: Concern,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Items a page, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u16>,
}

/// List the instances of all tenants that need a look
#[utoipa::path(get, path = "/api/v1/admin/instances", tag = "Licensing", operation_id = "listAttention",
    params(AttentionQuery),
    responses((status = 200, body = Page<Attention>), (status = 422, body = Problem)))]
pub async fn attention(
    State(app): State<App>,
    _staff: Staff,
    Query(query): Query<AttentionQuery>,
) -> Result<Json<Page<Attention>>, Problem> {
    let cursor = Cursor::new(query.cursor.as_deref(), query.limit)?;
    super::attention(&app, query.status, cursor).await.map(Json)
}
