//! What may happen to an invoice after it was issued: it is paid, becomes void,
//! or is given up.

use axum::http::StatusCode;
use jiff::Timestamp;
use tenure_core::{InvoiceId, TenantId};
use tenure_tenancy::TenantTx;

use super::{Invoice, InvoiceStatus, InvoiceSummary, db, whole};
use crate::{
    App,
    billing::credits::{self, Entry},
    call::Call,
    http::Problem,
    idempotency,
    trail::{self, Change},
};

/// The answer to a step that is not legal.
pub(super) fn illegal(invoice: &InvoiceSummary, to: &str) -> Problem {
    let detail = format!("The invoice is {}; it cannot become {to}.", invoice.status.word());
    Problem::conflict("illegal-transition", detail)
}

pub(super) async fn record(
    app: &App,
    tx: &mut TenantTx,
    call: &Call,
    action: &str,
    before: &InvoiceSummary,
    after: &InvoiceSummary,
) -> Result<(), Problem> {
    trail::record(app, tx, call, Change::updated(action, after.id, before, after)).await
}

/// Notes that an invoice was paid.
pub async fn pay(
    app: &App,
    call: &Call,
    tenant: TenantId,
    id: InvoiceId,
    paid_at: Option<Timestamp>,
) -> Result<Invoice, Problem> {
    let at = paid_at.unwrap_or(call.now);
    if at > call.now {
        return Err(Problem::field("/paid_at", "A payment cannot lie in the future."));
    }
    let allowed = [InvoiceStatus::Issued, InvoiceStatus::Uncollectible];
    step(app, call, (tenant, id), InvoiceStatus::Paid, &allowed, at).await
}

/// Gives an invoice up.
pub async fn uncollectible(
    app: &App,
    call: &Call,
    tenant: TenantId,
    id: InvoiceId,
) -> Result<Invoice, Problem> {
    let allowed = [InvoiceStatus::Issued];
    step(app, call, (tenant, id), InvoiceStatus::Uncollectible, &allowed, call.now).await
}

async fn step(
    app: &App,
    call: &Call,
    (tenant, id): (TenantId, InvoiceId),
    to: InvoiceStatus,
    allowed: &[InvoiceStatus],
    at: Timestamp,
) -> Result<Invoice, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let before = db::lock(&mut tx, id).await?;
    if !allowed.contains(&before.status) {
        return Err(illegal(&before, to.word()));
    }
    db::set_status(&mut tx, id, to, at).await?;
    let after = whole(&mut tx, id).await?;
    let action = format!("invoice.{}", to.word());
    record(app, &mut tx, call, &action, &before, &after.summary).await?;
    idempotency::remember(app, &mut tx, call, StatusCode::OK, &after).await?;
    tx.commit().await?;
    Ok(after)
}

/// Annuls a draft or an unpaid invoice. Its number stays taken; credit that it used
/// returns; what it corrected is corrected by the next invoice. Its own period is
/// not billed again.
pub async fn void(
    app: &App,
    call: &Call,
    tenant: TenantId,
    id: InvoiceId,
) -> Result<Invoice, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let before = db::lock(&mut tx, id).await?;
    if !matches!(before.status, InvoiceStatus::Draft | InvoiceStatus::Issued) {
        return Err(illegal(&before, "void"));
    }
    if !super::notes::of(&mut tx, &before).await?.is_empty() {
        let detail = "A part of it was taken back already; give a credit note for the rest.";
        return Err(Problem::conflict("has-credit-notes", detail));
    }
    db::set_status(&mut tx, id, InvoiceStatus::Void, call.now).await?;
    db::forget_corrections(&mut tx, id).await?;
    if !before.credit.is_zero() {
        let account = before.billing_account_id;
        credits::lock(&mut tx, account, before.credit.currency()).await?;
        let note = before.number.clone().unwrap_or_default();
        let entry =
            Entry { account, amount: before.credit, kind: "returned", invoice: Some(id), note };
        credits::add(&mut tx, entry, call.now).await?;
    }
    let after = whole(&mut tx, id).await?;
    record(app, &mut tx, call, "invoice.void", &before, &after.summary).await?;
    idempotency::remember(app, &mut tx, call, StatusCode::OK, &after).await?;
    tx.commit().await?;
    Ok(after)
}
