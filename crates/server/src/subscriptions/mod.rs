//! Subscriptions: what a tenant bought, on which terms, and what follows from
//! them: entitlements.
//!
//! Owns: the lifecycle, items, contracts, moving to another plan or version,
//! and resolving entitlements. A subscription stays on the commercial terms of
//! its catalog version until it is moved.
//! Refuses: illegal transitions, plans in models they are not sold in, terms
//! that name what the product does not have.

pub mod api;
mod calendar;
pub mod contracts;
pub(crate) mod db;
pub mod entitlements;
pub mod items;
pub mod keys;
pub mod keys_api;
pub mod model;
pub(crate) mod timeline;

use std::sync::Arc;

use axum::http::StatusCode;
use jiff::Timestamp;
use tenure_catalog::{Model, Plan, Terms, plan::Basis, resolve};
use tenure_core::{
    BillingAccountId, Currency, ItemId, Quantity, SubscriptionId, SubscriptionStatus, TenantId,
    TenantStatus,
};
use tenure_tenancy::TenantTx;

pub use model::{Item, NewSubscription, Subscription};

use crate::{
    App, billing,
    call::Call,
    http::{FieldError, Problem},
    idempotency, products,
    products::Catalog,
    tenants::{self, Tenant},
    trail::{self, Change},
};

/// Subscriptions a tenant has at most.
pub const SUBSCRIPTIONS_MAX: usize = 100;
/// Items and contracts a subscription has at most.
pub const PARTS_MAX: usize = 500;

/// What to sell, checked against the catalog.
pub(crate) struct Chosen {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) subscription: NewSubscription,
    plan: String,
    pub(crate) model: Model,
    mode: Option<String>,
}

/// Checks what was asked for against the product, before anything is written.
pub(crate) async fn choose(app: &App, new: NewSubscription) -> Result<Chosen, Problem> {
    let catalog = products::choose(app, new.product.as_deref()).await?;
    let plan = choose_plan(&catalog, new.plan.as_deref())?;
    let model = match new.model {
        Some(model) if plan.models.contains(&model) => model,
        Some(model) => {
            let sold: Vec<&str> = plan.models.iter().map(|model| model.word()).collect();
            let detail =
                format!("{} is not sold as {model}, but as {}.", plan.name, sold.join(", "));
            return Err(Problem::field("/model", detail));
        }
        None => *plan.models.first().unwrap_or(&Model::Managed),
    };
    let mode = new.mode.clone().or_else(|| plan.mode.clone());
    let (plan, errors) = (plan.id.clone(), new.check(&catalog.product, plan));
    if !errors.is_empty() {
        return Err(Problem::invalid(errors));
    }
    Ok(Chosen { plan, model, mode, subscription: new, catalog })
}

/// The plan named, or the one that new customers get: `starter` where the
/// product has it, else the first.
fn choose_plan<'a>(catalog: &'a Catalog, named: Option<&str>) -> Result<&'a Plan, Problem> {
    let product = &catalog.product;
    match named {
        Some(id) => product.plan(id).ok_or_else(|| {
            let plans: Vec<&str> = product.plans.iter().map(|plan| plan.id.as_str()).collect();
            let detail =
                format!("`{id}` is no plan of {}; it has {}.", product.name, plans.join(", "));
            Problem::field("/plan", detail)
        }),
        None => product
            .plan("starter")
            .or_else(|| product.plans.iter().find(|plan| !plan.hidden))
            .ok_or_else(|| Problem::field("/plan", "This product has no plan to sell.")),
    }
}

/// Sells a plan to a tenant.
pub async fn create(
    app: &App,
    call: &Call,
    tenant: TenantId,
    new: NewSubscription,
) -> Result<Subscription, Problem> {
    let chosen = choose(app, new).await?;
    let mut tx = app.db().tenant(tenant).await?;
    let of = tenants::db::lock(&mut tx).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    if of.status != TenantStatus::Active {
        let detail = format!("The tenant is {}; only an active tenant can subscribe.", of.status);
        return Err(Problem::conflict("tenant-not-active", detail));
    }
    if db::count(&mut tx).await? >= SUBSCRIPTIONS_MAX {
        let detail = format!("A tenant has at most {SUBSCRIPTIONS_MAX} subscriptions.");
        return Err(Problem::conflict("too-many-subscriptions", detail));
    }
    let subscription = insert(&mut tx, call, &of, &chosen).await?;
    let change = Change::created("subscription.created", subscription.id, &subscription);
    trail::record(app, &mut tx, call, change).await?;
    crate::deployments::insert_first(app, &mut tx, call, &subscription, &chosen).await?;
    idempotency::remember(app, &mut tx, call, StatusCode::CREATED, &subscription).await?;
    tx.commit().await?;
    app.forget_tenant(tenant);
    Ok(subscription)
}

