//! SQL of settlements.

use tenure_core::{SubscriptionId, TenantId};
use tenure_tenancy::VendorTx;

use crate::{http::Problem, usage::HORIZON_DAYS};

/// Ended subscriptions without an open period or a draft, of which something is known that no
/// closed period counted: usage in a later generation, a contract that was entered later, or
/// a correction whose invoice became void.
pub(super) async fn unsettled(
    tx: &mut VendorTx,
    limit: i64,
) -> Result<Vec<(TenantId, SubscriptionId)>, Problem> {
    // Periods are corrected as far back as usage is taken.
    let horizon_hours = i32::try_from(24 * HORIZON_DAYS).map_err(Problem::internal)?;
    let rows = sqlx::query!(
        "SELECT s.tenant_id, s.id FROM subscriptions s
         CROSS JOIN LATERAL (
             SELECT p.status, p.generation, p.closed_at, p.period_end FROM billing_periods p
             WHERE p.tenant_id = s.tenant_id AND p.subscription_id = s.id
             ORDER BY p.n DESC LIMIT 1) last
         WHERE s.status = 'cancelled' AND last.status = 'closed'
           AND NOT EXISTS (SELECT FROM invoices i WHERE i.tenant_id = s.tenant_id
               AND i.subscription_id = s.id AND i.status = 'draft')
           AND (EXISTS (SELECT FROM usage_rollups r WHERE r.tenant_id = s.tenant_id
                   AND r.subscription_id = s.id AND r.generation > last.generation)
             OR EXISTS (SELECT FROM contracts c WHERE c.tenant_id = s.tenant_id
                   AND c.subscription_id = s.id AND c.created_at > last.closed_at)
             OR EXISTS (SELECT FROM billing_periods p
                   LEFT JOIN invoices i ON i.tenant_id = p.tenant_id
                       AND i.subscription_id = p.subscription_id AND i.period_n = p.n
                   WHERE p.tenant_id = s.tenant_id AND p.subscription_id = s.id
                     AND p.terms_digest IS NULL
                     AND p.period_end > last.period_end - make_interval(hours => $2)
                     AND coalesce(i.status NOT IN ('void', 'uncollectible'), true)))
         ORDER BY s.id LIMIT $1",
        limit,
        horizon_hours
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.tenant_id, row.id)).collect())
}
