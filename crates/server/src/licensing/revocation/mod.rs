//! What was taken back.

use jiff::{SignedDuration, Timestamp};
use jiff_sqlx::ToSqlx;
use tenure_catalog::Product;
use tenure_core::{LicenseId, ProductId};
use tenure_tenancy::TenantTx;

use crate::http::Problem;

/// A license, or its older revisions, to be taken back.
pub(super) struct Withdrawal {
    pub(super) product: ProductId,
    pub(super) license: LicenseId,
    /// Only revisions lower than this.
    pub(super) below: Option<u64>,
    pub(super) at: Timestamp,
    /// When what was issued ends by itself.
    pub(super) expires_at: Timestamp,
}

/// Takes it back in the caller's transaction.
pub(super) async fn withdraw(
    tx: &mut TenantTx,
    product: &Product,
    what: Withdrawal,
) -> Result<(), Problem> {
    let days = i64::from(product.license.expiry.restricted_until_days) + 1;
    let margin = SignedDuration::from_hours(24 * days);
    let forget_after = what.expires_at.checked_add(margin).unwrap_or(Timestamp::MAX);
    sqlx::query!(
        "INSERT INTO license_withdrawals
             (product_id, license_id, below_revision, withdrawn_at, forget_after)
         VALUES ($1, $2, $3, $4, $5)",
        what.product.uuid(),
        what.license.uuid(),
        i32::try_from(what.below.unwrap_or(0)).map_err(Problem::internal)?,
        what.at.to_sqlx(),
        forget_after.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
