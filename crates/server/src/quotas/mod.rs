//! Quotas: how much of a limit is used and held, and refusing more where the
//! plan says so.
//!
//! One row a (subscription, meter, window) holds what was recorded and what is
//! held. Recording a usage event and counting it are one transaction
//! ([`count()`], called by `usage`), so the check and the record cannot diverge.
//! A reservation's name is the name of the usage event that it becomes; one that
//! is a slice ([`slices`]) becomes many.
//!
//! Owns: reserve, commit, release, expire; consuming in one step; announcing
//! thresholds. Refuses: more than a limit that blocks. Usage that is reported
//! all the same is counted: it happened.
//!
//! Locks are taken in one order everywhere: reservation, rollups, counters by
//! (meter, window).

pub mod api;
pub(crate) mod attention;
mod commit;
mod consume;
mod count;
mod db;
mod expiry;
mod limited;
mod reserve;
pub mod slices;
pub mod slices_api;
mod slices_db;
pub(crate) mod standing;
pub(crate) mod upgrade;

use jiff::Timestamp;
use tenure_api::quota::Quotas;
use tenure_catalog::{Over, resolve};
use tenure_core::{SubscriptionId, TenantId};
use tenure_license::Environment;

use self::limited::Limited;
pub use self::{
    commit::{commit, release},
    consume::consume,
    reserve::reserve,
};
pub(crate) use self::{
    count::{Reading, count, recount},
    expiry::expire,
};
use crate::{
    App,
    http::Problem,
    subscriptions::{
        entitlements::{Situation, known_situation},
        not_resolved,
    },
};

/// Longest id of a reservation, in bytes: that of an event.
pub const ID_LEN_MAX: usize = 256;
/// Longest source, in bytes.
pub const SOURCE_LEN_MAX: usize = 512;
/// The source of events that name none.
pub const SOURCE_DEFAULT: &str = "/quota";
/// Longest time that a part is held, in seconds.
pub const HELD_SECONDS_MAX: u32 = 24 * 60 * 60;
/// Time that a part is held when the caller does not say, in seconds.
pub const HELD_SECONDS_DEFAULT: u32 = 300;

/// Every quota of a subscription, as it stands.
pub async fn list(
    app: &App,
    tenant: TenantId,
    subscription: SubscriptionId,
    environment: Environment,
) -> Result<Quotas, Problem> {
    let now = app.now();
    let situation = known_situation(app, tenant, subscription).await?;
    let entitlements =
        resolve(&situation.catalog.product, &situation.terms, now).map_err(not_resolved)?;
    let mut tx = app.db().tenant(tenant).await?;
    let mut items = Vec::new();
    for limited in Limited::all(&situation, &entitlements)? {
        if limited.limit.is_none() {
            continue;
        }
        let window = limited.window(&situation, now)?;
        let counter =
            count::current(&mut tx, &situation, environment, &limited, window, now).await?;
        items.push(limited.told(window, &counter));
    }
    tx.commit().await?;
    Ok(Quotas { items })
}

/// 403 where access is withheld: nothing new is begun then.
fn refuse_withheld(situation: &Situation, now: Timestamp) -> Result<(), Problem> {
    match situation.is_withheld(now) {
        true => Err(Problem::forbidden(situation.why_withheld(now))),
        false => Ok(()),
    }
}

/// Whether the limit refuses what goes past it.
fn blocks(limited: &Limited<'_>) -> bool {
    limited.limit.is_some_and(|limit| limit.over == Over::Block && limit.included.is_some())
}

/// Source and id of the event that something becomes, checked.
fn check_name(id: Option<&str>, source: Option<&str>) -> Result<(), Problem> {
    for (pointer, text, len_max) in [("/id", id, ID_LEN_MAX), ("/source", source, SOURCE_LEN_MAX)] {
        let Some(text) = text else { continue };
        let plain = !text.bytes().any(|byte| byte.is_ascii_control());
        if text.is_empty() || text.len() > len_max || !plain {
            let detail = format!("1 to {len_max} bytes, without control characters.");
            return Err(Problem::field(pointer, detail));
        }
    }
    Ok(())
}
