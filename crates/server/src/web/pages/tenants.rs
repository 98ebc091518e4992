//! `/console/tenants`: search, filters, pages.

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use tenure_catalog::Model;
use tenure_core::{TenantId, TenantStatus};
use uuid::Uuid;

use super::Bought;
use crate::{
    App,
    http::{Cursor, Problem, Query},
    products,
    tenants::{self, TenantFilter},
    web::{
        db,
        frame::{Frame, Section, page},
        session::{SignedIn, encode},
        words,
    },
};

/// Tenants a page.
const ROWS: u16 = 25;

/// The filters of the page; the fields of a form are empty where nothing was chosen.
#[derive(Debug, Clone, Default, Deserialize)]
pub(in crate::web) struct Filters {
    #[serde(default)]
    q: String,
    #[serde(default)]
    product: String,
    #[serde(default)]
    model: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    plan: String,
    #[serde(default)]
    cursor: String,
}

struct Choice {
    value: String,
    text: String,
    chosen: bool,
}

struct Select {
    name: &'static str,
    label: &'static str,
    every: &'static str,
    options: Vec<Choice>,
}

struct Applied {
    text: String,
    without: String,
}

struct Row {
    name: String,
    slug: String,
    bought: Option<Bought>,
    more: usize,
    status: String,
    tone: &'static str,
    since: String,
}

#[derive(Template)]
#[template(path = "console/tenants.html")]
struct TenantsPage {
    frame: Frame,
    first_run: bool,
    q: String,
    selects: Vec<Select>,
    applied: Vec<Applied>,
    rows: Vec<Row>,
    paged: bool,
    first_page: Option<String>,
    next_page: Option<String>,
}

/// `GET /console/tenants`
pub(in crate::web) async fn list(
    State(app): State<App>,
    signed_in: SignedIn,
    Query(filters): Query<Filters>,
) -> Result<Response, Problem> {
    if let Ok(id) = filters.q.trim().parse::<TenantId>()
        && tenants::find(&app, &id.to_string()).await.is_ok()
    {
        return Ok(Redirect::to(&format!("/console/tenants/{id}")).into_response());
    }
    let frame = Frame::new(&app, &signed_in, Section::Tenants).await?;
    let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let filter = TenantFilter {
        q: given(&filters.q),
        status: filters.status.parse::<TenantStatus>().ok(),
        product: given(&filters.product),
        plan: given(&filters.plan),
        model: given(&filters.model),
        cursor: None,
        limit: None,
    };
    let cursor = Cursor::new(given(&filters.cursor).as_deref(), Some(ROWS))?;
    let found = tenants::list(&app, &filter, cursor).await?;
    let applied = filters.applied(&frame);
    let first_run = found.items.is_empty() && applied.is_empty() && cursor.after.is_none();
    let next_page = found.next_cursor.map(|cursor| Filters { cursor, ..filters.clone() }.address());
    let first = Filters { cursor: String::new(), ..filters.clone() }.address();
    let first_page = (!filters.cursor.is_empty()).then_some(first);
    page(&TenantsPage {
        first_run,
        selects: filters.selects(&app, &frame).await?,
        rows: rows(&app, &frame, found.items).await?,
        paged: next_page.is_some() || first_page.is_some(),
        q: filters.q,
        applied,
        first_page,
        next_page,
        frame,
    })
}

async fn rows(app: &App, frame: &Frame, found: Vec<tenants::Tenant>) -> Result<Vec<Row>, Problem> {
    let ids: Vec<Uuid> = found.iter().map(|tenant| tenant.id.uuid()).collect();
    let mut tx = app.db().vendor().await?;
    let bought = db::bought_by(&mut tx, &ids).await?;
    tx.commit().await?;
    let mut rows = Vec::with_capacity(found.len());
    for tenant in found {
        let mut mine = bought.iter().filter(|line| line.tenant == tenant.id);
        let first = mine.next();
        let line = match first {
            Some(line) => Some(describe(app, frame, line).await?),
            None => None,
        };
        let status = match first {
            // What a subscription is in says more than that its tenant is active.
            Some(line) if tenant.status == TenantStatus::Active => line.status.clone(),
            _ => tenant.status.word().to_owned(),
        };
        rows.push(Row {
            bought: line,
            more: mine.filter(|line| line.status != "cancelled").count(),
            tone: words::tone(&status),
            status: words::title(&status),
            since: words::date(tenant.created_at, &words::zone(&tenant.time_zone)),
            name: tenant.name,
            slug: tenant.slug,
        });
    }
    Ok(rows)
}

