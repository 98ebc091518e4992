//! What an agent remembers.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenure_core::{InstanceId, LicenseId};
use tenure_license::{RevocationsClaims, chain::Head, instance::Purpose};

/// Time between heartbeats until the vendor says otherwise, in seconds.
pub const HEARTBEAT_SECONDS: u32 = 300;

/// Where an instance stands with the vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// This key pair was never activated.
    #[default]
    Fresh,
    /// Activated.
    Active,
    /// The vendor has seen a copy of this instance: a new key pair is needed.
    Quarantined,
    /// It has given its slot back and stopped.
    Released,
}

/// Everything that must survive a crash. Saved as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct State {
    /// Where it stands.
    pub phase: Phase,
    /// Thumbprint of its key pair; the pair itself is kept elsewhere.
    pub key: Option<String>,
    /// Its name, given by the activation.
    pub instance: Option<InstanceId>,
    /// The number of the last call that was written down under this key; 0 before the first.
    pub seq: u64,
    /// The nonce of the next call.
    pub nonce: String,
    /// What tells the next call from that of a copy; drawn anew by the caller before each
    /// call, and never kept: a copy would have it too.
    #[serde(skip)]
    pub salt: u64,
    /// The call that was written down and not answered yet.
    pub outstanding: Option<Call>,
    /// How often to send a heartbeat, in seconds, as the vendor said last.
    pub heartbeat_seconds: Option<u32>,
    /// The license.
    pub license: Option<LicenseHeld>,
    /// The lease. It may still be that of the key pair before.
    pub lease: Option<LeaseHeld>,
    /// What was taken back.
    pub revocations: Option<RevocationsHeld>,
    /// Usage that was counted for this instance.
    pub receipt: Option<ReceiptHeld>,
    /// The latest moment that is proven to have passed. Only rises.
    pub floor: Option<Timestamp>,
    /// When the last call was answered or failed, by this machine's clock.
    pub marked_at: Option<Timestamp>,
    /// Whether the last call that was answered asked for a lease.
    pub asked_for_lease: bool,
    /// Failures since the last answer.
    pub failures: u32,
    /// Whether the outstanding call was refused when it was sent last, rather than lost.
    pub turned_away: bool,
    /// How often in a row the vendor did not know this instance.
    pub unknown: u32,
    /// Key pairs made since the last heartbeat in good standing: a vendor, or a false one, who
    /// sends every key pair away is asked ever more slowly.
    pub copies: u32,
    /// How long to wait at least since `marked_at`, in seconds: the vendor asked for it, or
    /// there is no point in asking sooner.
    pub pause_seconds: u32,
    /// The last thing that went wrong, for people; gone with the next answer.
    pub trouble: Option<Trouble>,
}

/// A call, written down before it is sent, and sent again as it is until it is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// What for.
    pub purpose: Purpose,
    /// Whether it asks for a lease: renewals and activations do.
    pub asks_for_lease: bool,
    /// Its number.
    pub seq: u64,
    /// Its nonce.
    pub nonce: String,
    /// The body, byte for byte. JSON, so it is text.
    pub body: String,
    /// The signed proof of the header `Tenure-Proof`.
    pub proof: String,
    /// When it was written down.
    pub at: Timestamp,
}

/// The license in hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LicenseHeld {
    /// The signed token.
    pub token: String,
    /// Which lineage.
    pub license: LicenseId,
    /// Which revision of it.
    pub revision: u64,
    /// When it was signed.
    pub iat: Timestamp,
    /// The first moment at which it has expired.
    pub exp: Timestamp,
    /// Days for which it governs alone after a lease has ended.
    pub offline_grace_days: u32,
    /// Whether staying out of contact beyond that restricts.
    pub phone_home_required: bool,
    /// Since when this installation has held this lineage, by its time floor.
    pub since: Timestamp,
}

/// The lease in hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseHeld {
    /// The signed token.
    pub token: String,
    /// The key pair that it is bound to.
    pub key: String,
    /// The instance.
    pub instance: InstanceId,
    /// When it was signed, by the vendor's clock.
    pub iat: Timestamp,
    /// The first moment at which it has ended, by the vendor's clock.
    pub exp: Timestamp,
    /// When it was taken, by this machine's clock.
    pub taken_at: Timestamp,
    /// When to renew, by this machine's clock: a third of its length after it was taken, so
    /// that a clock that is wrong by a constant changes nothing.
    pub renew_at: Timestamp,
}

/// The revocation list in hand, as far as it is about the license in hand. A whole list
/// may have a megabyte; whoever needs its token keeps it beside the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationsHeld {
    /// The list, without the entries of other licenses.
    pub list: RevocationsClaims,
    /// The lineage that was kept; another one needs the list again.
    pub license: Option<LicenseId>,
}

/// The newest receipt for usage of this instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptHeld {
    /// The signed token.
    pub token: String,
    /// Its name, which the next report cites.
    pub jti: String,
    /// The last ledger entry that was counted.
    pub through: Head,
}

/// Something that went wrong, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Stable.
    pub code: String,
    /// In a sentence.
    pub message: String,
    /// Since when, by this machine's clock; kept while the code stays the same.
    pub since: Timestamp,
}

impl State {
    /// The revision to tell the vendor in a heartbeat.
    pub fn revision(&self) -> Option<u64> {
        self.license.as_ref().map(|held| held.revision)
    }

    /// The number of the revocation list to tell the vendor in a heartbeat. 0 asks for the list.
    pub fn epoch(&self) -> u64 {
        let lineage = self.license.as_ref().map(|held| held.license);
        let held = self.revocations.as_ref().filter(|held| held.license == lineage);
        held.map_or(0, |held| held.list.epoch)
    }

    /// Whether a lease should be asked for at `now`.
    pub fn wants_lease(&self, now: Timestamp) -> bool {
        let own = self.lease.as_ref().filter(|held| self.key.as_ref() == Some(&held.key));
        own.is_none_or(|held| now >= held.renew_at || now < held.taken_at)
    }

    /// A copy was seen: a new key pair is needed.
    pub(super) fn quarantine(&mut self) {
        self.phase = Phase::Quarantined;
        self.copies = self.copies.saturating_add(1);
    }

    /// Forgets what belongs to a key pair, and keeps what belongs to the installation:
    /// the license, the lease as proof of contact, the floor.
    pub(super) fn begin(&mut self, key: String) {
        self.phase = Phase::Fresh;
        self.key = Some(key);
        self.instance = None;
        self.seq = 0;
        self.nonce = String::new();
        self.outstanding = None;
        self.receipt = None;
        self.asked_for_lease = false;
        self.failures = self.copies;
        self.turned_away = false;
        self.unknown = 0;
        self.pause_seconds = 0;
    }
}
