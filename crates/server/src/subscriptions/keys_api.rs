//! `/api/v1/admin/tenants/{tenant}/keys`.

use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use tenure_core::ApiKeyId;
use utoipa::ToSchema;

use super::keys::{ApiKeyRecord, IssuedKey, NewKey, RotateKey};
use crate::{
    App,
    http::{Json, PathId, Problem},
    idempotency::Keyed,
    identity::{Admin, Staff},
    tenants::api::PathTenant,
};

/// Every API key of a tenant.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ApiKeys {
    /// Newest first.
    pub items: Vec<ApiKeyRecord>,
}

/// List API keys
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/keys", tag = "API keys", operation_id = "listKeys",
    params(("tenant" = String, Path)), responses((status = 200, body = ApiKeys), (status = 404, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
) -> Result<Json<ApiKeys>, Problem> {
    Ok(Json(ApiKeys { items: super::keys::list(&app, tenant.id()).await? }))
}

/// Make an API key
///
/// The key is in the answer and nowhere else.
#[utoipa::path(post, path = "/api/v1/admin/tenants/{tenant}/keys", tag = "API keys", operation_id = "createKey",
    params(("tenant" = String, Path)), request_body = NewKey,
    responses((status = 201, body = IssuedKey), (status = 404, body = Problem), (status = 409, body = Problem),
              (status = 422, body = Problem)))]
pub async fn create(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    request: Keyed<NewKey>,
) -> Result<Response, Problem> {
    let (server, id) = (app.clone(), tenant.id());
    request
        .answer(&app, actor, StatusCode::CREATED, async move |call, body| {
            super::keys::create(&server, &call, id, body).await
        })
        .await
}

/// Put a new key in the place of one, with an overlap
#[utoipa::path(post, path = "/api/v1/admin/tenants/{tenant}/keys/{key}/rotate", tag = "API keys",
    operation_id = "rotateKey", params(("tenant" = String, Path), ("key" = ApiKeyId, Path)),
    request_body = RotateKey,
    responses((status = 201, body = IssuedKey), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn rotate(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    PathId(key): PathId<ApiKeyId>,
    request: Keyed<RotateKey>,
) -> Result<Response, Problem> {
    let (server, id) = (app.clone(), tenant.id());
    request
        .answer(&app, actor, StatusCode::CREATED, async move |call, body| {
            super::keys::rotate(&server, &call, id, key, body).await
        })
        .await
}

/// End an API key at once
#[utoipa::path(delete, path = "/api/v1/admin/tenants/{tenant}/keys/{key}", tag = "API keys",
    operation_id = "revokeKey", params(("tenant" = String, Path), ("key" = ApiKeyId, Path)),
    responses((status = 200, body = ApiKeyRecord), (status = 404, body = Problem)))]
pub async fn revoke(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    PathId(key): PathId<ApiKeyId>,
) -> Result<Json<ApiKeyRecord>, Problem> {
    let call = app.call(actor);
    super::keys::revoke(&app, &call, tenant.id(), key).await.map(Json)
}
