//! SQL of billing periods.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use tenure_core::{Period, SubscriptionId, TenantId};
use tenure_tenancy::{TenantTx, VendorTx};

use crate::http::Problem;

/// A period's row.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) n: i32,
    pub(crate) period: Period,
    /// Of a closed one.
    pub(crate) generation: Option<i32>,
    pub(crate) terms_digest: Option<Vec<u8>>,
    /// A later period is corrected against it; not against one whose invoice is void.
    pub(crate) annulled: bool,
}

/// Opens period `n`, behind the one before. Nothing when it is there already.
pub(crate) async fn open(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    n: i32,
    period: Period,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "INSERT INTO billing_periods (tenant_id, subscription_id, n, after, period_start, period_end)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        tenant,
        subscription.uuid(),
        n,
        (n > 0).then_some(n - 1),
        period.start.to_sqlx(),
        period.end.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The open period, and nobody else closes or ends it until the unit of work ends.
pub(crate) async fn lock_open(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
) -> Result<Option<Row>, Problem> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query!(
        "SELECT n, period_start, period_end FROM billing_periods
         WHERE tenant_id = $1 AND subscription_id = $2 AND status = 'open' FOR UPDATE",
        tenant,
        subscription.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| Row {
        n: row.n,
        period: Period { start: row.period_start.to_jiff(), end: row.period_end.to_jiff() },
        generation: None,
        terms_digest: None,
        annulled: false,
    }))
}

/// The newest `max` periods, open or closed, oldest first; settlements behind the end are not
/// among them: nothing was used in their time.
pub(super) async fn newest(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    max: i64,
) -> Result<Vec<(i32, Period)>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        "SELECT p.n, p.period_start, p.period_end FROM billing_periods p
         JOIN subscriptions s ON s.tenant_id = p.tenant_id AND s.id = p.subscription_id
         WHERE p.tenant_id = $1 AND p.subscription_id = $2
           AND (s.cancelled_at IS NULL OR p.period_start < s.cancelled_at)
         ORDER BY p.n DESC LIMIT $3",
        tenant,
        subscription.uuid(),
        max
    )
    .fetch_all(&mut **tx)
    .await?;
    let period = |start: jiff_sqlx::Timestamp, end: jiff_sqlx::Timestamp| Period {
        start: start.to_jiff(),
        end: end.to_jiff(),
    };
    Ok(rows
        .into_iter()
        .rev()
        .map(|row| (row.n, period(row.period_start, row.period_end)))
        .collect())
}

/// The number and the start of a period behind the last one.
pub(crate) async fn behind_last(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
) -> Result<Option<(i32, Timestamp)>, Problem> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query!(
        "SELECT n, period_end FROM billing_periods
         WHERE tenant_id = $1 AND subscription_id = $2 ORDER BY n DESC LIMIT 1",
        tenant,
        subscription.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| (row.n + 1, row.period_end.to_jiff())))
}

/// Closed periods before `n` that end after `horizon`, oldest first.
pub(crate) async fn closed_before(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    n: i32,
    horizon: Timestamp,
) -> Result<Vec<Row>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        r#"SELECT p.n, p.period_start, p.period_end, p.generation, p.terms_digest,
               coalesce(i.status IN ('void', 'uncollectible'), false) AS "annulled!"
           FROM billing_periods p LEFT JOIN invoices i ON i.tenant_id = p.tenant_id
               AND i.subscription_id = p.subscription_id AND i.period_n = p.n
           WHERE p.tenant_id = $1 AND p.subscription_id = $2 AND p.n < $3 AND p.status = 'closed'
               AND p.period_end > $4
           ORDER BY p.n"#,
        tenant,
        subscription.uuid(),
        n,
        horizon.to_sqlx()
    )
    .fetch_all(&mut **tx)
    .await?;
    let rows = rows.into_iter().map(|row| Row {
        n: row.n,
        period: Period { start: row.period_start.to_jiff(), end: row.period_end.to_jiff() },
        generation: row.generation,
        terms_digest: row.terms_digest,
        annulled: row.annulled,
    });
    Ok(rows.collect())
}

