//! `/api/v1/admin/credentials`.

use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use tenure_core::CredentialId;
use utoipa::ToSchema;

use super::{Admin, Credential, NewCredential, Role, Staff};
use crate::{
    App,
    http::{Json, PathId, Problem},
    idempotency::Keyed,
};

/// A credential to be made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateCredential {
    /// What it is called, 1 to 100 characters.
    #[schema(example = "deploy pipeline")]
    pub name: String,
    /// What it may do.
    pub role: Role,
}

/// Every vendor credential.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Credentials {
    /// Newest first.
    pub items: Vec<Credential>,
}

/// List vendor credentials
#[utoipa::path(get, path = "/api/v1/admin/credentials", tag = "Credentials", operation_id = "listCredentials",
    responses((status = 200, body = Credentials)))]
pub async fn list(State(app): State<App>, _staff: Staff) -> Result<Json<Credentials>, Problem> {
    Ok(Json(Credentials { items: super::credentials(&app).await? }))
}

/// Make a vendor credential
///
/// The token is in the answer and nowhere else.
#[utoipa::path(post, path = "/api/v1/admin/credentials", tag = "Credentials", operation_id = "createCredential",
    request_body = CreateCredential,
    responses((status = 201, body = NewCredential), (status = 422, body = Problem)))]
pub async fn create(
    State(app): State<App>,
    Admin(actor): Admin,
    request: Keyed<CreateCredential>,
) -> Result<Response, Problem> {
    let server = app.clone();
    request
        .answer(&app, actor, StatusCode::CREATED, async move |call, body: CreateCredential| {
            super::create_credential(&server, &call, &body.name, body.role).await
        })
        .await
}

/// End a vendor credential
#[utoipa::path(delete, path = "/api/v1/admin/credentials/{credential}", tag = "Credentials",
    operation_id = "revokeCredential", params(("credential" = CredentialId, Path)),
    responses((status = 200, body = Credential), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn revoke(
    State(app): State<App>,
    Admin(actor): Admin,
    PathId(id): PathId<CredentialId>,
) -> Result<Json<Credential>, Problem> {
    let call = app.call(actor);
    super::revoke_credential(&app, &call, id).await.map(Json)
}
