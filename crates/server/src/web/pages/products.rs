//! `/console/products`: price lists, responsibilities, versions.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use tenure_catalog::{
    Model, Plan, Product, changes, deployment::Isolation, deployment::Party, model::Support,
    show as words_of,
};

use super::signing_keys::{self, KeyRow};
use crate::{
    App,
    http::Problem,
    products::{self, VersionSummary},
    web::{
        db,
        frame::{Frame, Mark, Section, page},
        session::SignedIn,
        words,
    },
};

/// Versions whose changes are worked out.
const COMPARED_MAX: usize = 20;

struct ProductRow {
    mark: Mark,
    plans: String,
    models: Vec<(&'static str, &'static str)>,
    subscriptions: String,
    version: i32,
}

#[derive(Template)]
#[template(path = "console/products.html")]
struct ProductsPage {
    frame: Frame,
    rows: Vec<ProductRow>,
}

/// `GET /console/products`
pub(in crate::web) async fn list(
    State(app): State<App>,
    signed_in: SignedIn,
) -> Result<Response, Problem> {
    let frame = Frame::new(&app, &signed_in, Section::Products).await?;
    let mut rows = Vec::new();
    for summary in products::list(&app).await? {
        let catalog = products::latest(&app, &summary.slug).await?;
        let names = catalog.product.plans.iter().map(|plan| plan.name.as_str());
        rows.push(ProductRow {
            mark: frame.mark(&summary.slug),
            plans: names.collect::<Vec<_>>().join(", "),
            models: super::models(catalog.product.models.iter().map(|terms| &terms.model)),
            subscriptions: words::number(summary.subscriptions),
            version: summary.version,
        });
    }
    page(&ProductsPage { frame, rows })
}

struct PlanHead {
    name: String,
    hidden: bool,
    price: String,
    per: String,
    more: Vec<String>,
}

enum Cell {
    Yes,
    No,
    Text { main: String, sub: String },
    Models(Vec<(&'static str, &'static str)>),
}

impl Cell {
    fn text(main: impl Into<String>) -> Self {
        Self::Text { main: main.into(), sub: String::new() }
    }

    fn flag(is: bool) -> Self {
        if is { Self::Yes } else { Self::No }
    }
}

struct PriceRow {
    name: String,
    cells: Vec<Cell>,
}

struct Group {
    title: Option<&'static str>,
    rows: Vec<PriceRow>,
}

struct Extra {
    name: String,
    kind: &'static str,
    price: String,
    plans: String,
}

struct Responsibilities {
    class: &'static str,
    model: &'static str,
    parties: [(&'static str, &'static str); 5],
    ready: String,
    isolation: &'static str,
}

struct MeterRow {
    id: String,
    name: String,
    reads: String,
    how: String,
    unit: String,
}

struct VersionRow {
    version: i32,
    loaded: String,
    by: String,
    changes: Vec<String>,
    subscriptions: String,
    digest: String,
    short: String,
}

#[derive(Template)]
#[template(path = "console/product.html")]
struct ProductPage {
    frame: Frame,
    mark: Mark,
    summary: String,
    currency: String,
    version: i32,
    api_key_prefix: String,
    license_key_prefix: Option<String>,
    models: Vec<(&'static str, &'static str)>,
    columns: usize,
    plans: Vec<PlanHead>,
    groups: Vec<Group>,
    extras: Vec<Extra>,
    responsibilities: Vec<Responsibilities>,
    meters: Vec<MeterRow>,
    versions: Vec<VersionRow>,
    signing_keys: Vec<KeyRow>,
}

/// `GET /console/products/{product}`
pub(in crate::web) async fn show(
    State(app): State<App>,
    signed_in: SignedIn,
    Path(slug): Path<String>,
) -> Result<Response, Problem> {
    let catalog = products::latest(&app, &slug).await?;
    let product = &catalog.product;
    let mut frame = Frame::new(&app, &signed_in, Section::Products).await?;
    for mark in &mut frame.products {
        mark.current = mark.slug == product.id;
    }
    let mut tx = app.db().vendor().await?;
    let by_plan = db::subscriptions_by_plan(&mut tx, &product.id).await?;
    tx.commit().await?;
    page(&ProductPage {
        mark: frame.mark(&product.id),
        summary: product.summary.clone(),
        currency: product.currency.to_string(),
        version: catalog.version,
        api_key_prefix: product.api_key_prefix.clone(),
        license_key_prefix: product.license_key_prefix.clone(),
        models: super::models(product.models.iter().map(|terms| &terms.model)),
        columns: product.plans.len() + 1,
        plans: product.plans.iter().map(|plan| plan_head(product, plan)).collect(),
        groups: groups(product, &by_plan),
        extras: extras(product),
        responsibilities: responsibilities(product),
        meters: meters(product),
        versions: versions(&app, &product.id).await?,
        signing_keys: signing_keys::rows(&app, &catalog).await?,
        frame,
    })
}

