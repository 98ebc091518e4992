//! `/api/v1/admin/tenants` and `POST /admin/clients`.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tenure_core::{BillingAccountId, TenantId, TenantStatus, UnitId};
use utoipa::ToSchema;

use super::{
    NewTenant, Tenant, TenantFilter, TenantUpdate,
    clients::{Client, NewClient},
    organisation::{AccountInput, BillingAccount, NewUnit, Unit, UnitUpdate},
};
use crate::{
    App,
    http::{Cursor, Json, Page, PathId, Problem, Query},
    idempotency::Keyed,
    identity::{Admin, ApiKey, Staff},
};

/// The tenant that a path names, by id or slug.
pub struct PathTenant(pub Tenant);

impl axum::extract::FromRequestParts<App> for PathTenant {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        app: &App,
    ) -> Result<Self, Problem> {
        let missing = || Problem::not_found("tenant");
        let Path(all) = Path::<Vec<(String, String)>>::from_request_parts(parts, app)
            .await
            .map_err(|_| missing())?;
        let named = all.iter().find(|(name, _)| name == "tenant").ok_or_else(missing)?;
        super::find(app, &named.1).await.map(Self)
    }
}

impl PathTenant {
    /// Its id.
    pub fn id(&self) -> TenantId {
        self.0.id
    }
}

/// Make a client that is ready to use the product
///
/// Tenant, billing account, subscription, deployment and API key in one step.
/// `product` may be left out where the server knows one product.
#[utoipa::path(post, path = "/admin/clients", tag = "Tenants", operation_id = "createClient",
    request_body(content = NewClient, example = json!({"name": "Acme Corp", "plan": "pro"})),
    responses((status = 201, body = Client), (status = 422, body = Problem)))]
pub async fn create_client(
    State(app): State<App>,
    Admin(actor): Admin,
    request: Keyed<NewClient>,
) -> Result<Response, Problem> {
    let server = app.clone();
    request
        .answer(&app, actor, StatusCode::CREATED, async move |call, body| {
            super::clients::create(&server, &call, body).await
        })
        .await
}

/// List tenants
#[utoipa::path(get, path = "/api/v1/admin/tenants", tag = "Tenants", operation_id = "listTenants",
    params(TenantFilter), responses((status = 200, body = Page<Tenant>), (status = 422, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    _staff: Staff,
    Query(filter): Query<TenantFilter>,
) -> Result<Json<Page<Tenant>>, Problem> {
    let cursor = Cursor::new(filter.cursor.as_deref(), filter.limit)?;
    super::list(&app, &filter, cursor).await.map(Json)
}

/// Register a tenant
#[utoipa::path(post, path = "/api/v1/admin/tenants", tag = "Tenants", operation_id = "createTenant",
    request_body(content = NewTenant, example = json!({"name": "Acme Corp", "time_zone": "America/New_York"})),
    responses((status = 201, body = Tenant), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn create(
    State(app): State<App>,
    Admin(actor): Admin,
    request: Keyed<NewTenant>,
) -> Result<Response, Problem> {
    let server = app.clone();
    request
        .answer(&app, actor, StatusCode::CREATED, async move |call, body| {
            super::create(&server, &call, body).await
        })
        .await
}

/// Show a tenant
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}", tag = "Tenants", operation_id = "showTenant",
    params(("tenant" = String, Path, description = "Id or slug", example = "acme-corp")),
    responses((status = 200, body = Tenant), (status = 404, body = Problem)))]
pub async fn show(_staff: Staff, PathTenant(tenant): PathTenant) -> Json<Tenant> {
    Json(tenant)
}

/// Change a tenant
#[utoipa::path(patch, path = "/api/v1/admin/tenants/{tenant}", tag = "Tenants", operation_id = "updateTenant",
    params(("tenant" = String, Path)), request_body = TenantUpdate,
    responses((status = 200, body = Tenant), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn update(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    Json(body): Json<TenantUpdate>,
) -> Result<Json<Tenant>, Problem> {
    let call = app.call(actor);
    super::update(&app, &call, tenant.id(), body).await.map(Json)
}

async fn transition(
    app: App,
    actor: crate::call::Actor,
    tenant: PathTenant,
    to: TenantStatus,
) -> Result<Json<Tenant>, Problem> {
    let call = app.call(actor);
    super::transition(&app, &call, tenant.id(), to).await.map(Json)
}

/// Withhold access from a tenant
#[utoipa::path(post, path = "/api/v1/admin/tenants/{tenant}/suspend", tag = "Tenants", operation_id = "suspendTenant",
    params(("tenant" = String, Path)),
    responses((status = 200, body = Tenant), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn suspend(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
) -> Result<Json<Tenant>, Problem> {
    transition(app, actor, tenant, TenantStatus::Suspended).await
}

/// Give access back to a tenant
#[utoipa::path(post, path = "/api/v1/admin/tenants/{tenant}/resume", tag = "Tenants", operation_id = "resumeTenant",
    params(("tenant" = String, Path)),
    responses((status = 200, body = Tenant), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn resume(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
) -> Result<Json<Tenant>, Problem> {
    transition(app, actor, tenant, TenantStatus::Active).await
}

/// End a tenant and its subscriptions
#[utoipa::path(post, path = "/api/v1/admin/tenants/{tenant}/cancel", tag = "Tenants", operation_id = "cancelTenant",
    params(("tenant" = String, Path)),
    responses((status = 200, body = Tenant), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn cancel(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
) -> Result<Json<Tenant>, Problem> {
    transition(app, actor, tenant, TenantStatus::Cancelled).await
}

/// A tenant's settings
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/settings", tag = "Tenants", operation_id = "readSettings",
    params(("tenant" = String, Path)), responses((status = 200, body = Object), (status = 404, body = Problem)))]
pub async fn settings(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
) -> Result<Json<Map<String, Value>>, Problem> {
    super::settings::read(&app, tenant.id()).await.map(Json)
}

/// Replace a tenant's settings
#[utoipa::path(put, path = "/api/v1/admin/tenants/{tenant}/settings", tag = "Tenants", operation_id = "replaceSettings",
    params(("tenant" = String, Path)),
    request_body(content = Object, example = json!({"locale": "en-GB"})),
    responses((status = 200, body = Object), (status = 404, body = Problem)))]
