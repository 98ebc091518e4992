//! What a tenant is, and what callers may say about one.

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use tenure_core::{TenantId, TenantStatus, slug};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{derive_slug, too_long};
use crate::http::{FieldError, Problem};

/// Longest name, in characters.
pub const NAME_LEN_MAX: usize = 200;
/// Longest environment, region or customer class, in characters.
const WORD_LEN_MAX: usize = 40;

/// A customer organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// For people.
    #[schema(example = "Acme Corp")]
    pub name: String,
    /// Readable and unique; usable in place of the id.
    #[schema(example = "acme-prod-us-east-1")]
    pub slug: String,
    /// Its state.
    pub status: TenantStatus,
    /// The customer's directory (Entra ID) tenant.
    pub azure_tenant_id: Option<Uuid>,
    /// Such as `prod`.
    #[schema(example = "prod")]
    pub environment: Option<String>,
    /// Such as `us-east-1`.
    #[schema(example = "us-east-1")]
    pub region: Option<String>,
    /// IANA name; days and months of limits and bills are counted in it.
    #[schema(example = "America/New_York")]
    pub time_zone: String,
    /// A class that a discount is for: `nonprofit`, `education`.
    pub customer_class: Option<String>,
    /// The customer's id at the payment provider.
    pub billing_customer_id: Option<String>,
    /// Where notices go.
    #[schema(example = "it@acme.example")]
    pub contact_email: Option<String>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A tenant to be registered.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    /// For people, 1 to 200 characters.
    #[schema(example = "Acme Corp")]
    pub name: String,
    /// Readable and unique; made from name, environment and region when absent.
    #[schema(example = "acme")]
    pub slug: Option<String>,
    /// The customer's directory (Entra ID) tenant.
    pub azure_tenant_id: Option<Uuid>,
    /// Such as `prod`.
    pub environment: Option<String>,
    /// Such as `us-east-1`.
    pub region: Option<String>,
    /// IANA name; `UTC` when absent.
    #[schema(example = "Europe/Berlin")]
    pub time_zone: Option<String>,
    /// A class that a discount is for: `nonprofit`, `education`.
    pub customer_class: Option<String>,
    /// Where notices go.
    #[schema(example = "it@acme.example")]
    pub contact_email: Option<String>,
    /// The tenant's settings.
    #[schema(value_type = Option<Object>)]
    pub settings: Option<Map<String, Value>>,
}

impl NewTenant {
    /// The tenant, or every field that is wrong.
    pub(super) fn check(&self, now: Timestamp) -> Result<Tenant, Problem> {
        let mut errors = Vec::new();
        let name = self.name.trim().to_owned();
        let derived = derive_slug(&name, self.environment.as_deref(), self.region.as_deref());
        let slug = match &self.slug {
            Some(slug) if slug::is_slug(slug) => slug.clone(),
            Some(_) => {
                errors.push(error("/slug", slug_rule()));
                String::new()
            }
            None => derived.unwrap_or_else(|| format!("tenant-{}", now.as_second())),
        };
        let tenant = Tenant {
            id: TenantId::new(now),
            name,
            slug,
            status: TenantStatus::Active,
            azure_tenant_id: self.azure_tenant_id,
            environment: self.environment.clone(),
            region: self.region.clone(),
            time_zone: self.time_zone.clone().unwrap_or_else(|| "UTC".to_owned()),
            customer_class: self.customer_class.clone(),
            billing_customer_id: None,
            contact_email: self.contact_email.clone(),
            created_at: now,
            updated_at: now,
        };
        tenant.check(&mut errors);
        if errors.is_empty() { Ok(tenant) } else { Err(Problem::invalid(errors)) }
    }
}

fn slug_rule() -> String {
    let max = slug::SLUG_LEN_MAX;
    format!("A slug is 1 to {max} lower-case letters, digits and single dashes.")
}

fn error(pointer: &str, detail: impl Into<String>) -> FieldError {
    FieldError { detail: detail.into(), pointer: pointer.to_owned() }
}

impl Tenant {
    fn check(&self, errors: &mut Vec<FieldError>) {
        if self.name.is_empty() || self.name.chars().count() > NAME_LEN_MAX {
            errors.push(error("/name", format!("A name has 1 to {NAME_LEN_MAX} characters.")));
        }
        if TimeZone::get(&self.time_zone).is_err() {
            let detail =
                format!("`{}` is no IANA time zone, such as Europe/Berlin.", self.time_zone);
            errors.push(error("/time_zone", detail));
        }
        if self.contact_email.as_deref().is_some_and(|email| !is_email(email)) {
            errors.push(error("/contact_email", "This is not an e-mail address."));
        }
        for (pointer, word) in [
            ("/environment", &self.environment),
            ("/region", &self.region),
            ("/customer_class", &self.customer_class),
        ] {
            if word.as_ref().is_some_and(|word| word.chars().count() > WORD_LEN_MAX) {
                errors.push(too_long(pointer, WORD_LEN_MAX));
            }
        }
    }
}

/// Enough to catch a slip; only a delivered message proves an address.
pub(crate) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let clean = !text.contains(|c: char| c.is_whitespace() || c.is_control());
    clean
        && !local.is_empty()
        && domain.contains('.')
        && text.len() <= 254
        && !domain.starts_with('.')
        && !domain.ends_with('.')
}

/// Changes to a tenant: what is absent stays, `null` empties.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantUpdate {
    /// For people, 1 to 200 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Acme Incorporated")]
    pub name: Option<String>,
    /// IANA name. Days and months are counted in it from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The customer's directory (Entra ID) tenant.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    pub azure_tenant_id: Option<Option<Uuid>>,
    /// A class that a discount is for.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub customer_class: Option<Option<String>>,
    /// The customer's id at the payment provider.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub billing_customer_id: Option<Option<String>>,
    /// Where notices go.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub contact_email: Option<Option<String>>,
}

/// Tells `null` (`Some(None)`) from an absent field (`None`).
pub(crate) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

impl TenantUpdate {
    pub(super) fn apply(self, mut tenant: Tenant) -> Result<Tenant, Problem> {
        if let Some(name) = self.name {
            tenant.name = name.trim().to_owned();
        }
        if let Some(zone) = self.time_zone {
            tenant.time_zone = zone;
        }
        if let Some(id) = self.azure_tenant_id {
            tenant.azure_tenant_id = id;
        }
        if let Some(class) = self.customer_class {
            tenant.customer_class = class;
        }
        if let Some(id) = self.billing_customer_id {
            tenant.billing_customer_id = id;
        }
        if let Some(email) = self.contact_email {
            tenant.contact_email = email;
        }
        let mut errors = Vec::new();
        tenant.check(&mut errors);
        if errors.is_empty() { Ok(tenant) } else { Err(Problem::invalid(errors)) }
    }
}

/// Which tenants a list shows.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TenantFilter {
    /// Part of the name or slug.
    pub q: Option<String>,
    /// Only tenants in this state.
    pub status: Option<TenantStatus>,
    /// Only tenants with a subscription to this product.
    pub product: Option<String>,
    /// Only tenants on this plan.
    pub plan: Option<String>,
    /// Only tenants in this deployment model.
    pub model: Option<String>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Items a page, 1 to 200; 50 when absent.
    pub limit: Option<u16>,
}