/// Whether a period behind `n` is closed already.
pub(crate) async fn is_last_closed(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    n: i32,
) -> Result<bool, Problem> {
    let tenant = tx.tenant().uuid();
    let later = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM billing_periods WHERE tenant_id = $1 AND subscription_id = $2
               AND n > $3 AND status = 'closed') AS "later!""#,
        tenant,
        subscription.uuid(),
        n
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(!later)
}

/// Closes a period, or notes a newer cut-off of a closed one.
pub(crate) async fn close(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    (n, generation): (i32, i32),
    digest: &[u8],
    now: Timestamp,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE billing_periods SET status = 'closed', generation = $4, terms_digest = $5,
             closed_at = coalesce(closed_at, $6)
         WHERE tenant_id = $1 AND subscription_id = $2 AND n = $3",
        tenant,
        subscription.uuid(),
        n,
        generation,
        digest,
        now.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Notes the terms that closed periods were corrected to.
pub(crate) async fn note_terms(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    periods: &[(i32, Vec<u8>)],
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    let numbers: Vec<i32> = periods.iter().map(|(n, _)| *n).collect();
    let digests: Vec<Vec<u8>> = periods.iter().map(|(_, digest)| digest.clone()).collect();
    sqlx::query!(
        "UPDATE billing_periods p SET terms_digest = w.digest
         FROM unnest($3::integer[], $4::bytea[]) AS w (n, digest)
         WHERE p.tenant_id = $1 AND p.subscription_id = $2 AND p.n = w.n AND p.status = 'closed'",
        tenant,
        subscription.uuid(),
        &numbers,
        &digests
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Moves the end of an open period.
pub(super) async fn end(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    n: i32,
    end: Timestamp,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE billing_periods SET period_end = $4
         WHERE tenant_id = $1 AND subscription_id = $2 AND n = $3 AND status = 'open'",
        tenant,
        subscription.uuid(),
        n,
        end.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Takes an open period away that never begins.
pub(super) async fn remove(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    n: i32,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "DELETE FROM billing_periods
         WHERE tenant_id = $1 AND subscription_id = $2 AND n = $3 AND status = 'open'",
        tenant,
        subscription.uuid(),
        n
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Subscriptions that are not over and have no period.
pub(super) async fn without_periods(
    tx: &mut VendorTx,
    limit: i64,
) -> Result<Vec<(TenantId, SubscriptionId)>, Problem> {
    let rows = sqlx::query!(
        "SELECT s.tenant_id, s.id FROM subscriptions s WHERE s.status <> 'cancelled' AND NOT EXISTS (
             SELECT FROM billing_periods p WHERE p.tenant_id = s.tenant_id AND p.subscription_id = s.id)
         ORDER BY s.id LIMIT $1",
        limit
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.tenant_id, row.id)).collect())
}

/// The earliest quarter hour before `before` whose usage changed in a generation
/// behind `after`, up to `upto`. One look in the index a generation.
pub(crate) async fn earliest_late(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    (after, upto): (i32, i32),
    before: Timestamp,
) -> Result<Option<Timestamp>, Problem> {
    let tenant = tx.tenant().uuid();
    let bucket = sqlx::query_scalar!(
        r#"SELECT min(late.bucket) AS "bucket: jiff_sqlx::Timestamp"
           FROM generate_series($3::integer + 1, $4::integer) AS g (generation)
           CROSS JOIN LATERAL (
               SELECT min(r.bucket) AS bucket FROM usage_rollups r
               WHERE r.tenant_id = $1 AND r.subscription_id = $2 AND r.generation = g.generation) late
           WHERE late.bucket < $5"#,
        tenant,
        subscription.uuid(),
        after,
        upto,
        before.to_sqlx()
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(bucket.map(|bucket| bucket.to_jiff()))
}

/// The cut-off of a closed period, locked: nobody closes the one behind it until the
/// unit of work ends.
pub(crate) async fn lock_closed(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    n: i32,
) -> Result<Option<i32>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        "SELECT n, generation FROM billing_periods
         WHERE tenant_id = $1 AND subscription_id = $2 AND (n = $3 OR status = 'open')
         ORDER BY n DESC FOR UPDATE",
        tenant,
        subscription.uuid(),
        n
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().find(|row| row.n == n).and_then(|row| row.generation))
}
