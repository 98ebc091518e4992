//! The license service on the wire: activate, validate, heartbeat, release,
//! reports.
//!
//! Every call is idempotent: an instance numbers its calls, signs each one
//! (header [`PROOF_HEADER`], [`tenure_license::instance::Proof`]) and sends the
//! very same bytes again when an answer was lost. Tokens inside answers are
//! signed by the product's key and are to be verified; the words around them are
//! for people.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tenure_core::{DeploymentId, InstanceId};
use utoipa::ToSchema;

/// The header that carries an instance's proof.
pub const PROOF_HEADER: &str = "tenure-proof";
/// Most usage statistics of a heartbeat.
pub const STATS_MAX: usize = 64;

/// `POST /api/v1/activate`: exchanges a license key for a license, and an
/// instance's key pair for a lease.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Activate {
    /// The license key, or the license token itself; may be sent as the bearer instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "IFOX-ENT-ACME-7K3M-Q2XW-9D4T-B6HN-C8RV")]
    pub license_key: Option<String>,
    /// The customer, where it is known: refused when the key is another one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "ten_01932f3ea1b27c3d9e4f5a6b7c8d9e0f")]
    pub customer_id: Option<String>,
    /// Where the product runs; the license's own place when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<DeploymentId>,
    /// The UID of the `kube-system` namespace, where it runs on Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "7c1d1c5e-5e0e-4d53-8f0e-0c9d6a1e2b3c")]
    pub k8s_cluster_uid: Option<String>,
    /// For people: the host or cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "prod-eu-1")]
    pub name: Option<String>,
    /// Version of the product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "1.2.0")]
    pub version: Option<String>,
}

/// The answer to an activation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Activated {
    /// The signed license.
    pub license_token: String,
    /// What it grants, readable: `tier`, `features`, `max_...` with -1 for unlimited.
    #[schema(value_type = Object)]
    pub entitlements: serde_json::Value,
    /// The instance; the same for every activation of one key pair.
    pub instance: InstanceId,
    /// The signed lease; absent when no key pair was shown, for a lease is bound to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<String>,
    /// The nonce of the next call.
    pub nonce: String,
    /// How often to send a heartbeat, in seconds.
    #[schema(example = 300)]
    pub heartbeat_seconds: u32,
    /// The signed list of what was taken back, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocations: Option<String>,
    /// The license's state: `active`, `expiring`, `grace`, `restricted`, `terminated`.
    #[schema(example = "active")]
    pub status: String,
    /// For people.
    pub warnings: Vec<Warning>,
}

/// Something that people should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Warning {
    /// Stable: `license_expires_soon`, `limit_reached`, `instances_overage`, `clock_skew`,
    /// `instance_quarantined`, `ledger_behind`, ...
    #[schema(example = "limit_reached")]
    pub code: String,
    /// In a sentence.
    #[schema(example = "Team limit reached: 5/5.")]
    pub message: String,
}

/// `POST /api/v1/heartbeat`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// The license token; may be left out by an instance that proves its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The instance, where no key pair is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceId>,
    /// Counts of what is held or done: `teams`, `users`, `agent_runs`, ...; at most [`STATS_MAX`].
    #[serde(default)]
    #[schema(value_type = Object, example = json!({"agent_runs": 1200, "teams": 4, "users": 31}))]
    pub usage_stats: BTreeMap<String, Decimal>,
    /// The revision of the license that is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// The number of the revocation list that is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// Whether a new lease is wanted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub renew: bool,
    /// Version of the product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// The answer to a heartbeat. Fields beside `status`, `warnings` and `nonce` are
/// only there when they bring something new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Beat {
    /// The license's state, or `quarantined` or `released` of the instance.
    #[schema(example = "active")]
    pub status: String,
    /// For people.
    pub warnings: Vec<Warning>,
    /// The nonce of the next call.
    pub nonce: String,
    /// How often to send a heartbeat, in seconds.
    #[schema(example = 300)]
    pub heartbeat_seconds: u32,
    /// The server's clock. Unsigned: a hint, never a floor.
    pub at: Timestamp,
    /// A signed lease, when one was asked for and granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<String>,
    /// A newer revision of the license.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license_token: Option<String>,
    /// A newer revocation list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocations: Option<String>,
}

/// `POST /api/v1/release`: the instance stops using the license and gives its slot back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "moved to prod-eu-2")]
    pub reason: Option<String>,
}

/// The answer to a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Released {
    /// `released`.
    #[schema(example = "released")]
    pub status: String,
}

/// `POST /api/v1/validate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Validate {
    /// A license token.
    pub token: String,
}

/// The answer to a validation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Validation {
    /// Whether it is genuine and may be used: not `terminated`, not replaced.
    pub valid: bool,
    /// The license's state; `invalid` for a token that is not genuine.
    #[schema(example = "active")]
    pub status: String,
    /// Stable: `valid`, `expires_soon`, ..., or `token_...` of a token that is not genuine.
    #[schema(example = "valid")]
    pub reason: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    /// What it grants; absent for a token that is not genuine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub entitlements: Option<serde_json::Value>,
    /// When it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<Timestamp>,
    /// The newest revision of this license.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

/// The answer to a usage report ([`tenure_license::ledger`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportReceipt {
    /// The signed receipt.
    pub receipt: String,
    /// The last entry that was counted.
    #[schema(example = 1204)]
    pub through: u64,
    /// Events counted now.
    #[schema(example = 998)]
    pub accepted: u64,
    /// Events counted before.
    #[schema(example = 0)]
    pub duplicates: u64,
    /// Events that cannot be counted; each with its reason in the vendor's list.
    #[schema(example = 0)]
    pub rejected: u64,
}
