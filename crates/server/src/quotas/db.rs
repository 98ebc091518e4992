//! SQL of quotas.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use rust_decimal::Decimal;
use tenure_api::quota::ReservationStatus;
use tenure_core::{Period, SubscriptionId, TenantId};
use tenure_license::Environment;
use tenure_tenancy::{TenantTx, VendorTx};

use crate::http::Problem;

/// What is used and held in one window, in the unit of the meter's events.
#[derive(Debug, Clone)]
pub(super) struct Counter {
    pub(super) meter_id: i32,
    pub(super) window: Period,
    pub(super) terms_at: Timestamp,
    pub(super) used: Decimal,
    pub(super) reserved: Decimal,
    /// The highest threshold announced, in per cent.
    pub(super) told: i32,
    /// Made by the statement that returned it.
    pub(super) is_new: bool,
}

impl Counter {
    /// Nothing used, nothing held.
    pub(super) fn new(meter_id: i32, window: Period, terms_at: Timestamp) -> Self {
        let (used, reserved) = (Decimal::ZERO, Decimal::ZERO);
        Self { meter_id, window, terms_at, used, reserved, told: 0, is_new: true }
    }
}

/// What a window gains.
#[derive(Debug, Clone, Copy)]
pub(super) struct Added {
    pub(super) meter_id: i32,
    pub(super) window: Period,
    pub(super) quantity: Decimal,
}

/// A part that is or was held.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) id: String,
    pub(super) source: String,
    pub(super) meter_id: i32,
    pub(super) window: Period,
    pub(super) quantity: Decimal,
    pub(super) status: ReservationStatus,
    pub(super) expires_at: Timestamp,
    pub(super) committed: Option<Decimal>,
}

fn status(word: &str) -> Result<ReservationStatus, Problem> {
    use ReservationStatus as S;
    let all = [S::Held, S::Committed, S::Released, S::Expired];
    let found = all.into_iter().find(|one| one.word() == word);
    found.ok_or_else(|| Problem::internal(format!("unknown status {word}")))
}

/// Adds to counters, sorted by (meter, window), making those that are missing; each is then
/// locked. In the order given.
pub(super) async fn add(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    environment: Environment,
    terms_at: Timestamp,
    rows: &[Added],
) -> Result<Vec<Counter>, Problem> {
    let tenant = tx.tenant().uuid();
    let meters: Vec<i32> = rows.iter().map(|row| row.meter_id).collect();
    let starts: Vec<_> = rows.iter().map(|row| row.window.start.to_sqlx()).collect();
    let ends: Vec<_> = rows.iter().map(|row| row.window.end.to_sqlx()).collect();
    let quantities: Vec<Decimal> = rows.iter().map(|row| row.quantity).collect();
    let found = sqlx::query!(
        r#"INSERT INTO quota_counters AS c (tenant_id, subscription_id, environment, meter_id,
               window_start, window_end, terms_at, used)
           SELECT $1, $2, $3, meter_id, window_start, window_end, $4, used
           FROM unnest($5::integer[], $6::timestamptz[], $7::timestamptz[], $8::numeric[])
               AS given (meter_id, window_start, window_end, used)
           ORDER BY meter_id, window_start
           ON CONFLICT (tenant_id, subscription_id, environment, meter_id, window_start, window_end)
               DO UPDATE SET used = c.used + excluded.used
           RETURNING meter_id, window_start, window_end, terms_at, used, reserved, told,
               xmax = 0 AS "is_new!""#,
        tenant,
        subscription.uuid(),
        environment.word(),
        terms_at.to_sqlx(),
        &meters,
        &starts as &[jiff_sqlx::Timestamp],
        &ends as &[jiff_sqlx::Timestamp],
        &quantities,
    )
    .fetch_all(&mut **tx)
    .await?;
    let counters = found.into_iter().map(|row| Counter {
        meter_id: row.meter_id,
        window: Period { start: row.window_start.to_jiff(), end: row.window_end.to_jiff() },
        terms_at: row.terms_at.to_jiff(),
        used: row.used,
        reserved: row.reserved,
        told: row.told,
        is_new: row.is_new,
    });
    Ok(counters.collect())
}

/// The counter of a window, as it stands.
pub(super) async fn read(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    environment: Environment,
    meter_id: i32,
    window: Period,
) -> Result<Option<Counter>, Problem> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query!(
        "SELECT terms_at, used, reserved, told FROM quota_counters
         WHERE tenant_id = $1 AND subscription_id = $2 AND environment = $3 AND meter_id = $4
             AND window_start = $5 AND window_end = $6",
        tenant,
        subscription.uuid(),
        environment.word(),
        meter_id,
        window.start.to_sqlx() as jiff_sqlx::Timestamp,
        window.end.to_sqlx() as jiff_sqlx::Timestamp,
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| Counter {
        meter_id,
        window,
        terms_at: row.terms_at.to_jiff(),
        used: row.used,
        reserved: row.reserved,
        told: row.told,
        is_new: false,
    }))
}

