//! The environment of a deployment: what its product file says, with what is
//! known of this place put in. Secrets are references, never values.

use serde::{Deserialize, Serialize};
use tenure_catalog::{Model, deployment::Source};
use tenure_core::{DeploymentId, TenantId, slug::slugify};
use utoipa::ToSchema;

use super::{Situation, dotenv, profile};
use crate::{App, http::Problem, licensing, tenants::Tenant};

/// Where a license file lies that was carried to a place without a network.
pub const LICENSE_FILE_PATH: &str = "/etc/tenure/license.lic";

/// A deployment's environment.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EnvironmentFile {
    /// Of which deployment.
    pub deployment_id: DeploymentId,
    /// What it is called.
    #[schema(example = "live")]
    pub deployment: String,
    /// Slug of the tenant.
    #[schema(example = "acme")]
    pub tenant: String,
    /// Name of the tenant.
    #[schema(example = "Acme Corp")]
    pub tenant_name: String,
    /// Slug of the product.
    #[schema(example = "dyocense")]
    pub product: String,
    /// The catalog version that says which variables there are: the newest.
    #[schema(example = 3)]
    pub catalog_version: i32,
    /// Who operates the deployment.
    #[schema(value_type = String, example = "self_hosted")]
    pub model: Model,
    /// The product's mode.
    #[schema(example = "platform")]
    pub mode: Option<String>,
    /// In the order of the product file.
    pub variables: Vec<Variable>,
}

/// One variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Variable {
    /// Its name.
    #[schema(example = "USE_NEO4J")]
    pub name: String,
    /// Its value, empty while unknown.
    #[schema(example = "true")]
    pub value: String,
    /// Whether the value is a reference to a secret.
    pub secret: bool,
    /// What has to be done before the value is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

impl Variable {
    fn known(name: &str, value: impl Into<String>) -> Self {
        Self { name: name.to_owned(), value: value.into(), secret: false, missing: None }
    }

    fn reference(name: &str, reference: String) -> Self {
        Self { secret: true, ..Self::known(name, reference) }
    }

    fn missing(name: &str, what: String) -> Self {
        Self { missing: Some(what), ..Self::known(name, "") }
    }
}

/// The environment of a deployment as it is now.
pub async fn of(app: &App, tenant: &Tenant, id: DeploymentId) -> Result<EnvironmentFile, Problem> {
    let situation = super::situation(app, tenant.id, id).await?;
    let license = license(app, tenant.id, &situation).await?;
    let Situation { deployment, newest, .. } = &situation;
    let mut variables: Vec<Variable> = Vec::new();
    let listed = newest.product.environment_for(deployment.model, deployment.mode.as_deref());
    for variable in &listed {
        let made = match &variable.source {
            Source::Literal { value } => literal(tenant, &situation, &variable.name, value),
            Source::Secret { name } => {
                Variable::reference(&variable.name, profile::reference(deployment.id, name))
            }
            Source::License if !deployment.model.is_licensed() => continue,
            Source::License => licensed(tenant, deployment.model, &variable.name, license.as_ref()),
            Source::Resource { id, field } => resource(&situation, &variable.name, id, field),
        };
        variables.push(made);
    }
    // Without a network there is nobody at the address.
    if deployment.model != Model::AirGapped {
        variables.push(Variable::known("TENURE_URL", app.config().public_url.clone()));
    }
    variables.push(Variable::known("TENURE_DEPLOYMENT_ID", deployment.id.to_string()));
    let mut seen = std::collections::HashSet::new();
    variables.retain(|variable| seen.insert(variable.name.clone()));
    Ok(EnvironmentFile {
        deployment_id: deployment.id,
        deployment: deployment.name.clone(),
        tenant: tenant.slug.clone(),
        tenant_name: tenant.name.clone(),
        product: newest.product.id.clone(),
        catalog_version: newest.version,
        model: deployment.model,
        mode: deployment.mode.clone(),
        variables,
    })
}

