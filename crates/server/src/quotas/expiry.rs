//! Giving back what nobody committed in time.
//!
//! A schedule looks every minute; whoever is refused looks at once, so a part that ran out
//! never stands in the way of another. Two that look at once share the work, because each
//! skips what the other has locked.

use jiff::{SignedDuration, Timestamp};
use tenure_tenancy::TenantTx;

use super::db;
use crate::{App, http::Problem};

/// Tenants of one look at most.
const TENANTS_MAX: i64 = 1_000;
/// Reservations of a tenant given back in one transaction at most.
const PARTS_MAX: i64 = 1_000;
/// Reservations that ended are kept for so long, to recognise a repeated request.
const KEPT: SignedDuration = SignedDuration::from_hours(35 * 24);

/// Gives back what ran out, of a bounded number of tenants; how many parts.
pub(crate) async fn expire(app: &App) -> Result<u64, Problem> {
    let now = app.now();
    let ended_before = now.checked_sub(KEPT).unwrap_or(Timestamp::MIN);
    let mut tx = app.db().vendor().await?;
    let due = db::tenants_due(&mut tx, now, ended_before, TENANTS_MAX).await?;
    tx.commit().await?;
    let mut expired = 0;
    for tenant in due {
        let mut tx = app.db().tenant(tenant).await?;
        expired += expire_own(&mut tx, now).await?;
        db::forget(&mut tx, ended_before, PARTS_MAX).await?;
        tx.commit().await?;
    }
    Ok(expired)
}

/// The same for the tenant of a transaction under way.
pub(super) async fn expire_own(tx: &mut TenantTx, now: Timestamp) -> Result<u64, Problem> {
    db::expire(tx, now, PARTS_MAX).await
}
