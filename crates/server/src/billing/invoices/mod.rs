//! Invoices: drafted when a period closes, issued after a grace, then never
//! changed; what is wrong in one is corrected by the next or by a credit note.
//!
//! Owns: drafting, issuing, the states behind it, what is read of them.
//! Refuses: changing what was issued, and steps that are not legal.

pub mod api;
pub mod csv;
pub(crate) mod db;
mod issue;
pub mod model;
pub mod notes;
pub mod own;
pub mod pdf;
mod rows;
mod states;
pub(crate) mod told;
pub mod totals;
pub(crate) mod words;

use tenure_catalog::invoicing::tax::allocate;
use tenure_core::{InvoiceId, TenantId};
use tenure_license::Digest;
use tenure_tenancy::TenantTx;
use uuid::Uuid;

pub use issue::issue;
pub(crate) use issue::job as issue_job;
pub use model::{Filter, Invoice, InvoiceStatus, InvoiceSummary};
pub use states::{pay, uncollectible, void};

use super::{close::Rated, periods::Account, tax};
use crate::{
    App,
    call::Call,
    http::{Cursor, Page, Problem},
};

/// Writes the draft of a rated period.
pub(crate) async fn draft(
    app: &App,
    tx: &mut TenantTx,
    call: &Call,
    account: &Account,
    rated: &Rated,
) -> Result<InvoiceSummary, Problem> {
    let subscription = &account.subscription;
    let period = rated.row.period;
    let grace = jiff::SignedDuration::from_hours(app.config().invoice_grace_hours.into());
    let payer = tax::db::payer(tx, subscription.billing_account_id).await?;
    let new = db::NewInvoice {
        id: id_of(account, rated.row.n, period.end),
        account,
        rated,
        net_days: payer.net_days,
        drafted_at: call.now,
        finalise_after: period.end.checked_add(grace).unwrap_or(jiff::Timestamp::MAX),
    };
    db::insert(tx, &new).await?;
    rows::insert(tx, new.id, account, rated).await?;
    let read = db::find(tx, new.id).await?.ok_or_else(|| Problem::internal("just written"))?;
    Ok(read)
}

/// The id of a period's invoice: whoever makes it, and again, makes the same.
/// Ordered by the end of the period, as other ids are by their time.
fn id_of(account: &Account, n: i32, end: jiff::Timestamp) -> InvoiceId {
    let mut text = b"tenure invoice v1\0".to_vec();
    text.extend_from_slice(account.tenant.id.uuid().as_bytes());
    text.extend_from_slice(account.subscription.id.uuid().as_bytes());
    text.extend_from_slice(&n.to_be_bytes());
    let digest = Digest::sha256(&text);
    let mut random = [0u8; 10];
    random.copy_from_slice(&digest.as_bytes()[..10]);
    let millis = u64::try_from(end.as_millisecond()).unwrap_or(0);
    InvoiceId::from_uuid(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
}

/// What each line has of the taxes: by largest remainder, so that both add up.
fn shares(rated: &Rated) -> Vec<i64> {
    let amounts: Vec<i64> = rated.draft.lines.iter().map(|line| line.amount.minor()).collect();
    let mut all = vec![0i64; amounts.len()];
    for tax in &rated.draft.taxes {
        for (into, part) in all.iter_mut().zip(allocate(tax.amount.minor(), &amounts)) {
            *into += part;
        }
    }
    all
}

/// A page of invoices of all tenants, newest period first.
pub async fn list(
    app: &App,
    filter: &Filter,
    cursor: Cursor,
) -> Result<Page<InvoiceSummary>, Problem> {
    let mut tx = app.db().vendor().await?;
    let rows = db::list(&mut tx, filter, None, cursor).await?;
    tx.commit().await?;
    Ok(Page::cut(rows, cursor, |invoice| invoice.id.uuid()))
}

/// A page of a tenant's own: drafts are the vendor's alone.
pub async fn list_own(
    app: &App,
    tenant: TenantId,
    cursor: Cursor,
) -> Result<Page<InvoiceSummary>, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let filter = Filter { issued: Some(true), ..Filter::default() };
    let rows = db::list(&mut tx, &filter, Some(tenant), cursor).await?;
    tx.commit().await?;
    Ok(Page::cut(rows, cursor, |invoice| invoice.id.uuid()))
}

/// An invoice with its lines.
pub async fn read(app: &App, tenant: TenantId, id: InvoiceId) -> Result<Invoice, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let invoice = whole(&mut tx, id).await?;
    tx.commit().await?;
    Ok(invoice)
}

/// As [`read`], for the tenant: drafts do not exist for it.
pub async fn read_own(app: &App, tenant: TenantId, id: InvoiceId) -> Result<Invoice, Problem> {
    let invoice = read(app, tenant, id).await?;
    match invoice.summary.number {
        Some(_) => Ok(invoice),
        None => Err(Problem::not_found("invoice")),
    }
}

pub(crate) async fn whole(tx: &mut TenantTx, id: InvoiceId) -> Result<Invoice, Problem> {
    let summary = db::find(tx, id).await?.ok_or_else(|| Problem::not_found("invoice"))?;
    let parties = db::parties(tx, id).await?;
    let lines = rows::lines(tx, &summary).await?;
    let taxes = rows::taxes(tx, &summary).await?;
    let credit_notes = notes::of(tx, &summary).await?;
    Ok(Invoice {
        seller: parties.seller,
        buyer: parties.buyer,
        summary,
        lines,
        taxes,
        credit_notes,
    })
}

/// Takes a deleted tenant's drafts away, also void ones that never had a number.
/// Returns how many.
pub(crate) async fn erase_drafts(tx: &mut TenantTx) -> Result<u64, Problem> {
    rows::remove_drafts(tx).await?;
    db::remove_drafts(tx).await
}

/// The id behind a path's text.
pub(crate) fn parse(text: &str) -> Result<InvoiceId, Problem> {
    text.parse::<InvoiceId>().map_err(|_| Problem::not_found("invoice"))
}

/// A bare id, as jobs carry it.
pub(crate) fn bare(text: &str) -> Result<Uuid, Problem> {
    text.parse().map_err(Problem::internal)
}
