//! SQL of usage. Events go in by columns (`unnest`): under row-level security
//! `COPY` is refused.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use rust_decimal::Decimal;
use tenure_core::SubscriptionId;
use tenure_tenancy::TenantTx;
use uuid::Uuid;

use super::batch::Rows;
use crate::http::Problem;

/// Claims keys, sorted. `None` when all of them are new, else the new ones.
pub(super) async fn claim(
    tx: &mut TenantTx,
    keys: &[Uuid],
    payloads: &[i64],
) -> Result<Option<Vec<Uuid>>, Problem> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query!(
        r#"WITH fresh AS (
             INSERT INTO usage_keys (tenant_id, key, payload)
             SELECT $1, key, payload FROM unnest($2::uuid[], $3::bigint[]) AS given (key, payload)
             ORDER BY key
             ON CONFLICT DO NOTHING RETURNING key)
           SELECT count(*) = cardinality($2::uuid[]) AS "all!",
               CASE WHEN count(*) < cardinality($2::uuid[]) THEN array_agg(key) END AS keys
           FROM fresh"#,
        tenant,
        keys,
        payloads
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok((!row.all).then(|| row.keys.unwrap_or_default()))
}

/// The payloads that hold keys, by key.
pub(super) async fn claimed(tx: &mut TenantTx, keys: &[Uuid]) -> Result<Vec<(Uuid, i64)>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        "SELECT key, payload FROM usage_keys WHERE tenant_id = $1 AND key = ANY($2) ORDER BY key",
        tenant,
        keys
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.key, row.payload)).collect())
}

/// Writes events and what they add to rollups. The events go first: a rollup's
/// row is what concurrent batches of one tenant wait for, so it is locked last.
pub(super) async fn insert(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    rows: &Rows<'_>,
    received_at: Timestamp,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    let mut meters = Vec::with_capacity(rows.rollups.len());
    let mut buckets = Vec::with_capacity(rows.rollups.len());
    let (mut events, mut last_at) = (Vec::new(), Vec::new());
    let (mut sums, mut maxima, mut minima, mut lasts) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for ((meter, bucket), rollup) in &rows.rollups {
        meters.push(*meter);
        buckets.push(Timestamp::from_second(*bucket).unwrap_or_default().to_sqlx());
        events.push(rollup.events);
        sums.push(rollup.sum);
        maxima.push(rollup.max);
        minima.push(rollup.min);
        lasts.push(rollup.last);
        last_at.push(rollup.last_at.to_sqlx());
    }
    sqlx::query!(
        "WITH added AS (
             INSERT INTO usage_rollups AS r (tenant_id, subscription_id, meter_id, bucket,
                 events, sum, max, min, last, last_at)
             SELECT $1, $2, meter_id, bucket, events, sum, max, min, last, last_at
             FROM unnest($11::integer[], $12::timestamptz[], $13::bigint[], $14::numeric[],
                     $15::numeric[], $16::numeric[], $17::numeric[], $18::timestamptz[])
                 AS given (meter_id, bucket, events, sum, max, min, last, last_at)
             ORDER BY meter_id, bucket
             ON CONFLICT (tenant_id, subscription_id, meter_id, bucket, generation) DO UPDATE SET
                 events = r.events + excluded.events,
                 sum = r.sum + excluded.sum,
                 max = greatest(r.max, excluded.max),
                 min = least(r.min, excluded.min),
                 last = CASE WHEN (excluded.last_at, excluded.last) > (r.last_at, r.last)
                     THEN excluded.last ELSE r.last END,
                 last_at = greatest(r.last_at, excluded.last_at))
         INSERT INTO usage_events (tenant_id, subscription_id, meter_id, occurred_at, received_at,
             key, quantity, member, source, event_id)
         SELECT $1, $2, meter_id, occurred_at, $3, key, coalesce(quantity, 1), member, source, event_id
         FROM unnest($4::integer[], $5::timestamptz[], $6::uuid[], $7::numeric[], $8::text[],
                 $9::text[], $10::text[])
             AS given (meter_id, occurred_at, key, quantity, member, source, event_id)",
        tenant,
        subscription.uuid(),
        received_at.to_sqlx(),
        &rows.meter_ids,
        &rows.times as &[jiff_sqlx::Timestamp],
        &rows.keys,
        &rows.quantities as &[Option<Decimal>],
        &rows.members as &[Option<&str>],
        &rows.sources as &[&str],
        &rows.ids as &[&str],
        &meters,
        &buckets as &[jiff_sqlx::Timestamp],
        &events,
        &sums,
        &maxima,
        &minima,
        &lasts,
        &last_at as &[jiff_sqlx::Timestamp],
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Stretches of time of meters, as columns: each belongs to a slot.
#[derive(Default)]
pub(super) struct Stretches {
    slots: Vec<i32>,
    meters: Vec<i32>,
    lower: Vec<jiff_sqlx::Timestamp>,
    upper: Vec<jiff_sqlx::Timestamp>,
}

impl Stretches {
    pub(super) fn push(&mut self, slot: usize, meter: i32, lower: Timestamp, upper: Timestamp) {
        if lower < upper {
            self.slots.push(i32::try_from(slot).unwrap_or(i32::MAX));
            self.meters.push(meter);
            self.lower.push(lower.to_sqlx());
            self.upper.push(upper.to_sqlx());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

/// What rollups or events of a stretch come to.
#[derive(Debug, Clone, Default)]
pub(super) struct Sums {
    pub(super) events: i64,
    pub(super) sum: Decimal,
    pub(super) max: Decimal,
    pub(super) last: Option<(Timestamp, Decimal)>,
}

/// Totals of whole buckets, by slot.
pub(super) async fn of_rollups(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    stretches: &Stretches,
) -> Result<Vec<(i32, Sums)>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        r#"SELECT w.slot AS "slot!", t.events::bigint AS "events!", t.sum AS "sum!", t.max AS "max!",
               t.last AS "last!", t.last_at AS "last_at!"
           FROM unnest($3::integer[], $4::integer[], $5::timestamptz[], $6::timestamptz[])
               AS w (slot, meter_id, lower, upper)
           CROSS JOIN LATERAL (
               SELECT sum(r.events) AS events, sum(r.sum) AS sum, max(r.max) AS max,
                   (array_agg(r.last ORDER BY r.last_at DESC, r.last DESC))[1] AS last,
                   max(r.last_at) AS last_at
               FROM usage_rollups r
               WHERE r.tenant_id = $1 AND r.subscription_id = $2 AND r.meter_id = w.meter_id
                   AND r.bucket >= w.lower AND r.bucket < w.upper) t
           WHERE t.events IS NOT NULL"#,
        tenant,
        subscription.uuid(),
        &stretches.slots,
        &stretches.meters,
        &stretches.lower as &[jiff_sqlx::Timestamp],
        &stretches.upper as &[jiff_sqlx::Timestamp],
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let last = Some((row.last_at.to_jiff(), row.last));
            (row.slot, Sums { events: row.events, sum: row.sum, max: row.max, last })
        })
        .collect())
}

