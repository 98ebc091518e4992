//! Entitlements as flags, over the OpenFeature Remote Evaluation Protocol.
//!
//! Owns: which facts of a subscription are flags. The evaluation itself is pure
//! and lives in [`tenure_api::flags`], so that an agent answers the same
//! without a network. Refuses: targeting; a flag is the same for everybody of a
//! subscription, which the API key names, so `targetingKey` may be left out.

pub mod api;

use tenure_api::flags::{Facts, Value};
use tenure_catalog::{Entitlements, Product, model};
use tenure_core::{SubscriptionId, TenantId};

use crate::{
    App,
    http::Problem,
    subscriptions::entitlements::{self, known_situation},
};

/// What the flags of a subscription are made of.
pub async fn facts(
    app: &App,
    tenant: TenantId,
    subscription: SubscriptionId,
) -> Result<Facts, Problem> {
    let situation = known_situation(app, tenant, subscription).await?;
    let resolved = entitlements::read(app, tenant, subscription).await?;
    let facts = facts_of(&situation.catalog.product, &resolved.entitlements);
    Ok(Facts { withheld: situation.is_withheld(app.now()), ..facts })
}

fn facts_of(product: &Product, now: &Entitlements) -> Facts {
    let value = |value: &model::Value| match value {
        model::Value::Number(number) => Value::Number(*number),
        model::Value::Text(text) => Value::Text(text.clone()),
        model::Value::List(items) => Value::List { items: items.clone() },
    };
    Facts {
        product: now.product.clone(),
        plan: now.plan.clone(),
        withheld: false,
        features: product
            .features
            .iter()
            .map(|feature| (feature.id.clone(), now.has(&feature.id)))
            .collect(),
        limits: now.limits.iter().map(|limit| (limit.id.clone(), limit.included)).collect(),
        values: now.values.iter().map(|set| (set.id.clone(), value(&set.value))).collect(),
    }
}
