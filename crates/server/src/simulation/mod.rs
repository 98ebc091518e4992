//! What real usage would have cost on other terms: another plan, or a product
//! file that is not loaded yet.
//!
//! Owns: the terms that are tried: what a move would keep of a subscription (its
//! zone, its class, what it holds). Periods are rated as invoices are, by
//! `billing::close`. Refuses: the present period, whose usage is not whole; and
//! guessing: a plan whose price has to be agreed on has no total, and says so.
//!
//! A plan is rated as if the subscription had been moved to it at the start of
//! the first period, without its contracts: they are about the present plan. A
//! file is rated as if its prices had held all the time. What a limit that blocks
//! would have refused is told beside the cost.

pub mod api;
mod db;
pub mod model;
mod rate;
mod refused;
mod terms;

use std::{cmp::Ordering, sync::Arc};

use jiff::Timestamp;
use tenure_catalog::{Plan, Product, changes, invoicing, rating};
use tenure_core::{Money, SubscriptionId, TenantId};

pub use self::model::{FileSimulation, PlanCost, PlanSimulation};
use self::{
    model::{NotRated, SubscriptionChange},
    rate::{Cost, Past},
};
use crate::{
    App,
    billing::close,
    http::Problem,
    products::{self, Catalog},
    subscriptions::Subscription,
};

/// Billing periods at most.
pub const PERIODS_MAX: u8 = 12;
/// Subscriptions that one file is tried on at most.
pub const SUBSCRIPTIONS_MAX: usize = 1_000;
/// Subscriptions told one by one at most.
const TOLD_MAX: usize = 50;

/// Past usage on every plan that is sold in the subscription's model.
pub async fn plans(
    app: &App,
    tenant: TenantId,
    subscription: SubscriptionId,
    periods: Option<u8>,
) -> Result<PlanSimulation, Problem> {
    let wanted = wanted(periods)?;
    let mut tx = app.db().tenant(tenant).await?;
    let past = Past::read(app, &mut tx, subscription, wanted, app.now()).await?;
    let (Some((_, first)), Some((_, last))) = (past.periods.first(), past.periods.last()) else {
        return Err(Problem::conflict(
            "no-period-is-over",
            "No billing period of the subscription is over yet; there is no usage to try plans on.",
        ));
    };
    let own = &past.account.subscription;
    let catalog = products::latest(app, &own.product).await?.in_currency(own.currency)?;
    let present = past.own(&mut tx).await?;
    let plan = past.account.present_catalog()?.product.plan(&own.plan);
    let name = plan.map_or_else(|| own.plan.clone(), |plan| plan.name.clone());
    let before = present.as_ref().ok().map(|cost| cost.total);
    let mut all = vec![told(&own.plan, &name, true, present, before)?];
    for plan in offered(&catalog.product, own) {
        let account = terms::moved(&past.account, &catalog, plan, first.start);
        let found = past.on(&mut tx, &account, Vec::new()).await?;
        all.push(told(&plan.id, &plan.name, false, found, before)?);
    }
    tx.commit().await?;
    all.sort_by(|one, other| match (&one.total, &other.total) {
        (Some(one), Some(other)) => one.minor().cmp(&other.minor()),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    });
    Ok(PlanSimulation {
        subscription_id: subscription,
        product: catalog.product.id.clone(),
        plan: own.plan.clone(),
        from: first.start,
        to: last.end,
        periods: u8::try_from(past.periods.len()).unwrap_or(PERIODS_MAX),
        plans: all,
    })
}

fn wanted(periods: Option<u8>) -> Result<u8, Problem> {
    match periods {
        None => Ok(PERIODS_MAX),
        Some(asked) if (1..=PERIODS_MAX).contains(&asked) => Ok(asked),
        Some(_) => Err(Problem::field("/periods", format!("Ask for 1 to {PERIODS_MAX} periods."))),
    }
}

/// Other plans of the newest version, in the model that the customer runs.
fn offered<'a>(product: &'a Product, own: &'a Subscription) -> impl Iterator<Item = &'a Plan> {
    let others = product.plans.iter().filter(|plan| plan.id != own.plan && !plan.hidden);
    others.filter(|plan| plan.models.contains(&own.model))
}

fn told(
    plan: &str,
    name: &str,
    is_present: bool,
    found: Result<Cost, invoicing::Error>,
    before: Option<Money>,
) -> Result<PlanCost, Problem> {
    let nothing = PlanCost {
        plan: plan.to_owned(),
        name: name.to_owned(),
        is_present,
        total: None,
        difference: None,
        charges: Vec::new(),
        refused: Vec::new(),
        needs_contract: None,
    };
    match found {
        Ok(cost) => Ok(PlanCost {
            difference: before.map(|before| difference(cost.total, before)).transpose()?,
            total: Some(cost.total),
            charges: cost.charges,
            refused: cost.refused,
            ..nothing
        }),
        Err(invoicing::Error::Rating(error @ rating::Error::NeedsContract(_))) => {
            Ok(PlanCost { needs_contract: Some(format!("{error}.")), ..nothing })
        }
        Err(error) => Err(cannot_rate(&error)),
    }
}

