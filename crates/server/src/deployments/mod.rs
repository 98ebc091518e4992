//! Deployments: the places where a product runs for one subscription.
//!
//! Owns: the record of a place in one of the four models, what is known of its
//! resources, and rendering its environment.
//! Refuses: models that the plan is not sold in, modes and resources that the
//! product does not have, and changes to a place that is retired.

pub mod api;
pub(crate) mod db;
mod dotenv;
pub mod environment;
pub mod model;
pub mod profile;
pub mod resources;

use std::sync::Arc;

use axum::http::StatusCode;
use tenure_catalog::Model;
use tenure_core::{DeploymentId, SubscriptionId, SubscriptionStatus, TenantId};
use tenure_license::Environment;
use tenure_tenancy::TenantTx;

pub use model::{Deployment, DeploymentDetail, DeploymentStatus, DeploymentUpdate, NewDeployment};

use crate::{
    App,
    call::Call,
    http::{Cursor, Page, Problem},
    idempotency, licensing, products,
    products::Catalog,
    subscriptions::{self, Chosen, Subscription},
    trail::{self, Change},
};

/// Deployments in use that a subscription has at most.
pub const DEPLOYMENTS_MAX: i64 = 100;

/// The deployment that comes with a subscription. A managed one runs on what
/// the vendor has and is ready at once; a BYOI one waits for the customer's
/// resource profile; the customer's own wait for their license.
pub(crate) async fn insert_first(
    _app: &App,
    tx: &mut TenantTx,
    call: &Call,
    subscription: &Subscription,
    chosen: &Chosen,
) -> Result<Deployment, Problem> {
    let environment = chosen.subscription.environment.unwrap_or(Environment::Live);
    let deployment = begin(call, subscription, chosen.model, environment);
    db::insert(tx, &deployment).await?;
    Ok(deployment)
}

fn begin(
    call: &Call,
    subscription: &Subscription,
    model: Model,
    environment: Environment,
) -> Deployment {
    Deployment {
        id: DeploymentId::new(call.now),
        subscription_id: subscription.id,
        name: environment.word().to_owned(),
        model,
        mode: subscription.mode.clone(),
        environment,
        region: None,
        release: None,
        status: match model {
            Model::Managed => DeploymentStatus::Ready,
            Model::Byoi | Model::SelfHosted | Model::AirGapped => DeploymentStatus::Pending,
        },
        resource_profile: serde_json::Map::new(),
        created_at: call.now,
        updated_at: call.now,
    }
}

/// Makes another place for a subscription.
pub async fn create(
    app: &App,
    call: &Call,
    tenant: TenantId,
    new: NewDeployment,
) -> Result<DeploymentDetail, Problem> {
    let known = subscriptions::read(app, tenant, new.subscription).await?;
    let newest = products::latest(app, &known.product).await?;
    let pinned = products::catalog_of(app, &known).await?;
    let mut tx = app.db().tenant(tenant).await?;
    let subscription = subscriptions::lock(&mut tx, known.id).await?;
    if subscription.status == SubscriptionStatus::Cancelled {
        let detail = "The subscription is cancelled; it gets no more deployments.";
        return Err(Problem::conflict("subscription-cancelled", detail));
    }
    if db::count_in_use(&mut tx, subscription.id).await? >= DEPLOYMENTS_MAX {
        let detail = format!("A subscription has at most {DEPLOYMENTS_MAX} deployments in use.");
        return Err(Problem::conflict("too-many-deployments", detail));
    }
    let model = sold_model(&pinned, &subscription, new.model)?;
    let environment = new.environment.unwrap_or(Environment::Live);
    let mut deployment = begin(call, &subscription, model, environment);
    if let Some(name) = new.name {
        deployment.name = name.trim().to_owned();
    }
    deployment.mode = new.mode.or(deployment.mode);
    deployment.region = new.region;
    deployment.release = new.release;
    let errors = deployment.check(&newest.product);
    if !errors.is_empty() {
        return Err(Problem::invalid(errors));
    }
    db::insert(&mut tx, &deployment).await?;
    let detail = settle(&mut tx, call, &newest, deployment).await?;
    let change = Change::created("deployment.created", detail.deployment.id, &detail.deployment);
    trail::record(app, &mut tx, call, change).await?;
    idempotency::remember(app, &mut tx, call, StatusCode::CREATED, &detail).await?;
    tx.commit().await?;
    app.forget_tenant(tenant);
    Ok(detail)
}

