//! Usage: events in, totals out.
//!
//! The path of a batch: [`api`] reads the body, `event` its CloudEvents,
//! `check` decides on each, `batch` tells repetitions apart; then one
//! transaction holds {keys, events, rollups}, or nothing of them.
//!
//! Owns: what counts once and what does not, rollups in quarter hours, totals
//! of windows. Refuses: one event at a time, with a reason each: a bad or
//! repeated event never fails its batch. Usage is never refused for being too
//! much: what happened is recorded, also while a customer is suspended; what
//! to do about it is the product's decision, from the summary's `standing`.
//!
//! Keys of the environment `test`: their events are checked and answered like
//! any other, and not stored, so they can never reach a bill. Repetitions are
//! recognised inside one batch only.

pub mod api;
mod batch;
mod check;
pub(crate) mod db;
mod event;
pub(crate) mod generations;
pub(crate) mod raw;
pub mod summary;
mod totals;
pub mod windows;

use serde_json::value::RawValue;
use tenure_api::usage::{Outcome, Receipt};
use tenure_core::SubscriptionStatus;
use tenure_license::Environment;
use tenure_tenancy::TenantTx;

use self::batch::Batch;
pub use self::{check::HORIZON_DAYS, summary::summary};
use crate::{
    App, health,
    http::Problem,
    identity::Principal,
    quotas,
    subscriptions::entitlements::{Situation, known_situation},
};

/// Events of one request at most.
pub const EVENTS_MAX: usize = 10_000;
/// Largest body, in bytes.
pub const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Records a batch in one transaction.
///
/// # Errors
/// 403 when the subscription has ended, 503 when the database is away; then
/// nothing of the batch was recorded.
async fn record<'a>(
    app: &App,
    principal: &Principal,
    events: Vec<event::Arrived<'a>>,
) -> Result<Receipt<'a>, Problem> {
    let situation = known_situation(app, principal.tenant, principal.subscription).await?;
    refuse_ended(&situation)?;
    let now = app.now();
    let mut batch = Batch::check(&situation, now, events);
    if principal.environment == Environment::Test || batch.is_empty() {
        batch.pretend();
    } else {
        store(app, principal, &situation, &mut batch, now).await?;
    }
    let receipt = batch.receipt();
    count(app, &receipt);
    Ok(receipt)
}

fn refuse_ended(situation: &Situation) -> Result<(), Problem> {
    if situation.subscription.status != SubscriptionStatus::Cancelled {
        return Ok(());
    }
    Err(Problem::forbidden(format!(
        "The subscription is cancelled and takes no more usage. Contact {}.",
        situation.catalog.product.sales_contact
    )))
}

async fn store(
    app: &App,
    principal: &Principal,
    situation: &Situation,
    batch: &mut Batch<'_, '_>,
    now: jiff::Timestamp,
) -> Result<(), Problem> {
    let mut tx = app.db().tenant(principal.tenant).await?;
    write(app, &mut tx, situation, batch, now).await?;
    tx.commit().await?;
    Ok(())
}

/// Whose usage a report holds.
pub(crate) struct Reported<'s> {
    /// The subscription, with its meters.
    pub(crate) situation: &'s Situation,
    pub(crate) environment: Environment,
}

/// Records events out of a usage report in the caller's transaction, at most
/// [`EVENTS_MAX`] of them. Also for a subscription that has ended: what was used
/// before is settled after.
pub(crate) async fn record_reported<'a>(
    app: &App,
    tx: &mut TenantTx,
    of: &Reported<'_>,
    events: &[&'a RawValue],
    now: jiff::Timestamp,
) -> Result<Receipt<'a>, Problem> {
    let arrived = events.iter().map(|event| event::element(event)).collect();
    let mut batch = Batch::check(of.situation, now, arrived);
    if of.environment == Environment::Test || batch.is_empty() {
        batch.pretend();
    } else {
        write(app, tx, of.situation, &mut batch, now).await?;
    }
    let receipt = batch.receipt();
    count(app, &receipt);
    Ok(receipt)
}

async fn write(
    app: &App,
    tx: &mut TenantTx,
    situation: &Situation,
    batch: &mut Batch<'_, '_>,
    now: jiff::Timestamp,
) -> Result<(), Problem> {
    let subscription = situation.subscription.id;
    let generation = generations::enter(tx, subscription, generations::With::Others).await?;
    let (keys, payloads) = batch.claims();
    let mut repeated = Vec::new();
    if let Some(fresh) = db::claim(tx, &keys, &payloads).await? {
        let known: std::collections::HashSet<_> = fresh.into_iter().collect();
        let others: Vec<_> = keys.into_iter().filter(|key| !known.contains(key)).collect();
        repeated = db::claimed(tx, &others).await?;
        if repeated.len() != others.len() {
            // The key that stood in the way was deleted in between.
            return Err(Problem::unavailable("Send the batch again; nothing was recorded."));
        }
    }
    batch.resolve(repeated);
    let rows = batch.rows();
    if rows.is_empty() {
        return Ok(());
    }
    db::insert(tx, subscription, generation, &rows, now).await?;
    quotas::count(app, tx, situation, Environment::Live, batch.readings(), now).await
}

fn count(app: &App, receipt: &Receipt<'_>) {
    let outcomes = [
        (Outcome::Accepted, receipt.accepted),
        (Outcome::Duplicate, receipt.duplicates),
        (Outcome::Conflict, receipt.conflicts),
        (Outcome::Rejected, receipt.rejected),
    ];
    for (outcome, number) in outcomes.into_iter().filter(|(_, number)| *number > 0) {
        let label = health::Outcome { outcome: outcome.word() };
        app.metrics().usage_events.get_or_create(&label).inc_by(number as u64);
    }
}
