//! `POST /api/v1/validate`: what a license token is worth now, by the vendor's
//! own knowledge.

use axum::body::Bytes;
use jiff::{SignedDuration, Timestamp};
use tenure_api::licensing::Validation;
use tenure_core::TenantId;
use tenure_license::{Digest, Reason, State, state};

use super::{activate::readable, holder, standing};
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

/// The answer to a validation, as JSON.
pub(super) async fn answer(app: &App, token: &str) -> Result<Bytes, Problem> {
    let (now, cache) = (app.now(), &app.licensing().validations);
    let digest = *Digest::sha256(token.as_bytes()).as_bytes();
    if let Some(known) = cache.get(&digest).filter(|known| now < known.until) {
        return Ok(known.body);
    }
    // Taken first: what changes while this is worked out keeps it from being remembered.
    let ticket = cache.ticket();
    let (answer, tenant) = validate(app, token, now).await?;
    let body = Bytes::from(serde_json::to_vec(&answer).map_err(Problem::internal)?);
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
    token: &str,
    now: Timestamp,
) -> Result<(Validation, Option<TenantId>), Problem> {
    let token = match holder::verified(app, token.trim()).await? {
        Ok(token) => token,
        Err(error) => {
            let answer = Validation {
                valid: false,
                status: "invalid".to_owned(),
                reason: error.code().to_owned(),
                notice: Some(format!("The license token is not genuine: {error}.")),
                entitlements: None,
                expiry: None,
                revision: None,
            };
            return Ok((answer, None));
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
    let answer = Validation {
        valid: verdict.state != State::Terminated && verdict.reason != Reason::Superseded,
        status: verdict.state.word().to_owned(),
        reason: verdict.reason.code().to_owned(),
        notice,
        entitlements: Some(readable(claims)?),
        expiry: Some(claims.exp),
        revision: standing.map(|standing| standing.claims().revision),
    };
    Ok((answer, Some(held.tenant)))
}
