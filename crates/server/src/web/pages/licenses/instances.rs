//! What staff do with an instance: take its slot, lift its quarantine, carry its
//! file and the receipts of its reports once more.

use axum::{
    extract::{FromRequestParts, State},
    http::request::Parts,
    response::{IntoResponse, Redirect, Response},
};
use tenure_core::{InstanceId, LicenseId, ReportId};

use super::{PathLicense, crumbs, license_path, named};
use crate::{
    App,
    http::Problem,
    licensing::{self, files, instances, instances::ReleaseInstance, reports},
    tenants::{Tenant, api::PathTenant},
    web::{
        form::{Field, FormPage, Input},
        frame::{Frame, Section, page},
        pages::actions::{Question, ask},
        session::{AdminForm, SignedIn},
        upload,
    },
};

/// The instance that a path names.
pub(in crate::web) struct PathInstance(pub(in crate::web) InstanceId);

impl FromRequestParts<App> for PathInstance {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        named(parts, app, "instance").await.map(Self)
    }
}

/// The report that a path names.
pub(in crate::web) struct PathReport(pub(in crate::web) ReportId);

impl FromRequestParts<App> for PathReport {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        named(parts, app, "report").await.map(Self)
    }
}

async fn release_form(
    app: &App,
    signed_in: &SignedIn,
    tenant: &Tenant,
    license: LicenseId,
    id: InstanceId,
) -> Result<FormPage, Problem> {
    signed_in.admin()?;
    let known = licensing::read(app, tenant.id, license).await?.license;
    let path = license_path(tenant, license);
    Ok(FormPage {
        frame: Frame::new(app, signed_in, Section::Tenants).await?,
        crumbs: crumbs(tenant, Some(&known)),
        heading: "Release an instance".to_owned(),
        lede: "It gets no further lease. What it runs is not stopped: the lease or file in its hands is \
               genuine until its end."
            .to_owned(),
        action: format!("{path}/instances/{id}/release"),
        fields: vec![
            Field::new("reason", "Reason", Input::Text(String::new()))
                .hint("For the audit trail.")
                .required(),
            Field::new("force", "Free its slot at once", Input::Check(false)).hint(
                "For a machine that is lost. Until its lease or file ends, one more than was bought can run.",
            ),
        ],
        error: None,
        button: "Release instance",
        danger: true,
        back: path,
    })
}

/// `GET /console/tenants/{tenant}/licenses/{license}/instances/{instance}/release`
pub(in crate::web) async fn release(
    State(app): State<App>,
    signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
    PathLicense(license): PathLicense,
    PathInstance(id): PathInstance,
) -> Result<Response, Problem> {
    page(&release_form(&app, &signed_in, &tenant, license, id).await?)
}

/// `POST /console/tenants/{tenant}/licenses/{license}/instances/{instance}/release`
pub(in crate::web) async fn submit_release(
    State(app): State<App>,
    PathTenant(tenant): PathTenant,
    PathLicense(license): PathLicense,
    PathInstance(id): PathInstance,
    form: AdminForm,
) -> Result<Response, Problem> {
    let call = app.call(form.actor.clone());
    let how = ReleaseInstance {
        reason: form.field("reason").unwrap_or_default().to_owned(),
        force: form.field("force").is_some(),
    };
    match instances::release(&app, &call, tenant.id, license, id, how).await {
        Ok(_) => Ok(Redirect::to(&license_path(&tenant, license)).into_response()),
        Err(problem) => release_form(&app, &form.signed_in, &tenant, license, id)
            .await?
            .refused(problem, &form.fields),
    }
}

/// `GET /console/tenants/{tenant}/licenses/{license}/instances/{instance}/restore`
pub(in crate::web) async fn confirm_restore(
    State(app): State<App>,
    signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
    PathLicense(license): PathLicense,
    PathInstance(id): PathInstance,
) -> Result<Response, Problem> {
    let question = Question {
        heading: "Restore the instance from quarantine?".to_owned(),
        consequence:
            "It gets leases again from its next contact. Make sure that only one copy of it \
                      runs: where two do, it is in quarantine again with the second of their calls."
                .to_owned(),
        action: format!("licenses/{license}/instances/{id}/restore"),
        button: "Restore instance",
        danger: false,
        back: format!("/licenses/{license}"),
    };
    ask(&app, &signed_in, tenant, question).await
}

/// `POST /console/tenants/{tenant}/licenses/{license}/instances/{instance}/restore`
pub(in crate::web) async fn restore(
    State(app): State<App>,
    PathTenant(tenant): PathTenant,
    PathLicense(license): PathLicense,
    PathInstance(id): PathInstance,
    form: AdminForm,
) -> Result<Response, Problem> {
    let call = app.call(form.actor);
    instances::restore(&app, &call, tenant.id, license, id).await?;
    Ok(Redirect::to(&license_path(&tenant, license)).into_response())
}

/// `GET /console/tenants/{tenant}/licenses/{license}/instances/{instance}/file`
pub(in crate::web) async fn file(
    State(app): State<App>,
    signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
    PathLicense(license): PathLicense,
    PathInstance(id): PathInstance,
) -> Result<Response, Problem> {
    signed_in.admin()?;
    files::bound_file(&app, tenant.id, license, id).await.map(upload::saved)
}

/// `GET /console/tenants/{tenant}/licenses/{license}/reports/{report}/receipt`
pub(in crate::web) async fn receipt(
    State(app): State<App>,
    _signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
    PathLicense(license): PathLicense,
    PathReport(id): PathReport,
) -> Result<Response, Problem> {
    reports::receipt(&app, tenant.id, license, id).await.map(upload::saved)
}
