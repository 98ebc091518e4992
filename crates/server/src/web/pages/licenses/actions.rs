//! What staff do with a license: issue, renew, revoke, show its key.

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use tenure_core::{DeploymentId, SubscriptionId, SubscriptionStatus};

use super::{PathLicense, crumbs, license_path};
use crate::{
    App,
    deployments::{self, DeploymentStatus},
    http::{Cursor, PAGE_LIMIT_MAX, Problem},
    licensing::{self, NewLicense, RenewLicense},
    subscriptions,
    tenants::{Tenant, api::PathTenant},
    web::{
        form::{Choice, Field, FormPage, Input, day},
        frame::{Frame, Section, page},
        pages::actions::{Question, ask},
        session::{AdminForm, SignedIn},
        words,
    },
};

const EXPIRES: &str = "The first moment of that day, UTC. Left out: the product's license term.";

/// What may be issued: a form, or the reason why there is nothing to choose.
async fn issue_form(app: &App, signed_in: &SignedIn, tenant: &Tenant) -> Result<FormPage, Problem> {
    signed_in.admin()?;
    let frame = Frame::new(app, signed_in, Section::Tenants).await?;
    let all = subscriptions::list(app, tenant.id).await?;
    let first = Cursor::new(None, Some(PAGE_LIMIT_MAX))?;
    let places = deployments::list(app, tenant.id, first).await?.items;
    let licensed = all.iter().filter(|one| one.status != SubscriptionStatus::Cancelled);
    let licensed = licensed.filter(|one| one.model.is_licensed());
    let subscriptions: Vec<Choice> = licensed
        .map(|one| Choice {
            value: one.id.to_string(),
            text: format!(
                "{} {}, {}",
                frame.mark(&one.product).name,
                one.plan,
                words::model(one.model).to_lowercase()
            ),
            chosen: false,
        })
        .collect();
    let none = subscriptions.is_empty().then(|| {
        "No subscription of this tenant is self-hosted or air-gapped; only those have licenses."
            .to_owned()
    });
    let anywhere =
        Choice { value: String::new(), text: "Any of the subscription".to_owned(), chosen: true };
    let in_use = places
        .into_iter()
        .filter(|one| one.status != DeploymentStatus::Retired && one.model.is_licensed());
    let in_use = in_use.map(|one| Choice {
        value: one.id.to_string(),
        text: format!("{}, {}", one.name, words::model(one.model).to_lowercase()),
        chosen: false,
    });
    let base = format!("/console/tenants/{}/licenses", tenant.slug);
    Ok(FormPage {
        crumbs: crumbs(tenant, None),
        heading: "Issue a license".to_owned(),
        lede: "What it grants follows from the subscription; nothing of it is typed here."
            .to_owned(),
        action: format!("{base}/issue"),
        fields: vec![
            Field::new("subscription", "Subscription", Input::Select(subscriptions)).required(),
            Field::new(
                "deployment",
                "Deployment",
                Input::Select(std::iter::once(anywhere).chain(in_use).collect()),
            )
            .hint("Bound to one, the license starts the product nowhere else."),
            Field::new("expires_at", "Ends on", Input::Date(String::new())).hint(EXPIRES),
        ],
        error: none,
        button: "Issue license",
        danger: false,
        back: base,
        frame,
    })
}

/// `GET /console/tenants/{tenant}/licenses/issue`
pub(in crate::web) async fn issue(
    State(app): State<App>,
    signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
) -> Result<Response, Problem> {
    page(&issue_form(&app, &signed_in, &tenant).await?)
}

fn chosen<T: std::str::FromStr>(form: &AdminForm, name: &str) -> Result<Option<T>, Problem> {
    let wrong = || Problem::field(&format!("/{name}"), "Choose one of the list.");
    form.field(name).map(|text| text.parse().map_err(|_| wrong())).transpose()
}

async fn issue_now(app: &App, tenant: &Tenant, form: &AdminForm) -> Result<String, Problem> {
    let subscription = chosen::<SubscriptionId>(form, "subscription")?;
    let missing = || Problem::field("/subscription", "Choose a subscription.");
    let new = NewLicense {
        subscription: subscription.ok_or_else(missing)?,
        deployment: chosen::<DeploymentId>(form, "deployment")?,
        expires_at: day("expires_at", form.field("expires_at"))?,
    };
    let call = app.call(form.actor.clone());
    let issued = licensing::issue(app, &call, tenant.id, new).await?;
    Ok(license_path(tenant, issued.license.id))
}

/// `POST /console/tenants/{tenant}/licenses/issue`
pub(in crate::web) async fn submit_issue(
    State(app): State<App>,
    PathTenant(tenant): PathTenant,
    form: AdminForm,
) -> Result<Response, Problem> {
    match issue_now(&app, &tenant, &form).await {
        Ok(path) => Ok(Redirect::to(&path).into_response()),
        Err(problem) => {
            issue_form(&app, &form.signed_in, &tenant).await?.refused(problem, &form.fields)
        }
    }
}

