//! Totals over time, told apart by a dimension.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tenure_api::usage::{SeriesPoint, SeriesTotal, UsageSeries};
use tenure_catalog::{Aggregation, Meter};
use tenure_core::{Period, SubscriptionId, TenantId, period::calendar_day};
use tenure_tenancy::TenantTx;
use utoipa::{IntoParams, ToSchema};

use super::{
    dimensions::{self, Sums},
    summary::Calendar,
    totals::Stretches,
    windows::{Asked, windows},
};
use crate::{
    App,
    http::Problem,
    subscriptions::entitlements::{Situation, situation},
};

/// Points of one series at most.
const POINTS_MAX: usize = 1_000;
/// Totals of one answer at most.
const TOTALS_MAX: i64 = 20_000;
/// Days of a series when the caller does not say.
const DAYS_DEFAULT: i64 = 30;
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Which totals.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SeriesQuery {
    /// The meter's id.
    #[param(example = "events")]
    pub meter: String,
    /// One of the meter's dimensions; all together when absent.
    #[param(example = "region")]
    pub by: Option<String>,
    /// From the day or hour that holds this moment; 30 days before `to` when absent.
    pub from: Option<Timestamp>,
    /// Up to this moment; now when absent.
    pub to: Option<Timestamp>,
    /// `day` when absent.
    #[param(inline)]
    pub every: Option<Every>,
}

/// How long each point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Every {
    /// A calendar day in the tenant's zone.
    Day,
    /// An hour.
    Hour,
}

/// Totals of a meter over time.
pub(super) async fn series(
    app: &App,
    tenant: TenantId,
    subscription: SubscriptionId,
    query: &SeriesQuery,
) -> Result<UsageSeries, Problem> {
    let now = app.now();
    let situation = situation(app, tenant, subscription).await?;
    let meter = chosen(&situation, query)?;
    let every = query.every.unwrap_or(Every::Day);
    let to = query.to.unwrap_or(now);
    let from = match query.from {
        Some(from) => from,
        None => to - SignedDuration::from_hours(24 * DAYS_DEFAULT),
    };
    let calendar = Calendar::of(&situation, now)?;
    let points = points(&calendar, every, from, to)?;
    let mut tx = app.db().tenant(tenant).await?;
    let totals = match &query.by {
        Some(by) => apart(&mut tx, &situation, meter, &points, by).await?,
        None => together(&mut tx, &situation, meter, &points, now).await?,
    };
    tx.commit().await?;
    let point = |(period, totals): (&Period, Vec<SeriesTotal>)| SeriesPoint {
        start: period.start,
        end: period.end,
        totals,
    };
    Ok(UsageSeries {
        meter: meter.id.clone(),
        unit: meter.unit.clone(),
        by: query.by.clone(),
        time_zone: situation.terms.zone.clone(),
        points: points.iter().zip(totals).map(point).collect(),
    })
}

fn chosen<'s>(situation: &'s Situation, query: &SeriesQuery) -> Result<&'s Meter, Problem> {
    let meter = situation.catalog.meter(&query.meter)?;
    if let Some(by) = &query.by {
        dimensions::check(meter, by)?;
    }
    Ok(meter)
}

