//! What a deployment is, and what callers may say about one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tenure_catalog::Model;
use tenure_core::{DeploymentId, SubscriptionId};
use tenure_license::Environment;
use utoipa::ToSchema;

use super::profile::ResourceProfile;
use crate::{http::FieldError, tenants::model::present};

/// Longest name, in characters.
pub const NAME_LEN_MAX: usize = 100;
/// Longest region or release, in characters.
pub const WORD_LEN_MAX: usize = 100;

/// The states of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentStatus {
    /// Something is still missing: resources of a BYOI one, the license of the customer's own.
    Pending,
    /// Nothing is missing.
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
    /// Unique among the subscription's deployments in use.
    #[schema(example = "live")]
    pub name: String,
    /// Who operates it and where its data lives.
    #[schema(value_type = String, example = "self_hosted")]
    pub model: Model,
    /// The product's mode, where it has modes.
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
    /// What is known of the resources, by resource and field; secrets are kept apart.
    /// Shown as [`ResourceProfile`].
    #[serde(skip)]
    #[schema(ignore)]
    pub(super) resource_profile: Map<String, Value>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A deployment with what is known of its resources.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeploymentDetail {
    /// The deployment.
    #[serde(flatten)]
    pub deployment: Deployment,
    /// What it needs and what is known of that.
    pub resources: ResourceProfile,
}

/// A deployment to be made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDeployment {
    /// For which subscription.
    pub subscription: SubscriptionId,
    /// 1 to 100 characters; `live` or `test` when absent.
    #[schema(example = "staging")]
    pub name: Option<String>,
    /// The subscription's when absent. The plan must be sold in it.
    #[schema(value_type = Option<String>, example = "self_hosted")]
    pub model: Option<Model>,
    /// The product's mode; the subscription's when absent.
    #[schema(example = "platform")]
    pub mode: Option<String>,
    /// `live` or `test`; `live` when absent.
    #[schema(value_type = Option<String>, example = "test")]
    pub environment: Option<Environment>,
    /// Where.
    #[schema(example = "eu-west-1")]
    pub region: Option<String>,
    /// The release that runs there.
    #[schema(example = "1.4.2")]
    pub release: Option<String>,
}

/// Changes to a deployment: what is absent stays, `null` empties.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeploymentUpdate {
    /// 1 to 100 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The product's mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Where.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub region: Option<Option<String>>,
    /// The release that runs there.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub release: Option<Option<String>>,
}

impl DeploymentUpdate {
    pub(super) fn apply(self, mut deployment: Deployment) -> Deployment {
        if let Some(name) = self.name {
            deployment.name = name.trim().to_owned();
        }
        if let Some(mode) = self.mode {
            deployment.mode = Some(mode);
        }
        if let Some(region) = self.region {
            deployment.region = region;
        }
        if let Some(release) = self.release {
            deployment.release = release;
        }
        deployment
    }
}

impl Deployment {
    /// Every field that cannot be so.
    pub(super) fn check(&self, product: &tenure_catalog::Product) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let mut wrong = |pointer: &str, detail: String| {
            errors.push(FieldError { pointer: pointer.to_owned(), detail });
        };
        if !is_word(&self.name, NAME_LEN_MAX) {
            let detail = format!("A name has 1 to {NAME_LEN_MAX} characters on one line.");
            wrong("/name", detail);
        }
        for (pointer, word) in [("/region", &self.region), ("/release", &self.release)] {
            if word.as_deref().is_some_and(|word| !is_word(word, WORD_LEN_MAX)) {
                wrong(pointer, format!("Give 1 to {WORD_LEN_MAX} characters on one line."));
            }
        }
        if let Some(mode) = self.mode.as_deref().filter(|mode| product.mode(mode).is_none()) {
            let known: Vec<&str> = product.modes.iter().map(|mode| mode.id.as_str()).collect();
            let detail = match known.as_slice() {
                [] => format!("{} has no modes; leave `mode` out.", product.name),
                known => {
                    format!("{} has no mode `{mode}`; it has {}.", product.name, known.join(", "))
                }
            };
            wrong("/mode", detail);
        }
        errors
    }
}

fn is_word(text: &str, len_max: usize) -> bool {
    let clean = !text.chars().any(char::is_control);
    clean && !text.trim().is_empty() && text.chars().count() <= len_max
}
