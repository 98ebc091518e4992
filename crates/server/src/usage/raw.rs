//! Single events, as they were recorded: what explains a total, is exported as
//! evidence, and lets rollups be made again.
//!
//! Owns: the one reader of raw events, over rows and chunks, without those that
//! were taken back. Whatever needs single events reads them here, so that
//! nobody else knows how they are kept.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use jiff_sqlx::ToSqlx;
use rust_decimal::Decimal;
use tenure_core::{Period, SubscriptionId, TenantId};
use tenure_tenancy::TenantTx;
use uuid::Uuid;

use super::{
    check::{name_of_id, name_of_number},
    chunk::{Record, Unpacked},
    store::{Rollup, hash},
    totals::Stretches,
};
use crate::http::Problem;

/// Events of one page at most.
pub(crate) const PAGE_MAX: usize = 10_000;
/// Chunks in memory at once.
const CHUNKS_AT_ONCE: usize = 32;

/// One event as one meter counts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawEvent {
    /// The CloudEvents `source`.
    pub(crate) source: String,
    /// The CloudEvents `id`.
    pub(crate) id: String,
    /// The CloudEvents `time`.
    pub(crate) time: Timestamp,
    /// What the meter read, in the event's own unit.
    pub(crate) quantity: Decimal,
    /// What a `unique` meter counts once.
    pub(crate) member: Option<String>,
    /// By what the meter tells its events apart: name and value.
    pub(crate) dimensions: BTreeMap<String, String>,
    /// When it was recorded.
    pub(crate) received_at: Timestamp,
    /// In which generation.
    pub(crate) generation: i32,
    /// Epoch and number, when its producer numbers its events.
    pub(crate) sequence: Option<(i64, i64)>,
    /// See [`tenure_api::evidence::Counted::hash`].
    pub(crate) hash: [u8; 16],
}

/// Where a page of events ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cursor {
    pub(crate) time: Timestamp,
    pub(crate) hash: [u8; 16],
}

impl RawEvent {
    /// Its place in the order of pages.
    pub(crate) const fn cursor(&self) -> Cursor {
        Cursor { time: self.time, hash: self.hash }
    }

    fn of(found: &Found<'_>, hash: [u8; 16]) -> Self {
        let record = found.record;
        Self {
            source: record.source.to_owned(),
            id: record.id.to_owned(),
            time: record.time,
            quantity: record.quantity.normalize(),
            member: record.member.map(str::to_owned),
            dimensions: serde_json::from_str(record.dimension).unwrap_or_default(),
            received_at: found.received_at,
            generation: found.generation,
            sequence: record.sequence,
            hash,
        }
    }
}

/// A record, and how it came here.
pub(super) struct Found<'r> {
    pub(super) slot: i32,
    pub(super) record: &'r Record<'r>,
    pub(super) received_at: Timestamp,
    pub(super) generation: i32,
    /// The generation in which it was taken back: only of a scan that tells.
    pub(super) void_in: Option<i32>,
}

/// Events of a meter within `period`, recorded up to the generation `cutoff`
/// (`None`: all) and not taken back by then, by (time, hash): the first `limit`
/// after the cursor.
pub(crate) async fn read(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    meter: i32,
    period: Period,
    cutoff: Option<i32>,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Vec<RawEvent>, Problem> {
    let limit = limit.min(PAGE_MAX);
    let from = after.map_or(period.start, |after| after.time.max(period.start));
    // The cursor's own moment is looked at as a whole: any number of events may share it.
    let next = from.checked_add(SignedDuration::from_micros(1)).unwrap_or(from).min(period.end);
    let mut asked = Stretches::default();
    asked.push(0, meter, from, next);
    asked.push(1, meter, next, period.end);
    let mut page: BTreeMap<Cursor, RawEvent> = BTreeMap::new();
    let mut buffer = Vec::new();
    let take = |found: &Found<'_>| {
        let time = found.record.time;
        let last = |page: &BTreeMap<Cursor, RawEvent>| {
            page.last_key_value().filter(|_| page.len() >= limit).map(|(last, _)| last.time)
        };
        if let Some(last) = last(&page).filter(|last| time > *last) {
            return Some(last);
        }
        let hash = hash(found.record, &mut buffer).to_be_bytes();
        let cursor = Cursor { time, hash };
        if after.is_none_or(|after| cursor > after) {
            page.insert(cursor, RawEvent::of(found, hash));
            if page.len() > limit {
                page.pop_last();
            }
        }
        last(&page)
    };
    let scan = Scan::new(tx, subscription, cutoff.unwrap_or(i32::MAX), &asked).await?;
    scan.first(tx, &asked, limit, take).await?;
    Ok(page.into_values().collect())
}

