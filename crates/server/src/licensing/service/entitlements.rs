//! `GET /api/v1/entitlements` for whoever holds a license: what its
//! subscription may do now, with the members that products read in licenses.

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use tenure_license::Digest;

use super::{
    activate::readable,
    holder::LicenseHolder,
    standing::{self, Standing},
};
use crate::{App, http::Problem, subscriptions};

/// The entitlements of a license, with `tier` and `max_...` (-1: unlimited) beside the rest.
pub(crate) async fn read(
    app: &App,
    LicenseHolder(held): LicenseHolder,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let standing = standing::read(app, held.tenant, held.license).await?;
    let standing = standing
        .filter(|standing| !standing.is_revoked())
        .ok_or_else(|| Problem::unauthorized("The license is not valid, or no longer."))?;
    let body = body(app, &standing).await?;
    let etag = format!("\"{}\"", &Digest::sha256(&body).to_string()[..24]);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let tag = [(header::ETAG, etag.clone())];
    if known.is_some_and(|known| known.split(',').any(|tag| tag.trim() == etag)) {
        return Ok((StatusCode::NOT_MODIFIED, tag).into_response());
    }
    Ok((tag, [(header::CONTENT_TYPE, "application/json")], body).into_response())
}

async fn body(app: &App, standing: &Standing) -> Result<Vec<u8>, Problem> {
    let subscription = standing.license.subscription_id;
    let resolved = subscriptions::entitlements::read(app, standing.tenant, subscription).await?;
    if let Some(detail) = &resolved.withheld {
        let status = StatusCode::FORBIDDEN;
        return Err(Problem::new(status, "access-withheld", "Access is withheld", detail.clone()));
    }
    let mut all = serde_json::to_value(&resolved.entitlements).map_err(Problem::internal)?;
    // As the license says them; what is resolved now stands where both have a name.
    if let (Some(all), Some(readable)) =
        (all.as_object_mut(), readable(standing.claims())?.as_object())
    {
        for (name, value) in readable {
            all.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    serde_json::to_vec(&all).map_err(Problem::internal)
}
