//! `/api/v1/admin/products/{product}/signing-keys` and the published keys.

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use tenure_core::SigningKeyId;
use tenure_license::Digest;
use utoipa::ToSchema;

use super::{
    NewSigningKey, SigningKey,
    key_file::KeyFile,
    model::{ExportSigningKey, ImportSigningKey, WithdrawSigningKey, WithdrawnSigningKey},
};
use crate::{
    App,
    http::{Json, Problem},
    idempotency::Keyed,
    identity::{Admin, Staff},
    products::latest,
};

/// How long a verifier may go on with the keys that it has read, in seconds.
pub const JWKS_MAX_AGE_SECONDS: u32 = 300;

/// A product's public keys
///
/// What its licenses verify with: no credential needed, embed it in the product. Keys that
/// are scheduled to sign later are in it already, withdrawn ones are not. Send
/// `If-None-Match` with the last `ETag` to be told 304 while nothing changed.
#[utoipa::path(get, path = "/.well-known/tenure/{product}/jwks.json", tag = "Licensing",
    operation_id = "publicKeys", security(()), params(("product" = String, Path, example = "incidentfox")),
    responses((status = 200, body = Object), (status = 304, description = "Nothing changed"),
              (status = 404, body = Problem)))]
pub async fn jwks(
    State(app): State<App>,
    Path(product): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let catalog = latest(&app, &product).await?;
    let set = super::jwks(&app, &catalog).await?;
    let body = serde_json::to_vec(&set).map_err(Problem::internal)?;
    let etag = format!("\"{}\"", &Digest::sha256(&body).to_string()[..24]);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let same = |tag: &str| tag.trim().trim_start_matches("W/") == etag || tag.trim() == "*";
    let unchanged = known.is_some_and(|known| known.split(',').any(same));
    let caching = [
        (header::ETAG, etag),
        (header::CACHE_CONTROL, format!("public, max-age={JWKS_MAX_AGE_SECONDS}")),
    ];
    if unchanged {
        return Ok((StatusCode::NOT_MODIFIED, caching).into_response());
    }
    Ok((caching, [(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// Every signing key of a product.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SigningKeys {
    /// The active one first, then newest first.
    pub items: Vec<SigningKey>,
}

/// List the keys that sign a product's licenses
#[utoipa::path(get, path = "/api/v1/admin/products/{product}/signing-keys", tag = "Licensing",
    operation_id = "listSigningKeys", params(("product" = String, Path, example = "incidentfox")),
    responses((status = 200, body = SigningKeys), (status = 404, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    _staff: Staff,
    Path(product): Path<String>,
) -> Result<Json<SigningKeys>, Problem> {
    let catalog = latest(&app, &product).await?;
    Ok(Json(SigningKeys { items: super::list(&app, &catalog).await? }))
}

/// Make a signing key that signs from a stated moment
///
/// It is published at once. Programs with embedded keys can be released with it before they
/// meet a license that it signed; the key that it replaces stays published.
#[utoipa::path(post, path = "/api/v1/admin/products/{product}/signing-keys", tag = "Licensing",
    operation_id = "createSigningKey", params(("product" = String, Path, example = "incidentfox")),
    request_body = NewSigningKey,
    responses((status = 201, body = SigningKey), (status = 404, body = Problem), (status = 409, body = Problem),
              (status = 422, body = Problem)))]
pub async fn create(
    State(app): State<App>,
    Admin(actor): Admin,
    Path(product): Path<String>,
    request: Keyed<NewSigningKey>,
) -> Result<Response, Problem> {
    let catalog = latest(&app, &product).await?;
    let server = app.clone();
    request
        .answer(&app, actor, StatusCode::CREATED, async move |call, new| {
            super::add(&server, &call, &catalog, new).await
        })
        .await
}

/// No parameters.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateSigningKey {}

/// Sign with a new key from now on
///
/// The old key stays published, so what it signed keeps verifying. Products that embed
/// their keys must be released with the new one before they meet a license signed by it:
/// where there is time for that, make a key that signs later instead.
#[utoipa::path(post, path = "/api/v1/admin/products/{product}/signing-keys/rotate", tag = "Licensing",
    operation_id = "rotateSigningKey", params(("product" = String, Path, example = "incidentfox")),
    request_body(content = RotateSigningKey, example = json!({})),
    responses((status = 201, body = SigningKey), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn rotate(
    State(app): State<App>,
    Admin(actor): Admin,
    Path(product): Path<String>,
    request: Keyed<RotateSigningKey>,
) -> Result<Response, Problem> {
    let catalog = latest(&app, &product).await?;
    let server = app.clone();
    request
        .answer(&app, actor, StatusCode::CREATED, async move |call, _| {
            super::add(&server, &call, &catalog, NewSigningKey::default()).await
        })
        .await
}

/// Withdraw a signing key
///
/// It leaves the published keys, and what it signed verifies no more. Refused while the
/// newest revision of a license in force was signed by it, unless `force` says otherwise;
/// the answer then lists the licenses to renew. A key that signs now is replaced first.
#[utoipa::path(post, path = "/api/v1/admin/products/{product}/signing-keys/{key}/withdraw", tag = "Licensing",
    operation_id = "withdrawSigningKey",
    params(("product" = String, Path, example = "incidentfox"), ("key" = SigningKeyId, Path)),
    request_body(content = WithdrawSigningKey, example = json!({})),
    responses((status = 200, body = WithdrawnSigningKey), (status = 404, body = Problem),
              (status = 409, body = Problem)))]
pub async fn withdraw(
    State(app): State<App>,
    Admin(actor): Admin,
    path: Result<Path<(String, SigningKeyId)>, PathRejection>,
    request: Keyed<WithdrawSigningKey>,
) -> Result<Response, Problem> {
    let Path((product, id)) = path.map_err(|_| Problem::not_found("signing key"))?;
    let catalog = latest(&app, &product).await?;
    let server = app.clone();
    request
        .answer(&app, actor, StatusCode::OK, async move |call, how| {
            super::withdraw(&server, &call, &catalog, id, how).await
        })
        .await
}

/// Export a signing key as an encrypted file
///
/// For a backup apart from the database, for escrow, or for another installation. The key
/// is encrypted under a passphrase (Argon2id, AES-256-GCM) before it leaves the server.
/// Keys in a security module are not given out. An `Idempotency-Key` is not remembered,
/// and neither is the passphrase.
#[utoipa::path(post, path = "/api/v1/admin/products/{product}/signing-keys/export", tag = "Licensing",
    operation_id = "exportSigningKey", params(("product" = String, Path, example = "incidentfox")),
    request_body = ExportSigningKey,
    responses((status = 200, body = KeyFile), (status = 404, body = Problem), (status = 409, body = Problem),
              (status = 422, body = Problem)))]
