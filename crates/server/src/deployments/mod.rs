//! Deployments: the places where a product runs for one subscription.
//!
//! Owns: the record of a place in one of the four models, what BYOI says of a
//! customer's resources, and rendering a deployment's environment.
//! Refuses: models that the plan is not sold in.

mod db;
pub mod model;

use tenure_catalog::Model;
use tenure_core::DeploymentId;
use tenure_license::Environment;
use tenure_tenancy::TenantTx;

pub use model::{Deployment, DeploymentStatus};

use crate::{
    App,
    call::Call,
    http::Problem,
    subscriptions::{Chosen, Subscription},
};

/// The deployment that comes with a subscription. A managed one runs on what
/// the vendor has and is ready at once; a BYOI one waits for the customer's
/// resource profile; the customer's own wait for their license to be fetched.
pub(crate) async fn insert_first(
    _app: &App,
    tx: &mut TenantTx,
    call: &Call,
    subscription: &Subscription,
    chosen: &Chosen,
) -> Result<Deployment, Problem> {
    let environment = chosen.subscription.environment.unwrap_or(Environment::Live);
    let deployment = Deployment {
        id: DeploymentId::new(call.now),
        subscription_id: subscription.id,
        name: environment.word().to_owned(),
        model: chosen.model,
        mode: subscription.mode.clone(),
        environment,
        region: None,
        release: None,
        status: match chosen.model {
            Model::Managed => DeploymentStatus::Ready,
            Model::Byoi | Model::SelfHosted | Model::AirGapped => DeploymentStatus::Pending,
        },
        resource_profile: serde_json::Map::new(),
        created_at: call.now,
        updated_at: call.now,
    };
    db::insert(tx, &deployment).await?;
    Ok(deployment)
}
