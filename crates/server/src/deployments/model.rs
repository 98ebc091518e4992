//! What a deployment is.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tenure_catalog::Model;
use tenure_core::{DeploymentId, SubscriptionId};
use tenure_license::Environment;
use utoipa::ToSchema;

/// The states of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentStatus {
    /// Something is still missing.
    Pending,
    /// In use.
    Ready,
    /// No longer in use.
    Retired,
}

impl DeploymentStatus {
    /// The word of API and database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Retired => "retired",
        }
    }

    pub(super) fn read(word: &str) -> Self {
        match word {
            "ready" => Self::Ready,
            "retired" => Self::Retired,
            _ => Self::Pending,
        }
    }
}

/// A place where a product runs for one subscription.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Deployment {
    /// Its id.
    pub id: DeploymentId,
    /// For which subscription.
    pub subscription_id: SubscriptionId,
    /// Unique in the subscription.
    #[schema(example = "live")]
    pub name: String,
    /// Who operates it and where its data lives.
    #[schema(value_type = String, example = "self_hosted")]
    pub model: Model,
    /// The product's mode.
    pub mode: Option<String>,
    /// Real data or tests.
    #[schema(value_type = String, example = "live")]
    pub environment: Environment,
    /// Where.
    #[schema(example = "eu-west-1")]
    pub region: Option<String>,
    /// The release that runs there.
    #[schema(example = "1.4.2")]
    pub release: Option<String>,
    /// Its state.
    pub status: DeploymentStatus,
    /// What is known of the customer's resources, by resource and field; secrets are
    /// kept apart and shown as references.
    #[schema(value_type = Object)]
    pub resource_profile: Map<String, Value>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}