pub async fn export(
    State(app): State<App>,
    Admin(actor): Admin,
    Path(product): Path<String>,
    Json(body): Json<ExportSigningKey>,
) -> Result<Response, Problem> {
    let catalog = latest(&app, &product).await?;
    let file = super::export(&app, &app.call(actor), &catalog, body).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(file)).into_response())
}

/// Import a signing key from an encrypted file
///
/// It is published, and signs from now on where `activate` says so. It is kept sealed in
/// the database. An `Idempotency-Key` is not remembered: a key that is here already is
/// refused with 409.
#[utoipa::path(post, path = "/api/v1/admin/products/{product}/signing-keys/import", tag = "Licensing",
    operation_id = "importSigningKey", params(("product" = String, Path, example = "incidentfox")),
    request_body = ImportSigningKey,
    responses((status = 201, body = SigningKey), (status = 404, body = Problem), (status = 409, body = Problem),
              (status = 422, body = Problem)))]
pub async fn import(
    State(app): State<App>,
    Admin(actor): Admin,
    Path(product): Path<String>,
    Json(body): Json<ImportSigningKey>,
) -> Result<Response, Problem> {
    let catalog = latest(&app, &product).await?;
    let key = super::import(&app, &app.call(actor), &catalog, body).await?;
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(key)).into_response())
}
