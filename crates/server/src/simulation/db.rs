//! SQL of simulations.

use tenure_core::{ProductId, SubscriptionId, TenantId};
use tenure_tenancy::VendorTx;

use crate::http::Problem;

/// Subscriptions of a product that are in use, oldest first.
pub(super) async fn in_use(
    tx: &mut VendorTx,
    product: ProductId,
    limit: i64,
) -> Result<Vec<(TenantId, SubscriptionId)>, Problem> {
    let rows = sqlx::query!(
        r#"SELECT tenant_id AS "tenant_id: TenantId", id AS "id: SubscriptionId" FROM subscriptions
           WHERE product_id = $1 AND status IN ('active', 'past_due') ORDER BY id LIMIT $2"#,
        product.uuid(),
        limit
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.tenant_id, row.id)).collect())
}
