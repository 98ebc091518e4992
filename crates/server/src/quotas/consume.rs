//! Using a part of a quota in one step: it is recorded, or refused.

use rust_decimal::Decimal;
use tenure_api::quota::{Consume, Consumed};
use tenure_api::usage::Outcome;
use tenure_catalog::resolve;
use tenure_tenancy::TenantTx;

use super::{
    Limited, SOURCE_DEFAULT, check_name,
    commit::{Event, record},
    count, expiry,
    limited::retry_after,
    refuse_withheld,
    reserve::quantity,
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

/// Records an event where the limit allows it. The event is counted first, which locks the
/// counter; what goes past a limit that blocks is undone.
///
/// # Errors
/// 429 where the limit blocks, 403 where access is withheld, 422 for an event that cannot be
/// recorded. Then nothing is recorded.
pub async fn consume(
    app: &App,
    principal: &Principal,
    asked: Consume,
) -> Result<Consumed, Problem> {
    let now = app.now();
    let situation = known_situation(app, principal.tenant, principal.subscription).await?;
    refuse_withheld(&situation, now)?;
    check_name(Some(&asked.id), asked.source.as_deref())?;
    let entitlements =
        resolve(&situation.catalog.product, &situation.terms, now).map_err(not_resolved)?;
    let limited = Limited::find(&situation, &entitlements, &asked.meter)?;
    let quantity = quantity(&limited, asked.quantity)?;
    if let Some(refused) = attempt(app, principal, &situation, &limited, &asked, quantity).await? {
        return Ok(refused);
    }
    // Parts that ran out may stand in the way.
    let mut tx = app.db().tenant(principal.tenant).await?;
    expiry::expire_own(&mut tx, now).await?;
    tx.commit().await?;
    if let Some(consumed) = attempt(app, principal, &situation, &limited, &asked, quantity).await? {
        return Ok(consumed);
    }
    let window = limited.window(&situation, asked.time.unwrap_or(now))?;
    let mut tx = app.db().tenant(principal.tenant).await?;
    let environment = principal.environment;
    let counter = count::current(&mut tx, &situation, environment, &limited, window, now).await?;
    tx.commit().await?;
    let quota = limited.told(window, &counter);
    Err(retry_after(limited.exceeded(&situation, &quota), now, window.end))
}

/// `None` where the limit stands in the way; then nothing is recorded.
async fn attempt(
    app: &App,
    principal: &Principal,
    situation: &Situation,
    limited: &Limited<'_>,
    asked: &Consume,
    quantity: Decimal,
) -> Result<Option<Consumed>, Problem> {
    let now = app.now();
    let time = asked.time.unwrap_or(now);
    let mut tx: TenantTx = app.db().tenant(principal.tenant).await?;
    let event = Event {
        id: &asked.id,
        source: asked.source.as_deref().unwrap_or(SOURCE_DEFAULT),
        time,
        quantity,
        data: asked.data.clone(),
    };
    let outcome = record(app, &mut tx, principal, situation, limited, event, now).await?;
    let window = limited.window(situation, time)?;
    let environment = principal.environment;
    let counter = count::current(&mut tx, situation, environment, limited, window, now).await?;
    if outcome == Outcome::Accepted && limited.is_past(&counter) {
        tx.rollback().await?;
        return Ok(None);
    }
    tx.commit().await?;
    let quota = limited.told(window, &counter);
    Ok(Some(Consumed { outcome: outcome.word().to_owned(), quota }))
}
