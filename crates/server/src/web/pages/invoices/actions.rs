//! What staff do with an invoice. Each step has a page that says what will happen and
//! a form that does it; what is refused is said in the form.

use std::str::FromStr;

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};
use rust_decimal::Decimal;
use tenure_core::{InvoiceId, RequestId, money::parse_decimal};

use super::{base, crumbs};
use crate::{
    App,
    billing::invoices::{
        self, Invoice, InvoiceStatus, api::PathInvoice, model::NewCreditNote, notes,
    },
    http::Problem,
    idempotency::{self, Once},
    tenants::{Tenant, api::PathTenant},
    web::{
        form::{Field, FormPage, Input, day},
        frame::{Frame, Section, page},
        invoice::document::title,
        session::{AdminForm, SignedIn},
    },
};

/// What may be done to an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Issue,
    Pay,
    Credit,
    GiveUp,
    Void,
}

impl FromStr for Step {
    type Err = Problem;

    fn from_str(word: &str) -> Result<Self, Problem> {
        let all = [Self::Issue, Self::Pay, Self::Credit, Self::GiveUp, Self::Void];
        let found = all.into_iter().find(|step| step.word() == word);
        found.ok_or_else(|| Problem::not_found("page"))
    }
}

impl Step {
    /// Those that make sense now; the operation decides.
    pub(super) fn possible(invoice: &Invoice) -> Vec<Self> {
        match invoice.summary.status {
            InvoiceStatus::Draft => vec![Self::Issue, Self::Void],
            InvoiceStatus::Issued if invoice.credit_notes.is_empty() => {
                vec![Self::Pay, Self::Credit, Self::GiveUp, Self::Void]
            }
            InvoiceStatus::Issued => vec![Self::Pay, Self::Credit, Self::GiveUp],
            InvoiceStatus::Paid => vec![Self::Credit],
            InvoiceStatus::Uncollectible => vec![Self::Pay],
            InvoiceStatus::Void => Vec::new(),
        }
    }

    /// In paths.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::Pay => "pay",
            Self::Credit => "credit",
            Self::GiveUp => "uncollectible",
            Self::Void => "void",
        }
    }

    pub(super) fn button(self) -> &'static str {
        match self {
            Self::Issue => "Issue now",
            Self::Pay => "Mark as paid",
            Self::Credit => "Credit note",
            Self::GiveUp => "Give up",
            Self::Void => "Void",
        }
    }

    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Issue | Self::Pay => "primary",
            Self::Credit => "",
            Self::GiveUp | Self::Void => "danger",
        }
    }

    fn consequence(self, invoice: &Invoice) -> String {
        let summary = &invoice.summary;
        match self {
            Self::Issue => "Usage that came meanwhile is counted, credit is used, and the seller's next number \
                            is taken. From then on it never changes, and the customer sees it."
                .to_owned(),
            Self::Pay => format!(
                "{} is still to be paid. The payment came another way; this notes that it did.",
                summary.outstanding.display()
            ),
            Self::Credit => format!(
                "Takes back a part of the invoice, or all of it. First what is still to be paid ({}) gets \
                 less; what was paid already goes to the balance.",
                summary.outstanding.display()
            ),
            Self::GiveUp => format!(
                "{} is not expected any more. It can still be paid later.",
                summary.outstanding.display()
            ),
            Self::Void if summary.status == InvoiceStatus::Draft => {
                "The draft is annulled for good and its period is not billed again.".to_owned()
            }
            Self::Void => "The invoice is annulled for good. Its number stays taken, credit that it used returns, \
                           and its period is not billed again."
                .to_owned(),
        }
    }

    fn fields(self, app: &App) -> Vec<Field> {
        let once = RequestId::new(app.now()).to_string();
        match self {
            Self::Pay => vec![
                Field::new("paid_at", "Paid on", Input::Date(String::new()))
                    .hint("The first moment of that day, UTC. Left out: now."),
            ],
            Self::Credit => vec![
                Field::new("amount", "Amount", Input::Text(String::new()))
                    .hint("With tax, such as 49.90. Left out: all that is left of the invoice."),
                Field::new("reason", "Reason", Input::Text(String::new()))
                    .hint("Stands on the credit note.")
                    .required(),
                Field::new("once", "", Input::Once(once)),
            ],
            Self::Issue | Self::GiveUp | Self::Void => Vec::new(),
        }
    }
}

