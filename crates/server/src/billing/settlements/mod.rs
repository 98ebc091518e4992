//! Settlements: what becomes known of an ended subscription after its last close.
//!
//! Behind the last period of an ended subscription nothing is open that would count what
//! comes late: usage that was under way, usage taken back, a contract with an earlier date.
//! Once there is something of that kind, a period is opened behind the last one. It charges
//! nothing of its own, and is closed, drafted and issued like every other; its invoice
//! holds the adjustments, and where they are none there is no invoice.
//!
//! Owns: when such a period is opened, and where it ends: with the month, counted from the
//! subscription's anchor, in which the late thing was found. So there is one invoice a
//! month at most, and none an event. Refuses: opening one beside an open period, or while a
//! draft is in its grace: that counts late usage by itself.

mod db;

use jiff::Timestamp;
use tenure_core::{Period, SubscriptionId, TenantId};

use super::periods::{self, Account};
use crate::{App, http::Problem, subscriptions};

/// Settlements opened in one go; the next goes on.
const OPENED_MAX: i64 = 500;

/// Opens a settlement for every ended subscription that needs one. Returns how many.
///
/// # Errors
/// What kept one of them from being opened; the others are.
pub(crate) async fn open_due(app: &App) -> Result<u64, Problem> {
    let mut tx = app.db().vendor().await?;
    let due = db::unsettled(&mut tx, OPENED_MAX).await?;
    tx.commit().await?;
    let (mut count, mut failed) = (0, None);
    for (tenant, subscription) in due {
        match open(app, tenant, subscription).await {
            Ok(opened) => count += u64::from(opened),
            Err(problem) => failed = Some(problem),
        }
    }
    failed.map_or(Ok(count), Err)
}

/// Opens a period behind the last one, unless another server did meanwhile.
async fn open(app: &App, tenant: TenantId, id: SubscriptionId) -> Result<bool, Problem> {
    let now = app.now();
    let mut tx = app.db().tenant(tenant).await?;
    // Who opens one is alone, from the look at what is there to the row.
    subscriptions::lock(&mut tx, id).await?;
    if periods::db::lock_open(&mut tx, id).await?.is_some() {
        return Ok(false);
    }
    let Some((n, start)) = periods::db::behind_last(&mut tx, id).await? else { return Ok(false) };
    let account = Account::read(app, &mut tx, id).await?;
    let end = ends(&account, now)?;
    if !account.is_over_at(start) || end <= start {
        return Ok(false);
    }
    periods::db::open(&mut tx, id, n, Period { start, end }).await?;
    tx.commit().await?;
    Ok(true)
}

fn ends(account: &Account, now: Timestamp) -> Result<Timestamp, Problem> {
    account.timeline.month_at(now).map(|month| month.end).map_err(Problem::internal)
}
