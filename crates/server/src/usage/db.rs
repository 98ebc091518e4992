//! SQL of usage. Events go in by columns (`unnest`): under row-level security
//! `COPY` is refused.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use rust_decimal::Decimal;
use tenure_core::SubscriptionId;
use tenure_tenancy::TenantTx;
use uuid::Uuid;

use super::batch::{Rollup, Rows};
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
    generation: i32,
    rows: &Rows<'_>,
    received_at: Timestamp,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    let rollups = Columns::of(&rows.rollups);
    sqlx::query!(
        "WITH added AS (
             INSERT INTO usage_rollups AS r (tenant_id, subscription_id, meter_id, bucket, dimension,
                 generation, events, sum, max, min, last, last_at, digest_hi, digest_lo)
             SELECT $1, $2, meter_id, bucket, dimension, $3, events, sum, max, min, last, last_at,
                 digest_hi, digest_lo
             FROM unnest($12::integer[], $13::timestamptz[], $14::text[], $15::bigint[],
                     $16::numeric[], $17::numeric[], $18::numeric[], $19::numeric[],
                     $20::timestamptz[], $21::bigint[], $22::bigint[])
                 AS given (meter_id, bucket, dimension, events, sum, max, min, last, last_at,
                     digest_hi, digest_lo)
             ORDER BY meter_id, bucket, dimension
             ON CONFLICT (tenant_id, subscription_id, meter_id, bucket, dimension, generation)
             DO UPDATE SET
                 events = r.events + excluded.events,
                 sum = r.sum + excluded.sum,
                 max = CASE WHEN r.events = 0 THEN excluded.max ELSE greatest(r.max, excluded.max) END,
                 min = CASE WHEN r.events = 0 THEN excluded.min ELSE least(r.min, excluded.min) END,
                 last = CASE WHEN r.events = 0 OR (excluded.last_at, excluded.last) > (r.last_at, r.last)
                     THEN excluded.last ELSE r.last END,
                 last_at = CASE WHEN r.events = 0 THEN excluded.last_at
                     ELSE greatest(r.last_at, excluded.last_at) END,
                 digest_hi = r.digest_hi # excluded.digest_hi,
                 digest_lo = r.digest_lo # excluded.digest_lo)
         INSERT INTO usage_events (tenant_id, subscription_id, meter_id, occurred_at, received_at,
             generation, key, quantity, member, source, event_id)
         SELECT $1, $2, meter_id, occurred_at, $4, $3, key, coalesce(quantity, 1), member, source,
             event_id
         FROM unnest($5::integer[], $6::timestamptz[], $7::uuid[], $8::numeric[], $9::text[],
                 $10::text[], $11::text[])
             AS given (meter_id, occurred_at, key, quantity, member, source, event_id)",
        tenant,
        subscription.uuid(),
        generation,
        received_at.to_sqlx(),
        &rows.meter_ids,
        &rows.times as &[jiff_sqlx::Timestamp],
        &rows.keys,
        &rows.quantities as &[Option<Decimal>],
        &rows.members as &[Option<&str>],
        &rows.sources as &[&str],
        &rows.ids as &[&str],
        &rollups.meters,
        &rollups.buckets as &[jiff_sqlx::Timestamp],
        &rollups.dimensions as &[&str],
        &rollups.events,
        &rollups.sums,
        &rollups.maxima,
        &rollups.minima,
        &rollups.lasts,
        &rollups.last_at as &[jiff_sqlx::Timestamp],
        &rollups.digests_hi,
        &rollups.digests_lo,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Rollups as columns, by meter, bucket and dimension.
#[derive(Default)]
struct Columns<'r> {
    meters: Vec<i32>,
    buckets: Vec<jiff_sqlx::Timestamp>,
    dimensions: Vec<&'r str>,
    events: Vec<i64>,
    sums: Vec<Decimal>,
    maxima: Vec<Decimal>,
    minima: Vec<Decimal>,
    lasts: Vec<Decimal>,
    last_at: Vec<jiff_sqlx::Timestamp>,
    digests_hi: Vec<i64>,
    digests_lo: Vec<i64>,
}

impl<'r> Columns<'r> {
    fn of(rollups: &BTreeMap<(i32, i64, &'r str), Rollup>) -> Self {
        let mut columns = Self::default();
        for ((meter, bucket, dimension), rollup) in rollups {
            columns.meters.push(*meter);
            columns.buckets.push(Timestamp::from_second(*bucket).unwrap_or_default().to_sqlx());
            columns.dimensions.push(dimension);
            columns.events.push(rollup.events);
            columns.sums.push(rollup.sum);
            columns.maxima.push(rollup.max);
            columns.minima.push(rollup.min);
            columns.lasts.push(rollup.last);
            columns.last_at.push(rollup.last_at.to_sqlx());
            let (hi, lo) = halves(rollup.digest);
            columns.digests_hi.push(hi);
            columns.digests_lo.push(lo);
        }
        columns
    }
}

/// A digest as two columns: PostgreSQL XORs 64 bits.
pub(super) const fn halves(digest: u128) -> (i64, i64) {
    ((digest >> 64) as i64, digest as i64)
}

/// The digest behind two columns.
pub(super) const fn whole(hi: i64, lo: i64) -> u128 {
    ((hi as u64 as u128) << 64) | lo as u64 as u128
}
