//! SQL of the portal's sessions.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use tenure_core::{ApiKeyId, LicenseId, TenantId};
use tenure_tenancy::{AuthTx, TenantTx};

use super::Customer;
use crate::http::Problem;

/// A session to be opened.
pub(super) struct NewSession<'a> {
    pub(super) digest: &'a [u8],
    pub(super) customer: &'a Customer,
    pub(super) now: Timestamp,
    pub(super) expires_at: Timestamp,
}

/// Opens a session; what has ended goes, and so do the oldest past `max` of the same key.
pub(super) async fn insert(
    tx: &mut TenantTx,
    new: &NewSession<'_>,
    max: i64,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    let (license, key) = match new.customer {
        Customer::License(_, license) => (Some(license.uuid()), None),
        Customer::Key(key) => (None, Some(key.key.uuid())),
    };
    sqlx::query!(
        "DELETE FROM portal_sessions WHERE tenant_id = $1 AND (expires_at < $2 OR digest IN (
             SELECT digest FROM portal_sessions
             WHERE tenant_id = $1 AND (license_id = $3 OR api_key_id = $4)
             ORDER BY created_at DESC OFFSET $5))",
        tenant,
        new.now.to_sqlx(),
        license,
        key,
        max - 1
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "INSERT INTO portal_sessions (tenant_id, digest, license_id, api_key_id, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        tenant,
        new.digest,
        license,
        key,
        new.now.to_sqlx(),
        new.expires_at.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn delete(tx: &mut TenantTx, digest: &[u8]) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "DELETE FROM portal_sessions WHERE tenant_id = $1 AND digest = $2",
        tenant,
        digest
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What a session was opened with.
pub(super) struct Session {
    pub(super) tenant: TenantId,
    pub(super) license: Option<LicenseId>,
    pub(super) key: Option<ApiKeyId>,
}

pub(super) async fn find(
    tx: &mut AuthTx,
    digest: &[u8],
    now: Timestamp,
) -> Result<Option<Session>, Problem> {
    let row = sqlx::query!(
        r#"SELECT tenant_id AS "tenant: TenantId", license_id AS "license: LicenseId",
                  api_key_id AS "key: ApiKeyId"
           FROM portal_sessions WHERE digest = $1 AND expires_at > $2"#,
        digest,
        now.to_sqlx()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| Session { tenant: row.tenant, license: row.license, key: row.key }))
}
