//! SQL of totals: stretches of time, summed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use rust_decimal::Decimal;
use tenure_core::SubscriptionId;
use tenure_tenancy::TenantTx;

use super::{db::whole, raw::Edges, store::Rollup};
use crate::http::Problem;

/// Stretches of time of meters, as columns: each belongs to a slot.
#[derive(Default)]
pub(super) struct Stretches {
    pub(super) slots: Vec<i32>,
    pub(super) meters: Vec<i32>,
    pub(super) lower: Vec<jiff_sqlx::Timestamp>,
    pub(super) upper: Vec<jiff_sqlx::Timestamp>,
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

    /// With the meter as the slot.
    pub(super) fn push_meter(&mut self, meter: i32, lower: Timestamp, upper: Timestamp) {
        self.push(usize::try_from(meter).unwrap_or_default(), meter, lower, upper);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

/// Totals of whole buckets up to a generation, by slot.
pub(super) async fn of_rollups(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    stretches: &Stretches,
    cutoff: i32,
) -> Result<Vec<(i32, Rollup)>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        r#"SELECT w.slot AS "slot!", t.events::bigint AS "events!", t.sum AS "sum!", t.max AS "max!",
               t.min AS "min!", t.last AS "last!", t.last_at AS "last_at!",
               t.digest_hi AS "digest_hi!", t.digest_lo AS "digest_lo!"
           FROM unnest($3::integer[], $4::integer[], $5::timestamptz[], $6::timestamptz[])
               AS w (slot, meter_id, lower, upper)
           CROSS JOIN LATERAL (
               SELECT sum(r.events) AS events, sum(r.sum) AS sum, max(r.max) AS max, min(r.min) AS min,
                   (array_agg(r.last ORDER BY r.last_at DESC, r.last DESC))[1] AS last,
                   max(r.last_at) AS last_at,
                   bit_xor(r.digest_hi) AS digest_hi, bit_xor(r.digest_lo) AS digest_lo
               FROM usage_rollups r
               WHERE r.tenant_id = $1 AND r.subscription_id = $2 AND r.meter_id = w.meter_id
                   AND r.bucket >= w.lower AND r.bucket < w.upper AND r.generation <= $7
                   AND (r.replaced_in IS NULL OR r.replaced_in > $7) AND r.events > 0) t
           WHERE t.events IS NOT NULL"#,
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
    Ok(rows
        .into_iter()
        .map(|row| {
            let rollup = Rollup {
                events: row.events,
                sum: row.sum,
                max: row.max,
                min: row.min,
                last: row.last,
                last_at: row.last_at.to_jiff(),
                digest: whole(row.digest_hi, row.digest_lo),
            };
            (row.slot, rollup)
        })
        .collect())
}

/// How many different members each slot has: those of whole buckets, and those
/// of single events.
pub(super) async fn unique(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    buckets: &Stretches,
    edges: &Edges,
    cutoff: i32,
) -> Result<BTreeMap<i32, i64>, Problem> {
    let tenant = tx.tenant().uuid();
    let slots: Vec<i32> = edges.members.iter().map(|(slot, _)| *slot).collect();
    let members: Vec<&str> = edges.members.iter().map(|(_, member)| &**member).collect();
    let rows = sqlx::query!(
        r#"SELECT slot AS "slot!", count(DISTINCT member) AS "members!"
           FROM (
               SELECT w.slot, m.member
               FROM unnest($3::integer[], $4::integer[], $5::timestamptz[], $6::timestamptz[])
                   AS w (slot, meter_id, lower, upper)
               JOIN usage_members m ON m.tenant_id = $1 AND m.subscription_id = $2
                   AND m.meter_id = w.meter_id AND m.bucket >= w.lower AND m.bucket < w.upper
               WHERE m.generation <= $7 AND (m.replaced_in IS NULL OR m.replaced_in > $7)
               UNION ALL
               SELECT * FROM unnest($8::integer[], $9::text[])) AS counted (slot, member)
           GROUP BY slot"#,
        tenant,
        subscription.uuid(),
        &buckets.slots,
        &buckets.meters,
        &buckets.lower as &[jiff_sqlx::Timestamp],
        &buckets.upper as &[jiff_sqlx::Timestamp],
        cutoff,
        &slots,
        &members as &[&str],
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
    cutoff: i32,
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
                            AND e.generation <= $8
                            AND NOT EXISTS (SELECT FROM usage_voids v WHERE v.tenant_id = $1
                                AND v.key = e.key AND v.generation <= $8)
                        ORDER BY e.occurred_at DESC, e.quantity DESC LIMIT 1)
                       UNION ALL
                       SELECT e.occurred_at, e.quantity, false
                       FROM usage_events e
                       WHERE e.tenant_id = $1 AND e.subscription_id = $2 AND e.meter_id = w.meter_id
                           AND e.occurred_at >= w.lower AND e.occurred_at < w.upper
                           AND e.generation <= $8
                            AND NOT EXISTS (SELECT FROM usage_voids v WHERE v.tenant_id = $1
                                AND v.key = e.key AND v.generation <= $8)) v) p) t
           WHERE t.stood IS NOT NULL"#,
        tenant,
        subscription.uuid(),
        &stretches.slots,
        &stretches.meters,
        &stretches.lower as &[jiff_sqlx::Timestamp],
        &stretches.upper as &[jiff_sqlx::Timestamp],
        divisors,
        cutoff,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.slot, row.average)).collect())
}
