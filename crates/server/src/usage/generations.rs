//! Generations: what was recorded before a close, and what came after.
//!
//! Whatever is recorded belongs to the generation that is open. Closing waits
//! for the batches in flight and opens the next one, so a closed generation is
//! final: totals up to it come out the same for ever. Late usage, and usage
//! taken back, show up in a later generation.

use tenure_core::SubscriptionId;
use tenure_tenancy::TenantTx;

use crate::http::Problem;

/// Who else may record usage of the subscription until the transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum With {
    /// Other batches.
    Others,
    /// Nobody.
    Nobody,
}

/// Enters the subscription's usage and tells the open generation.
pub(super) async fn enter(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    with: With,
) -> Result<i32, Problem> {
    let alone = with == With::Nobody;
    let row = sqlx::query!(r#"SELECT usage_enter($1, $2) AS "open!""#, subscription.uuid(), alone)
        .fetch_one(&mut **tx)
        .await?;
    Ok(row.open)
}

/// Closes everything recorded so far; later events belong to the next
/// generation. Tells the closed one. Until the transaction ends, batches of
/// this subscription wait.
pub(crate) async fn close(tx: &mut TenantTx, subscription: SubscriptionId) -> Result<i32, Problem> {
    let closed = enter(tx, subscription, With::Nobody).await?;
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "INSERT INTO usage_generations (tenant_id, subscription_id, generation) VALUES ($1, $2, $3)
         ON CONFLICT (tenant_id, subscription_id) DO UPDATE SET generation = excluded.generation",
        tenant,
        subscription.uuid(),
        closed + 1
    )
    .execute(&mut **tx)
    .await?;
    Ok(closed)
}

/// The generation that is open.
pub(crate) async fn open(tx: &mut TenantTx, subscription: SubscriptionId) -> Result<i32, Problem> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query!(
        "SELECT generation FROM usage_generations WHERE tenant_id = $1 AND subscription_id = $2",
        tenant,
        subscription.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map_or(0, |row| row.generation))
}