/// Writes a subscription and its items into a unit of work under way.
pub(crate) async fn insert(
    tx: &mut TenantTx,
    call: &Call,
    tenant: &Tenant,
    chosen: &Chosen,
) -> Result<Subscription, Problem> {
    let new = &chosen.subscription;
    let (account, currency) = payer(tx, call, tenant, chosen).await?;
    let catalog = chosen.catalog.in_currency(currency)?;
    let plan = catalog.product.plan(&chosen.plan);
    let start = new.starts_at.unwrap_or(call.now);
    let trial_ends_at = trial_end(plan, new, start)?;
    let counted = catalog.product.discounts.iter().any(|d| d.first_customers.is_some());
    let customer_number = match counted {
        true => Some(db::next_customer_number(tx, chosen.catalog.product_id).await?),
        false => None,
    };
    let subscription = Subscription {
        id: SubscriptionId::new(call.now),
        tenant_id: tenant.id,
        product: chosen.catalog.product.id.clone(),
        catalog_version: chosen.catalog.version,
        catalog_version_id: chosen.catalog.version_id,
        plan: chosen.plan.clone(),
        model: chosen.model,
        mode: chosen.mode.clone(),
        status: if trial_ends_at.is_some() {
            SubscriptionStatus::Trial
        } else {
            SubscriptionStatus::Active
        },
        billing_account_id: account,
        currency,
        anchor: start,
        interval: plan.map_or(tenure_core::Interval::Month, |plan| plan.billed),
        term_years: new.term_years.unwrap_or(1),
        prepaid: new.prepaid,
        hard_stops: new.hard_stops.clone(),
        customer_number,
        trial_ends_at,
        cancelled_at: None,
        created_at: call.now,
        updated_at: call.now,
        items: first_items(plan, new)
            .map(|(charge, quantity)| Item {
                id: ItemId::new(call.now),
                charge,
                quantity,
                from: start,
                to: None,
            })
            .collect(),
    };
    db::insert(tx, &subscription, chosen.catalog.product_id).await?;
    let billed_from = new.billed_from.unwrap_or(call.now);
    billing::periods::begin(tx, &subscription, tenant, billed_from).await?;
    Ok(subscription)
}

/// The items asked for, and one (or the least that is billed) of each charge
/// that is sold by number and was not mentioned: nobody buys a plan of no seats.
fn first_items<'a>(
    plan: Option<&'a Plan>,
    new: &'a NewSubscription,
) -> impl Iterator<Item = (String, Quantity)> + 'a {
    let asked = new.items.iter().map(|item| (item.charge.clone(), item.quantity));
    let least = plan.into_iter().flat_map(least);
    asked.chain(least.filter(|(charge, _)| new.items.iter().all(|item| item.charge != *charge)))
}

/// The least of each charge that is sold by number.
fn least(plan: &Plan) -> impl Iterator<Item = (String, Quantity)> + '_ {
    plan.charges.iter().filter(|charge| !charge.optional).filter_map(|charge| match &charge.basis {
        Basis::Held { minimum, .. } => Some((charge.id.clone(), (*minimum).max(Quantity::ONE))),
        _ => None,
    })
}

fn trial_end(
    plan: Option<&Plan>,
    new: &NewSubscription,
    start: Timestamp,
) -> Result<Option<Timestamp>, Problem> {
    if !new.trial {
        return Ok(None);
    }
    let length =
        plan.and_then(|plan| plan.trial).and_then(|trial| trial.seconds()).ok_or_else(|| {
            Problem::field("/trial", "This plan has no free trial; leave `trial` out.")
        })?;
    start
        .checked_add(jiff::SignedDuration::from_secs(length))
        .map(Some)
        .map_err(|_| Problem::field("/starts_at", "The trial would end outside the calendar."))
}

/// The tenant's own account, made with its first subscription.
/// Who pays, and in what. The account decides, for its currency never changes.
async fn payer(
    tx: &mut TenantTx,
    call: &Call,
    tenant: &Tenant,
    chosen: &Chosen,
) -> Result<(BillingAccountId, Currency), Problem> {
    let wanted = chosen.subscription.currency;
    let Some(id) = chosen.subscription.billing_account else {
        let currency = wanted.unwrap_or(chosen.catalog.product.currency);
        let catalog = chosen.catalog.in_currency(currency)?;
        let currency = catalog.product.currency;
        let account = tenants::organisation::account_for(tx, call, tenant, currency).await?;
        return Ok((account, currency));
    };
    let account = tenants::organisation::require_account(tx, id).await?;
    if wanted.is_some_and(|wanted| wanted != account.currency) {
        let detail = format!("The billing account is in {}.", account.currency);
        return Err(Problem::field("/currency", detail));
    }
    Ok((account.id, account.currency))
}

