//! How long raw usage is kept.
//!
//! Rollups and members stay as long as their subscription. Single events are
//! evidence, and each meter's product file says how long they are kept
//! ([`tenure_catalog::meter::Retention`]): as long as the subscription too, or by the
//! month in which they came. A month goes as a whole, once it is older than
//! [`RETENTION_DAYS`] and every generation in it is closed. Keys go when
//! an event of their age would be refused as too old.
//!
//! Owns: making the months to come, dropping those that are over, forgetting
//! keys. Refuses: dropping what an open period may still need.

use jiff::{
    SignedDuration, Timestamp, ToSpan,
    civil::Date,
    tz::{Offset, TimeZone},
};
use jiff_sqlx::ToSqlx;
use tenure_core::TenantId;
use tenure_tenancy::VendorTx;

use super::check::HORIZON_DAYS;
use crate::{App, http::Problem};

/// How long single events are kept at least, in days: as long as late events
/// are taken.
pub const RETENTION_DAYS: i64 = HORIZON_DAYS;
/// Months that stand ready before they begin.
const MONTHS_AHEAD: i32 = 2;
/// A month is dropped when so many closes came after its last generation: that
/// of the period before it, which may still be in its grace, and its own.
const CLOSES_AFTER: i32 = 2;
/// Keys forgotten in one transaction.
const KEYS_AT_ONCE: i64 = 10_000;
/// Transactions of one upkeep that forget keys: the next goes on.
const KEY_ROUNDS_MAX: usize = 1_000;
/// Months that one upkeep looks at.
const MONTHS_MAX: i64 = 240;

/// What an upkeep did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// Months made ready.
    pub added: Vec<Date>,
    /// Months dropped.
    pub dropped: Vec<Date>,
    /// Months that are old enough and hold what is not closed yet.
    pub open: Vec<Date>,
    /// Keys forgotten.
    pub keys: u64,
}

/// Does everything that is due; running it twice changes nothing more.
///
/// # Errors
/// 503 when the database is away or busy; whatever was done stays done.
pub async fn upkeep(app: &App, now: Timestamp) -> Result<Upkeep, Problem> {
    let mut done = Upkeep::default();
    add_months(app, now, &mut done).await?;
    drop_months(app, now, &mut done).await?;
    forget_keys(app, now, &mut done).await?;
    Ok(done)
}

fn month_of(at: Timestamp) -> Date {
    TimeZone::fixed(Offset::UTC).to_datetime(at).date().first_of_month()
}

fn parsed(month: &str) -> Result<Date, Problem> {
    month.parse().map_err(Problem::internal)
}

fn begins(month: Date) -> Result<Timestamp, Problem> {
    let zoned = TimeZone::fixed(Offset::UTC).to_zoned(month.at(0, 0, 0, 0));
    zoned.map(|zoned| zoned.timestamp()).map_err(Problem::internal)
}

