//! The terms of a subscription through time: a row for every change, written in
//! the transaction that makes it. Rows are only added.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use tenure_catalog::{Model, invoicing::Entry};
use tenure_core::{CatalogVersionId, Interval, SubscriptionId, SubscriptionStatus};
use tenure_tenancy::TenantTx;

use crate::http::Problem;

/// Notes the terms as they are now, valid from `from` (or from the beginning of
/// the subscription, when that is later): of one subscription, or of all that are
/// not over, when the tenant itself changed.
pub(crate) async fn record(
    tx: &mut TenantTx,
    only: Option<SubscriptionId>,
    from: Timestamp,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "INSERT INTO subscription_terms (tenant_id, subscription_id, valid_from, catalog_version_id,
             plan, model, mode, interval, term_years, prepaid, hard_stops, zone, customer_class,
             status, recorded_at)
         SELECT s.tenant_id, s.id, greatest($3, s.anchor), s.catalog_version_id, s.plan, s.model,
             s.mode, s.interval, s.term_years, s.prepaid, s.hard_stops, t.time_zone,
             t.customer_class, s.status, s.updated_at
         FROM subscriptions s JOIN tenants t ON t.id = s.tenant_id
         WHERE s.tenant_id = $1
           AND (s.id = $2 OR ($2::uuid IS NULL AND s.status <> 'cancelled')) ORDER BY s.id",
        tenant,
        only.map(SubscriptionId::uuid),
        from.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The rows of a subscription, in the order in which they were written.
pub(crate) async fn read(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
) -> Result<Vec<Entry>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        "SELECT valid_from, catalog_version_id, plan, model, mode, interval, term_years, prepaid,
             hard_stops, zone, customer_class, status
         FROM subscription_terms WHERE tenant_id = $1 AND subscription_id = $2 ORDER BY seq",
        tenant,
        subscription.uuid()
    )
    .fetch_all(&mut **tx)
    .await?;
    let entries = rows.into_iter().map(|row| Entry {
        from: row.valid_from.to_jiff(),
        version: version_name(row.catalog_version_id),
        plan: row.plan,
        model: row.model.parse().unwrap_or(Model::Managed),
        mode: row.mode,
        interval: if row.interval == "year" { Interval::Year } else { Interval::Month },
        term_years: u32::try_from(row.term_years).unwrap_or(1),
        prepaid: row.prepaid,
        hard_stops: row.hard_stops,
        zone: row.zone,
        customer_class: row.customer_class,
        status: row.status.parse().unwrap_or(SubscriptionStatus::Suspended),
    });
    Ok(entries.collect())
}

/// The tenant's zone when the subscription began; none where no timeline was kept.
pub(crate) async fn first_zone(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
) -> Result<Option<String>, Problem> {
    let tenant = tx.tenant().uuid();
    let zone = sqlx::query_scalar!(
        "SELECT zone FROM subscription_terms WHERE tenant_id = $1 AND subscription_id = $2
         ORDER BY valid_from, seq DESC LIMIT 1",
        tenant,
        subscription.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(zone)
}

/// How inputs of invoices call a product version.
pub(crate) fn version_name(id: CatalogVersionId) -> String {
    id.to_string()
}
