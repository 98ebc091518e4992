//! `/api/v1/admin/tenants/{tenant}/credits`.

use axum::{extract::State, http::StatusCode, response::Response};

use super::{Credits, NewCredit};
use crate::{
    App,
    http::{Json, Problem},
    idempotency::Keyed,
    identity::{Admin, Staff},
    tenants::api::PathTenant,
};

/// Credit of a tenant
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/credits", tag = "Billing", operation_id = "listCredits",
    params(("tenant" = String, Path)),
    responses((status = 200, body = Credits), (status = 404, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
) -> Result<Json<Credits>, Problem> {
    super::read(&app, tenant.id()).await.map(Json)
}

/// Add credit, or pay it back
///
/// Invoices that are issued later use it, after tax.
#[utoipa::path(post, path = "/api/v1/admin/tenants/{tenant}/credits", tag = "Billing", operation_id = "addCredit",
    params(("tenant" = String, Path)), request_body = NewCredit,
    responses((status = 201, body = Credits), (status = 404, body = Problem), (status = 409, body = Problem),
              (status = 422, body = Problem)))]
pub async fn create(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    request: Keyed<NewCredit>,
) -> Result<Response, Problem> {
    let server = app.clone();
    request
        .answer(&app, actor, StatusCode::CREATED, async move |call, body| {
            super::create(&server, &call, tenant.id(), body).await
        })
        .await
}
