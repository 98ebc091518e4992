//! `POST /api/v1/validate`: what a license token is worth now, by the vendor's
//! own knowledge.

use tenure_api::licensing::Validation;
use tenure_license::{Reason, State, state};

use super::{activate::readable, holder, standing};
use crate::{App, http::Problem, licensing::revocation, products};

/// Validates a token. One that is not genuine is an answer, not an error.
pub(super) async fn validate(app: &App, token: &str) -> Result<Validation, Problem> {
    let now = app.now();
    let token = match holder::verified(app, token.trim()).await? {
        Ok(token) => token,
        Err(error) => {
            return Ok(Validation {
                valid: false,
                status: "invalid".to_owned(),
                reason: error.code().to_owned(),
                notice: Some(format!("The license token is not genuine: {error}.")),
                entitlements: None,
                expiry: None,
                revision: None,
            });
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
    Ok(Validation {
        valid: verdict.state != State::Terminated && verdict.reason != Reason::Superseded,
        status: verdict.state.word().to_owned(),
        reason: verdict.reason.code().to_owned(),
        notice,
        entitlements: Some(readable(claims)?),
        expiry: Some(claims.exp),
        revision: standing.map(|standing| standing.claims().revision),
    })
}
