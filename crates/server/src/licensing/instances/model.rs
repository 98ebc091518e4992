//! What an instance is: to the decisions, and to those who look at it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tenure_core::{DeploymentId, InstanceId, LicenseId, TenantId};
use tenure_license::{
    Digest, InstancePublicKey,
    activation::{
        sequence::Sequence,
        slots::{Hold, Policy},
    },
};
use utoipa::ToSchema;

/// The states of an instance that are stored. Whether its slot has ended is for
/// the clock to say ([`InstanceState`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceStatus {
    /// Gets leases.
    Active,
    /// Two copies used its key: no new lease until staff restores it.
    Quarantined,
    /// It gave its slot back, or staff or a revocation took it.
    Released,
}

impl InstanceStatus {
    /// The word of the database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Quarantined => "quarantined",
            Self::Released => "released",
        }
    }

    pub(crate) fn of_word(word: &str) -> Self {
        match word {
            "active" => Self::Active,
            "quarantined" => Self::Quarantined,
            // What is not known to be in use is not.
            _ => Self::Released,
        }
    }
}

/// How an instance is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// By its own key pair.
    Key(InstancePublicKey),
    /// By where it says it runs: a simple client that proves nothing and gets no lease.
    Place(String),
}

/// A running process that holds a license.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// What it holds.
    pub license_id: LicenseId,
    /// Where it runs, where that is known.
    pub deployment_id: Option<DeploymentId>,
    /// How it is known.
    pub identity: Identity,
    /// For people.
    pub name: String,
    /// UID of its Kubernetes cluster.
    pub k8s_cluster_uid: Option<String>,
    /// Version of the product.
    pub version: Option<String>,
    /// Its state.
    pub status: InstanceStatus,
    /// Whether it holds a file rather than leases.
    pub offline: bool,
    /// Its numbered calls.
    pub sequence: Sequence,
    /// What it last counted.
    pub stats: BTreeMap<String, Decimal>,
    /// The lease or file in its hands.
    pub lease: Option<String>,
    /// The number of the call that the lease answered.
    pub lease_seq: Option<u64>,
    /// The slot is held until then: the latest end of any token that it was given.
    pub held_until: Timestamp,
    /// When it was last heard of.
    pub last_seen_at: Timestamp,
    /// The last ledger entry that was counted; 0 for none.
    pub ledger_seq: u64,
    /// Its hash.
    pub ledger_hash: Option<Digest>,
    /// When it was first activated.
    pub created_at: Timestamp,
    /// Since when it is in quarantine.
    pub quarantined_at: Option<Timestamp>,
    /// When it was released.
    pub released_at: Option<Timestamp>,
    /// Given back with its own signature.
    pub returned: bool,
    /// Freed by staff before the end of its slot.
    pub forced: bool,
}

impl Instance {
    /// Its hold on the license, unless staff took it away.
    pub fn hold(&self) -> Option<Hold> {
        (!self.forced).then_some(Hold { until: self.held_until, returned: self.returned })
    }

    /// Whether the slot is its own at `now`, so that a renewal takes no other.
    pub fn holds_slot(&self, now: Timestamp) -> bool {
        self.status == InstanceStatus::Active && now < self.held_until
    }

    /// Is in use again, whatever ended it before.
    pub(crate) fn take_up(&mut self, now: Timestamp) {
        self.status = InstanceStatus::Active;
        self.released_at = None;
        self.returned = false;
        self.forced = false;
        self.last_seen_at = now;
    }

    /// Holds the slot until the end of a token that it is given. It is held until the latest end
    /// of any: a lease takes back nothing of a file for a year.
    pub(crate) fn hold_until(&mut self, end: Timestamp) {
        self.held_until = self.held_until.max(end);
    }

    /// Its public key, where it has one.
    pub fn public_key(&self) -> Option<&InstancePublicKey> {
        match &self.identity {
            Identity::Key(key) => Some(key),
            Identity::Place(_) => None,
        }
    }

    /// Its state to people.
    pub fn state(&self, now: Timestamp) -> InstanceState {
        match self.status {
            InstanceStatus::Quarantined => InstanceState::Quarantined,
            InstanceStatus::Released => InstanceState::Released,
            InstanceStatus::Active if now < self.held_until => InstanceState::Held,
            InstanceStatus::Active => InstanceState::Ended,
        }
    }

    /// As it is shown.
    pub fn view(&self, now: Timestamp) -> InstanceView {
        InstanceView {
            id: self.id,
            license_id: self.license_id,
            deployment_id: self.deployment_id,
            key: self.public_key().map(InstancePublicKey::thumbprint),
            name: self.name.clone(),
            k8s_cluster_uid: self.k8s_cluster_uid.clone(),
            version: self.version.clone(),
            state: self.state(now),
            slot: self.slot(now),
            offline: self.offline,
            held_until: self.held_until,
            last_seen_at: self.last_seen_at,
            stats: self.stats.clone(),
            ledger_seq: self.ledger_seq,
            created_at: self.created_at,
            quarantined_at: self.quarantined_at,
            released_at: self.released_at,
        }
    }