/// Every subscription of a tenant, newest first.
pub async fn list(app: &App, tenant: TenantId) -> Result<Vec<Subscription>, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let all = db::list(&mut tx).await?;
    tx.commit().await?;
    Ok(all)
}

/// One subscription of a tenant.
pub async fn read(
    app: &App,
    tenant: TenantId,
    id: SubscriptionId,
) -> Result<Subscription, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let found = db::find(&mut tx, id).await?.ok_or_else(|| Problem::not_found("subscription"))?;
    tx.commit().await?;
    Ok(found)
}

/// The subscription, locked for a change.
pub(crate) async fn lock(tx: &mut TenantTx, id: SubscriptionId) -> Result<Subscription, Problem> {
    db::lock(tx, id).await?;
    db::find(tx, id).await?.ok_or_else(|| Problem::not_found("subscription"))
}

/// Writes changed terms; the running billing period ends where they say.
async fn save(tx: &mut TenantTx, after: &Subscription) -> Result<(), Problem> {
    db::update(tx, after).await?;
    billing::periods::settle(tx, after.id).await
}

/// Moves a subscription to another state.
pub async fn transition(
    app: &App,
    call: &Call,
    tenant: TenantId,
    id: SubscriptionId,
    to: SubscriptionStatus,
) -> Result<Subscription, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let before = lock(&mut tx, id).await?;
    before
        .status
        .become_(to)
        .map_err(|error| Problem::conflict("illegal-transition", format!("{error}.")))?;
    let after = before.clone().in_state(to, call.now);
    save(&mut tx, &after).await?;
    if to == SubscriptionStatus::Cancelled {
        crate::deployments::end_all(app, &mut tx, call, id).await?;
    }
    let action = format!("subscription.{}", to.word());
    trail::record(app, &mut tx, call, Change::updated(&action, id, &before, &after)).await?;
    tx.commit().await?;
    app.forget_tenant(tenant);
    Ok(after)
}

/// Cancels whatever is left of a tenant that leaves.
pub(crate) async fn cancel_all(app: &App, tx: &mut TenantTx, call: &Call) -> Result<(), Problem> {
    for subscription in db::list(tx).await? {
        if subscription.status != SubscriptionStatus::Cancelled {
            let cancelled = subscription.in_state(SubscriptionStatus::Cancelled, call.now);
            save(tx, &cancelled).await?;
            crate::deployments::end_all(app, tx, call, cancelled.id).await?;
        }
    }
    Ok(())
}

/// Moves a subscription to another plan, or to the newest version of its own:
/// its commercial terms are those of the newest version from now on.
pub async fn move_to_plan(
    app: &App,
    call: &Call,
    tenant: TenantId,
    id: SubscriptionId,
    plan: Option<&str>,
) -> Result<Subscription, Problem> {
    let current = read(app, tenant, id).await?;
    let newest = products::latest(app, &current.product).await?;
    let mut tx = app.db().tenant(tenant).await?;
    let plan = plan.unwrap_or(&current.plan);
    let change = Conversion { model: None, plan: Some(plan), paid: false };
    let after = convert_locked(app, &mut tx, call, id, &newest, change).await?;
    tx.commit().await?;
    app.forget_tenant(tenant);
    Ok(after)
}

/// What changes about a subscription at once.
pub(crate) struct Conversion<'a> {
    /// Another model; the present one when absent.
    pub(crate) model: Option<Model>,
    /// A plan of the newest version; when absent the terms stay as they are.
    pub(crate) plan: Option<&'a str>,
    /// A trial becomes paid.
    pub(crate) paid: bool,
}

