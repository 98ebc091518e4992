//! `/portal`: the license that was opened, its instances and its reports.

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use jiff::{Timestamp, tz::TimeZone};
use serde::Deserialize;
use tenure_catalog::Model;
use tenure_license::Reason;

use super::{
    frame::{Frame, Section},
    session::{Holder, Visitor},
};
use crate::{
    App,
    http::{Problem, Query},
    identity::portal::Customer,
    licensing::{self, LicenseStatus, Look, files, reports as operations},
    web::{
        frame::page,
        license::{
            self as words_of, Fact, FeatureRow,
            instances::{self as instance_rows, InstanceRow},
            limits::LimitRow,
            reports::ReportRow,
            standing::{self, Standing},
        },
        pages::licenses::{Whole, instances::PathInstance, instances::PathReport},
        upload, words,
    },
};

/// `GET /portal`
pub(super) async fn start(State(app): State<App>, visitor: Visitor) -> Result<Response, Problem> {
    match visitor.customer {
        Customer::License(_, license) => show(&app, Holder { visitor, license }).await,
        Customer::Key(_) => Ok(Redirect::to("/portal/usage").into_response()),
    }
}

#[derive(Template)]
#[template(path = "portal/license.html")]
struct LicensePage {
    frame: Frame,
    id: String,
    hint: String,
    plan: String,
    model: &'static str,
    model_class: &'static str,
    standing: Standing,
    next: Vec<String>,
    contact: String,
    can_take: bool,
    facts: Vec<Fact>,
    limits: Vec<LimitRow>,
    features: Vec<FeatureRow>,
    slots: String,
}

async fn show(app: &App, holder: Holder) -> Result<Response, Problem> {
    let Holder { visitor, license } = holder;
    let whole = Whole::read(app, &visitor.tenant, license, (None, None)).await?;
    let now = app.now();
    let zone = words::zone(&visitor.tenant.time_zone);
    let look = &whole.look;
    let record = &look.detail.license;
    page(&LicensePage {
        frame: Frame::new(&visitor, &look.catalog.product, Section::License),
        id: record.id.to_string(),
        hint: record.key_hint.clone(),
        plan: words_of::plan(look),
        model: words::model(record.model),
        model_class: record.model.word(),
        standing: standing::standing(look, now, &zone),
        next: next_steps(look, now, &zone),
        contact: look.catalog.product.sales_contact.clone(),
        can_take: record.status == LicenseStatus::Active,
        facts: words_of::facts(look, whole.place.as_deref(), now, &zone),
        features: words_of::features(look),
        slots: instance_rows::slots(&whole.instances),
        limits: whole.limits,
    })
}

/// What its holder does next, in plain words.
fn next_steps(look: &Look, now: Timestamp, zone: &TimeZone) -> Vec<String> {
    let Some(verdict) = &look.verdict else {
        return vec!["Ask the vendor to renew the license; it moved between installations.".into()];
    };
    let record = &look.detail.license;
    let ends = words::date(record.expires_at, zone);
    let carried = record.model == Model::AirGapped;
    let ask = "Ask the vendor for a renewal; the license key stays the same.".to_owned();
    let after = match carried {
        true => {
            "When it is renewed, make a request file in the installation, carry it here and take \
                 the answer back."
                .to_owned()
        }
        false => "A renewed license reaches connected installations by itself within their next \
                  contacts."
            .to_owned(),
    };
    match verdict.reason {
        Reason::Valid => {
            let left = words::distance(record.expires_at, now);
            vec![format!("Nothing. The license ends on {ends}, {left}.")]
        }
        Reason::Revoked => {
            vec!["Ask the vendor why it was revoked. A new license has a new key.".to_owned()]
        }
        Reason::Superseded => vec![
            "Nothing has to be installed any more: the vendor operates the product from here on."
                .to_owned(),
        ],
        _ => vec![ask, after],
    }
}

/// `GET /portal/license.lic`
pub(super) async fn file(State(app): State<App>, holder: Holder) -> Result<Response, Problem> {
    let call = app.call(holder.visitor.customer.actor());
    let tenant = &holder.visitor.tenant;
    licensing::take_file(&app, &call, tenant, holder.license).await.map(upload::saved)
}

/// Which part of a list.
#[derive(Deserialize)]
pub(super) struct Parts {
    instances: Option<String>,
    reports: Option<String>,
}

#[derive(Template)]
#[template(path = "portal/instances.html")]
struct InstancesPage {
    frame: Frame,
    base: &'static str,
    may_change: bool,
    may_take: bool,
    slots: String,
    instances: Vec<InstanceRow>,
    more_instances: Option<String>,
}

/// `GET /portal/instances`
pub(super) async fn instances(
    State(app): State<App>,
    Holder { visitor, license }: Holder,
    Query(parts): Query<Parts>,
) -> Result<Response, Problem> {
    let parts = (parts.instances.as_deref(), None);
    let whole = Whole::read(&app, &visitor.tenant, license, parts).await?;
    let zone = words::zone(&visitor.tenant.time_zone);
    page(&InstancesPage {
        frame: Frame::new(&visitor, &whole.look.catalog.product, Section::Instances),
        base: "/portal",
        may_change: false,
        may_take: true,
        slots: instance_rows::slots(&whole.instances),
        instances: instance_rows::rows(&whole.instances, app.now(), &zone),
        more_instances: whole.instances.next_cursor,
    })
}

/// `GET /portal/instances/{instance}/file`
pub(super) async fn instance_file(
    State(app): State<App>,
    Holder { visitor, license }: Holder,
    PathInstance(id): PathInstance,
) -> Result<Response, Problem> {
    files::bound_file(&app, visitor.tenant.id, license, id).await.map(upload::saved)
}

#[derive(Template)]
#[template(path = "portal/reports.html")]
struct ReportsPage {
    frame: Frame,
    base: &'static str,
    reports: Vec<ReportRow>,
    more_reports: Option<String>,
}

/// `GET /portal/reports`
pub(super) async fn reports(
    State(app): State<App>,
    Holder { visitor, license }: Holder,
    Query(parts): Query<Parts>,
) -> Result<Response, Problem> {
    let parts = (None, parts.reports.as_deref());
    let whole = Whole::read(&app, &visitor.tenant, license, parts).await?;
    let zone = words::zone(&visitor.tenant.time_zone);
    page(&ReportsPage {
        frame: Frame::new(&visitor, &whole.look.catalog.product, Section::Reports),
        base: "/portal",
        reports: whole.report_rows(&zone),
        more_reports: whole.reports.next_cursor,
    })
}

/// `GET /portal/reports/{report}/receipt`
pub(super) async fn receipt(
    State(app): State<App>,
    Holder { visitor, license }: Holder,
    PathReport(id): PathReport,
) -> Result<Response, Problem> {
    operations::receipt(&app, visitor.tenant.id, license, id).await.map(upload::saved)
}