pub async fn replace_settings(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    Json(body): Json<Map<String, Value>>,
) -> Result<Json<Map<String, Value>>, Problem> {
    let call = app.call(actor);
    super::settings::replace(&app, &call, tenant.id(), body).await.map(Json)
}

/// Every unit and team of a tenant.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Units {
    /// Oldest first; `parent_id` makes the tree.
    pub items: Vec<Unit>,
}

/// List units and teams
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/units", tag = "Tenants", operation_id = "listUnits",
    params(("tenant" = String, Path)), responses((status = 200, body = Units), (status = 404, body = Problem)))]
pub async fn units(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
) -> Result<Json<Units>, Problem> {
    Ok(Json(Units { items: super::organisation::units(&app, tenant.id()).await? }))
}

/// Add a unit or team
#[utoipa::path(post, path = "/api/v1/admin/tenants/{tenant}/units", tag = "Tenants", operation_id = "createUnit",
    params(("tenant" = String, Path)),
    request_body(content = NewUnit, example = json!({"kind": "team", "name": "Platform"})),
    responses((status = 201, body = Unit), (status = 404, body = Problem), (status = 409, body = Problem),
              (status = 422, body = Problem)))]
pub async fn create_unit(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    request: Keyed<NewUnit>,
) -> Result<Response, Problem> {
    let server = app.clone();
    let id = tenant.id();
    request
        .answer(&app, actor, StatusCode::CREATED, async move |call, body| {
            super::organisation::create_unit(&server, &call, id, body).await
        })
        .await
}

/// Rename or move a unit or team
#[utoipa::path(patch, path = "/api/v1/admin/tenants/{tenant}/units/{unit}", tag = "Tenants", operation_id = "updateUnit",
    params(("tenant" = String, Path), ("unit" = UnitId, Path)), request_body = UnitUpdate,
    responses((status = 200, body = Unit), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn update_unit(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    PathId(unit): PathId<UnitId>,
    Json(body): Json<UnitUpdate>,
) -> Result<Json<Unit>, Problem> {
    let call = app.call(actor);
    super::organisation::update_unit(&app, &call, tenant.id(), unit, body).await.map(Json)
}

/// Take a team or an empty unit away
#[utoipa::path(delete, path = "/api/v1/admin/tenants/{tenant}/units/{unit}", tag = "Tenants", operation_id = "deleteUnit",
    params(("tenant" = String, Path), ("unit" = UnitId, Path)),
    responses((status = 200, body = Unit), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn delete_unit(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    PathId(unit): PathId<UnitId>,
) -> Result<Json<Unit>, Problem> {
    let call = app.call(actor);
    super::organisation::delete_unit(&app, &call, tenant.id(), unit).await.map(Json)
}

/// Every billing account of a tenant.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct BillingAccounts {
    /// Oldest first.
    pub items: Vec<BillingAccount>,
}

/// List billing accounts
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/billing-accounts", tag = "Tenants",
    operation_id = "listBillingAccounts", params(("tenant" = String, Path)),
    responses((status = 200, body = BillingAccounts), (status = 404, body = Problem)))]
pub async fn accounts(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
) -> Result<Json<BillingAccounts>, Problem> {
    Ok(Json(BillingAccounts { items: super::organisation::accounts(&app, tenant.id()).await? }))
}

/// Make a billing account
#[utoipa::path(post, path = "/api/v1/admin/tenants/{tenant}/billing-accounts", tag = "Tenants",
    operation_id = "createBillingAccount", params(("tenant" = String, Path)), request_body = AccountInput,
    responses((status = 201, body = BillingAccount), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn create_account(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    request: Keyed<AccountInput>,
) -> Result<Response, Problem> {
    let server = app.clone();
    let id = tenant.id();
    request
        .answer(&app, actor, StatusCode::CREATED, async move |call, body| {
            super::organisation::create_account(&server, &call, id, body).await
        })
        .await
}

/// Replace what invoices say of a payer
#[utoipa::path(put, path = "/api/v1/admin/tenants/{tenant}/billing-accounts/{account}", tag = "Tenants",
    operation_id = "updateBillingAccount",
    params(("tenant" = String, Path), ("account" = BillingAccountId, Path)), request_body = AccountInput,
    responses((status = 200, body = BillingAccount), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn update_account(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    PathId(account): PathId<BillingAccountId>,
    Json(body): Json<AccountInput>,
) -> Result<Json<BillingAccount>, Problem> {
    let call = app.call(actor);
    super::organisation::update_account(&app, &call, tenant.id(), account, body).await.map(Json)
}

/// The caller's own tenant
#[utoipa::path(get, path = "/api/v1/tenant", tag = "Tenant", operation_id = "ownTenant",
    responses((status = 200, body = Tenant)))]
pub async fn own(State(app): State<App>, key: ApiKey) -> Result<Json<Tenant>, Problem> {
    super::read(&app, key.0.tenant).await.map(Json)
}
