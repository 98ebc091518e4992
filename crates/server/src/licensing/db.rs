//! SQL of licenses and their revisions.

use jiff_sqlx::ToSqlx;
use serde_json::Value;
use tenure_catalog::Model;
use tenure_core::{DeploymentId, LicenseId, SubscriptionId, TenantId};
use tenure_license::Digest;
use tenure_tenancy::{AuthTx, TenantTx};

use super::model::{License, LicenseStatus, Revision};
use crate::http::{Cursor, Problem};

struct Row {
    id: LicenseId,
    subscription_id: SubscriptionId,
    deployment_id: Option<DeploymentId>,
    model: String,
    status: String,
    revision: i32,
    key_hint: String,
    created_at: jiff_sqlx::Timestamp,
    revoked_at: Option<jiff_sqlx::Timestamp>,
    issued_at: jiff_sqlx::Timestamp,
    expires_at: jiff_sqlx::Timestamp,
}

/// What is not known to be in force is not.
fn status(word: &str) -> LicenseStatus {
    match word {
        "active" => LicenseStatus::Active,
        _ => LicenseStatus::Revoked,
    }
}

impl From<Row> for License {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            subscription_id: row.subscription_id,
            deployment_id: row.deployment_id,
            model: row.model.parse().unwrap_or(Model::SelfHosted),
            status: status(&row.status),
            revision: row.revision,
            key_hint: row.key_hint,
            created_at: row.created_at.to_jiff(),
            issued_at: row.issued_at.to_jiff(),
            expires_at: row.expires_at.to_jiff(),
            revoked_at: row.revoked_at.map(|at| at.to_jiff()),
        }
    }
}

pub(super) async fn count(tx: &mut TenantTx) -> Result<i64, Problem> {
    let tenant = tx.tenant().uuid();
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM licenses WHERE tenant_id = $1"#,
        tenant
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(count)
}

/// The secrets of a license: kept as a digest to be found by, and sealed to be shown again.
pub(super) struct KeyColumns<'a> {
    pub(super) digest: &'a [u8],
    pub(super) sealed: &'a [u8],
}

pub(super) async fn insert(
    tx: &mut TenantTx,
    license: &License,
    key: KeyColumns<'_>,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "INSERT INTO licenses (tenant_id, id, subscription_id, deployment_id, model, key_digest,
             key_hint, sealed_key, status, revision, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        tenant,
        license.id.uuid(),
        license.subscription_id.uuid(),
        license.deployment_id.map(DeploymentId::uuid),
        license.model.word(),
        key.digest,
        license.key_hint,
        key.sealed,
        license.status.word(),
        license.revision,
        license.created_at.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn update(tx: &mut TenantTx, license: &License) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE licenses SET status = $3, revision = $4, revoked_at = $5, model = $6
         WHERE tenant_id = $1 AND id = $2",
        tenant,
        license.id.uuid(),
        license.status.word(),
        license.revision,
        license.revoked_at.map(|at| at.to_sqlx()) as _,
        license.model.word()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn insert_revision(
    tx: &mut TenantTx,
    license: LicenseId,
    revision: &Revision,
    token: &str,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "INSERT INTO license_revisions
             (tenant_id, license_id, revision, kid, claims, token, issued_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        tenant,
        license.uuid(),
        revision.revision,
        revision.kid,
        revision.claims,
        token,
        revision.issued_at.to_sqlx(),
        revision.expires_at.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn find(tx: &mut TenantTx, id: LicenseId) -> Result<Option<License>, Problem> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        "SELECT l.id, l.subscription_id, l.deployment_id, l.model, l.status, l.revision, l.key_hint,
             l.created_at, l.revoked_at, r.issued_at, r.expires_at
         FROM licenses l
         JOIN license_revisions r
           ON r.tenant_id = l.tenant_id AND r.license_id = l.id AND r.revision = l.revision
         WHERE l.tenant_id = $1 AND l.id = $2",
        tenant,
        id.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(License::from))
}

pub(super) async fn list(tx: &mut TenantTx, cursor: Cursor) -> Result<Vec<License>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query_as!(
        Row,
        "SELECT l.id, l.subscription_id, l.deployment_id, l.model, l.status, l.revision, l.key_hint,
             l.created_at, l.revoked_at, r.issued_at, r.expires_at
         FROM licenses l
         JOIN license_revisions r
           ON r.tenant_id = l.tenant_id AND r.license_id = l.id AND r.revision = l.revision
         WHERE l.tenant_id = $1 AND ($2::uuid IS NULL OR l.id < $2)
         ORDER BY l.id DESC LIMIT $3",
        tenant,
        cursor.after,
        cursor.fetch()
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(License::from).collect())
}

