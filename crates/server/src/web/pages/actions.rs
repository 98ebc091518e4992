//! What staff can change from a tenant's pages. Each has a page that says what
//! will happen and a form that does it.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};
use tenure_core::{ApiKeyId, SubscriptionId, SubscriptionStatus, TenantStatus};
use tenure_license::Environment;

use super::tenant;
use crate::{
    App,
    http::Problem,
    subscriptions::{
        self,
        keys::{self, NewKey},
    },
    tenants::{self, Tenant, api::PathTenant},
    web::{
        frame::{Frame, Section, page},
        session::{AdminForm, SignedIn},
    },
};

#[derive(Template)]
#[template(path = "console/confirm.html")]
struct ConfirmPage {
    frame: Frame,
    name: String,
    slug: String,
    heading: String,
    consequence: String,
    action: String,
    button: &'static str,
    danger: bool,
    back: String,
}

fn tenant_path(tenant: &Tenant) -> String {
    format!("/console/tenants/{}", tenant.slug)
}

pub(super) struct Question {
    pub(super) heading: String,
    pub(super) consequence: String,
    /// Below the tenant's path.
    pub(super) action: String,
    pub(super) button: &'static str,
    pub(super) danger: bool,
    /// Below the tenant's path.
    pub(super) back: String,
}

/// Asks before something is done; only those who may do it are asked.
pub(super) async fn ask(
    app: &App,
    signed_in: &SignedIn,
    tenant: Tenant,
    question: Question,
) -> Result<Response, Problem> {
    signed_in.admin()?;
    let path = tenant_path(&tenant);
    page(&ConfirmPage {
        frame: Frame::new(app, signed_in, Section::Tenants).await?,
        heading: question.heading,
        consequence: question.consequence,
        action: format!("{path}/{}", question.action),
        button: question.button,
        danger: question.danger,
        back: format!("{path}{}", question.back),
        name: tenant.name,
        slug: tenant.slug,
    })
}

/// `GET /console/tenants/{tenant}/suspend`
pub(in crate::web) async fn confirm_suspend(
    State(app): State<App>,
    signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
) -> Result<Response, Problem> {
    let question = Question {
        heading: format!("Suspend {}?", tenant.name),
        consequence: "Within a second, on every server, its entitlements are refused and its \
                      feature flags are off. Usage is still recorded, nothing is deleted, and \
                      resuming gives everything back."
            .to_owned(),
        action: "suspend".to_owned(),
        button: "Suspend tenant",
        danger: true,
        back: String::new(),
    };
    ask(&app, &signed_in, tenant, question).await
}

/// `GET /console/tenants/{tenant}/resume`
pub(in crate::web) async fn confirm_resume(
    State(app): State<App>,
    signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
) -> Result<Response, Problem> {
    let question = Question {
        heading: format!("Resume {}?", tenant.name),
        consequence: "Its API keys work again within a second.".to_owned(),
        action: "resume".to_owned(),
        button: "Resume tenant",
        danger: false,
        back: String::new(),
    };
    ask(&app, &signed_in, tenant, question).await
}

async fn become_(
    app: App,
    tenant: Tenant,
    form: AdminForm,
    to: TenantStatus,
) -> Result<Response, Problem> {
    let call = app.call(form.actor);
    tenants::transition(&app, &call, tenant.id, to).await?;
    Ok(Redirect::to(&tenant_path(&tenant)).into_response())
}

/// `POST /console/tenants/{tenant}/suspend`
pub(in crate::web) async fn suspend(
    State(app): State<App>,
    PathTenant(tenant): PathTenant,
    form: AdminForm,
) -> Result<Response, Problem> {
    become_(app, tenant, form, TenantStatus::Suspended).await
}

/// `POST /console/tenants/{tenant}/resume`
pub(in crate::web) async fn resume(
    State(app): State<App>,
    PathTenant(tenant): PathTenant,
    form: AdminForm,
) -> Result<Response, Problem> {
    become_(app, tenant, form, TenantStatus::Active).await
}

fn id<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::not_found(what))
}

