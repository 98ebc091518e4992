//! `/ofrep/v1`: bodies as the protocol says, also of errors; only 401 and 403
//! are problem details, for which the protocol has no body.

use axum::{
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::json;
use tenure_api::flags::{
    BulkEvaluation, ErrorCode, Evaluation, EvaluationError, EvaluationRequest, Facts,
};
use tenure_license::Digest;

use crate::{
    App,
    http::{Json, Problem, read_body},
    identity::ApiKey,
};

/// Largest request, in bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// How often a provider may ask whether something changed.
const POLLING_INTERVAL_MS_MIN: u32 = 1_000;

/// An answer of the protocol that is no success.
type Refused = Response;

fn refused(status: StatusCode, key: Option<&str>, code: ErrorCode, details: &str) -> Refused {
    let body = EvaluationError {
        key: key.map(str::to_owned),
        error_code: code,
        error_details: details.to_owned(),
    };
    (status, Json(body)).into_response()
}

/// The protocol's bodies for what goes wrong on our side.
fn failed(problem: Problem) -> Refused {
    if matches!(problem.status, 401 | 403) {
        return problem.into_response();
    }
    let (status, details) = (problem.status_code(), problem.detail.clone());
    let retry = problem.into_response().headers().get(header::RETRY_AFTER).cloned();
    let mut response = (status, Json(json!({ "errorDetails": details }))).into_response();
    if let Some(retry) = retry {
        response.headers_mut().insert(header::RETRY_AFTER, retry);
    }
    response
}

/// Reads the request, which may be left out.
async fn check(body: Body, key: Option<&str>) -> Result<(), Refused> {
    let refuse = |code, details| Err(refused(StatusCode::BAD_REQUEST, key, code, details));
    let body: Bytes = read_body(body, BODY_BYTES_MAX).await.map_err(failed)?;
    if body.is_empty() {
        return Ok(());
    }
    let Ok(request) = serde_json::from_slice::<serde_json::Value>(&body) else {
        return refuse(ErrorCode::ParseError, "The body is not valid JSON.");
    };
    if !request.is_object() {
        return refuse(ErrorCode::ParseError, "The body must be a JSON object.");
    }
    match &request["context"] {
        serde_json::Value::Null => Ok(()),
        serde_json::Value::Object(context) => match context.get("targetingKey") {
            None | Some(serde_json::Value::String(_)) => Ok(()),
            Some(_) => refuse(ErrorCode::InvalidContext, "`targetingKey` must be a text."),
        },
        _ => refuse(ErrorCode::InvalidContext, "`context` must be an object."),
    }
}

async fn facts(app: &App, key: ApiKey) -> Result<Facts, Refused> {
    super::facts(app, key.0.tenant, key.0.subscription).await.map_err(failed)
}

/// Evaluate one flag
///
/// Features are boolean flags under their id, limits integer flags
/// `limit.<id>` (-1: unlimited), values text, integer or object flags (a list is
/// `{"items": [...]}`). While the subscription is suspended or cancelled, the
/// reason is `DISABLED`, features are off and limits 0.
#[utoipa::path(post, path = "/ofrep/v1/evaluate/flags/{key}", tag = "Flags", operation_id = "evaluateFlag",
    params(("key" = String, Path, example = "sso")), request_body(content = EvaluationRequest, example = json!({"context": {"targetingKey": "user-1"}})),
    security(("bearer" = []), ("apiKey" = [])),
    responses((status = 200, body = Evaluation), (status = 400, body = EvaluationError),
              (status = 401, body = Problem), (status = 403, body = Problem),
              (status = 404, body = EvaluationError)))]
pub async fn one(
    State(app): State<App>,
    credential: ApiKey,
    Path(key): Path<String>,
    body: Body,
) -> Result<Response, Refused> {
    check(body, Some(&key)).await?;
    let facts = facts(&app, credential).await?;
    facts.evaluate(&key).map(|flag| Json(flag).into_response()).ok_or_else(|| {
        let details = format!("{} has no flag of this name.", facts.product);
        refused(StatusCode::NOT_FOUND, Some(&key), ErrorCode::FlagNotFound, &details)
    })
}

/// Evaluate every flag
///
/// Send `If-None-Match` with the last `ETag` to be told 304 while nothing
/// changed.
#[utoipa::path(post, path = "/ofrep/v1/evaluate/flags", tag = "Flags", operation_id = "evaluateFlags",
    params(("If-None-Match" = Option<String>, Header)), request_body(content = EvaluationRequest, example = json!({"context": {"targetingKey": "user-1"}})),
    security(("bearer" = []), ("apiKey" = [])),
    responses((status = 200, body = BulkEvaluation), (status = 304, description = "Nothing changed"),
              (status = 400, body = EvaluationError),
              (status = 401, body = Problem), (status = 403, body = Problem)))]
pub async fn all(
    State(app): State<App>,
    credential: ApiKey,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    check(body, None).await?;
    let facts = facts(&app, credential).await?;
    tagged(&facts.evaluate_all(), &headers)
}

/// What this flag service can do
///
/// For providers that ask before they start.
#[utoipa::path(get, path = "/ofrep/v1/configuration", tag = "Flags", operation_id = "flagConfiguration",
    params(("If-None-Match" = Option<String>, Header)), security(("bearer" = []), ("apiKey" = [])),
    responses((status = 200, body = Object), (status = 304, description = "Nothing changed"),
              (status = 401, body = Problem), (status = 403, body = Problem)))]
pub async fn configuration(_credential: ApiKey, headers: HeaderMap) -> Result<Response, Refused> {
    let body = json!({
        "name": "tenure",
        "capabilities": {
            "cacheInvalidation": {
                "polling": { "enabled": true, "minPollingIntervalMs": POLLING_INTERVAL_MS_MIN }
            },
            "flagEvaluation": { "supportedTypes": ["boolean", "int", "string", "object"] }
        }
    });
    tagged(&body, &headers)
}

/// The body under its entity tag, or 304.
fn tagged(body: &impl Serialize, headers: &HeaderMap) -> Result<Response, Refused> {
    let body = serde_json::to_vec(body).map_err(|error| failed(Problem::internal(error)))?;
    let etag = format!("\"{}\"", &Digest::sha256(&body).to_string()[..24]);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let same = |tag: &str| tag.trim().trim_start_matches("W/") == etag || tag.trim() == "*";
    if known.is_some_and(|known| known.split(',').any(same)) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let headers = [(header::ETAG, etag), (header::CONTENT_TYPE, "application/json".to_owned())];
    Ok((headers, body).into_response())
}