    fn slot(&self, now: Timestamp) -> SlotState {
        match self.hold() {
            Some(hold) if now < hold.until && hold.returned => SlotState::Returned,
            Some(hold) if now < hold.until => SlotState::Held,
            _ => SlotState::Free,
        }
    }
}

/// The states of an instance, as people see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InstanceState {
    /// It holds a slot.
    Held,
    /// Its lease or file has ended.
    Ended,
    /// Given back, or taken by staff or a revocation.
    Released,
    /// Two copies used its key.
    Quarantined,
}

/// What an instance takes of a license's slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SlotState {
    /// One slot, until `held_until`.
    Held,
    /// None; the token that it gave back stays genuine until `held_until`.
    Returned,
    /// None.
    Free,
}

/// An instance, as staff sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InstanceView {
    /// Its id.
    pub id: InstanceId,
    /// What it holds.
    pub license_id: LicenseId,
    /// Where it runs, where that is known.
    pub deployment_id: Option<DeploymentId>,
    /// Thumbprint of its public key (RFC 7638); absent for a client without a key pair.
    #[schema(example = "8vJ0bqW1xT0mS1oYyq6p3hQk0mD7Yt3n2mJv3yq0c2E")]
    pub key: Option<String>,
    /// For people: the host or cluster.
    #[schema(example = "prod-eu-1")]
    pub name: String,
    /// The UID of the `kube-system` namespace, where it runs on Kubernetes.
    pub k8s_cluster_uid: Option<String>,
    /// Version of the product.
    #[schema(example = "1.2.0")]
    pub version: Option<String>,
    /// Its state.
    pub state: InstanceState,
    /// What it takes of the license's slots.
    pub slot: SlotState,
    /// Whether it holds a file rather than leases.
    pub offline: bool,
    /// The latest end of any lease or file that it was given.
    pub held_until: Timestamp,
    /// When it was last heard of.
    pub last_seen_at: Timestamp,
    /// What it last counted.
    #[schema(value_type = Object, example = json!({"agent_runs": "1200", "teams": "4"}))]
    pub stats: BTreeMap<String, Decimal>,
    /// The last entry of its usage ledger that was counted; 0 for none.
    #[schema(example = 1204)]
    pub ledger_seq: u64,
    /// When it was first activated.
    pub created_at: Timestamp,
    /// Since when it is in quarantine.
    pub quarantined_at: Option<Timestamp>,
    /// When it was released.
    pub released_at: Option<Timestamp>,
}

/// The instances of a license, and how many slots they hold.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Instances {
    /// Newest first.
    pub items: Vec<InstanceView>,
    /// Give it as `cursor` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// Slots held now.
    #[schema(example = 3)]
    pub held: u64,
    /// Tokens given back that have not ended.
    #[schema(example = 0)]
    pub returned: u64,
    /// Slots bought; absent: unlimited.
    #[schema(example = 5)]
    pub max: Option<u64>,
    /// Slots bought and tolerated together; absent: unlimited.
    #[schema(example = 6)]
    pub cap: Option<u64>,
}

/// An instance of any tenant that somebody should look at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Attention {
    /// Whose.
    pub tenant: TenantId,
    /// The instance.
    #[serde(flatten)]
    pub instance: InstanceView,
}

/// Staff takes an instance's slot.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseInstance {
    /// For the audit trail.
    #[schema(example = "machine lost, ticket 4711")]
    pub reason: String,
    /// Frees the slot at once, although the token in the machine's hands is genuine
    /// until its end. Otherwise the slot is free when that token ends.
    #[serde(default)]
    pub force: bool,
}

/// The most of a statistic that a license reported at once in a month.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HighWater {
    /// The statistic.
    #[schema(example = "teams")]
    pub stat: String,
    /// The first day of the month (UTC).
    #[schema(value_type = String, example = "2026-03-01")]
    pub month: jiff::civil::Date,
    /// The most.
    #[schema(value_type = String, example = "23")]
    pub value: Decimal,
    /// When it was reached.
    pub reached_at: Timestamp,
}

/// Every month that is kept, newest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HighWaters {
    /// Newest month first.
    pub items: Vec<HighWater>,
}

/// How many slots a license has, and how they are taken.
#[derive(Debug, Clone)]
pub struct Slots {
    /// What was bought and is tolerated.
    pub policy: Policy,
    /// The holds of all its instances but the one that asks.
    pub others: Vec<Hold>,
}
