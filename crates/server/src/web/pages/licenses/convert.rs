//! Converting a license: another model, another plan, from trial to paid.

use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use tenure_catalog::Model;
use tenure_core::{LicenseId, SubscriptionStatus};

use super::{PathLicense, crumbs, license_path};
use crate::{
    App,
    http::Problem,
    licensing::{self, ConvertLicense},
    products, subscriptions,
    tenants::{Tenant, api::PathTenant},
    web::{
        form::{Choice, Field, FormPage, Input, day},
        frame::{Frame, Section, page},
        session::{AdminForm, SignedIn},
        words,
    },
};

async fn form(
    app: &App,
    signed_in: &SignedIn,
    tenant: &Tenant,
    id: LicenseId,
) -> Result<FormPage, Problem> {
    signed_in.admin()?;
    let license = licensing::read(app, tenant.id, id).await?.license;
    let subscription = subscriptions::read(app, tenant.id, license.subscription_id).await?;
    let catalog = products::latest(app, &subscription.product).await?;
    let product = &catalog.product;
    let choice = |value: &str, text: String| Choice {
        value: value.to_owned(),
        text,
        chosen: value.is_empty(),
    };
    let stay = |what: String| std::iter::once(choice("", format!("Stay: {what}")));
    let models = product.models.iter().map(|terms| terms.model);
    let models = models.filter(|model| *model != license.model);
    let models = models.map(|model| choice(model.word(), words::model(model).to_owned()));
    let plans = product.plans.iter().filter(|plan| plan.id != subscription.plan);
    let plans = plans.map(|plan| choice(&plan.id, plan.name.clone()));
    let plan_now = product.plan(&subscription.plan);
    let plan_now = plan_now.map_or_else(|| subscription.plan.clone(), |plan| plan.name.clone());
    let mut fields = vec![
        Field::new(
            "model",
            "Model",
            Input::Select(stay(words::model(license.model).to_owned()).chain(models).collect()),
        )
        .hint("Managed and BYOI end the installations."),
        Field::new("plan", "Plan", Input::Select(stay(plan_now).chain(plans).collect()))
            .hint("On the newest terms of the product."),
    ];
    if subscription.status == SubscriptionStatus::Trial {
        fields.push(Field::new(
            "paid",
            "The trial becomes a paid subscription",
            Input::Check(false),
        ));
    }
    fields.push(
        Field::new(
            "supersede_at",
            "The old revision counts until",
            Input::Date(String::new()),
        )
        .hint("Until then both count, so that a file can be carried; at most 90 days. Left out: now."),
    );
    fields.push(
        Field::new("expires_at", "Ends on", Input::Date(String::new()))
            .hint("Left out: the product's license term from now."),
    );
    let path = license_path(tenant, id);
    Ok(FormPage {
        frame: Frame::new(app, signed_in, Section::Tenants).await?,
        crumbs: crumbs(tenant, Some(&license)),
        heading: "Convert the license".to_owned(),
        lede:
            "License and license key stay the same: a new revision follows, and the subscription \
               changes with it."
                .to_owned(),
        action: format!("{path}/convert"),
        fields,
        error: None,
        button: "Convert license",
        danger: false,
        back: path,
    })
}

/// `GET /console/tenants/{tenant}/licenses/{license}/convert`
pub(in crate::web) async fn show(
    State(app): State<App>,
    signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
    PathLicense(id): PathLicense,
) -> Result<Response, Problem> {
    page(&form(&app, &signed_in, &tenant, id).await?)
}

fn how(form: &AdminForm) -> Result<ConvertLicense, Problem> {
    let wrong = || Problem::field("/model", "Choose one of the list.");
    let model: Option<Model> =
        form.field("model").map(|word| word.parse().map_err(|_| wrong())).transpose()?;
    Ok(ConvertLicense {
        model,
        plan: form.field("plan").map(str::to_owned),
        paid: form.field("paid").is_some(),
        supersede_at: day("supersede_at", form.field("supersede_at"))?,
        expires_at: day("expires_at", form.field("expires_at"))?,
    })
}

/// `POST /console/tenants/{tenant}/licenses/{license}/convert`
pub(in crate::web) async fn submit(
    State(app): State<App>,
    PathTenant(tenant): PathTenant,
    PathLicense(id): PathLicense,
    sent: AdminForm,
) -> Result<Response, Problem> {
    let call = app.call(sent.actor.clone());
    let converted = match how(&sent) {
        Ok(how) => licensing::convert(&app, &call, tenant.id, id, how).await,
        Err(problem) => Err(problem),
    };
    match converted {
        Ok(_) => Ok(Redirect::to(&license_path(&tenant, id)).into_response()),
        Err(problem) => {
            form(&app, &sent.signed_in, &tenant, id).await?.refused(problem, &sent.fields)
        }
    }
}
