//! Single events of a meter, as they were recorded: what explains a total, is
//! exported as evidence, and lets rollups be made again.
//!
//! Owns: the one reader of raw events. Whatever needs a single event reads it
//! here, so that nobody else knows how they are kept.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use rust_decimal::Decimal;
use tenure_api::evidence::Counted;
use tenure_core::{Period, SubscriptionId};
use tenure_tenancy::TenantTx;

use super::{batch::Rollup, totals::Stretches};
use crate::http::Problem;

/// Events of one page at most.
pub(crate) const PAGE_MAX: usize = 10_000;

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
    /// Epoch and number of a producer that numbers its events.
    pub(crate) sequence: Option<(i64, i64)>,
    /// See [`Counted::hash`].
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
}

/// Events of a meter within `period`, recorded up to the generation `cutoff`
/// (`None`: all), by (time, hash): the first `limit` after the cursor.
#[allow(dead_code, reason = "explaining and exporting invoices read it")]
pub(crate) async fn read(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    meter: i32,
    period: Period,
    cutoff: Option<i32>,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Vec<RawEvent>, Problem> {
    let tenant = tx.tenant().uuid();
    let limit = limit.min(PAGE_MAX);
    let from = after.map_or(period.start, |after| after.time.max(period.start));
    // Those at the cursor's moment come again: with ties, `limit` more are enough.
    let rows = sqlx::query!(
        r#"SELECT m.slug, e.source, e.event_id, e.occurred_at, e.quantity, e.member, e.received_at,
               e.generation
           FROM usage_events e JOIN meters m ON m.id = e.meter_id
           WHERE e.tenant_id = $1 AND e.subscription_id = $2 AND e.meter_id = $3
               AND e.occurred_at >= $4 AND e.occurred_at < $5 AND e.generation <= $6
               AND e.occurred_at <= coalesce((
                   SELECT t.occurred_at FROM usage_events t
                   WHERE t.tenant_id = $1 AND t.subscription_id = $2 AND t.meter_id = $3
                       AND t.occurred_at > $4 AND t.occurred_at < $5 AND t.generation <= $6
                   ORDER BY t.occurred_at OFFSET $7 LIMIT 1), $5)"#,
        tenant,
        subscription.uuid(),
        meter,
        from.to_sqlx() as jiff_sqlx::Timestamp,
        period.end.to_sqlx() as jiff_sqlx::Timestamp,
        cutoff.unwrap_or(i32::MAX),
        i64::try_from(limit).unwrap_or(i64::MAX),
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut found: Vec<RawEvent> = rows
        .into_iter()
        .map(|row| {
            let time = row.occurred_at.to_jiff();
            let hash = Counted {
                source: &row.source,
                id: &row.event_id,
                meter: &row.slug,
                time,
                quantity: row.quantity,
                member: row.member.as_deref(),
            }
            .hash();
            RawEvent {
                source: row.source,
                id: row.event_id,
                time,
                quantity: row.quantity.normalize(),
                member: row.member,
                dimensions: BTreeMap::new(),
                received_at: row.received_at.to_jiff(),
                generation: row.generation,
                sequence: None,
                hash,
            }
        })
        .filter(|event| after.is_none_or(|after| event.cursor() > after))
        .collect();
    found.sort_unstable_by_key(RawEvent::cursor);
    found.truncate(limit);
    Ok(found)
}

/// Totals of single events up to a generation, for the parts of windows that
/// are no whole bucket; by slot, a slot more than once.
pub(super) async fn totals(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    stretches: &Stretches,
    cutoff: i32,
) -> Result<Vec<(i32, Rollup)>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        r#"SELECT w.slot AS "slot!", m.slug, e.source, e.event_id, e.occurred_at, e.quantity, e.member
           FROM unnest($3::integer[], $4::integer[], $5::timestamptz[], $6::timestamptz[])
               AS w (slot, meter_id, lower, upper)
           JOIN meters m ON m.id = w.meter_id
           JOIN usage_events e ON e.tenant_id = $1 AND e.subscription_id = $2
               AND e.meter_id = w.meter_id AND e.occurred_at >= w.lower AND e.occurred_at < w.upper
           WHERE e.generation <= $7"#,
        tenant,
        subscription.uuid(),
        &stretches.slots,
        &stretches.meters,
        &stretches.lower as &[jiff_sqlx::Timestamp],
        &stretches.upper as &[jiff_sqlx::Timestamp],
        cutoff,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut totals: BTreeMap<i32, Rollup> = BTreeMap::new();
    let mut buffer = Vec::new();
    for row in rows {
        let time = row.occurred_at.to_jiff();
        let counted = Counted {
            source: &row.source,
            id: &row.event_id,
            meter: &row.slug,
            time,
            quantity: row.quantity,
            member: row.member.as_deref(),
        };
        let hash = u128::from_be_bytes(counted.hash_with(&mut buffer));
        let one = Rollup::of(row.quantity, time, hash);
        totals.entry(row.slot).and_modify(|all| all.join(&one)).or_insert(one);
    }
    Ok(totals.into_iter().collect())
}
