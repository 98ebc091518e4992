//! SQL of idempotency.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use tenure_tenancy::VendorTx;
use uuid::Uuid;

use crate::{http::Problem, unit::Unit};

pub(super) struct Saved {
    pub(super) request_digest: Vec<u8>,
    pub(super) status: i16,
    pub(super) sealed_response: Vec<u8>,
}

pub(super) async fn find(
    tx: &mut VendorTx,
    scope: Uuid,
    key: &str,
) -> Result<Option<Saved>, Problem> {
    let found = sqlx::query_as!(
        Saved,
        "SELECT request_digest, status, sealed_response FROM idempotency_keys
         WHERE scope = $1 AND key = $2",
        scope,
        key
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(found)
}

pub(super) async fn insert(
    tx: &mut impl Unit,
    scope: Uuid,
    key: &str,
    saved: &Saved,
    now: Timestamp,
) -> Result<(), Problem> {
    let tenant = tx.tenant_id().map(|tenant| tenant.uuid());
    sqlx::query!(
        "INSERT INTO idempotency_keys
             (scope, key, tenant_id, request_digest, status, sealed_response, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        scope,
        key,
        tenant,
        saved.request_digest,
        saved.status,
        saved.sealed_response,
        now.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn delete_before(tx: &mut VendorTx, before: Timestamp) -> Result<u64, Problem> {
    let done = sqlx::query!("DELETE FROM idempotency_keys WHERE created_at < $1", before.to_sqlx())
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected())
}
