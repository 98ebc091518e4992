//! Credit of a billing account: what was paid ahead, granted or given back. Entries
//! are only added; each names the balance after it, which is never below zero.

pub mod api;
mod db;
pub mod model;

use axum::http::StatusCode;
use jiff::Timestamp;
use tenure_core::{BillingAccountId, Currency, InvoiceId, Money, TenantId};
use tenure_tenancy::TenantTx;

pub use model::{Balance, CreditEntry, CreditKind, Credits, NewCredit};

use super::tax;
use crate::{
    App,
    call::Call,
    http::Problem,
    idempotency, tenants,
    trail::{self, Change},
};

/// Entries that are shown, newest first.
const ENTRIES_MAX: i64 = 200;

/// An entry to be added.
pub(crate) struct Entry {
    pub(crate) account: BillingAccountId,
    pub(crate) amount: Money,
    pub(crate) kind: &'static str,
    pub(crate) invoice: Option<InvoiceId>,
    pub(crate) note: String,
}

/// The balance of an account in `currency`, and nobody else changes it until the
/// unit of work ends.
pub(crate) async fn lock(
    tx: &mut TenantTx,
    account: BillingAccountId,
    currency: Currency,
) -> Result<Money, Problem> {
    db::lock_account(tx, account).await?;
    let last = db::last(tx, account).await?;
    let balance = last.filter(|last| last.currency == currency.code()).map(|last| last.balance);
    Ok(Money::from_minor(balance.unwrap_or(0), currency))
}

/// Adds an entry; the account is locked.
pub(crate) async fn add(tx: &mut TenantTx, entry: Entry, now: Timestamp) -> Result<(), Problem> {
    let last = db::last(tx, entry.account).await?;
    let currency = entry.amount.currency();
    if last.as_ref().is_some_and(|last| last.currency != currency.code()) {
        let detail = "The account's credit is in another currency.";
        return Err(Problem::conflict("other-currency", detail));
    }
    let before = last.as_ref().map_or(0, |last| last.balance);
    let after = before.checked_add(entry.amount.minor()).filter(|after| *after >= 0);
    let after = after.ok_or_else(|| {
        let balance = Money::from_minor(before, currency).display();
        Problem::conflict("not-enough-credit", format!("The balance is {balance}."))
    })?;
    let seq = last.map_or(1, |last| last.seq + 1);
    db::insert(tx, &entry, (seq, before, after), now).await
}

/// Balances and the newest entries of a tenant's accounts.
pub async fn read(app: &App, tenant: TenantId) -> Result<Credits, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let entries = db::entries(&mut tx, ENTRIES_MAX).await?;
    let balances = db::balances(&mut tx).await?;
    tx.commit().await?;
    Ok(Credits { balances, entries })
}

/// Adds credit that was paid ahead or is granted, or takes out what is paid back.
pub async fn create(
    app: &App,
    call: &Call,
    tenant: TenantId,
    new: NewCredit,
) -> Result<Credits, Problem> {
    if new.note.trim().is_empty() || new.note.chars().count() > 2_000 {
        return Err(Problem::field("/note", "Give 1 to 2000 characters."));
    }
    let mut tx = app.db().tenant(tenant).await?;
    let account = match new.billing_account {
        Some(id) => tenants::organisation::require_account(&mut tx, id).await?.id,
        None => db::only_account(&mut tx).await?.ok_or_else(|| {
            Problem::field("/billing_account", "Say which of the tenant's billing accounts.")
        })?,
    };
    let payer = tax::db::payer(&mut tx, account).await?;
    let currency = Currency::from_code(&payer.currency).map_err(Problem::internal)?;
    let amount = Money::exact(new.amount, currency)
        .map_err(|error| Problem::field("/amount", format!("{error}.")))?;
    if amount.minor() <= 0 {
        return Err(Problem::field("/amount", "Give an amount above zero."));
    }
    let amount = match new.kind {
        CreditKind::Refund => amount.checked_neg().map_err(Problem::internal)?,
        CreditKind::Prepayment | CreditKind::Grant => amount,
    };
    lock(&mut tx, account, currency).await?;
    let note = new.note.trim().to_owned();
    let entry = Entry { account, amount, kind: new.kind.word(), invoice: None, note };
    add(&mut tx, entry, call.now).await?;
    let after =
        Credits { entries: db::entries(&mut tx, 1).await?, balances: db::balances(&mut tx).await? };
    let change = Change::created("credit.added", account, &after.entries);
    trail::record(app, &mut tx, call, change).await?;
    idempotency::remember(app, &mut tx, call, StatusCode::CREATED, &after).await?;
    tx.commit().await?;
    Ok(after)
}
