//! Totals of a meter by a dimension, where there may be any number of values: the
//! largest few, and all others together.
//!
//! Reads rollups, so a stretch counts from the first quarter of an hour that begins
//! inside it. The others are one: their highest value, their latest value, their
//! different members, not a sum of sums that cannot be added.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use tenure_catalog::{Aggregation, Meter};
use tenure_core::{Period, SubscriptionId};
use tenure_tenancy::TenantTx;

use super::{
    totals::Stretches,
    windows::{Metered, in_units},
};
use crate::http::Problem;

/// Values told by name at most.
pub(crate) const VALUES_MAX: i64 = 8;

/// A total.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) quantity: Decimal,
    pub(crate) events: i64,
}

/// Totals of stretches, by value.
pub(crate) struct Breakdown {
    /// The largest first; `None`: events that did not name one.
    pub(crate) values: Vec<Option<String>>,
    /// How many more values there are.
    pub(crate) others: i64,
    /// A row a stretch, in the order asked; a cell a value, and one for the others.
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// Checks that `meter` can be told apart by `by`.
pub(crate) fn check(meter: &Meter, by: &str) -> Result<(), Problem> {
    if !meter.dimensions.iter().any(|dimension| dimension == by) {
        let detail = match meter.dimensions.as_slice() {
            [] => format!("The meter `{}` has no dimensions.", meter.id),
            some => format!("The dimensions of `{}` are: {}.", meter.id, some.join(", ")),
        };
        return Err(Problem::field("/by", detail));
    }
    if matches!(meter.aggregation, Aggregation::TimeWeighted { .. }) {
        let detail = "What is weighted by time cannot be told apart; ask for the total.";
        return Err(Problem::field("/by", detail));
    }
    Ok(())
}

/// Totals of `stretches` up to a generation; the values are the largest of `whole`.
pub(crate) async fn breakdown(
    tx: &mut TenantTx,
    of: Metered<'_>,
    (meter, by): (&Meter, &str),
    (whole, stretches): (Period, &[Period]),
    cutoff: i32,
) -> Result<Breakdown, Problem> {
    let id = of.catalog.meter_id(&meter.id)?;
    let subscription = of.subscription;
    let mut asked = Stretches::default();
    asked.push(0, id, whole.start, whole.end);
    let (values, count) = largest(tx, subscription, meter, &asked, by, cutoff).await?;
    let mut asked = Stretches::default();
    for (slot, stretch) in stretches.iter().enumerate() {
        asked.push(slot, id, stretch.start, stretch.end);
    }
    let width = values.len() + 1;
    let mut rows = vec![vec![Cell::default(); width]; stretches.len()];
    let members = match meter.aggregation {
        Aggregation::Unique { .. } => {
            members(tx, subscription, &asked, (by, &values), cutoff).await?
        }
        _ => BTreeMap::new(),
    };
    for found in totals(tx, subscription, &asked, (by, &values), cutoff).await? {
        let members = members.get(&(found.slot, found.place)).copied().unwrap_or_default();
        let sums = Sums { events: found.events, sum: found.sum, max: found.max, last: found.last };
        let cell = Cell { quantity: sums.quantity(meter, members), events: found.events };
        // Place 0 is that of the others, who stand last.
        let place = usize::try_from(found.place).ok().and_then(|place| place.checked_sub(1));
        let row = usize::try_from(found.slot).ok().and_then(|slot| rows.get_mut(slot));
        if let Some(into) = row.and_then(|row| row.get_mut(place.unwrap_or(width - 1))) {
            *into = cell;
        }
    }
    let others = (count - VALUES_MAX).max(0);
    Ok(Breakdown { values, others, rows })
}

/// What rollups of one value of a dimension add up to.
pub(super) struct Sums {
    pub(super) events: i64,
    pub(super) sum: Decimal,
    pub(super) max: Decimal,
    pub(super) last: Decimal,
}

impl Sums {
    /// By the meter's aggregation, in its unit; of a level the last one, because by dimension it is
    /// not weighted. `members` is how many different ones a `unique` meter saw.
    pub(super) fn quantity(&self, meter: &Meter, members: i64) -> Decimal {
        let raw = match meter.aggregation {
            Aggregation::Count => Decimal::from(self.events),
            Aggregation::Sum { .. } => self.sum,
            Aggregation::Max { .. } => self.max,
            Aggregation::Last { .. } | Aggregation::TimeWeighted { .. } => self.last,
            Aggregation::Unique { .. } => members.into(),
        };
        in_units(meter, raw).normalize()
    }
}

/// The values with the most usage, and how many there are.
async fn largest(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    meter: &Meter,
    asked: &Stretches,
    by: &str,
    cutoff: i32,
) -> Result<(Vec<Option<String>>, i64), Problem> {
    let tenant = tx.tenant().uuid();
    let by_sum = matches!(meter.aggregation, Aggregation::Sum { .. });
    let rows = sqlx::query!(
        r#"SELECT d.value, count(*) OVER () AS "count!"
           FROM unnest($3::integer[], $4::timestamptz[], $5::timestamptz[]) AS w (meter_id, lower, upper)
           JOIN usage_rollups r ON r.tenant_id = $1 AND r.subscription_id = $2
               AND r.meter_id = w.meter_id AND r.bucket >= w.lower AND r.bucket < w.upper
           CROSS JOIN LATERAL (SELECT CASE WHEN r.dimension <> ''
               THEN r.dimension::jsonb ->> $6 END AS value) d
           WHERE r.generation <= $7 AND (r.replaced_in IS NULL OR r.replaced_in > $7) AND r.events > 0
           GROUP BY d.value
           ORDER BY CASE WHEN $8 THEN sum(r.sum) ELSE sum(r.events) END DESC, d.value LIMIT $9"#,
        tenant,
        subscription.uuid(),
        &asked.meters,
        &asked.lower as &[jiff_sqlx::Timestamp],
        &asked.upper as &[jiff_sqlx::Timestamp],
        by,
        cutoff,
        by_sum,
        VALUES_MAX
    )
    .fetch_all(&mut **tx)
    .await?;
    let count = rows.first().map_or(0, |row| row.count);
    Ok((rows.into_iter().map(|row| row.value).collect(), count))
}

struct Found {
    slot: i32,
    /// From 1 on; 0: another value.
    place: i32,
    events: i64,
    sum: Decimal,
    max: Decimal,
    last: Decimal,
}

async fn totals(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    asked: &Stretches,
    (by, values): (&str, &[Option<String>]),
    cutoff: i32,
) -> Result<Vec<Found>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query_as!(
        Found,
        r#"SELECT w.slot AS "slot!", p.place AS "place!", sum(r.events)::bigint AS "events!",
               sum(r.sum) AS "sum!", max(r.max) AS "max!",
               (array_agg(r.last ORDER BY r.last_at DESC, r.last DESC))[1] AS "last!"
           FROM unnest($3::integer[], $4::integer[], $5::timestamptz[], $6::timestamptz[])
               AS w (slot, meter_id, lower, upper)
           JOIN usage_rollups r ON r.tenant_id = $1 AND r.subscription_id = $2
               AND r.meter_id = w.meter_id AND r.bucket >= w.lower AND r.bucket < w.upper
           CROSS JOIN LATERAL (SELECT coalesce(array_position($8::text[], CASE WHEN r.dimension <> ''
               THEN r.dimension::jsonb ->> $7 END), 0) AS place) p
           WHERE r.generation <= $9 AND (r.replaced_in IS NULL OR r.replaced_in > $9) AND r.events > 0
           GROUP BY 1, 2"#,
        tenant,
        subscription.uuid(),
        &asked.slots,
        &asked.meters,
        &asked.lower as &[jiff_sqlx::Timestamp],
        &asked.upper as &[jiff_sqlx::Timestamp],
        by,
        values as &[Option<String>],
        cutoff
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows)
}

