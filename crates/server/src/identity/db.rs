//! SQL of credentials, sessions and key look-ups.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use tenure_core::{ApiKeyId, CredentialId};
use tenure_license::{Digest, Environment};
use tenure_tenancy::{AuthTx, VendorTx};

use super::{Credential, Principal, Role, StaffMember};
use crate::http::Problem;

fn role(text: &str) -> Role {
    if text == "admin" { Role::Admin } else { Role::Viewer }
}

pub(super) fn environment(text: &str) -> Environment {
    if text == "live" { Environment::Live } else { Environment::Test }
}

pub(super) async fn any_credential(tx: &mut VendorTx) -> Result<bool, Problem> {
    let any = sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM vendor_credentials) AS "any!""#)
        .fetch_one(&mut **tx)
        .await?;
    Ok(any)
}

pub(super) async fn insert_credential_if_new(
    tx: &mut VendorTx,
    credential: &Credential,
    digest: &[u8],
) -> Result<bool, Problem> {
    let done = sqlx::query!(
        "INSERT INTO vendor_credentials (id, name, role, digest, created_at)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (digest) DO NOTHING",
        credential.id.uuid(),
        credential.name,
        credential.role.word(),
        digest,
        credential.created_at.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn count_credentials(tx: &mut VendorTx) -> Result<i64, Problem> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM vendor_credentials WHERE revoked_at IS NULL"#
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(count)
}

pub(super) async fn count_admins(tx: &mut VendorTx) -> Result<i64, Problem> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM vendor_credentials
           WHERE revoked_at IS NULL AND role = 'admin'"#
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(count)
}

pub(super) async fn credentials(tx: &mut VendorTx, limit: i64) -> Result<Vec<Credential>, Problem> {
    let rows = sqlx::query!(
        "SELECT id, name, role, created_at, revoked_at FROM vendor_credentials
         ORDER BY id DESC LIMIT $1",
        limit
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Credential {
            id: row.id,
            name: row.name,
            role: role(&row.role),
            created_at: row.created_at.to_jiff(),
            revoked_at: row.revoked_at.map(|at| at.to_jiff()),
        })
        .collect())
}

pub(super) async fn lock_credential(
    tx: &mut VendorTx,
    id: CredentialId,
) -> Result<Option<Credential>, Problem> {
    // All admins are locked, so that two requests cannot end the last two at once.
    sqlx::query!("SELECT id FROM vendor_credentials WHERE role = 'admin' ORDER BY id FOR UPDATE")
        .fetch_all(&mut **tx)
        .await?;
    let row = sqlx::query!(
        "SELECT id, name, role, created_at, revoked_at FROM vendor_credentials WHERE id = $1",
        id.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| Credential {
        id: row.id,
        name: row.name,
        role: role(&row.role),
        created_at: row.created_at.to_jiff(),
        revoked_at: row.revoked_at.map(|at| at.to_jiff()),
    }))
}

pub(super) async fn revoke_credential(
    tx: &mut VendorTx,
    id: CredentialId,
    now: Timestamp,
) -> Result<(), Problem> {
    sqlx::query!(
        "UPDATE vendor_credentials SET revoked_at = $2 WHERE id = $1",
        id.uuid(),
        now.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!("DELETE FROM vendor_sessions WHERE credential_id = $1", id.uuid())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

pub(super) async fn staff_by_digest(
    tx: &mut AuthTx,
    digest: &[u8],
) -> Result<Option<StaffMember>, Problem> {
    let row = sqlx::query!(
        "SELECT id, name, role FROM vendor_credentials WHERE digest = $1 AND revoked_at IS NULL",
        digest
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| StaffMember { id: row.id, name: row.name, role: role(&row.role) }))
}

pub(super) async fn principal(tx: &mut AuthTx, id: ApiKeyId) -> Result<Option<Principal>, Problem> {
    let row = sqlx::query!(
        "SELECT tenant_id, id, subscription_id, environment, digest, expires_at, revoked_at
         FROM api_keys WHERE id = $1",
        id.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.and_then(|row| {
        let ends = [row.expires_at, row.revoked_at].into_iter().flatten();
        Some(Principal {
            key: row.id,
            tenant: row.tenant_id,
            subscription: row.subscription_id,
            environment: environment(&row.environment),
            expires_at: ends.map(|at| at.to_jiff()).min(),
            digest: Digest::from_slice(&row.digest)?,
        })
    }))
}

pub(super) async fn insert_session(
    tx: &mut VendorTx,
    digest: &[u8],
    credential: CredentialId,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<(), Problem> {
    sqlx::query!("DELETE FROM vendor_sessions WHERE expires_at < $1", now.to_sqlx())
        .execute(&mut **tx)
        .await?;
    sqlx::query!(
        "INSERT INTO vendor_sessions (digest, credential_id, created_at, expires_at)
         VALUES ($1, $2, $3, $4)",
        digest,
        credential.uuid(),
        now.to_sqlx(),
        expires_at.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn delete_session(tx: &mut VendorTx, digest: &[u8]) -> Result<(), Problem> {
    sqlx::query!("DELETE FROM vendor_sessions WHERE digest = $1", digest)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

pub(super) async fn staff_by_session(
    tx: &mut AuthTx,
    digest: &[u8],
    now: Timestamp,
) -> Result<Option<StaffMember>, Problem> {
    let row = sqlx::query!(
        "SELECT c.id, c.name, c.role
         FROM vendor_sessions s JOIN vendor_credentials c ON c.id = s.credential_id
         WHERE s.digest = $1 AND s.expires_at > $2 AND c.revoked_at IS NULL",
        digest,
        now.to_sqlx()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| StaffMember { id: row.id, name: row.name, role: role(&row.role) }))
}