/// Sets what a counter has recorded.
pub(super) async fn seed(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    environment: Environment,
    counter: &Counter,
    used: Decimal,
    terms_at: Timestamp,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE quota_counters SET used = $5, terms_at = $7
         WHERE tenant_id = $1 AND subscription_id = $2 AND environment = $8 AND meter_id = $3
             AND window_start = $4 AND window_end = $6",
        tenant,
        subscription.uuid(),
        counter.meter_id,
        counter.window.start.to_sqlx() as jiff_sqlx::Timestamp,
        used,
        counter.window.end.to_sqlx() as jiff_sqlx::Timestamp,
        terms_at.to_sqlx() as jiff_sqlx::Timestamp,
        environment.word(),
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Remembers that a threshold was announced.
pub(super) async fn told(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    environment: Environment,
    counter: &Counter,
    percent: u32,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE quota_counters SET told = $7
         WHERE tenant_id = $1 AND subscription_id = $2 AND environment = $3 AND meter_id = $4
             AND window_start = $5 AND window_end = $6",
        tenant,
        subscription.uuid(),
        environment.word(),
        counter.meter_id,
        counter.window.start.to_sqlx() as jiff_sqlx::Timestamp,
        counter.window.end.to_sqlx() as jiff_sqlx::Timestamp,
        i32::try_from(percent).unwrap_or(i32::MAX),
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// How a part was held by the quick way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quick {
    /// It is held; what is used and held in its window now.
    Held { used: Decimal, reserved: Decimal },
    /// A reservation of that id exists.
    Named,
    /// There is no counter yet, it counts under another plan, or the limit stands in the way.
    No,
}

/// Takes the part and writes the reservation in one statement, if the counter is there and
/// allows it. On [`Quick::Named`] the counter has changed: roll back.
pub(super) async fn take(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    environment: Environment,
    terms_at: Timestamp,
    held: &Held,
    limit: Option<Decimal>,
    now: Timestamp,
) -> Result<Quick, Problem> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query!(
        r#"WITH taken AS (
             UPDATE quota_counters SET reserved = reserved + $7
             WHERE tenant_id = $1 AND subscription_id = $2 AND environment = $3 AND meter_id = $4
                 AND window_start = $5 AND window_end = $6 AND terms_at = $12
                 AND ($13::numeric IS NULL OR used + reserved + $7 <= $13)
             RETURNING used, reserved),
           written AS (
             INSERT INTO quota_reservations (tenant_id, subscription_id, environment, id, source,
                 meter_id, window_start, window_end, quantity, status, created_at, expires_at)
             SELECT $1, $2, $3, $8, $9, $4, $5, $6, $7, 'held', $10, $11 FROM taken
             ON CONFLICT DO NOTHING RETURNING id)
           SELECT used, reserved, EXISTS (SELECT FROM written) AS "is_written!" FROM taken"#,
        tenant,
        subscription.uuid(),
        environment.word(),
        held.meter_id,
        held.window.start.to_sqlx() as jiff_sqlx::Timestamp,
        held.window.end.to_sqlx() as jiff_sqlx::Timestamp,
        held.quantity,
        held.id,
        held.source,
        now.to_sqlx() as jiff_sqlx::Timestamp,
        held.expires_at.to_sqlx() as jiff_sqlx::Timestamp,
        terms_at.to_sqlx() as jiff_sqlx::Timestamp,
        limit,
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(match row {
        None => Quick::No,
        Some(row) if !row.is_written => Quick::Named,
        Some(row) => Quick::Held { used: row.used, reserved: row.reserved },
    })
}

macro_rules! held {
    ($row:expr) => {
        Held {
            id: $row.id,
            source: $row.source,
            meter_id: $row.meter_id,
            window: Period { start: $row.window_start.to_jiff(), end: $row.window_end.to_jiff() },
            quantity: $row.quantity,
            status: status(&$row.status)?,
            expires_at: $row.expires_at.to_jiff(),
            committed: $row.committed,
        }
    };
}

/// A reservation, locked.
pub(super) async fn lock(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    environment: Environment,
    id: &str,
) -> Result<Option<Held>, Problem> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query!(
        "SELECT id, source, meter_id, window_start, window_end, quantity, status, expires_at, committed
         FROM quota_reservations
         WHERE tenant_id = $1 AND subscription_id = $2 AND environment = $3 AND id = $4
             AND instance_id IS NULL
         FOR NO KEY UPDATE",
        tenant,
        subscription.uuid(),
        environment.word(),
        id
    )
    .fetch_optional(&mut **tx)
    .await?;
    row.map(|row| Ok(held!(row))).transpose()
}