fn sold_model(
    pinned: &Catalog,
    subscription: &Subscription,
    wanted: Option<Model>,
) -> Result<Model, Problem> {
    let plan = pinned.product.plan(&subscription.plan).ok_or_else(|| Problem::not_found("plan"))?;
    let model = wanted.unwrap_or(subscription.model);
    if plan.models.contains(&model) {
        return Ok(model);
    }
    let sold: Vec<&str> = plan.models.iter().map(|model| model.word()).collect();
    let detail = format!("{} is not sold as {model}, but as {}.", plan.name, sold.join(", "));
    Err(Problem::field("/model", detail))
}

/// Brings the state of a place up to date with what is known of it.
async fn settle(
    tx: &mut TenantTx,
    call: &Call,
    newest: &Catalog,
    mut deployment: Deployment,
) -> Result<DeploymentDetail, Problem> {
    let secrets = db::secrets(tx, deployment.id).await?;
    let resources = profile::profile(&newest.product, &deployment, &secrets);
    let complete = match deployment.model {
        _ if deployment.status == DeploymentStatus::Retired => None,
        Model::Managed => None,
        Model::Byoi => Some(resources.missing.is_empty()),
        Model::SelfHosted | Model::AirGapped => Some(licensing::covers(tx, &deployment).await?),
    };
    let status = match complete {
        Some(true) => DeploymentStatus::Ready,
        Some(false) => DeploymentStatus::Pending,
        None => deployment.status,
    };
    if status != deployment.status {
        deployment.status = status;
        deployment.updated_at = call.now;
        db::update(tx, &deployment).await?;
    }
    Ok(DeploymentDetail { deployment, resources })
}

/// Brings the customer's own places up to date after a license came or went.
pub(crate) async fn settle_licensed(
    tx: &mut TenantTx,
    call: &Call,
    subscription: SubscriptionId,
) -> Result<(), Problem> {
    for mut deployment in db::in_use(tx, subscription).await? {
        if !deployment.model.is_licensed() {
            continue;
        }
        let status = match licensing::covers(tx, &deployment).await? {
            true => DeploymentStatus::Ready,
            false => DeploymentStatus::Pending,
        };
        if status != deployment.status {
            deployment.status = status;
            deployment.updated_at = call.now;
            db::update(tx, &deployment).await?;
        }
    }
    Ok(())
}

/// After a conversion: the places of a license go over to its model, where the
/// customer operates both. A place that the vendor will operate is a new one.
pub(crate) async fn follow_model(
    tx: &mut TenantTx,
    call: &Call,
    license: &licensing::License,
) -> Result<(), Problem> {
    if !license.model.is_licensed() {
        return Ok(());
    }
    for mut place in db::in_use(tx, license.subscription_id).await? {
        let its_own = license.deployment_id.is_none_or(|id| id == place.id);
        if its_own && place.model.is_licensed() && place.model != license.model {
            place.model = license.model;
            place.updated_at = call.now;
            db::update(tx, &place).await?;
        }
    }
    Ok(())
}

/// A page of a tenant's deployments, newest first.
pub async fn list(
    app: &App,
    tenant: TenantId,
    cursor: Cursor,
) -> Result<Page<Deployment>, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let rows = db::list(&mut tx, cursor).await?;
    tx.commit().await?;
    Ok(Page::cut(rows, cursor, |deployment| deployment.id.uuid()))
}

/// A place with everything that its environment depends on.
pub(crate) struct Situation {
    pub(crate) deployment: Deployment,
    /// The newest version: resources and environment follow it.
    pub(crate) newest: Arc<Catalog>,
    pub(crate) secrets: Vec<db::Secret>,
}

