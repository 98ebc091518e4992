//! Which meters' single events were kept from the subscription's beginning.
//!
//! A product file says for how long single events of a meter are kept, and another version may
//! say otherwise. An event is stored as the version says that the subscription is on when it
//! comes; so all events of a meter are there when every version that the subscription was ever
//! on says so. Owns: that question, and whether events of a time may be gone. Refuses:
//! guessing: a meter that was once dropped by the month is treated as if it always were.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use tenure_core::SubscriptionId;
use tenure_tenancy::TenantTx;

use crate::http::Problem;

/// The numbers of the meters whose events are all kept.
pub(crate) async fn meters(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
) -> Result<BTreeSet<i32>, Problem> {
    let tenant = tx.tenant().uuid();
    let ids = sqlx::query_scalar!(
        "SELECT m.id FROM subscriptions s JOIN meters m ON m.product_id = s.product_id
         WHERE s.tenant_id = $1 AND s.id = $2 AND NOT EXISTS (
             SELECT FROM (
                 SELECT s.catalog_version_id UNION
                 SELECT t.catalog_version_id FROM subscription_terms t
                 WHERE t.tenant_id = s.tenant_id AND t.subscription_id = s.id) was
             JOIN catalog_versions v ON v.id = was.catalog_version_id
             CROSS JOIN LATERAL jsonb_array_elements(v.definition -> 'meters') d
             WHERE d ->> 'id' = m.slug AND d #>> '{aggregation,by}' <> 'time_weighted'
               AND coalesce(d ->> 'retention', 'standard') <> 'subscription')",
        tenant,
        subscription.uuid()
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(ids.into_iter().collect())
}

/// Whether events of that moment may be gone, of meters that are kept by the month.
pub(crate) async fn is_dropped(tx: &mut TenantTx, at: Timestamp) -> Result<bool, Problem> {
    // Events come up to minutes before their time, and any time after it.
    let row = sqlx::query!(
        r#"SELECT EXISTS (SELECT FROM usage_dropped_months
               WHERE (month + interval '1 month' + interval '1 day') AT TIME ZONE 'UTC' > $1) AS "dropped!""#,
        at.to_sqlx() as jiff_sqlx::Timestamp
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(row.dropped)
}
