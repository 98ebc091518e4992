//! Work that has to be done once, whoever does it and however often a process
//! dies: a queue in the database.
//!
//! A worker takes jobs under a lease and an epoch. When it dies, the lease runs
//! out and another takes them; when it was only slow, its old epoch cannot finish
//! the job any more. So a job may run twice, and each kind makes sure that a
//! second run finds its work done.
//!
//! Owns: leases, back-off, schedules, the ticker. Refuses: knowing what a job does.

pub(crate) mod db;
mod kinds;

use std::{collections::HashMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{App, http::Problem};

/// Jobs taken at once by one process.
const BATCH_MAX: i64 = 64;
/// Jobs under way at once in one process; each holds a connection.
const CONCURRENT_MAX: usize = 4;
/// For how long a batch is a worker's own.
const LEASE_SECONDS: i64 = 300;
/// Wait after a first failure; it doubles with each.
const BACKOFF_SECONDS: i64 = 30;
/// Longest wait between two tries.
const BACKOFF_SECONDS_MAX: i64 = 24 * 3_600;
/// Tries before a job is left alone.
const ATTEMPTS_MAX: i32 = 40;
/// Rounds of one [`run_due`]: more work than that is a mistake.
const ROUNDS_MAX: usize = 100_000;
/// Time between two looks at the queue.
const TICK: Duration = Duration::from_secs(5);
/// For how long finished jobs are kept.
const KEPT_DAYS: i64 = 30;

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// Jobs that were finished.
    pub finished: u64,
    /// Jobs that failed, and will be tried again.
    pub failed: u64,
}

/// A job that this process holds.
#[derive(Debug)]
struct Leased {
    id: i64,
    kind: String,
    payload: Value,
    epoch: i32,
    attempts: i32,
}

/// Does everything that is due now: schedules, then jobs, until none is left that
/// can be done now. Several processes may do so at once.
pub async fn run_due(app: &App) -> Result<Done, Problem> {
    run_until(app, &CancellationToken::new()).await
}

async fn run_until(app: &App, stop: &CancellationToken) -> Result<Done, Problem> {
    let mut all = Done::default();
    run_schedules(app).await?;
    for _ in 0..ROUNDS_MAX {
        if stop.is_cancelled() {
            break;
        }
        let now = app.now();
        let mut tx = app.db().vendor().await?;
        let batch = db::lease(&mut tx, now, later(now, LEASE_SECONDS), BATCH_MAX).await?;
        tx.commit().await?;
        if batch.is_empty() {
            if kinds::find(app).await? == 0 {
                break;
            }
            continue;
        }
        let done = run_batch(app, batch).await?;
        all.finished += done.finished;
        all.failed += done.failed;
    }
    Ok(all)
}

/// Runs schedules whose time has come, on one process each.
async fn run_schedules(app: &App) -> Result<(), Problem> {
    for schedule in kinds::SCHEDULES {
        let now = app.now();
        let before = now - SignedDuration::from_secs(schedule.every_seconds);
        let mut tx = app.db().vendor().await?;
        let mine = db::claim_schedule(&mut tx, schedule.name, now, before).await?;
        tx.commit().await?;
        if !mine {
            continue;
        }
        if let Err(problem) = (schedule.run)(app.clone()).await {
            tracing::warn!(name = schedule.name, detail = problem.detail, "a schedule failed");
        }
    }
    Ok(())
}

/// Runs a batch. Whoever gives it up half done leaves nothing running behind: its jobs stop with
/// it, and their transactions are undone.
async fn run_batch(app: &App, batch: Vec<Leased>) -> Result<Done, Problem> {
    let mut results = Vec::with_capacity(batch.len());
    let mut waiting = batch.into_iter();
    let mut running = JoinSet::new();
    let mut held: HashMap<Id, Leased> = HashMap::with_capacity(CONCURRENT_MAX);
    loop {
        while running.len() < CONCURRENT_MAX {
            let Some(job) = waiting.next() else { break };
            let (app, kind, payload) = (app.clone(), job.kind.clone(), job.payload.clone());
            let task = running.spawn(async move { kinds::run(&app, &kind, payload).await });
            held.insert(task.id(), job);
        }
        let Some(joined) = running.join_next_with_id().await else { break };
        let (id, outcome) = match joined {
            Ok((id, outcome)) => (id, outcome.map_err(|problem| problem.detail)),
            // A panic of one job is that job's failure.
            Err(error) => {
                (error.id(), Err("The job stopped unexpectedly; see the log.".to_owned()))
            }
        };
        results.extend(held.remove(&id).map(|job| (job, outcome)));
    }
    record(app, results).await
}

/// Notes what became of a batch, where its leases still hold.
async fn record(app: &App, results: Vec<(Leased, Result<(), String>)>) -> Result<Done, Problem> {
    let now = app.now();
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (job, outcome) in results {
        match outcome {
            Ok(()) => good.push((job.id, job.epoch)),
            Err(detail) => {
                tracing::warn!(job = job.id, kind = job.kind, detail, "a job failed");
                let due_at = later(now, backoff(job.attempts));
                let over = job.attempts >= ATTEMPTS_MAX;
                bad.push(db::Failed { id: job.id, epoch: job.epoch, due_at, over, error: detail });
            }
        }
    }
    let done = Done { finished: good.len() as u64, failed: bad.len() as u64 };
    let mut tx = app.db().vendor().await?;
    db::finish(&mut tx, &good, now).await?;
    db::fail(&mut tx, &bad, now).await?;
    kinds::finished(&mut tx, now).await?;
    tx.commit().await?;
    Ok(done)
}

fn later(now: Timestamp, seconds: i64) -> Timestamp {
    now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

/// Seconds until the next try, after so many.
fn backoff(attempts: i32) -> i64 {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(0).min(20);
    (BACKOFF_SECONDS << doublings).min(BACKOFF_SECONDS_MAX)
}

/// Deletes jobs that were finished long ago.
async fn tidy(app: App) -> Result<u64, Problem> {
    let before = app.now() - SignedDuration::from_hours(24 * KEPT_DAYS);
    let mut tx = app.db().vendor().await?;
    let gone = db::delete_finished(&mut tx, before).await?;
    tx.commit().await?;
    Ok(gone)
}

/// Looks at the queue until told to stop; at once when woken.
pub(crate) async fn run(app: App, stop: CancellationToken) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            () = app.jobs_woken() => {}
            () = stop.cancelled() => return,
        }
        match run_until(&app, &stop).await {
            Ok(done) => tracing::debug!(finished = done.finished, failed = done.failed, "jobs"),
            Err(problem) => tracing::debug!(detail = problem.detail, "could not run jobs"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_day() {
        let waits: Vec<i64> = [1, 2, 3, 12, 13, 40, i32::MAX].into_iter().map(backoff).collect();
        assert_eq!(waits, [30, 60, 120, 61_440, 86_400, 86_400, 86_400]);
    }
}