pub(crate) async fn situation(
    app: &App,
    tenant: TenantId,
    id: DeploymentId,
) -> Result<Situation, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let missing = || Problem::not_found("deployment");
    let deployment = db::find(&mut tx, id).await?.ok_or_else(missing)?;
    let secrets = db::secrets(&mut tx, id).await?;
    let subscription =
        subscriptions::db::find(&mut tx, deployment.subscription_id).await?.ok_or_else(missing)?;
    tx.commit().await?;
    let newest = products::latest(app, &subscription.product).await?;
    Ok(Situation { deployment, newest, secrets })
}

/// One deployment, with what is known of its resources.
pub async fn read(
    app: &App,
    tenant: TenantId,
    id: DeploymentId,
) -> Result<DeploymentDetail, Problem> {
    let Situation { deployment, newest, secrets, .. } = situation(app, tenant, id).await?;
    let resources = profile::profile(&newest.product, &deployment, &secrets);
    Ok(DeploymentDetail { deployment, resources })
}

/// The deployment, locked for a change.
async fn lock(tx: &mut TenantTx, id: DeploymentId) -> Result<Deployment, Problem> {
    let deployment = db::lock(tx, id).await?.ok_or_else(|| Problem::not_found("deployment"))?;
    if deployment.status == DeploymentStatus::Retired {
        let detail = "The deployment is retired; make a new one.";
        return Err(Problem::conflict("deployment-retired", detail));
    }
    Ok(deployment)
}

/// Changes name, mode, region or release.
pub async fn update(
    app: &App,
    call: &Call,
    tenant: TenantId,
    id: DeploymentId,
    update: DeploymentUpdate,
) -> Result<DeploymentDetail, Problem> {
    let newest = situation(app, tenant, id).await?.newest;
    let mut tx = app.db().tenant(tenant).await?;
    let before = lock(&mut tx, id).await?;
    let mut after = update.apply(before.clone());
    after.updated_at = call.now;
    let errors = after.check(&newest.product);
    if !errors.is_empty() {
        return Err(Problem::invalid(errors));
    }
    db::update(&mut tx, &after).await?;
    let detail = settle(&mut tx, call, &newest, after).await?;
    let change = Change::updated("deployment.changed", id, &before, &detail.deployment);
    trail::record(app, &mut tx, call, change).await?;
    tx.commit().await?;
    app.forget_tenant(tenant);
    Ok(detail)
}

/// Takes a place out of use: licenses bound to it are revoked, what was sealed
/// for it is destroyed. Retiring again changes nothing.
pub async fn retire(
    app: &App,
    call: &Call,
    tenant: TenantId,
    id: DeploymentId,
) -> Result<DeploymentDetail, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let before = db::lock(&mut tx, id).await?.ok_or_else(|| Problem::not_found("deployment"))?;
    if before.status != DeploymentStatus::Retired {
        licensing::revoke_bound(app, &mut tx, call, &before).await?;
        retire_locked(app, &mut tx, call, before).await?;
    }
    tx.commit().await?;
    app.forget_tenant(tenant);
    read(app, tenant, id).await
}

async fn retire_locked(
    app: &App,
    tx: &mut TenantTx,
    call: &Call,
    before: Deployment,
) -> Result<(), Problem> {
    let id = before.id;
    let after =
        Deployment { status: DeploymentStatus::Retired, updated_at: call.now, ..before.clone() };
    db::update(tx, &after).await?;
    db::destroy_secrets(tx, id, call.now).await?;
    licensing::instances::end_all(app, tx, call, None, Some(id)).await?;
    let change = Change::updated("deployment.retired", id, &before, &after);
    trail::record(app, tx, call, change).await
}

/// What ends with a subscription: its licenses are revoked, its places retired.
pub(crate) async fn end_all(
    app: &App,
    tx: &mut TenantTx,
    call: &Call,
    subscription: SubscriptionId,
) -> Result<(), Problem> {
    licensing::revoke_all(app, tx, call, subscription).await?;
    for deployment in db::in_use(tx, subscription).await? {
        retire_locked(app, tx, call, deployment).await?;
    }
    Ok(())
}
