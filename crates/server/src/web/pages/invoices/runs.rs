//! Billing runs: how far they are, what could not be billed, and starting one.

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use jiff::{Timestamp, tz::TimeZone};
use uuid::Uuid;

use crate::{
    App,
    billing::runs::{self, Run, RunFailure},
    http::Problem,
    web::{
        db,
        form::FormPage,
        frame::{Bar, Frame, Section, page},
        session::{AdminForm, SignedIn},
        words,
    },
};

/// Runs that are shown.
const RUNS_SHOWN: i64 = 31;

/// A run.
pub(super) struct RunRow {
    pub(super) day: String,
    pub(super) state: &'static str,
    pub(super) tone: &'static str,
    pub(super) progress: String,
    pub(super) bar: Bar,
    pub(super) failed: i64,
    pub(super) when: String,
}

impl RunRow {
    pub(super) fn new(run: Run, now: Timestamp) -> Self {
        let (state, tone) = match (run.finished_at, run.failed) {
            (Some(_), _) => ("Finished", "ok"),
            (None, 0) => ("Under way", "info"),
            (None, _) => ("Something failed", "warn"),
        };
        let percent = match run.total {
            0 => 100,
            total => u32::try_from(run.done.saturating_mul(100) / total).unwrap_or(100),
        };
        Self {
            day: run.day,
            state,
            tone,
            progress: format!("{} of {} done", words::number(run.done), words::number(run.total)),
            bar: Bar { width: percent.min(100), percent, tone: "" },
            failed: run.failed,
            when: match run.finished_at {
                Some(at) => format!("finished {}", words::distance(at, now)),
                None => format!("started {}", words::distance(run.started_at, now)),
            },
        }
    }
}

/// What could not be closed or issued.
struct FailureRow {
    tenant: String,
    /// The tenant's page, below which the subscription or the draft is found.
    path: Option<String>,
    what: &'static str,
    detail: String,
    tried: String,
    next: String,
}

#[derive(Template)]
#[template(path = "console/invoice-runs.html")]
struct RunsPage {
    frame: Frame,
    failures: Vec<FailureRow>,
    rows: Vec<RunRow>,
}

/// `GET /console/invoices/runs`
pub(in crate::web) async fn list(
    State(app): State<App>,
    signed_in: SignedIn,
) -> Result<Response, Problem> {
    let frame = Frame::new(&app, &signed_in, Section::Invoices).await?;
    let all = runs::newest(&app, RUNS_SHOWN).await?;
    let now = app.now();
    let failures: Vec<&RunFailure> = all.iter().flat_map(|run| &run.failures).collect();
    page(&RunsPage {
        failures: failed(&app, &failures, now).await?,
        rows: all.into_iter().map(|run| RunRow::new(run, now)).collect(),
        frame,
    })
}

async fn failed(
    app: &App,
    failures: &[&RunFailure],
    now: Timestamp,
) -> Result<Vec<FailureRow>, Problem> {
    let ids: Vec<Uuid> =
        failures.iter().filter_map(|one| one.tenant_id).map(|id| id.uuid()).collect();
    let mut tx = app.db().vendor().await?;
    let whose = db::whose(&mut tx, &ids).await?;
    tx.commit().await?;
    let row = |failure: &&RunFailure| {
        let of = whose.iter().find(|one| Some(one.id) == failure.tenant_id);
        let tenant = of.map(|one| format!("/console/tenants/{}", one.slug));
        let path = match failure.invoice_id {
            Some(id) => tenant.map(|path| format!("{path}/invoices/{id}")),
            None => tenant,
        };
        FailureRow {
            tenant: of.map_or_else(|| "unknown".to_owned(), |one| one.name.clone()),
            path,
            what: if failure.invoice_id.is_some() { "Issue a draft" } else { "Close a period" },
            detail: failure.detail.clone(),
            tried: words::counted(failure.attempts, "time"),
            next: match failure.next_at {
                Some(at) => format!("again {}", words::distance(at, now)),
                None => "not again by itself".to_owned(),
            },
        }
    };
    Ok(failures.iter().map(row).collect())
}

async fn form(app: &App, signed_in: &SignedIn) -> Result<FormPage, Problem> {
    signed_in.admin()?;
    let today = app.now().to_zoned(TimeZone::UTC).strftime("%-d %b %Y, %H:%M UTC").to_string();
    Ok(FormPage {
        frame: Frame::new(app, signed_in, Section::Invoices).await?,
        crumbs: vec![("/console/invoices".to_owned(), "Invoices".to_owned())],
        heading: "Close what is due?".to_owned(),
        lede: format!(
            "Every billing period of every tenant that is over by now ({today}) is closed and drafted, and \
             every draft whose grace is over is issued. The server does so by itself within seconds; this \
             begins at once and tries again what failed."
        ),
        action: "/console/invoices/close".to_owned(),
        fields: Vec::new(),
        error: None,
        button: "Close what is due",
        danger: false,
        back: "/console/invoices".to_owned(),
    })
}

/// `GET /console/invoices/close`
pub(in crate::web) async fn ask(
    State(app): State<App>,
    signed_in: SignedIn,
) -> Result<Response, Problem> {
    page(&form(&app, &signed_in).await?)
}

/// `POST /console/invoices/close`
pub(in crate::web) async fn start(
    State(app): State<App>,
    form_sent: AdminForm,
) -> Result<Response, Problem> {
    let call = app.call(form_sent.actor.clone());
    match runs::start(&app, &call).await {
        Ok(_) => Ok(Redirect::to("/console/invoices/runs").into_response()),
        Err(problem) => form(&app, &form_sent.signed_in).await?.refused(problem, &form_sent.fields),
    }
}