/// `$499 a month` as a large number and what it is for.
fn plan_head(product: &Product, plan: &Plan) -> PlanHead {
    let prices = words_of::price(product, plan);
    let mut lines = prices.lines();
    let first = lines.next().unwrap_or("").to_owned();
    let title = |text: &str| words::title(text);
    let (price, per) =
        match [" per ", " a ", " once"].iter().filter_map(|cut| first.find(cut)).min() {
            // A price with a name of its own stays a sentence.
            Some(at) if !first[..at].contains(": ") && !first[..at].contains(", ") => {
                (title(&first[..at]), first[at..].trim_start().to_owned())
            }
            _ if first == "custom" => ("Custom".to_owned(), "by contract".to_owned()),
            _ => ("By use".to_owned(), first.clone()),
        };
    PlanHead {
        name: plan.name.clone(),
        hidden: plan.hidden,
        price,
        per,
        more: lines.map(str::to_owned).collect(),
    }
}

fn row(name: &str, product: &Product, cell: impl Fn(&Plan) -> Cell) -> PriceRow {
    PriceRow { name: name.to_owned(), cells: product.plans.iter().map(cell).collect() }
}

fn groups(product: &Product, by_plan: &[db::Count]) -> Vec<Group> {
    let subscribed = |plan: &Plan| {
        let count = by_plan.iter().find(|count| count.word == plan.id);
        Cell::text(words::number(count.map_or(0, |count| count.count)))
    };
    let mut first = vec![
        row("Subscriptions", product, subscribed),
        row("Models", product, |plan| Cell::Models(super::models(&plan.models))),
    ];
    if product.plans.iter().any(|plan| plan.mode.is_some()) {
        first.push(row("Mode", product, |plan| Cell::text(plan.mode.clone().unwrap_or_default())));
    }
    if product.plans.iter().any(|plan| plan.trial.is_some()) {
        let trial = |plan: &Plan| match plan.trial {
            Some(trial) => Cell::text(trial.words()),
            None => Cell::No,
        };
        first.push(row("Free trial", product, trial));
    }
    let features = product.features.iter().map(|feature| {
        row(&feature.name, product, |plan| Cell::flag(plan.features.contains(&feature.id)))
    });
    let mut groups = vec![
        Group { title: None, rows: first },
        Group { title: Some("Limits, and what happens past them"), rows: limits(product) },
        Group { title: Some("Features"), rows: features.collect() },
        Group { title: Some("Support"), rows: support(product) },
    ];
    groups.retain(|group| !group.rows.is_empty());
    groups
}

fn limits(product: &Product) -> Vec<PriceRow> {
    let held = product.allocations.iter().map(|held| (&held.id, &held.name));
    let metered = product.meters.iter().map(|meter| (&meter.id, &meter.name));
    let mut rows: Vec<PriceRow> = held
        .chain(metered)
        .filter(|(id, _)| product.plans.iter().any(|plan| plan.limit(id).is_some()))
        .map(|(id, name)| {
            row(name, product, |plan| {
                let Some(limit) = plan.limit(id) else { return Cell::No };
                let text = words_of::limit(product, plan, limit);
                let (main, sub) = text.split_once(", ").unwrap_or((&text, ""));
                Cell::Text { main: words::title(main), sub: sub.to_owned() }
            })
        })
        .collect();
    if product.plans.iter().any(|plan| plan.rate.is_some()) {
        rows.push(row("Requests", product, |plan| match plan.rate {
            Some(rate) => {
                let window = match rate.seconds {
                    1 => "a second",
                    60 => "a minute",
                    _ => "an hour",
                };
                Cell::text(format!("{} {window}", words::number(rate.requests)))
            }
            None => Cell::No,
        }));
    }
    rows
}

fn support(product: &Product) -> Vec<PriceRow> {
    if product.plans.iter().all(|plan| plan.support.is_none()) {
        return Vec::new();
    }
    let level = |plan: &Plan| {
        plan.support
            .as_deref()
            .and_then(|id| product.support_level(id))
            .map(|level| level.to_owned())
    };
    let line = |name, read: fn(&Support) -> String| {
        row(name, product, |plan| match level(plan).map(|level| read(&level)) {
            Some(text) if !text.is_empty() => Cell::text(text),
            _ => Cell::No,
        })
    };
    vec![
        line("Level", |level| level.name.clone()),
        line("First answer within", |level| {
            level.response.map(|time| time.words()).unwrap_or_default()
        }),
        line("Channels", |level| words::title(&level.channels.join(", "))),
        line("Hours", |level| level.hours.clone().unwrap_or_default()),
    ]
}

