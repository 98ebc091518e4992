//! SQL of recording. Rows go in by columns (`unnest`): under row-level security
//! `COPY` is refused.
//!
//! The order of locks, the same in every batch: the subscription's generation,
//! sources sorted, keys sorted, rollups sorted. Rollups are what concurrent
//! batches of one tenant wait for, so they come last.

mod rollups;

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use rust_decimal::Decimal;
use tenure_core::SubscriptionId;
use tenure_tenancy::TenantTx;
use uuid::Uuid;

use super::{
    batch::{Lane, Number, Sources},
    chunk::{CHUNK_EVENTS_MAX, Unpacked},
    lanes::Watermark,
    store::{Chunk, Members, Row},
};
use crate::http::Problem;
pub(super) use rollups::{
    Columns, Flags, Member, RollupRow, RowPlace, add_rollups, at, displace, drop_rollups,
    put_members, put_rollups, stored, whole,
};

/// Which lane each source sends in; those of numbered sources are locked until
/// the transaction ends. New sources are entered.
pub(super) async fn sources(
    tx: &mut TenantTx,
    wanted: &BTreeMap<&str, bool>,
) -> Result<Sources, Problem> {
    if wanted.is_empty() {
        return Ok(Sources::new());
    }
    let tenant = tx.tenant().uuid();
    let mut found = look(tx, wanted).await?;
    if wanted.keys().any(|source| !found.contains_key(*source)) {
        let new = wanted.iter().filter(|(source, _)| !found.contains_key(**source));
        let (names, epochs): (Vec<&str>, Vec<Option<i64>>) =
            new.map(|(source, numbered)| (*source, numbered.then_some(0))).unzip();
        sqlx::query!(
            "INSERT INTO usage_sources (tenant_id, source, epoch)
             SELECT $1, source, epoch FROM unnest($2::text[], $3::bigint[]) AS given (source, epoch)
             ORDER BY source ON CONFLICT DO NOTHING",
            tenant,
            &names as &[&str],
            &epochs as &[Option<i64>]
        )
        .execute(&mut **tx)
        .await?;
        found = look(tx, wanted).await?;
    }
    let numbered: Vec<&str> =
        wanted.iter().filter(|(_, numbered)| **numbered).map(|(source, _)| *source).collect();
    if !numbered.is_empty() {
        let rows = sqlx::query!(
            "SELECT source, epoch, last FROM usage_sources
             WHERE tenant_id = $1 AND source = ANY($2) ORDER BY source FOR UPDATE",
            tenant,
            &numbered as &[&str]
        )
        .fetch_all(&mut **tx)
        .await?;
        found.extend(rows.into_iter().map(|row| (row.source, lane(row.epoch, row.last))));
    }
    Ok(found)
}

async fn look(tx: &mut TenantTx, wanted: &BTreeMap<&str, bool>) -> Result<Sources, Problem> {
    let tenant = tx.tenant().uuid();
    let names: Vec<&str> = wanted.keys().copied().collect();
    let rows = sqlx::query!(
        "SELECT source, epoch, last FROM usage_sources WHERE tenant_id = $1 AND source = ANY($2)",
        tenant,
        &names as &[&str]
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.source, lane(row.epoch, row.last))).collect())
}

/// The lane of one source, if anything ever came from it.
pub(super) async fn source(tx: &mut TenantTx, source: &str) -> Result<Option<Lane>, Problem> {
    Ok(look(tx, &BTreeMap::from([(source, false)])).await?.remove(source))
}

fn lane(epoch: Option<i64>, last: i64) -> Lane {
    epoch.map_or(Lane::Keys, |epoch| Lane::Numbers(Watermark { epoch, last }))
}

