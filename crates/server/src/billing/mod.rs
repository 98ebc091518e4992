//! Bills: what a subscription costs, and its invoices.
//!
//! Owns: the estimated bill of the present billing period; billing periods and
//! their close; what is settled after the end; invoices, tax and credit. Refuses: prices that are only a starting
//! point; such a plan has no lines, and a sentence that says what is missing.

pub mod api;
pub(crate) mod close;
pub mod credits;
pub mod days;
pub mod evidence;
pub mod invoices;
pub mod model;
pub(crate) mod periods;
pub mod runs;
pub(crate) mod settlements;
pub mod tax;
mod zones;

use jiff::Timestamp;
use tenure_catalog::{
    invoicing::{self, period_lines},
    rating,
};
use tenure_core::{Money, Period, SubscriptionId, SubscriptionStatus, TenantId};
use tenure_tenancy::TenantTx;

pub use model::{BillEstimate, BillLine, Trial};
pub(crate) use zones::zone_data;

use self::close::Upto;
use crate::{App, http::Problem, usage::generations};

/// The bill of the present period as it stands now: what its invoice would say.
///
/// Usage is billed in the period in which its window ends, so a calendar month
/// that runs past the period's end is not on it yet. In a trial, it says what the
/// period would cost.
pub async fn estimate(
    app: &App,
    tenant: TenantId,
    subscription: SubscriptionId,
) -> Result<BillEstimate, Problem> {
    let now = app.now();
    let mut tx = app.db().tenant(tenant).await?;
    let mut account = periods::Account::read(app, &mut tx, subscription).await?;
    let trial = account.subscription.status == SubscriptionStatus::Trial;
    for entry in account.timeline.entries.iter_mut().filter(|_| trial) {
        entry.status = SubscriptionStatus::Active;
    }
    let currency = account.present_catalog()?.product.currency;
    let (n, before, period) = present_period(&mut tx, &account, now).await?;
    let generation = generations::open(&mut tx, subscription).await?;
    let upto = Upto { generation, as_of: Some(now), now };
    let inputs = close::inputs(&mut tx, &account, (n, before, period), upto).await?;
    let committed = close::committed(&mut tx, &account, n, None).await?;
    tx.commit().await?;
    let mut answer = BillEstimate::empty(&account.subscription, currency, period, now);
    match inputs.and_then(|inputs| period_lines(&inputs, &committed, &account.versions())) {
        Ok(lines) => {
            let sum = Money::sum(lines.iter().map(|line| line.amount), currency);
            answer.fill(lines, sum.map_err(|error| close::cannot_invoice(error.into()))?);
        }
        Err(invoicing::Error::Rating(rating::Error::NeedsContract(missing))) => {
            answer.needs_contract = Some(format!("{missing}."));
        }
        Err(error) => return Err(close::cannot_invoice(error)),
    }
    if trial {
        answer.total = Money::zero(currency);
    }
    Ok(answer)
}

/// The period that holds `now`, its number and the one before; of an ended
/// subscription, the last.
async fn present_period(
    tx: &mut TenantTx,
    account: &periods::Account,
    now: Timestamp,
) -> Result<(i32, Option<Period>, Period), Problem> {
    let mut last = account.periods_until(tx, now, 2).await?;
    let (n, period) = last.pop().ok_or_else(|| Problem::not_found("billing period"))?;
    Ok((n, last.pop().map(|(_, before)| before), period))
}