async fn describe(app: &App, frame: &Frame, line: &db::Bought) -> Result<Bought, Problem> {
    let catalog = products::catalog(app, line.version).await?;
    let plan = catalog.product.plan(&line.plan).map_or(&line.plan, |plan| &plan.name);
    let model = line.model.parse().unwrap_or(Model::Managed);
    Ok(Bought::new(frame.mark(&line.product), plan.clone(), model))
}

impl Filters {
    fn pairs(&self) -> [(&'static str, &str); 6] {
        [
            ("q", &self.q),
            ("product", &self.product),
            ("model", &self.model),
            ("status", &self.status),
            ("plan", &self.plan),
            ("cursor", &self.cursor),
        ]
    }

    fn address(&self) -> String {
        let given = self.pairs().into_iter().filter(|(_, value)| !value.is_empty());
        let pairs: Vec<String> =
            given.map(|(name, value)| format!("{name}={}", encode(value))).collect();
        if pairs.is_empty() {
            return "/console/tenants".to_owned();
        }
        format!("/console/tenants?{}", pairs.join("&"))
    }

    fn applied(&self, frame: &Frame) -> Vec<Applied> {
        let rest = || Self { cursor: String::new(), ..self.clone() };
        let all = [
            ("Search", self.q.clone(), Self { q: String::new(), ..rest() }),
            ("Product", frame.mark(&self.product).name, Self { product: String::new(), ..rest() }),
            (
                "Model",
                self.model.parse().map_or_else(|_| self.model.clone(), |m| words::model(m).into()),
                Self { model: String::new(), ..rest() },
            ),
            ("Status", words::title(&self.status), Self { status: String::new(), ..rest() }),
            ("Plan", self.plan.clone(), Self { plan: String::new(), ..rest() }),
        ];
        all.into_iter()
            .filter(|(_, value, _)| !value.is_empty())
            .map(|(label, value, without)| Applied {
                text: format!("{label}: {value}"),
                without: without.address(),
            })
            .collect()
    }

    async fn selects(&self, app: &App, frame: &Frame) -> Result<Vec<Select>, Problem> {
        let option = |value: &str, text: &str, chosen: &str| Choice {
            value: value.to_owned(),
            text: text.to_owned(),
            chosen: value == chosen,
        };
        let products =
            frame.products.iter().map(|mark| option(&mark.slug, &mark.name, &self.product));
        let models = Model::ALL.iter().map(|m| option(m.word(), words::model(*m), &self.model));
        let states = [TenantStatus::Active, TenantStatus::Suspended, TenantStatus::Cancelled];
        let states = states
            .iter()
            .map(|state| option(state.word(), &words::title(state.word()), &self.status));
        let mut plans: Vec<Choice> = Vec::new();
        for mark in &frame.products {
            let catalog = products::latest(app, &mark.slug).await?;
            for plan in &catalog.product.plans {
                if plans.iter().all(|known| known.value != plan.id) {
                    plans.push(option(&plan.id, &plan.name, &self.plan));
                }
            }
        }
        plans.sort_by(|a, b| a.text.cmp(&b.text));
        Ok(vec![
            Select {
                name: "product",
                label: "Product",
                every: "Every product",
                options: products.collect(),
            },
            Select {
                name: "model",
                label: "Model",
                every: "Every model",
                options: models.collect(),
            },
            Select {
                name: "status",
                label: "Status",
                every: "Every status",
                options: states.collect(),
            },
            Select { name: "plan", label: "Plan", every: "Every plan", options: plans },
        ])
    }
}
