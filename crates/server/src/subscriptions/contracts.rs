//! Contracts: negotiated, effective-dated changes to one subscription, each
//! with a reason and an approver.

use axum::http::StatusCode;
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tenure_catalog::{
    Contract, Product,
    contract::{
        ContractDiscount, Effective, ExtraFeature, LimitOverride, NegotiatedPrice, ValueOverride,
    },
    model::{Setting, Value},
    resolve,
};
use tenure_core::{ContractId, Interval, Quantity, SubscriptionId, TenantId};
use utoipa::ToSchema;

use super::{PARTS_MAX, db, lock, not_resolved, terms};
use crate::{
    App,
    call::Call,
    http::{FieldError, Problem},
    idempotency, products, tenants,
    trail::{self, Change},
};

/// What a contract changes.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// Prices that replace listed ones.
    #[serde(default)]
    pub prices: Vec<Price>,
    /// Limits that replace the plan's.
    #[serde(default)]
    pub limits: Vec<Limit>,
    /// Ids of features on top of the plan's.
    #[serde(default)]
    #[schema(example = json!(["sso"]))]
    pub features: Vec<String>,
    /// Values that replace the plan's, by id.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub values: std::collections::BTreeMap<String, Value>,
    /// Reductions, after the product's own.
    #[serde(default)]
    pub discounts: Vec<Discount>,
}

/// A negotiated price.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Id of a charge, add-on or service, or `overage.<limit>`; `base` is the plan's price.
    #[schema(example = "base")]
    pub charge: String,
    /// For one unit or package, in the product's currency.
    #[schema(value_type = String, example = "180000")]
    pub amount: Decimal,
    /// Month or year, for plans whose price list says neither.
    #[schema(value_type = Option<String>, example = "year")]
    pub every: Option<Interval>,
}

/// A negotiated limit.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Id of a meter or allocation.
    #[schema(example = "teams")]
    pub limit: String,
    /// How much; `null` is unlimited.
    pub included: Option<Quantity>,
}

/// A negotiated reduction.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Discount {
    /// On the invoice.
    #[schema(example = "Launch partner")]
    pub name: String,
    /// Between 0 and 100.
    #[schema(value_type = String, example = "12.5")]
    pub percent: Decimal,
    /// Ids of what it reduces; empty: the plan's charges and its add-ons.
    #[serde(default)]
    pub charges: Vec<String>,
}

/// A contract to be added.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewContract {
    /// Why, for whoever reads it in a year.
    #[schema(example = "Quote Q-2026-118, signed 2026-10-02")]
    pub reason: String,
    /// Who agreed on the vendor's side.
    #[schema(example = "cfo@vendor.example")]
    pub approver: String,
    /// It holds from this moment; now when absent.
    pub valid_from: Option<Timestamp>,
    /// It holds before this moment; without end when absent.
    pub valid_to: Option<Timestamp>,
    /// What it changes.
    pub changes: Changes,
}

/// A contract.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ContractRecord {
    /// Its id.
    pub id: ContractId,
    /// Of which subscription.
    pub subscription_id: SubscriptionId,
    /// Why.
    pub reason: String,
    /// Who agreed.
    pub approver: String,
    /// It holds from this moment.
    pub valid_from: Timestamp,
    /// It holds before this moment.
    pub valid_to: Option<Timestamp>,
    /// What it changes.
    pub changes: Changes,
    /// When it was added.
    pub created_at: Timestamp,
}

impl ContractRecord {
    /// As the catalog reads it.
    pub(crate) fn terms(self) -> Contract {
        let when = Effective { from: self.valid_from, to: self.valid_to };
        let changes = self.changes;
        Contract {
            id: self.id.to_string(),
            prices: changes
                .prices
                .into_iter()
                .map(|price| NegotiatedPrice {
                    charge: price.charge,
                    amount: price.amount,
                    every: price.every,
                    when,
                })
                .collect(),
            limits: changes
                .limits
                .into_iter()
                .map(|limit| LimitOverride { limit: limit.limit, included: limit.included, when })
                .collect(),
            features: changes
                .features
                .into_iter()
                .map(|feature| ExtraFeature { feature, when })
                .collect(),
            values: changes
                .values
                .into_iter()
                .map(|(id, value)| ValueOverride { setting: Setting { id, value }, when })
                .collect(),
            discounts: changes
                .discounts
                .into_iter()
                .map(|discount| ContractDiscount {
                    name: discount.name,
                    percent: discount.percent,
                    charges: discount.charges,
                    when,
                })
                .collect(),
            rates: Vec::new(),
        }
    }
}

