//! One call of an operation: who, when, and under which idempotency key.
//!
//! Every operation that changes something takes a [`Call`]. It carries the
//! time (read once, so that everything one request writes has one moment) and
//! the actor that the audit trail will name.

use std::fmt;

use jiff::Timestamp;
use tenure_core::{ApiKeyId, CredentialId, InstanceId, LicenseId, RequestId, TenantId};
use uuid::Uuid;

use crate::idempotency::Once;

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// The vendor's staff, through a credential.
    Staff {
        /// Which.
        id: CredentialId,
        /// What it is called.
        name: String,
    },
    /// A tenant's API key.
    ApiKey {
        /// Which.
        id: ApiKeyId,
        /// Whose.
        tenant: TenantId,
    },
    /// Whoever holds a license: its key is the credential.
    License {
        /// Which.
        id: LicenseId,
        /// Whose.
        tenant: TenantId,
    },
    /// A running process that holds a license.
    Instance(InstanceId),
    /// The server itself.
    System,
}

impl Actor {
    /// Under which idempotency keys are told apart.
    pub fn scope(&self) -> Uuid {
        match self {
            Self::Staff { id, .. } => id.uuid(),
            Self::ApiKey { id, .. } => id.uuid(),
            Self::License { id, .. } => id.uuid(),
            Self::Instance(id) => id.uuid(),
            Self::System => Uuid::nil(),
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Staff { name, .. } => write!(f, "staff:{name}"),
            Self::ApiKey { id, .. } => write!(f, "{id}"),
            Self::License { id, .. } => write!(f, "{id}"),
            Self::Instance(id) => write!(f, "{id}"),
            Self::System => f.write_str("system"),
        }
    }
}

/// The circumstances of one operation.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who acts.
    pub actor: Actor,
    /// The moment of everything it writes.
    pub now: Timestamp,
    /// For logs and the audit trail.
    pub request: RequestId,
    /// The idempotency key, where the caller gave one.
    pub once: Option<Once>,
}

impl Call {
    /// A call by the server itself.
    pub fn system(now: Timestamp) -> Self {
        Self { actor: Actor::System, now, request: RequestId::new(now), once: None }
    }
}
