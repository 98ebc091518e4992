//! Quotas: checked and recorded in one step, or counted here for a product that
//! records by itself.
//!
//! A limit of a calendar counts within its day, month or year (UTC); another one
//! counts what was taken since the license began, and is better asked about with
//! `POST /v1/check`.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tenure_core::Quantity;
use tenure_license::{
    claims::{Limit, Per},
    enforcement,
};

use crate::{
    Agent, Error, quota,
    run::Used,
    store::{Taken, Taking},
};

/// Longest id of a taking, in bytes.
const ID_LEN_MAX: usize = 256;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Take {
    #[serde(default = "one")]
    quantity: Quantity,
    #[serde(default)]
    id: Option<String>,
}

const fn one() -> Quantity {
    Quantity::ONE
}

fn start(limit: &Limit, at: Timestamp) -> Timestamp {
    limit.per.map_or(Timestamp::UNIX_EPOCH, |per| quota::window_start(per, at))
}

pub(super) async fn take(
    State(agent): State<Arc<Agent>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Taken>, Error> {
    let asked = if body.is_empty() { b"{}" } else { &body[..] };
    let asked: Take = serde_json::from_slice(asked).map_err(|error| {
        Error::refused(
            "bad_taking",
            format!("send {{\"quantity\":\"1\",\"id\":\"run-17\"}}; quantities are texts: {error}"),
        )
    })?;
    if asked.id.as_ref().is_some_and(|id| id.is_empty() || id.len() > ID_LEN_MAX) {
        return Err(Error::refused("bad_taking", format!("`id` has 1 to {ID_LEN_MAX} bytes")));
    }
    let (now, view) = (agent.now(), agent.view());
    let at = now.max(view.state.floor.unwrap_or(now));
    let limit = view.license.as_ref().and_then(|license| license.claims().limit(&id).cloned());
    let taking = Taking {
        quota: &id,
        window_start: limit.as_ref().map_or(Timestamp::UNIX_EPOCH, |limit| start(limit, at)),
        id: asked.id.as_deref(),
        quantity: asked.quantity,
        at,
    };
    let decide = |used| Taken {
        decision: view.ask(now, |claims, verdict| {
            enforcement::limit(claims, verdict, &id, used, asked.quantity)
        }),
        used,
        limit: limit.as_ref().and_then(|limit| limit.max),
    };
    Ok(Json(agent.store.take(&taking, decide).await?))
}

/// Usage that is recorded only where the quota allows it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Consume {
    /// What the quota's meter counts of the event.
    #[serde(default = "one")]
    quantity: Quantity,
    event: Box<RawValue>,
}

pub(super) async fn consume(
    State(agent): State<Arc<Agent>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Used>, Error> {
    let asked: Consume = serde_json::from_slice(&body).map_err(|error| {
        Error::refused(
            "bad_taking",
            format!("send {{\"quantity\":\"1\",\"event\":CloudEvent}}: {error}"),
        )
    })?;
    if asked.quantity.value().is_zero() {
        return Err(Error::refused("bad_taking", "`quantity` is more than zero"));
    }
    Ok(Json(agent.consume(&id, asked.quantity, asked.event.get().as_bytes()).await?))
}

pub(super) async fn all(State(agent): State<Arc<Agent>>) -> Result<Json<Value>, Error> {
    Ok(Json(json!({ "quotas": agent.quotas().await? })))
}

impl Agent {
    /// What was taken of each limit that has a calendar.
    pub async fn quotas(&self) -> Result<Vec<Value>, Error> {
        let (now, view) = (self.now(), self.view());
        let at = now.max(view.state.floor.unwrap_or(now));
        let Some(license) = &view.license else { return Ok(Vec::new()) };
        let mut all = Vec::new();
        for (id, limit) in &license.claims().limits {
            let used = self.store.used(id, start(limit, at)).await?;
            let slices = self.store.in_hand(id, at).await?;
            if limit.per.is_none() && used == Quantity::ZERO && slices.is_empty() {
                continue;
            }
            let slices: Vec<Value> = slices
                .iter()
                .map(|one| json!({ "left": one.quantity - one.used, "until": one.until }))
                .collect();
            let resets = limit.per.map(|per: Per| quota::window_end(per, at));
            all.push(json!({
                "quota": id, "used": used, "limit": limit.max,
                "per": limit.per, "resets_at": resets, "slices": slices,
            }));
        }
        Ok(all)
    }
}
