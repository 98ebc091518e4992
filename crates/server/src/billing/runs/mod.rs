//! Closing periods and issuing invoices for all tenants, as jobs, with progress.
//!
//! What is due is read from the periods and drafts themselves, so nothing can be
//! forgotten, and a process that dies leaves only jobs whose lease runs out. Work
//! of one day (UTC) is one run.

pub mod api;
pub(crate) mod db;
pub mod model;

use jiff::Timestamp;
use tenure_core::RunId;
use tenure_tenancy::VendorTx;

pub use model::{Run, RunFailure, StartRun};

use crate::{
    App,
    call::Call,
    http::Problem,
    jobs,
    trail::{self, Change},
};

/// The job that closes the due periods of a subscription.
pub(crate) const CLOSE: &str = "billing.close";
/// The job that issues a draft whose grace is over.
pub(crate) const ISSUE: &str = "billing.issue";
/// Jobs queued in one go.
const QUEUED_MAX: i64 = 10_000;
/// Failures that a run shows.
const FAILURES_MAX: i64 = 100;
/// Runs in a list.
const RUNS_MAX: i64 = 100;

/// Queues what is due and not queued yet. Returns how many.
pub(crate) async fn find(app: &App) -> Result<u64, Problem> {
    let now = app.now();
    let mut tx = app.db().vendor().await?;
    if !db::is_due(&mut tx, CLOSE, ISSUE, now).await? {
        tx.commit().await?;
        return Ok(0);
    }
    let run = of_today(&mut tx, now).await?;
    let mut count = db::queue_closing(&mut tx, CLOSE, run, now, QUEUED_MAX).await?;
    count += db::queue_issuing(&mut tx, ISSUE, run, now, QUEUED_MAX).await?;
    tx.commit().await?;
    Ok(count)
}

async fn of_today(tx: &mut VendorTx, now: Timestamp) -> Result<RunId, Problem> {
    let day = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    db::begin(tx, RunId::new(now), &day.to_string(), now).await
}

/// Begins today's run, or goes on with it: what is due is queued, what failed is
/// tried again now.
pub async fn start(app: &App, call: &Call) -> Result<Run, Problem> {
    let mut tx = app.db().vendor().await?;
    let id = of_today(&mut tx, call.now).await?;
    jobs::db::retry(&mut tx, &[CLOSE, ISSUE], call.now).await?;
    db::queue_closing(&mut tx, CLOSE, id, call.now, QUEUED_MAX).await?;
    db::queue_issuing(&mut tx, ISSUE, id, call.now, QUEUED_MAX).await?;
    db::finish(&mut tx, call.now).await?;
    let row = db::find(&mut tx, id).await?.ok_or_else(|| Problem::not_found("run"))?;
    let run = shown(&mut tx, row).await?;
    trail::record(app, &mut tx, call, Change::created("billing_run.started", id, &run)).await?;
    crate::idempotency::remember(app, &mut tx, call, axum::http::StatusCode::ACCEPTED, &run)
        .await?;
    tx.commit().await?;
    app.wake_jobs();
    Ok(run)
}

/// How far a run is.
pub async fn read(app: &App, id: RunId) -> Result<Run, Problem> {
    let mut tx = app.db().vendor().await?;
    let row = db::find(&mut tx, id).await?.ok_or_else(|| Problem::not_found("run"))?;
    let run = shown(&mut tx, row).await?;
    tx.commit().await?;
    Ok(run)
}

/// The newest runs, as many as a list has.
pub async fn list(app: &App) -> Result<Vec<Run>, Problem> {
    newest(app, RUNS_MAX).await
}

/// The newest runs.
pub(crate) async fn newest(app: &App, limit: i64) -> Result<Vec<Run>, Problem> {
    let mut tx = app.db().vendor().await?;
    let rows = db::newest(&mut tx, limit).await?;
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        all.push(shown(&mut tx, row).await?);
    }
    tx.commit().await?;
    Ok(all)
}

async fn shown(tx: &mut VendorTx, row: db::Row) -> Result<Run, Problem> {
    let counts = jobs::db::counts(tx, row.id).await?;
    let failures = match counts.failed {
        0 => Vec::new(),
        _ => jobs::db::failures(tx, row.id, FAILURES_MAX).await?,
    };
    Ok(Run {
        id: row.id,
        day: row.day,
        started_at: row.started_at,
        finished_at: row.finished_at,
        total: counts.total,
        done: counts.done,
        failed: counts.failed,
        failures: failures.into_iter().map(RunFailure::from).collect(),
    })
}
