//! `POST /api/v1/validate`: what a license token is worth now, by the vendor's
//! own knowledge.

use axum::body::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;
use tenure_core::TenantId;
use tenure_license::{LicenseClaims, Reason, State, claims::Entitlements, state};

use super::{
    holder::{self, Text},
    standing,
};
use crate::{App, http::Problem, licensing::revocation, products};

/// How long an answer is given again. Whatever changes forgets it at once; this is for what
/// only time changes.
const ANSWER_LIFE: SignedDuration = SignedDuration::from_secs(1);

/// An answer, as it was sent.
#[derive(Clone)]
pub(crate) struct Answered {
    pub(super) tenant: TenantId,
    body: Bytes,
    until: Timestamp,
}

/// [`tenure_api::licensing::Validation`], written from where its parts are.
#[derive(Serialize)]
struct Answer<'a> {
    valid: bool,
    status: &'a str,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entitlements: Option<Readable<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiry: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
}

/// As [`super::activate::readable`] makes it.
#[derive(Serialize)]
struct Readable<'a> {
    #[serde(flatten)]
    granted: &'a Entitlements,
    add_ons: &'a Value,
}

/// Stands for add-ons that a license does not name.
static NO_ADD_ONS: Value = Value::Array(Vec::new());

impl<'a> Readable<'a> {
    fn of(claims: &'a LicenseClaims) -> Self {
        let add_ons = claims.values.get("add_ons").unwrap_or(&NO_ADD_ONS);
        Self { granted: &claims.entitlements, add_ons }
    }
}

impl Answer<'_> {
    fn body(&self) -> Result<Bytes, Problem> {
        serde_json::to_vec(self).map(Bytes::from).map_err(Problem::internal)
    }
}

/// The answer to a validation, as JSON.
pub(super) async fn answer(app: &App, token: &str) -> Result<Bytes, Problem> {
    let (now, cache) = (app.now(), &app.licensing().validations);
    let text = Text::new(app, token.trim());
    // Without a cache nothing is hashed for one.
    let Some(digest) = text.digest else {
        return validate(app, text, now).await.map(|(body, _)| body);
    };
    if let Some(known) = cache.get(&digest).filter(|known| now < known.until) {
        return Ok(known.body);
    }
    // Taken first: what changes while this is worked out keeps it from being remembered.
    let ticket = cache.ticket();
    let (body, tenant) = validate(app, text, now).await?;
    if let Some(tenant) = tenant {
        let until = now.checked_add(ANSWER_LIFE).unwrap_or(now);
        cache.put(ticket, digest, Answered { tenant, body: body.clone(), until });
    }
    Ok(body)
}

/// Validates a token. One that is not genuine is an answer, not an error.
/// With whose license it is, where it is genuine.
async fn validate(
    app: &App,
    text: Text<'_>,
    now: Timestamp,
) -> Result<(Bytes, Option<TenantId>), Problem> {
    let token = match holder::verified(app, text).await? {
        Ok(token) => token,
        Err(error) => {
            let answer = Answer {
                valid: false,
                status: "invalid",
                reason: error.code(),
                notice: Some(format!("The license token is not genuine: {error}.")),
                entitlements: None,
                expiry: None,
                revision: None,
            };
            return Ok((answer.body()?, None));
        }
    };
    let claims = token.claims();
    let held = holder::of_token(token.clone())?;
    let standing = standing::read(app, held.tenant, held.license).await?;
    let product = match &standing {
        Some(standing) => standing.situation.catalog.product_id,
        None => products::latest(app, &claims.product).await?.product_id,
    };
    let list = revocation::current(app, product).await?;
    let revocation = match &standing {
        Some(standing) => standing.revocation(claims, list.as_deref()),
        // Genuine, and the tenant is deleted: what was taken back stays so.
        None => revocation::of_unknown(list.as_deref(), claims),
    };
    let verdict = state::evaluate(&state::Input { revocation, ..state::Input::new(&token, now) });
    let bound = claims.binding.as_ref().map(|binding| {
        format!("It is bound to {}, and of no use without its key.", binding.instance)
    });
    let notice = match (verdict.notice, bound) {
        (Some(notice), Some(bound)) => Some(format!("{notice} {bound}")),
        (notice, bound) => notice.or(bound),
    };
    let answer = Answer {
        valid: verdict.state != State::Terminated && verdict.reason != Reason::Superseded,
        status: verdict.state.word(),
        reason: verdict.reason.code(),
        notice,
        entitlements: Some(Readable::of(claims)),
        expiry: Some(claims.exp),
        revision: standing.map(|standing| standing.claims().revision),
    };
    Ok((answer.body()?, Some(held.tenant)))
}