/// `GET /console/tenants/{tenant}/subscriptions/{subscription}/cancel`
pub(in crate::web) async fn confirm_cancel(
    State(app): State<App>,
    signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
    Path((_, subscription)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let subscription: SubscriptionId = id(&subscription, "subscription")?;
    let found = subscriptions::read(&app, tenant.id, subscription).await?;
    let question = Question {
        heading: format!("Cancel {} {}?", found.product, found.plan),
        consequence: "The subscription ends now and cannot be resumed; a new one can be made. Its \
                      API keys stop working, its record and audit trail stay."
            .to_owned(),
        action: format!("subscriptions/{subscription}/cancel"),
        button: "Cancel subscription",
        danger: true,
        back: String::new(),
    };
    ask(&app, &signed_in, tenant, question).await
}

/// `POST /console/tenants/{tenant}/subscriptions/{subscription}/cancel`
pub(in crate::web) async fn cancel(
    State(app): State<App>,
    PathTenant(tenant): PathTenant,
    Path((_, subscription)): Path<(String, String)>,
    form: AdminForm,
) -> Result<Response, Problem> {
    let call = app.call(form.actor);
    let subscription = id(&subscription, "subscription")?;
    let to = SubscriptionStatus::Cancelled;
    subscriptions::transition(&app, &call, tenant.id, subscription, to).await?;
    Ok(Redirect::to(&tenant_path(&tenant)).into_response())
}

#[derive(Template)]
#[template(path = "console/new-key.html")]
struct NewKeyPage {
    frame: Frame,
    name: String,
    slug: String,
    subscriptions: Vec<(String, String)>,
}

/// `GET /console/tenants/{tenant}/keys/new`
pub(in crate::web) async fn new_key(
    State(app): State<App>,
    signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
) -> Result<Response, Problem> {
    signed_in.admin()?;
    let frame = Frame::new(&app, &signed_in, Section::Tenants).await?;
    let all = subscriptions::list(&app, tenant.id).await?;
    let open = all.into_iter().filter(|one| one.status != SubscriptionStatus::Cancelled);
    let subscriptions = open.map(|one| {
        let text = format!("{} {}, {}", frame.mark(&one.product).name, one.plan, one.status);
        (one.id.to_string(), text)
    });
    let subscriptions = subscriptions.collect();
    page(&NewKeyPage { frame, subscriptions, name: tenant.name, slug: tenant.slug })
}

/// `POST /console/tenants/{tenant}/keys/new`
pub(in crate::web) async fn create_key(
    State(app): State<App>,
    PathTenant(tenant): PathTenant,
    form: AdminForm,
) -> Result<Response, Problem> {
    let new = NewKey {
        subscription: id(form.field("subscription").unwrap_or_default(), "subscription")?,
        environment: Some(match form.field("environment") {
            Some("test") => Environment::Test,
            _ => Environment::Live,
        }),
        name: form.field("name").map(str::to_owned),
        expires_at: None,
    };
    let call = app.call(form.actor);
    let issued = keys::create(&app, &call, tenant.id, new).await?;
    tenant::access_page(&app, &form.signed_in, tenant, Some(issued)).await
}

/// `GET /console/tenants/{tenant}/keys/{key}/revoke`
pub(in crate::web) async fn confirm_revoke(
    State(app): State<App>,
    signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
    Path((_, key)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let key: ApiKeyId = id(&key, "API key")?;
    let all = keys::list(&app, tenant.id).await?;
    let found =
        all.into_iter().find(|one| one.id == key).ok_or_else(|| Problem::not_found("API key"))?;
    let question = Question {
        heading: format!("Revoke {}?", found.name),
        consequence: format!(
            "Programs that use {} are refused within a second. A revoked key never works again.",
            found.hint
        ),
        action: format!("keys/{key}/revoke"),
        button: "Revoke key",
        danger: true,
        back: "/access".to_owned(),
    };
    ask(&app, &signed_in, tenant, question).await
}

/// `POST /console/tenants/{tenant}/keys/{key}/revoke`
pub(in crate::web) async fn revoke_key(
    State(app): State<App>,
    PathTenant(tenant): PathTenant,
    Path((_, key)): Path<(String, String)>,
    form: AdminForm,
) -> Result<Response, Problem> {
    let call = app.call(form.actor);
    keys::revoke(&app, &call, tenant.id, id(&key, "API key")?).await?;
    Ok(Redirect::to(&format!("{}/access", tenant_path(&tenant))).into_response())
}