/// The months to come, and whichever hold events that found no month of their own.
async fn add_months(app: &App, now: Timestamp, done: &mut Upkeep) -> Result<(), Problem> {
    let mut tx = app.db().vendor().await?;
    let rows =
        sqlx::query!(r#"SELECT month::text AS "month!" FROM usage_waiting_months() AS w (month)"#)
            .fetch_all(&mut *tx)
            .await?;
    tx.commit().await?;
    let mut months = Vec::with_capacity(rows.len());
    for row in rows {
        months.push(parsed(&row.month)?);
    }
    for ahead in 0..=MONTHS_AHEAD {
        months.push(month_of(now).checked_add(ahead.months()).map_err(Problem::internal)?);
    }
    months.sort_unstable();
    months.dedup();
    for month in months {
        // Each in a transaction of its own: a month is made while batches wait.
        let mut tx = app.db().vendor().await?;
        let row = sqlx::query!(
            r#"SELECT usage_add_month($1::text::date) AS "added!""#,
            month.to_string()
        )
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        if row.added {
            done.added.push(month);
        }
    }
    Ok(())
}

async fn drop_months(app: &App, now: Timestamp, done: &mut Upkeep) -> Result<(), Problem> {
    let mut tx = app.db().vendor().await?;
    let rows = sqlx::query!(
        r#"SELECT to_date(right(c.relname, 6), 'YYYYMM')::text AS "month!" FROM pg_inherits i
           JOIN pg_class c ON c.oid = i.inhrelid
           WHERE i.inhparent = 'usage_chunks'::regclass AND c.relname ~ '_[0-9]{6}$'
           ORDER BY 1 LIMIT $1"#,
        MONTHS_MAX
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    let keep = SignedDuration::from_hours(24 * RETENTION_DAYS);
    for row in rows {
        let month = parsed(&row.month)?;
        let next = month.checked_add(1.month()).map_err(Problem::internal)?;
        let (from, to) = (begins(month)?, begins(next)?);
        if to.checked_add(keep).is_ok_and(|until| until > now) {
            break;
        }
        let mut tx = app.db().vendor().await?;
        if is_open(&mut tx, from, to).await? {
            done.open.push(month);
            continue;
        }
        sqlx::query!(
            "SELECT usage_drop_month($1::text::date, $2)",
            month.to_string(),
            now.to_sqlx() as jiff_sqlx::Timestamp
        )
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        done.dropped.push(month);
    }
    Ok(())
}

/// Whether the month holds events that a period to be closed may count.
async fn is_open(tx: &mut VendorTx, from: Timestamp, to: Timestamp) -> Result<bool, Problem> {
    let row = sqlx::query!(
        r#"SELECT EXISTS (
               SELECT FROM (
                   SELECT tenant_id, subscription_id, max(generation) AS generation FROM (
                       SELECT tenant_id, subscription_id, generation FROM usage_chunks
                       WHERE received_at >= $1 AND received_at < $2
                       UNION ALL
                       SELECT tenant_id, subscription_id, generation FROM usage_events
                       WHERE received_at >= $1 AND received_at < $2 AND NOT kept) all_of_it
                   GROUP BY tenant_id, subscription_id) held
               LEFT JOIN usage_generations g USING (tenant_id, subscription_id)
               WHERE coalesce(g.generation, 0) < held.generation + $3) AS "open!""#,
        from.to_sqlx() as jiff_sqlx::Timestamp,
        to.to_sqlx() as jiff_sqlx::Timestamp,
        CLOSES_AFTER
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(row.open)
}

/// Keys whose events would be refused as too old, a tenant and a bounded number
/// at a time. An event may be dated a little ahead of its arrival: a day is more.
async fn forget_keys(app: &App, now: Timestamp, done: &mut Upkeep) -> Result<(), Problem> {
    let age = SignedDuration::from_hours(24 * (HORIZON_DAYS + 1));
    let before = now.checked_sub(age).map_err(Problem::internal)?;
    for _ in 0..KEY_ROUNDS_MAX {
        let mut tx = app.db().vendor().await?;
        let row = sqlx::query!(
            "SELECT tenant_id FROM usage_keys WHERE received_at < $1 LIMIT 1",
            before.to_sqlx() as jiff_sqlx::Timestamp
        )
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        let Some(row) = row else { return Ok(()) };
        let mut tx = app.db().tenant(TenantId::from_uuid(row.tenant_id)).await?;
        let deleted = sqlx::query!(
            "DELETE FROM usage_keys WHERE tenant_id = $1 AND key = ANY (ARRAY(
                 SELECT key FROM usage_keys WHERE tenant_id = $1 AND received_at < $2 LIMIT $3))",
            row.tenant_id,
            before.to_sqlx() as jiff_sqlx::Timestamp,
            KEYS_AT_ONCE
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        done.keys += deleted.rows_affected();
    }
    Ok(())
}
