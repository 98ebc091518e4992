//! SQL of runs: what is due becomes jobs without leaving the database.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use tenure_core::RunId;
use tenure_tenancy::VendorTx;

use crate::http::Problem;

pub(crate) struct Row {
    pub(crate) id: RunId,
    pub(crate) day: String,
    pub(crate) started_at: Timestamp,
    pub(crate) finished_at: Option<Timestamp>,
}

/// Whether a period or a draft is due that is not queued.
pub(super) async fn is_due(
    tx: &mut VendorTx,
    close: &str,
    issue: &str,
    now: Timestamp,
) -> Result<bool, Problem> {
    let due = sqlx::query_scalar!(
        r#"SELECT (EXISTS (SELECT FROM billing_periods p WHERE p.status = 'open' AND p.period_end <= $3
               AND NOT EXISTS (SELECT FROM jobs j WHERE j.kind = $1
                   AND j.key = p.subscription_id::text AND j.status <> 'done'))
           OR EXISTS (SELECT FROM invoices i WHERE i.status = 'draft' AND i.finalise_after <= $3
               AND NOT EXISTS (SELECT FROM jobs j WHERE j.kind = $2
                   AND j.key = i.id::text AND j.status <> 'done'))) AS "due!""#,
        close,
        issue,
        now.to_sqlx()
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(due)
}

/// The run of a day, made when there is none; it is under way again.
pub(super) async fn begin(
    tx: &mut VendorTx,
    id: RunId,
    day: &str,
    now: Timestamp,
) -> Result<RunId, Problem> {
    let id = sqlx::query_scalar!(
        "INSERT INTO billing_runs (id, day, started_at) VALUES ($1, $2::text::date, $3)
         ON CONFLICT (day) DO UPDATE SET finished_at = NULL RETURNING id",
        id.uuid(),
        day,
        now.to_sqlx()
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(id)
}

pub(super) async fn queue_closing(
    tx: &mut VendorTx,
    kind: &str,
    run: RunId,
    now: Timestamp,
    limit: i64,
) -> Result<u64, Problem> {
    let done = sqlx::query!(
        "INSERT INTO jobs (kind, key, payload, run_id, due_at, created_at)
         SELECT $1, p.subscription_id::text,
             jsonb_build_object('tenant', p.tenant_id, 'subscription', p.subscription_id), $2, $3, $3
         FROM billing_periods p
         WHERE p.status = 'open' AND p.period_end <= $3 AND NOT EXISTS (
             SELECT FROM jobs j WHERE j.kind = $1 AND j.key = p.subscription_id::text
                 AND j.status <> 'done')
         ORDER BY p.period_end LIMIT $4
         ON CONFLICT (kind, key) DO UPDATE SET status = 'queued', run_id = $2, due_at = $3,
             attempts = 0, finished_at = NULL WHERE jobs.status = 'done'",
        kind,
        run.uuid(),
        now.to_sqlx(),
        limit
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected())
}

pub(super) async fn queue_issuing(
    tx: &mut VendorTx,
    kind: &str,
    run: RunId,
    now: Timestamp,
    limit: i64,
) -> Result<u64, Problem> {
    let done = sqlx::query!(
        "INSERT INTO jobs (kind, key, payload, run_id, due_at, created_at)
         SELECT $1, i.id::text, jsonb_build_object('tenant', i.tenant_id, 'invoice', i.id), $2, $3, $3
         FROM invoices i
         WHERE i.status = 'draft' AND i.finalise_after <= $3 AND NOT EXISTS (
             SELECT FROM jobs j WHERE j.kind = $1 AND j.key = i.id::text AND j.status <> 'done')
         ORDER BY i.finalise_after, i.id LIMIT $4
         ON CONFLICT (kind, key) DO UPDATE SET status = 'queued', run_id = $2, due_at = $3,
             attempts = 0, finished_at = NULL WHERE jobs.status = 'done'",
        kind,
        run.uuid(),
        now.to_sqlx(),
        limit
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected())
}

/// Runs with nothing left to be done are finished.
pub(crate) async fn finish(tx: &mut VendorTx, now: Timestamp) -> Result<(), Problem> {
    sqlx::query!(
        "UPDATE billing_runs r SET finished_at = $1 WHERE r.finished_at IS NULL AND NOT EXISTS (
             SELECT FROM jobs j WHERE j.run_id = r.id AND j.status = 'queued')",
        now.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn find(tx: &mut VendorTx, id: RunId) -> Result<Option<Row>, Problem> {
    let row = sqlx::query!(
        r#"SELECT id, day::text AS "day!", started_at, finished_at FROM billing_runs WHERE id = $1"#,
        id.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| Row {
        id: row.id,
        day: row.day,
        started_at: row.started_at.to_jiff(),
        finished_at: row.finished_at.map(|at| at.to_jiff()),
    }))
}

pub(super) async fn newest(tx: &mut VendorTx, limit: i64) -> Result<Vec<Row>, Problem> {
    let rows = sqlx::query!(
        r#"SELECT id, day::text AS "day!", started_at, finished_at FROM billing_runs
           ORDER BY day DESC LIMIT $1"#,
        limit
    )
    .fetch_all(&mut **tx)
    .await?;
    let rows = rows.into_iter().map(|row| Row {
        id: row.id,
        day: row.day,
        started_at: row.started_at.to_jiff(),
        finished_at: row.finished_at.map(|at| at.to_jiff()),
    });
    Ok(rows.collect())
}
