//! What a subscription may do at a moment: the plan, raised by items, changed
//! by contracts.
//!
//! Owns: the order in which those three apply. Refuses: terms that name what
//! the product does not have.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tenure_core::Quantity;

use crate::{
    contract::{Terms, newest},
    deployment::{Edition, Mode, Model},
    model::{Product, Setting, Support, in_mode},
    plan::{AddOn, Basis, LimitKind, Over, Per, Plan, Rate},
};

/// The resolved answer to "what may this subscription do".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entitlements {
    /// Id of the product.
    pub product: String,
    /// Id of the plan.
    pub plan: String,
    /// Of the deployment.
    pub model: Model,
    /// The product's mode.
    #[serde(default)]
    pub mode: Option<String>,
    /// Ids of features, in the product's order.
    pub features: Vec<String>,
    /// In the product's order: allocations, then meters.
    pub limits: Vec<LimitNow>,
    /// In the product's order.
    pub values: Vec<Setting>,
    /// The support level.
    #[serde(default)]
    pub support: Option<Support>,
    /// Requests allowed at the gateway.
    #[serde(default)]
    pub rate: Option<Rate>,
    /// Ids of add-ons that are held.
    pub add_ons: Vec<String>,
    /// Features and values that the mode's user interface hides.
    pub hidden: Vec<String>,
    /// Edition claim of a license.
    pub edition: Edition,
    /// Tier inside a license key.
    pub tier: String,
}

/// A limit as it holds now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitNow {
    /// Id of the meter or allocation.
    pub id: String,
    /// For people: `Teams`.
    pub name: String,
    /// For people: `team`.
    pub unit: String,
    /// Which of both.
    pub kind: LimitKind,
    /// `None`: unlimited.
    pub included: Option<Quantity>,
    /// The window of a meter's limit.
    #[serde(default)]
    pub per: Option<Per>,
    /// Past it; a hard stop that the customer asked for is `Block` here.
    pub over: Over,
    /// Per cent at which people are told.
    #[serde(default)]
    pub warn_at: Vec<u32>,
}

/// Why terms cannot be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No such plan.
    #[error("{product} has no plan `{plan}`")]
    UnknownPlan {
        /// Id of the product.
        product: String,
        /// As given.
        plan: String,
    },
    /// The plan is not sold in the model.
    #[error("plan `{plan}` is not sold as {model}")]
    NotSoldAs {
        /// Id of the plan.
        plan: String,
        /// As given.
        model: Model,
    },
    /// No such mode.
    #[error("{product} has no mode `{mode}`")]
    UnknownMode {
        /// Id of the product.
        product: String,
        /// As given.
        mode: String,
    },
    /// An item names no charge of the plan and no add-on or service for it.
    #[error("`{charge}` is no charge, add-on or service of plan `{plan}`")]
    UnknownCharge {
        /// Id of the plan.
        plan: String,
        /// As given.
        charge: String,
    },
    /// A contract or hard stop names no meter or allocation.
    #[error("`{0}` is no meter or allocation of this product")]
    UnknownLimit(String),
    /// A contract names no feature.
    #[error("`{0}` is no feature of this product")]
    UnknownFeature(String),
    /// Bought quantities exceed what a quantity holds.
    #[error("the limit on `{0}` is too large")]
    TooLarge(String),
}

impl Entitlements {
    /// Whether the feature is there.
    pub fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|id| id == feature)
    }

    /// The limit on a meter or allocation; `None`: not limited and not listed.
    pub fn limit(&self, id: &str) -> Option<&LimitNow> {
        self.limits.iter().find(|limit| limit.id == id)
    }

    /// Whether `used` and `more` together stay within a limit that blocks.
    pub fn allows(&self, id: &str, used: Quantity, more: Quantity) -> bool {
        let Some(limit) = self.limit(id).filter(|limit| limit.over == Over::Block) else {
            return true;
        };
        limit.included.is_none_or(|included| {
            used.value().checked_add(more.value()).is_some_and(|total| total <= included.value())
        })
    }
}