/// Writes how far the sources have come.
pub(super) async fn move_watermarks(
    tx: &mut TenantTx,
    moved: &[(String, Watermark)],
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    let names: Vec<&str> = moved.iter().map(|(source, _)| &**source).collect();
    let epochs: Vec<i64> = moved.iter().map(|(_, mark)| mark.epoch).collect();
    let lasts: Vec<i64> = moved.iter().map(|(_, mark)| mark.last).collect();
    sqlx::query!(
        "UPDATE usage_sources s SET epoch = given.epoch, last = given.last
         FROM unnest($2::text[], $3::bigint[], $4::bigint[]) AS given (source, epoch, last)
         WHERE s.tenant_id = $1 AND s.source = given.source",
        tenant,
        &names as &[&str],
        &epochs,
        &lasts
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Runs of numbers looked up in one go.
const RUNS_MAX: usize = 32;

/// What was recorded under these numbers (sorted).
pub(super) async fn numbered(
    tx: &mut TenantTx,
    wanted: &[Number],
) -> Result<HashMap<Number, i64>, Problem> {
    let mut found = HashMap::new();
    let known: HashSet<(&str, i64, i64)> =
        wanted.iter().map(|(source, epoch, number)| (&**source, *epoch, *number)).collect();
    for runs in runs(wanted).chunks(RUNS_MAX) {
        let columns = Runs::of(runs);
        for row in rows_of_numbers(tx, &columns).await? {
            if known.contains(&(&row.0.0, row.0.1, row.0.2)) {
                found.insert(row.0, row.1);
            }
        }
        for body in chunks_of_numbers(tx, &columns).await? {
            let unpacked = Unpacked::new(&body).map_err(Problem::internal)?;
            let read = unpacked.records(|record| {
                let Some((epoch, number)) = record.sequence else { return };
                if known.contains(&(record.source, epoch, number)) {
                    found.insert((record.source.to_owned(), epoch, number), record.payload);
                }
            });
            read.map_err(Problem::internal)?;
        }
    }
    Ok(found)
}

/// Source, epoch, first and last number.
type Run<'n> = (&'n str, i64, i64, i64);

/// Sorted numbers as runs; those that may share a chunk are in one.
fn runs(wanted: &[Number]) -> Vec<Run<'_>> {
    let mut runs: Vec<Run<'_>> = Vec::new();
    for (source, epoch, number) in wanted {
        match runs.last_mut() {
            Some(run)
                if run.0 == source
                    && run.1 == *epoch
                    && *number - run.3 <= CHUNK_EVENTS_MAX as i64 =>
            {
                run.3 = *number;
            }
            _ => runs.push((source, *epoch, *number, *number)),
        }
    }
    runs
}

/// Runs as columns.
struct Runs<'n> {
    sources: Vec<&'n str>,
    epochs: Vec<i64>,
    first: Vec<i64>,
    last: Vec<i64>,
}

impl<'n> Runs<'n> {
    fn of(runs: &[Run<'n>]) -> Self {
        Self {
            sources: runs.iter().map(|run| run.0).collect(),
            epochs: runs.iter().map(|run| run.1).collect(),
            first: runs.iter().map(|run| run.2).collect(),
            last: runs.iter().map(|run| run.3).collect(),
        }
    }
}

async fn rows_of_numbers(
    tx: &mut TenantTx,
    runs: &Runs<'_>,
) -> Result<Vec<(Number, i64)>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        r#"SELECT e.source, e.epoch AS "epoch!", e.number AS "number!", e.payload AS "payload!"
           FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
               AS w (source, epoch, first, last)
           JOIN usage_events e ON e.tenant_id = $1 AND e.source = w.source AND e.epoch = w.epoch
               AND e.number BETWEEN w.first AND w.last AND e.number IS NOT NULL"#,
        tenant,
        &runs.sources as &[&str],
        &runs.epochs,
        &runs.first,
        &runs.last
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| ((row.source, row.epoch, row.number), row.payload)).collect())
}

async fn chunks_of_numbers(tx: &mut TenantTx, runs: &Runs<'_>) -> Result<Vec<Vec<u8>>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        "SELECT c.body
         FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
             AS w (source, epoch, first, last)
         JOIN usage_chunks c ON c.tenant_id = $1 AND c.source = w.source AND c.epoch = w.epoch
             AND c.last_number >= w.first AND c.first_number <= w.last AND c.source IS NOT NULL",
        tenant,
        &runs.sources as &[&str],
        &runs.epochs,
        &runs.first,
        &runs.last
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| row.body).collect())
}

/// Claims keys, sorted. `None` when all of them are new, else the new ones.
pub(super) async fn claim(
    tx: &mut TenantTx,
    keys: &[Uuid],
    payloads: &[i64],
    received_at: Timestamp,
) -> Result<Option<Vec<Uuid>>, Problem> {
    if keys.is_empty() {
        return Ok(None);
    }
    let tenant = tx.tenant().uuid();
    let row = sqlx::query!(
        r#"WITH fresh AS (
             INSERT INTO usage_keys (tenant_id, key, payload, received_at)
             SELECT $1, key, payload, $4
             FROM unnest($2::uuid[], $3::bigint[]) AS given (key, payload)
             ORDER BY key
             ON CONFLICT DO NOTHING RETURNING key)
           SELECT count(*) = cardinality($2::uuid[]) AS "all!",
               CASE WHEN count(*) < cardinality($2::uuid[]) THEN array_agg(key) END AS keys
           FROM fresh"#,
        tenant,
        keys,
        payloads,
        received_at.to_sqlx() as jiff_sqlx::Timestamp
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok((!row.all).then(|| row.keys.unwrap_or_default()))
}

/// The payloads that hold keys, by key.
pub(super) async fn claimed(tx: &mut TenantTx, keys: &[Uuid]) -> Result<Vec<(Uuid, i64)>, Problem> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
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

