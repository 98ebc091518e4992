//! SQL of slices: reservations of an instance.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use rust_decimal::Decimal;
use tenure_core::{InstanceId, Period, SubscriptionId};
use tenure_license::Environment;
use tenure_tenancy::TenantTx;

use crate::http::Problem;

/// A reservation under the name of a slice.
pub(super) struct Kept {
    pub(super) instance: Option<InstanceId>,
    pub(super) meter_id: i32,
    pub(super) window: Period,
    pub(super) quantity: Decimal,
    pub(super) spent: Decimal,
    pub(super) held: bool,
    pub(super) expires_at: Timestamp,
}

/// The reservation of that name.
pub(super) async fn find(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    environment: Environment,
    id: &str,
) -> Result<Option<Kept>, Problem> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query!(
        "SELECT instance_id, meter_id, window_start, window_end, quantity, spent, status, expires_at
         FROM quota_reservations
         WHERE tenant_id = $1 AND subscription_id = $2 AND environment = $3 AND id = $4",
        tenant,
        subscription.uuid(),
        environment.word(),
        id
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| Kept {
        instance: row.instance_id.map(InstanceId::from_uuid),
        meter_id: row.meter_id,
        window: Period { start: row.window_start.to_jiff(), end: row.window_end.to_jiff() },
        quantity: row.quantity,
        spent: row.spent,
        held: row.status == "held",
        expires_at: row.expires_at.to_jiff(),
    }))
}

/// Says whose slice a reservation is.
pub(super) async fn belongs(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    environment: Environment,
    id: &str,
    instance: InstanceId,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE quota_reservations SET instance_id = $5
         WHERE tenant_id = $1 AND subscription_id = $2 AND environment = $3 AND id = $4",
        tenant,
        subscription.uuid(),
        environment.word(),
        id,
        instance.uuid()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Locks slices of an instance, in the order of their names.
pub(super) async fn lock(
    tx: &mut TenantTx,
    instance: InstanceId,
    names: &[&str],
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "SELECT id FROM quota_reservations
         WHERE tenant_id = $1 AND instance_id = $2 AND id = ANY($3)
         ORDER BY id FOR NO KEY UPDATE",
        tenant,
        instance.uuid(),
        names as &[&str]
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(())
}

/// Frees what was used of a slice that is still held.
pub(super) async fn spend(
    tx: &mut TenantTx,
    instance: InstanceId,
    name: &str,
    quantity: Decimal,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "WITH slice AS (
             SELECT subscription_id, environment, id, meter_id, window_start, window_end,
                 least(quantity, $4::numeric) AS less
             FROM quota_reservations
             WHERE tenant_id = $1 AND instance_id = $2 AND id = $3 AND status = 'held'),
           spent AS (
             UPDATE quota_reservations r SET quantity = r.quantity - s.less, spent = r.spent + $4
             FROM slice s WHERE r.tenant_id = $1 AND r.subscription_id = s.subscription_id
                 AND r.environment = s.environment AND r.id = s.id)
         UPDATE quota_counters c SET reserved = greatest(c.reserved - s.less, 0)
         FROM slice s WHERE c.tenant_id = $1 AND c.subscription_id = s.subscription_id
             AND c.environment = s.environment AND c.meter_id = s.meter_id
             AND c.window_start = s.window_start AND c.window_end = s.window_end",
        tenant,
        instance.uuid(),
        name,
        quantity
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Frees what will not be used: all but what was used and is not reported yet.
pub(super) async fn give_back(
    tx: &mut TenantTx,
    instance: InstanceId,
    name: &str,
    used: Decimal,
    now: Timestamp,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "WITH slice AS (
             SELECT subscription_id, environment, id, meter_id, window_start, window_end,
                 quantity - least(quantity, greatest($4::numeric - spent, 0)) AS less
             FROM quota_reservations
             WHERE tenant_id = $1 AND instance_id = $2 AND id = $3 AND status = 'held'
             FOR NO KEY UPDATE),
           less AS (
             UPDATE quota_reservations r SET quantity = r.quantity - s.less,
                 status = CASE WHEN r.quantity = s.less THEN 'released' ELSE r.status END,
                 ended_at = CASE WHEN r.quantity = s.less THEN $5::timestamptz END
             FROM slice s WHERE r.tenant_id = $1 AND r.subscription_id = s.subscription_id
                 AND r.environment = s.environment AND r.id = s.id)
         UPDATE quota_counters c SET reserved = greatest(c.reserved - s.less, 0)
         FROM slice s WHERE c.tenant_id = $1 AND c.subscription_id = s.subscription_id
             AND c.environment = s.environment AND c.meter_id = s.meter_id
             AND c.window_start = s.window_start AND c.window_end = s.window_end",
        tenant,
        instance.uuid(),
        name,
        used,
        now.to_sqlx() as jiff_sqlx::Timestamp
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
