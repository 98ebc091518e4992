//! How much of each included quota is used: who could do with less, who needs more.
//!
//! A subscription counts with its fullest window among those that ended in the last
//! 31 days, from the counters that reserve and record. Limits are those of its plan;
//! subscriptions with limits of their own are counted apart.

use std::{collections::BTreeMap, sync::Arc};

use jiff::SignedDuration;
use rust_decimal::Decimal;
use tenure_catalog::{Per, Plan};
use tenure_core::CatalogVersionId;

use super::{
    db_quotas::{self as db, Limits},
    model::{QuotaDistribution, QuotaStanding, QuotaUse},
};
use crate::{
    App,
    http::Problem,
    products::{self, Catalog},
};

/// Windows that ended so many days ago count: of a calendar month, the last.
const DAYS: i64 = 31;
/// Plans of versions in use that are read at most.
const PLANS_MAX: i64 = 500;
/// Quotas told at most.
const QUOTAS_MAX: usize = 200;
/// Subscriptions of each list.
const LISTED_MAX: i64 = 20;

/// The use of included quotas, of one product or of all.
pub async fn quota_use(app: &App, product: Option<&str>) -> Result<QuotaUse, Problem> {
    let now = app.now();
    let from = now - SignedDuration::from_hours(24 * DAYS);
    let only = match product {
        Some(slug) => Some(products::latest(app, slug).await?.product_id),
        None => None,
    };
    let mut tx = app.db().vendor().await?;
    let mut plans = db::plans_in_use(&mut tx, only, PLANS_MAX + 1).await?;
    tx.commit().await?;
    let mut truncated = i64::try_from(plans.len()).unwrap_or(i64::MAX) > PLANS_MAX;
    plans.truncate(usize::try_from(PLANS_MAX).unwrap_or(usize::MAX));
    let known = Known::read(app, plans).await?;
    let mut tx = app.db().vendor().await?;
    let found = db::distribution(&mut tx, &known.limits, from, now).await?;
    let close = db::listed(&mut tx, &known.limits, (from, now), true, LISTED_MAX).await?;
    let below = db::listed(&mut tx, &known.limits, (from, now), false, LISTED_MAX).await?;
    let left_out = db::left_out(&mut tx, &known.limits, now).await?;
    tx.commit().await?;
    let mut quotas = known.distributions(found);
    truncated |= quotas.len() > QUOTAS_MAX;
    quotas.truncate(QUOTAS_MAX);
    Ok(QuotaUse {
        from,
        as_of: now,
        quotas,
        close: close.into_iter().map(|row| known.standing(row)).collect(),
        below: below.into_iter().map(|row| known.standing(row)).collect(),
        left_out,
        truncated,
    })
}

/// A limit of a plan, of one version.
struct Known {
    limits: Limits,
    /// In the order of the limits.
    of: Vec<(Arc<Catalog>, String, String)>,
}

impl Known {
    async fn read(app: &App, plans: Vec<(CatalogVersionId, String)>) -> Result<Self, Problem> {
        let mut known = Self { limits: Limits::default(), of: Vec::new() };
        for (version, plan) in plans {
            let catalog = products::catalog(app, version).await?;
            let Some(plan) = catalog.product.plan(&plan) else { continue };
            known.add(version, &catalog, plan);
        }
        known.limits.raisers.sort_unstable();
        known.limits.raisers.dedup();
        Ok(known)
    }

    /// What is used up and limited: counters count those alone.
    fn add(&mut self, version: CatalogVersionId, catalog: &Arc<Catalog>, plan: &Plan) {
        let product = &catalog.product;
        for meter in product.meters.iter().filter(|meter| meter.aggregation.is_additive()) {
            let limit = plan.limit(&meter.id).and_then(|limit| limit.included);
            let included = limit.map(|limit| limit.value()).filter(|limit| !limit.is_zero());
            let raw = included.and_then(|included| included.checked_mul(meter.divide_by));
            let (Some(raw), Some(number)) = (raw, catalog.meters.get(&meter.id)) else { continue };
            self.limits.push(version, &plan.id, (*number, &meter.id), raw, plan.window(&meter.id));
            self.of.push((catalog.clone(), plan.id.clone(), meter.id.clone()));
        }
        let extras = product.add_ons.iter().chain(&product.services);
        let raising = extras.filter(|extra| !extra.raises.is_empty());
        self.limits.raisers.extend(raising.map(|extra| extra.id.clone()));
    }

    /// The rows of every version of a plan that includes as much, together.
    fn distributions(&self, found: Vec<db::Row>) -> Vec<QuotaDistribution> {
        let mut all: BTreeMap<(String, usize, String, Decimal), QuotaDistribution> =
            BTreeMap::new();
        for row in found {
            let Some((catalog, plan, meter)) = self.at(row.quota) else { continue };
            let (product, meter) = (&catalog.product, catalog.product.meter(meter));
            let Some(meter) = meter else { continue };
            let order = product.plans.iter().position(|one| one.id == *plan).unwrap_or(0);
            let included = self.included(row.quota, meter.divide_by);
            let key = (product.id.clone(), order, meter.id.clone(), included);
            let sum = all.entry(key).or_insert_with(|| QuotaDistribution {
                product: product.id.clone(),
                plan: plan.clone(),
                meter: meter.id.clone(),
                name: meter.name.clone(),
                per: product
                    .plan(plan)
                    .map_or(Per::Period, |plan| plan.window(&meter.id))
                    .word()
                    .into(),
                included,
                subscriptions: 0,
                unused: 0,
                below_20: 0,
                below_50: 0,
                below_80: 0,
                below_100: 0,
                past: 0,
            });
            let into = match row.step {
                0 => &mut sum.unused,
                1 => &mut sum.below_20,
                2 => &mut sum.below_50,
                3 => &mut sum.below_80,
                4 => &mut sum.below_100,
                _ => &mut sum.past,
            };
            *into += row.count;
            sum.subscriptions += row.count;
        }
        all.into_values().collect()
    }

    fn standing(&self, row: db::Listed) -> QuotaStanding {
        let (product, plan, meter, name, divide_by) = match self.at(row.quota) {
            Some((catalog, plan, meter)) => {
                let found = catalog.product.meter(meter);
                let name = found.map_or_else(|| meter.clone(), |meter| meter.name.clone());
                let divide_by = found.map_or(Decimal::ONE, |meter| meter.divide_by);
                (catalog.product.id.clone(), plan.clone(), meter.clone(), name, divide_by)
            }
            None => Default::default(),
        };
        QuotaStanding {
            tenant_id: row.tenant,
            slug: row.slug,
            tenant: row.name,
            subscription_id: row.subscription,
            product,
            plan,
            meter,
            name,
            used: row.used.checked_div(divide_by).unwrap_or(row.used).normalize(),
            included: self.included(row.quota, divide_by),
            percent: row.percent,
        }
    }

    /// The n-th limit, from 1 on as the database counts.
    fn at(&self, quota: i64) -> Option<&(Arc<Catalog>, String, String)> {
        usize::try_from(quota).ok()?.checked_sub(1).and_then(|quota| self.of.get(quota))
    }

    fn included(&self, quota: i64, divide_by: Decimal) -> Decimal {
        let place = usize::try_from(quota).ok().and_then(|quota| quota.checked_sub(1));
        let raw = place.and_then(|place| self.limits.raw.get(place)).copied().unwrap_or_default();
        raw.checked_div(divide_by).unwrap_or(raw).normalize()
    }
}
