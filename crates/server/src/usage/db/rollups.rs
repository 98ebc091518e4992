//! SQL of rollups, and of what `unique` meters count in them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use rust_decimal::Decimal;
use tenure_core::SubscriptionId;
use tenure_tenancy::TenantTx;

use super::Place;
use crate::{
    http::Problem,
    usage::store::{Rollup, Rollups},
};

/// Meter, start of the bucket in seconds, dimension, generation: the key of a row.
pub(in crate::usage) type RowPlace = (i32, i64, String, i32);

/// A row without its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::usage) struct RollupRow {
    /// Stands instead of the rows of earlier generations.
    pub(in crate::usage) whole: bool,
    /// A row of this generation stands instead of it.
    pub(in crate::usage) replaced_in: Option<i32>,
    pub(in crate::usage) rollup: Rollup,
}

/// What rows are, beside their sums.
pub(in crate::usage) struct Flags {
    pub(in crate::usage) wholes: Vec<bool>,
    pub(in crate::usage) replaced: Vec<Option<i32>>,
}

/// What a `unique` meter counted in a row.
pub(in crate::usage) struct Member<'m> {
    pub(in crate::usage) place: &'m RowPlace,
    pub(in crate::usage) replaced_in: Option<i32>,
    pub(in crate::usage) member: &'m str,
}

/// Adds to rollups of the open generation.
pub(in crate::usage) async fn add_rollups(
    tx: &mut TenantTx,
    place: Place,
    rollups: &Rollups<'_>,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    let rollups = Columns::of(rollups);
    sqlx::query!(
        "INSERT INTO usage_rollups AS r (tenant_id, subscription_id, generation, meter_id, bucket,
             dimension, events, sum, max, min, last, last_at, digest_hi, digest_lo)
         SELECT $1, $2, $3, given.*
         FROM unnest($4::integer[], $5::timestamptz[], $6::text[], $7::bigint[], $8::numeric[],
                 $9::numeric[], $10::numeric[], $11::numeric[], $12::timestamptz[], $13::bigint[],
                 $14::bigint[]) AS given
         ORDER BY 4, 5, 6
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
             digest_lo = r.digest_lo # excluded.digest_lo",
        tenant,
        place.subscription.uuid(),
        place.generation,
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

/// Writes rows of one generation; those that are there become what is given.
pub(in crate::usage) async fn put_rollups(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    generation: i32,
    rollups: &Columns<'_>,
    flags: &Flags,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "INSERT INTO usage_rollups (tenant_id, subscription_id, generation, whole, replaced_in,
             meter_id, bucket, dimension, events, sum, max, min, last, last_at, digest_hi, digest_lo)
         SELECT $1, $2, $3, given.*
         FROM unnest($4::boolean[], $5::integer[], $6::integer[], $7::timestamptz[], $8::text[],
                 $9::bigint[], $10::numeric[], $11::numeric[], $12::numeric[], $13::numeric[],
                 $14::timestamptz[], $15::bigint[], $16::bigint[]) AS given
         ON CONFLICT (tenant_id, subscription_id, meter_id, bucket, dimension, generation)
         DO UPDATE SET whole = excluded.whole, replaced_in = excluded.replaced_in,
             events = excluded.events, sum = excluded.sum, max = excluded.max, min = excluded.min,
             last = excluded.last, last_at = excluded.last_at, digest_hi = excluded.digest_hi,
             digest_lo = excluded.digest_lo",
        tenant,
        subscription.uuid(),
        generation,
        &flags.wholes,
        &flags.replaced as &[Option<i32>],
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

/// Says of the rows before the open generation that it replaces them, and takes away
/// what was counted in it.
pub(in crate::usage) async fn displace(
    tx: &mut TenantTx,
    place: Place,
    columns: &Columns<'_>,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "WITH spot AS (
             SELECT * FROM unnest($4::integer[], $5::timestamptz[], $6::text[])
                 AS spot (meter_id, bucket, dimension)),
         gone AS (
             DELETE FROM usage_members m USING spot s
             WHERE m.tenant_id = $1 AND m.subscription_id = $2 AND m.generation = $3
                 AND m.meter_id = s.meter_id AND m.bucket = s.bucket AND m.dimension = s.dimension),
         members AS (
             UPDATE usage_members m SET replaced_in = $3 FROM spot s
             WHERE m.tenant_id = $1 AND m.subscription_id = $2 AND m.generation < $3
                 AND m.meter_id = s.meter_id AND m.bucket = s.bucket AND m.dimension = s.dimension
                 AND m.replaced_in IS NULL)
         UPDATE usage_rollups r SET replaced_in = $3 FROM spot s
         WHERE r.tenant_id = $1 AND r.subscription_id = $2 AND r.generation < $3
             AND r.meter_id = s.meter_id AND r.bucket = s.bucket AND r.dimension = s.dimension
             AND r.replaced_in IS NULL",
        tenant,
        place.subscription.uuid(),
        place.generation,
        &columns.meters,
        &columns.buckets as &[jiff_sqlx::Timestamp],
        &columns.dimensions as &[&str],
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// All rows of a subscription.
pub(in crate::usage) async fn stored(
    tx: &mut TenantTx,
    id: SubscriptionId,
) -> Result<BTreeMap<RowPlace, RollupRow>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        "SELECT meter_id, bucket, dimension, generation, whole, replaced_in, events, sum, max, min,
             last, last_at, digest_hi, digest_lo
         FROM usage_rollups WHERE tenant_id = $1 AND subscription_id = $2",
        tenant,
        id.uuid()
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let bucket = row.bucket.to_jiff().as_second();
            let rollup = Rollup {
                events: row.events,
                sum: row.sum,
                max: row.max,
                min: row.min,
                last: row.last,
                last_at: row.last_at.to_jiff(),
                digest: whole(row.digest_hi, row.digest_lo),
            };
            let place = (row.meter_id, bucket, row.dimension, row.generation);
            (place, RollupRow { whole: row.whole, replaced_in: row.replaced_in, rollup })
        })
        .collect())
}

