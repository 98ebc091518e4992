//! What past usage would have cost on other plans: a tenant's page of the console, and
//! what the portal shares with it.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use jiff::tz::TimeZone;
use tenure_catalog::Product;
use tenure_core::{SubscriptionId, TenantId};

use super::tenant::{Head, Tab, open};
use crate::{
    App,
    http::Problem,
    products,
    simulation::{self, PlanCost},
    tenants::api::PathTenant,
    web::{
        frame::{Bar, Frame, page},
        session::SignedIn,
        words,
    },
};

/// What one plan would have cost.
pub(in crate::web) struct PlanLine {
    pub(in crate::web) name: String,
    pub(in crate::web) is_present: bool,
    pub(in crate::web) total: String,
    pub(in crate::web) difference: String,
    /// `ok`: cheaper; `bad`: dearer.
    pub(in crate::web) tone: &'static str,
    pub(in crate::web) bar: Option<Bar>,
    pub(in crate::web) charges: Vec<(String, String)>,
    pub(in crate::web) refused: Vec<String>,
    pub(in crate::web) needs: Option<String>,
}

/// The comparison.
pub(in crate::web) struct Comparison {
    pub(in crate::web) period: String,
    pub(in crate::web) lines: Vec<PlanLine>,
    /// Why there is none yet.
    pub(in crate::web) refusal: Option<String>,
}

/// Past usage on every plan that is sold.
pub(in crate::web) async fn comparison(
    app: &App,
    tenant: TenantId,
    subscription: SubscriptionId,
    product: &Product,
    zone: &TimeZone,
) -> Result<Comparison, Problem> {
    let found = match simulation::plans(app, tenant, subscription, None).await {
        Ok(found) => found,
        // No period is over, or one cannot be rated: said in its place.
        Err(problem) if problem.status == 409 => {
            let refusal = Some(problem.detail);
            return Ok(Comparison { period: String::new(), lines: Vec::new(), refusal });
        }
        Err(problem) => return Err(problem),
    };
    let dearest = found.plans.iter().filter_map(|plan| plan.total).map(|total| total.minor()).max();
    let periods = words::counted(found.periods, "billing period");
    let (from, to) = (words::date(found.from, zone), words::date(found.to, zone));
    let line = |plan| line(plan, dearest.unwrap_or(0), product);
    Ok(Comparison {
        period: format!("{periods}, {from} – {to}"),
        lines: found.plans.into_iter().map(line).collect(),
        refusal: None,
    })
}

fn line(plan: PlanCost, dearest: i64, product: &Product) -> PlanLine {
    let (difference, tone) = match plan.difference.filter(|_| !plan.is_present) {
        Some(difference) if difference.minor() > 0 => (format!("+{}", difference.display()), "bad"),
        Some(difference) if difference.minor() < 0 => (difference.display(), "ok"),
        Some(_) => ("the same".to_owned(), ""),
        None => (String::new(), ""),
    };
    let bar = plan.total.filter(|_| dearest > 0).map(|total| {
        let share = i128::from(total.minor()) * 100 / i128::from(dearest);
        let percent = u32::try_from(share).unwrap_or(0);
        Bar { width: percent.min(100), percent, tone: "" }
    });
    let refused = plan.refused.iter().map(|one| {
        let meter = product.meter(&one.meter);
        let unit = meter.map_or(one.meter.as_str(), |meter| meter.unit.as_str());
        let windows = words::counted(u64::try_from(one.windows).unwrap_or(u64::MAX), "window");
        format!(
            "{} would have been refused, in {windows}",
            words::counted(one.quantity.round_dp(2), unit)
        )
    });
    PlanLine {
        refused: refused.collect(),
        charges: plan
            .charges
            .iter()
            .map(|charge| (charge.description.clone(), charge.amount.display()))
            .collect(),
        total: plan.total.map_or_else(|| "On request".to_owned(), |total| total.display()),
        name: plan.name,
        is_present: plan.is_present,
        difference,
        tone,
        bar,
        needs: plan.needs_contract,
    }
}

#[derive(Template)]
#[template(path = "console/tenant-plans.html")]
struct PlansPage {
    frame: Frame,
    head: Head,
    product: String,
    slug: String,
    comparison: Comparison,
}

/// `GET /console/tenants/{tenant}/subscriptions/{subscription}/plans`
pub(in crate::web) async fn show(
    State(app): State<App>,
    signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
    Path((_, subscription)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let opened = open(&app, &signed_in, tenant, Tab::Usage).await?;
    let subscription: Result<SubscriptionId, _> = subscription.parse();
    let found = subscription.ok().and_then(|id| opened.subscriptions.iter().find(|s| s.id == id));
    let found = found.ok_or_else(|| Problem::not_found("subscription"))?;
    let catalog = products::catalog(&app, found.catalog_version_id).await?;
    let zone = words::zone(&opened.tenant.time_zone);
    let comparison = comparison(&app, opened.tenant.id, found.id, &catalog.product, &zone).await?;
    page(&PlansPage {
        product: catalog.product.name.clone(),
        slug: catalog.product.id.clone(),
        comparison,
        frame: opened.frame,
        head: opened.head,
    })
}
