//! Holding a part of a quota before it is used.

use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use tenure_api::quota::{NewReservation, Reservation, ReservationStatus};
use tenure_catalog::{Aggregation, resolve};
use tenure_core::Quantity;
use tenure_tenancy::TenantTx;
use uuid::Uuid;

use super::{
    HELD_SECONDS_DEFAULT, HELD_SECONDS_MAX, Limited, SOURCE_DEFAULT, check_name, count,
    db::{self, Counter, Held, Quick},
    expiry,
    limited::retry_after,
    refuse_withheld,
};
use crate::{
    App,
    http::Problem,
    identity::Principal,
    subscriptions::{
        entitlements::{Situation, known_situation},
        not_resolved,
    },
};

/// Tries to take a part: once as things stand, once after parts that ran out were given back.
const TRIES_MAX: usize = 2;

/// Holds a part, or finds the one that is held under the id already.
///
/// # Errors
/// 429 where a limit that blocks leaves too little, 409 where the id names another
/// reservation, 403 where access is withheld.
pub async fn reserve(
    app: &App,
    principal: &Principal,
    new: NewReservation,
) -> Result<Reservation, Problem> {
    let now = app.now();
    let situation = known_situation(app, principal.tenant, principal.subscription).await?;
    refuse_withheld(&situation, now)?;
    let entitlements =
        resolve(&situation.catalog.product, &situation.terms, now).map_err(not_resolved)?;
    let limited = Limited::find(&situation, &entitlements, &new.meter)?;
    let held = held(&situation, &limited, new, now)?;
    let limit = limited.raw().filter(|_| super::blocks(&limited));
    let (subscription, environment) = (principal.subscription, principal.environment);
    let terms_at = situation.subscription.updated_at;
    for attempt in 0..TRIES_MAX {
        let mut tx = app.db().tenant(principal.tenant).await?;
        let taken =
            db::take(&mut tx, subscription, environment, terms_at, &held, limit, now).await?;
        match taken {
            Quick::Held { used, reserved } => {
                tx.commit().await?;
                let counter = Counter { used, reserved, ..Counter::new(0, held.window, terms_at) };
                return Ok(told(&limited, &held, &counter));
            }
            Quick::Named => {
                tx.rollback().await?;
                return again(app, principal, &situation, &limited, &held).await;
            }
            // Nothing counted in this window yet, or parts that ran out stand in the way.
            Quick::No if attempt + 1 < TRIES_MAX => {
                expiry::expire_own(&mut tx, now).await?;
                let window = held.window;
                count::locked(&mut tx, &situation, environment, &limited, window, now).await?;
                tx.commit().await?;
            }
            Quick::No => return refuse(&mut tx, principal, &situation, &limited, &held, now).await,
        }
    }
    Err(Problem::unavailable("The quota changes at this moment. Nothing was held; try again."))
}

fn held(
    situation: &Situation,
    limited: &Limited<'_>,
    new: NewReservation,
    now: Timestamp,
) -> Result<Held, Problem> {
    check_name(new.id.as_deref(), new.source.as_deref())?;
    let seconds = new.expires_in_seconds.unwrap_or(HELD_SECONDS_DEFAULT);
    if !(1..=HELD_SECONDS_MAX).contains(&seconds) {
        let detail = format!("1 to {HELD_SECONDS_MAX} seconds.");
        return Err(Problem::field("/expires_in_seconds", detail));
    }
    let expires_at = now.checked_add(SignedDuration::from_secs(seconds.into()));
    Ok(Held {
        id: new.id.unwrap_or_else(|| Uuid::now_v7().simple().to_string()),
        source: new.source.unwrap_or_else(|| SOURCE_DEFAULT.to_owned()),
        meter_id: limited.meter_id,
        window: limited.window(situation, now)?,
        quantity: quantity(limited, new.quantity)?,
        status: ReservationStatus::Held,
        expires_at: expires_at.map_err(Problem::internal)?,
        committed: None,
    })
}

/// More than nothing; of a meter that counts events, one.
pub(super) fn quantity(limited: &Limited<'_>, asked: Option<Quantity>) -> Result<Decimal, Problem> {
    let quantity = asked.unwrap_or(Quantity::ONE).value();
    if quantity <= Decimal::ZERO {
        return Err(Problem::field("/quantity", "More than zero."));
    }
    if limited.meter.aggregation == Aggregation::Count && quantity != Decimal::ONE {
        let detail = format!(
            "`{}` counts events, and one reservation becomes one event: leave `quantity` out.",
            limited.meter.id
        );
        return Err(Problem::field("/quantity", detail));
    }
    Ok(quantity)
}

/// The id is taken: by the same request, or by another.
async fn again(
    app: &App,
    principal: &Principal,
    situation: &Situation,
    limited: &Limited<'_>,
    held: &Held,
) -> Result<Reservation, Problem> {
    let mut tx = app.db().tenant(principal.tenant).await?;
    let found = repeated(&mut tx, principal, situation, limited, held, app.now()).await?;
    tx.commit().await?;
    found.ok_or_else(|| Problem::unavailable("Nothing was held; try again."))
}

/// The reservation of that id, if there is one.
async fn repeated(
    tx: &mut TenantTx,
    principal: &Principal,
    situation: &Situation,
    limited: &Limited<'_>,
    held: &Held,
    now: Timestamp,
) -> Result<Option<Reservation>, Problem> {
    let environment = principal.environment;
    let found = db::lock(tx, principal.subscription, environment, &held.id).await?;
    let Some(found) = found else { return Ok(None) };
    let same = found.meter_id == held.meter_id
        && found.quantity == held.quantity
        && found.source == held.source;
    if !same {
        let detail = format!(
            "The reservation `{}` is another one; give a new reservation a new id.",
            held.id
        );
        return Err(Problem::conflict("reservation-reused", detail));
    }
    let counter = count::current(tx, situation, environment, limited, found.window, now).await?;
    Ok(Some(told(limited, &found, &counter)))
}

/// Nothing is left: unless the part is held already, the answer says so.
async fn refuse(
    tx: &mut TenantTx,
    principal: &Principal,
    situation: &Situation,
    limited: &Limited<'_>,
    held: &Held,
    now: Timestamp,
) -> Result<Reservation, Problem> {
    if let Some(found) = repeated(tx, principal, situation, limited, held, now).await? {
        return Ok(found);
    }
    let environment = principal.environment;
    let counter = count::current(tx, situation, environment, limited, held.window, now).await?;
    let quota = limited.told(held.window, &counter);
    Err(retry_after(limited.exceeded(situation, &quota), now, held.window.end))
}

pub(super) fn told(limited: &Limited<'_>, held: &Held, counter: &Counter) -> Reservation {
    let quantity = |value: Decimal| Quantity::new(value.normalize()).unwrap_or(Quantity::ZERO);
    Reservation {
        id: held.id.clone(),
        source: held.source.clone(),
        meter: limited.meter.id.clone(),
        quantity: quantity(held.quantity),
        status: held.status,
        expires_at: held.expires_at,
        committed: held.committed.map(quantity),
        quota: limited.told(held.window, counter),
    }
}
