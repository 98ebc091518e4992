//! What a verified license is worth at a moment.
//!
//! Owns: the one function that decides, [`evaluate`], and its answer, a
//! [`Verdict`]. Refuses: to enforce. A state says what is so; what it blocks is
//! a table of the product, and by default nothing that runs is stopped.
//!
//! States in order of gravity, around the end of a license (SPEC 12):
//!
//! ```text
//!        warn_before            full_until          restricted_until
//! active ----------> expiring -> exp -> grace ----> restricted -----> terminated
//! ```

mod evaluate;
mod notice;
mod policy;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use evaluate::{CLOCK_TOLERANCE_SECONDS, evaluate};
pub use policy::{ExpiryPolicy, POLICY_SECONDS_MAX};

use crate::{LicenseClaims, Verified};

/// How much of the product works, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Everything, silently.
    Active,
    /// Everything; the end is near and said.
    Expiring,
    /// Everything; the license has ended and must be renewed.
    Grace,
    /// New work is blocked, the rest goes on.
    Restricted,
    /// All is blocked, as far as the product's policy blocks at all.
    Terminated,
}

/// Why. The code is stable; a reason may come with one state only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// Active: nothing to say.
    Valid,
    /// Expiring: within the warning time.
    ExpiresSoon,
    /// Grace: ended, still with full function.
    ExpiredFull,
    /// Restricted: ended, full function is over.
    ExpiredRestricted,
    /// Terminated: ended for good.
    Expired,
    /// Restricted: its time has not come.
    NotYetValid,
    /// Restricted: out of contact for longer than allowed.
    PhoneHomeOverdue,
    /// Restricted: a higher revision governs.
    Superseded,
    /// Terminated: taken back by the vendor.
    Revoked,
}

impl State {
    /// The stable word, as in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expiring => "expiring",
            Self::Grace => "grace",
            Self::Restricted => "restricted",
            Self::Terminated => "terminated",
        }
    }
}

impl Reason {
    /// The stable code, as in JSON.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::ExpiresSoon => "expires_soon",
            Self::ExpiredFull => "expired_full",
            Self::ExpiredRestricted => "expired_restricted",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::PhoneHomeOverdue => "phone_home_overdue",
            Self::Superseded => "superseded",
            Self::Revoked => "revoked",
        }
    }

    /// The state that it comes with.
    pub const fn state(self) -> State {
        match self {
            Self::Valid => State::Active,
            Self::ExpiresSoon => State::Expiring,
            Self::ExpiredFull => State::Grace,
            Self::ExpiredRestricted
            | Self::NotYetValid
            | Self::PhoneHomeOverdue
            | Self::Superseded => State::Restricted,
            Self::Expired | Self::Revoked => State::Terminated,
        }
    }
}

/// What is known about a license being taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Revocation {
    /// Nothing is known.
    #[default]
    None,
    /// The vendor takes it back at that moment.
    Revoked(Timestamp),
    /// A higher revision governs from that moment.
    Superseded(Timestamp),
}

/// What is known about contact with the vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Contact {
    /// The caller does not follow it (`tenure license verify`, the vendor's own
    /// pages): `phoneHomeRequired` is not judged.
    #[default]
    NotFollowed,
    /// This installation has held the license since then, and never a lease.
    NeverSince(Timestamp),
    /// The last lease held ends, or ended, then.
    LeaseUntil(Timestamp),
}

/// Everything that decides.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The license, its signature checked.
    pub license: &'a Verified<LicenseClaims>,
    /// What the clock says.
    pub now: Timestamp,
    /// The latest moment that is proven to have passed: signed server times,
    /// bundle timestamps, persisted last-seen, ledger head. The license's own
    /// `iat` always counts and need not be included.
    pub floor: Option<Timestamp>,
    /// Whether it has been taken back.
    pub revocation: Revocation,
    /// When the vendor was last heard of.
    pub contact: Contact,
}

impl<'a> Input<'a> {
    /// A license and a clock; no floor, no revocation, contact not followed.
    pub const fn new(license: &'a Verified<LicenseClaims>, now: Timestamp) -> Self {
        Self {
            license,
            now,
            floor: None,
            revocation: Revocation::None,
            contact: Contact::NotFollowed,
        }
    }
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// How much works.
    pub state: State,
    /// Why.
    pub reason: Reason,
    /// When the state changes next if nothing is done; `null` when it never does.
    pub until: Option<Timestamp>,
    /// What to tell people, with the date and what to do; `null` when active.
    pub notice: Option<String>,
    /// The moment that was judged: `now`, or the floor where the clock lags it.
    pub as_of: Timestamp,
    /// Whether the clock stands more than five minutes before a proven moment.
    pub clock_suspect: bool,
}
