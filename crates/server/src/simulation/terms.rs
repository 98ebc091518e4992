//! Terms that did not hold: the subscription's own timeline, on another plan or on
//! another product file.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use rust_decimal::Decimal;
use tenure_catalog::{Item, Plan, Product, invoicing::Entry, plan::Basis};
use tenure_core::{Quantity, SubscriptionStatus};

use crate::{billing::periods::Account, products::Catalog};

/// As if the subscription had been moved to `plan` of `catalog` at `from`, without its
/// contracts. What is held of an allocation stays held; charges that are not there
/// fall away.
pub(super) fn moved(
    account: &Account,
    catalog: &Arc<Catalog>,
    plan: &Plan,
    from: Timestamp,
) -> Account {
    let tried = |entry: &Entry, status: SubscriptionStatus| Entry {
        version: version(catalog),
        plan: plan.id.clone(),
        mode: plan.mode.clone().or_else(|| entry.mode.clone()),
        hard_stops: Vec::new(),
        status,
        ..entry.clone()
    };
    let mut made = with(account, catalog);
    // Before the move nothing is charged; the tenant's zone and class are as they were.
    let status = |entry: &Entry| match entry.status {
        SubscriptionStatus::Cancelled => SubscriptionStatus::Cancelled,
        _ if entry.from < from => SubscriptionStatus::Trial,
        _ => SubscriptionStatus::Active,
    };
    let all = account.timeline.entries.iter();
    made.timeline.entries = all.map(|entry| tried(entry, status(entry))).collect();
    if let Some(then) = account.timeline.at(from) {
        let start = Entry { from, ..tried(then, SubscriptionStatus::Active) };
        made.timeline.entries.push(start);
    }
    made.timeline.contracts = Vec::new();
    let own = account.timeline.items.iter();
    let own = own.filter(|item| catalog.product.charge(plan, &item.charge).is_some());
    let own = own.filter(|item| item.to.is_none_or(|to| from < to));
    let own = own.map(|item| Item { from: item.from.max(from), ..item.clone() }).collect();
    made.timeline.items = with_held(own, account, &catalog.product, plan, from);
    made
}

/// As if the file of `catalog` had always held; the plan that it lacks, if it lacks one.
pub(super) fn on_file(account: &Account, catalog: &Arc<Catalog>) -> Result<Account, String> {
    let mut made = with(account, catalog);
    for entry in &mut made.timeline.entries {
        entry.version = version(catalog);
        if catalog.product.plan(&entry.plan).is_none() {
            return Err(entry.plan.clone());
        }
    }
    if let Some(plan) = catalog.product.plan(&account.subscription.plan) {
        let own = std::mem::take(&mut made.timeline.items);
        let from = account.timeline.anchor;
        made.timeline.items = with_held(own, account, &catalog.product, plan, from);
    }
    Ok(made)
}

fn version(catalog: &Catalog) -> String {
    format!("tried-{}", catalog.version)
}

fn with(account: &Account, catalog: &Arc<Catalog>) -> Account {
    let mut made = account.clone();
    made.catalogs.push((version(catalog), catalog.clone()));
    made
}

/// `items`, and what the plan needs of allocations that the present plan holds.
fn with_held(
    mut items: Vec<Item>,
    account: &Account,
    product: &Product,
    plan: &Plan,
    from: Timestamp,
) -> Vec<Item> {
    let held = held(account);
    for charge in &plan.charges {
        let Basis::Held { allocation, minimum } = &charge.basis else { continue };
        if items.iter().any(|item| item.charge == charge.id)
            || product.charge(plan, &charge.id).is_none()
        {
            continue;
        }
        let quantity = held.get(allocation.as_str()).copied().unwrap_or_default();
        let quantity = quantity.max(minimum.value()).max(Decimal::ONE);
        if let Ok(quantity) = Quantity::new(quantity) {
            items.push(Item { charge: charge.id.clone(), quantity, from, to: None });
        }
    }
    items
}

/// What the present plan holds of each allocation.
fn held(account: &Account) -> BTreeMap<&str, Decimal> {
    let mut held = BTreeMap::new();
    let Ok(catalog) = account.present_catalog() else { return held };
    let Some(plan) = catalog.product.plan(&account.subscription.plan) else { return held };
    for charge in &plan.charges {
        let Basis::Held { allocation, .. } = &charge.basis else { continue };
        let open = account.timeline.items.iter();
        let open = open.filter(|item| item.charge == charge.id && item.to.is_none());
        let quantity: Decimal = open.map(|item| item.quantity.value()).sum();
        *held.entry(allocation.as_str()).or_default() += quantity;
    }
    held
}