/// What `terms` allow at `at`.
///
/// The plan's limits come first; items raise them; a contract's limit replaces
/// the result. What the mode cannot do is left out, whoever granted it.
pub fn resolve(product: &Product, terms: &Terms, at: Timestamp) -> Result<Entitlements, Error> {
    let plan = checked_plan(product, terms)?;
    let mode = checked_mode(product, plan, terms)?;
    known_names(product, plan, terms, at)?;
    let held: Vec<(&AddOn, Decimal)> = held(product, terms, at);
    let mode_id = mode.map(|mode| mode.id.as_str());
    let support = held.iter().rev().find_map(|(extra, _)| extra.support.as_deref());
    let rates = terms.contracts.iter().flat_map(|contract| &contract.rates);
    let add_ons = held.iter().filter(|(extra, _)| product.add_ons.contains(extra));
    Ok(Entitlements {
        product: product.id.clone(),
        plan: plan.id.clone(),
        model: terms.model,
        mode: mode.map(|mode| mode.id.clone()),
        features: features(product, plan, terms, &held, mode_id, at),
        limits: limits(product, plan, terms, &held, at)?,
        values: values(product, plan, mode, terms, at),
        support: support
            .or(plan.support.as_deref())
            .and_then(|id| product.support_level(id))
            .cloned(),
        rate: newest(rates, at, |entry| &entry.when).map(|entry| entry.rate).or(plan.rate),
        add_ons: add_ons.map(|(extra, _)| extra.id.clone()).collect(),
        hidden: mode.map(|mode| mode.hides.clone()).unwrap_or_default(),
        edition: plan.edition.unwrap_or(product.license.edition),
        tier: plan.license_tier.clone(),
    })
}

/// The plan of the terms, sold in their model.
fn checked_plan<'a>(product: &'a Product, terms: &Terms) -> Result<&'a Plan, Error> {
    let plan = product.plan(&terms.plan).ok_or_else(|| Error::UnknownPlan {
        product: product.id.clone(),
        plan: terms.plan.clone(),
    })?;
    if !plan.models.contains(&terms.model) {
        return Err(Error::NotSoldAs { plan: plan.id.clone(), model: terms.model });
    }
    Ok(plan)
}

fn checked_mode<'a>(
    product: &'a Product,
    plan: &Plan,
    terms: &Terms,
) -> Result<Option<&'a Mode>, Error> {
    let Some(id) = terms.mode.as_deref().or(plan.mode.as_deref()) else { return Ok(None) };
    let unknown = || Error::UnknownMode { product: product.id.clone(), mode: id.to_owned() };
    product.mode(id).map(Some).ok_or_else(unknown)
}

/// Everything that items, contracts and hard stops name exists, at whatever
/// time it holds: a typing mistake is found when it is made. What was given back
/// by `at` may belong to a plan that was left.
fn known_names(product: &Product, plan: &Plan, terms: &Terms, at: Timestamp) -> Result<(), Error> {
    for item in &terms.items {
        let fits = plan.charge(&item.charge).is_some()
            || product.extra(&item.charge).is_some_and(|extra| extra.fits(&plan.id));
        let over = item.to.is_some_and(|to| to <= at);
        let known = || {
            product.extra(&item.charge).is_some()
                || product.plans.iter().any(|plan| plan.charge(&item.charge).is_some())
        };
        if !(fits || over && known()) {
            return Err(Error::UnknownCharge {
                plan: plan.id.clone(),
                charge: item.charge.clone(),
            });
        }
    }
    // A contract outlives a change of plan: a charge of any plan will do.
    let known = |id: &str| match id.strip_prefix("overage.") {
        Some(meter) => product.meter(meter).is_some(),
        None => product.extra(id).is_some() || product.plans.iter().any(|p| p.charge(id).is_some()),
    };
    for contract in &terms.contracts {
        let prices = contract.prices.iter().map(|price| &price.charge);
        let reduced = contract.discounts.iter().flat_map(|discount| &discount.charges);
        if let Some(unknown) = prices.chain(reduced).find(|id| !known(id)) {
            return Err(Error::UnknownCharge { plan: plan.id.clone(), charge: unknown.clone() });
        }
    }
    let limits = terms.contracts.iter().flat_map(|contract| &contract.limits);
    for limit in limits.map(|entry| &entry.limit).chain(&terms.hard_stops) {
        if product.meter(limit).is_none() && product.allocation(limit).is_none() {
            return Err(Error::UnknownLimit(limit.clone()));
        }
    }
    let extra = terms.contracts.iter().flat_map(|contract| &contract.features);
    match extra.map(|entry| &entry.feature).find(|id| product.feature(id).is_none()) {
        Some(unknown) => Err(Error::UnknownFeature(unknown.clone())),
        None => Ok(()),
    }
}

/// Add-ons and services held at `at`, with how many.
fn held<'a>(product: &'a Product, terms: &Terms, at: Timestamp) -> Vec<(&'a AddOn, Decimal)> {
    let extras = product.add_ons.iter().chain(&product.services);
    extras
        .filter_map(|extra| Some((extra, terms.quantity(&extra.id, at)?)))
        .filter(|(_, quantity)| !quantity.is_zero())
        .collect()
}

fn features(
    product: &Product,
    plan: &Plan,
    terms: &Terms,
    held: &[(&AddOn, Decimal)],
    mode: Option<&str>,
    at: Timestamp,
) -> Vec<String> {
    let granted = |id: &String| {
        let contracts = terms.contracts.iter().flat_map(|contract| &contract.features);
        plan.features.contains(id)
            || held.iter().any(|(extra, _)| extra.features.contains(id))
            || contracts.into_iter().any(|entry| entry.feature == *id && entry.when.holds(at))
    };
    product
        .features
        .iter()
        .filter(|feature| granted(&feature.id) && in_mode(&feature.modes, mode))
        .map(|feature| feature.id.clone())
        .collect()
}

