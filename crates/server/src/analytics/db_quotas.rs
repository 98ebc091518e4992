//! SQL of quota use: counters against the limits of plans. The limits come in as
//! columns, so that the database divides and only sums come back.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use rust_decimal::Decimal;
use tenure_catalog::Per;
use tenure_core::{CatalogVersionId, ProductId, SubscriptionId, TenantId};
use tenure_tenancy::VendorTx;
use uuid::Uuid;

use crate::http::Problem;

/// Limits of plans, as columns.
#[derive(Default)]
pub(super) struct Limits {
    versions: Vec<Uuid>,
    plans: Vec<String>,
    meters: Vec<i32>,
    names: Vec<String>,
    /// In the unit of the meter's events.
    pub(super) raw: Vec<Decimal>,
    /// Whether it is counted a billing period; those of a year end too seldom.
    periods: Vec<bool>,
    /// Add-ons that raise a limit.
    pub(super) raisers: Vec<String>,
}

impl Limits {
    pub(super) fn push(
        &mut self,
        version: CatalogVersionId,
        plan: &str,
        (number, meter): (i32, &str),
        raw: Decimal,
        per: Per,
    ) {
        self.versions.push(version.uuid());
        self.plans.push(plan.to_owned());
        self.meters.push(number);
        self.names.push(meter.to_owned());
        self.raw.push(raw);
        self.periods.push(per == Per::Period);
    }
}

/// Versions and plans that paying subscriptions are on.
pub(super) async fn plans_in_use(
    tx: &mut VendorTx,
    product: Option<ProductId>,
    limit: i64,
) -> Result<Vec<(CatalogVersionId, String)>, Problem> {
    let rows = sqlx::query!(
        r#"SELECT catalog_version_id AS "version: CatalogVersionId", plan FROM subscriptions
           WHERE status IN ('active', 'past_due') AND ($1::uuid IS NULL OR product_id = $1)
           GROUP BY 1, 2 ORDER BY count(*) DESC, 1, 2 LIMIT $2"#,
        product.map(ProductId::uuid),
        limit
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.version, row.plan)).collect())
}

/// How many subscriptions of a limit are in a step.
pub(super) struct Row {
    /// From 1 on.
    pub(super) quota: i64,
    /// 0: nothing used; 1 to 5: below 20, 50, 80, 100 per cent, and past it.
    pub(super) step: i32,
    pub(super) count: i64,
}

/// Subscriptions that were there for all of the time, by limit and step.
pub(super) async fn distribution(
    tx: &mut VendorTx,
    limits: &Limits,
    from: Timestamp,
    now: Timestamp,
) -> Result<Vec<Row>, Problem> {
    let rows = sqlx::query_as!(
        Row,
        r#"WITH quota AS (
               SELECT * FROM unnest($1::uuid[], $2::text[], $3::integer[], $4::text[], $5::numeric[], $6::boolean[])
                   WITH ORDINALITY AS q (version, plan, meter_id, meter, raw, period, n)),
           peak AS (
               SELECT tenant_id, subscription_id, meter_id, max(used) AS used FROM quota_counters
               WHERE environment = 'live' AND window_end > $7 AND window_end <= $8 GROUP BY 1, 2, 3)
           SELECT q.n AS "quota!", CASE WHEN coalesce(p.used, 0) <= 0 THEN 0
                   ELSE 1 + width_bucket(p.used / q.raw, ARRAY[0.2, 0.5, 0.8, 1.0]) END AS "step!",
               count(*) AS "count!"
           FROM subscriptions s
           JOIN tenants t ON t.id = s.tenant_id AND t.status = 'active'
           JOIN quota q ON q.version = s.catalog_version_id AND q.plan = s.plan
               AND (NOT q.period OR s.interval = 'month')
           LEFT JOIN peak p ON p.tenant_id = s.tenant_id AND p.subscription_id = s.id AND p.meter_id = q.meter_id
           WHERE s.status IN ('active', 'past_due') AND s.anchor <= $7
             AND NOT EXISTS (SELECT FROM contracts c WHERE c.tenant_id = s.tenant_id AND c.subscription_id = s.id
                 AND c.valid_from <= $8 AND (c.valid_to IS NULL OR c.valid_to > $7)
                 AND jsonb_path_exists(c.terms, '$.limits[*] ? (@.limit == $meter)',
                     jsonb_build_object('meter', q.meter)))
             AND NOT EXISTS (SELECT FROM subscription_items i WHERE i.tenant_id = s.tenant_id
                 AND i.subscription_id = s.id AND i.charge = ANY($9))
           GROUP BY 1, 2"#,
        &limits.versions,
        &limits.plans,
        &limits.meters,
        &limits.names,
        &limits.raw,
        &limits.periods,
        from.to_sqlx(),
        now.to_sqlx(),
        &limits.raisers
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows)
}