fn difference(after: Money, before: Money) -> Result<Money, Problem> {
    let negative = before.checked_neg().map_err(Problem::internal)?;
    after.checked_add(negative).map_err(Problem::internal)
}

fn cannot_rate(error: &invoicing::Error) -> Problem {
    Problem::conflict("cannot-rate", format!("The usage cannot be rated: {error}."))
}

/// What a product file would have changed, on the usage of the subscriptions that are in use.
pub async fn file(
    app: &App,
    slug: &str,
    source: &str,
    periods: Option<u8>,
) -> Result<FileSimulation, Problem> {
    let now = app.now();
    let wanted = wanted(periods)?;
    let present = products::latest(app, slug).await?;
    let new = products::parse(source, "product.toml")?;
    if new.id != slug {
        let detail = format!("The file is of `{}`, and the path names `{slug}`.", new.id);
        return Err(Problem::field("", detail));
    }
    let changed = changes(&present.product, &new).map_err(|refusals| {
        let lines: Vec<String> = refusals.iter().map(ToString::to_string).collect();
        Problem::conflict("meter-redefined", lines.join("\n"))
    })?;
    let mut tx = app.db().vendor().await?;
    let limit = i64::try_from(SUBSCRIPTIONS_MAX).unwrap_or(i64::MAX) + 1;
    let mut all = db::in_use(&mut tx, present.product_id, limit).await?;
    tx.commit().await?;
    let truncated = all.len() > SUBSCRIPTIONS_MAX;
    all.truncate(SUBSCRIPTIONS_MAX);
    let zero = Money::zero(present.product.currency);
    let tried = Arc::new(present.with(new));
    let mut found = FileSimulation {
        product: slug.to_owned(),
        version: present.version,
        changes: changed
            .iter()
            .map(|change| format!("{}: {}", change.subject, change.text))
            .collect(),
        subscriptions: 0,
        truncated,
        before: zero,
        after: zero,
        largest: Vec::new(),
        not_rated: Vec::new(),
    };
    for (tenant, subscription) in all {
        match one(app, tenant, subscription, &tried, wanted, now).await? {
            Ok(change) => {
                found.subscriptions += 1;
                found.before =
                    found.before.checked_add(change.before).map_err(Problem::internal)?;
                found.after = found.after.checked_add(change.after).map_err(Problem::internal)?;
                found.largest.push(change);
            }
            Err(why) => found.not_rated.push(NotRated {
                tenant_id: tenant,
                subscription_id: subscription,
                why,
            }),
        }
    }
    found.largest.retain(|change| change.difference.minor() != 0);
    found.largest.sort_by_key(|change| std::cmp::Reverse(change.difference.minor().unsigned_abs()));
    found.largest.truncate(TOLD_MAX);
    found.not_rated.truncate(TOLD_MAX);
    Ok(found)
}

/// One subscription before and after; why there is no figure.
async fn one(
    app: &App,
    tenant: TenantId,
    id: SubscriptionId,
    tried: &Arc<Catalog>,
    wanted: u8,
    now: Timestamp,
) -> Result<Result<SubscriptionChange, String>, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let past = Past::read(app, &mut tx, id, wanted, now).await?;
    let Some((n, _)) = past.periods.first() else {
        return Ok(Err("no billing period is over yet".to_owned()));
    };
    let own = &past.account.subscription;
    let Ok(tried) = tried.in_currency(own.currency) else {
        return Ok(Err(format!("the file is not sold in {}", own.currency)));
    };
    let account = match terms::on_file(&past.account, &tried) {
        Ok(account) => account,
        Err(plan) => return Ok(Err(format!("the file has no plan `{plan}`"))),
    };
    let committed = close::committed(&mut tx, &past.account, *n, None).await?;
    let before = past.own(&mut tx).await?;
    let after = past.on(&mut tx, &account, committed).await?;
    tx.commit().await?;
    match (before, after) {
        (Ok(before), Ok(after)) => Ok(Ok(SubscriptionChange {
            tenant_id: tenant,
            subscription_id: id,
            plan: past.account.subscription.plan.clone(),
            difference: difference(after.total, before.total)?,
            before: before.total,
            after: after.total,
        })),
        (Err(error), _) | (_, Err(error)) => Ok(Err(error.to_string())),
    }
}
