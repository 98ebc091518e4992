//! Calls: written down, sent, failed.

use jiff::Timestamp;
use tenure_license::{
    Digest, InstanceKey, InstancePublicKey,
    instance::{self, Proof, StatementKind},
};

use super::{
    judge::raise_floor,
    plan::{CallKind, RETRY_AFTER_SECONDS_MAX, SLOW_SECONDS_MIN},
    state::{Call, Phase, State, Trouble},
};

/// How often in a row the vendor may not know an instance before it activates afresh: a
/// read replica that lags is no reason to take a second slot.
const UNKNOWN_MAX: u32 = 3;

/// What people want of the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Setup {
    /// A license key is configured, so that it can activate.
    pub activate: bool,
    /// It is to give its slot back.
    pub release: bool,
}

/// Why a call is not written down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// Another one must be answered first.
    #[error("call {0} was not answered yet; it is sent again as it is")]
    Outstanding(u64),
    /// The key pair is not the one that the state belongs to.
    #[error("the key pair is another one than the state's; adopt it first")]
    OtherKey,
    /// The call does not fit the phase.
    #[error("not to be called now")]
    Phase,
    /// It cannot be signed.
    #[error(transparent)]
    Sign(#[from] instance::Error),
}

impl CallError {
    /// The stable name of the reason.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Outstanding(_) => "call_outstanding",
            Self::OtherKey => "call_other_key",
            Self::Phase => "call_out_of_phase",
            Self::Sign(error) => error.code(),
        }
    }
}

/// How a call failed. None of them changes what the license is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// No answer: no route, no time, a broken connection, an error of the server (5xx), an
    /// answer that cannot be read or believed.
    NoAnswer {
        /// For people.
        message: String,
        /// `Retry-After` of a 503, in seconds.
        retry_after: Option<u32>,
    },
    /// 429: asked too often.
    Busy {
        /// `Retry-After`, in seconds.
        retry_after: Option<u32>,
    },
    /// 409 `no-free-slot`: it waits in line.
    NoFreeSlot {
        /// When one may be free, in seconds from now.
        retry_after: Option<u32>,
        /// For people.
        message: String,
    },
    /// 401, 403: the key is unknown, or the license was revoked. People must act.
    Denied {
        /// The problem's stable name.
        code: String,
        /// For people.
        message: String,
    },
    /// The vendor does not know this instance (a database restored from before it).
    UnknownInstance,
    /// A call that was accepted long ago: somebody else goes on under this key. This
    /// installation is a copy, or an older snapshot of itself.
    Late,
    /// Any other 4xx: the same bytes will never be accepted.
    Refused {
        /// The problem's stable name.
        code: String,
        /// For people.
        message: String,
    },
}

/// Takes up a key pair: at the first start, after [`super::Step::NewKey`], after a new license
/// key was configured. Nothing happens when it is the state's own. A new one is an instance of
/// its own; the license, the lease as proof of contact, the floor and the ledger stay.
pub fn adopt(state: &mut State, key: &InstancePublicKey) {
    let thumbprint = key.thumbprint();
    if state.key.as_ref() != Some(&thumbprint) {
        state.begin(thumbprint);
    }
}

/// Ends it all after [`super::Step::Stop`]: an instance that is not to run any more holds no
/// license. What it never held, or holds as one of two copies, ends by itself at the vendor's.
pub fn stop(state: &mut State) {
    state.release();
}

/// What the proof of the next call says.
pub fn draft(
    state: &State,
    kind: CallKind,
    body: &str,
    key: &InstancePublicKey,
    now: Timestamp,
) -> Result<Proof, CallError> {
    if let Some(call) = &state.outstanding {
        return Err(CallError::Outstanding(call.seq));
    }
    if state.key.as_ref() != Some(&key.thumbprint()) {
        return Err(CallError::OtherKey);
    }
    let fits = match kind {
        CallKind::Activate => matches!(state.phase, Phase::Fresh | Phase::Active),
        CallKind::Heartbeat { .. } | CallKind::Release => state.phase == Phase::Active,
    };
    if !fits {
        return Err(CallError::Phase);
    }
    Ok(Proof {
        aud: StatementKind::Proof.audience().into(),
        key: *key,
        instance: state.instance,
        purpose: kind.purpose(),
        seq: state.seq + 1,
        nonce: state.nonce.clone(),
        jti: format!("{:016x}", state.salt),
        iat: now,
        body: Digest::sha256(body.as_bytes()),
    })
}

