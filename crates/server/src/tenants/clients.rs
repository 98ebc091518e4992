//! A customer ready to use the product, in one call: tenant, billing account,
//! subscription, deployment and API key in one transaction (SPEC 2,
//! `POST /admin/clients`).

use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenure_catalog::Model;
use tenure_core::{SubscriptionId, TenantId};
use utoipa::ToSchema;

use super::NewTenant;
use crate::{
    App,
    call::Call,
    http::Problem,
    idempotency,
    subscriptions::{self, NewSubscription, keys},
    trail::{self, Change},
};

/// A client to be made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewClient {
    /// For people.
    #[schema(example = "Acme Corp")]
    pub name: String,
    /// Id of the plan; `starter`, or else the product's first plan, when absent.
    #[schema(example = "pro")]
    pub plan: Option<String>,
    /// Slug of the product; may be left out where the server knows one product.
    #[schema(example = "kg-rca")]
    pub product: Option<String>,
    /// Becomes part of the client id.
    #[schema(example = "prod")]
    pub environment: Option<String>,
    /// Becomes part of the client id.
    #[schema(example = "us-east-1")]
    pub region: Option<String>,
    /// IANA name; `UTC` when absent.
    pub time_zone: Option<String>,
    /// Where notices go.
    pub contact_email: Option<String>,
}

/// A client that is ready.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Client {
    /// Readable and unique; usable wherever a tenant is named.
    #[schema(example = "acme-corp-prod-us-east-1")]
    pub client_id: String,
    /// The tenant's id.
    pub tenant_id: TenantId,
    /// What it bought.
    pub subscription_id: SubscriptionId,
    /// Identifies the client. Shown this once.
    #[schema(example = "kg_live_0BdXnJ7tQxv2hYc5PzR9aW_3s0...")]
    pub api_key: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Makes a client.
pub async fn create(app: &App, call: &Call, new: NewClient) -> Result<Client, Problem> {
    let wanted =
        NewSubscription { product: new.product, plan: new.plan, ..NewSubscription::default() };
    let chosen = subscriptions::choose(app, wanted).await?;
    if chosen.model != Model::Managed {
        let detail = "A client is made ready on the vendor's infrastructure; this plan is not sold \
                      as managed. Create a tenant and a subscription instead.";
        return Err(Problem::field("/plan", detail));
    }
    let tenant = NewTenant {
        name: new.name,
        environment: new.environment,
        region: new.region,
        time_zone: new.time_zone,
        contact_email: new.contact_email,
        ..NewTenant::default()
    };
    let (mut tx, key, tenant) = super::begin(app, call, tenant).await?;
    let subscription = subscriptions::insert(&mut tx, call, &tenant, &chosen).await?;
    let wanted = keys::NewKey {
        subscription: subscription.id,
        environment: None,
        name: None,
        expires_at: None,
    };
    let prefix = &chosen.catalog.product.api_key_prefix;
    let issued = keys::insert(app, &mut tx, call, prefix, wanted).await?;
    let client = Client {
        client_id: tenant.slug.clone(),
        tenant_id: tenant.id,
        subscription_id: subscription.id,
        api_key: issued.api_key,
        created_at: tenant.created_at,
    };
    let made = serde_json::json!({
        "tenant": tenant, "subscription": subscription, "api_key": issued.key,
    });
    crate::deployments::insert_first(app, &mut tx, call, &subscription, &chosen).await?;
    trail::record_with(&mut tx, &key, call, Change::created("tenant.created", tenant.id, &made))
        .await?;
    idempotency::remember(app, &mut tx, call, StatusCode::CREATED, &client).await?;
    tx.commit().await?;
    Ok(client)
}