/// Where and when something is recorded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) subscription: SubscriptionId,
    pub(super) generation: i32,
    pub(super) received_at: Timestamp,
}

/// Writes chunks.
pub(super) async fn insert_chunks(
    tx: &mut TenantTx,
    place: Place,
    chunks: &[Chunk],
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    for chunk in chunks {
        let numbers = chunk.numbers.as_ref();
        sqlx::query!(
            "INSERT INTO usage_chunks (tenant_id, subscription_id, received_at, generation, meters,
                 first_at, last_at, events, source, epoch, first_number, last_number, body, id)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            tenant,
            place.subscription.uuid(),
            place.received_at.to_sqlx() as jiff_sqlx::Timestamp,
            place.generation,
            &chunk.meters,
            chunk.first_at.to_sqlx() as jiff_sqlx::Timestamp,
            chunk.last_at.to_sqlx() as jiff_sqlx::Timestamp,
            chunk.events,
            numbers.map(|numbers| &*numbers.source),
            numbers.map(|numbers| numbers.epoch),
            numbers.map(|numbers| numbers.first),
            numbers.map(|numbers| numbers.last),
            &chunk.body,
            Uuid::now_v7()
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Writes single events.
pub(super) async fn insert_rows(
    tx: &mut TenantTx,
    place: Place,
    rows: &[Row<'_>],
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    let records = || rows.iter().map(|row| &row.record);
    let meters: Vec<Option<i32>> = rows.iter().map(|row| row.meter_id).collect();
    let keys: Vec<Uuid> = rows.iter().map(|row| row.key).collect();
    let kept: Vec<bool> = rows.iter().map(|row| row.kept).collect();
    let times: Vec<jiff_sqlx::Timestamp> = records().map(|one| one.time.to_sqlx()).collect();
    let quantities: Vec<Decimal> = records().map(|one| one.quantity).collect();
    let members: Vec<Option<&str>> = records().map(|one| one.member).collect();
    let dimensions: Vec<&str> = records().map(|one| one.dimension).collect();
    let sources: Vec<&str> = records().map(|one| one.source).collect();
    let ids: Vec<&str> = records().map(|one| one.id).collect();
    let epochs: Vec<Option<i64>> = records().map(|one| one.sequence.map(|s| s.0)).collect();
    let numbers: Vec<Option<i64>> = records().map(|one| one.sequence.map(|s| s.1)).collect();
    let payloads: Vec<Option<i64>> =
        records().map(|one| one.sequence.map(|_| one.payload)).collect();
    sqlx::query!(
        "INSERT INTO usage_events (tenant_id, subscription_id, received_at, generation, meter_id,
             occurred_at, key, kept, quantity, member, dimension, source, event_id, epoch, number,
             payload)
         SELECT $1, $2, $3, $4, given.*
         FROM unnest($5::integer[], $6::timestamptz[], $7::uuid[], $8::boolean[], $9::numeric[],
                 $10::text[], $11::text[], $12::text[], $13::text[], $14::bigint[], $15::bigint[],
                 $16::bigint[]) AS given",
        tenant,
        place.subscription.uuid(),
        place.received_at.to_sqlx() as jiff_sqlx::Timestamp,
        place.generation,
        &meters as &[Option<i32>],
        &times as &[jiff_sqlx::Timestamp],
        &keys,
        &kept,
        &quantities,
        &members as &[Option<&str>],
        &dimensions as &[&str],
        &sources as &[&str],
        &ids as &[&str],
        &epochs as &[Option<i64>],
        &numbers as &[Option<i64>],
        &payloads as &[Option<i64>],
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Writes what `unique` meters counted, once a bucket and generation.
pub(super) async fn insert_members(
    tx: &mut TenantTx,
    place: Place,
    members: &Members<'_>,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    let meters: Vec<i32> = members.iter().map(|one| one.0).collect();
    let buckets: Vec<jiff_sqlx::Timestamp> = members.iter().map(|one| at(one.1)).collect();
    let dimensions: Vec<&str> = members.iter().map(|one| one.2).collect();
    let names: Vec<&str> = members.iter().map(|one| one.3).collect();
    sqlx::query!(
        "INSERT INTO usage_members (tenant_id, subscription_id, generation, meter_id, bucket,
             dimension, member)
         SELECT $1, $2, $3, given.*
         FROM unnest($4::integer[], $5::timestamptz[], $6::text[], $7::text[]) AS given
         ORDER BY 4, 5, 6, 7
         ON CONFLICT DO NOTHING",
        tenant,
        place.subscription.uuid(),
        place.generation,
        &meters,
        &buckets as &[jiff_sqlx::Timestamp],
        &dimensions as &[&str],
        &names as &[&str],
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
