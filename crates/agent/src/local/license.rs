//! What the license is worth, and the three questions of a product.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tenure_api::licensing::Warning;
use tenure_core::Quantity;
use tenure_license::enforcement::{self, Decision, Work};

use super::problem::problem;
use crate::{Agent, Error, agent::meta, view::UNLICENSED};

/// SPEC 7; the process is healthy whatever the license is worth.
pub(super) async fn health(State(agent): State<Arc<Agent>>) -> Json<Value> {
    let version = agent.settings.version.as_deref().unwrap_or(env!("CARGO_PKG_VERSION"));
    let license = agent.view().word(agent.now());
    Json(json!({ "status": "healthy", "license": license, "version": version }))
}

/// State and proof: an SDK verifies the tokens for itself.
pub(super) async fn license(State(agent): State<Arc<Agent>>) -> Json<Value> {
    Json(describe(&agent))
}

/// What `GET /v1/license` answers.
pub(crate) fn describe(agent: &Agent) -> Value {
    let (now, view) = (agent.now(), agent.view());
    let state = &view.state;
    let mut answer = match view.verdict(now) {
        Some(verdict) => serde_json::to_value(verdict).unwrap_or_default(),
        None => json!({
            "state": UNLICENSED, "reason": "license_missing", "until": null,
            "notice": view.why_unlicensed(), "as_of": now, "clock_suspect": false,
        }),
    };
    answer["now"] = json!(now);
    answer["floor"] = json!(state.floor);
    answer["phase"] = json!(state.phase);
    answer["key"] = json!(state.key);
    answer["instance"] = json!(state.instance);
    answer["claims"] = json!(view.license.as_ref().map(|license| license.claims()));
    answer["license"] = json!(state.license.as_ref().map(|held| &held.token));
    answer["lease"] = json!(state.lease.as_ref().map(|held| &held.token));
    answer["lease_until"] = json!(state.lease.as_ref().map(|held| held.exp));
    answer["revocations"] = json!(view.revocations);
    answer["held_since"] = json!(state.license.as_ref().map(|held| held.since));
    answer["trouble"] = json!(state.trouble);
    answer
}

/// The grant in the form that products read (SPEC 5).
pub(super) async fn entitlements(State(agent): State<Arc<Agent>>) -> Response {
    let view = agent.view();
    match &view.license {
        Some(license) => Json(&license.claims().entitlements).into_response(),
        None => problem(StatusCode::NOT_FOUND, "license_missing", &view.why_unlicensed()),
    }
}

pub(super) async fn notices(State(agent): State<Arc<Agent>>) -> Result<Json<Value>, Error> {
    let warnings = warnings(&agent).await?;
    let notices = agent.view().notices(agent.now(), &warnings);
    Ok(Json(json!({ "notices": notices })))
}

async fn warnings(agent: &Agent) -> Result<Vec<Warning>, Error> {
    let text = agent.store.meta(meta::WARNINGS).await?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

/// A question of the product.
#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Question {
    Feature { feature: String },
    Limit { limit: String, used: Quantity, more: Option<Quantity> },
    Work { work: Work },
}

pub(super) async fn check(
    State(agent): State<Arc<Agent>>,
    body: Bytes,
) -> Result<Json<Decision>, Error> {
    let question = serde_json::from_slice(&body).map_err(|_| {
        Error::refused(
            "bad_question",
            "ask {\"feature\":\"sso\"}, {\"limit\":\"teams\",\"used\":\"4\",\"more\":\"1\"} or \
             {\"work\":\"new\"}; quantities are texts",
        )
    })?;
    let (now, view) = (agent.now(), agent.view());
    Ok(Json(match question {
        Question::Work { work } => view.work(now, work),
        Question::Feature { feature } => {
            view.ask(now, |claims, verdict| enforcement::feature(claims, verdict, &feature))
        }
        Question::Limit { limit, used, more } => {
            let held = |claims: &tenure_license::LicenseClaims| {
                claims.limit(&limit).is_some_and(|limit| limit.per.is_none())
            };
            if view.license.as_ref().is_some_and(|license| held(license.claims())) {
                agent.gauges.set(&limit, used.value());
            }
            let more = more.unwrap_or(Quantity::ONE);
            view.ask(now, |claims, verdict| enforcement::limit(claims, verdict, &limit, used, more))
        }
    }))
}