async fn license(
    app: &App,
    tenant: TenantId,
    situation: &Situation,
) -> Result<Option<licensing::License>, Problem> {
    if !situation.deployment.model.is_licensed() {
        return Ok(None);
    }
    let mut tx = app.db().tenant(tenant).await?;
    let license = licensing::of_deployment(&mut tx, &situation.deployment).await?;
    tx.commit().await?;
    Ok(license)
}

/// A text of the product file, its placeholders filled in.
fn literal(tenant: &Tenant, situation: &Situation, name: &str, text: &str) -> Variable {
    let Situation { deployment, newest, .. } = situation;
    let mut value = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((word, tail)) = after.split_once('}') else { break };
        value.push_str(before);
        let filled = match word {
            "tenant" => Some(tenant.slug.clone()),
            "product" => Some(newest.product.id.clone()),
            "environment" => Some(deployment.environment.word().to_owned()),
            "deployment" => {
                Some(slugify(&deployment.name).unwrap_or_else(|| deployment.id.to_string()))
            }
            "region" => deployment.region.clone().or_else(|| tenant.region.clone()),
            _ => None,
        };
        let Some(filled) = filled else {
            let what = format!("set the deployment's {word}, which `{text}` needs");
            return Variable::missing(name, what);
        };
        value.push_str(&filled);
        rest = tail;
    }
    value.push_str(rest);
    Variable::known(name, value)
}

fn licensed(
    tenant: &Tenant,
    model: Model,
    name: &str,
    license: Option<&licensing::License>,
) -> Variable {
    let issue = format!("issue one: POST /api/v1/admin/tenants/{}/licenses", tenant.slug);
    match (model, license) {
        (Model::AirGapped, Some(_)) => Variable::known(name, LICENSE_FILE_PATH),
        (Model::AirGapped, None) => Variable {
            missing: Some(format!("there is no license file to put there yet; {issue}")),
            ..Variable::known(name, LICENSE_FILE_PATH)
        },
        (_, Some(license)) => {
            Variable::reference(name, profile::reference(license.id, "license_key"))
        }
        (_, None) => Variable::missing(name, format!("there is no license yet; {issue}")),
    }
}

fn resource(situation: &Situation, name: &str, id: &str, field: &str) -> Variable {
    let Situation { deployment, newest, secrets, .. } = situation;
    let known = profile::profile(&newest.product, deployment, secrets);
    let resource = known.resources.get(id);
    let state = resource.and_then(|resource| resource.fields.get(field));
    if let Some(reference) = state.and_then(|state| state.reference.clone()) {
        return Variable::reference(name, reference);
    }
    if let Some(value) = state.and_then(|state| state.value.clone()) {
        return Variable::known(name, value);
    }
    let what = match resource {
        None => format!("`{id}` is not part of this model and mode"),
        Some(resource) if deployment.model == Model::Managed => {
            format!("`{id}.{field}` of {} comes with provisioning", resource.name)
        }
        Some(resource) => {
            let optional = if resource.optional { " (optional)" } else { "" };
            format!("record `{id}.{field}` of {}{optional}: PUT .../resources", resource.name)
        }
    };
    Variable::missing(name, what)
}

impl EnvironmentFile {
    /// As a dotenv file.
    pub fn to_dotenv(&self) -> String {
        let mut text = String::new();
        let mode = self.mode.as_deref().unwrap_or("none");
        for line in [
            format!("Environment of {} ({})", self.deployment, self.deployment_id),
            format!("product: {}, catalog version {}", self.product, self.catalog_version),
            format!("tenant: {} ({})", self.tenant_name, self.tenant),
            format!("model: {}", self.model),
            format!("mode: {mode}"),
            "A value that begins with secret:// names a secret; put the secret in its place."
                .to_owned(),
        ] {
            text.push_str(&dotenv::comment(&line));
        }
        text.push('\n');
        for variable in &self.variables {
            if let Some(missing) = &variable.missing {
                text.push_str(&dotenv::comment(&format!("{}: missing: {missing}", variable.name)));
            }
            text.push_str(&format!("{}={}\n", variable.name, dotenv::quote(&variable.value)));
        }
        text
    }
}