/// Writes a call down. Save the state, then send it.
pub fn write_down<'a>(
    state: &'a mut State,
    kind: CallKind,
    body: String,
    proof: &Proof,
    signed: String,
) -> &'a Call {
    state.seq = proof.seq;
    raise_floor(state, proof.iat);
    state.outstanding.insert(Call {
        purpose: kind.purpose(),
        asks_for_lease: kind.asks_for_lease(),
        seq: proof.seq,
        nonce: proof.nonce.clone(),
        body,
        proof: signed,
        at: proof.iat,
    })
}

/// [`draft`], signed, and [`write_down`].
pub fn prepare<'a>(
    state: &'a mut State,
    kind: CallKind,
    body: String,
    key: &InstanceKey,
    now: Timestamp,
) -> Result<&'a Call, CallError> {
    let proof = draft(state, kind, &body, key.public(), now)?;
    let signed = instance::sign(&proof, key)?;
    Ok(write_down(state, kind, body, &proof, signed))
}

/// Call `seq` failed. What it was and when to try again is remembered; a call that is no
/// longer outstanding changes nothing.
pub fn failed(state: &mut State, seq: u64, failure: Failure, now: Timestamp) {
    if state.outstanding.as_ref().is_none_or(|call| call.seq != seq) {
        return;
    }
    raise_floor(state, now);
    state.marked_at = Some(now);
    state.failures = state.failures.saturating_add(1);
    state.turned_away = matches!(failure, Failure::NoFreeSlot { .. } | Failure::Denied { .. });
    state.unknown = match failure {
        Failure::UnknownInstance => state.unknown + 1,
        _ => 0,
    };
    state.pause_seconds = pause(&failure).min(RETRY_AFTER_SECONDS_MAX);
    match failure {
        // Nothing is left to be given back.
        Failure::UnknownInstance if releasing(state) => state.release(),
        Failure::UnknownInstance if state.unknown >= UNKNOWN_MAX => state.quarantine(),
        Failure::Late => state.quarantine(),
        Failure::Refused { .. } => abandon(state),
        _ => {}
    }
    let (code, message) = words(failure);
    state.worry(code, message, now);
}

fn releasing(state: &State) -> bool {
    let purpose = state.outstanding.as_ref().map(|call| call.purpose);
    purpose == Some(instance::Purpose::Release)
}

/// Gives an outstanding call up. Whether it was accepted is not known, so the next one goes
/// two numbers on: that is ahead of all that the vendor can remember, and needs no nonce.
fn abandon(state: &mut State) {
    state.outstanding = None;
    state.seq += 1;
}

fn pause(failure: &Failure) -> u32 {
    match failure {
        Failure::NoAnswer { retry_after, .. }
        | Failure::Busy { retry_after }
        | Failure::NoFreeSlot { retry_after, .. } => retry_after.unwrap_or(0),
        Failure::Denied { .. } | Failure::Refused { .. } => SLOW_SECONDS_MIN,
        Failure::UnknownInstance | Failure::Late => 0,
    }
}

fn words(failure: Failure) -> (String, String) {
    let (code, message) = match failure {
        Failure::Denied { code, message } | Failure::Refused { code, message } => {
            return (code, message);
        }
        Failure::NoAnswer { message, .. } => ("vendor_unreachable", message),
        Failure::NoFreeSlot { message, .. } => ("no_free_slot", message),
        Failure::Busy { .. } => {
            ("vendor_busy", "The license service asked to be called later.".to_owned())
        }
        Failure::UnknownInstance => (
            "instance_unknown",
            "The license service does not know this instance; it will activate again.".to_owned(),
        ),
        Failure::Late => (
            "instance_copied",
            "Another copy of this installation has been in contact with the vendor; this one \
             activates as an instance of its own."
                .to_owned(),
        ),
    };
    (code.to_owned(), message)
}

impl State {
    /// Remembers what went wrong, and since when.
    pub(super) fn worry(&mut self, code: String, message: String, now: Timestamp) {
        let before = self.trouble.take().filter(|trouble| trouble.code == code);
        let since = before.map_or(now, |trouble| trouble.since);
        self.trouble = Some(Trouble { code, message, since });
    }

    /// It has stopped for good: it holds no license any more.
    pub(super) fn release(&mut self) {
        self.phase = Phase::Released;
        self.outstanding = None;
        self.license = None;
        self.lease = None;
    }
}
