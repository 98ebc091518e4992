//! What is known of the resources that a deployment needs, as it may be shown:
//! for BYOI the customer's resource profile (SPEC 4). Secrets are not in it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenure_catalog::{Model, Product, Resource};
use utoipa::ToSchema;

use super::{Deployment, db};

/// What a deployment needs and what is known of that.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResourceProfile {
    /// Who operates the deployment: `managed`, `byoi`, `self_hosted` or `air_gapped`.
    #[serde(rename = "deploymentMode")]
    #[schema(example = "byoi")]
    pub deployment_mode: String,
    /// By id, as the newest version of the product lists them.
    pub resources: BTreeMap<String, ResourceState>,
    /// Required fields that are not known yet, as `resource.field`.
    #[schema(example = json!(["database.url"]))]
    pub missing: Vec<String>,
    /// Whether the resources answer.
    pub health: Health,
}

/// One resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResourceState {
    /// For people.
    #[schema(example = "PostgreSQL")]
    pub name: String,
    /// What it is.
    #[schema(example = "postgres.database")]
    pub kind: String,
    /// Whether the product goes on without it, with less.
    pub optional: bool,
    /// What the customer must grant.
    #[schema(example = json!(["db_owner"]))]
    pub permissions: Vec<String>,
    /// What is known, by field.
    pub fields: BTreeMap<String, FieldState>,
}

/// One field. A secret is never shown, only where programs find it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldState {
    /// Whether it is sealed.
    pub secret: bool,
    /// Whether it is known.
    pub set: bool,
    /// What it is, unless it is a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "westeurope")]
    pub value: Option<String>,
    /// How often the secret was set or cleared.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 2)]
    pub version: Option<i32>,
    /// What stands for the secret in an environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "secret://dep_01932f3ea1b27c3d9e4f5a6b7c8d9e0f/database.url")]
    pub reference: Option<String>,
}

/// Whether the resources answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// What the last check found.
    pub status: HealthStatus,
    /// When it was; absent before the first.
    pub last_check: Option<Timestamp>,
}

/// What a check of resources found (SPEC 4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// Not checked yet.
    #[default]
    Unknown,
    /// Everything answers.
    Healthy,
    /// Something answers badly, or something optional does not.
    Degraded,
    /// Something required does not answer.
    Unavailable,
}

/// What stands for a secret wherever its value must not.
pub(crate) fn reference(owner: impl std::fmt::Display, name: &str) -> String {
    format!("secret://{owner}/{name}")
}

/// What is known of the resources of a deployment.
pub(crate) fn profile(
    product: &Product,
    deployment: &Deployment,
    secrets: &[db::Secret],
) -> ResourceProfile {
    let mut missing = Vec::new();
    let mut resources = BTreeMap::new();
    for resource in product.resources_for(deployment.model, deployment.mode.as_deref()) {
        let mut fields = BTreeMap::new();
        for field in &resource.fields {
            let state = field_state(deployment, secrets, resource, field);
            if !state.set && !resource.optional {
                missing.push(format!("{}.{field}", resource.id));
            }
            fields.insert(field.clone(), state);
        }
        let state = ResourceState {
            name: resource.name.clone(),
            kind: resource.kind.clone(),
            optional: resource.optional,
            permissions: resource.permissions.clone(),
            fields,
        };
        resources.insert(resource.id.clone(), state);
    }
    // What the vendor operates is provisioned, not asked for.
    if deployment.model == Model::Managed {
        missing.clear();
    }
    ResourceProfile {
        deployment_mode: deployment.model.word().to_owned(),
        resources,
        missing,
        health: Health::default(),
    }
}

fn field_state(
    deployment: &Deployment,
    secrets: &[db::Secret],
    resource: &Resource,
    field: &str,
) -> FieldState {
    if !resource.secrets.iter().any(|secret| secret == field) {
        let value = known(deployment, &resource.id, field).map(str::to_owned);
        let set = value.is_some();
        return FieldState { secret: false, set, value, version: None, reference: None };
    }
    let name = format!("{}.{field}", resource.id);
    let sealed = secrets.iter().find(|secret| secret.field == name);
    let set = sealed.is_some_and(|secret| secret.set);
    FieldState {
        secret: true,
        set,
        value: None,
        version: sealed.map(|secret| secret.version),
        reference: set.then(|| reference(deployment.id, &name)),
    }
}

fn known<'a>(deployment: &'a Deployment, resource: &str, field: &str) -> Option<&'a str> {
    deployment.resource_profile.get(resource)?.get(field)?.as_str()
}
