//! SQL of deployments.

use jiff_sqlx::ToSqlx;
use serde_json::Value;
use tenure_tenancy::TenantTx;

use super::model::Deployment;
use crate::http::Problem;

pub(super) async fn insert(tx: &mut TenantTx, deployment: &Deployment) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    let d = deployment;
    sqlx::query!(
        "INSERT INTO deployments (tenant_id, id, subscription_id, name, model, mode, environment,
             region, release, status, resource_profile, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)",
        tenant,
        d.id.uuid(),
        d.subscription_id.uuid(),
        d.name,
        d.model.word(),
        d.mode,
        d.environment.word(),
        d.region,
        d.release,
        d.status.word(),
        Value::Object(d.resource_profile.clone()),
        d.created_at.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