/// The step that a path names.
fn step_of(Path(all): Path<Vec<(String, String)>>) -> Result<Step, Problem> {
    let named = all.iter().find(|(name, _)| name == "step");
    named.map_or("", |(_, word)| word.as_str()).parse()
}

async fn form(
    app: &App,
    signed_in: &SignedIn,
    tenant: &Tenant,
    id: InvoiceId,
    step: Step,
) -> Result<FormPage, Problem> {
    signed_in.admin()?;
    let invoice = invoices::read(app, tenant.id, id).await?;
    let name = title(&invoice.summary);
    let called = match &invoice.summary.number {
        Some(number) => format!("invoice {number}"),
        None => "this draft".to_owned(),
    };
    let path = format!("{}/{id}", base(tenant));
    Ok(FormPage {
        frame: Frame::new(app, signed_in, Section::Invoices).await?,
        heading: match step {
            Step::Issue => "Issue this draft?".to_owned(),
            Step::Pay => format!("Mark {called} as paid?"),
            Step::Credit => format!("Credit note for {called}"),
            Step::GiveUp => format!("Give {called} up?"),
            Step::Void => format!("Void {called}?"),
        },
        lede: step.consequence(&invoice),
        crumbs: crumbs(tenant, Some((id, name))),
        action: format!("{path}/{}", step.word()),
        fields: step.fields(app),
        error: None,
        button: if step == Step::Credit { "Give credit note" } else { step.button() },
        danger: step.class() == "danger",
        back: path,
    })
}

/// `GET /console/tenants/{tenant}/invoices/{invoice}/{step}`
pub(in crate::web) async fn ask(
    State(app): State<App>,
    signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
    PathInvoice(id): PathInvoice,
    path: Path<Vec<(String, String)>>,
) -> Result<Response, Problem> {
    let step = step_of(path)?;
    page(&form(&app, &signed_in, &tenant, id, step).await?)
}

/// An amount that was typed.
pub(super) fn amount(form: &AdminForm) -> Result<Option<Decimal>, Problem> {
    let wrong = |_| Problem::field("/amount", "An amount looks like 49.90.");
    form.field("amount").map(|text| parse_decimal(text).map_err(wrong)).transpose()
}

/// The key of a form, and everything that was filled in beside it.
pub(super) fn once(path: &str, form: &AdminForm) -> Option<Once> {
    let mut fields: Vec<String> =
        form.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    fields.sort_unstable();
    Once::of_form(form.field("once")?, &format!("{path}\n{}", fields.join("\n")))
}

async fn take(
    app: &App,
    form: &AdminForm,
    tenant: &Tenant,
    id: InvoiceId,
    step: Step,
) -> Result<(), Problem> {
    let mut call = app.call(form.actor.clone());
    let whose = tenant.id;
    match step {
        Step::Issue => invoices::issue(app, &call, whose, id).await.map(drop),
        Step::Pay => {
            let paid_at = day("paid_at", form.field("paid_at"))?;
            invoices::pay(app, &call, whose, id, paid_at).await.map(drop)
        }
        Step::GiveUp => invoices::uncollectible(app, &call, whose, id).await.map(drop),
        Step::Void => invoices::void(app, &call, whose, id).await.map(drop),
        Step::Credit => {
            call.once = once(&id.to_string(), form);
            let reason = form.field("reason").unwrap_or_default().to_owned();
            let new = NewCreditNote { amount: amount(form)?, reason };
            if idempotency::was_done(app, &call).await? {
                return Ok(());
            }
            notes::create(app, &call, whose, id, new).await.map(drop)
        }
    }
}

/// `POST /console/tenants/{tenant}/invoices/{invoice}/{step}`
pub(in crate::web) async fn act(
    State(app): State<App>,
    PathTenant(tenant): PathTenant,
    PathInvoice(id): PathInvoice,
    path: Path<Vec<(String, String)>>,
    sent: AdminForm,
) -> Result<Response, Problem> {
    let step = step_of(path)?;
    match take(&app, &sent, &tenant, id, step).await {
        Ok(()) => Ok(Redirect::to(&format!("{}/{id}", base(&tenant))).into_response()),
        Err(problem) => {
            form(&app, &sent.signed_in, &tenant, id, step).await?.refused(problem, &sent.fields)
        }
    }
}
