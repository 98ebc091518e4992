//! Usage that is taken back: `tenure.void` and `tenure.amend`.
//!
//! Nothing that was recorded is changed. A void is an event of its own, in the
//! generation that is open; buckets that held the event are made again there,
//! and whoever reads single events leaves it out. So what an invoice was made
//! from stays as it was, and the difference appears in a later generation.
//!
//! Refuses: taking back what was never recorded, what no meter counted, and the
//! same event twice.

use std::collections::{BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use tenure_tenancy::TenantTx;
use uuid::Uuid;

use super::{
    batch::Batch,
    brought,
    check::Target,
    chunk::{Record, Unpacked},
    db::{self, Place},
    raw::name,
    rebuild::{self, Spot},
    store::{Writes, bucket},
};
use crate::{http::Problem, subscriptions::entitlements::Situation};

/// Targets looked up in one go.
const TARGETS_AT_ONCE: usize = 32;

/// Where the meters counted an event, and when it happened.
#[derive(Debug, Default, Clone)]
struct Counted {
    spots: BTreeSet<Spot>,
    time: Timestamp,
}

/// By the names of the events.
type Recorded = HashMap<Uuid, Counted>;

/// Decides on the events of a batch that take others back, once the events
/// beside them are recorded, and records them. Nobody else is in the
/// subscription's usage meanwhile. Tells which meters count otherwise now, and when.
pub(super) async fn take_back(
    tx: &mut TenantTx,
    situation: &Situation,
    place: Place,
    batch: &mut Batch<'_, '_>,
) -> Result<Vec<(i32, Timestamp)>, Problem> {
    let (keys, _) = batch.void_claims();
    let claimed = db::claimed(tx, &keys).await?;
    batch.resolve_voids(claimed);
    let voided = decide(tx, situation, place, batch).await?;
    let (keys, payloads) = batch.void_claims();
    if db::claim(tx, &keys, &payloads, place.received_at).await?.is_some() {
        return Err(Problem::unavailable("Send the batch again; nothing was recorded."));
    }
    insert(tx, place, &voided).await?;
    let writes = Writes::of_amendments(batch)?;
    super::put(tx, place, &writes).await?;
    let back = voided
        .iter()
        .flat_map(|void| void.of.spots.iter().map(|(meter, _, _)| (*meter, void.of.time)));
    let instead = batch.new_amendments().into_iter().flat_map(|(event, readings)| {
        readings.iter().map(|reading| (reading.meter_id, event.time))
    });
    let changed = back.chain(instead).collect();
    let spots = voided.into_iter().flat_map(|void| void.of.spots).collect();
    rebuild::spots(tx, place, &spots).await?;
    Ok(changed)
}

/// A void that was accepted.
struct Voided {
    key: Uuid,
    source: String,
    event_id: String,
    of: Counted,
}

async fn decide(
    tx: &mut TenantTx,
    situation: &Situation,
    place: Place,
    batch: &mut Batch<'_, '_>,
) -> Result<Vec<Voided>, Problem> {
    let new = batch.new_voids();
    let said: Vec<&Target<'_>> =
        new.iter().filter_map(|void| void.event().target.as_ref()).collect();
    // What came through an agent is recorded under another name than its product's.
    let meant = brought::targets(tx, place.subscription, &said).await?;
    let targets: Vec<&Target<'_>> = meant.iter().collect();
    let recorded = find(tx, situation, place, &targets).await?;
    let mut taken = taken_back(tx, &targets).await?;
    let (mut voided, mut rejected) = (Vec::new(), Vec::new());
    for (void, target) in new.into_iter().zip(&meant) {
        let (event, key) = (void.event(), target.key);
        let refused = match recorded.get(&key) {
            _ if taken.contains(&key) => {
                Some(("already_void", "The event was taken back before; once is enough."))
            }
            None => Some((
                "unknown_event",
                "No such event is recorded for this subscription, so there is nothing to take back.",
            )),
            Some(found) if found.spots.is_empty() => Some((
                "not_counted",
                "No meter counted that event, so there is nothing to take back.",
            )),
            Some(found) => {
                taken.insert(key);
                voided.push(Voided {
                    key,
                    source: event.source.clone().into_owned(),
                    event_id: event.id.clone().into_owned(),
                    of: found.clone(),
                });
                None
            }
        };
        if let Some((reason, detail)) = refused {
            rejected.push((void.reject(), reason, detail.to_owned()));
        }
    }
    batch.reject_voids(rejected);
    Ok(voided)
}

async fn taken_back(tx: &mut TenantTx, targets: &[&Target<'_>]) -> Result<HashSet<Uuid>, Problem> {
    let tenant = tx.tenant().uuid();
    let keys: Vec<Uuid> = targets.iter().map(|target| target.key).collect();
    let rows = sqlx::query!(
        "SELECT key FROM usage_voids WHERE tenant_id = $1 AND key = ANY($2)",
        tenant,
        &keys
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| row.key).collect())
}

async fn insert(tx: &mut TenantTx, place: Place, voided: &[Voided]) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    let keys: Vec<Uuid> = voided.iter().map(|void| void.key).collect();
    let times: Vec<jiff_sqlx::Timestamp> =
        voided.iter().map(|void| void.of.time.to_sqlx()).collect();
    let sources: Vec<&str> = voided.iter().map(|void| &*void.source).collect();
    let ids: Vec<&str> = voided.iter().map(|void| &*void.event_id).collect();
    sqlx::query!(
        "INSERT INTO usage_voids (tenant_id, subscription_id, generation, voided_at, key,
             occurred_at, source, event_id)
         SELECT $1, $2, $3, $4, given.*
         FROM unnest($5::uuid[], $6::timestamptz[], $7::text[], $8::text[]) AS given",
        tenant,
        place.subscription.uuid(),
        place.generation,
        place.received_at.to_sqlx() as jiff_sqlx::Timestamp,
        &keys,
        &times as &[jiff_sqlx::Timestamp],
        &sources as &[&str],
        &ids as &[&str],
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Which of the targets are recorded, and where they count.
async fn find(
    tx: &mut TenantTx,
    situation: &Situation,
    place: Place,
    targets: &[&Target<'_>],
) -> Result<Recorded, Problem> {
    let tenant = tx.tenant();
    let wanted: HashSet<Uuid> = targets.iter().map(|target| target.key).collect();
    let mut recorded = Recorded::new();
    for some in targets.chunks(TARGETS_AT_ONCE) {
        let mut bodies = by_keys(tx, place, some, &mut recorded).await?;
        bodies.extend(by_numbers(tx, place, some, &mut recorded).await?);
        let mut buffer = Vec::new();
        for body in bodies {
            let unpacked = Unpacked::new(&body).map_err(Problem::internal)?;
            let read = unpacked.records(|record| {
                let key = name(&mut buffer, tenant, record);
                if wanted.contains(&key) {
                    found(situation, &mut recorded, key, record);
                }
            });
            read.map_err(Problem::internal)?;
        }
    }
    Ok(recorded)
}

fn found(situation: &Situation, recorded: &mut Recorded, key: Uuid, record: &Record<'_>) {
    let counted = recorded.entry(key).or_default();
    counted.time = record.time;
    if let Some(meter) = situation.catalog.meters.get(record.meter) {
        counted.spots.insert((*meter, bucket(record.time), record.dimension.to_owned()));
    }
}

/// A row of `usage_events`.
struct Row {
    key: Uuid,
    meter_id: Option<i32>,
    occurred_at: jiff_sqlx::Timestamp,
    dimension: String,
}

fn found_rows(recorded: &mut Recorded, rows: Vec<Row>) {
    for row in rows {
        let counted = recorded.entry(row.key).or_default();
        counted.time = row.occurred_at.to_jiff();
        if let Some(meter) = row.meter_id {
            counted.spots.insert((meter, bucket(counted.time), row.dimension));
        }
    }
}

/// Of the key lane: a key tells when its event came. Tells the chunks that came then.
async fn by_keys(
    tx: &mut TenantTx,
    place: Place,
    targets: &[&Target<'_>],
    recorded: &mut Recorded,
) -> Result<Vec<Vec<u8>>, Problem> {
    let tenant = tx.tenant().uuid();
    let keyed = targets.iter().filter(|target| target.sequence.is_none());
    let keys: Vec<Uuid> = keyed.map(|target| target.key).collect();
    let arrived = sqlx::query!(
        "SELECT DISTINCT received_at FROM usage_keys WHERE tenant_id = $1 AND key = ANY($2)",
        tenant,
        &keys
    )
    .fetch_all(&mut **tx)
    .await?;
    let arrived: Vec<jiff_sqlx::Timestamp> =
        arrived.into_iter().map(|row| row.received_at).collect();
    let rows = sqlx::query_as!(
        Row,
        "SELECT key, meter_id, occurred_at, dimension FROM usage_events
         WHERE tenant_id = $1 AND subscription_id = $2 AND received_at = ANY($3) AND key = ANY($4)",
        tenant,
        place.subscription.uuid(),
        &arrived as &[jiff_sqlx::Timestamp],
        &keys
    )
    .fetch_all(&mut **tx)
    .await?;
    found_rows(recorded, rows);
    let bodies = sqlx::query!(
        "SELECT body FROM usage_chunks
         WHERE tenant_id = $1 AND subscription_id = $2 AND received_at = ANY($3) AND source IS NULL",
        tenant,
        place.subscription.uuid(),
        &arrived as &[jiff_sqlx::Timestamp],
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(bodies.into_iter().map(|row| row.body).collect())
}

/// Of the numbered lane.
async fn by_numbers(
    tx: &mut TenantTx,
    place: Place,
    targets: &[&Target<'_>],
    recorded: &mut Recorded,
) -> Result<Vec<Vec<u8>>, Problem> {
    let tenant = tx.tenant().uuid();
    let numbered = || targets.iter().filter_map(|target| Some((target, target.sequence?)));
    let sources: Vec<&str> = numbered().map(|(target, _)| &*target.source).collect();
    let epochs: Vec<i64> = numbered().map(|(_, (epoch, _))| epoch).collect();
    let numbers: Vec<i64> = numbered().map(|(_, (_, number))| number).collect();
    let rows = sqlx::query_as!(
        Row,
        "SELECT e.key, e.meter_id, e.occurred_at, e.dimension
         FROM unnest($3::text[], $4::bigint[], $5::bigint[]) AS w (source, epoch, number)
         JOIN usage_events e ON e.tenant_id = $1 AND e.source = w.source AND e.epoch = w.epoch
             AND e.number = w.number AND e.number IS NOT NULL
         WHERE e.subscription_id = $2",
        tenant,
        place.subscription.uuid(),
        &sources as &[&str],
        &epochs,
        &numbers
    )
    .fetch_all(&mut **tx)
    .await?;
    found_rows(recorded, rows);
    let bodies = sqlx::query!(
        "SELECT c.body
         FROM unnest($3::text[], $4::bigint[], $5::bigint[]) AS w (source, epoch, number)
         JOIN usage_chunks c ON c.tenant_id = $1 AND c.source = w.source AND c.epoch = w.epoch
             AND c.last_number >= w.number AND c.first_number <= w.number AND c.source IS NOT NULL
         WHERE c.subscription_id = $2",
        tenant,
        place.subscription.uuid(),
        &sources as &[&str],
        &epochs,
        &numbers
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(bodies.into_iter().map(|row| row.body).collect())
}