async fn renew_form(
    app: &App,
    signed_in: &SignedIn,
    tenant: &Tenant,
    id: tenure_core::LicenseId,
) -> Result<FormPage, Problem> {
    signed_in.admin()?;
    let license = licensing::read(app, tenant.id, id).await?.license;
    let zone = words::zone(&tenant.time_zone);
    let path = license_path(tenant, id);
    Ok(FormPage {
        frame: Frame::new(app, signed_in, Section::Tenants).await?,
        crumbs: crumbs(tenant, Some(&license)),
        heading: "Renew the license".to_owned(),
        lede: format!(
            "Revision {} follows, with what the subscription allows now; the license key stays. The \
             present revision ends on {}.",
            license.revision.saturating_add(1),
            words::date(license.expires_at, &zone)
        ),
        action: format!("{path}/renew"),
        fields: vec![Field::new("expires_at", "Ends on", Input::Date(String::new())).hint(EXPIRES)],
        error: None,
        button: "Renew license",
        danger: false,
        back: path,
    })
}

/// `GET /console/tenants/{tenant}/licenses/{license}/renew`
pub(in crate::web) async fn renew(
    State(app): State<App>,
    signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
    PathLicense(id): PathLicense,
) -> Result<Response, Problem> {
    page(&renew_form(&app, &signed_in, &tenant, id).await?)
}

/// `POST /console/tenants/{tenant}/licenses/{license}/renew`
pub(in crate::web) async fn submit_renew(
    State(app): State<App>,
    PathTenant(tenant): PathTenant,
    PathLicense(id): PathLicense,
    form: AdminForm,
) -> Result<Response, Problem> {
    let call = app.call(form.actor.clone());
    let renewed = match day("expires_at", form.field("expires_at")) {
        Ok(expires_at) => {
            licensing::renew(&app, &call, tenant.id, id, RenewLicense { expires_at }).await
        }
        Err(problem) => Err(problem),
    };
    match renewed {
        Ok(_) => Ok(Redirect::to(&license_path(&tenant, id)).into_response()),
        Err(problem) => {
            renew_form(&app, &form.signed_in, &tenant, id).await?.refused(problem, &form.fields)
        }
    }
}

/// `GET /console/tenants/{tenant}/licenses/{license}/revoke`
pub(in crate::web) async fn confirm_revoke(
    State(app): State<App>,
    signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
    PathLicense(id): PathLicense,
) -> Result<Response, Problem> {
    let license = licensing::read(&app, tenant.id, id).await?.license;
    let question = Question {
        heading: format!("Revoke {}?", license.key_hint),
        consequence:
            "Within a second every server refuses it, and connected installations learn of \
                      it with their next contact. A file without a network stays genuine until it \
                      expires or a revocation list reaches it. A revoked license never comes back; \
                      a new one can be issued."
                .to_owned(),
        action: format!("licenses/{id}/revoke"),
        button: "Revoke license",
        danger: true,
        back: format!("/licenses/{id}"),
    };
    ask(&app, &signed_in, tenant, question).await
}

/// `POST /console/tenants/{tenant}/licenses/{license}/revoke`
pub(in crate::web) async fn revoke(
    State(app): State<App>,
    PathTenant(tenant): PathTenant,
    PathLicense(id): PathLicense,
    form: AdminForm,
) -> Result<Response, Problem> {
    let call = app.call(form.actor);
    licensing::revoke(&app, &call, tenant.id, id).await?;
    Ok(Redirect::to(&license_path(&tenant, id)).into_response())
}

/// `GET /console/tenants/{tenant}/licenses/{license}/key`
pub(in crate::web) async fn confirm_key(
    State(app): State<App>,
    signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
    PathLicense(id): PathLicense,
) -> Result<Response, Problem> {
    let license = licensing::read(&app, tenant.id, id).await?.license;
    let question = Question {
        heading: format!("Show the license key {}?", license.key_hint),
        consequence: "Whoever has the key can activate the product and open the portal. The audit \
                      trail records that you looked at it."
            .to_owned(),
        action: format!("licenses/{id}/key"),
        button: "Show the key",
        danger: false,
        back: format!("/licenses/{id}"),
    };
    ask(&app, &signed_in, tenant, question).await
}

#[derive(Template)]
#[template(path = "console/license-key.html")]
struct KeyPage {
    frame: Frame,
    crumbs: Vec<(String, String)>,
    key: String,
    back: String,
}

/// `POST /console/tenants/{tenant}/licenses/{license}/key`
pub(in crate::web) async fn show_key(
    State(app): State<App>,
    PathTenant(tenant): PathTenant,
    PathLicense(id): PathLicense,
    form: AdminForm,
) -> Result<Response, Problem> {
    let call = app.call(form.actor.clone());
    let license = licensing::read(&app, tenant.id, id).await?.license;
    let key = licensing::reveal(&app, &call, tenant.id, id).await?.license_key;
    page(&KeyPage {
        frame: Frame::new(&app, &form.signed_in, Section::Tenants).await?,
        crumbs: crumbs(&tenant, Some(&license)),
        back: license_path(&tenant, id),
        key,
    })
}
