//! Usage: events in, totals out.
//!
//! The path of a batch: [`api`] reads the body, `event` its CloudEvents,
//! `check` decides on each, `batch` tells repetitions apart by the rules of
//! `lanes`, `store` makes chunks and rollups; then one transaction holds {keys
//! or watermarks, events, rollups}, or nothing of them.
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
mod body;
mod brought;
mod check;
mod chunk;
pub(crate) mod db;
pub(crate) mod dimensions;
mod event;
pub(crate) mod generations;
pub(crate) mod intake;
pub(crate) mod kept;
mod lanes;
pub mod live;
pub(crate) mod raw;
mod rebuild;
pub mod refused;
pub(crate) mod reported;
pub mod retention;
pub mod series;
mod store;
pub mod summary;
mod totals;
mod voids;
pub mod windows;

use std::collections::HashMap;

use serde_json::value::RawValue;
use tenure_api::usage::{Outcome, Producer, Receipt};
use tenure_core::TenantId;
use tenure_license::Environment;
use tenure_tenancy::TenantTx;

use self::{
    batch::{Batch, Lane, Sources},
    db::Place,
    generations::With,
    lanes::Watermark,
    store::Writes,
};
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
/// Largest body once it is unpacked, in bytes.
pub const UNPACKED_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Records a batch in one transaction. Also for a subscription that has ended: what was used
/// before and comes late is settled ([`crate::billing::settlements`]); an event that is dated
/// after its end is refused.
///
/// # Errors
/// 503 when the database is away; then nothing of the batch was recorded.
async fn record<'a>(
    app: &App,
    principal: &Principal,
    events: Vec<event::Arrived<'a>>,
    minimal: bool,
) -> Result<Receipt<'a>, Problem> {
    let situation = known_situation(app, principal.tenant, principal.subscription).await?;
    let now = app.now();
    let mut batch = Batch::check(&situation, now, events);
    if principal.environment == Environment::Test {
        batch.pretend();
    } else if !batch.is_empty() || !batch.refused().is_empty() {
        store(app, principal, &situation, &mut batch, now).await?;
        app.metrics().usage.add(&situation.tenant.slug, batch.live());
    }
    let receipt = batch.receipt(minimal);
    count(app, &receipt);
    Ok(receipt)
}

async fn store(
    app: &App,
    principal: &Principal,
    situation: &Situation,
    batch: &mut Batch<'_, '_>,
    now: jiff::Timestamp,
) -> Result<(), Problem> {
    let mut tx = app.db().tenant(principal.tenant).await?;
    let with = if batch.has_voids() { With::Nobody } else { With::Others };
    write(app, &mut tx, situation, batch, now, with).await?;
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
/// [`EVENTS_MAX`] of them. Also for a subscription that has ended, as [`record`] does.
pub(crate) async fn record_reported<'a>(
    app: &App,
    tx: &mut TenantTx,
    of: &Reported<'_>,
    events: &[&'a RawValue],
    now: jiff::Timestamp,
) -> Result<Receipt<'a>, Problem> {
    let arrived = events.iter().map(|event| event::element(event)).collect();
    let mut batch = Batch::check(of.situation, now, arrived);
    if of.environment == Environment::Test {
        batch.pretend();
    } else if !batch.is_empty() || !batch.refused().is_empty() {
        // Several batches share the transaction: who waits to be alone later, holding a place
        // among others, could wait for another who does the same.
        write(app, tx, of.situation, &mut batch, now, With::Nobody).await?;
    }
    let receipt = batch.receipt(false);
    count(app, &receipt);
    Ok(receipt)
}