fn check(new: &NewContract, product: &Product, plan: &tenure_catalog::Plan) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut wrong = |pointer: String, detail: String| errors.push(FieldError { pointer, detail });
    for (pointer, text, max) in [("/reason", &new.reason, 2_000), ("/approver", &new.approver, 200)]
    {
        if text.trim().is_empty() || text.chars().count() > max {
            wrong(pointer.into(), format!("Give 1 to {max} characters."));
        }
    }
    let changes = &new.changes;
    for (i, price) in changes.prices.iter().enumerate() {
        let pointer = format!("/changes/prices/{i}");
        let overage = price.charge.strip_prefix("overage.");
        let known = match overage {
            Some(limit) => plan.limit(limit).is_some(),
            None => product.charge(plan, &price.charge).is_some(),
        };
        if !known {
            let detail = format!("`{}` is no charge, add-on or service here.", price.charge);
            wrong(format!("{pointer}/charge"), detail);
        }
        if price.amount.is_sign_negative() || price.amount.scale() > 12 {
            let detail = "A price is not negative and has at most 12 decimals.".to_owned();
            wrong(format!("{pointer}/amount"), detail);
        }
    }
    for (i, limit) in changes.limits.iter().enumerate() {
        let known =
            product.meter(&limit.limit).is_some() || product.allocation(&limit.limit).is_some();
        if !known {
            let detail = format!("`{}` is no meter or allocation.", limit.limit);
            wrong(format!("/changes/limits/{i}/limit"), detail);
        }
    }
    for (i, feature) in changes.features.iter().enumerate() {
        if product.feature(feature).is_none() {
            wrong(format!("/changes/features/{i}"), format!("`{feature}` is no feature."));
        }
    }
    for id in changes.values.keys() {
        if product.value(id).is_none() {
            wrong(format!("/changes/values/{id}"), format!("`{id}` is no value of the product."));
        }
    }
    for (i, discount) in changes.discounts.iter().enumerate() {
        let range = Decimal::ZERO..=Decimal::ONE_HUNDRED;
        if !range.contains(&discount.percent) {
            let detail = "A discount is between 0 and 100 per cent.".to_owned();
            wrong(format!("/changes/discounts/{i}/percent"), detail);
        }
    }
    if new.valid_from.zip(new.valid_to).is_some_and(|(from, to)| to <= from) {
        wrong("/valid_to".into(), "It must end after it begins.".into());
    }
    errors
}

/// Adds a contract to a subscription.
pub async fn create(
    app: &App,
    call: &Call,
    tenant: TenantId,
    id: SubscriptionId,
    new: NewContract,
) -> Result<ContractRecord, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let subscription = lock(&mut tx, id).await?;
    let catalog = products::catalog_of(app, &subscription).await?;
    let plan =
        catalog.product.plan(&subscription.plan).ok_or_else(|| Problem::not_found("plan"))?;
    let errors = check(&new, &catalog.product, plan);
    if !errors.is_empty() {
        return Err(Problem::invalid(errors));
    }
    if db::contracts(&mut tx, id).await?.len() >= PARTS_MAX {
        let detail = format!("A subscription has at most {PARTS_MAX} contracts.");
        return Err(Problem::conflict("too-many-contracts", detail));
    }
    let contract = ContractRecord {
        id: ContractId::new(call.now),
        subscription_id: id,
        reason: new.reason,
        approver: new.approver,
        valid_from: new.valid_from.unwrap_or(call.now),
        valid_to: new.valid_to,
        changes: new.changes,
        created_at: call.now,
    };
    db::insert_contract(&mut tx, &contract).await?;
    let of = tenants::db::read(&mut tx).await?;
    let all = terms(&mut tx, &subscription, &of).await?;
    resolve(&catalog.product, &all, contract.valid_from.max(call.now)).map_err(not_resolved)?;
    let change = Change::created("contract.created", contract.id, &contract);
    trail::record(app, &mut tx, call, change).await?;
    idempotency::remember(app, &mut tx, call, StatusCode::CREATED, &contract).await?;
    tx.commit().await?;
    app.forget_tenant(tenant);
    Ok(contract)
}

/// Every contract of a subscription, oldest first.
pub async fn list(
    app: &App,
    tenant: TenantId,
    id: SubscriptionId,
) -> Result<Vec<ContractRecord>, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    db::find(&mut tx, id).await?.ok_or_else(|| Problem::not_found("subscription"))?;
    let all = db::contracts(&mut tx, id).await?;
    tx.commit().await?;
    Ok(all)
}

/// Ends a contract now; what it changed before stays true of that time.
pub async fn end(
    app: &App,
    call: &Call,
    tenant: TenantId,
    subscription: SubscriptionId,
    id: ContractId,
) -> Result<ContractRecord, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    lock(&mut tx, subscription).await?;
    let before = db::contracts(&mut tx, subscription)
        .await?
        .into_iter()
        .find(|contract| contract.id == id)
        .ok_or_else(|| Problem::not_found("contract"))?;
    if before.valid_from >= call.now || before.valid_to.is_some_and(|to| to <= call.now) {
        let detail = "The contract does not hold now, so it cannot be ended now.";
        return Err(Problem::conflict("contract-not-in-force", detail));
    }
    let after = ContractRecord { valid_to: Some(call.now), ..before.clone() };
    db::end_contract(&mut tx, id, call.now).await?;
    trail::record(app, &mut tx, call, Change::updated("contract.ended", id, &before, &after))
        .await?;
    tx.commit().await?;
    app.forget_tenant(tenant);
    Ok(after)
}
