//! What is believed of a token that is genuine: whether it is mine, and newer.

use jiff::Timestamp;
use tenure_license::{LeaseClaims, LicenseClaims, ReceiptClaims, RevocationsClaims, chain::Head};

use super::{
    answer::Taken,
    judge::{raise_floor, shift},
    state::{LeaseHeld, LicenseHeld, Phase, ReceiptHeld, RevocationsHeld, State},
};

/// Why a genuine token is not taken. It is reported; what was held stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The lease or file is that of another key pair or instance.
    #[error("the {0} is bound to another instance")]
    OtherInstance(&'static str),
    /// It belongs to another license.
    #[error("the {0} belongs to another license")]
    OtherLicense(&'static str),
    /// The lease is older than the one held.
    #[error("the lease is older than the one held")]
    OlderLease,
    /// A lower revision.
    #[error("revision {found} of the license is not taken after revision {held}")]
    OlderRevision {
        /// What was held.
        held: u64,
        /// What came.
        found: u64,
    },
    /// A lower number.
    #[error("revocation list {found} is not taken after list {held}")]
    OlderList {
        /// What was held.
        held: u64,
        /// What came.
        found: u64,
    },
    /// A receipt for less than another one.
    #[error("the receipt counts less than the one held")]
    OlderReceipt,
}

impl Refusal {
    /// The stable name of the reason.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::OtherInstance(_) => "token_of_other_instance",
            Self::OtherLicense(_) => "token_of_other_license",
            Self::OlderLease => "lease_older",
            Self::OlderRevision { .. } => "license_older",
            Self::OlderList { .. } => "revocations_older",
            Self::OlderReceipt => "receipt_older",
        }
    }
}

/// Takes a license, out of an answer or a file; `Ok(true)` when it is another one than
/// before. `lineage` says whether it may be that of another license: a file or an
/// activation may, a heartbeat may not.
pub fn take_license(
    state: &mut State,
    taken: Taken<LicenseClaims>,
    lineage: bool,
    now: Timestamp,
) -> Result<bool, Refusal> {
    let Taken { token, claims } = taken;
    if claims.binding.as_ref().is_some_and(|binding| state.key.as_ref() != Some(&binding.key)) {
        return Err(Refusal::OtherInstance("license"));
    }
    let same = state.license.as_ref().filter(|held| held.license == claims.license);
    if state.license.is_some() && same.is_none() && !lineage {
        return Err(Refusal::OtherLicense("license"));
    }
    if let Some(held) = same {
        let (found, held_at) = (claims.revision, held.revision);
        if found < held_at {
            return Err(Refusal::OlderRevision { held: held_at, found });
        }
        if found == held_at && claims.iat <= held.iat {
            return Ok(false);
        }
    }
    let since = same.map(|held| held.since);
    raise_floor(state, claims.iat);
    let since = since.unwrap_or_else(|| now.max(state.floor.unwrap_or(now)));
    state.license = Some(LicenseHeld {
        token,
        license: claims.license,
        revision: claims.revision,
        iat: claims.iat,
        exp: claims.exp,
        offline_grace_days: claims.offline_grace_period_days,
        phone_home_required: claims.phone_home_required,
        since,
    });
    Ok(true)
}

/// Takes a lease for this key pair, instance and license; `Ok(true)` when it is a newer one.
pub(super) fn take_lease(
    state: &mut State,
    taken: Taken<LeaseClaims>,
    now: Timestamp,
) -> Result<bool, Refusal> {
    let Taken { token, claims } = taken;
    let mine = state.key.as_ref() == Some(&claims.key) && state.instance == Some(claims.instance);
    if !mine {
        return Err(Refusal::OtherInstance("lease"));
    }
    if state.license.as_ref().is_none_or(|held| held.license != claims.license) {
        return Err(Refusal::OtherLicense("lease"));
    }
    if let Some(held) = state.lease.as_ref().filter(|held| held.key == claims.key) {
        if claims.iat < held.iat {
            return Err(Refusal::OlderLease);
        }
        if token == held.token {
            return Ok(false);
        }
    }
    raise_floor(state, claims.iat);
    let third = claims.renew_at().as_second() - claims.iat.as_second();
    state.lease = Some(LeaseHeld {
        token,
        key: claims.key,
        instance: claims.instance,
        iat: claims.iat,
        exp: claims.exp,
        taken_at: now,
        renew_at: shift(now, third),
    });
    Ok(true)
}

/// Takes a revocation list, out of an answer or a bundle; `Ok(true)` when it is a newer one.
pub fn take_revocations(state: &mut State, mut list: RevocationsClaims) -> Result<bool, Refusal> {
    let license = state.license.as_ref().map(|held| held.license);
    if let Some(held) = &state.revocations {
        let (found, before) = (list.epoch, held.list.epoch);
        if found < before {
            return Err(Refusal::OlderList { held: before, found });
        }
        if found == before && held.license == license {
            return Ok(false);
        }
    }
    raise_floor(state, list.iat);
    list.withdrawn.retain(|entry| Some(entry.license) == license);
    state.revocations = Some(RevocationsHeld { list, license });
    Ok(true)
}

/// Takes a receipt for usage of this instance; `Ok(true)` when it counts more than before.
pub fn take_receipt(state: &mut State, taken: Taken<ReceiptClaims>) -> Result<bool, Refusal> {
    let Taken { token, claims } = taken;
    if state.instance != Some(claims.instance) {
        return Err(Refusal::OtherInstance("receipt"));
    }
    if let Some(held) = &state.receipt {
        if claims.through.seq < held.through.seq {
            return Err(Refusal::OlderReceipt);
        }
        if claims.through == held.through {
            return Ok(false);
        }
    }
    raise_floor(state, claims.iat);
    state.receipt = Some(ReceiptHeld { token, jti: claims.jti, through: claims.through });
    Ok(true)
}

/// The entry after which the next usage report begins. A new key pair has no receipt, so its
/// first report begins the ledger again: what was counted before counts once all the same,
/// by the names of its events.
pub fn report_after(state: &State) -> Option<Head> {
    state.receipt.as_ref().map(|held| held.through)
}

/// The vendor knows less of the ledger than its own receipt says (a database restored from
/// before it): the next report begins the ledger again.
pub fn ledger_gap(state: &mut State) {
    state.receipt = None;
}

/// The vendor knows another continuation of this ledger, or a longer one: this installation
/// is a copy, or an older snapshot of itself. It becomes an instance of its own.
pub fn ledger_forked(state: &mut State, now: Timestamp) {
    if matches!(state.phase, Phase::Fresh | Phase::Active) {
        state.quarantine();
        let message = "The vendor has usage that this installation has forgotten or that a copy \
                       of it recorded; it activates as an instance of its own.";
        state.worry("ledger_forked".into(), message.into(), now);
    }
}