async fn write(
    app: &App,
    tx: &mut TenantTx,
    situation: &Situation,
    batch: &mut Batch<'_, '_>,
    now: jiff::Timestamp,
    with: With,
) -> Result<(), Problem> {
    let subscription = situation.subscription.id;
    let generation = generations::enter(tx, subscription, with).await?;
    let place = Place { subscription, generation, received_at: now };
    let before = db::sources(tx, &batch.sources()).await?;
    batch.keep_lanes(&before);
    claim_keys(tx, batch, now).await?;
    let moved = take_numbers(tx, batch, before).await?;
    if !moved.is_empty() {
        db::move_watermarks(tx, &moved).await?;
    }
    put(tx, place, &Writes::of(batch)?).await?;
    let live = Environment::Live;
    if batch.has_voids() {
        let changed = voids::take_back(tx, situation, place, batch).await?;
        quotas::count(app, tx, situation, live, batch.added(), now).await?;
        quotas::recount(tx, situation, &changed, now).await?;
    } else {
        quotas::count(app, tx, situation, live, batch.added(), now).await?;
    }
    if !batch.refused().is_empty() {
        refused::record(tx, subscription, batch.refused(), now).await?;
    }
    Ok(())
}

/// Writes new events and what they add up to.
async fn put(tx: &mut TenantTx, place: Place, writes: &Writes<'_>) -> Result<(), Problem> {
    db::insert_chunks(tx, place, &writes.chunks).await?;
    if !writes.rows.is_empty() {
        db::insert_rows(tx, place, &writes.rows).await?;
    }
    if !writes.members.is_empty() {
        db::insert_members(tx, place, &writes.members).await?;
    }
    if !writes.rollups.is_empty() {
        db::add_rollups(tx, place, &writes.rollups).await?;
    }
    Ok(())
}

/// The key lane: tells repetitions by the keys that were claimed before.
async fn claim_keys(
    tx: &mut TenantTx,
    batch: &mut Batch<'_, '_>,
    now: jiff::Timestamp,
) -> Result<(), Problem> {
    let (keys, payloads) = batch.claims();
    if keys.is_empty() {
        return Ok(());
    }
    let mut repeated = Vec::new();
    if let Some(fresh) = db::claim(tx, &keys, &payloads, now).await? {
        let known: std::collections::HashSet<_> = fresh.into_iter().collect();
        let others: Vec<_> = keys.into_iter().filter(|key| !known.contains(key)).collect();
        repeated = db::claimed(tx, &others).await?;
        if repeated.len() != others.len() {
            // The key that stood in the way was deleted in between.
            return Err(Problem::unavailable("Send the batch again; nothing was recorded."));
        }
    }
    batch.resolve_keys(repeated);
    Ok(())
}

/// The numbered lane: tells repetitions by the watermarks, and where those are now.
async fn take_numbers(
    tx: &mut TenantTx,
    batch: &mut Batch<'_, '_>,
    before: Sources,
) -> Result<Vec<(String, Watermark)>, Problem> {
    let settled = batch.settled(&before);
    let recorded =
        if settled.is_empty() { HashMap::new() } else { db::numbered(tx, &settled).await? };
    let mut after = before.clone();
    batch.resolve_numbers(&mut after, &recorded);
    let mut moved: Vec<(String, Watermark)> = after
        .into_iter()
        .filter(|(source, lane)| before.get(source) != Some(lane))
        .filter_map(|(source, lane)| match lane {
            Lane::Numbers(mark) => Some((source, mark)),
            Lane::Keys => None,
        })
        .collect();
    moved.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(moved)
}

/// How far a source has come.
///
/// # Errors
/// 404 when nothing ever came from it.
async fn producer(app: &App, tenant: TenantId, source: &str) -> Result<Producer, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let found = db::source(&mut tx, source).await?;
    tx.commit().await?;
    let source = source.to_owned();
    match found.ok_or_else(|| Problem::not_found("source"))? {
        Lane::Keys => Ok(Producer { source, numbered: false, epoch: 0, last: 0 }),
        Lane::Numbers(Watermark { epoch, last }) => {
            Ok(Producer { source, numbered: true, epoch, last })
        }
    }
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
