//! Counting what was recorded, in the transaction that records it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::Serialize;
use tenure_catalog::resolve;
use tenure_core::{Period, SubscriptionId};
use tenure_license::Environment;
use tenure_tenancy::TenantTx;

use super::{
    Limited,
    db::{self, Added, Counter},
};
use crate::{
    App,
    call::Call,
    http::Problem,
    subscriptions::{entitlements::Situation, not_resolved},
    trail::{self, Change},
    usage::windows::{Asked, windows},
};

/// What one event adds to one meter; negative where an event is taken back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) meter_id: i32,
    pub(crate) at: Timestamp,
    pub(crate) quantity: Decimal,
}

/// A threshold of a limit was reached, once a window.
#[derive(Debug, Serialize)]
struct Reached<'a> {
    subscription: SubscriptionId,
    meter: &'a str,
    /// The threshold.
    percent: u32,
    used: Decimal,
    limit: Decimal,
    window_start: Timestamp,
    resets_at: Timestamp,
}

/// Counts what the caller's transaction has just recorded, rollups included.
pub(crate) async fn count(
    app: &App,
    tx: &mut TenantTx,
    situation: &Situation,
    environment: Environment,
    readings: impl Iterator<Item = Reading>,
    now: Timestamp,
) -> Result<(), Problem> {
    let entitlements =
        resolve(&situation.catalog.product, &situation.terms, now).map_err(not_resolved)?;
    let all = Limited::all(situation, &entitlements)?;
    let added = by_window(situation, &all, readings)?;
    if added.is_empty() {
        return Ok(());
    }
    let rows: Vec<Added> = added.into_values().collect();
    let terms_at = situation.subscription.updated_at;
    let counters = db::add(tx, situation.subscription.id, environment, terms_at, &rows).await?;
    for counter in counters {
        let Some(limited) = all.iter().find(|one| one.meter_id == counter.meter_id) else {
            continue;
        };
        let counter = seeded(tx, situation, environment, limited, counter, now).await?;
        announce(app, tx, situation, environment, limited, &counter, now).await?;
    }
    Ok(())
}

/// Reads counters anew from what is recorded, where events were taken back.
pub(crate) async fn recount(
    tx: &mut TenantTx,
    situation: &Situation,
    changed: &[(i32, Timestamp)],
    now: Timestamp,
) -> Result<(), Problem> {
    let entitlements =
        resolve(&situation.catalog.product, &situation.terms, now).map_err(not_resolved)?;
    let all = Limited::all(situation, &entitlements)?;
    let nothing = |(meter_id, at): &(i32, Timestamp)| Reading {
        meter_id: *meter_id,
        at: *at,
        quantity: Decimal::ZERO,
    };
    let rows: Vec<Added> =
        by_window(situation, &all, changed.iter().map(nothing))?.into_values().collect();
    if rows.is_empty() {
        return Ok(());
    }
    let (subscription, live) = (situation.subscription.id, Environment::Live);
    let terms_at = situation.subscription.updated_at;
    for counter in db::add(tx, subscription, live, terms_at, &rows).await? {
        let limited = all.iter().find(|one| one.meter_id == counter.meter_id);
        let Some(limited) = limited else { continue };
        let used = recorded(tx, situation, limited, counter.window, now).await?;
        db::seed(tx, subscription, live, &counter, used, terms_at).await?;
    }
    Ok(())
}

type Key = (i32, Timestamp);

