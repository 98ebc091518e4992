//! The time floor, and what the license is worth.

use jiff::Timestamp;
use tenure_license::{
    LicenseClaims, Verdict, Verified,
    state::{self as license_state, Contact, Input, Revocation},
};

use super::state::State;

/// Raises the time floor to a moment that is proven to have passed: what a signed token
/// says, the ledger's head, this machine's own last look. It never falls.
pub fn raise_floor(state: &mut State, at: Timestamp) {
    state.floor = state.floor.max(Some(at));
}

/// What `license` is worth at `now`, with all that the agent knows.
pub fn verdict(state: &State, license: &Verified<LicenseClaims>, now: Timestamp) -> Verdict {
    license_state::evaluate(&Input {
        license,
        now,
        floor: state.floor,
        revocation: revocation(state, license.claims()),
        contact: contact(state, license.claims()),
    })
}

fn revocation(state: &State, license: &LicenseClaims) -> Revocation {
    state.revocations.as_ref().map_or(Revocation::None, |held| held.list.of(license))
}

fn contact(state: &State, license: &LicenseClaims) -> Contact {
    if let Some(lease) = &state.lease {
        return Contact::LeaseUntil(lease.exp);
    }
    match &state.license {
        Some(held) if held.license == license.license => Contact::NeverSince(held.since),
        _ => Contact::NeverSince(license.starts()),
    }
}

/// `at` moved by seconds; stays within what a timestamp can say.
pub(super) fn shift(at: Timestamp, seconds: i64) -> Timestamp {
    let moved = at.as_second().saturating_add(seconds);
    let bounded = moved.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    Timestamp::from_second(bounded).unwrap_or(at)
}