/// Totals of single events, for the parts of windows that are no whole bucket.
pub(super) async fn of_events(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    stretches: &Stretches,
) -> Result<Vec<(i32, Sums)>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        r#"SELECT w.slot AS "slot!", t.events AS "events!", t.sum AS "sum!", t.max AS "max!",
               t.last AS "last!", t.last_at AS "last_at!"
           FROM unnest($3::integer[], $4::integer[], $5::timestamptz[], $6::timestamptz[])
               AS w (slot, meter_id, lower, upper)
           CROSS JOIN LATERAL (
               SELECT count(*) AS events, sum(e.quantity) AS sum, max(e.quantity) AS max,
                   (array_agg(e.quantity ORDER BY e.occurred_at DESC, e.quantity DESC))[1] AS last,
                   max(e.occurred_at) AS last_at
               FROM usage_events e
               WHERE e.tenant_id = $1 AND e.subscription_id = $2 AND e.meter_id = w.meter_id
                   AND e.occurred_at >= w.lower AND e.occurred_at < w.upper) t
           WHERE t.events > 0"#,
        tenant,
        subscription.uuid(),
        &stretches.slots,
        &stretches.meters,
        &stretches.lower as &[jiff_sqlx::Timestamp],
        &stretches.upper as &[jiff_sqlx::Timestamp],
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let last = Some((row.last_at.to_jiff(), row.last));
            (row.slot, Sums { events: row.events, sum: row.sum, max: row.max, last })
        })
        .collect())
}

/// How many different members each slot has.
pub(super) async fn unique(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    stretches: &Stretches,
) -> Result<BTreeMap<i32, i64>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        r#"SELECT w.slot AS "slot!", t.members AS "members!"
           FROM unnest($3::integer[], $4::integer[], $5::timestamptz[], $6::timestamptz[])
               AS w (slot, meter_id, lower, upper)
           CROSS JOIN LATERAL (
               SELECT count(DISTINCT e.member) AS members
               FROM usage_events e
               WHERE e.tenant_id = $1 AND e.subscription_id = $2 AND e.meter_id = w.meter_id
                   AND e.occurred_at >= w.lower AND e.occurred_at < w.upper) t"#,
        tenant,
        subscription.uuid(),
        &stretches.slots,
        &stretches.meters,
        &stretches.lower as &[jiff_sqlx::Timestamp],
        &stretches.upper as &[jiff_sqlx::Timestamp],
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.slot, row.members)).collect())
}

/// The average of each slot, weighted by how long each value stood; before the
/// first measurement of all, nothing stood. Six decimals of the meter's unit.
pub(super) async fn averages(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    stretches: &Stretches,
    divisors: &[Decimal],
) -> Result<BTreeMap<i32, Decimal>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        r#"SELECT w.slot AS "slot!", round(t.stood
                   / (extract(epoch FROM w.upper - w.lower) * w.divisor), 6) AS "average!"
           FROM unnest($3::integer[], $4::integer[], $5::timestamptz[], $6::timestamptz[], $7::numeric[])
               AS w (slot, meter_id, lower, upper, divisor)
           CROSS JOIN LATERAL (
               SELECT sum(p.quantity * extract(epoch FROM p.until - p.at)) AS stood
               FROM (
                   SELECT v.at, v.quantity, lead(v.at, 1, w.upper)
                       OVER (ORDER BY v.at, v.before DESC, v.quantity) AS until
                   FROM (
                       (SELECT w.lower AS at, e.quantity, true AS before
                        FROM usage_events e
                        WHERE e.tenant_id = $1 AND e.subscription_id = $2
                            AND e.meter_id = w.meter_id AND e.occurred_at < w.lower
                        ORDER BY e.occurred_at DESC, e.quantity DESC LIMIT 1)
                       UNION ALL
                       SELECT e.occurred_at, e.quantity, false
                       FROM usage_events e
                       WHERE e.tenant_id = $1 AND e.subscription_id = $2 AND e.meter_id = w.meter_id
                           AND e.occurred_at >= w.lower AND e.occurred_at < w.upper) v) p) t
           WHERE t.stood IS NOT NULL"#,
        tenant,
        subscription.uuid(),
        &stretches.slots,
        &stretches.meters,
        &stretches.lower as &[jiff_sqlx::Timestamp],
        &stretches.upper as &[jiff_sqlx::Timestamp],
        divisors,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.slot, row.average)).collect())
}
