//! The statements.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenure_core::{InstanceId, LicenseId, Quantity};

use super::{InstancePublicKey, Statement, StatementKind};
use crate::{Digest, chain::Head};

/// What a proof goes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// `POST /api/v1/activate`
    Activate,
    /// `POST /api/v1/heartbeat`
    Heartbeat,
    /// `POST /api/v1/release`
    Release,
}

/// Goes with a call as the header `Tenure-Proof`: the instance has its private
/// key, and sends exactly this body, exactly now in its sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// [`StatementKind::audience`] of proofs.
    pub aud: String,
    /// The instance's public key.
    pub key: InstancePublicKey,
    /// The instance; none before its first activation was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceId>,
    /// The call.
    pub purpose: Purpose,
    /// Counts the calls of this key, from 1. Sent again with the same bytes when
    /// the answer was lost.
    pub seq: u64,
    /// What the answer to the call before handed out; any text in the first call.
    pub nonce: String,
    /// Random, drawn anew for each call: two copies of an instance that do the same in the
    /// same second still send different bytes, and are noticed.
    #[serde(default)]
    pub jti: String,
    /// The instance's clock.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub iat: Timestamp,
    /// SHA-256 of the body.
    pub body: Digest,
}

/// What a request file asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestKind {
    /// A license for a new instance.
    Activation,
    /// A license that runs longer, for an instance that has one.
    Renewal,
}

/// A request file: an instance without a network asks for a license.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// [`StatementKind::audience`] of requests.
    pub aud: String,
    /// The instance's public key.
    pub key: InstancePublicKey,
    /// What for.
    pub kind: RequestKind,
    /// The license key, where the instance was given one. It opens the license, so
    /// the file is to be kept as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license_key: Option<String>,
    /// The license, where the instance has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<LicenseId>,
    /// The instance, where it has been named before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceId>,
    /// Unique: a request is answered once, and again with the same file.
    pub jti: String,
    /// The instance's clock.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub iat: Timestamp,
    /// For people: the host, the cluster.
    #[serde(default)]
    pub name: String,
    /// Kubernetes cluster UID (SPEC 5), where it runs on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub k8s_cluster_uid: Option<String>,
    /// The agent's version.
    #[serde(default)]
    pub agent_version: String,
    /// The end of the instance's usage ledger, so that a gap shows early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger: Option<Head>,
}

/// A return file: the instance has stopped using its license for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Return {
    /// [`StatementKind::audience`] of returns.
    pub aud: String,
    /// The instance's public key.
    pub key: InstancePublicKey,
    /// The instance.
    pub instance: InstanceId,
    /// The license given back.
    pub license: LicenseId,
    /// The instance's clock.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub iat: Timestamp,
    /// The end of its usage ledger: what lies before it must still be reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger: Option<Head>,
}

/// The signed first line of a usage report; the entries follow it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportHead {
    /// [`StatementKind::audience`] of reports.
    pub aud: String,
    /// The instance's public key.
    pub key: InstancePublicKey,
    /// The instance whose ledger it is.
    pub instance: InstanceId,
    /// The license under which the usage was.
    pub license: LicenseId,
    /// When it was written, by the instance's clock.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub iat: Timestamp,
    /// The entry before the first one of this report; none when it begins the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Head>,
    /// The last entry of this report. Through it the signature covers every entry.
    pub through: Head,
    /// `jti` of the newest receipt that the instance holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
}

/// A slice of a quota that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceAsked {
    /// Its name, made by the instance: asked for again under one name, it is one slice.
    pub slice: String,
    /// Id of the meter.
    pub meter: String,
    /// The least that is of use, in the unit of the meter's events.
    pub needed: Quantity,
}

/// A slice of which the instance will use no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceBack {
    /// Its name.
    pub slice: String,
    /// All that was used of it, reported or not.
    pub used: Quantity,
}

/// Asks for a slice of a quota that several instances share, gives slices back, or both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceRequest {
    /// [`StatementKind::audience`] of slices.
    pub aud: String,
    /// The instance's public key.
    pub key: InstancePublicKey,
    /// The instance.
    pub instance: InstanceId,
    /// The license under which it uses the quota.
    pub license: LicenseId,
    /// The instance's clock.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub iat: Timestamp,
    /// What it wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<SliceAsked>,
    /// What it gives back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub back: Vec<SliceBack>,
}

macro_rules! statements {
    ($($claims:ident),+) => {$(
        impl Statement for $claims {
            const KIND: StatementKind = statements!(@kind $claims);

            fn audience(&self) -> &str {
                &self.aud
            }

            fn key(&self) -> &InstancePublicKey {
                &self.key
            }
        }
    )+};
    (@kind Proof) => { StatementKind::Proof };
    (@kind Request) => { StatementKind::Request };
    (@kind Return) => { StatementKind::Return };
    (@kind ReportHead) => { StatementKind::Report };
    (@kind SliceRequest) => { StatementKind::Slice };
}
statements!(Proof, Request, Return, ReportHead, SliceRequest);
