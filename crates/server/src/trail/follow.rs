//! Following the outbox: how a process hears what others changed.
//!
//! Each look keeps its snapshot; the next asks for what was not visible in it.
//! Nothing is missed or seen twice, however commits interleave, and writers pay
//! nothing. A look every [`LOOK_EVERY`] keeps the promise of
//! [`crate::cache::STALE_MAX`] with room to spare.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use tenure_core::TenantId;
use tokio_util::sync::CancellationToken;

use super::db;
use crate::{App, http::Problem};

/// Time between two looks.
pub const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Messages taken one by one; past it everything cached is forgotten instead.
const MESSAGES_MAX: i64 = 5_000;
/// Topics about single instances and invoices: there are many, and they change nothing that is
/// cached.
const UNCACHED: [&str; 2] = ["instance.", "invoice."];
/// Topics that may change a revocation list.
const LICENSES: &str = "license.";
/// How long messages are kept.
pub const MESSAGES_KEPT_DAYS: i64 = 7;

/// Looks until told to stop.
pub async fn run(app: App, stop: CancellationToken) {
    let mut seen: Option<String> = None;
    let mut interval = tokio::time::interval(LOOK_EVERY);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            () = stop.cancelled() => return,
        }
        let began = Instant::now();
        match look(&app, seen.as_deref()).await {
            Ok(snapshot) => {
                seen = Some(snapshot);
                app.freshness().seen_all_before(began);
            }
            Err(problem) => tracing::debug!(detail = problem.detail, "could not read the outbox"),
        }
    }
}

async fn look(app: &App, seen: Option<&str>) -> Result<String, Problem> {
    let mut tx = app.db().vendor().await?;
    let Some(seen) = seen else {
        // The first look of this process: nothing is cached yet.
        let snapshot = db::snapshot(&mut tx).await?;
        tx.commit().await?;
        app.forget_everything();
        return Ok(snapshot);
    };
    let (snapshot, messages) = db::since(&mut tx, seen, MESSAGES_MAX).await?;
    tx.commit().await?;
    let many = i64::try_from(messages.len()).unwrap_or(i64::MAX) >= MESSAGES_MAX;
    if many || messages.iter().any(|message| message.tenant_id.is_none()) {
        app.forget_everything();
        app.clock_moved().await?;
        return Ok(snapshot);
    }
    let mut changed = HashSet::new();
    let mut taken_back = false;
    for message in messages {
        tracing::trace!(topic = message.topic, "heard");
        // Of an instance nothing is cached but who it is, and that never changes; of an invoice nothing.
        if UNCACHED.iter().any(|topic| message.topic.starts_with(topic)) {
            continue;
        }
        taken_back |= message.topic.starts_with(LICENSES);
        changed.extend(message.tenant_id.map(TenantId::from_uuid));
    }
    if taken_back {
        app.licensing().forget_revocations();
    }
    if !changed.is_empty() {
        app.forget_tenants(&changed);
    }
    Ok(snapshot)
}

/// Deletes messages older than [`MESSAGES_KEPT_DAYS`]. Returns how many.
pub async fn expire(app: &App) -> Result<u64, Problem> {
    let before = app.now() - jiff::SignedDuration::from_hours(24 * MESSAGES_KEPT_DAYS);
    let mut tx = app.db().vendor().await?;
    let gone = db::delete_messages_before(&mut tx, before).await?;
    tx.commit().await?;
    Ok(gone)
}
