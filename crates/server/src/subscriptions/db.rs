//! SQL of subscriptions, items, contracts and API keys.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use rust_decimal::Decimal;
use tenure_catalog::Model;
use tenure_core::{
    ApiKeyId, Currency, Interval, ProductId, Quantity, SubscriptionId, SubscriptionStatus,
};
use tenure_tenancy::TenantTx;

use super::{
    contracts::ContractRecord,
    keys::ApiKeyRecord,
    model::{Item, Subscription},
    timeline,
};
use crate::http::Problem;

pub(super) async fn count(tx: &mut TenantTx) -> Result<usize, Problem> {
    let tenant = tx.tenant().uuid();
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM subscriptions WHERE tenant_id = $1"#,
        tenant
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

pub(super) async fn next_customer_number(
    tx: &mut TenantTx,
    product: ProductId,
) -> Result<i32, Problem> {
    let number = sqlx::query_scalar!(
        "INSERT INTO customer_numbers AS c (product_id, last) VALUES ($1, 1)
         ON CONFLICT (product_id) DO UPDATE SET last = c.last + 1 RETURNING last",
        product.uuid()
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(number)
}

pub(super) async fn insert(
    tx: &mut TenantTx,
    subscription: &Subscription,
    product: ProductId,
) -> Result<(), Problem> {
    let s = subscription;
    sqlx::query!(
        "INSERT INTO subscriptions (tenant_id, id, product_id, catalog_version_id, plan, model, mode,
             status, billing_account_id, anchor, interval, term_years, prepaid, hard_stops,
             customer_number, trial_ends_at, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $17)",
        s.tenant_id.uuid(),
        s.id.uuid(),
        product.uuid(),
        s.catalog_version_id.uuid(),
        s.plan,
        s.model.word(),
        s.mode,
        s.status.word(),
        s.billing_account_id.uuid(),
        s.anchor.to_sqlx(),
        s.interval.word(),
        s.term_years,
        s.prepaid,
        &s.hard_stops,
        s.customer_number,
        s.trial_ends_at.map(|at| at.to_sqlx()) as _,
        s.created_at.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    for item in &s.items {
        insert_item(tx, s.id, item, s.created_at).await?;
    }
    timeline::record(tx, Some(s.id), s.anchor).await
}

pub(super) async fn insert_item(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    item: &Item,
    now: Timestamp,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "INSERT INTO subscription_items
             (tenant_id, id, subscription_id, charge, quantity, valid_from, valid_to, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        tenant,
        item.id.uuid(),
        subscription.uuid(),
        item.charge,
        item.quantity.value(),
        item.from.to_sqlx(),
        item.to.map(|at| at.to_sqlx()) as _,
        now.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Ends items, or takes away those that never began.
pub(super) async fn update_item_ends(tx: &mut TenantTx, items: &[Item]) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    for item in items {
        if item.to == Some(item.from) {
            sqlx::query!(
                "DELETE FROM subscription_items WHERE tenant_id = $1 AND id = $2",
                tenant,
                item.id.uuid()
            )
            .execute(&mut **tx)
            .await?;
            continue;
        }
        sqlx::query!(
            "UPDATE subscription_items SET valid_to = $3 WHERE tenant_id = $1 AND id = $2",
            tenant,
            item.id.uuid(),
            item.to.map(|at| at.to_sqlx()) as _
        )
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Every change of terms is a row of the timeline too.
pub(super) async fn update(tx: &mut TenantTx, subscription: &Subscription) -> Result<(), Problem> {
    let s = subscription;
    sqlx::query!(
        "UPDATE subscriptions SET catalog_version_id = $3, plan = $4, model = $5, mode = $6,
             status = $7, interval = $8, term_years = $9, prepaid = $10, hard_stops = $11,
             trial_ends_at = $12, cancelled_at = $13, updated_at = $14
         WHERE tenant_id = $1 AND id = $2",
        s.tenant_id.uuid(),
        s.id.uuid(),
        s.catalog_version_id.uuid(),
        s.plan,
        s.model.word(),
        s.mode,
        s.status.word(),
        s.interval.word(),
        s.term_years,
        s.prepaid,
        &s.hard_stops,
        s.trial_ends_at.map(|at| at.to_sqlx()) as _,
        s.cancelled_at.map(|at| at.to_sqlx()) as _,
        s.updated_at.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    timeline::record(tx, Some(s.id), s.updated_at).await
}

pub(super) async fn lock(tx: &mut TenantTx, id: SubscriptionId) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "SELECT id FROM subscriptions WHERE tenant_id = $1 AND id = $2 FOR UPDATE",
        tenant,
        id.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(())
}

pub(crate) async fn find(
    tx: &mut TenantTx,
    id: SubscriptionId,
) -> Result<Option<Subscription>, Problem> {
    Ok(select(tx, Some(id)).await?.into_iter().next())
}

pub(crate) async fn list(tx: &mut TenantTx) -> Result<Vec<Subscription>, Problem> {
    select(tx, None).await
}

async fn select(
    tx: &mut TenantTx,
    only: Option<SubscriptionId>,
) -> Result<Vec<Subscription>, Problem> {
    let tenant = tx.tenant();
    let rows = sqlx::query!(
        "SELECT s.id, s.catalog_version_id, s.plan, s.model, s.mode, s.status, s.billing_account_id,
             s.anchor, s.interval, s.term_years, s.prepaid, s.hard_stops, s.customer_number,
             s.trial_ends_at, s.cancelled_at, s.created_at, s.updated_at,
             p.slug AS product, v.version AS catalog_version, a.currency
         FROM subscriptions s
         JOIN products p ON p.id = s.product_id
         JOIN catalog_versions v ON v.id = s.catalog_version_id
         JOIN billing_accounts a ON a.tenant_id = s.tenant_id AND a.id = s.billing_account_id
         WHERE s.tenant_id = $1 AND ($2::uuid IS NULL OR s.id = $2) ORDER BY s.id DESC",
        tenant.uuid(),
        only.map(SubscriptionId::uuid)
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut items = items(tx, only).await?;
    Ok(rows
        .into_iter()
        .map(|row| Subscription {
            tenant_id: tenant,
            product: row.product,
            catalog_version: row.catalog_version,
            catalog_version_id: row.catalog_version_id,
            plan: row.plan,
            model: row.model.parse().unwrap_or(Model::Managed),
            mode: row.mode,
            status: row.status.parse().unwrap_or(SubscriptionStatus::Suspended),
            billing_account_id: row.billing_account_id,
            currency: Currency::from_code(&row.currency).unwrap_or(Currency::USD),
            anchor: row.anchor.to_jiff(),
            interval: if row.interval == "year" { Interval::Year } else { Interval::Month },
            term_years: row.term_years,
            prepaid: row.prepaid,
            hard_stops: row.hard_stops,
            customer_number: row.customer_number,
            trial_ends_at: row.trial_ends_at.map(|at| at.to_jiff()),
            cancelled_at: row.cancelled_at.map(|at| at.to_jiff()),
            created_at: row.created_at.to_jiff(),
            updated_at: row.updated_at.to_jiff(),
            items: items.extract_if(.., |(of, _)| *of == row.id).map(|(_, item)| item).collect(),
            id: row.id,
        })
        .collect())
}

async fn items(
    tx: &mut TenantTx,
    only: Option<SubscriptionId>,
) -> Result<Vec<(SubscriptionId, Item)>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        "SELECT id, subscription_id, charge, quantity, valid_from, valid_to FROM subscription_items
         WHERE tenant_id = $1 AND ($2::uuid IS NULL OR subscription_id = $2) ORDER BY id",
        tenant,
        only.map(SubscriptionId::uuid)
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let item = Item {
                id: row.id,
                charge: row.charge,
                quantity: quantity(row.quantity),
                from: row.valid_from.to_jiff(),
                to: row.valid_to.map(|at| at.to_jiff()),
            };
            (row.subscription_id, item)
        })
        .collect())
}

/// The column's type keeps quantities within their bounds.
fn quantity(value: Decimal) -> Quantity {
    Quantity::new(value).unwrap_or_default()
}

pub(super) async fn insert_contract(
    tx: &mut TenantTx,
    contract: &ContractRecord,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    let terms = serde_json::to_value(&contract.changes).map_err(Problem::internal)?;
    sqlx::query!(
        "INSERT INTO contracts (tenant_id, id, subscription_id, terms, reason, approver, valid_from,
             valid_to, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        tenant,
        contract.id.uuid(),
        contract.subscription_id.uuid(),
        terms,
        contract.reason,
        contract.approver,
        contract.valid_from.to_sqlx(),
        contract.valid_to.map(|at| at.to_sqlx()) as _,
        contract.created_at.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn end_contract(
    tx: &mut TenantTx,
    id: tenure_core::ContractId,
    to: Timestamp,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE contracts SET valid_to = $3 WHERE tenant_id = $1 AND id = $2",
        tenant,
        id.uuid(),
        to.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(crate) async fn contracts(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
) -> Result<Vec<ContractRecord>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        "SELECT id, subscription_id, terms, reason, approver, valid_from, valid_to, created_at
         FROM contracts WHERE tenant_id = $1 AND subscription_id = $2 ORDER BY id",
        tenant,
        subscription.uuid()
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(ContractRecord {
                id: row.id,
                subscription_id: row.subscription_id,
                changes: serde_json::from_value(row.terms).map_err(Problem::internal)?,
                reason: row.reason,
                approver: row.approver,
                valid_from: row.valid_from.to_jiff(),
                valid_to: row.valid_to.map(|at| at.to_jiff()),
                created_at: row.created_at.to_jiff(),
            })
        })
        .collect()
}

pub(super) async fn insert_key(
    tx: &mut TenantTx,
    key: &ApiKeyRecord,
    digest: &[u8],
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "INSERT INTO api_keys (tenant_id, id, subscription_id, environment, name, hint, digest,
             created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        tenant,
        key.id.uuid(),
        key.subscription_id.uuid(),
        key.environment.word(),
        key.name,
        key.hint,
        digest,
        key.created_at.to_sqlx(),
        key.expires_at.map(|at| at.to_sqlx()) as _
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn keys(
    tx: &mut TenantTx,
    only: Option<ApiKeyId>,
) -> Result<Vec<ApiKeyRecord>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        "SELECT id, subscription_id, environment, name, hint, created_at, expires_at, revoked_at,
             replaced_by
         FROM api_keys WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id = $2) ORDER BY id DESC",
        tenant,
        only.map(ApiKeyId::uuid)
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| ApiKeyRecord {
            id: row.id,
            subscription_id: row.subscription_id,
            environment: if row.environment == "live" {
                tenure_license::Environment::Live
            } else {
                tenure_license::Environment::Test
            },
            name: row.name,
            hint: row.hint,
            created_at: row.created_at.to_jiff(),
            expires_at: row.expires_at.map(|at| at.to_jiff()),
            revoked_at: row.revoked_at.map(|at| at.to_jiff()),
            replaced_by: row.replaced_by,
        })
        .collect())
}

pub(super) async fn update_key(tx: &mut TenantTx, key: &ApiKeyRecord) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE api_keys SET expires_at = $3, revoked_at = $4, replaced_by = $5
         WHERE tenant_id = $1 AND id = $2",
        tenant,
        key.id.uuid(),
        key.expires_at.map(|at| at.to_sqlx()) as _,
        key.revoked_at.map(|at| at.to_sqlx()) as _,
        key.replaced_by.map(ApiKeyId::uuid)
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
