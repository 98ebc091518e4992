//! SQL of the queue.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use serde_json::Value;
use tenure_core::RunId;
use tenure_tenancy::VendorTx;

use super::Leased;
use crate::http::Problem;

/// A job that did not work out.
pub(super) struct Failed {
    pub(super) id: i64,
    pub(super) epoch: i32,
    pub(super) due_at: Timestamp,
    /// It is not tried again.
    pub(super) over: bool,
    pub(super) error: String,
}

/// Takes jobs that are due, each from whoever held it before.
pub(super) async fn lease(
    tx: &mut VendorTx,
    now: Timestamp,
    until: Timestamp,
    limit: i64,
) -> Result<Vec<Leased>, Problem> {
    let rows = sqlx::query!(
        "UPDATE jobs SET epoch = epoch + 1, attempts = attempts + 1, due_at = $2
         WHERE id IN (SELECT id FROM jobs WHERE status = 'queued' AND due_at <= $1
                      ORDER BY due_at, id LIMIT $3 FOR UPDATE SKIP LOCKED)
         RETURNING id, kind, payload, epoch, attempts",
        now.to_sqlx(),
        until.to_sqlx(),
        limit
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut all: Vec<Leased> = rows
        .into_iter()
        .map(|row| Leased {
            id: row.id,
            kind: row.kind,
            payload: row.payload,
            epoch: row.epoch,
            attempts: row.attempts,
        })
        .collect();
    all.sort_by_key(|job| job.id);
    Ok(all)
}

pub(super) async fn finish(
    tx: &mut VendorTx,
    jobs: &[(i64, i32)],
    now: Timestamp,
) -> Result<(), Problem> {
    let ids: Vec<i64> = jobs.iter().map(|(id, _)| *id).collect();
    let epochs: Vec<i32> = jobs.iter().map(|(_, epoch)| *epoch).collect();
    sqlx::query!(
        "UPDATE jobs j SET status = 'done', error = NULL, finished_at = $3
         FROM unnest($1::bigint[], $2::integer[]) AS w (id, epoch)
         WHERE j.id = w.id AND j.epoch = w.epoch AND j.status = 'queued'",
        &ids,
        &epochs,
        now.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn fail(
    tx: &mut VendorTx,
    jobs: &[Failed],
    now: Timestamp,
) -> Result<(), Problem> {
    for job in jobs {
        sqlx::query!(
            "UPDATE jobs SET due_at = $3, error = $4, status = CASE WHEN $5 THEN 'failed' ELSE status END,
                 finished_at = CASE WHEN $5 THEN $6::timestamptz END
             WHERE id = $1 AND epoch = $2 AND status = 'queued'",
            job.id,
            job.epoch,
            job.due_at.to_sqlx(),
            job.error,
            job.over,
            now.to_sqlx()
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Whether this process runs the schedule now: the first that asks does.
pub(super) async fn claim_schedule(
    tx: &mut VendorTx,
    name: &str,
    now: Timestamp,
    before: Timestamp,
) -> Result<bool, Problem> {
    let done = sqlx::query!(
        "INSERT INTO schedules AS s (name, ran_at) VALUES ($1, $2)
         ON CONFLICT (name) DO UPDATE SET ran_at = $2 WHERE s.ran_at <= $3",
        name,
        now.to_sqlx(),
        before.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() > 0)
}

pub(super) async fn delete_finished(tx: &mut VendorTx, before: Timestamp) -> Result<u64, Problem> {
    let done = sqlx::query!(
        "DELETE FROM jobs WHERE status <> 'queued' AND finished_at < $1",
        before.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected())
}

/// How many jobs of a run are in which state.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) total: i64,
    pub(crate) done: i64,
    /// They failed, and are tried again or were given up.
    pub(crate) failed: i64,
}

/// A job that failed, and what it was to do.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) payload: Value,
    pub(crate) error: String,
    pub(crate) attempts: i32,
    pub(crate) next_at: Option<Timestamp>,
}

pub(crate) async fn counts(tx: &mut VendorTx, run: RunId) -> Result<Counts, Problem> {
    let row = sqlx::query!(
        r#"SELECT count(*) AS "total!", count(*) FILTER (WHERE status = 'done') AS "done!",
               count(*) FILTER (WHERE status <> 'done' AND error IS NOT NULL) AS "failed!"
           FROM jobs WHERE run_id = $1"#,
        run.uuid()
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(Counts { total: row.total, done: row.done, failed: row.failed })
}

pub(crate) async fn failures(
    tx: &mut VendorTx,
    run: RunId,
    limit: i64,
) -> Result<Vec<Failure>, Problem> {
    let rows = sqlx::query!(
        r#"SELECT payload, error AS "error!", attempts, due_at, status FROM jobs
           WHERE run_id = $1 AND status <> 'done' AND error IS NOT NULL ORDER BY id LIMIT $2"#,
        run.uuid(),
        limit
    )
    .fetch_all(&mut **tx)
    .await?;
    let failures = rows.into_iter().map(|row| Failure {
        payload: row.payload,
        error: row.error,
        attempts: row.attempts,
        next_at: (row.status == "queued").then(|| row.due_at.to_jiff()),
    });
    Ok(failures.collect())
}

/// What failed is tried again now, also what was given up.
pub(crate) async fn retry(
    tx: &mut VendorTx,
    kinds: &[&str],
    now: Timestamp,
) -> Result<u64, Problem> {
    let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
    let done = sqlx::query!(
        "UPDATE jobs SET status = 'queued', attempts = 0, due_at = $2, finished_at = NULL
         WHERE kind = ANY ($1) AND status <> 'done' AND error IS NOT NULL",
        &kinds,
        now.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected())
}
