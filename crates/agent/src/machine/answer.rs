//! An answer: the tokens are believed as far as they are mine and newer, the words around
//! them say how to go on.

use jiff::Timestamp;
use tenure_api::licensing::Warning;
use tenure_core::InstanceId;
use tenure_license::{LeaseClaims, LicenseClaims, RevocationsClaims, instance::Purpose};

use super::{
    judge::raise_floor,
    plan::{HEARTBEAT_SECONDS_MAX, HEARTBEAT_SECONDS_MIN},
    state::{Phase, State},
    take::{Refusal, take_lease, take_license, take_revocations},
};

/// A token and its claims. The caller has verified the one to have the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken<C> {
    /// As it came.
    pub token: String,
    /// What it says.
    pub claims: C,
}

/// How the vendor sees the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// In good order, whatever the license's own state is.
    Good,
    /// A copy of it was seen.
    Quarantined,
    /// It has given its slot back.
    Released,
}

impl Standing {
    /// What `status` and the warnings of an answer say.
    pub fn of(status: &str, warnings: &[Warning]) -> Self {
        let warned = warnings.iter().any(|warning| warning.code == "instance_quarantined");
        match status {
            "released" => Self::Released,
            "quarantined" => Self::Quarantined,
            _ if warned => Self::Quarantined,
            _ => Self::Good,
        }
    }
}

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The number of the call that it answers.
    pub seq: u64,
    /// How the vendor sees the instance.
    pub standing: Standing,
    /// Its name; in the answer to an activation.
    pub instance: Option<InstanceId>,
    /// The nonce of the next call.
    pub nonce: String,
    /// How often to send a heartbeat, in seconds.
    pub heartbeat_seconds: Option<u32>,
    /// The license, or a newer revision.
    pub license: Option<Taken<LicenseClaims>>,
    /// A lease.
    pub lease: Option<Taken<LeaseClaims>>,
    /// A revocation list.
    pub revocations: Option<RevocationsClaims>,
}

/// What an answer changed, for logs and for what the caller keeps beside the state.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The instance has a name.
    Activated(InstanceId),
    /// A license, or a newer revision, was taken.
    License {
        /// Which.
        revision: u64,
    },
    /// A lease was taken.
    Lease {
        /// Its end.
        until: Timestamp,
    },
    /// A revocation list was taken; keep its token if it is needed.
    Revocations {
        /// Which.
        epoch: u64,
    },
    /// A copy of this installation was seen, or its slot was given back by somebody else: it
    /// goes on as an instance of its own.
    Quarantined,
    /// It has given its slot back.
    Released,
    /// A genuine token was not taken.
    Refused(Refusal),
}

/// Takes an answer. `None` when it answers no call that is outstanding (it came twice, or
/// late): then nothing changes.
pub fn answered(state: &mut State, answer: Answer, now: Timestamp) -> Option<Vec<Event>> {
    let call = state.outstanding.take_if(|call| call.seq == answer.seq)?;
    let mut events = Vec::new();
    raise_floor(state, now);
    state.marked_at = Some(now);
    state.asked_for_lease = call.asks_for_lease;
    state.failures = 0;
    state.turned_away = false;
    state.unknown = 0;
    state.pause_seconds = 0;
    state.trouble = None;
    state.nonce = answer.nonce;
    if let Some(seconds) = answer.heartbeat_seconds {
        let bounded = seconds.clamp(HEARTBEAT_SECONDS_MIN, HEARTBEAT_SECONDS_MAX);
        state.heartbeat_seconds = Some(bounded);
    }
    let activation = answer.instance.is_some();
    if let Some(instance) = answer.instance {
        state.phase = Phase::Active;
        state.instance = Some(instance);
        events.push(Event::Activated(instance));
    }
    if let Some(license) = answer.license {
        let event = Event::License { revision: license.claims.revision };
        note(&mut events, take_license(state, license, activation, now), event);
    }
    if let Some(list) = answer.revocations {
        let event = Event::Revocations { epoch: list.epoch };
        note(&mut events, take_revocations(state, list), event);
    }
    if let Some(lease) = answer.lease {
        let event = Event::Lease { until: lease.claims.exp };
        note(&mut events, take_lease(state, lease, now), event);
    }
    match answer.standing {
        Standing::Good if call.purpose == Purpose::Heartbeat => state.copies = 0,
        Standing::Good => {}
        Standing::Released if call.purpose == Purpose::Release => {
            state.release();
            events.push(Event::Released);
        }
        // Released, and not by this installation: by a copy, or by staff who took it for lost.
        Standing::Quarantined | Standing::Released => {
            state.quarantine();
            events.push(Event::Quarantined);
        }
    }
    if let Some(Event::Refused(refusal)) = events.iter().find(|e| matches!(e, Event::Refused(_))) {
        let (code, message) = (refusal.code().to_owned(), refusal.to_string());
        state.worry(code, message, now);
    }
    Some(events)
}

fn note(events: &mut Vec<Event>, taken: Result<bool, Refusal>, event: Event) {
    match taken {
        Ok(true) => events.push(event),
        Ok(false) => {}
        Err(refusal) => events.push(Event::Refused(refusal)),
    }
}