/// Changes a subscription in the caller's transaction; refuses what is not sold.
pub(crate) async fn convert_locked(
    app: &App,
    tx: &mut TenantTx,
    call: &Call,
    id: SubscriptionId,
    newest: &Arc<Catalog>,
    change: Conversion<'_>,
) -> Result<Subscription, Problem> {
    let before = lock(tx, id).await?;
    if before.status == SubscriptionStatus::Cancelled {
        let detail = "The subscription is cancelled; make a new one.";
        return Err(Problem::conflict("illegal-transition", detail));
    }
    let mut after = before.clone();
    after.updated_at = call.now;
    let catalog = match change.plan {
        Some(plan) => {
            take_plan(newest, plan, &mut after, call.now)?;
            newest.in_currency(before.currency)?
        }
        None => products::catalog_of(app, &before).await?,
    };
    after.model = change.model.unwrap_or(before.model);
    require_model(&catalog, &after, if change.model.is_some() { "/model" } else { "/plan" })?;
    if change.paid {
        let paid = SubscriptionStatus::Active;
        before
            .status
            .become_(paid)
            .map_err(|error| Problem::conflict("illegal-transition", format!("{error}.")))?;
        after = after.in_state(paid, call.now);
    }
    let of = tenants::db::read(tx).await?;
    let terms = terms(tx, &after, &of).await?;
    resolve(&catalog.product, &terms, call.now).map_err(not_resolved)?;
    save(tx, &after).await?;
    db::update_item_ends(tx, &after.items).await?;
    for item in after.items.iter().filter(|item| before.items.iter().all(|old| old.id != item.id)) {
        db::insert_item(tx, id, item, call.now).await?;
    }
    let change = Change::updated("subscription.moved", id, &before, &after);
    trail::record(app, tx, call, change).await?;
    Ok(after)
}

/// The newest terms of a plan. Items of charges that it does not have, or does not sell by
/// number, end here; of what it sells by number and nobody held, there is the least.
fn take_plan(
    newest: &Catalog,
    plan: &str,
    after: &mut Subscription,
    now: Timestamp,
) -> Result<(), Problem> {
    let to = choose_plan(newest, Some(plan))?;
    after.plan = to.id.clone();
    after.mode = to.mode.clone().or(after.mode.take());
    after.interval = to.billed;
    after.catalog_version = newest.version;
    after.catalog_version_id = newest.version_id;
    for item in after.items.iter_mut().filter(|item| item.to.is_none()) {
        // Twelve seats of one plan are not twelve of another plan's flat fee.
        let sold = newest.product.extra(&item.charge).is_none_or(|extra| extra.fits(&to.id));
        let charge = newest.product.charge(to, &item.charge).filter(|_| sold);
        let counted = charge.is_some_and(|charge| {
            charge.optional || !matches!(charge.basis, Basis::Flat { unit: None })
        });
        if !counted {
            item.to = Some(now.max(item.from));
        }
    }
    let held = after.items.iter().filter(|item| item.to.is_none());
    let held: Vec<String> = held.map(|item| item.charge.clone()).collect();
    let unasked = least(to).filter(|(charge, _)| !held.contains(charge));
    after.items.extend(unasked.map(|(charge, quantity)| Item {
        id: ItemId::new(now),
        charge,
        quantity,
        from: now,
        to: None,
    }));
    Ok(())
}

fn require_model(catalog: &Catalog, after: &Subscription, pointer: &str) -> Result<(), Problem> {
    let plan = catalog.product.plan(&after.plan);
    let plan = plan.ok_or_else(|| Problem::not_found("plan in the subscription's version"))?;
    if plan.models.contains(&after.model) {
        return Ok(());
    }
    let models: Vec<&str> = plan.models.iter().map(|model| model.word()).collect();
    let detail =
        format!("{} is not sold as {}, only as {}.", plan.name, after.model, models.join(", "));
    Err(Problem::field(pointer, detail))
}

/// The newest catalog of the product that a license is for.
pub(crate) async fn newest_of(
    app: &App,
    tenant: TenantId,
    id: SubscriptionId,
) -> Result<Arc<Catalog>, Problem> {
    let current = read(app, tenant, id).await?;
    products::latest(app, &current.product).await
}

/// Everything that prices and entitlements of a subscription depend on.
pub(crate) async fn terms(
    tx: &mut TenantTx,
    subscription: &Subscription,
    tenant: &Option<Tenant>,
) -> Result<Terms, Problem> {
    let tenant = tenant.as_ref().ok_or_else(|| Problem::not_found("tenant"))?;
    let contracts = db::contracts(tx, subscription.id).await?;
    Ok(Terms {
        mode: subscription.mode.clone(),
        end: subscription.cancelled_at,
        zone: tenant.time_zone.clone(),
        items: subscription.items.iter().map(Item::terms).collect(),
        contracts: contracts.into_iter().map(|contract| contract.terms()).collect(),
        term_years: u32::try_from(subscription.term_years).unwrap_or(1),
        prepaid: subscription.prepaid,
        customer_class: tenant.customer_class.clone(),
        customer_number: subscription.customer_number.and_then(|n| u32::try_from(n).ok()),
        hard_stops: subscription.hard_stops.clone(),
        ..Terms::new(subscription.plan.clone(), subscription.model, subscription.anchor)
    })
}

/// Terms that the product cannot satisfy, as an answer to a caller.
pub(crate) fn not_resolved(error: tenure_catalog::entitlements::Error) -> Problem {
    Problem::invalid(vec![FieldError { detail: format!("{error}."), pointer: String::new() }])
}