fn limits(
    product: &Product,
    plan: &Plan,
    terms: &Terms,
    held: &[(&AddOn, Decimal)],
    at: Timestamp,
) -> Result<Vec<LimitNow>, Error> {
    let allocations = product
        .allocations
        .iter()
        .map(|held| (&held.id, &held.name, &held.one, LimitKind::Allocation));
    let meters =
        product.meters.iter().map(|meter| (&meter.id, &meter.name, &meter.unit, LimitKind::Meter));
    let mut limits = Vec::new();
    for (id, name, unit, kind) in allocations.chain(meters) {
        let Some((included, per, over, warn_at)) = limit(plan, terms, held, id, kind, at)? else {
            continue;
        };
        limits.push(LimitNow {
            id: id.clone(),
            name: name.clone(),
            unit: unit.clone(),
            kind,
            included,
            per,
            over,
            warn_at,
        });
    }
    Ok(limits)
}

type Resolved = (Option<Quantity>, Option<Per>, Over, Vec<u32>);

fn limit(
    plan: &Plan,
    terms: &Terms,
    held: &[(&AddOn, Decimal)],
    id: &str,
    kind: LimitKind,
    at: Timestamp,
) -> Result<Option<Resolved>, Error> {
    let overrides = terms.contracts.iter().flat_map(|contract| &contract.limits);
    let negotiated = newest(overrides.filter(|entry| entry.limit == id), at, |entry| &entry.when);
    let bought = bought(plan, terms, id, at);
    let stated = plan.limit(id);
    if stated.is_none() && bought.is_none() && negotiated.is_none() {
        return Ok(None);
    }
    let too_large = || Error::TooLarge(id.to_owned());
    let mut raised = Decimal::ZERO;
    for (extra, many) in held {
        for raise in extra.raises.iter().filter(|raise| raise.limit == id) {
            let more = raise.by.value().checked_mul(*many).ok_or_else(too_large)?;
            raised = raised.checked_add(more).ok_or_else(too_large)?;
        }
    }
    // Sold by number and not mentioned under limits: what was bought, no more.
    let start = stated.map_or(Some(Quantity::ZERO), |limit| limit.included);
    let included = match (negotiated, start) {
        (Some(entry), _) => entry.included,
        (None, None) => None,
        (None, Some(start)) => {
            let bought = start.value().checked_add(bought.unwrap_or_default());
            let total = bought.and_then(|sum| sum.checked_add(raised)).ok_or_else(too_large)?;
            Some(Quantity::new(total).map_err(|_| too_large())?)
        }
    };
    let over = stated.map_or(Over::Block, |limit| limit.over.clone());
    let stops = terms.hard_stops.iter().any(|stop| stop == id);
    let over = match over {
        Over::Charge { hard_stop: true, .. } if stops => Over::Block,
        other => other,
    };
    let per = stated.and_then(|limit| limit.per);
    let per = per.or((kind == LimitKind::Meter).then_some(Per::Period));
    Ok(Some((included, per, over, stated.map(|l| l.warn_at.clone()).unwrap_or_default())))
}

/// How many of an allocation the plan's charges by number cover: what items
/// hold, and no less than the minimum that is paid for anyway. `None` when it
/// is not sold by number.
fn bought(plan: &Plan, terms: &Terms, allocation: &str, at: Timestamp) -> Option<Decimal> {
    let mut total = None;
    for charge in &plan.charges {
        let Basis::Held { allocation: of, minimum } = &charge.basis else { continue };
        if of != allocation {
            continue;
        }
        let quantity = terms.quantity(&charge.id, at).unwrap_or_default();
        let least = if charge.optional { Decimal::ZERO } else { minimum.value() };
        total = Some(total.unwrap_or(Decimal::ZERO) + quantity.max(least));
    }
    total
}

fn values(
    product: &Product,
    plan: &Plan,
    mode: Option<&Mode>,
    terms: &Terms,
    at: Timestamp,
) -> Vec<Setting> {
    let overrides = || terms.contracts.iter().flat_map(|contract| &contract.values);
    let find = |settings: &[Setting], id: &str| settings.iter().find(|s| s.id == id).cloned();
    let value = |id: &str| {
        let negotiated = overrides().filter(|entry| entry.setting.id == id);
        newest(negotiated, at, |entry| &entry.when)
            .map(|entry| entry.setting.clone())
            .or_else(|| find(&plan.values, id))
            .or_else(|| mode.and_then(|mode| find(&mode.values, id)))
    };
    product.values.iter().filter_map(|kind| value(&kind.id)).collect()
}