/// A subscription's use of a limit.
pub(super) struct Listed {
    pub(super) quota: i64,
    pub(super) tenant: TenantId,
    pub(super) slug: String,
    pub(super) name: String,
    pub(super) subscription: SubscriptionId,
    pub(super) used: Decimal,
    pub(super) percent: i64,
}

/// Subscriptions by the fullest of their quotas: the fullest from 80 per cent on, or the emptiest
/// below 20 that use something.
pub(super) async fn listed(
    tx: &mut VendorTx,
    limits: &Limits,
    (from, now): (Timestamp, Timestamp),
    close: bool,
    limit: i64,
) -> Result<Vec<Listed>, Problem> {
    let rows = sqlx::query_as!(
        Listed,
        r#"WITH quota AS (
               SELECT * FROM unnest($1::uuid[], $2::text[], $3::integer[], $4::text[], $5::numeric[], $6::boolean[])
                   WITH ORDINALITY AS q (version, plan, meter_id, meter, raw, period, n)),
           peak AS (
               SELECT tenant_id, subscription_id, meter_id, max(used) AS used FROM quota_counters
               WHERE environment = 'live' AND window_end > $7 AND window_end <= $8 AND used > 0 GROUP BY 1, 2, 3)
           SELECT n AS "quota!", tenant_id AS "tenant: TenantId", slug, name,
               id AS "subscription: SubscriptionId", used AS "used!", floor(share * 100)::bigint AS "percent!"
           FROM (SELECT q.n, s.tenant_id, t.slug, t.name, s.id, p.used, p.used / q.raw AS share,
               row_number() OVER (PARTITION BY s.tenant_id, s.id ORDER BY p.used / q.raw DESC, q.n) AS place
           FROM peak p
           JOIN subscriptions s ON s.tenant_id = p.tenant_id AND s.id = p.subscription_id
               AND s.status IN ('active', 'past_due') AND s.anchor <= $7
           JOIN tenants t ON t.id = s.tenant_id AND t.status = 'active'
           JOIN quota q ON q.version = s.catalog_version_id AND q.plan = s.plan AND q.meter_id = p.meter_id
               AND (NOT q.period OR s.interval = 'month')
           WHERE NOT EXISTS (SELECT FROM contracts c WHERE c.tenant_id = s.tenant_id AND c.subscription_id = s.id
                 AND c.valid_from <= $8 AND (c.valid_to IS NULL OR c.valid_to > $7)
                 AND jsonb_path_exists(c.terms, '$.limits[*] ? (@.limit == $meter)',
                     jsonb_build_object('meter', q.meter)))
             AND NOT EXISTS (SELECT FROM subscription_items i WHERE i.tenant_id = s.tenant_id
                 AND i.subscription_id = s.id AND i.charge = ANY($9))) each
           WHERE place = 1 AND CASE WHEN $10 THEN share >= 0.8 ELSE share < 0.2 END
           ORDER BY CASE WHEN $10 THEN -share ELSE share END, id LIMIT $11"#,
        &limits.versions,
        &limits.plans,
        &limits.meters,
        &limits.names,
        &limits.raw,
        &limits.periods,
        from.to_sqlx(),
        now.to_sqlx(),
        &limits.raisers,
        close,
        limit
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows)
}

/// Subscriptions on plans with these limits that have limits of their own.
pub(super) async fn left_out(
    tx: &mut VendorTx,
    limits: &Limits,
    now: Timestamp,
) -> Result<i64, Problem> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM subscriptions s
           WHERE s.status IN ('active', 'past_due')
             AND (s.catalog_version_id, s.plan) IN (SELECT * FROM unnest($1::uuid[], $2::text[]))
             AND (EXISTS (SELECT FROM contracts c WHERE c.tenant_id = s.tenant_id AND c.subscription_id = s.id
                     AND c.valid_from <= $3 AND (c.valid_to IS NULL OR c.valid_to > $3)
                     AND jsonb_array_length(c.terms -> 'limits') > 0)
                 OR EXISTS (SELECT FROM subscription_items i WHERE i.tenant_id = s.tenant_id
                     AND i.subscription_id = s.id AND i.charge = ANY($4)))"#,
        &limits.versions,
        &limits.plans,
        now.to_sqlx(),
        &limits.raisers
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(count)
}
