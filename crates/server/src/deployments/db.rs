//! SQL of deployments and of what is sealed for them.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use serde_json::Value;
use tenure_catalog::Model;
use tenure_core::{DeploymentId, SubscriptionId};
use tenure_license::Environment;
use tenure_tenancy::TenantTx;

use super::model::{Deployment, DeploymentStatus};
use crate::http::{Cursor, Problem};

struct Row {
    id: DeploymentId,
    subscription_id: SubscriptionId,
    name: String,
    model: String,
    mode: Option<String>,
    environment: String,
    region: Option<String>,
    release: Option<String>,
    status: String,
    resource_profile: Value,
    created_at: jiff_sqlx::Timestamp,
    updated_at: jiff_sqlx::Timestamp,
}

impl From<Row> for Deployment {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            subscription_id: row.subscription_id,
            name: row.name,
            model: row.model.parse().unwrap_or(Model::Managed),
            mode: row.mode,
            environment: match row.environment.as_str() {
                "test" => Environment::Test,
                _ => Environment::Live,
            },
            region: row.region,
            release: row.release,
            status: DeploymentStatus::read(&row.status),
            resource_profile: match row.resource_profile {
                Value::Object(fields) => fields,
                _ => serde_json::Map::new(),
            },
            created_at: row.created_at.to_jiff(),
            updated_at: row.updated_at.to_jiff(),
        }
    }
}

/// Named constraints that a caller can run into.
fn refused(error: sqlx::Error) -> Problem {
    match &error {
        sqlx::Error::Database(database)
            if database.constraint() == Some("deployments_name_unique") =>
        {
            let detail = "Another deployment of this subscription has this name; give another one.";
            Problem::conflict("name-taken", detail)
        }
        _ => error.into(),
    }
}

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
    .await
    .map_err(refused)?;
    Ok(())
}

pub(super) async fn update(tx: &mut TenantTx, deployment: &Deployment) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    let d = deployment;
    sqlx::query!(
        "UPDATE deployments SET name = $3, mode = $4, region = $5, release = $6, status = $7,
             resource_profile = $8, updated_at = $9, model = $10
         WHERE tenant_id = $1 AND id = $2",
        tenant,
        d.id.uuid(),
        d.name,
        d.mode,
        d.region,
        d.release,
        d.status.word(),
        Value::Object(d.resource_profile.clone()),
        d.updated_at.to_sqlx(),
        d.model.word()
    )
    .execute(&mut **tx)
    .await
    .map_err(refused)?;
    Ok(())
}

pub(super) async fn count_in_use(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
) -> Result<i64, Problem> {
    let tenant = tx.tenant().uuid();
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM deployments
           WHERE tenant_id = $1 AND subscription_id = $2 AND status <> 'retired'"#,
        tenant,
        subscription.uuid()
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(count)
}

pub(crate) async fn find(
    tx: &mut TenantTx,
    id: DeploymentId,
) -> Result<Option<Deployment>, Problem> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        "SELECT id, subscription_id, name, model, mode, environment, region, release, status,
             resource_profile, created_at, updated_at
         FROM deployments WHERE tenant_id = $1 AND id = $2",
        tenant,
        id.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(Deployment::from))
}

/// The deployment, and nobody else changes it until this unit of work ends. The
/// subscription is locked first, as everywhere: two orders would deadlock.
pub(super) async fn lock(
    tx: &mut TenantTx,
    id: DeploymentId,
) -> Result<Option<Deployment>, Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "SELECT s.id FROM subscriptions s
         WHERE s.tenant_id = $1 AND s.id = (
             SELECT d.subscription_id FROM deployments d WHERE d.tenant_id = $1 AND d.id = $2)
         FOR UPDATE",
        tenant,
        id.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    find(tx, id).await
}

/// The deployments of a subscription that are not retired.
pub(super) async fn in_use(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
) -> Result<Vec<Deployment>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, subscription_id, name, model, mode, environment, region, release, status,
             resource_profile, created_at, updated_at
         FROM deployments
         WHERE tenant_id = $1 AND subscription_id = $2 AND status <> 'retired' ORDER BY id",
        tenant,
        subscription.uuid()
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(Deployment::from).collect())
}

pub(super) async fn list(tx: &mut TenantTx, cursor: Cursor) -> Result<Vec<Deployment>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, subscription_id, name, model, mode, environment, region, release, status,
             resource_profile, created_at, updated_at
         FROM deployments WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id < $2)
         ORDER BY id DESC LIMIT $3",
        tenant,
        cursor.after,
        cursor.fetch()
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(Deployment::from).collect())
}

/// That a secret is there; never what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Secret {
    /// `resource.field`
    pub(crate) field: String,
    pub(crate) version: i32,
    pub(crate) set: bool,
}

pub(super) async fn secrets(
    tx: &mut TenantTx,
    owner: DeploymentId,
) -> Result<Vec<Secret>, Problem> {
    let tenant = tx.tenant().uuid();
    let secrets = sqlx::query_as!(
        Secret,
        r#"SELECT field, version, sealed IS NOT NULL AS "set!" FROM sealed_secrets
           WHERE tenant_id = $1 AND owner_id = $2 ORDER BY field"#,
        tenant,
        owner.uuid()
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(secrets)
}

/// Writes a version of a secret; `None` clears it.
pub(super) async fn put_secret(
    tx: &mut TenantTx,
    owner: DeploymentId,
    field: &str,
    version: i32,
    sealed: Option<&[u8]>,
    now: Timestamp,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "INSERT INTO sealed_secrets (tenant_id, owner_id, field, version, sealed, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (tenant_id, owner_id, field)
         DO UPDATE SET version = $4, sealed = $5, created_at = $6",
        tenant,
        owner.uuid(),
        field,
        version,
        sealed,
        now.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn destroy_secrets(
    tx: &mut TenantTx,
    owner: DeploymentId,
    now: Timestamp,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE sealed_secrets SET version = version + 1, sealed = NULL, created_at = $3
         WHERE tenant_id = $1 AND owner_id = $2 AND sealed IS NOT NULL",
        tenant,
        owner.uuid(),
        now.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
