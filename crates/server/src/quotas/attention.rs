//! Tenants that are near or past a limit now, for the vendor: one query over the
//! counters that announced a threshold in a window that is not over, whatever the
//! number of tenants, and a look at the limits of the few that it returns.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use rust_decimal::Decimal;
use tenure_api::usage::Standing;
use tenure_catalog::resolve;
use tenure_core::{Period, Quantity, SubscriptionId, TenantId};
use tenure_tenancy::VendorTx;

use super::{Limited, db::Counter};
use crate::{
    App,
    http::Problem,
    subscriptions::{entitlements::known_situation, not_resolved},
};

/// A quota that somebody should look at.
#[derive(Debug, Clone)]
pub(crate) struct Near {
    pub(crate) tenant: String,
    pub(crate) slug: String,
    /// Product and plan.
    pub(crate) what: String,
    /// Of the meter.
    pub(crate) name: String,
    pub(crate) used: Decimal,
    pub(crate) limit: Quantity,
    /// `day`, `month` or `period`.
    pub(crate) per: String,
    pub(crate) standing: Standing,
    pub(crate) resets_at: Timestamp,
}

struct Candidate {
    tenant: TenantId,
    subscription: SubscriptionId,
    meter_id: i32,
    window: Period,
    used: Decimal,
    name: String,
    slug: String,
}

/// The quotas that are past their limit, then those that warn; of either, the
/// fullest counters first.
pub(crate) async fn near(app: &App, now: Timestamp, limit: i64) -> Result<Vec<Near>, Problem> {
    let mut tx = app.db().vendor().await?;
    let candidates = told(&mut tx, now, limit).await?;
    tx.commit().await?;
    let mut all = Vec::new();
    for candidate in candidates {
        all.extend(look(app, candidate, now).await?);
    }
    Ok(all)
}

/// What the counter says against the limit as it is now: an upgrade may have lifted it.
async fn look(app: &App, found: Candidate, now: Timestamp) -> Result<Option<Near>, Problem> {
    let situation = match known_situation(app, found.tenant, found.subscription).await {
        Ok(situation) => situation,
        // It went meanwhile.
        Err(problem) if problem.status == 404 => return Ok(None),
        Err(problem) => return Err(problem),
    };
    let product = &situation.catalog.product;
    let entitlements = resolve(product, &situation.terms, now).map_err(not_resolved)?;
    let all = Limited::all(&situation, &entitlements)?;
    let Some(limited) = all.iter().find(|one| one.meter_id == found.meter_id) else {
        return Ok(None);
    };
    if limited.window(&situation, now)? != found.window {
        return Ok(None);
    }
    let terms_at = situation.subscription.updated_at;
    let counter =
        Counter { used: found.used, ..Counter::new(found.meter_id, found.window, terms_at) };
    let quota = limited.told(found.window, &counter);
    let plan = situation.plan().map_or(&situation.subscription.plan, |plan| &plan.name);
    Ok(quota.limit.filter(|_| quota.standing != Standing::Ok).map(|limit| Near {
        what: format!("{} {plan}", product.name),
        tenant: found.name,
        slug: found.slug,
        name: quota.name,
        used: quota.used,
        limit,
        per: quota.window.per,
        standing: quota.standing,
        resets_at: found.window.end,
    }))
}

/// Counters that announced a threshold of 80 or more. The predicates are those of
/// the index `quota_counters_told`.
async fn told(tx: &mut VendorTx, now: Timestamp, limit: i64) -> Result<Vec<Candidate>, Problem> {
    let rows = sqlx::query!(
        r#"SELECT c.tenant_id AS "tenant: TenantId", c.subscription_id AS "subscription: SubscriptionId",
               c.meter_id, c.window_start, c.window_end, c.used, t.name, t.slug
           FROM (SELECT * FROM quota_counters
                 WHERE environment = 'live' AND told >= 80 AND window_end > $1 AND window_start <= $1) c
           JOIN tenants t ON t.id = c.tenant_id AND t.status = 'active'
           JOIN subscriptions s ON s.tenant_id = c.tenant_id AND s.id = c.subscription_id
               AND s.status IN ('trial', 'active', 'past_due')
           ORDER BY c.told DESC, c.window_end DESC, c.tenant_id, c.meter_id LIMIT $2"#,
        now.to_sqlx(),
        limit
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Candidate {
            tenant: row.tenant,
            subscription: row.subscription,
            meter_id: row.meter_id,
            window: Period { start: row.window_start.to_jiff(), end: row.window_end.to_jiff() },
            used: row.used,
            name: row.name,
            slug: row.slug,
        })
        .collect())
}
