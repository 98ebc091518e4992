//! `/console/tenants/{tenant}/deployments`: where products run for a tenant.

use askama::Template;
use axum::{extract::State, response::Response};
use tenure_catalog::Model;
use tenure_core::SubscriptionId;

use super::tenant::{Head, Opened, Tab, open};
use crate::{
    App,
    deployments::{self, Deployment, DeploymentStatus},
    http::{Cursor, PAGE_LIMIT_MAX, Problem},
    tenants::api::PathTenant,
    web::{
        frame::{Frame, page},
        session::SignedIn,
        words,
    },
};

struct DeploymentRow {
    id: String,
    name: String,
    product: String,
    model: &'static str,
    model_class: &'static str,
    mode: Option<String>,
    environment: &'static str,
    region: Option<String>,
    release: Option<String>,
    status: String,
    tone: &'static str,
    note: Option<&'static str>,
    since: String,
}

#[derive(Template)]
#[template(path = "console/tenant-deployments.html")]
struct DeploymentsPage {
    frame: Frame,
    head: Head,
    deployments: Vec<DeploymentRow>,
}

/// `GET /console/tenants/{tenant}/deployments`
pub(in crate::web) async fn show(
    State(app): State<App>,
    signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
) -> Result<Response, Problem> {
    let opened = open(&app, &signed_in, tenant, Tab::Deployments).await?;
    let tenant = opened.tenant.id;
    let first = Cursor::new(None, Some(PAGE_LIMIT_MAX))?;
    let deployments = deployments::list(&app, tenant, first).await?.items;
    page(&DeploymentsPage {
        deployments: deployments.into_iter().map(|one| deployment_row(one, &opened)).collect(),
        frame: opened.frame,
        head: opened.head,
    })
}

fn product_of(opened: &Opened, id: SubscriptionId) -> String {
    let found = opened.subscriptions.iter().find(|one| one.id == id);
    found.map_or_else(String::new, |one| opened.frame.mark(&one.product).name)
}

fn deployment_row(one: Deployment, opened: &Opened) -> DeploymentRow {
    let note = match (one.status, one.model) {
        (DeploymentStatus::Pending, Model::Byoi) => Some("waits for the customer's resources"),
        (DeploymentStatus::Pending, Model::SelfHosted | Model::AirGapped) => {
            Some("waits for its license")
        }
        _ => None,
    };
    DeploymentRow {
        product: product_of(opened, one.subscription_id),
        id: one.id.to_string(),
        model: words::model(one.model),
        model_class: one.model.word(),
        environment: one.environment.word(),
        status: words::title(one.status.word()),
        tone: words::tone(one.status.word()),
        since: words::date(one.created_at, &words::zone(&opened.tenant.time_zone)),
        name: one.name,
        mode: one.mode,
        region: one.region,
        release: one.release,
        note,
    }
}
