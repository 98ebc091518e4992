//! What the server says about runs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenure_core::{InvoiceId, RunId, SubscriptionId, TenantId};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::jobs::db::Failure;

/// Nothing has to be said to start a run.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({}))]
pub struct StartRun {}

/// One day's closing of periods and issuing of invoices.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The day, in UTC.
    #[schema(example = "2026-04-01")]
    pub day: String,
    /// When its first work was found.
    pub started_at: Timestamp,
    /// When nothing of it was left to be done.
    pub finished_at: Option<Timestamp>,
    /// Subscriptions to be closed and invoices to be issued.
    #[schema(example = 10_000)]
    pub total: i64,
    /// Those that are done.
    #[schema(example = 9_998)]
    pub done: i64,
    /// Those that failed; they are tried again.
    #[schema(example = 2)]
    pub failed: i64,
    /// Why, for the first hundred.
    pub failures: Vec<RunFailure>,
}

/// Something that could not be closed or issued.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RunFailure {
    /// Of which tenant.
    pub tenant_id: Option<TenantId>,
    /// What was to be closed.
    pub subscription_id: Option<SubscriptionId>,
    /// What was to be issued.
    pub invoice_id: Option<InvoiceId>,
    /// Why not.
    pub detail: String,
    /// How often it was tried.
    #[schema(example = 3)]
    pub attempts: i32,
    /// When it is tried again; absent when it was given up until a run is started by hand.
    pub next_at: Option<Timestamp>,
}

impl From<Failure> for RunFailure {
    fn from(failure: Failure) -> Self {
        let id = |field: &str| -> Option<Uuid> { failure.payload[field].as_str()?.parse().ok() };
        Self {
            tenant_id: id("tenant").map(TenantId::from_uuid),
            subscription_id: id("subscription").map(SubscriptionId::from_uuid),
            invoice_id: id("invoice").map(InvoiceId::from_uuid),
            attempts: failure.attempts,
            next_at: failure.next_at,
            detail: failure.error,
        }
    }
}