/// What each window gains, by meter and start: the order in which rows are locked.
fn by_window(
    situation: &Situation,
    all: &[Limited<'_>],
    readings: impl Iterator<Item = Reading>,
) -> Result<BTreeMap<Key, Added>, Problem> {
    let mut added: BTreeMap<Key, Added> = BTreeMap::new();
    // Events of a batch lie close together: the last window of each meter mostly fits again.
    let mut last: BTreeMap<i32, Period> = BTreeMap::new();
    for reading in readings {
        let known = last.get(&reading.meter_id).filter(|window| window.contains(reading.at));
        let window = match known {
            Some(window) => *window,
            None => {
                let limited = all.iter().find(|one| one.meter_id == reading.meter_id);
                let Some(limited) = limited else { continue };
                let window = limited.window(situation, reading.at)?;
                last.insert(reading.meter_id, window);
                window
            }
        };
        let row = added.entry((reading.meter_id, window.start)).or_insert(Added {
            meter_id: reading.meter_id,
            window,
            quantity: Decimal::ZERO,
        });
        row.quantity += reading.quantity;
    }
    Ok(added)
}

/// The counter of a window, locked, and right also where nobody counted before.
pub(super) async fn locked(
    tx: &mut TenantTx,
    situation: &Situation,
    environment: Environment,
    limited: &Limited<'_>,
    window: Period,
    now: Timestamp,
) -> Result<Counter, Problem> {
    let nothing = Added { meter_id: limited.meter_id, window, quantity: Decimal::ZERO };
    let terms_at = situation.subscription.updated_at;
    let counter = db::add(tx, situation.subscription.id, environment, terms_at, &[nothing]).await?;
    let counter = counter.into_iter().next();
    let counter = counter.ok_or_else(|| Problem::internal("a counter was not written"))?;
    seeded(tx, situation, environment, limited, counter, now).await
}

/// The counter of a window as it stands; nothing is locked or written.
pub(super) async fn current(
    tx: &mut TenantTx,
    situation: &Situation,
    environment: Environment,
    limited: &Limited<'_>,
    window: Period,
    now: Timestamp,
) -> Result<Counter, Problem> {
    let subscription = situation.subscription.id;
    let found = db::read(tx, subscription, environment, limited.meter_id, window).await?;
    let fresh = found.as_ref().is_some_and(|one| one.terms_at == situation.subscription.updated_at);
    match found {
        Some(counter) if fresh || environment == Environment::Test => Ok(counter),
        None if environment == Environment::Test => {
            Ok(Counter::new(limited.meter_id, window, situation.subscription.updated_at))
        }
        other => {
            let used = recorded(tx, situation, limited, window, now).await?;
            let nothing = Counter::new(limited.meter_id, window, situation.subscription.updated_at);
            Ok(Counter { used, ..other.unwrap_or(nothing) })
        }
    }
}

/// A counter that was just made, or was counted under another plan, reads what is recorded.
/// Its row is locked, and whoever recorded something else will count it after us.
async fn seeded(
    tx: &mut TenantTx,
    situation: &Situation,
    environment: Environment,
    limited: &Limited<'_>,
    counter: Counter,
    now: Timestamp,
) -> Result<Counter, Problem> {
    let terms_at = situation.subscription.updated_at;
    if !counter.is_new && counter.terms_at == terms_at {
        return Ok(counter);
    }
    let used = match environment {
        // Nothing else knows what was only tried.
        Environment::Test => counter.used,
        Environment::Live => recorded(tx, situation, limited, counter.window, now).await?,
    };
    db::seed(tx, situation.subscription.id, environment, &counter, used, terms_at).await?;
    Ok(Counter { used, terms_at, ..counter })
}

/// What the rollups say, in the unit of events.
async fn recorded(
    tx: &mut TenantTx,
    situation: &Situation,
    limited: &Limited<'_>,
    window: Period,
    now: Timestamp,
) -> Result<Decimal, Problem> {
    let asked = [Asked { meter: limited.meter, windows: vec![window] }];
    let totals = windows(tx, situation.metered(), &asked, now, None).await?;
    let total = totals.into_iter().flatten().next().map(|total| total.quantity);
    let total = total.unwrap_or_default();
    Ok(total.checked_mul(limited.meter.divide_by).unwrap_or(total))
}

/// Tells once a window that a threshold is reached.
async fn announce(
    app: &App,
    tx: &mut TenantTx,
    situation: &Situation,
    environment: Environment,
    limited: &Limited<'_>,
    counter: &Counter,
    now: Timestamp,
) -> Result<(), Problem> {
    let (Some(reached), Some(limit)) =
        (limited.percent(counter.used), limited.limit.and_then(|limit| limit.included))
    else {
        return Ok(());
    };
    let over = limited.thresholds().into_iter().filter(|at| *at <= reached).max();
    let Some(percent) = over.filter(|at| i64::from(*at) > i64::from(counter.told)) else {
        return Ok(());
    };
    db::told(tx, situation.subscription.id, environment, counter, percent).await?;
    if environment == Environment::Test {
        return Ok(());
    }
    let quota = limited.told(counter.window, counter);
    let told = Reached {
        subscription: situation.subscription.id,
        meter: &limited.meter.id,
        percent,
        used: quota.used,
        limit: limit.value(),
        window_start: counter.window.start,
        resets_at: counter.window.end,
    };
    let change = Change::created("quota.threshold_reached", &limited.meter.id, &told);
    trail::record(app, tx, &Call::system(now), change).await
}