/// How many different members each stretch and place has.
async fn members(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    asked: &Stretches,
    (by, values): (&str, &[Option<String>]),
    cutoff: i32,
) -> Result<BTreeMap<(i32, i32), i64>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        r#"SELECT w.slot AS "slot!", p.place AS "place!", count(DISTINCT m.member) AS "members!"
           FROM unnest($3::integer[], $4::integer[], $5::timestamptz[], $6::timestamptz[])
               AS w (slot, meter_id, lower, upper)
           JOIN usage_members m ON m.tenant_id = $1 AND m.subscription_id = $2
               AND m.meter_id = w.meter_id AND m.bucket >= w.lower AND m.bucket < w.upper
           CROSS JOIN LATERAL (SELECT coalesce(array_position($8::text[], CASE WHEN m.dimension <> ''
               THEN m.dimension::jsonb ->> $7 END), 0) AS place) p
           WHERE m.generation <= $9 AND (m.replaced_in IS NULL OR m.replaced_in > $9)
           GROUP BY 1, 2"#,
        tenant,
        subscription.uuid(),
        &asked.slots,
        &asked.meters,
        &asked.lower as &[jiff_sqlx::Timestamp],
        &asked.upper as &[jiff_sqlx::Timestamp],
        by,
        values as &[Option<String>],
        cutoff
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| ((row.slot, row.place), row.members)).collect())
}
