//! One license: how it stands, what it grants, who holds it, what was reported,
//! and how it became what it is.

use std::collections::HashMap;

use askama::Template;
use axum::{extract::State, response::Response};
use jiff::{Timestamp, tz::TimeZone};
use serde::Deserialize;
use tenure_core::InstanceId;

use super::{PathLicense, crumbs};
use crate::{
    App, deployments,
    http::{Cursor, Page, Problem, Query},
    licensing::{
        self, LicenseStatus, Look,
        instances::{HighWaters, Instances},
        reports::{self, ImportedReport},
    },
    tenants::{Tenant, api::PathTenant},
    usage,
    web::{
        frame::{Frame, Mark, Section, page},
        license::{
            self, Fact, FeatureRow,
            history::{self, RevisionRow},
            instances::{self, InstanceRow},
            limits::{self, LimitRow, Use},
            reports::{self as report_rows, ReportRow},
            standing::{self, Standing},
        },
        session::SignedIn,
        upload, words,
    },
};

/// Instances of a page.
const INSTANCES_SHOWN: u16 = 25;
/// Reports of a page.
const REPORTS_SHOWN: u16 = 10;

/// Which part of the long lists.
#[derive(Deserialize)]
pub(in crate::web) struct Parts {
    instances: Option<String>,
    reports: Option<String>,
}

/// What pages of staff and of the holder show of a license.
pub(in crate::web) struct Whole {
    pub(in crate::web) look: Look,
    pub(in crate::web) instances: Instances,
    pub(in crate::web) reports: Page<ImportedReport>,
    pub(in crate::web) limits: Vec<LimitRow>,
    /// The deployment that it is bound to.
    pub(in crate::web) place: Option<String>,
    marks: HighWaters,
}

impl Whole {
    /// Reads all of it.
    pub(in crate::web) async fn read(
        app: &App,
        tenant: &Tenant,
        id: tenure_core::LicenseId,
        parts: (Option<&str>, Option<&str>),
    ) -> Result<Self, Problem> {
        let look = licensing::look(app, tenant.id, id).await?;
        let cursor = Cursor::new(parts.0, Some(INSTANCES_SHOWN))?;
        let instances = licensing::instances::list(app, tenant.id, id, cursor).await?;
        let cursor = Cursor::new(parts.1, Some(REPORTS_SHOWN))?;
        let reports = reports::list(app, tenant.id, id, cursor).await?;
        let marks = licensing::instances::high_water(app, tenant.id, id).await?;
        let usage = usage::summary(app, tenant.id, look.subscription.id, 1).await?;
        let known = Use { usage: &usage, marks: &marks, instances: &instances };
        let limits = limits::limits(&look, &known);
        let place = match look.detail.license.deployment_id {
            Some(id) => Some(deployments::read(app, tenant.id, id).await?.deployment.name),
            None => None,
        };
        Ok(Self { look, instances, reports, limits, place, marks })
    }

    /// The reports with what people call their instances.
    pub(in crate::web) fn report_rows(&self, zone: &TimeZone) -> Vec<ReportRow> {
        let names: HashMap<InstanceId, String> =
            self.instances.items.iter().map(|one| (one.id, instances::name(one))).collect();
        let row = |report: &ImportedReport| {
            let id = report.instance_id;
            let name = names.get(&id).cloned();
            let name = name.unwrap_or_else(|| words::short(&id.to_string()));
            report_rows::row(report.clone(), name, zone)
        };
        self.reports.items.iter().map(row).collect()
    }
}

/// A mark of an earlier month.
struct MarkRow {
    month: String,
    stat: String,
    value: String,
    reached: String,
}

/// Marks shown besides those of the limits.
const MARKS_SHOWN: usize = 24;

#[derive(Template)]
#[template(path = "console/license.html")]
struct LicensePage {
    frame: Frame,
    crumbs: Vec<(String, String)>,
    base: String,
    id: String,
    hint: String,
    mark: Mark,
    plan: String,
    model: &'static str,
    model_class: &'static str,
    standing: Standing,
    can_change: bool,
    may_change: bool,
    may_take: bool,
    licensed: bool,
    differs: Vec<String>,
    facts: Vec<Fact>,
    limits: Vec<LimitRow>,
    features: Vec<FeatureRow>,
    slots: String,
    instances: Vec<InstanceRow>,
    more_instances: Option<String>,
    reports: Vec<ReportRow>,
    more_reports: Option<String>,
    marks: Vec<MarkRow>,
    revisions: Vec<RevisionRow>,
}

/// `GET /console/tenants/{tenant}/licenses/{license}`
pub(in crate::web) async fn show(
    State(app): State<App>,
    signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
    PathLicense(id): PathLicense,
    Query(parts): Query<Parts>,
) -> Result<Response, Problem> {
    let parts = (parts.instances.as_deref(), parts.reports.as_deref());
    let whole = Whole::read(&app, &tenant, id, parts).await?;
    let frame = Frame::new(&app, &signed_in, Section::Tenants).await?;
    page(&view(frame, &tenant, whole, app.now()))
}

fn view(frame: Frame, tenant: &Tenant, mut whole: Whole, now: Timestamp) -> LicensePage {
    let zone = words::zone(&tenant.time_zone);
    let limits = std::mem::take(&mut whole.limits);
    let look = &whole.look;
    let license = &look.detail.license;
    let revoked = license.status == LicenseStatus::Revoked;
    let marks = whole.marks.items.iter().take(MARKS_SHOWN).map(|mark| MarkRow {
        month: mark.month.strftime("%B %Y").to_string(),
        stat: words::title(&mark.stat),
        value: words::number(mark.value.normalize()),
        reached: words::date_time(mark.reached_at, &zone),
    });
    LicensePage {
        crumbs: crumbs(tenant, None),
        base: super::license_path(tenant, license.id),
        id: license.id.to_string(),
        hint: license.key_hint.clone(),
        mark: frame.mark(&look.subscription.product),
        plan: license::plan(look),
        model: words::model(license.model),
        model_class: license.model.word(),
        standing: standing::standing(look, now, &zone),
        can_change: frame.may_change && !revoked,
        may_change: frame.may_change,
        may_take: frame.may_change,
        licensed: license.model.is_licensed(),
        differs: look.detail.differs.iter().map(|claim| differing(claim)).collect(),
        facts: license::facts(look, whole.place.as_deref(), now, &zone),
        features: license::features(look),
        slots: instances::slots(&whole.instances),
        instances: instances::rows(&whole.instances, now, &zone),
        more_instances: whole.instances.next_cursor.clone(),
        reports: whole.report_rows(&zone),
        more_reports: whole.reports.next_cursor.clone(),
        marks: marks.collect(),
        revisions: history::rows(look, &zone),
        limits,
        frame,
    }
}

/// A claim that would be another one now, in words.
fn differing(claim: &str) -> String {
    match claim {
        "offlineGracePeriod" => "days without contact".to_owned(),
        "phoneHomeRequired" => "contact with the vendor".to_owned(),
        "expiry_policy" => "what happens at its end".to_owned(),
        "entitlements" => "plan and entitlements".to_owned(),
        other => words::title(other).to_lowercase(),
    }
}

/// `GET /console/tenants/{tenant}/licenses/{license}/file`
pub(in crate::web) async fn file(
    State(app): State<App>,
    signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
    PathLicense(id): PathLicense,
) -> Result<Response, Problem> {
    let call = app.call(signed_in.admin()?);
    licensing::take_file(&app, &call, &tenant, id).await.map(upload::saved)
}
