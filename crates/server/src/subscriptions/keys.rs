//! API keys: made for a subscription and environment, shown once, rotated with
//! an overlap, revoked at once.

use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tenure_core::{ApiKeyId, SubscriptionId, SubscriptionStatus, TenantId};
use tenure_license::{ApiKey, Environment};
use tenure_tenancy::TenantTx;
use utoipa::ToSchema;

use super::{PARTS_MAX, db};
use crate::{
    App,
    call::Call,
    http::Problem,
    idempotency, products,
    trail::{self, Change},
    vault,
};

/// How long a rotated key keeps working unless told otherwise.
pub const OVERLAP_HOURS_DEFAULT: u32 = 24;
/// Longest overlap.
pub const OVERLAP_HOURS_MAX: u32 = 24 * 30;

/// An API key, without its secret.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ApiKeyRecord {
    /// Its id.
    pub id: ApiKeyId,
    /// What it acts for.
    pub subscription_id: SubscriptionId,
    /// Real data or tests.
    #[schema(value_type = String, example = "live")]
    pub environment: Environment,
    /// What it is called.
    #[schema(example = "production")]
    pub name: String,
    /// What may be shown of it.
    #[schema(example = "kg_live_0BdXnJ7tQxv2hYc5PzR9aW_...")]
    pub hint: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// It works before this moment.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// The key that took its place.
    pub replaced_by: Option<ApiKeyId>,
}

/// An API key to be made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// What it acts for.
    pub subscription: SubscriptionId,
    /// Real data or tests; `live` when absent.
    #[schema(value_type = Option<String>, example = "live")]
    pub environment: Option<Environment>,
    /// What it is called; `default` when absent.
    pub name: Option<String>,
    /// It works before this moment; for ever when absent.
    pub expires_at: Option<Timestamp>,
}

/// How to rotate a key.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateKey {
    /// For how long the old key keeps working, 0 to 720 hours; 24 when absent.
    #[schema(example = 24)]
    pub overlap_hours: Option<u32>,
}

/// A new API key. The key is shown this once.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct IssuedKey {
    /// The key's record.
    pub key: ApiKeyRecord,
    /// Send it as `Authorization: Bearer ...`.
    #[schema(example = "kg_live_0BdXnJ7tQxv2hYc5PzR9aW_3s0...")]
    pub api_key: String,
}

/// Writes a new key into a unit of work under way.
pub(crate) async fn insert(
    app: &App,
    tx: &mut TenantTx,
    call: &Call,
    prefix: &str,
    new: NewKey,
) -> Result<IssuedKey, Problem> {
    let environment = new.environment.unwrap_or(Environment::Live);
    let name = new.name.unwrap_or_else(|| "default".to_owned());
    if name.trim().is_empty() || name.chars().count() > 100 {
        return Err(Problem::field("/name", "A name has 1 to 100 characters."));
    }
    let id = ApiKeyId::new(call.now);
    let secret = vault::random::<32>().map_err(Problem::internal)?;
    let key = ApiKey::generate(prefix, environment, id, &secret).map_err(Problem::internal)?;
    let record = ApiKeyRecord {
        id,
        subscription_id: new.subscription,
        environment,
        name: name.trim().to_owned(),
        hint: key.hint(),
        created_at: call.now,
        expires_at: new.expires_at,
        revoked_at: None,
        replaced_by: None,
    };
    let digest = key.digest(app.vault().pepper());
    db::insert_key(tx, &record, digest.as_bytes()).await?;
    Ok(IssuedKey { key: record, api_key: key.expose().to_owned() })
}

async fn prefix(
    app: &App,
    tx: &mut TenantTx,
    subscription: SubscriptionId,
) -> Result<String, Problem> {
    let subscription =
        db::find(tx, subscription).await?.ok_or_else(|| Problem::not_found("subscription"))?;
    if subscription.status == SubscriptionStatus::Cancelled {
        let detail = "The subscription is cancelled; it gets no more keys.";
        return Err(Problem::conflict("subscription-cancelled", detail));
    }
    let catalog = products::catalog_of(app, &subscription).await?;
    Ok(catalog.product.api_key_prefix.clone())
}