/// Takes all rows of a subscription away.
pub(in crate::usage) async fn drop_rollups(
    tx: &mut TenantTx,
    id: SubscriptionId,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "WITH members AS (
             DELETE FROM usage_members WHERE tenant_id = $1 AND subscription_id = $2)
         DELETE FROM usage_rollups WHERE tenant_id = $1 AND subscription_id = $2",
        tenant,
        id.uuid()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Writes members of a subscription that has none.
pub(in crate::usage) async fn put_members(
    tx: &mut TenantTx,
    id: SubscriptionId,
    members: &[Member<'_>],
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    let places = || members.iter().map(|one| one.place);
    let meters: Vec<i32> = places().map(|place| place.0).collect();
    let buckets: Vec<jiff_sqlx::Timestamp> = places().map(|place| at(place.1)).collect();
    let dimensions: Vec<&str> = places().map(|place| &*place.2).collect();
    let generations: Vec<i32> = places().map(|place| place.3).collect();
    let replaced: Vec<Option<i32>> = members.iter().map(|one| one.replaced_in).collect();
    let names: Vec<&str> = members.iter().map(|one| one.member).collect();
    sqlx::query!(
        "INSERT INTO usage_members (tenant_id, subscription_id, meter_id, bucket, dimension,
             generation, replaced_in, member)
         SELECT $1, $2, given.* FROM unnest($3::integer[], $4::timestamptz[], $5::text[],
             $6::integer[], $7::integer[], $8::text[]) AS given",
        tenant,
        id.uuid(),
        &meters,
        &buckets as &[jiff_sqlx::Timestamp],
        &dimensions as &[&str],
        &generations,
        &replaced as &[Option<i32>],
        &names as &[&str],
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Rollups as columns, by meter, bucket and dimension.
#[derive(Default)]
pub(in crate::usage) struct Columns<'r> {
    pub(in crate::usage) meters: Vec<i32>,
    pub(in crate::usage) buckets: Vec<jiff_sqlx::Timestamp>,
    pub(in crate::usage) dimensions: Vec<&'r str>,
    pub(in crate::usage) events: Vec<i64>,
    pub(in crate::usage) sums: Vec<Decimal>,
    pub(in crate::usage) maxima: Vec<Decimal>,
    pub(in crate::usage) minima: Vec<Decimal>,
    pub(in crate::usage) lasts: Vec<Decimal>,
    pub(in crate::usage) last_at: Vec<jiff_sqlx::Timestamp>,
    pub(in crate::usage) digests_hi: Vec<i64>,
    pub(in crate::usage) digests_lo: Vec<i64>,
}

impl<'r> Columns<'r> {
    pub(in crate::usage) fn of(rollups: &Rollups<'r>) -> Self {
        let mut columns = Self::default();
        for ((meter, bucket, dimension), rollup) in rollups {
            columns.meters.push(*meter);
            columns.buckets.push(at(*bucket));
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

pub(in crate::usage) fn at(seconds: i64) -> jiff_sqlx::Timestamp {
    Timestamp::from_second(seconds).unwrap_or_default().to_sqlx()
}

/// A digest as two columns: PostgreSQL XORs 64 bits.
const fn halves(digest: u128) -> (i64, i64) {
    ((digest >> 64) as i64, digest as i64)
}

/// The digest behind two columns.
pub(in crate::usage) const fn whole(hi: i64, lo: i64) -> u128 {
    ((hi as u64 as u128) << 64) | lo as u64 as u128
}
