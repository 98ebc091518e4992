//! The entitlements as flags (OFREP), evaluated by the server's own function.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::json;
use tenure_api::flags::{ErrorCode, EvaluationError, Facts};
use tenure_license::Digest;

use crate::Agent;

/// How often a provider may ask whether something changed.
const POLLING_INTERVAL_MS_MIN: u32 = 1_000;

fn refused(status: StatusCode, key: Option<&str>, code: ErrorCode, details: &str) -> Response {
    let body = EvaluationError {
        key: key.map(str::to_owned),
        error_code: code,
        error_details: details.to_owned(),
    };
    (status, Json(body)).into_response()
}

/// The request may be left out; its context is not needed.
fn checked(body: &[u8], key: Option<&str>) -> Result<(), Box<Response>> {
    if body.is_empty() {
        return Ok(());
    }
    match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(json) if json.is_object() => Ok(()),
        _ => Err(Box::new(refused(
            StatusCode::BAD_REQUEST,
            key,
            ErrorCode::ParseError,
            "The body must be a JSON object.",
        ))),
    }
}

fn facts(agent: &Agent, key: Option<&str>) -> Result<Facts, Box<Response>> {
    let view = agent.view();
    view.facts(agent.now()).ok_or_else(|| {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Box::new(refused(status, key, ErrorCode::General, &view.why_unlicensed()))
    })
}

pub(super) async fn one(
    State(agent): State<Arc<Agent>>,
    Path(key): Path<String>,
    body: Bytes,
) -> Response {
    if let Err(refusal) = checked(&body, Some(&key)) {
        return *refusal;
    }
    let facts = match facts(&agent, Some(&key)) {
        Ok(facts) => facts,
        Err(refusal) => return *refusal,
    };
    match facts.evaluate(&key) {
        Some(flag) => Json(flag).into_response(),
        None => {
            let details = format!("The license of {} has no flag of this name.", facts.product);
            refused(StatusCode::NOT_FOUND, Some(&key), ErrorCode::FlagNotFound, &details)
        }
    }
}

pub(super) async fn all(
    State(agent): State<Arc<Agent>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Err(refusal) = checked(&body, None) {
        return *refusal;
    }
    match facts(&agent, None) {
        Ok(facts) => tagged(&facts.evaluate_all(), &headers),
        Err(refusal) => *refusal,
    }
}

pub(super) async fn configuration(headers: HeaderMap) -> Response {
    let body = json!({
        "name": "tenure-agent",
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
fn tagged(body: &impl Serialize, headers: &HeaderMap) -> Response {
    let Ok(body) = serde_json::to_vec(body) else {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        return refused(status, None, ErrorCode::General, "The flags cannot be written.");
    };
    let etag = format!("\"{}\"", &Digest::sha256(&body).to_string()[..24]);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let same = |tag: &str| tag.trim().trim_start_matches("W/") == etag || tag.trim() == "*";
    if known.is_some_and(|known| known.split(',').any(same)) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response();
    }
    let headers = [(header::ETAG, etag), (header::CONTENT_TYPE, "application/json".to_owned())];
    (headers, body).into_response()
}
