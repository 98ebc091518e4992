//! SQL of what was taken back.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use tenure_core::{LicenseId, ProductId};
use tenure_license::claims::Withdrawn;
use tenure_tenancy::{TenantTx, VendorTx};

use crate::http::Problem;

pub(super) async fn insert(
    tx: &mut TenantTx,
    product: ProductId,
    license: LicenseId,
    below: Option<u64>,
    at: Timestamp,
    forget_after: Timestamp,
) -> Result<(), Problem> {
    let below = i32::try_from(below.unwrap_or(0)).map_err(Problem::internal)?;
    sqlx::query!(
        "INSERT INTO license_withdrawals (product_id, license_id, below_revision, withdrawn_at, forget_after)
         VALUES ($1, $2, $3, $4, $5)",
        product.uuid(),
        license.uuid(),
        below,
        at.to_sqlx(),
        forget_after.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn product_of(
    tx: &mut TenantTx,
    license: LicenseId,
) -> Result<Option<ProductId>, Problem> {
    let tenant = tx.tenant().uuid();
    let product = sqlx::query_scalar!(
        "SELECT s.product_id FROM licenses l
         JOIN subscriptions s ON s.tenant_id = l.tenant_id AND s.id = l.subscription_id
         WHERE l.tenant_id = $1 AND l.id = $2",
        tenant,
        license.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(product)
}

/// When the last of a license's revisions ends, its time of grace included.
pub(super) async fn last_end(tx: &mut TenantTx, license: LicenseId) -> Result<Timestamp, Problem> {
    let tenant = tx.tenant().uuid();
    let end = sqlx::query_scalar!(
        r#"SELECT max(expires_at + coalesce((claims -> 'expiry_policy' ->> 'restricted_until_seconds')::int, 0)
               * interval '1 second') AS "end: jiff_sqlx::Timestamp"
           FROM license_revisions WHERE tenant_id = $1 AND license_id = $2"#,
        tenant,
        license.uuid()
    )
    .fetch_one(&mut **tx)
    .await?;
    end.map(|at| at.to_jiff()).ok_or_else(|| Problem::internal("a license has a revision"))
}

/// What was taken back of a product and may still be valid by itself.
pub(super) async fn entries(
    tx: &mut VendorTx,
    product: ProductId,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<Withdrawn>, Problem> {
    let rows = sqlx::query!(
        "SELECT license_id, below_revision, min(withdrawn_at) AS \"at!: jiff_sqlx::Timestamp\"
         FROM license_withdrawals WHERE product_id = $1 AND forget_after > $2
         GROUP BY license_id, below_revision ORDER BY license_id, below_revision LIMIT $3",
        product.uuid(),
        now.to_sqlx(),
        limit
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Withdrawn {
            license: row.license_id,
            below: u64::try_from(row.below_revision).ok().filter(|below| *below > 0),
            at: row.at.to_jiff(),
        })
        .collect())
}

/// The list that was signed last.
pub(super) struct Stored {
    pub(super) epoch: u64,
    pub(super) content: Vec<u8>,
    pub(super) token: String,
    pub(super) signed_at: Timestamp,
}

pub(super) async fn stored(
    tx: &mut VendorTx,
    product: ProductId,
) -> Result<Option<Stored>, Problem> {
    let row = sqlx::query!(
        "SELECT epoch, content, token, signed_at FROM revocation_lists WHERE product_id = $1",
        product.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| Stored {
        epoch: row.epoch.unsigned_abs(),
        content: row.content,
        token: row.token,
        signed_at: row.signed_at.to_jiff(),
    }))
}

/// Held while a list of the product is signed.
pub(super) async fn lock_product(tx: &mut VendorTx, product: ProductId) -> Result<(), Problem> {
    sqlx::query!("SELECT id FROM products WHERE id = $1 FOR NO KEY UPDATE", product.uuid())
        .fetch_optional(&mut **tx)
        .await?;
    Ok(())
}

pub(super) async fn store(
    tx: &mut VendorTx,
    product: ProductId,
    epoch: u64,
    content: &[u8],
    token: &str,
    now: Timestamp,
) -> Result<(), Problem> {
    let epoch = i64::try_from(epoch).map_err(Problem::internal)?;
    sqlx::query!(
        "INSERT INTO revocation_lists (product_id, epoch, content, token, signed_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (product_id) DO UPDATE SET epoch = excluded.epoch, content = excluded.content,
             token = excluded.token, signed_at = excluded.signed_at",
        product.uuid(),
        epoch,
        content,
        token,
        now.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn delete_before(tx: &mut VendorTx, now: Timestamp) -> Result<u64, Problem> {
    let done =
        sqlx::query!("DELETE FROM license_withdrawals WHERE forget_after <= $1", now.to_sqlx())
            .execute(&mut **tx)
            .await?;
    Ok(done.rows_affected())
}
