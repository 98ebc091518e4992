//! SQL of signing keys.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use serde_json::Value;
use tenure_core::{LicenseId, ProductId, SigningKeyId};
use tenure_tenancy::{TenantTx, VendorTx};

use super::{
    model::{Backend, LivingLicense},
    pkcs11::ModuleKey,
};
use crate::http::Problem;

/// Rows read at most; 16 are published, the others were withdrawn.
const ROWS_MAX: i64 = 200;

/// Where the private half of a key is.
#[derive(Debug, Clone)]
pub(super) enum Private {
    /// In the row, under the master key.
    Sealed(Vec<u8>),
    /// In a security module.
    Module(ModuleKey),
    /// Nowhere: the key was withdrawn.
    Gone,
}

pub(super) struct Row {
    pub(super) id: SigningKeyId,
    /// Later keys have higher ones.
    pub(super) seq: i64,
    pub(super) kid: String,
    pub(super) public_jwk: Value,
    pub(super) backend: Backend,
    pub(super) private: Private,
    pub(super) created_at: Timestamp,
    pub(super) signs_from: Option<Timestamp>,
    pub(super) withdrawn_at: Option<Timestamp>,
}

/// Writes a key down; answers its number.
pub(super) async fn insert(
    tx: &mut VendorTx,
    row: &Row,
    product: ProductId,
) -> Result<i64, Problem> {
    let (sealed, module) = match &row.private {
        Private::Sealed(sealed) => (Some(sealed), None),
        Private::Module(key) => (None, Some(key)),
        Private::Gone => (None, None),
    };
    let seq = sqlx::query_scalar!(
        "INSERT INTO signing_keys (id, product_id, kid, public_jwk, backend, sealed_private,
             module_token, module_key_id, module_key_label, created_at, signs_from)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING seq",
        row.id.uuid(),
        product.uuid(),
        row.kid,
        row.public_jwk,
        row.backend.word(),
        sealed,
        module.map(|key| key.token.as_str()),
        module.map(|key| key.id.as_slice()),
        module.map(|key| key.label.as_str()),
        row.created_at.to_sqlx() as _,
        row.signs_from.map(|at| at.to_sqlx()) as _
    )
    .fetch_one(&mut **tx)
    .await
    .map_err(|error| match &error {
        sqlx::Error::Database(database) if database.is_unique_violation() => super::known(&row.kid),
        _ => error.into(),
    })?;
    Ok(seq)
}

/// Every key of a product, the newest first.
pub(super) async fn of_product(tx: &mut VendorTx, product: ProductId) -> Result<Vec<Row>, Problem> {
    let rows = sqlx::query!(
        r#"SELECT id AS "id: SigningKeyId", seq, kid, public_jwk, backend, sealed_private, module_token,
               module_key_id, module_key_label, created_at AS "created_at: jiff_sqlx::Timestamp",
               signs_from AS "signs_from: jiff_sqlx::Timestamp",
               withdrawn_at AS "withdrawn_at: jiff_sqlx::Timestamp"
           FROM signing_keys WHERE product_id = $1
           ORDER BY withdrawn_at IS NOT NULL, seq DESC LIMIT $2"#,
        product.uuid(),
        ROWS_MAX
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let module = row.module_token.zip(row.module_key_id).zip(row.module_key_label);
            Row {
                id: row.id,
                seq: row.seq,
                kid: row.kid,
                public_jwk: row.public_jwk,
                backend: Backend::of_word(&row.backend),
                private: match (row.sealed_private, module) {
                    (Some(sealed), _) => Private::Sealed(sealed),
                    (None, Some(((token, id), label))) => {
                        Private::Module(ModuleKey { token, id, label })
                    }
                    (None, None) => Private::Gone,
                },
                created_at: row.created_at.to_jiff(),
                signs_from: row.signs_from.map(|at| at.to_jiff()),
                withdrawn_at: row.withdrawn_at.map(|at| at.to_jiff()),
            }
        })
        .collect())
}

/// Ends a key; its private half, if it is here, goes with it.
pub(super) async fn withdraw(
    tx: &mut VendorTx,
    key: SigningKeyId,
    at: Timestamp,
) -> Result<(), Problem> {
    sqlx::query!(
        "UPDATE signing_keys SET withdrawn_at = $2, sealed_private = NULL WHERE id = $1",
        key.uuid(),
        at.to_sqlx() as _
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Licenses whose newest revision was signed by `kid` and is not over: how many, and the first
/// of them by when they end. A license is over when its own policy ends everything.
pub(super) async fn living_by(
    tx: &mut VendorTx,
    kid: &str,
    now: Timestamp,
    limit: i64,
) -> Result<(i64, Vec<LivingLicense>), Problem> {
    let rows = sqlx::query!(
        r#"SELECT l.id AS "id: LicenseId", t.slug AS "slug!", r.revision,
               r.expires_at AS "expires_at: jiff_sqlx::Timestamp", count(*) OVER () AS "all!"
           FROM license_revisions r
           JOIN licenses l ON l.tenant_id = r.tenant_id AND l.id = r.license_id
                          AND l.revision = r.revision
           JOIN tenants t ON t.id = r.tenant_id
           WHERE r.kid = $1 AND l.status = 'active'
             AND r.expires_at + interval '1 second'
                 * coalesce((r.claims #>> '{expiry_policy,restricted_until_seconds}')::int, 0) > $2
           ORDER BY r.expires_at, l.id LIMIT $3"#,
        kid,
        now.to_sqlx() as _,
        limit
    )
    .fetch_all(&mut **tx)
    .await?;
    let all = rows.first().map_or(0, |row| row.all);
    let first = rows.into_iter().map(|row| LivingLicense {
        license: row.id,
        tenant: row.slug,
        revision: row.revision,
        expires_at: row.expires_at.to_jiff(),
    });
    Ok((all, first.collect()))
}

/// Until this transaction ends, no transaction that [`hold_published`] goes on.
pub(super) async fn stop_signing(tx: &mut VendorTx) -> Result<(), Problem> {
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtext('tenure signing keys'))")
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Whether a key is not withdrawn, and keeps it so until the transaction ends.
pub(super) async fn hold_published(tx: &mut TenantTx, kid: &str) -> Result<bool, Problem> {
    sqlx::query!("SELECT pg_advisory_xact_lock_shared(hashtext('tenure signing keys'))")
        .execute(&mut **tx)
        .await?;
    // A statement of its own: it sees what the holder of the lock committed.
    let published = sqlx::query_scalar!(
        r#"SELECT withdrawn_at IS NULL AS "published!" FROM signing_keys WHERE kid = $1"#,
        kid
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(published.unwrap_or(false))
}
