//! `/console/products/{product}/try`: what a product file would change, before it is
//! loaded. Nothing is changed here.

use askama::Template;
use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use tenure_core::TenantId;

use crate::{
    App,
    http::Problem,
    products,
    simulation::{self, FileSimulation},
    web::{
        db,
        frame::{Frame, Mark, Section, page},
        session::SignedIn,
        upload,
    },
};

struct ChangedLine {
    tenant: String,
    slug: String,
    plan: String,
    before: String,
    after: String,
    difference: String,
    tone: &'static str,
}

struct NotRatedLine {
    tenant: String,
    slug: String,
    why: String,
}

struct Outcome {
    version: i32,
    changes: Vec<String>,
    subscriptions: String,
    truncated: bool,
    before: String,
    after: String,
    difference: String,
    largest: Vec<ChangedLine>,
    not_rated: Vec<NotRatedLine>,
}

#[derive(Template)]
#[template(path = "console/try-file.html")]
struct TryPage {
    frame: Frame,
    mark: Mark,
    refusal: Option<String>,
    outcome: Option<Outcome>,
}

async fn show_page(
    app: &App,
    signed_in: &SignedIn,
    product: &str,
    refusal: Option<String>,
    outcome: Option<Outcome>,
) -> Result<Response, Problem> {
    let slug = products::latest(app, product).await?.product.id.clone();
    let frame = Frame::new(app, signed_in, Section::Products).await?;
    page(&TryPage { mark: frame.mark(&slug), frame, refusal, outcome })
}

/// `GET /console/products/{product}/try`
pub(in crate::web) async fn show(
    State(app): State<App>,
    signed_in: SignedIn,
    Path(product): Path<String>,
) -> Result<Response, Problem> {
    show_page(&app, &signed_in, &product, None, None).await
}

/// `POST /console/products/{product}/try`: rated at once and shown; reloading rates it again.
pub(in crate::web) async fn submit(
    State(app): State<App>,
    signed_in: SignedIn,
    Path(product): Path<String>,
    request: Request,
) -> Result<Response, Response> {
    let sent = async {
        match answer(&app, &signed_in, &product, request).await {
            Ok(found) => {
                let outcome = view(&app, found).await?;
                show_page(&app, &signed_in, &product, None, Some(outcome)).await
            }
            Err(problem) if matches!(problem.status, 400 | 409 | 413 | 422) => {
                let said = said(&problem);
                let mut page = show_page(&app, &signed_in, &product, Some(said), None).await?;
                *page.status_mut() =
                    StatusCode::from_u16(problem.status).unwrap_or(StatusCode::CONFLICT);
                Ok(page)
            }
            Err(problem) => Err(problem),
        }
    };
    sent.await.map_err(Problem::into_response)
}

async fn answer(
    app: &App,
    signed_in: &SignedIn,
    product: &str,
    request: Request,
) -> Result<FileSimulation, Problem> {
    signed_in.admin()?;
    let file = upload::file(request, app, &signed_in.form_token).await?;
    if file.is_empty() {
        return Err(Problem::field("/file", "Choose or paste a product file; this one is empty."));
    }
    if file.len() > products::FILE_BYTES_MAX {
        let most = products::FILE_BYTES_MAX / 1024;
        return Err(Problem::too_large(format!("A product file has at most {most} KiB.")));
    }
    let source = String::from_utf8(file.to_vec())
        .map_err(|_| Problem::bad_request("A product file is UTF-8 text."))?;
    simulation::file(app, product, &source, None).await
}

/// The sentences of a problem, with those of its fields.
fn said(problem: &Problem) -> String {
    let fields = problem.errors.iter().map(|error| error.detail.clone());
    let all: Vec<String> = std::iter::once(problem.detail.clone()).chain(fields).collect();
    all.join("\n")
}

async fn view(app: &App, found: FileSimulation) -> Result<Outcome, Problem> {
    let largest = found.largest.iter().map(|one| one.tenant_id);
    let others = found.not_rated.iter().map(|one| one.tenant_id);
    let ids: Vec<_> = largest.chain(others).map(TenantId::uuid).collect();
    let mut tx = app.db().vendor().await?;
    let names = db::names(&mut tx, &ids).await?;
    tx.commit().await?;
    let named = |id: TenantId| {
        let found = names.iter().find(|(of, ..)| *of == id);
        found.map(|(_, name, slug)| (name.clone(), slug.clone())).unwrap_or_default()
    };
    let negative = found.before.checked_neg().map_err(Problem::internal)?;
    let difference = found.after.checked_add(negative).map_err(Problem::internal)?;
    let signed = |amount: tenure_core::Money| match amount.minor() {
        1.. => format!("+{}", amount.display()),
        _ => amount.display(),
    };
    let changed = |one: &simulation::model::SubscriptionChange| {
        let (tenant, slug) = named(one.tenant_id);
        ChangedLine {
            tenant,
            slug,
            plan: one.plan.clone(),
            before: one.before.display(),
            after: one.after.display(),
            difference: signed(one.difference),
            tone: if one.difference.minor() > 0 { "bad" } else { "ok" },
        }
    };
    let not_rated = |one: &simulation::model::NotRated| {
        let (tenant, slug) = named(one.tenant_id);
        NotRatedLine { tenant, slug, why: one.why.clone() }
    };
    Ok(Outcome {
        version: found.version,
        subscriptions: crate::web::words::number(found.subscriptions as u64),
        truncated: found.truncated,
        before: found.before.display(),
        after: found.after.display(),
        difference: signed(difference),
        largest: found.largest.iter().map(changed).collect(),
        not_rated: found.not_rated.iter().map(not_rated).collect(),
        changes: found.changes,
    })
}