/// What single events of stretches come to.
#[derive(Default)]
pub(super) struct Edges {
    pub(super) rollups: BTreeMap<i32, Rollup>,
    /// Slot and member, of `unique` meters.
    pub(super) members: BTreeSet<(i32, String)>,
}

/// Totals of single events up to a generation, for the parts of windows that
/// are no whole bucket.
pub(super) async fn edges(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    asked: &Stretches,
    cutoff: i32,
) -> Result<Edges, Problem> {
    let mut edges = Edges::default();
    let mut buffer = Vec::new();
    let take = |found: &Found<'_>| {
        let record = found.record;
        let one = Rollup::of(record.quantity, record.time, hash(record, &mut buffer));
        edges.rollups.entry(found.slot).and_modify(|all| all.join(&one)).or_insert(one);
        if let Some(member) = record.member {
            edges.members.insert((found.slot, member.to_owned()));
        }
    };
    let scan = Scan::new(tx, subscription, cutoff, asked).await?;
    scan.all(tx, asked, take).await?;
    Ok(edges)
}

/// Goes once through all events of some stretches, in no order.
pub(super) struct Scan {
    tenant: TenantId,
    subscription: Uuid,
    cutoff: i32,
    /// Events that were taken back, and in which generation.
    voids: HashMap<Uuid, i32>,
    tells_voided: bool,
    buffer: Vec<u8>,
}

/// A chunk that may hold events of a stretch.
struct Candidate {
    slot: i32,
    slug: String,
    lower: Timestamp,
    upper: Timestamp,
    first_at: Timestamp,
    id: Uuid,
    received_at: Timestamp,
    generation: i32,
}

impl Scan {
    pub(super) async fn new(
        tx: &mut TenantTx,
        subscription: SubscriptionId,
        cutoff: i32,
        asked: &Stretches,
    ) -> Result<Self, Problem> {
        let tenant = tx.tenant();
        let rows = sqlx::query!(
            "SELECT v.key, v.generation FROM usage_voids v
             WHERE v.tenant_id = $1 AND v.subscription_id = $2 AND v.generation <= $3
                 AND v.occurred_at >= (SELECT min(l) FROM unnest($4::timestamptz[]) l)
                 AND v.occurred_at < (SELECT max(u) FROM unnest($5::timestamptz[]) u)",
            tenant.uuid(),
            subscription.uuid(),
            cutoff,
            &asked.lower as &[jiff_sqlx::Timestamp],
            &asked.upper as &[jiff_sqlx::Timestamp],
        )
        .fetch_all(&mut **tx)
        .await?;
        Ok(Self {
            tenant,
            subscription: subscription.uuid(),
            cutoff,
            voids: rows.into_iter().map(|row| (row.key, row.generation)).collect(),
            tells_voided: false,
            buffer: Vec::new(),
        })
    }

    /// Tells of events that were taken back too.
    pub(super) const fn with_voided(mut self) -> Self {
        self.tells_voided = true;
        self
    }