/// Ends a reservation, as `held` says, and frees its part.
pub(super) async fn end(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    environment: Environment,
    held: &Held,
    now: Timestamp,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "WITH ended AS (
             UPDATE quota_reservations SET status = $8, ended_at = $9, committed = $10
             WHERE tenant_id = $1 AND subscription_id = $2 AND environment = $3 AND id = $11)
         UPDATE quota_counters SET reserved = greatest(reserved - $7, 0)
         WHERE tenant_id = $1 AND subscription_id = $2 AND environment = $3 AND meter_id = $4
             AND window_start = $5 AND window_end = $6",
        tenant,
        subscription.uuid(),
        environment.word(),
        held.meter_id,
        held.window.start.to_sqlx() as jiff_sqlx::Timestamp,
        held.window.end.to_sqlx() as jiff_sqlx::Timestamp,
        held.quantity,
        held.status.word(),
        now.to_sqlx() as jiff_sqlx::Timestamp,
        held.committed,
        held.id,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Tenants with parts that nobody committed in time, or with reservations that ended long ago.
pub(super) async fn tenants_due(
    tx: &mut VendorTx,
    now: Timestamp,
    ended_before: Timestamp,
    max: i64,
) -> Result<Vec<TenantId>, Problem> {
    let rows = sqlx::query_scalar!(
        r#"SELECT tenant_id AS "tenant_id!" FROM (
               SELECT tenant_id FROM quota_reservations WHERE status = 'held' AND expires_at <= $1
               UNION
               SELECT tenant_id FROM quota_reservations WHERE ended_at < $2) due
           LIMIT $3"#,
        now.to_sqlx() as jiff_sqlx::Timestamp,
        ended_before.to_sqlx() as jiff_sqlx::Timestamp,
        max
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(TenantId::from_uuid).collect())
}

/// Gives back what nobody committed in time, at most `max` parts; how many there were. One
/// that is being committed at this moment is left to its caller.
pub(super) async fn expire(tx: &mut TenantTx, now: Timestamp, max: i64) -> Result<u64, Problem> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query!(
        r#"WITH due AS (
             SELECT subscription_id, environment, id FROM quota_reservations
             WHERE tenant_id = $1 AND status = 'held' AND expires_at <= $2
             ORDER BY expires_at LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED),
           ended AS (
             UPDATE quota_reservations r SET status = 'expired', ended_at = $2
             FROM due WHERE r.tenant_id = $1 AND r.subscription_id = due.subscription_id
                 AND r.environment = due.environment AND r.id = due.id
             RETURNING r.subscription_id, r.environment, r.meter_id, r.window_start, r.window_end,
                 r.quantity),
           freed AS (
             SELECT subscription_id, environment, meter_id, window_start, window_end,
                 sum(quantity) AS quantity
             FROM ended GROUP BY 1, 2, 3, 4, 5),
           locked AS (
             SELECT c.subscription_id, c.environment, c.meter_id, c.window_start, c.window_end,
                 f.quantity
             FROM quota_counters c JOIN freed f USING (subscription_id, environment, meter_id,
                 window_start, window_end)
             WHERE c.tenant_id = $1
             ORDER BY c.subscription_id, c.environment, c.meter_id, c.window_start
             FOR NO KEY UPDATE OF c),
           given_back AS (
             UPDATE quota_counters c SET reserved = greatest(c.reserved - l.quantity, 0)
             FROM locked l WHERE c.tenant_id = $1 AND c.subscription_id = l.subscription_id
                 AND c.environment = l.environment AND c.meter_id = l.meter_id
                 AND c.window_start = l.window_start AND c.window_end = l.window_end)
           SELECT count(*) AS "expired!" FROM ended"#,
        tenant,
        now.to_sqlx() as jiff_sqlx::Timestamp,
        max
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(u64::try_from(row.expired).unwrap_or(0))
}

/// Forgets reservations that ended before a moment, and counters of windows that did.
pub(super) async fn forget(
    tx: &mut TenantTx,
    ended_before: Timestamp,
    max: i64,
) -> Result<u64, Problem> {
    let tenant = tx.tenant().uuid();
    let done = sqlx::query!(
        "DELETE FROM quota_reservations WHERE ctid = ANY (ARRAY(
             SELECT ctid FROM quota_reservations WHERE tenant_id = $1 AND ended_at < $2 LIMIT $3))",
        tenant,
        ended_before.to_sqlx() as jiff_sqlx::Timestamp,
        max
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "DELETE FROM quota_counters WHERE tenant_id = $1 AND window_end < $2 AND reserved = 0",
        tenant,
        ended_before.to_sqlx() as jiff_sqlx::Timestamp
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected())
}
