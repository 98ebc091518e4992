//! Which call is next, and when.

use jiff::Timestamp;
use tenure_license::instance::Purpose;

use super::{
    call::Setup,
    judge::shift,
    state::{HEARTBEAT_SECONDS, Phase, State},
};

/// Shortest wait after a failure, in seconds.
pub const BACKOFF_SECONDS_MIN: u32 = 5;
/// Longest wait after a failure, in seconds.
pub const BACKOFF_SECONDS_MAX: u32 = 15 * 60;
/// Shortest wait after a refusal that only people can change, in seconds.
pub const SLOW_SECONDS_MIN: u32 = 5 * 60;
/// Longest `Retry-After` that is honoured, in seconds: no answer silences an agent for good.
pub const RETRY_AFTER_SECONDS_MAX: u32 = 60 * 60;
/// Shortest time between heartbeats that a vendor may ask for, in seconds.
pub const HEARTBEAT_SECONDS_MIN: u32 = 10;
/// Longest time between heartbeats that a vendor may ask for, in seconds.
pub const HEARTBEAT_SECONDS_MAX: u32 = 24 * 60 * 60;
/// Longest wait before looking again, in seconds: clocks step, configuration changes.
pub const WAIT_SECONDS_MAX: u32 = 60 * 60;

/// A call to the vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    /// Exchanges the license key for a license and a lease.
    Activate,
    /// Says that it lives.
    Heartbeat {
        /// And asks for a lease.
        renew: bool,
    },
    /// Gives the slot back.
    Release,
}

impl CallKind {
    /// What its proof says.
    pub const fn purpose(self) -> Purpose {
        match self {
            Self::Activate => Purpose::Activate,
            Self::Heartbeat { .. } => Purpose::Heartbeat,
            Self::Release => Purpose::Release,
        }
    }

    /// Whether its answer may bring a lease.
    pub const fn asks_for_lease(self) -> bool {
        matches!(self, Self::Activate | Self::Heartbeat { renew: true })
    }
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Make this call; or, when one is outstanding, send that again as it is.
    Send(CallKind),
    /// Look again then, by this machine's clock.
    Wait {
        /// When.
        until: Timestamp,
    },
    /// Make a new key pair and [`super::adopt`] it.
    NewKey,
    /// Nothing, ever: it was released, or is to be and holds nothing that could be given
    /// back. [`super::stop`] forgets the license.
    Stop,
}

/// What to do at `now`. `jitter` is any number: draw one when a call was answered or has
/// failed, and keep it until the next, so that asking twice gives one plan.
pub fn next(state: &State, now: Timestamp, setup: &Setup, jitter: u64) -> Step {
    match state.phase {
        Phase::Released => return Step::Stop,
        Phase::Quarantined if setup.release => return Step::Stop,
        Phase::Quarantined => return Step::NewKey,
        // An activation whose answer was lost may have taken a slot: that is found out first.
        Phase::Fresh if setup.release && (state.outstanding.is_none() || state.turned_away) => {
            return Step::Stop;
        }
        Phase::Fresh | Phase::Active => {}
    }
    let look_again = shift(now, i64::from(WAIT_SECONDS_MAX));
    let Some(kind) = wanted(state, now, setup) else { return Step::Wait { until: look_again } };
    // A clock that was set back must not put a call off: what was planned is due.
    let set_back = state.marked_at.is_some_and(|marked| now < marked);
    let due = due(state, setup, jitter).unwrap_or(now);
    if now >= due || set_back {
        Step::Send(kind)
    } else {
        Step::Wait { until: due.min(look_again) }
    }
}

/// The call that comes next, whenever it is due. What is outstanding comes first.
fn wanted(state: &State, now: Timestamp, setup: &Setup) -> Option<CallKind> {
    if let Some(call) = &state.outstanding {
        return Some(match call.purpose {
            Purpose::Activate => CallKind::Activate,
            Purpose::Heartbeat => CallKind::Heartbeat { renew: call.asks_for_lease },
            Purpose::Release => CallKind::Release,
        });
    }
    match state.phase {
        Phase::Active if setup.release => Some(CallKind::Release),
        Phase::Active => Some(CallKind::Heartbeat { renew: state.wants_lease(now) }),
        Phase::Fresh if setup.activate => Some(CallKind::Activate),
        _ => None,
    }
}

/// When the next call is due; at once when `None`.
fn due(state: &State, setup: &Setup, jitter: u64) -> Option<Timestamp> {
    let marked = state.marked_at?;
    if state.failures > 0 {
        let wait = backoff_seconds(state.failures, jitter).max(state.pause_seconds);
        return Some(shift(marked, i64::from(wait)));
    }
    if state.outstanding.is_some() || state.phase == Phase::Fresh || setup.release {
        return None;
    }
    let beat = state.heartbeat_seconds.unwrap_or(HEARTBEAT_SECONDS);
    let beat = beat.clamp(HEARTBEAT_SECONDS_MIN, HEARTBEAT_SECONDS_MAX);
    let beat = shift(marked, around(i64::from(beat), jitter));
    let Some(lease) = &state.lease else { return Some(beat) };
    let third = lease.renew_at.as_second() - lease.taken_at.as_second();
    // Never before the moment from which a lease is asked for.
    let renew = shift(lease.renew_at, upto(third / 10, jitter));
    // A vendor who was asked and gave none is asked again with the next heartbeat.
    let asked_in_vain = state.asked_for_lease && state.wants_lease(marked);
    Some(if asked_in_vain { beat } else { beat.min(renew) })
}

/// A span, give or take a tenth of it.
fn around(seconds: i64, jitter: u64) -> i64 {
    let tenth = seconds / 10;
    seconds - tenth + upto(2 * tenth, jitter)
}

/// A part of a span.
fn upto(seconds: i64, jitter: u64) -> i64 {
    let span = u64::try_from(seconds).unwrap_or(0);
    i64::try_from(jitter % (span + 1)).unwrap_or(0)
}

/// Exponential with full jitter: anything between the shortest wait and twice the bound
/// of the failure before.
fn backoff_seconds(failures: u32, jitter: u64) -> u32 {
    let doublings = failures.min(16);
    let most = (BACKOFF_SECONDS_MIN << doublings).min(BACKOFF_SECONDS_MAX);
    let span = u64::from(most - BACKOFF_SECONDS_MIN);
    BACKOFF_SECONDS_MIN + u32::try_from(jitter % (span + 1)).unwrap_or(BACKOFF_SECONDS_MAX)
}
