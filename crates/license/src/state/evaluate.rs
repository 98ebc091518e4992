//! The decision.

use jiff::Timestamp;

use super::{Contact, Input, Reason, Revocation, State, Verdict, notice, policy::shift};
use crate::LicenseClaims;

/// How far a clock may lag a proven moment before it is suspect, in seconds:
/// real clocks do step back.
pub const CLOCK_TOLERANCE_SECONDS: i64 = 5 * 60;
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// What the license is worth at `input.now`. The same input gives the same
/// verdict. Time never improves a state, except that a license whose time had
/// not come becomes valid.
pub fn evaluate(input: &Input<'_>) -> Verdict {
    let claims = input.license.claims();
    let floor = input.floor.map_or(claims.iat, |floor| floor.max(claims.iat));
    let clock_suspect = input.now < shift(floor, -CLOCK_TOLERANCE_SECONDS);
    // Time stands still at the floor: setting a clock back gains nothing.
    let as_of = input.now.max(floor);
    let reason = reason_at(input, as_of);
    let until = next_change(input, as_of, reason.state());
    let notice = notice::text(claims, reason, until, clock_suspect.then_some(input.now));
    Verdict { state: reason.state(), reason, until, notice, as_of, clock_suspect }
}

/// The gravest reason that holds at a moment; of two equally grave ones, the
/// one listed first.
fn reason_at(input: &Input<'_>, at: Timestamp) -> Reason {
    let claims = input.license.claims();
    let findings = [
        revocation(input.revocation, at),
        contact(claims, input.contact, at),
        start(claims, at),
        expiry(claims, at),
    ];
    let mut gravest = Reason::Valid;
    for reason in findings.into_iter().flatten() {
        if reason.state() > gravest.state() {
            gravest = reason;
        }
    }
    gravest
}

fn revocation(revocation: Revocation, at: Timestamp) -> Option<Reason> {
    match revocation {
        Revocation::Revoked(from) => (from <= at).then_some(Reason::Revoked),
        Revocation::Superseded(from) => (from <= at).then_some(Reason::Superseded),
        Revocation::None => None,
    }
}

fn contact(claims: &LicenseClaims, contact: Contact, at: Timestamp) -> Option<Reason> {
    let overdue = contact_until(claims, contact)? <= at;
    overdue.then_some(Reason::PhoneHomeOverdue)
}

/// When staying out of contact begins to restrict, if it ever does (SPEC 12:
/// the lease covers its length, then `offlineGracePeriod` days).
fn contact_until(claims: &LicenseClaims, contact: Contact) -> Option<Timestamp> {
    let from = match contact {
        _ if !claims.phone_home_required => return None,
        Contact::NotFollowed => return None,
        Contact::NeverSince(from) | Contact::LeaseUntil(from) => from,
    };
    Some(shift(from, i64::from(claims.offline_grace_period_days) * DAY_SECONDS))
}

fn start(claims: &LicenseClaims, at: Timestamp) -> Option<Reason> {
    (at < starts_tolerantly(claims)).then_some(Reason::NotYetValid)
}

/// A clock that lags within tolerance must not keep a new license from working.
fn starts_tolerantly(claims: &LicenseClaims) -> Timestamp {
    shift(claims.starts(), -CLOCK_TOLERANCE_SECONDS)
}

fn expiry(claims: &LicenseClaims, at: Timestamp) -> Option<Reason> {
    let policy = claims.expiry_policy;
    let exp = claims.exp;
    if at >= policy.restricted_until(exp) {
        Some(Reason::Expired)
    } else if at >= policy.full_until(exp) {
        Some(Reason::ExpiredRestricted)
    } else if at >= exp {
        Some(Reason::ExpiredFull)
    } else if at >= policy.warns_from(exp) {
        Some(Reason::ExpiresSoon)
    } else {
        None
    }
}

/// The first moment after `as_of` at which the state is another one.
fn next_change(input: &Input<'_>, as_of: Timestamp, now: State) -> Option<Timestamp> {
    let claims = input.license.claims();
    let policy = claims.expiry_policy;
    let taken_back = match input.revocation {
        Revocation::Revoked(at) | Revocation::Superseded(at) => Some(at),
        Revocation::None => None,
    };
    let mut edges = [
        Some(starts_tolerantly(claims)),
        Some(policy.warns_from(claims.exp)),
        Some(claims.exp),
        Some(policy.full_until(claims.exp)),
        Some(policy.restricted_until(claims.exp)),
        contact_until(claims, input.contact),
        taken_back,
    ];
    edges.sort();
    edges
        .into_iter()
        .flatten()
        .filter(|edge| *edge > as_of)
        .find(|edge| reason_at(input, *edge).state() != now)
}
