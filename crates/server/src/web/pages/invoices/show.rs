//! One invoice: the document, its lines led back to their events, its files.

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::{actions::Step, base, crumbs};
use crate::{
    App,
    billing::{
        evidence::{self, api::PathLine, model::ExplainQuery},
        invoices::{
            api::PathInvoice,
            pdf::{self, api::PathNote},
            told,
        },
    },
    http::{Problem, Query},
    tenants::api::PathTenant,
    web::{
        frame::{Frame, Section, page},
        invoice::{
            document::{Document, title},
            explained::Explained,
        },
        session::SignedIn,
    },
};

/// Events of a page.
const EVENTS_SHOWN: u16 = 25;

/// A button.
struct Button {
    path: String,
    text: &'static str,
    class: &'static str,
}

#[derive(Template)]
#[template(path = "console/invoice.html")]
struct InvoicePage {
    frame: Frame,
    crumbs: Vec<(String, String)>,
    id: String,
    doc: Document,
    buttons: Vec<Button>,
}

/// `GET /console/tenants/{tenant}/invoices/{invoice}`
pub(in crate::web) async fn show(
    State(app): State<App>,
    signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
    PathInvoice(id): PathInvoice,
) -> Result<Response, Problem> {
    let told = told::told(&app, tenant.id, id, false).await?;
    let frame = Frame::new(&app, &signed_in, Section::Invoices).await?;
    let doc = Document::new(&told, &base(&tenant), app.now());
    let steps = Step::possible(&told.invoice).into_iter().filter(|_| frame.may_change);
    let buttons = steps.map(|step| Button {
        path: format!("{}/{}", doc.path, step.word()),
        text: step.button(),
        class: step.class(),
    });
    page(&InvoicePage {
        crumbs: crumbs(&tenant, None),
        id: id.to_string(),
        buttons: buttons.collect(),
        doc,
        frame,
    })
}

/// Which page of events.
#[derive(Debug, Deserialize)]
pub(in crate::web) struct Events {
    pub(in crate::web) events: Option<String>,
}

impl Events {
    /// As the operation is asked.
    pub(in crate::web) fn query(&self) -> ExplainQuery {
        ExplainQuery { cursor: self.events.clone(), limit: Some(EVENTS_SHOWN) }
    }
}

#[derive(Template)]
#[template(path = "console/invoice-line.html")]
struct LinePage {
    frame: Frame,
    crumbs: Vec<(String, String)>,
    path: String,
    staff: bool,
    line: Explained,
}

/// `GET /console/tenants/{tenant}/invoices/{invoice}/lines/{line}`
pub(in crate::web) async fn line(
    State(app): State<App>,
    signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
    PathLine(id, number): PathLine,
    Query(events): Query<Events>,
) -> Result<Response, Problem> {
    let told = told::told(&app, tenant.id, id, false).await?;
    let query = events.query();
    let found = evidence::explain(&app, tenant.id, id, number, &query, false).await?;
    let base = base(&tenant);
    page(&LinePage {
        frame: Frame::new(&app, &signed_in, Section::Invoices).await?,
        crumbs: crumbs(&tenant, Some((id, title(&told.invoice.summary)))),
        path: format!("{base}/{id}/lines/{number}"),
        staff: true,
        line: Explained::new(&told, found, &base, events.events.is_some()),
    })
}

/// `GET /console/tenants/{tenant}/invoices/{invoice}/pdf`
pub(in crate::web) async fn pdf(
    State(app): State<App>,
    _signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
    PathInvoice(id): PathInvoice,
) -> Result<Response, Problem> {
    pdf::document(&app, tenant.id, id, false).await.map(IntoResponse::into_response)
}

/// `GET /console/tenants/{tenant}/invoices/{invoice}/credit-notes/{note}/pdf`
pub(in crate::web) async fn note_pdf(
    State(app): State<App>,
    _signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
    PathInvoice(id): PathInvoice,
    PathNote(note): PathNote,
) -> Result<Response, Problem> {
    pdf::note_document(&app, tenant.id, id, note).await.map(IntoResponse::into_response)
}

/// `GET /console/tenants/{tenant}/invoices/{invoice}/evidence`
pub(in crate::web) async fn evidence(
    State(app): State<App>,
    _signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
    PathInvoice(id): PathInvoice,
) -> Result<Response, Problem> {
    evidence::api::sent(evidence::export(&app, tenant.id, id, false).await?)
}
