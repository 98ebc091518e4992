//! Credit of a tenant: added when it is paid ahead, taken out when it is paid back.

use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use tenure_core::RequestId;

use super::{
    actions::{amount, once},
    base, crumbs,
};
use crate::{
    App,
    billing::credits::{self, CreditKind, NewCredit},
    http::Problem,
    idempotency,
    tenants::{Tenant, api::PathTenant, organisation},
    web::{
        form::{Choice, Field, FormPage, Input},
        frame::{Frame, Section, page},
        session::{AdminForm, SignedIn},
    },
};

const KINDS: [(CreditKind, &str); 3] = [
    (CreditKind::Prepayment, "Prepayment: paid ahead"),
    (CreditKind::Grant, "Grant: given"),
    (CreditKind::Refund, "Refund: paid back to the customer"),
];

async fn form(app: &App, signed_in: &SignedIn, tenant: &Tenant) -> Result<FormPage, Problem> {
    signed_in.admin()?;
    let accounts = organisation::accounts(app, tenant.id).await?;
    let kinds = KINDS.iter().enumerate().map(|(index, (kind, text))| Choice {
        value: kind.word().to_owned(),
        text: (*text).to_owned(),
        chosen: index == 0,
    });
    let mut fields = vec![
        Field::new("kind", "What it is", Input::Select(kinds.collect())).required(),
        Field::new("amount", "Amount", Input::Text(String::new()))
            .hint("In the currency of the billing account, such as 12000.")
            .required(),
        Field::new("note", "Note", Input::Text(String::new()))
            .hint("For whoever reads it in a year, such as the number of an order.")
            .required(),
        Field::new("once", "", Input::Once(RequestId::new(app.now()).to_string())),
    ];
    if accounts.len() > 1 {
        let choices = accounts.into_iter().map(|account| Choice {
            value: account.id.to_string(),
            text: format!("{}, {}", account.name, account.currency),
            chosen: false,
        });
        let choices = choices.collect();
        fields.insert(0, Field::new("billing_account", "Billing account", Input::Select(choices)));
    }
    Ok(FormPage {
        frame: Frame::new(app, signed_in, Section::Invoices).await?,
        crumbs: crumbs(tenant, None),
        heading: "Add credit".to_owned(),
        lede: "Invoices that are issued later use it, after tax. The balance is a chain of entries that are \
               only added, and is never below zero."
            .to_owned(),
        action: format!("/console/tenants/{}/credits/new", tenant.slug),
        fields,
        error: None,
        button: "Add entry",
        danger: false,
        back: base(tenant),
    })
}

/// `GET /console/tenants/{tenant}/credits/new`
pub(in crate::web) async fn ask(
    State(app): State<App>,
    signed_in: SignedIn,
    PathTenant(tenant): PathTenant,
) -> Result<Response, Problem> {
    page(&form(&app, &signed_in, &tenant).await?)
}

async fn create(app: &App, tenant: &Tenant, sent: &AdminForm) -> Result<(), Problem> {
    let account = sent.field("billing_account").map(str::parse).transpose();
    let kind = KINDS.iter().find(|(kind, _)| sent.field("kind") == Some(kind.word()));
    let new = NewCredit {
        billing_account: account
            .map_err(|_| Problem::field("/billing_account", "Choose one of the list."))?,
        amount: amount(sent)?.ok_or_else(|| Problem::field("/amount", "Give an amount."))?,
        kind: kind.ok_or_else(|| Problem::field("/kind", "Choose one of the list."))?.0,
        note: sent.field("note").unwrap_or_default().to_owned(),
    };
    let mut call = app.call(sent.actor.clone());
    call.once = once(&tenant.id.to_string(), sent);
    if idempotency::was_done(app, &call).await? {
        return Ok(());
    }
    credits::create(app, &call, tenant.id, new).await.map(drop)
}

/// `POST /console/tenants/{tenant}/credits/new`
pub(in crate::web) async fn add(
    State(app): State<App>,
    PathTenant(tenant): PathTenant,
    sent: AdminForm,
) -> Result<Response, Problem> {
    match create(&app, &tenant, &sent).await {
        Ok(()) => Ok(Redirect::to(&base(&tenant)).into_response()),
        Err(problem) => form(&app, &sent.signed_in, &tenant).await?.refused(problem, &sent.fields),
    }
}
