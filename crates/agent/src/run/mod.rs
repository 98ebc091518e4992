//! The loop: looks at the plan, makes the call that is due, forwards usage.
//!
//! Owns: the order of things around each call (written down, then sent, then
//! answered), pauses, jitter. A test or a simulation drives [`Agent::step`] with
//! a clock of its own; [`Agent::run`] does it with sleeps between. Refuses: to
//! decide what is due or believed; [`crate::machine`] does.

mod answers;
mod calls;
mod http;
mod reports;
mod slices;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

pub use calls::Gauges;
pub(crate) use calls::blotted;
pub use http::{Answer as HttpAnswer, Http};
pub use reports::{Forwarding, REPORT_SECONDS, Written};
pub use slices::{Slicing, Used};

use crate::{
    Agent,
    agent::{held_license, meta, random_u64},
    error::Result,
    machine::{self, Setup, Step},
};

/// Calls of one round at most: an activation after a change of key, and then some.
const CALLS_MAX: usize = 4;
/// Longest sleep: a clock may step while we sleep.
const SLEEP_SECONDS_MAX: i64 = 30;
/// Shortest sleep.
const SLEEP_MS_MIN: u64 = 100;
/// The own last look is written down so often, in seconds.
const LOOK_SECONDS: i64 = 5 * 60;
/// What is held is verified again so often, in seconds.
const VERIFY_SECONDS: i64 = 60 * 60;

impl Agent {
    /// Goes round until it is stopped.
    pub async fn run(&self) -> Result<()> {
        while !self.stop.is_cancelled() {
            let next = match self.step().await {
                Ok(next) => next,
                Err(error) => {
                    // A full disk passes; what is written down is whole in any case.
                    tracing::error!(code = error.code(), %error, "the round failed");
                    later(self.now(), SLEEP_SECONDS_MAX)
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = self.wake.notified() => {}
                () = tokio::time::sleep(self.pause(next)) => {}
            }
        }
        Ok(())
    }

    fn pause(&self, next: Timestamp) -> Duration {
        let wait = next.duration_since(self.now());
        let wait = wait.clamp(SignedDuration::ZERO, SignedDuration::from_secs(SLEEP_SECONDS_MAX));
        wait.unsigned_abs().max(Duration::from_millis(SLEEP_MS_MIN))
    }

    /// One round: every call that is due, and a page of usage. Returns when to look again.
    pub async fn step(&self) -> Result<Timestamp> {
        let mut forwarding = self.stepping.lock().await;
        self.look(&mut forwarding).await?;
        let mut next = later(self.now(), LOOK_SECONDS);
        if self.inner.lock().await.release.is_some() {
            // The last chance to say what was used.
            self.forward(&mut forwarding).await?;
        }
        for _ in 0..CALLS_MAX {
            match self.plan().await {
                Step::Wait { until } => {
                    next = next.min(until);
                    break;
                }
                Step::Stop => break,
                Step::NewKey => {
                    let mut inner = self.inner.lock().await;
                    self.new_key(&mut inner).await?;
                }
                Step::Send(kind) if self.http.is_some() => self.call(kind).await?,
                Step::Send(_) => break,
            }
        }
        let due = self.forward(&mut forwarding).await?;
        self.tend_slices().await?;
        Ok(due.map_or(next, |due| next.min(due)))
    }

    async fn plan(&self) -> Step {
        let inner = self.inner.lock().await;
        let setup =
            Setup { activate: inner.license_key.is_some(), release: inner.release.is_some() };
        machine::next(&inner.state, self.now(), &setup, inner.jitter)
    }

    /// The own last look, and from time to time a check of everything held.
    async fn look(&self, forwarding: &mut Forwarding) -> Result<()> {
        let now = self.now();
        if forwarding.verified_at.is_none_or(|at| now < at || at < earlier(now, VERIFY_SECONDS)) {
            let mut inner = self.inner.lock().await;
            inner.license = held_license(&inner.state, &self.trust)?;
            drop(inner);
            self.prune(now).await?;
            forwarding.verified_at = Some(now);
        }
        let mut inner = self.inner.lock().await;
        if inner.state.floor.is_none_or(|floor| floor < earlier(now, LOOK_SECONDS)) {
            machine::raise_floor(&mut inner.state, now);
            self.save(&mut inner).await?;
        }
        Ok(())
    }

    async fn prune(&self, now: Timestamp) -> Result<()> {
        const DAY_SECONDS: i64 = 24 * 60 * 60;
        let kept = earlier(now, i64::from(self.settings.keep_days) * DAY_SECONDS);
        self.store.prune(kept).await?;
        self.store.prune_quota(earlier(now, crate::store::TAKINGS_KEPT_DAYS * DAY_SECONDS)).await
    }

    /// A number for the next wait, so that a thousand agents do not call at once.
    pub(crate) fn draw(&self, inner: &mut crate::agent::Inner) -> Result<()> {
        inner.jitter = random_u64()?;
        Ok(())
    }

    pub(crate) async fn contact(&self, now: Timestamp) -> Result<()> {
        self.store.set_meta(meta::CONTACT, &now.to_string()).await
    }
}

/// `now` and so many seconds; stays within what a timestamp can say.
pub(crate) fn later(now: Timestamp, seconds: i64) -> Timestamp {
    now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

/// So many seconds before `now`.
pub(crate) fn earlier(now: Timestamp, seconds: i64) -> Timestamp {
    now.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MIN)
}