fn extras(product: &Product) -> Vec<Extra> {
    let names = |plans: &[String]| {
        let name =
            |id: &String| product.plan(id).map_or_else(|| id.clone(), |plan| plan.name.clone());
        match plans {
            [] => "Every plan".to_owned(),
            ids => ids.iter().map(name).collect::<Vec<_>>().join(", "),
        }
    };
    let sold = [("Add-on", &product.add_ons), ("Service", &product.services)];
    let sold =
        sold.into_iter().flat_map(|(kind, list)| list.iter().map(move |extra| (kind, extra)));
    let sold = sold.map(|(kind, extra)| {
        let charge = tenure_catalog::Charge { optional: false, ..extra.charge.clone() };
        Extra {
            name: extra.name.clone(),
            kind,
            price: words_of::charge(product, &charge),
            plans: names(&extra.plans),
        }
    });
    let reduced = product.discounts.iter().map(|discount| Extra {
        name: discount.name.clone(),
        kind: "Discount",
        price: format!("−{}%", discount.percent.normalize()),
        plans: names(&discount.plans),
    });
    sold.chain(reduced).collect()
}

fn responsibilities(product: &Product) -> Vec<Responsibilities> {
    let party = |party: Party| match party {
        Party::Vendor => "Vendor",
        Party::Customer => "Customer",
        Party::Shared => "Both",
    };
    product
        .models
        .iter()
        .map(|terms| {
            let who = &terms.responsibility;
            Responsibilities {
                class: terms.model.word(),
                model: words::model(terms.model),
                parties: [
                    ("Software", party(who.software)),
                    ("Infrastructure", party(who.infrastructure)),
                    ("Security", party(who.security)),
                    ("Compliance", party(who.compliance)),
                    ("Support", party(who.support)),
                ],
                ready: match (terms.ready_from, terms.ready_in) {
                    (Some(from), Some(to)) => format!("{} to {}", from.words(), to.words()),
                    (None, Some(to)) => to.words(),
                    _ => "–".to_owned(),
                },
                isolation: match (terms.isolation, terms.model) {
                    (Some(Isolation::SharedTables), _) => "Rows",
                    (Some(Isolation::Schema), _) => "A schema each",
                    (Some(Isolation::Database), _) => "A database each",
                    (None, Model::SelfHosted | Model::AirGapped) => "Own installation",
                    (None, _) => "–",
                },
            }
        })
        .collect()
}

fn meters(product: &Product) -> Vec<MeterRow> {
    use tenure_catalog::Aggregation;
    let how = |aggregation: &Aggregation| match aggregation {
        Aggregation::Count => "Number of events".to_owned(),
        Aggregation::Sum { field } => format!("Sum of {field}"),
        Aggregation::Max { field } => format!("Highest {field}"),
        Aggregation::Last { field } => format!("Latest {field}"),
        Aggregation::Unique { field } => format!("Different values of {field}"),
        Aggregation::TimeWeighted { field } => format!("Average {field}, weighted by time"),
    };
    let row = |meter: &tenure_catalog::Meter| MeterRow {
        id: meter.id.clone(),
        name: meter.name.clone(),
        reads: meter.event_type.clone(),
        how: how(&meter.aggregation),
        unit: meter.unit.clone(),
    };
    product.meters.iter().map(row).collect()
}

async fn versions(app: &App, slug: &str) -> Result<Vec<VersionRow>, Problem> {
    let all = products::versions(app, slug).await?;
    let mut rows = Vec::with_capacity(all.len());
    for (index, version) in all.iter().enumerate() {
        let changes = match all.get(index + 1).filter(|_| index < COMPARED_MAX) {
            Some(before) => changed(app, before, version).await?,
            None if index + 1 == all.len() => vec!["First version".to_owned()],
            None => Vec::new(),
        };
        rows.push(VersionRow {
            version: version.version,
            loaded: words::date_time(version.created_at, &words::zone("UTC")),
            by: words::actor(&version.created_by),
            changes,
            subscriptions: words::number(version.subscriptions),
            short: words::short(&version.digest).chars().take(12).collect(),
            digest: version.digest.clone(),
        });
    }
    Ok(rows)
}

async fn changed(
    app: &App,
    before: &VersionSummary,
    after: &VersionSummary,
) -> Result<Vec<String>, Problem> {
    let before = products::catalog(app, before.id).await?;
    let after = products::catalog(app, after.id).await?;
    let found = changes(&before.product, &after.product).unwrap_or_default();
    Ok(found
        .into_iter()
        .map(|change| words::title(&format!("{}: {}", change.subject, change.text)))
        .collect())
}

#[derive(Template)]
#[template(path = "console/source.html")]
struct SourcePage {
    frame: Frame,
    mark: Mark,
    version: i32,
    source: String,
}

/// `GET /console/products/{product}/versions/{version}`
pub(in crate::web) async fn source(
    State(app): State<App>,
    signed_in: SignedIn,
    Path((slug, version)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let version: i32 = version.parse().map_err(|_| Problem::not_found("version"))?;
    let source = products::source(&app, &slug, version).await?;
    let frame = Frame::new(&app, &signed_in, Section::Products).await?;
    page(&SourcePage { mark: frame.mark(&slug), frame, version, source })
}