    /// Calls `each` with every event that counts.
    pub(super) async fn all(
        self,
        tx: &mut TenantTx,
        asked: &Stretches,
        mut each: impl FnMut(&Found<'_>),
    ) -> Result<(), Problem> {
        let each = |found: &Found<'_>| {
            each(found);
            None
        };
        self.run(tx, asked, None, each).await
    }

    /// Calls `each` with events, the first `limit` of each stretch among them. Nothing
    /// behind the moment that `each` answered last need be shown any more.
    pub(super) async fn first(
        self,
        tx: &mut TenantTx,
        asked: &Stretches,
        limit: usize,
        each: impl FnMut(&Found<'_>) -> Option<Timestamp>,
    ) -> Result<(), Problem> {
        self.run(tx, asked, Some(limit), each).await
    }

    async fn run(
        mut self,
        tx: &mut TenantTx,
        asked: &Stretches,
        first: Option<usize>,
        mut each: impl FnMut(&Found<'_>) -> Option<Timestamp>,
    ) -> Result<(), Problem> {
        let mut enough = None;
        let mut row = |found: &Found<'_>| enough = each(found);
        self.rows(tx, asked, first, &mut row).await?;
        // By time: a page is whole long before the last chunk.
        let candidates = self.candidates(tx, asked).await?;
        for some in candidates.chunks(CHUNKS_AT_ONCE) {
            let wanted = |one: &&Candidate| enough.is_none_or(|enough| one.first_at <= enough);
            let some: Vec<&Candidate> = some.iter().filter(wanted).collect();
            if some.is_empty() {
                break;
            }
            let bodies = bodies(tx, &some).await?;
            for candidate in some {
                let Some(body) = bodies.get(&candidate.id) else { continue };
                let mut each = |found: &Found<'_>| enough = each(found);
                self.unpack(candidate, body, &mut each)?;
            }
        }
        Ok(())
    }

    async fn rows(
        &mut self,
        tx: &mut TenantTx,
        asked: &Stretches,
        first: Option<usize>,
        each: &mut impl FnMut(&Found<'_>),
    ) -> Result<(), Problem> {
        let limit = first.and_then(|limit| i64::try_from(limit).ok());
        let rows = sqlx::query!(
            r#"SELECT w.slot AS "slot!", m.slug, e.source, e.event_id, e.occurred_at, e.quantity,
                   e.member, e.dimension, e.received_at, e.generation, e.epoch, e.number, e.void_in AS "void_in?"
               FROM unnest($3::integer[], $4::integer[], $5::timestamptz[], $6::timestamptz[])
                   AS w (slot, meter_id, lower, upper)
               JOIN meters m ON m.id = w.meter_id
               CROSS JOIN LATERAL (
                   SELECT e.*, v.generation AS void_in FROM usage_events e
                   LEFT JOIN usage_voids v ON v.tenant_id = $1 AND v.key = e.key AND v.generation <= $7
                   WHERE e.tenant_id = $1 AND e.subscription_id = $2 AND e.meter_id = w.meter_id
                       AND e.occurred_at >= w.lower AND e.occurred_at < w.upper
                       AND e.generation <= $7 AND ($9 OR v.key IS NULL)
                   ORDER BY e.occurred_at
                   FETCH FIRST $8 ROWS WITH TIES) e"#,
            self.tenant.uuid(),
            self.subscription,
            &asked.slots,
            &asked.meters,
            &asked.lower as &[jiff_sqlx::Timestamp],
            &asked.upper as &[jiff_sqlx::Timestamp],
            self.cutoff,
            limit.unwrap_or(i64::MAX),
            self.tells_voided,
        )
        .fetch_all(&mut **tx)
        .await?;
        for row in rows {
            let record = Record {
                meter: &row.slug,
                time: row.occurred_at.to_jiff(),
                quantity: row.quantity,
                member: row.member.as_deref(),
                dimension: &row.dimension,
                source: &row.source,
                id: &row.event_id,
                sequence: row.epoch.zip(row.number),
                payload: 0,
            };
            let received_at = row.received_at.to_jiff();
            let (generation, void_in) = (row.generation, row.void_in);
            each(&Found { slot: row.slot, record: &record, received_at, generation, void_in });
        }
        Ok(())
    }

    async fn candidates(
        &self,
        tx: &mut TenantTx,
        asked: &Stretches,
    ) -> Result<Vec<Candidate>, Problem> {
        let rows = sqlx::query!(
            r#"SELECT w.slot AS "slot!", m.slug, w.lower AS "lower!", w.upper AS "upper!", c.id,
                   c.first_at, c.received_at, c.generation
               FROM unnest($3::integer[], $4::integer[], $5::timestamptz[], $6::timestamptz[])
                   AS w (slot, meter_id, lower, upper)
               JOIN meters m ON m.id = w.meter_id
               JOIN usage_chunks c ON c.tenant_id = $1 AND c.subscription_id = $2
                   AND c.last_at >= w.lower AND c.first_at < w.upper AND m.slug = ANY (c.meters)
               WHERE c.generation <= $7 ORDER BY c.first_at"#,
            self.tenant.uuid(),
            self.subscription,
            &asked.slots,
            &asked.meters,
            &asked.lower as &[jiff_sqlx::Timestamp],
            &asked.upper as &[jiff_sqlx::Timestamp],
            self.cutoff,
        )
        .fetch_all(&mut **tx)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| Candidate {
                slot: row.slot,
                slug: row.slug,
                lower: row.lower.to_jiff(),
                upper: row.upper.to_jiff(),
                first_at: row.first_at.to_jiff(),
                id: row.id,
                received_at: row.received_at.to_jiff(),
                generation: row.generation,
            })
            .collect())
    }

    fn unpack(
        &mut self,
        candidate: &Candidate,
        body: &[u8],
        each: &mut impl FnMut(&Found<'_>),
    ) -> Result<(), Problem> {
        let unpacked = Unpacked::new(body).map_err(Problem::internal)?;
        let read = unpacked.records(|record| {
            let inside = record.time >= candidate.lower && record.time < candidate.upper;
            if record.meter != candidate.slug || !inside {
                return;
            }
            let void_in = self.void_in(record);
            if void_in.is_none() || self.tells_voided {
                let Candidate { slot, received_at, generation, .. } = *candidate;
                each(&Found { slot, record, received_at, generation, void_in });
            }
        });
        read.map_err(Problem::internal)
    }

    fn void_in(&mut self, record: &Record<'_>) -> Option<i32> {
        // Names are only worth their hash when something was taken back at all.
        if self.voids.is_empty() {
            return None;
        }
        self.voids.get(&name(&mut self.buffer, self.tenant, record)).copied()
    }
}

/// What names an event.
pub(super) fn name(buffer: &mut Vec<u8>, tenant: TenantId, record: &Record<'_>) -> Uuid {
    match record.sequence {
        Some((epoch, number)) => name_of_number(buffer, tenant, record.source, epoch, number),
        None => name_of_id(buffer, tenant, record.source, record.id),
    }
}

async fn bodies(
    tx: &mut TenantTx,
    candidates: &[&Candidate],
) -> Result<BTreeMap<Uuid, Vec<u8>>, Problem> {
    let tenant = tx.tenant().uuid();
    let ids: Vec<Uuid> = candidates.iter().map(|one| one.id).collect();
    let arrived: Vec<jiff_sqlx::Timestamp> =
        candidates.iter().map(|one| one.received_at.to_sqlx()).collect();
    let rows = sqlx::query!(
        "SELECT c.id, c.body FROM unnest($2::timestamptz[], $3::uuid[]) AS w (received_at, id)
         JOIN usage_chunks c ON c.tenant_id = $1 AND c.received_at = w.received_at AND c.id = w.id",
        tenant,
        &arrived as &[jiff_sqlx::Timestamp],
        &ids
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.body)).collect())
}
