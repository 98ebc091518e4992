//! Heartbeats of one tenant that arrive together share a transaction.
//!
//! Owns: a lane for each tenant whose heartbeats are being written. A heartbeat
//! that finds no lane opens one and is written at once, alone; what arrives
//! meanwhile waits and is written next, in one statement of one transaction.
//! Nobody is answered before the transaction that holds the answer has reached
//! the disk, so a busy tenant's heartbeats share the disk's time and nothing
//! else. Refuses: more than a named number in one transaction or in a lane,
//! tenants in each other's transactions, and waiting for a row that somebody
//! else holds while holding rows: who is not written here goes the longer way.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Mutex,
};

use axum::http::StatusCode;
use tenure_core::TenantId;
use tokio::sync::oneshot;

use super::proof;
use crate::{
    App,
    http::Problem,
    licensing::instances::db::{self, Beat, Beaten},
};

/// Heartbeats in a transaction at most.
const TOGETHER_MAX: usize = 64;
/// Heartbeats that wait in a tenant's lane at most; past it each has a transaction of its own.
const WAITING_MAX: usize = 1_024;

/// The next call of an instance, as far as its own word goes.
pub(super) struct Next {
    pub(super) beat: Beat,
    /// What it says that the answer before handed out.
    pub(super) nonce: String,
}

/// What became of it: whether the statistics changed; `None` where it was not the next call of an
/// active instance, and nothing was written.
type Written = Result<Option<bool>, Problem>;

struct Waiting {
    next: Next,
    told: oneshot::Sender<Written>,
}

/// What waits, for each tenant whose lane is open.
#[derive(Default)]
pub(crate) struct Lanes(Mutex<HashMap<TenantId, VecDeque<Waiting>>>);

/// An open lane, to be closed whatever happens.
struct Lane<'a> {
    lanes: &'a Lanes,
    tenant: TenantId,
    open: bool,
}

impl Lanes {
    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<TenantId, VecDeque<Waiting>>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Puts a heartbeat in its tenant's lane, where that is open and has room; opens it otherwise,
    /// and gives the heartbeat back.
    fn join(&self, tenant: TenantId, next: Next) -> Joined {
        let mut lanes = self.held();
        match lanes.get_mut(&tenant) {
            None => {
                lanes.insert(tenant, VecDeque::new());
                Joined::First(next)
            }
            Some(waiting) if waiting.len() >= WAITING_MAX => Joined::Full(next),
            Some(waiting) => {
                let (told, hears) = oneshot::channel();
                waiting.push_back(Waiting { next, told });
                Joined::Waits(hears)
            }
        }
    }
}

enum Joined {
    First(Next),
    Waits(oneshot::Receiver<Written>),
    Full(Next),
}

impl Lane<'_> {
    /// Who is written next; closes the lane when nobody waits.
    fn take(&mut self) -> Vec<Waiting> {
        let mut lanes = self.lanes.held();
        let taken: Vec<Waiting> = lanes.get_mut(&self.tenant).map_or_else(Vec::new, |waiting| {
            waiting.drain(..waiting.len().min(TOGETHER_MAX)).collect()
        });
        if taken.is_empty() {
            lanes.remove(&self.tenant);
            self.open = false;
        }
        taken
    }
}

impl Drop for Lane<'_> {
    /// After a panic: whoever waits hears that nobody will answer, and goes the longer way.
    fn drop(&mut self) {
        if self.open {
            self.lanes.held().remove(&self.tenant);
        }
    }
}

/// Writes a heartbeat, with others of its tenant or alone.
pub(super) async fn write(app: &App, tenant: TenantId, next: Next) -> Written {
    match app.licensing().lanes.join(tenant, next) {
        Joined::Full(next) => alone(app, tenant, &next).await,
        Joined::Waits(hears) => hears.await.unwrap_or(Ok(None)),
        // On a task of its own: the caller may hang up, and others wait in the lane.
        Joined::First(next) => {
            let (told, hears) = oneshot::channel();
            tokio::spawn(run(app.clone(), tenant, Waiting { next, told }));
            hears.await.unwrap_or(Ok(None))
        }
    }
}

/// Writes until nobody waits.
async fn run(app: App, tenant: TenantId, first: Waiting) {
    let mut lane = Lane { lanes: &app.licensing().lanes, tenant, open: true };
    let mut some = vec![first];
    while !some.is_empty() {
        write_some(&app, tenant, some).await;
        some = lane.take();
    }
}

