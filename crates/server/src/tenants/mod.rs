//! Tenants: the registry of customers, and what belongs to one as an
//! organisation: settings, units and teams, billing accounts.
//!
//! Refuses: two tenants of one slug or directory id, illegal transitions, and
//! trees that are deep, large or circular.

pub mod api;
pub mod clients;
pub(crate) mod db;
pub mod keys;
pub mod model;
pub mod organisation;
pub mod settings;

use axum::http::StatusCode;
use tenure_core::{TenantId, TenantStatus, slug::slugify};
use tenure_tenancy::TenantTx;

pub use model::{NewTenant, Tenant, TenantFilter, TenantUpdate};

use crate::{
    App,
    call::Call,
    http::{Cursor, FieldError, Page, Problem},
    idempotency,
    trail::{self, Change},
    vault::Key,
};

/// Numbers tried behind a slug that is taken.
const SLUG_SUFFIX_MAX: u32 = 1_000;

/// Registers a tenant, without a subscription.
pub async fn create(app: &App, call: &Call, new: NewTenant) -> Result<Tenant, Problem> {
    let (mut tx, key, tenant) = begin(app, call, new).await?;
    let change = Change::created("tenant.created", tenant.id, &tenant);
    trail::record_with(&mut tx, &key, call, change).await?;
    idempotency::remember(app, &mut tx, call, StatusCode::CREATED, &tenant).await?;
    tx.commit().await?;
    Ok(tenant)
}

/// Validates, opens the new tenant's transaction and writes its first rows.
/// The caller records the change and commits.
pub(crate) async fn begin(
    app: &App,
    call: &Call,
    new: NewTenant,
) -> Result<(TenantTx, Key, Tenant), Problem> {
    let mut tenant = new.check(call.now)?;
    if new.slug.is_none() {
        tenant.slug = free_slug(app, &tenant.slug).await?;
    }
    let key = Key::random().map_err(Problem::internal)?;
    let mut tx = app.db().tenant(tenant.id).await?;
    let sealed = keys::seal(app, tenant.id, &key)?;
    db::insert(&mut tx, &tenant, new.settings.unwrap_or_default(), &sealed).await?;
    Ok((tx, key, tenant))
}

/// The slug, or the first free one behind it: `acme`, `acme-2`, ...
pub(crate) async fn free_slug(app: &App, base: &str) -> Result<String, Problem> {
    let mut tx = app.db().vendor().await?;
    let taken = db::slugs_like(&mut tx, base).await?;
    tx.commit().await?;
    if !taken.iter().any(|slug| slug == base) {
        return Ok(base.to_owned());
    }
    (2..=SLUG_SUFFIX_MAX)
        .map(|n| format!("{base}-{n}"))
        .find(|slug| !taken.contains(slug))
        .ok_or_else(|| {
            Problem::field("/name", "There are too many tenants of this name; give a slug.")
        })
}

/// A page of tenants, newest first.
pub async fn list(
    app: &App,
    filter: &TenantFilter,
    cursor: Cursor,
) -> Result<Page<Tenant>, Problem> {
    let mut tx = app.db().vendor().await?;
    let rows = db::list(&mut tx, filter, cursor).await?;
    tx.commit().await?;
    Ok(Page::cut(rows, cursor, |tenant| tenant.id.uuid()))
}

/// The tenant that a path names, by id or by slug.
pub async fn find(app: &App, id_or_slug: &str) -> Result<Tenant, Problem> {
    let missing = || Problem::not_found("tenant");
    let mut tx = app.db().vendor().await?;
    let found = match id_or_slug.parse::<TenantId>() {
        Ok(id) => db::by_id(&mut tx, id).await?,
        Err(_) => db::by_slug(&mut tx, id_or_slug).await?,
    };
    tx.commit().await?;
    found.filter(|tenant| tenant.status != TenantStatus::Deleted).ok_or_else(missing)
}

/// The tenant itself, seen by itself.
pub async fn read(app: &App, id: TenantId) -> Result<Tenant, Problem> {
    let mut tx = app.db().tenant(id).await?;
    let tenant = db::read(&mut tx).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    tx.commit().await?;
    Ok(tenant)
}

/// Changes name, contacts and the like.
pub async fn update(
    app: &App,
    call: &Call,
    id: TenantId,
    update: TenantUpdate,
) -> Result<Tenant, Problem> {
    let mut tx = app.db().tenant(id).await?;
    let before = db::lock(&mut tx).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    let mut after = update.apply(before.clone())?;
    after.updated_at = call.now;
    db::update(&mut tx, &after).await?;
    if (&before.time_zone, &before.customer_class) != (&after.time_zone, &after.customer_class) {
        crate::subscriptions::timeline::record(&mut tx, None, call.now).await?;
    }
    let change = Change::updated("tenant.changed", id, &before, &after);
    trail::record(app, &mut tx, call, change).await?;
    tx.commit().await?;
    app.forget_tenant(id);
    Ok(after)
}

/// Moves a tenant to another state, with its subscriptions' access.
pub async fn transition(
    app: &App,
    call: &Call,
    id: TenantId,
    to: TenantStatus,
) -> Result<Tenant, Problem> {
    let mut tx = app.db().tenant(id).await?;
    let before = db::lock(&mut tx).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    before
        .status
        .become_(to)
        .map_err(|error| Problem::conflict("illegal-transition", format!("{error}.")))?;
    let after = Tenant { status: to, updated_at: call.now, ..before.clone() };
    db::update(&mut tx, &after).await?;
    if to == TenantStatus::Cancelled {
        crate::subscriptions::cancel_all(app, &mut tx, call).await?;
    }
    let action = match to {
        TenantStatus::Active => "tenant.resumed",
        TenantStatus::Suspended => "tenant.suspended",
        TenantStatus::Cancelled => "tenant.cancelled",
        TenantStatus::Deleted => "tenant.deleted",
    };
    trail::record(app, &mut tx, call, Change::updated(action, id, &before, &after)).await?;
    tx.commit().await?;
    app.forget_tenant(id);
    Ok(after)
}

/// The slug of a new tenant: name, and environment and region where given
/// (`acme-prod-us-east-1`).
fn derive_slug(name: &str, environment: Option<&str>, region: Option<&str>) -> Option<String> {
    let parts: Vec<&str> = [Some(name), environment, region].into_iter().flatten().collect();
    slugify(&parts.join(" "))
}

fn too_long(pointer: &str, max: usize) -> FieldError {
    FieldError { detail: format!("At most {max} characters."), pointer: pointer.to_owned() }
}