/// Makes a key.
pub async fn create(
    app: &App,
    call: &Call,
    tenant: TenantId,
    new: NewKey,
) -> Result<IssuedKey, Problem> {
    if new.expires_at.is_some_and(|at| at <= call.now) {
        return Err(Problem::field("/expires_at", "A key must end in the future."));
    }
    let mut tx = app.db().tenant(tenant).await?;
    let prefix = prefix(app, &mut tx, new.subscription).await?;
    if db::keys(&mut tx, None).await?.len() >= PARTS_MAX {
        let detail = format!("A tenant has at most {PARTS_MAX} keys in its history.");
        return Err(Problem::conflict("too-many-keys", detail));
    }
    let issued = insert(app, &mut tx, call, &prefix, new).await?;
    let change = Change::created("api_key.created", issued.key.id, &issued.key);
    trail::record(app, &mut tx, call, change).await?;
    idempotency::remember(app, &mut tx, call, StatusCode::CREATED, &issued).await?;
    tx.commit().await?;
    Ok(issued)
}

/// Every key of a tenant, newest first.
pub async fn list(app: &App, tenant: TenantId) -> Result<Vec<ApiKeyRecord>, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let all = db::keys(&mut tx, None).await?;
    tx.commit().await?;
    Ok(all)
}

async fn find(tx: &mut TenantTx, id: ApiKeyId) -> Result<ApiKeyRecord, Problem> {
    db::keys(tx, Some(id)).await?.pop().ok_or_else(|| Problem::not_found("API key"))
}

/// Makes a key in the place of another, which keeps working for the overlap.
pub async fn rotate(
    app: &App,
    call: &Call,
    tenant: TenantId,
    id: ApiKeyId,
    how: RotateKey,
) -> Result<IssuedKey, Problem> {
    let hours = how.overlap_hours.unwrap_or(OVERLAP_HOURS_DEFAULT);
    if hours > OVERLAP_HOURS_MAX {
        let detail = format!("An overlap has at most {OVERLAP_HOURS_MAX} hours.");
        return Err(Problem::field("/overlap_hours", detail));
    }
    let mut tx = app.db().tenant(tenant).await?;
    let before = find(&mut tx, id).await?;
    let ended = before.expires_at.is_some_and(|at| at <= call.now) || before.revoked_at.is_some();
    if ended || before.replaced_by.is_some() {
        let detail = "The key has ended or was rotated already; make a new one.";
        return Err(Problem::conflict("key-not-current", detail));
    }
    super::lock(&mut tx, before.subscription_id).await?;
    let prefix = prefix(app, &mut tx, before.subscription_id).await?;
    let new = NewKey {
        subscription: before.subscription_id,
        environment: Some(before.environment),
        name: Some(before.name.clone()),
        expires_at: before.expires_at,
    };
    let issued = insert(app, &mut tx, call, &prefix, new).await?;
    let until = call.now + SignedDuration::from_hours(i64::from(hours));
    let after = ApiKeyRecord {
        expires_at: Some(before.expires_at.map_or(until, |at| at.min(until))),
        replaced_by: Some(issued.key.id),
        ..before.clone()
    };
    db::update_key(&mut tx, &after).await?;
    let change = Change::updated("api_key.rotated", id, &before, &after);
    trail::record(app, &mut tx, call, change).await?;
    idempotency::remember(app, &mut tx, call, StatusCode::CREATED, &issued).await?;
    tx.commit().await?;
    app.forget_tenant(tenant);
    Ok(issued)
}

/// Ends a key at once (within a second on other servers of the installation).
pub async fn revoke(
    app: &App,
    call: &Call,
    tenant: TenantId,
    id: ApiKeyId,
) -> Result<ApiKeyRecord, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let before = find(&mut tx, id).await?;
    if before.revoked_at.is_some() {
        return Ok(before);
    }
    let after = ApiKeyRecord { revoked_at: Some(call.now), ..before.clone() };
    db::update_key(&mut tx, &after).await?;
    let change = Change::updated("api_key.revoked", id, &before, &after);
    trail::record(app, &mut tx, call, change).await?;
    tx.commit().await?;
    app.forget_tenant(tenant);
    Ok(after)
}