async fn write_some(app: &App, tenant: TenantId, some: Vec<Waiting>) {
    // Of an instance one at a time: what it sends twice is for the longer way to judge.
    let mut seen = HashSet::with_capacity(some.len());
    let (some, again): (Vec<_>, Vec<_>) =
        some.into_iter().partition(|waiting| seen.insert(waiting.next.beat.id));
    again.into_iter().for_each(|waiting| waiting.hear(Ok(None)));
    match all(app, tenant, some.iter().map(|waiting| &waiting.next)).await {
        Ok(Some(written)) => {
            for waiting in some {
                let own = written.iter().find(|beaten| beaten.id == waiting.next.beat.id);
                waiting.hear(Ok(own.map(|beaten| beaten.changed)));
            }
        }
        Err(problem) if problem.status == StatusCode::SERVICE_UNAVAILABLE.as_u16() => {
            some.into_iter().for_each(|waiting| waiting.hear(Err(problem.clone())));
        }
        // One of them is wrong, in what it says or in what the database thinks of it; the others
        // shall not suffer for it.
        Ok(None) | Err(_) => {
            for waiting in some {
                let written = alone(app, tenant, &waiting.next).await;
                waiting.hear(written);
            }
        }
    }
}

impl Waiting {
    fn hear(self, written: Written) {
        // Who hung up does not need to know.
        let _ = self.told.send(written);
    }
}

/// Several in one transaction: those that were written. `None` where one of them did not know the
/// nonce that it should, and nothing was written.
async fn all<'a>(
    app: &App,
    tenant: TenantId,
    some: impl Iterator<Item = &'a Next> + Clone,
) -> Result<Option<Vec<Beaten>>, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let written = db::beat(&mut tx, some.clone().map(|next| &next.beat)).await?;
    let known = |beaten: &Beaten| {
        some.clone().any(|next| next.beat.id == beaten.id && next.follows(app, beaten))
    };
    if !written.iter().all(known) {
        tx.rollback().await?;
        return Ok(None);
    }
    tx.commit().await?;
    Ok(Some(written))
}

async fn alone(app: &App, tenant: TenantId, next: &Next) -> Written {
    let written = all(app, tenant, std::iter::once(next)).await?.unwrap_or_default();
    Ok(written.first().map(|beaten| beaten.changed))
}

impl Next {
    /// The row held the call before: only its answer knew the nonce of this one.
    fn follows(&self, app: &App, beaten: &Beaten) -> bool {
        let before = self.beat.seq.saturating_sub(1);
        let handed_out = |digest| proof::nonce(app, self.beat.id, before, digest);
        beaten.before.as_ref().is_none_or(|digest| self.nonce == handed_out(digest))
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tenure_core::InstanceId;
    use tenure_license::Digest;
    use uuid::Uuid;

    use super::*;

    fn next(number: u128) -> Next {
        let beat = Beat {
            id: InstanceId::from_uuid(Uuid::from_u128(number)),
            seq: 1,
            digest: Digest::sha256(b"a call"),
            stats: serde_json::json!({}),
            version: None,
            now: Timestamp::UNIX_EPOCH,
        };
        Next { beat, nonce: String::new() }
    }

    fn tenant(number: u128) -> TenantId {
        TenantId::from_uuid(Uuid::from_u128(number))
    }

    /// Joins so many, and returns how many of them wait.
    fn join(lanes: &Lanes, tenant: TenantId, count: usize) -> Vec<oneshot::Receiver<Written>> {
        let joined = (0..count).map(|number| lanes.join(tenant, next(number as u128)));
        joined
            .filter_map(|joined| match joined {
                Joined::Waits(hears) => Some(hears),
                Joined::First(_) | Joined::Full(_) => None,
            })
            .collect()
    }

    #[test]
    fn the_first_of_a_tenant_waits_for_nobody_and_the_others_for_it() {
        let lanes = Lanes::default();
        assert!(matches!(lanes.join(tenant(1), next(1)), Joined::First(_)));
        assert!(matches!(lanes.join(tenant(2), next(2)), Joined::First(_)));
        assert!(matches!(lanes.join(tenant(1), next(3)), Joined::Waits(_)));
    }

    #[test]
    fn a_lane_that_nobody_waits_in_is_closed() {
        let lanes = Lanes::default();
        let waiting = join(&lanes, tenant(1), 2 + TOGETHER_MAX);
        let mut lane = Lane { lanes: &lanes, tenant: tenant(1), open: true };
        let written = [lane.take().len(), lane.take().len(), lane.take().len()];
        assert_eq!(written, [TOGETHER_MAX, 1, 0]);
        drop((lane, waiting));
        assert!(matches!(lanes.join(tenant(1), next(1)), Joined::First(_)));
    }

    #[test]
    fn a_full_lane_sends_callers_away() {
        let lanes = Lanes::default();
        let waiting = join(&lanes, tenant(1), 1 + WAITING_MAX + 1);
        assert_eq!(waiting.len(), WAITING_MAX);
        assert!(matches!(lanes.join(tenant(1), next(1)), Joined::Full(_)));
    }

    #[test]
    fn who_waits_in_a_lane_that_broke_hears_of_it() {
        let lanes = Lanes::default();
        let mut waiting = join(&lanes, tenant(1), 2);
        drop(Lane { lanes: &lanes, tenant: tenant(1), open: true });
        let told = waiting.pop().map(|mut hears| hears.try_recv());
        assert!(matches!(told, Some(Err(oneshot::error::TryRecvError::Closed))));
        assert!(matches!(lanes.join(tenant(1), next(1)), Joined::First(_)));
    }
}
