//! Recording what is known of the resources that a deployment needs.
//!
//! Owns: which fields there are (the product's newest version says), keeping
//! them, sealing those that are secrets. Refuses: unknown resources and fields.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tenure_catalog::{Product, Resource};
use tenure_core::{DeploymentId, TenantId};
use tenure_tenancy::TenantTx;
use utoipa::ToSchema;

use super::{Deployment, DeploymentDetail, db, profile::profile};
use crate::{
    App,
    call::Call,
    http::{FieldError, Problem},
    idempotency,
    trail::{self, Change},
    vault::Place,
};

/// Longest value of a field, in bytes: certificates and connection strings fit.
pub const VALUE_BYTES_MAX: usize = 8 * 1024;
/// Likeness from which on a known word is suggested for an unknown one.
const LIKENESS_MIN: f64 = 0.75;

/// Values by resource and field: a text sets, `null` clears, what is absent stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct ResourceInput(pub BTreeMap<String, BTreeMap<String, Option<String>>>);

/// Records what is known; a BYOI deployment of which nothing is missing is ready.
pub async fn record(
    app: &App,
    call: &Call,
    tenant: TenantId,
    id: DeploymentId,
    input: ResourceInput,
) -> Result<DeploymentDetail, Problem> {
    let newest = super::situation(app, tenant, id).await?.newest;
    let mut tx = app.db().tenant(tenant).await?;
    let mut deployment = super::lock(&mut tx, id).await?;
    let errors = check(&newest.product, &deployment, &input);
    if !errors.is_empty() {
        return Err(Problem::invalid(errors));
    }
    let secrets = db::secrets(&mut tx, id).await?;
    let before = profile(&newest.product, &deployment, &secrets);
    for (resource, fields) in input.0 {
        let listed = newest.product.resources.iter().find(|listed| listed.id == resource);
        for (field, value) in fields {
            if listed.is_some_and(|listed| listed.secrets.contains(&field)) {
                let name = format!("{resource}.{field}");
                seal(app, &mut tx, call, id, &secrets, &name, value).await?;
            } else {
                set(&mut deployment.resource_profile, &resource, field, value);
            }
        }
    }
    deployment.updated_at = call.now;
    db::update(&mut tx, &deployment).await?;
    let detail = super::settle(&mut tx, call, &newest, deployment).await?;
    let change = Change::updated("deployment.resources", id, &before, &detail.resources);
    trail::record(app, &mut tx, call, change).await?;
    idempotency::remember(app, &mut tx, call, StatusCode::OK, &detail).await?;
    tx.commit().await?;
    app.forget_tenant(tenant);
    Ok(detail)
}

fn set(profile: &mut Map<String, Value>, resource: &str, field: String, value: Option<String>) {
    let entry = profile.entry(resource).or_insert_with(|| Value::Object(Map::new()));
    let Value::Object(fields) = entry else { return };
    match value {
        Some(value) => fields.insert(field, Value::String(value)),
        None => fields.remove(&field),
    };
}

/// Seals a new version under its own place; clearing counts as a version, so
/// that an old ciphertext never opens again.
async fn seal(
    app: &App,
    tx: &mut TenantTx,
    call: &Call,
    owner: DeploymentId,
    secrets: &[db::Secret],
    name: &str,
    value: Option<String>,
) -> Result<(), Problem> {
    let last = secrets.iter().find(|secret| secret.field == name);
    if value.is_none() && last.is_none_or(|secret| !secret.set) {
        return Ok(());
    }
    let version = last.map_or(0, |secret| secret.version) + 1;
    let place = Place {
        tenant: tx.tenant().uuid(),
        owner: owner.uuid(),
        field: name,
        version: version.unsigned_abs(),
    };
    let value = value.map(zeroize::Zeroizing::new);
    let sealed = value
        .map(|value| app.vault().seal(place, value.as_bytes()))
        .transpose()
        .map_err(Problem::internal)?;
    db::put_secret(tx, owner, name, version, sealed.as_deref(), call.now).await
}

fn check(product: &Product, deployment: &Deployment, input: &ResourceInput) -> Vec<FieldError> {
    let needed: Vec<&Resource> =
        product.resources_for(deployment.model, deployment.mode.as_deref()).collect();
    let mut errors = Vec::new();
    for (id, fields) in &input.0 {
        let Some(resource) = needed.iter().find(|resource| resource.id == *id) else {
            let hint = suggest(id, needed.iter().map(|resource| resource.id.as_str()));
            let detail = format!(
                "`{id}` is no resource of a {} deployment of {}; {hint}",
                deployment.model, product.name
            );
            errors.push(FieldError { pointer: pointer(&[id]), detail });
            continue;
        };
        for (field, value) in fields {
            let at = pointer(&[id, field]);
            if !resource.fields.contains(field) {
                let hint = suggest(field, resource.fields.iter().map(String::as_str));
                let detail = format!("{} has no field `{field}`; {hint}", resource.name);
                errors.push(FieldError { pointer: at, detail });
            } else if let Some(detail) = value.as_deref().and_then(unfit) {
                errors.push(FieldError { pointer: at, detail });
            }
        }
    }
    errors
}

/// Why a text cannot be a value.
fn unfit(value: &str) -> Option<String> {
    let control = value.chars().any(|c| c.is_control() && c != '\n');
    if value.trim().is_empty() {
        return Some("The value is empty; send null to clear the field.".to_owned());
    }
    if value.len() > VALUE_BYTES_MAX {
        return Some(format!("A value has at most {VALUE_BYTES_MAX} bytes."));
    }
    control.then(|| "A value has no control characters but line feeds.".to_owned())
}

fn pointer(parts: &[&str]) -> String {
    let escaped = parts.iter().map(|part| part.replace('~', "~0").replace('/', "~1"));
    escaped.map(|part| format!("/{part}")).collect()
}

fn suggest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    let near = known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|left, right| left.0.total_cmp(&right.0));
    match near {
        Some((_, candidate)) => format!("did you mean `{candidate}`?"),
        None if known.is_empty() => "it needs none.".to_owned(),
        None => format!("there are: {}.", known.join(", ")),
    }
}
