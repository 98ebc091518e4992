//! Closing a billing period: one transaction takes everything recorded so far,
//! rates it, writes the draft of the invoice and opens the next period.
//!
//! Owns: what a period is rated with. Refuses: closing a period that is not over
//! or is closed already, so however often it runs, each is closed once.

mod db;
mod inputs;
mod rate;

use serde_json::Value;
use tenure_core::{SubscriptionId, TenantId};
use tenure_tenancy::TenantTx;
use uuid::Uuid;

pub(crate) use inputs::{Upto, inputs};
pub(crate) use rate::{Rated, cannot_invoice, committed, rate};

use super::{invoices, periods};
use crate::{
    App,
    call::Call,
    http::Problem,
    trail::{self, Change},
    usage::generations,
};

/// Periods of one subscription closed by one job; it is queued again for more.
const CLOSED_MAX: usize = 60;

/// Closes every period of a subscription that is over.
pub(crate) async fn job(app: &App, payload: Value) -> Result<(), Problem> {
    let id = |field: &str| -> Result<Uuid, Problem> {
        let text = payload[field].as_str().unwrap_or_default();
        text.parse().map_err(Problem::internal)
    };
    let tenant = TenantId::from_uuid(id("tenant")?);
    let subscription = SubscriptionId::from_uuid(id("subscription")?);
    for _ in 0..CLOSED_MAX {
        if !close_next(app, tenant, subscription).await? {
            break;
        }
    }
    Ok(())
}

/// Closes the open period, if it is over. Returns whether it was.
async fn close_next(
    app: &App,
    tenant: TenantId,
    subscription: SubscriptionId,
) -> Result<bool, Problem> {
    let call = Call::system(app.now());
    let mut tx = app.db().tenant(tenant).await?;
    let Some(open) = periods::db::lock_open(&mut tx, subscription).await? else {
        return Ok(false);
    };
    if call.now < open.period.end {
        return Ok(false);
    }
    let generation = generations::close(&mut tx, subscription).await?;
    let account = periods::Account::read(app, &mut tx, subscription).await?;
    let rated = rate(&mut tx, &account, &open, (generation, None), call.now).await?;
    if !rated.draft.lines.is_empty() {
        draft(app, &mut tx, &call, &account, &rated).await?;
    }
    let closed = (open.n, generation);
    periods::db::close(&mut tx, subscription, closed, &rated.terms_digest, call.now).await?;
    if !rated.corrected.is_empty() {
        periods::db::note_terms(&mut tx, subscription, &rated.corrected).await?;
    }
    if let Some(next) = account.period_from(open.period.end)? {
        periods::db::open(&mut tx, subscription, open.n + 1, next).await?;
    }
    tx.commit().await?;
    Ok(true)
}

async fn draft(
    app: &App,
    tx: &mut TenantTx,
    call: &Call,
    account: &periods::Account,
    rated: &Rated,
) -> Result<(), Problem> {
    let invoice = invoices::draft(app, tx, call, account, rated).await?;
    trail::record(app, tx, call, Change::created("invoice.drafted", invoice.id, &invoice)).await
}
