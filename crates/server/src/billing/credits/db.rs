//! SQL of credit.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use tenure_core::{BillingAccountId, Currency, InvoiceId, Money};
use tenure_tenancy::TenantTx;

use super::{
    Entry,
    model::{Balance, CreditEntry},
};
use crate::http::Problem;

pub(super) async fn lock_account(
    tx: &mut TenantTx,
    account: BillingAccountId,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "SELECT id FROM billing_accounts WHERE tenant_id = $1 AND id = $2 FOR UPDATE",
        tenant,
        account.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(())
}

/// The tenant's account, when it has one only.
pub(super) async fn only_account(tx: &mut TenantTx) -> Result<Option<BillingAccountId>, Problem> {
    let tenant = tx.tenant().uuid();
    let all =
        sqlx::query_scalar!("SELECT id FROM billing_accounts WHERE tenant_id = $1 LIMIT 2", tenant)
            .fetch_all(&mut **tx)
            .await?;
    Ok(all.first().copied().filter(|_| all.len() == 1))
}

/// The end of an account's chain of entries.
pub(super) struct Last {
    pub(super) seq: i32,
    pub(super) balance: i64,
    pub(super) currency: String,
}

pub(super) async fn last(
    tx: &mut TenantTx,
    account: BillingAccountId,
) -> Result<Option<Last>, Problem> {
    let tenant = tx.tenant().uuid();
    let last = sqlx::query_as!(
        Last,
        "SELECT seq, balance_minor AS balance, currency FROM credit_entries
         WHERE tenant_id = $1 AND billing_account_id = $2 ORDER BY seq DESC LIMIT 1",
        tenant,
        account.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(last)
}

pub(super) async fn insert(
    tx: &mut TenantTx,
    entry: &Entry,
    (seq, before, after): (i32, i64, i64),
    now: Timestamp,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "INSERT INTO credit_entries (tenant_id, billing_account_id, seq, after, balance_before_minor,
             amount_minor, balance_minor, currency, kind, invoice_id, note, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        tenant,
        entry.account.uuid(),
        seq,
        (seq > 1).then_some(seq - 1),
        before,
        entry.amount.minor(),
        after,
        entry.amount.currency().code(),
        entry.kind,
        entry.invoice.map(InvoiceId::uuid),
        entry.note,
        now.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn money(minor: i64, currency: &str) -> Result<Money, Problem> {
    let currency = Currency::from_code(currency).map_err(Problem::internal)?;
    Ok(Money::from_minor(minor, currency))
}

pub(super) async fn balances(tx: &mut TenantTx) -> Result<Vec<Balance>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        "SELECT DISTINCT ON (billing_account_id) billing_account_id, balance_minor, currency
         FROM credit_entries WHERE tenant_id = $1 ORDER BY billing_account_id, seq DESC",
        tenant
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let balance = money(row.balance_minor, &row.currency)?;
            Ok(Balance { billing_account_id: row.billing_account_id, balance })
        })
        .collect()
}

pub(super) async fn entries(tx: &mut TenantTx, limit: i64) -> Result<Vec<CreditEntry>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        "SELECT billing_account_id, seq, kind, amount_minor, balance_minor, currency, invoice_id, note,
             created_at
         FROM credit_entries WHERE tenant_id = $1
         ORDER BY created_at DESC, billing_account_id, seq DESC LIMIT $2",
        tenant,
        limit
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(CreditEntry {
                billing_account_id: row.billing_account_id,
                seq: row.seq,
                kind: row.kind,
                amount: money(row.amount_minor, &row.currency)?,
                balance: money(row.balance_minor, &row.currency)?,
                invoice_id: row.invoice_id,
                note: row.note,
                created_at: row.created_at.to_jiff(),
            })
        })
        .collect()
}
