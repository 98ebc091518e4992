//! SQL of units and billing accounts.

use jiff_sqlx::ToSqlx;
use tenure_core::{Currency, UnitId};
use tenure_tenancy::TenantTx;

use super::{BillingAccount, Unit, UnitKind};
use crate::http::Problem;

fn refused(error: sqlx::Error) -> Problem {
    match &error {
        sqlx::Error::Database(database) if database.is_unique_violation() => Problem::conflict(
            "name-taken",
            "A sibling has this name; names are unique beside each other.",
        ),
        _ => error.into(),
    }
}

pub(super) async fn units(tx: &mut TenantTx) -> Result<Vec<Unit>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        "SELECT id, parent_id, kind, name, created_at FROM units WHERE tenant_id = $1 ORDER BY id",
        tenant
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Unit {
            id: row.id,
            parent_id: row.parent_id,
            kind: if row.kind == "team" { UnitKind::Team } else { UnitKind::BusinessUnit },
            name: row.name,
            created_at: row.created_at.to_jiff(),
        })
        .collect())
}

pub(super) async fn insert_unit(tx: &mut TenantTx, unit: &Unit) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "INSERT INTO units (tenant_id, id, parent_id, kind, name, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        tenant,
        unit.id.uuid(),
        unit.parent_id.map(UnitId::uuid),
        unit.kind.word(),
        unit.name,
        unit.created_at.to_sqlx()
    )
    .execute(&mut **tx)
    .await
    .map_err(refused)?;
    Ok(())
}

pub(super) async fn update_unit(tx: &mut TenantTx, unit: &Unit) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE units SET parent_id = $3, name = $4 WHERE tenant_id = $1 AND id = $2",
        tenant,
        unit.id.uuid(),
        unit.parent_id.map(UnitId::uuid),
        unit.name
    )
    .execute(&mut **tx)
    .await
    .map_err(refused)?;
    Ok(())
}

pub(super) async fn delete_unit(tx: &mut TenantTx, id: UnitId) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!("DELETE FROM units WHERE tenant_id = $1 AND id = $2", tenant, id.uuid())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

pub(super) async fn accounts(tx: &mut TenantTx) -> Result<Vec<BillingAccount>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        "SELECT id, name, email, address, tax_id, currency, net_days, created_at, updated_at
         FROM billing_accounts WHERE tenant_id = $1 ORDER BY id",
        tenant
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| BillingAccount {
            id: row.id,
            name: row.name,
            email: row.email,
            address: row.address,
            tax_id: row.tax_id,
            currency: Currency::from_code(&row.currency).unwrap_or(Currency::USD),
            net_days: row.net_days,
            created_at: row.created_at.to_jiff(),
            updated_at: row.updated_at.to_jiff(),
        })
        .collect())
}

pub(super) async fn insert_account(
    tx: &mut TenantTx,
    account: &BillingAccount,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "INSERT INTO billing_accounts (tenant_id, id, name, email, address, tax_id, currency,
             net_days, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)",
        tenant,
        account.id.uuid(),
        account.name,
        account.email,
        account.address,
        account.tax_id,
        account.currency.code(),
        account.net_days,
        account.created_at.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn update_account(
    tx: &mut TenantTx,
    account: &BillingAccount,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE billing_accounts SET name = $3, email = $4, address = $5, tax_id = $6,
             net_days = $7, updated_at = $8 WHERE tenant_id = $1 AND id = $2",
        tenant,
        account.id.uuid(),
        account.name,
        account.email,
        account.address,
        account.tax_id,
        account.net_days,
        account.updated_at.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