/// The licenses of a subscription that were not taken back, newest first.
pub(super) async fn active(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
) -> Result<Vec<License>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query_as!(
        Row,
        "SELECT l.id, l.subscription_id, l.deployment_id, l.model, l.status, l.revision, l.key_hint,
             l.created_at, l.revoked_at, r.issued_at, r.expires_at
         FROM licenses l
         JOIN license_revisions r
           ON r.tenant_id = l.tenant_id AND r.license_id = l.id AND r.revision = l.revision
         WHERE l.tenant_id = $1 AND l.subscription_id = $2 AND l.status = 'active'
         ORDER BY l.id DESC",
        tenant,
        subscription.uuid()
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(License::from).collect())
}

pub(super) async fn revisions(
    tx: &mut TenantTx,
    license: LicenseId,
    limit: i64,
) -> Result<Vec<Revision>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        "SELECT revision, kid, claims, issued_at, expires_at FROM license_revisions
         WHERE tenant_id = $1 AND license_id = $2 ORDER BY revision DESC LIMIT $3",
        tenant,
        license.uuid(),
        limit
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Revision {
            revision: row.revision,
            kid: row.kid,
            issued_at: row.issued_at.to_jiff(),
            expires_at: row.expires_at.to_jiff(),
            claims: row.claims,
        })
        .collect())
}

/// The claims and the token of one revision.
pub(super) async fn token(
    tx: &mut TenantTx,
    license: LicenseId,
    revision: i32,
) -> Result<Option<(Value, String)>, Problem> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query!(
        "SELECT claims, token FROM license_revisions
         WHERE tenant_id = $1 AND license_id = $2 AND revision = $3",
        tenant,
        license.uuid(),
        revision
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| (row.claims, row.token)))
}

pub(super) async fn sealed_key(
    tx: &mut TenantTx,
    license: LicenseId,
) -> Result<Option<Vec<u8>>, Problem> {
    let tenant = tx.tenant().uuid();
    let sealed = sqlx::query_scalar!(
        "SELECT sealed_key FROM licenses WHERE tenant_id = $1 AND id = $2",
        tenant,
        license.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(sealed)
}

/// What a license is at the moment in which it is locked.
pub(super) struct Locked {
    pub(super) status: LicenseStatus,
    pub(super) revision: i32,
}

/// Locks a license, so that its slots are given out one by one.
pub(super) async fn lock(tx: &mut TenantTx, id: LicenseId) -> Result<Option<Locked>, Problem> {
    let tenant = tx.tenant().uuid();
    // As strong against another of its kind as FOR UPDATE, and in the way of no foreign key.
    let row = sqlx::query!(
        "SELECT status, revision FROM licenses WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE",
        tenant,
        id.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| Locked { status: status(&row.status), revision: row.revision }))
}

/// The license of a key, before its tenant is known.
pub(super) async fn by_key(
    tx: &mut AuthTx,
    digest: &Digest,
) -> Result<Option<(TenantId, LicenseId)>, Problem> {
    let row = sqlx::query!(
        "SELECT tenant_id, id FROM licenses WHERE key_digest = $1",
        &digest.as_bytes()[..]
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| (row.tenant_id, row.id)))
}
