//! What real usage would have cost on other terms: another plan, or a product
//! file that is not loaded yet.
//!
//! Owns: which past periods are rated, and what a move would keep of a
//! subscription (its zone, its class, what it holds). Refuses: the present
//! period, whose usage is not whole; and guessing: a plan whose price has to be
//! agreed on has no total, and says so.
//!
//! A plan is rated as if the subscription had been moved to it at the start of
//! the first period, without its contracts: they are about the present plan.
//! What a limit that blocks would have refused is told beside the cost.

pub mod api;
mod db;
pub mod model;
mod rate;

use std::cmp::Ordering;

use jiff::Timestamp;
use tenure_catalog::{Plan, Product, Terms, changes, rating};
use tenure_core::{Money, Period, SubscriptionId, TenantId, period::billing_period};

pub use self::model::{FileSimulation, PlanCost, PlanSimulation};
use self::{
    model::{NotRated, SubscriptionChange},
    rate::{Cost, cost, moved},
};
use crate::{
    App,
    http::Problem,
    products,
    subscriptions::entitlements::{Situation, situation},
    usage::summary::Calendar,
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
    let now = app.now();
    let situation = situation(app, tenant, subscription).await?;
    let periods = past(&situation, wanted(periods)?, now)?;
    let (Some(first), Some(last)) = (periods.first(), periods.last()) else {
        return Err(Problem::conflict(
            "no-period-is-over",
            "No billing period of the subscription is over yet; there is no usage to try plans on.",
        ));
    };
    let product = products::latest(app, &situation.subscription.product).await?;
    let mut tx = app.db().tenant(tenant).await?;
    let present =
        cost(&mut tx, &situation, &situation.catalog.product, &situation.terms, &periods, now)
            .await?;
    let own =
        situation.plan().map_or_else(|| situation.terms.plan.clone(), |plan| plan.name.clone());
    let before = present.as_ref().ok().map(|cost| cost.total);
    let mut all = vec![told(&situation.terms.plan, &own, true, present, before)?];
    for plan in offered(&product.product, &situation) {
        let terms = moved(&situation.terms, &product.product, plan, first.start);
        let found = cost(&mut tx, &situation, &product.product, &terms, &periods, now).await?;
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
        product: product.product.id.clone(),
        plan: situation.terms.plan.clone(),
        from: first.start,
        to: last.end,
        periods: u8::try_from(periods.len()).unwrap_or(PERIODS_MAX),
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
fn offered<'a>(product: &'a Product, situation: &Situation) -> impl Iterator<Item = &'a Plan> {
    let (model, own) = (situation.terms.model, situation.terms.plan.clone());
    let others = product.plans.iter().filter(move |plan| plan.id != own);
    others.filter(move |plan| !plan.hidden && plan.models.contains(&model))
}

/// The last periods that are over, oldest first.
fn past(situation: &Situation, wanted: u8, now: Timestamp) -> Result<Vec<Period>, Problem> {
    let calendar = Calendar::of(situation, now)?;
    let anchor = situation.terms.anchored();
    let interval = situation.subscription.interval;
    let mut all = Vec::new();
    for n in 0..i32::MAX {
        let period =
            billing_period(anchor, &calendar.zone, interval, n).map_err(Problem::internal)?;
        if period.end > now || situation.terms.end.is_some_and(|end| period.start >= end) {
            break;
        }
        all.push(period);
    }
    let skip = all.len().saturating_sub(usize::from(wanted));
    Ok(all.split_off(skip))
}

fn told(
    plan: &str,
    name: &str,
    is_present: bool,
    found: Result<Cost, rating::Error>,
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
        Err(error @ rating::Error::NeedsContract(_)) => {
            Ok(PlanCost { needs_contract: Some(format!("{error}.")), ..nothing })
        }
        Err(error) => Err(cannot_rate(&error)),
    }
}

fn difference(after: Money, before: Money) -> Result<Money, Problem> {
    let negative = before.checked_neg().map_err(Problem::internal)?;
    after.checked_add(negative).map_err(Problem::internal)
}

fn cannot_rate(error: &rating::Error) -> Problem {
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
        match one(app, tenant, subscription, &new, wanted, now).await? {
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
    new: &Product,
    wanted: u8,
    now: Timestamp,
) -> Result<Result<SubscriptionChange, String>, Problem> {
    let situation = situation(app, tenant, id).await?;
    let periods = past(&situation, wanted, now)?;
    let Some(first) = periods.first() else {
        return Ok(Err("no billing period is over yet".to_owned()));
    };
    let Some(plan) = new.plan(&situation.terms.plan) else {
        return Ok(Err(format!("the file has no plan `{}`", situation.terms.plan)));
    };
    let mut after_terms = moved(&situation.terms, new, plan, first.start);
    after_terms.contracts.clone_from(&situation.terms.contracts);
    let before_terms =
        Terms { start: situation.terms.start.max(first.start), ..situation.terms.clone() };
    let mut tx = app.db().tenant(tenant).await?;
    let old = &situation.catalog.product;
    let before = cost(&mut tx, &situation, old, &before_terms, &periods, now).await?;
    let after = cost(&mut tx, &situation, new, &after_terms, &periods, now).await?;
    tx.commit().await?;
    match (before, after) {
        (Ok(before), Ok(after)) => Ok(Ok(SubscriptionChange {
            tenant_id: tenant,
            subscription_id: id,
            plan: plan.id.clone(),
            difference: difference(after.total, before.total)?,
            before: before.total,
            after: after.total,
        })),
        (Err(error), _) | (_, Err(error)) => Ok(Err(error.to_string())),
    }
}
