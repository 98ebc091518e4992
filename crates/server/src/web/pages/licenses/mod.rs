//! `/console/tenants/{tenant}/licenses`: a tenant's licenses, and each of them.

pub(in crate::web) mod actions;
pub(in crate::web) mod convert;
pub(in crate::web) mod instances;
mod show;

pub(in crate::web) use show::{Whole, file, show};

use askama::Template;
use axum::{
    extract::{FromRequestParts, Path, State},
    http::request::Parts,
    response::Response,
};
use jiff::Timestamp;
use tenure_core::{LicenseId, SubscriptionStatus};

use super::tenant::{Head, Opened, Tab, open};
use crate::{
    App,
    http::{Cursor, PAGE_LIMIT_MAX, Problem},
    licensing::{self, License, LicenseStatus},
    tenants::{Tenant, api::PathTenant},
    web::{
        frame::{Frame, page},
        overview::LICENSE_DAYS,
        session::SignedIn,
        words,
    },
};

/// The license that a path names.
pub(in crate::web) struct PathLicense(LicenseId);

impl FromRequestParts<App> for PathLicense {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        named(parts, app, "license").await.map(Self)
    }
}

/// The id of that name in a path.
async fn named<T: std::str::FromStr>(
    parts: &mut Parts,
    app: &App,
    name: &str,
) -> Result<T, Problem> {
    let missing = || Problem::not_found(name);
    let all = Path::<Vec<(String, String)>>::from_request_parts(parts, app).await;
    let Path(all) = all.map_err(|_| missing())?;
    let (_, text) = all.iter().find(|(known, _)| known == name).ok_or_else(missing)?;
    text.parse().map_err(|_| missing())
}

/// Where a license's page is.
fn license_path(tenant: &Tenant, id: LicenseId) -> String {
    format!("/console/tenants/{}/licenses/{id}", tenant.slug)
}

/// What stands above a page of one license.
fn crumbs(tenant: &Tenant, license: Option<&License>) -> Vec<(String, String)> {
    let base = format!("/console/tenants/{}", tenant.slug);
    let mut crumbs = vec![
        ("/console/tenants".to_owned(), "Tenants".to_owned()),
        (base.clone(), tenant.name.clone()),
        (format!("{base}/licenses"), "Licenses".to_owned()),
    ];
    crumbs.extend(license.map(|one| (license_path(tenant, one.id), one.key_hint.clone())));
    crumbs
}

struct LicenseRow {
    id: String,
    hint: String,
    product: String,
    model: &'static str,
    model_class: &'static str,
    revision: i32,
    issued: String,
    ends: String,
    distance: String,
    status: &'static str,
    tone: &'static str,
}

#[derive(Template)]
#[template(path = "console/tenant-licenses.html")]
struct LicensesPage {
    frame: Frame,
    head: Head,
    licenses: Vec<LicenseRow>,
    can_issue: bool,
}

/// `GET /console/tenants/{tenant}/licenses`
pub(in crate::web) async fn list(
    State(app): State<App>,
    signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
) -> Result<Response, Problem> {
    let opened = open(&app, &signed_in, tenant, Tab::Licenses).await?;
    let first = Cursor::new(None, Some(PAGE_LIMIT_MAX))?;
    let licenses = licensing::list(&app, opened.tenant.id, first).await?.items;
    let now = app.now();
    page(&LicensesPage {
        licenses: licenses.into_iter().map(|one| row(one, &opened, now)).collect(),
        can_issue: opened
            .subscriptions
            .iter()
            .any(|one| one.status != SubscriptionStatus::Cancelled && one.model.is_licensed()),
        frame: opened.frame,
        head: opened.head,
    })
}

fn row(one: License, opened: &Opened, now: Timestamp) -> LicenseRow {
    let zone = words::zone(&opened.tenant.time_zone);
    let soon = now + jiff::SignedDuration::from_hours(24 * LICENSE_DAYS);
    let (status, tone) = match one.status {
        LicenseStatus::Revoked => ("Revoked", ""),
        LicenseStatus::Active if one.expires_at <= now => ("Expired", "bad"),
        LicenseStatus::Active if !one.model.is_licensed() => ("Moved", ""),
        LicenseStatus::Active if one.expires_at <= soon => ("Ends soon", "warn"),
        LicenseStatus::Active => ("Active", "ok"),
    };
    let of = opened.subscriptions.iter().find(|of| of.id == one.subscription_id);
    LicenseRow {
        id: one.id.to_string(),
        hint: one.key_hint,
        product: of.map_or_else(String::new, |of| opened.frame.mark(&of.product).name),
        model: words::model(one.model),
        model_class: one.model.word(),
        revision: one.revision,
        issued: words::date(one.issued_at, &zone),
        ends: words::date(one.expires_at, &zone),
        distance: words::distance(one.expires_at, now),
        status,
        tone,
    }
}
