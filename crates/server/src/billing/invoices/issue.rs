//! Issuing a draft: usage that came in the grace is counted, credit is used, the
//! number is taken. From then on it never changes.

use serde_json::{Value, json};
use tenure_catalog::invoicing::{due_at, use_credit};
use tenure_core::{InvoiceId, Money, Period, TenantId};
use tenure_tenancy::TenantTx;

use super::{
    Invoice, InvoiceStatus, InvoiceSummary, bare, db, rows,
    states::{illegal, record},
    whole,
};
use crate::{
    App,
    billing::{
        close,
        credits::{self, Entry},
        periods::{self, Account},
        tax,
    },
    call::Call,
    http::Problem,
    idempotency,
    trail::{self, Change},
    usage::generations,
};

/// Issues a draft whose grace is over, and those of earlier periods before it: numbers
/// and credit go by the order of periods. Again, does nothing.
pub(crate) async fn job(app: &App, payload: Value) -> Result<(), Problem> {
    let tenant = TenantId::from_uuid(bare(payload["tenant"].as_str().unwrap_or_default())?);
    let id = InvoiceId::from_uuid(bare(payload["invoice"].as_str().unwrap_or_default())?);
    let mut tx = app.db().tenant(tenant).await?;
    let due = db::due_up_to(&mut tx, id, app.now()).await?;
    tx.commit().await?;
    for draft in due {
        issue_one(app, tenant, draft).await?;
    }
    Ok(())
}

async fn issue_one(app: &App, tenant: TenantId, id: InvoiceId) -> Result<(), Problem> {
    let call = Call::system(app.now());
    let mut tx = app.db().tenant(tenant).await?;
    // A deletion takes drafts away, another may have been faster.
    if db::find(&mut tx, id).await?.is_none() {
        return Ok(());
    }
    let draft = db::lock(&mut tx, id).await?;
    if draft.status != InvoiceStatus::Draft {
        return Ok(());
    }
    issue_locked(app, &mut tx, &call, &draft).await?;
    tx.commit().await?;
    Ok(())
}

/// What became of a draft whose time had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Became {
    Issued,
    /// All of it was taken back in the grace. There is no invoice of nothing, as there is none
    /// where a period closes with nothing to bill.
    Nothing,
}

/// Issues a draft now, before its grace is over.
pub async fn issue(
    app: &App,
    call: &Call,
    tenant: TenantId,
    id: InvoiceId,
) -> Result<Invoice, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let draft = db::lock(&mut tx, id).await?;
    if draft.status != InvoiceStatus::Draft {
        return Err(illegal(&draft, "issued"));
    }
    if issue_locked(app, &mut tx, call, &draft).await? == Became::Nothing {
        tx.commit().await?;
        let detail = "Usage was taken back since it was drafted, and nothing is left to be \
                      billed; the draft is gone.";
        return Err(Problem::conflict("nothing-to-bill", detail));
    }
    let invoice = whole(&mut tx, id).await?;
    idempotency::remember(app, &mut tx, call, axum::http::StatusCode::OK, &invoice).await?;
    tx.commit().await?;
    Ok(invoice)
}

async fn issue_locked(
    app: &App,
    tx: &mut TenantTx,
    call: &Call,
    draft: &InvoiceSummary,
) -> Result<Became, Problem> {
    if count_late_usage(app, tx, call, draft).await? == Became::Nothing {
        return Ok(Became::Nothing);
    }
    let draft = db::find(tx, draft.id).await?.ok_or_else(|| Problem::not_found("invoice"))?;
    let payer = tax::db::payer(tx, draft.billing_account_id).await?;
    let balance = credits::lock(tx, draft.billing_account_id, draft.total.currency()).await?;
    let used = use_credit(draft.total, balance).map_err(Problem::internal)?;
    let issued = db::Issued {
        seller: db::seller(tx, draft.seller_id).await?,
        buyer: json!({
            "name": payer.name, "email": payer.email, "address": payer.address, "tax_id": payer.tax_id,
        }),
        credit_minor: used.taken.minor(),
        due_minor: used.due.minor(),
        issued_at: call.now,
        due_at: due_at(call.now, draft.net_days),
    };
    db::issue(tx, draft.id, &issued).await?;
    let after = db::find(tx, draft.id).await?.ok_or_else(|| Problem::not_found("invoice"))?;
    if !used.taken.is_zero() {
        spend(tx, call, &after, used.taken).await?;
    }
    record(app, tx, call, "invoice.issued", &draft, &after).await?;
    if used.due.is_zero() {
        db::set_status(tx, draft.id, InvoiceStatus::Paid, call.now).await?;
        let paid = db::find(tx, draft.id).await?.ok_or_else(|| Problem::not_found("invoice"))?;
        record(app, tx, call, "invoice.paid", &after, &paid).await?;
    }
    Ok(Became::Issued)
}

/// Takes credit from the balance, or puts what the invoice is below zero on it.
async fn spend(
    tx: &mut TenantTx,
    call: &Call,
    invoice: &InvoiceSummary,
    taken: Money,
) -> Result<(), Problem> {
    let amount = taken.checked_neg().map_err(Problem::internal)?;
    let kind = if amount.minor() > 0 { "carried" } else { "applied" };
    let entry = Entry {
        account: invoice.billing_account_id,
        amount,
        kind,
        invoice: Some(invoice.id),
        note: invoice.number.clone().unwrap_or_default(),
    };
    credits::add(tx, entry, call.now).await
}

/// Usage that arrived since the period was closed is counted in the draft, as
/// long as no later period was closed: then it is corrected with that one. Tells whether
/// anything is left to be issued.
async fn count_late_usage(
    app: &App,
    tx: &mut TenantTx,
    call: &Call,
    draft: &InvoiceSummary,
) -> Result<Became, Problem> {
    let (subscription, n) = (draft.subscription_id, draft.period);
    let Some(cutoff) = periods::db::lock_closed(tx, subscription, n).await? else {
        return Ok(Became::Issued);
    };
    if !periods::db::is_last_closed(tx, subscription, n).await? {
        return Ok(Became::Issued);
    }
    let open = generations::open(tx, subscription).await?;
    let late =
        periods::db::earliest_late(tx, subscription, (cutoff, open), draft.period_end).await?;
    if late.is_none() {
        return Ok(Became::Issued);
    }
    let generation = generations::close(tx, subscription).await?;
    let account = Account::read(app, tx, subscription).await?;
    let row = periods::db::Row {
        n,
        period: Period { start: draft.period_start, end: draft.period_end },
        generation: Some(cutoff),
        terms_digest: None,
        annulled: false,
    };
    let rated = close::rate(tx, &account, &row, (generation, Some(draft.id)), call.now).await?;
    rows::remove(tx, draft.id).await?;
    let became = match rated.draft.lines.is_empty() {
        true => Became::Nothing,
        false => Became::Issued,
    };
    if became == Became::Nothing {
        db::remove_draft(tx, draft.id).await?;
        let gone = Change::removed("invoice.draft_removed", draft.id, draft);
        trail::record(app, tx, call, gone).await?;
    } else {
        db::redraft(tx, draft.id, &rated).await?;
        rows::insert(tx, draft.id, &account, &rated).await?;
    }
    let closed = (n, generation);
    periods::db::close(tx, subscription, closed, &rated.terms_digest, call.now).await?;
    if !rated.corrected.is_empty() {
        periods::db::note_terms(tx, subscription, &rated.corrected).await?;
    }
    Ok(became)
}
