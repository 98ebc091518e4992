//! `/api/v1/activate`, `heartbeat`, `release`, `validate`.

use std::net::{IpAddr, SocketAddr};

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::{ConnectInfo, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, de::DeserializeOwned};
use tenure_api::licensing::{
    Activate, Activated, Beat, Heartbeat, Release, Released, Validate, Validation,
};
use tenure_license::instance::Purpose;

use super::{activate, heartbeat, holder, keyless, proof, release, validate};
use crate::{
    App,
    http::{Json, Problem, read_body, require_json, strict},
};

/// Largest body of these operations, in bytes: a license token, and room around it.
pub const BODY_BYTES_MAX: usize = 80 * 1024;

/// [`Validate`], borrowed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain<'a> {
    token: &'a str,
}

/// Where a call comes from.
type Peer = Option<Extension<ConnectInfo<SocketAddr>>>;

fn address(peer: &Peer) -> Option<IpAddr> {
    peer.as_ref().map(|Extension(ConnectInfo(peer))| peer.ip())
}

/// What a body says; an absent one stands for an empty object.
fn said<T: DeserializeOwned>(headers: &HeaderMap, bytes: &Bytes) -> Result<T, Problem> {
    if bytes.is_empty() && !headers.contains_key(header::CONTENT_TYPE) {
        return strict(b"{}");
    }
    require_json(headers)?;
    strict(bytes)
}

/// Activate a license
///
/// Exchanges a license key (or token), as the bearer or in the body, for the signed license. With a
/// proof of its own key pair in the header `Tenure-Proof` an instance gets a lease too, and may ask
/// again with the same bytes when the answer was lost: it is the same lease. Without one it is known
/// by `deployment_id` and `k8s_cluster_uid`, and holds a slot for one lease length from its last contact.
#[utoipa::path(post, path = "/api/v1/activate", tag = "License service", operation_id = "activateLicense",
    params(("Tenure-Proof" = Option<String>, Header, description = "The instance's proof (tenure-proof+jwt)")),
    request_body(content = Activate, example = json!({
        "customer_id": "ten_01932f3ea1b27c3d9e4f5a6b7c8d9e0f",
        "k8s_cluster_uid": "7c1d1c5e-5e0e-4d53-8f0e-0c9d6a1e2b3c"})),
    responses((status = 200, body = Activated), (status = 401, body = Problem, description = "Unknown key or forged token"),
              (status = 403, body = Problem, description = "Revoked, withheld, or another customer's"),
              (status = 409, body = Problem, description = "No free slot, or the instance is in quarantine"),
              (status = 422, body = Problem, description = "A typing mistake in the key"),
              (status = 429, body = Problem)))]
pub async fn activate(
    State(app): State<App>,
    peer: Peer,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Activated>, Problem> {
    let bytes = read_body(body, BODY_BYTES_MAX).await?;
    let proven = proof::read(&headers, &bytes, Purpose::Activate)?;
    let said: Activate = said(&headers, &bytes)?;
    let held = holder::credential(&app, &headers, said.license_key.as_deref()).await?;
    activate::activate(&app, address(&peer), held, proven, said).await.map(Json)
}

/// Say that an instance runs, and hear what is new
///
/// With a proof, or with a license token and the id of the instance. What it counts is held against
/// the limits and never refused. The answer is unsigned but for what it brings: a lease when one is
/// asked for, a newer license, a newer revocation list.
#[utoipa::path(post, path = "/api/v1/heartbeat", tag = "License service", operation_id = "licenseHeartbeat",
    params(("Tenure-Proof" = Option<String>, Header, description = "The instance's proof (tenure-proof+jwt)")),
    request_body(content = Heartbeat, example = json!({
        "usage_stats": {"agent_runs": 1200, "teams": 4, "users": 31}})),
    responses((status = 200, body = Beat), (status = 401, body = Problem),
              (status = 409, body = Problem, description = "A late duplicate"), (status = 422, body = Problem),
              (status = 429, body = Problem)))]
pub async fn heartbeat(
    State(app): State<App>,
    peer: Peer,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Beat>, Problem> {
    app.licensing().limits.call_from(address(&peer))?;
    let bytes = read_body(body, BODY_BYTES_MAX).await?;
    let proven = proof::read(&headers, &bytes, Purpose::Heartbeat)?;
    let said: Heartbeat = said(&headers, &bytes)?;
    if let Some(proven) = proven {
        return heartbeat::proven(&app, &proven, &said).await.map(Json);
    }
    let held = holder::credential(&app, &headers, said.token.as_deref()).await?;
    keyless::heartbeat(&app, held, &said).await.map(Json)
}

/// Give an instance's slot back
///
/// With a proof. Sent again it changes nothing.
#[utoipa::path(post, path = "/api/v1/release", tag = "License service", operation_id = "releaseLicense",
    params(("Tenure-Proof" = Option<String>, Header, description = "The instance's proof (tenure-proof+jwt)")),
    request_body(content = Release, example = json!({"reason": "moved to prod-eu-2"})),
    responses((status = 200, body = Released), (status = 401, body = Problem),
              (status = 409, body = Problem, description = "A late duplicate"), (status = 429, body = Problem)))]
pub async fn release(
    State(app): State<App>,
    peer: Peer,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Released>, Problem> {
    app.licensing().limits.call_from(address(&peer))?;
    let bytes = read_body(body, BODY_BYTES_MAX).await?;
    let proven = proof::read(&headers, &bytes, Purpose::Release)?;
    let said: Release = said(&headers, &bytes)?;
    match proven {
        Some(proven) => release::release(&app, &proven, said).await.map(Json),
        None => Err(holder::stranger(&app, &headers).await),
    }
}

/// Validate a license token
///
/// No credential needed: who has the token may ask what it is worth. A token that is not genuine is
/// an answer (`valid: false`), not an error.
#[utoipa::path(post, path = "/api/v1/validate", tag = "License service", operation_id = "validateLicense",
    security(()),
    request_body(content = Validate, example = json!({"token": "eyJhbGciOiJSUzI1NiIs..."})),
    responses((status = 200, body = Validation), (status = 413, body = Problem), (status = 422, body = Problem),
              (status = 429, body = Problem)))]
pub async fn validate(
    State(app): State<App>,
    peer: Peer,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    app.licensing().limits.call_from(address(&peer))?;
    let bytes = read_body(body, BODY_BYTES_MAX).await?;
    require_json(&headers)?;
    // A token needs no escapes: it is read where it lies. Any other body is read with care.
    let answer = match serde_json::from_slice::<Plain<'_>>(&bytes) {
        Ok(said) => validate::answer(&app, said.token).await?,
        Err(_) => {
            let said: Validate = said(&headers, &bytes)?;
            validate::answer(&app, &said.token).await?
        }
    };
    Ok(([(header::CONTENT_TYPE, "application/json")], answer).into_response())
}
