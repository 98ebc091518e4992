//! Items: seats, add-ons and services that a subscription holds, with dates.

use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenure_core::{ItemId, Quantity, SubscriptionId, SubscriptionStatus, TenantId};
use utoipa::ToSchema;

use super::{Item, PARTS_MAX, Subscription, db, lock, model::charge_error};
use crate::{
    App,
    call::Call,
    http::Problem,
    idempotency, products,
    trail::{self, Change},
};

/// A quantity to be held from a moment.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetItem {
    /// Id of a charge, add-on or service of the product.
    #[schema(example = "seats")]
    pub charge: String,
    /// How many from then on; 0 ends it.
    pub quantity: Quantity,
    /// From when; now when absent.
    pub from: Option<Timestamp>,
}

/// Sets how much of a charge is held from a moment on: what was held before
/// ends there, what was planned for later is replaced.
pub async fn set(
    app: &App,
    call: &Call,
    tenant: TenantId,
    id: SubscriptionId,
    wanted: SetItem,
) -> Result<Subscription, Problem> {
    let from = wanted.from.unwrap_or(call.now);
    let mut tx = app.db().tenant(tenant).await?;
    let before = lock(&mut tx, id).await?;
    if before.status == SubscriptionStatus::Cancelled {
        let detail = "The subscription is cancelled; its items are history.";
        return Err(Problem::conflict("illegal-transition", detail));
    }
    if from < before.anchor {
        return Err(Problem::field("/from", "The subscription begins later."));
    }
    let catalog = products::catalog_of(app, &before).await?;
    let plan = catalog.product.plan(&before.plan).ok_or_else(|| Problem::not_found("plan"))?;
    if let Some(detail) = charge_error(&catalog.product, plan, &wanted.charge) {
        return Err(Problem::field("/charge", detail));
    }
    if before.items.len() >= PARTS_MAX {
        let detail = format!("A subscription has at most {PARTS_MAX} items in its history.");
        return Err(Problem::conflict("too-many-items", detail));
    }
    let mut after = before.clone();
    for item in after.items.iter_mut().filter(|item| item.charge == wanted.charge) {
        if item.to.is_none_or(|to| to > from) {
            item.to = Some(from.max(item.from));
        }
    }
    db::update_item_ends(&mut tx, &after.items).await?;
    after.items.retain(|item| item.to != Some(item.from));
    if !wanted.quantity.value().is_zero() {
        let item = Item {
            id: ItemId::new(call.now),
            charge: wanted.charge,
            quantity: wanted.quantity,
            from,
            to: None,
        };
        db::insert_item(&mut tx, id, &item, call.now).await?;
        after.items.push(item);
    }
    let change = Change::updated("subscription.items_changed", id, &before, &after);
    trail::record(app, &mut tx, call, change).await?;
    idempotency::remember(app, &mut tx, call, StatusCode::OK, &after).await?;
    tx.commit().await?;
    app.forget_tenant(tenant);
    Ok(after)
}
