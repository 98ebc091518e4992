//! `/api/v1/admin/tenants/{tenant}/deployments`.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use tenure_core::DeploymentId;
use utoipa::{IntoParams, ToSchema};

use super::{
    Deployment, DeploymentDetail, DeploymentUpdate, NewDeployment,
    environment::{self, EnvironmentFile},
    resources::ResourceInput,
};
use crate::{
    App,
    http::{Json, Page, PageQuery, PathId, Problem, Query},
    idempotency::Keyed,
    identity::{Admin, Staff},
    tenants::api::PathTenant,
};

/// In which form an environment is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A file for programs to start with.
    #[default]
    Dotenv,
    /// The same, for programs to look at.
    Json,
}

/// How to render an environment.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EnvironmentQuery {
    /// `dotenv` or `json`; `dotenv` when absent.
    #[param(inline)]
    pub format: Option<Format>,
}

/// List deployments
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/deployments", tag = "Deployments",
    operation_id = "listDeployments", params(("tenant" = String, Path), PageQuery),
    responses((status = 200, body = Page<Deployment>), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Deployment>>, Problem> {
    super::list(&app, tenant.id(), page.cursor()?).await.map(Json)
}

/// Make another deployment for a subscription
///
/// The first one comes with the subscription. The plan must be sold in the model.
#[utoipa::path(post, path = "/api/v1/admin/tenants/{tenant}/deployments", tag = "Deployments",
    operation_id = "createDeployment", params(("tenant" = String, Path)),
    request_body(content = NewDeployment, example = json!({
        "subscription": "sub_01932f3ea1b27c3d9e4f5a6b7c8d9e0f", "name": "staging", "environment": "test"})),
    responses((status = 201, body = DeploymentDetail), (status = 404, body = Problem),
              (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn create(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    request: Keyed<NewDeployment>,
) -> Result<Response, Problem> {
    let (server, id) = (app.clone(), tenant.id());
    request
        .answer(&app, actor, StatusCode::CREATED, async move |call, body| {
            super::create(&server, &call, id, body).await
        })
        .await
}

/// Show a deployment and what is known of its resources
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/deployments/{deployment}", tag = "Deployments",
    operation_id = "showDeployment", params(("tenant" = String, Path), ("deployment" = DeploymentId, Path)),
    responses((status = 200, body = DeploymentDetail), (status = 404, body = Problem)))]
pub async fn show(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
    PathId(id): PathId<DeploymentId>,
) -> Result<Json<DeploymentDetail>, Problem> {
    super::read(&app, tenant.id(), id).await.map(Json)
}

/// Change a deployment's name, mode, region or release
#[utoipa::path(patch, path = "/api/v1/admin/tenants/{tenant}/deployments/{deployment}", tag = "Deployments",
    operation_id = "updateDeployment", params(("tenant" = String, Path), ("deployment" = DeploymentId, Path)),
    request_body(content = DeploymentUpdate, example = json!({"release": "1.4.2", "region": "eu-west-1"})),
    responses((status = 200, body = DeploymentDetail), (status = 404, body = Problem),
              (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn update(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    PathId(id): PathId<DeploymentId>,
    Json(body): Json<DeploymentUpdate>,
) -> Result<Json<DeploymentDetail>, Problem> {
    let call = app.call(actor);
    super::update(&app, &call, tenant.id(), id, body).await.map(Json)
}

/// Take a deployment out of use
///
/// Licenses bound to it are revoked, and what was sealed for it is destroyed.
#[utoipa::path(post, path = "/api/v1/admin/tenants/{tenant}/deployments/{deployment}/retire", tag = "Deployments",
    operation_id = "retireDeployment", params(("tenant" = String, Path), ("deployment" = DeploymentId, Path)),
    responses((status = 200, body = DeploymentDetail), (status = 404, body = Problem)))]
pub async fn retire(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    PathId(id): PathId<DeploymentId>,
) -> Result<Json<DeploymentDetail>, Problem> {
    let call = app.call(actor);
    super::retire(&app, &call, tenant.id(), id).await.map(Json)
}

/// Record what is known of a deployment's resources
///
/// By resource and field, as the newest version of the product lists them. A text sets a field,
/// `null` clears it, what is absent stays. Secrets are sealed and never shown again. A `byoi`
/// deployment of which nothing is missing becomes `ready`.
#[utoipa::path(put, path = "/api/v1/admin/tenants/{tenant}/deployments/{deployment}/resources", tag = "Deployments",
    operation_id = "recordResources", params(("tenant" = String, Path), ("deployment" = DeploymentId, Path)),
    request_body(content = ResourceInput, example = json!({
        "database": {"url": "postgres://app:pw@db.acme.example/minutes", "region": "westeurope"},
        "llm": {"endpoint": "https://acme.openai.azure.example", "deployment": "gpt-4o"}})),
    responses((status = 200, body = DeploymentDetail), (status = 404, body = Problem),
              (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn record_resources(
    State(app): State<App>,
    Admin(actor): Admin,
    tenant: PathTenant,
    PathId(id): PathId<DeploymentId>,
    request: Keyed<ResourceInput>,
) -> Result<Response, Problem> {
    let (server, tenant) = (app.clone(), tenant.id());
    request
        .answer(&app, actor, StatusCode::OK, async move |call, body| {
            super::resources::record(&server, &call, tenant, id, body).await
        })
        .await
}

/// A deployment's environment file
///
/// Mode flags, literals, endpoints, license. Secrets are references (`secret://...`), never values;
/// what is not known yet is empty, with a comment saying what is missing.
#[utoipa::path(get, path = "/api/v1/admin/tenants/{tenant}/deployments/{deployment}/env", tag = "Deployments",
    operation_id = "renderEnvironment",
    params(("tenant" = String, Path), ("deployment" = DeploymentId, Path), EnvironmentQuery),
    responses((status = 200, content(
                  (String = "text/plain", example = "DEPLOYMENT_MODE=smb\nUSE_NEO4J=false\n"),
                  (EnvironmentFile = "application/json"))),
              (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn env(
    State(app): State<App>,
    _staff: Staff,
    tenant: PathTenant,
    PathId(id): PathId<DeploymentId>,
    Query(query): Query<EnvironmentQuery>,
) -> Result<Response, Problem> {
    let file = environment::of(&app, &tenant.0, id).await?;
    if query.format == Some(Format::Json) {
        return Ok(Json(file).into_response());
    }
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((kind, file.to_dotenv()).into_response())
}