fn points(
    calendar: &Calendar,
    every: Every,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<Period>, Problem> {
    let mut points = Vec::new();
    let mut at = from;
    while at < to {
        if points.len() == POINTS_MAX {
            let detail = format!("At most {POINTS_MAX} days or hours at once.");
            return Err(Problem::field("/from", detail));
        }
        let period = match every {
            Every::Day => calendar_day(at, &calendar.zone).map_err(Problem::internal)?,
            Every::Hour => hour(at)?,
        };
        at = period.end;
        points.push(period);
    }
    Ok(points)
}

fn hour(at: Timestamp) -> Result<Period, Problem> {
    let second = at.as_second();
    let start = Timestamp::from_second(second - second.rem_euclid(HOUR.as_secs()));
    let start = start.map_err(Problem::internal)?;
    Ok(Period { start, end: start.checked_add(HOUR).map_err(Problem::internal)? })
}

async fn together(
    tx: &mut TenantTx,
    situation: &Situation,
    meter: &Meter,
    points: &[Period],
    now: Timestamp,
) -> Result<Vec<Vec<SeriesTotal>>, Problem> {
    let asked = [Asked { meter, windows: points.to_vec() }];
    let totals = windows(tx, situation.metered(), &asked, now, None).await?;
    let one = |total: super::windows::Total| {
        vec![SeriesTotal { value: None, quantity: total.quantity, events: total.events }]
    };
    Ok(totals.into_iter().flatten().map(one).collect())
}

/// Days and hours begin with a quarter of an hour: rollups are enough.
async fn apart(
    tx: &mut TenantTx,
    situation: &Situation,
    meter: &Meter,
    points: &[Period],
    by: &str,
) -> Result<Vec<Vec<SeriesTotal>>, Problem> {
    let id = situation.meter_id(&meter.id)?;
    let mut asked = Stretches::default();
    for (slot, point) in points.iter().enumerate() {
        asked.push(slot, id, point.start, point.end);
    }
    let subscription = situation.subscription.id;
    let members = match meter.aggregation {
        Aggregation::Unique { .. } => members(tx, subscription, &asked, by).await?,
        _ => BTreeMap::new(),
    };
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        r#"SELECT w.slot AS "slot!", d.value, sum(r.events)::bigint AS "events!", sum(r.sum) AS "sum!",
               max(r.max) AS "max!",
               (array_agg(r.last ORDER BY r.last_at DESC, r.last DESC))[1] AS "last!"
           FROM unnest($3::integer[], $4::integer[], $5::timestamptz[], $6::timestamptz[])
               AS w (slot, meter_id, lower, upper)
           JOIN usage_rollups r ON r.tenant_id = $1 AND r.subscription_id = $2
               AND r.meter_id = w.meter_id AND r.bucket >= w.lower AND r.bucket < w.upper
           CROSS JOIN LATERAL (SELECT CASE WHEN r.dimension <> ''
               THEN r.dimension::jsonb ->> $7 END AS value) d
           WHERE r.replaced_in IS NULL AND r.events > 0
           GROUP BY 1, 2 ORDER BY 1, 2 NULLS LAST LIMIT $8"#,
        tenant,
        subscription.uuid(),
        &asked.slots,
        &asked.meters,
        &asked.lower as &[jiff_sqlx::Timestamp],
        &asked.upper as &[jiff_sqlx::Timestamp],
        by,
        TOTALS_MAX + 1
    )
    .fetch_all(&mut **tx)
    .await?;
    if rows.len() as i64 > TOTALS_MAX {
        let detail = format!("These are more than {TOTALS_MAX} totals; ask for a shorter time.");
        return Err(Problem::too_large(detail));
    }
    let mut totals = vec![Vec::new(); points.len()];
    for row in rows {
        let place = (row.slot, row.value);
        let sums = Sums { events: row.events, sum: row.sum, max: row.max, last: row.last };
        let quantity = sums.quantity(meter, members.get(&place).copied().unwrap_or_default());
        let total = SeriesTotal { value: place.1, quantity, events: row.events };
        if let Some(into) = usize::try_from(row.slot).ok().and_then(|slot| totals.get_mut(slot)) {
            into.push(total);
        }
    }
    Ok(totals)
}

/// How many different members each point has, by the value of the dimension.
async fn members(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    asked: &Stretches,
    by: &str,
) -> Result<BTreeMap<(i32, Option<String>), i64>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        r#"SELECT w.slot AS "slot!", d.value, count(DISTINCT m.member) AS "members!"
           FROM unnest($3::integer[], $4::integer[], $5::timestamptz[], $6::timestamptz[])
               AS w (slot, meter_id, lower, upper)
           JOIN usage_members m ON m.tenant_id = $1 AND m.subscription_id = $2
               AND m.meter_id = w.meter_id AND m.bucket >= w.lower AND m.bucket < w.upper
           CROSS JOIN LATERAL (SELECT CASE WHEN m.dimension <> ''
               THEN m.dimension::jsonb ->> $7 END AS value) d
           WHERE m.replaced_in IS NULL
           GROUP BY 1, 2"#,
        tenant,
        subscription.uuid(),
        &asked.slots,
        &asked.meters,
        &asked.lower as &[jiff_sqlx::Timestamp],
        &asked.upper as &[jiff_sqlx::Timestamp],
        by
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| ((row.slot, row.value), row.members)).collect())
}
