//! Bills: what a subscription costs, and its invoices.
//!
//! Owns: the estimated bill of the present billing period; billing periods and
//! their close; invoices, tax and credit. Refuses: prices that are only a starting
//! point; such a plan has no lines, and a sentence that says what is missing.

pub mod api;
pub(crate) mod close;
pub mod credits;
pub mod invoices;
pub mod model;
pub(crate) mod periods;
pub mod runs;
pub mod tax;
mod zones;

use jiff::Timestamp;
use tenure_catalog::{
    Over, Terms, Usage, estimate as rate,
    plan::{Commitment, Part, Per},
    rating::{self, MeterUsage, Window},
};
use tenure_core::{
    Interval, Money, Period, SubscriptionId, SubscriptionStatus, TenantId,
    period::{billing_period, billing_period_at},
};
use tenure_tenancy::TenantTx;

pub use model::{BillEstimate, BillLine, Trial};
pub(crate) use zones::zone_data;

use crate::{
    App,
    http::Problem,
    subscriptions::entitlements::{Situation, situation},
    usage::{
        summary::Calendar,
        windows::{Asked, windows},
    },
};

/// The bill of the present period as it stands now.
///
/// Usage is billed in the period in which its window ends, so a calendar month
/// that runs past the period's end is not on it yet.
pub async fn estimate(
    app: &App,
    tenant: TenantId,
    subscription: SubscriptionId,
) -> Result<BillEstimate, Problem> {
    let now = app.now();
    let situation = situation(app, tenant, subscription).await?;
    let calendar = Calendar::of(&situation, now)?;
    let period = calendar.period;
    let mut tx = app.db().tenant(tenant).await?;
    let mut usage = used(&mut tx, &situation, period, now).await?;
    usage.year = year(&mut tx, &situation, &calendar, now).await?;
    usage.billed_before = billed_before(&mut tx, &situation, &calendar, now).await?;
    tx.commit().await?;
    let product = &situation.catalog.product;
    let mut answer = BillEstimate::empty(&situation, period, now);
    match rate(product, &situation.terms, period, &usage) {
        Ok(bill) => answer.fill(bill),
        Err(rating::Error::NeedsContract(missing)) => {
            answer.needs_contract = Some(format!("{missing}."));
        }
        Err(error) => return Err(cannot_rate(error)),
    }
    if situation.subscription.status == SubscriptionStatus::Trial {
        answer.total = Money::zero(product.currency);
    }
    Ok(answer)
}

fn cannot_rate(error: rating::Error) -> Problem {
    Problem::conflict("cannot-rate", format!("The bill cannot be computed: {error}."))
}

/// Totals of every meter, in the windows that the invoice of `period` bills.
async fn used(
    tx: &mut TenantTx,
    situation: &Situation,
    period: Period,
    now: Timestamp,
) -> Result<Usage, Problem> {
    let all = situation.catalog.product.meters.iter().map(|meter| meter.id.as_str());
    let meters = totals(tx, situation, all, period, now).await?;
    Ok(Usage { meters, ..Usage::default() })
}

async fn totals<'a>(
    tx: &mut TenantTx,
    situation: &Situation,
    meters: impl Iterator<Item = &'a str>,
    period: Period,
    now: Timestamp,
) -> Result<Vec<MeterUsage>, Problem> {
    let product = &situation.catalog.product;
    let mut asked = Vec::new();
    for meter in meters.filter_map(|id| product.meter(id)) {
        let per = situation.plan().map_or(Per::Period, |plan| plan.window(&meter.id));
        let mut windows = rating::windows(&situation.terms, period, per).map_err(cannot_rate)?;
        windows.retain(|window| window.start < now);
        asked.push(Asked { meter, windows });
    }
    let found = windows(tx, situation, &asked, now, None).await?;
    let usage = asked.iter().zip(found).map(|(asked, totals)| MeterUsage {
        meter: asked.meter.id.clone(),
        windows: asked
            .windows
            .iter()
            .zip(totals)
            .map(|(window, total)| Window { start: window.start, quantity: total.quantity })
            .collect(),
    });
    Ok(usage.collect())
}

/// Usage of the subscription's year, where it ends with a shorter period and
/// something is trued up with it.
async fn year(
    tx: &mut TenantTx,
    situation: &Situation,
    calendar: &Calendar,
    now: Timestamp,
) -> Result<Vec<MeterUsage>, Problem> {
    let Some((year, plan)) = ending_year(situation, calendar)?.zip(situation.plan()) else {
        return Ok(Vec::new());
    };
    let trued_up = plan.limits.iter().filter(|limit| matches!(limit.over, Over::TrueUp { .. }));
    let ids = trued_up.map(|limit| limit.id.as_str());
    totals(tx, situation, ids, year, now).await
}

/// The subscription's year, if the present period is a part of it and its last.
fn ending_year(situation: &Situation, calendar: &Calendar) -> Result<Option<Period>, Problem> {
    let (_, year) = in_interval(&situation.terms, calendar, Interval::Year)?;
    let ends = year.end <= calendar.period.end
        || situation.terms.end.is_some_and(|end| end <= calendar.period.end);
    Ok((ends && year != calendar.period).then_some(year))
}

fn in_interval(
    terms: &Terms,
    calendar: &Calendar,
    interval: Interval,
) -> Result<(i32, Period), Problem> {
    billing_period_at(terms.anchored(), &calendar.zone, interval, calendar.period.start)
        .map_err(Problem::internal)
}

/// What the earlier periods of the year count towards the plan's commitment,
/// where this period ends the year. No invoice exists yet, so they are rated
/// again, each with its own usage.
async fn billed_before(
    tx: &mut TenantTx,
    situation: &Situation,
    calendar: &Calendar,
    now: Timestamp,
) -> Result<Option<Money>, Problem> {
    let yearly = |commitment: &&Commitment| commitment.every == Interval::Year;
    let committed = situation.plan().and_then(|plan| plan.commitment.as_ref());
    if committed.filter(yearly).is_none() {
        return Ok(None);
    }
    let Some(year) = ending_year(situation, calendar)? else { return Ok(None) };
    let (terms, product) = (&situation.terms, &situation.catalog.product);
    let interval = situation.subscription.interval;
    let (last, _) = in_interval(terms, calendar, interval)?;
    let mut sum = Money::zero(product.currency);
    for n in (0..last).rev() {
        let period = billing_period(terms.anchored(), &calendar.zone, interval, n)
            .map_err(Problem::internal)?;
        if period.start < year.start {
            break;
        }
        let usage = used(tx, situation, period, now).await?;
        let Ok(bill) = rate(product, terms, period, &usage) else { continue };
        let counts = bill.lines.iter().filter(|l| matches!(l.part, Part::Plan | Part::Overage));
        let amounts = counts.map(|line| line.amount).chain([sum]);
        sum = Money::sum(amounts, product.currency).map_err(|error| cannot_rate(error.into()))?;
    }
    Ok(Some(sum))
}
