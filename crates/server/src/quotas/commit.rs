//! What becomes of a reservation: a usage event, or nothing.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use tenure_api::{
    quota::{CommitReservation, Reservation, ReservationStatus as Status},
    usage::Outcome,
};
use tenure_catalog::{Meter, resolve};
use tenure_license::Environment;
use tenure_tenancy::TenantTx;

use super::{
    Limited, Reading, count,
    db::{self, Held},
    reserve::{quantity, told},
};
use crate::{
    App,
    http::Problem,
    identity::Principal,
    subscriptions::{
        entitlements::{Situation, known_situation},
        not_resolved,
    },
    usage::{self, Reported},
};

/// An event to be recorded in the caller's transaction.
pub(super) struct Event<'a> {
    pub(super) id: &'a str,
    pub(super) source: &'a str,
    pub(super) time: Timestamp,
    pub(super) quantity: Decimal,
    pub(super) data: Option<Map<String, Value>>,
}

/// Records what was held as a usage event under the reservation's name, once.
///
/// # Errors
/// 404 for an unknown id, 409 for a part that was given back, 422 where the event cannot be
/// recorded.
pub async fn commit(
    app: &App,
    principal: &Principal,
    id: &str,
    done: CommitReservation,
) -> Result<Reservation, Problem> {
    let now = app.now();
    let situation = known_situation(app, principal.tenant, principal.subscription).await?;
    let (subscription, environment) = (principal.subscription, principal.environment);
    let mut tx = app.db().tenant(principal.tenant).await?;
    let held = db::lock(&mut tx, subscription, environment, id).await?;
    let mut held = held.ok_or_else(|| Problem::not_found("reservation"))?;
    let entitlements =
        resolve(&situation.catalog.product, &situation.terms, now).map_err(not_resolved)?;
    let limited = limited_of(&situation, &entitlements, &held)?;
    match held.status {
        Status::Committed => {}
        Status::Released | Status::Expired => return Err(ended(&held)),
        Status::Held => {
            let asked = done.quantity.map(|asked| quantity(&limited, Some(asked))).transpose()?;
            let event = Event {
                id: &held.id,
                source: &held.source,
                time: done.time.unwrap_or(now),
                quantity: asked.unwrap_or(held.quantity),
                data: done.data,
            };
            let used = event.quantity;
            record(app, &mut tx, principal, &situation, &limited, event, now).await?;
            held.status = Status::Committed;
            held.committed = Some(used);
            db::end(&mut tx, subscription, environment, &held, now).await?;
        }
    }
    let counter =
        count::current(&mut tx, &situation, environment, &limited, held.window, now).await?;
    tx.commit().await?;
    Ok(told(&limited, &held, &counter))
}

/// Gives a part back unused; one that was given back stays so.
///
/// # Errors
/// 404 for an unknown id, 409 for a part that was used.
pub async fn release(app: &App, principal: &Principal, id: &str) -> Result<Reservation, Problem> {
    let now = app.now();
    let situation = known_situation(app, principal.tenant, principal.subscription).await?;
    let (subscription, environment) = (principal.subscription, principal.environment);
    let mut tx = app.db().tenant(principal.tenant).await?;
    let held = db::lock(&mut tx, subscription, environment, id).await?;
    let mut held = held.ok_or_else(|| Problem::not_found("reservation"))?;
    let entitlements =
        resolve(&situation.catalog.product, &situation.terms, now).map_err(not_resolved)?;
    let limited = limited_of(&situation, &entitlements, &held)?;
    match held.status {
        Status::Committed => {
            let detail = "It was used and is recorded; what was recorded is not given back.";
            return Err(Problem::conflict("reservation-committed", detail));
        }
        Status::Released | Status::Expired => {}
        Status::Held => {
            held.status = Status::Released;
            db::end(&mut tx, subscription, environment, &held, now).await?;
        }
    }
    let counter =
        count::current(&mut tx, &situation, environment, &limited, held.window, now).await?;
    tx.commit().await?;
    Ok(told(&limited, &held, &counter))
}

fn limited_of<'a>(
    situation: &'a Situation,
    entitlements: &'a tenure_catalog::Entitlements,
    held: &Held,
) -> Result<Limited<'a>, Problem> {
    let all = Limited::all(situation, entitlements)?;
    let found = all.into_iter().find(|one| one.meter_id == held.meter_id);
    found.ok_or_else(|| {
        Problem::conflict("meter-gone", "The subscription's product no longer has this meter.")
    })
}

fn ended(held: &Held) -> Problem {
    let how = match held.status {
        Status::Expired => "ran out",
        _ => "was released",
    };
    let detail = format!(
        "The reservation `{}` {how} at or after {}. If it was used all the same, send the usage \
         event under the same source and id to /api/v1/usage.",
        held.id, held.expires_at
    );
    Problem::conflict("reservation-ended", detail)
}

/// Records the event and counts it; of a test key, counts it only. Whether it was new.
pub(super) async fn record(
    app: &App,
    tx: &mut TenantTx,
    principal: &Principal,
    situation: &Situation,
    limited: &Limited<'_>,
    event: Event<'_>,
    now: Timestamp,
) -> Result<Outcome, Problem> {
    let environment = principal.environment;
    if environment == Environment::Test {
        let reading =
            Reading { meter_id: limited.meter_id, at: event.time, quantity: event.quantity };
        count(app, tx, situation, environment, std::iter::once(reading), now).await?;
        return Ok(Outcome::Accepted);
    }
    let text = cloud_event(limited.meter, event)?;
    let raw = serde_json::value::to_raw_value(&text).map_err(Problem::internal)?;
    let of = Reported { situation, environment };
    let receipt = usage::record_reported(app, tx, &of, &[&raw], now).await?;
    let result = receipt.results.into_iter().next();
    let result = result.ok_or_else(|| Problem::internal("an event has no result"))?;
    match result.outcome {
        Outcome::Accepted | Outcome::Duplicate => Ok(result.outcome),
        Outcome::Conflict | Outcome::Rejected => {
            Err(Problem::field("", result.detail.unwrap_or_else(|| "It was refused.".to_owned())))
        }
    }
}

fn cloud_event(meter: &Meter, event: Event<'_>) -> Result<Value, Problem> {
    let mut data = event.data.unwrap_or_default();
    if let Some(field) = meter.aggregation.field() {
        if data.contains_key(field) {
            let detail = format!("`data.{field}` is what `quantity` says; leave it out.");
            return Err(Problem::field("/data", detail));
        }
        data.insert(field.to_owned(), json!(event.quantity.normalize().to_string()));
    }
    Ok(json!({
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": meter.event_type,
        "time": event.time.to_string(),
        "data": data,
    }))
}
