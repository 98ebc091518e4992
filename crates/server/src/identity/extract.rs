//! Extractors: a handler that names one cannot run without it.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};

use super::{Principal, Role, StaffMember, principal_of_key, staff_of_token};
use crate::{App, call::Actor, http::Problem};

/// Longest bearer token looked at.
const TOKEN_LEN_MAX: usize = 256;

enum Who {
    Staff(StaffMember),
    Tenant(Principal),
}

/// The token of `Authorization: Bearer` or, for OFREP and gateways, `X-API-Key`.
fn token(headers: &HeaderMap) -> Result<&str, Problem> {
    let missing = || {
        Problem::unauthorized("Send a credential with the header `Authorization: Bearer TOKEN`.")
    };
    if let Some(value) = headers.get("x-api-key") {
        return value.to_str().map_err(|_| missing());
    }
    let value = headers.get(header::AUTHORIZATION).ok_or_else(missing)?;
    let value = value.to_str().map_err(|_| missing())?;
    let (scheme, token) = value.split_once(' ').ok_or_else(missing)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(missing());
    }
    Ok(token.trim())
}

/// The bearer of a call, whatever it is; 401 where there is none.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    token(headers)
}

/// Whether a call carries a credential of staff or an API key; 401 where it does not.
pub(crate) async fn is_known(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    who(headers, app).await.map(|_| ())
}

async fn who(headers: &HeaderMap, app: &App) -> Result<Who, Problem> {
    let invalid = || Problem::unauthorized("The credential is not valid, or no longer.");
    let token = token(headers)?;
    if token.is_empty() || token.len() > TOKEN_LEN_MAX {
        return Err(invalid());
    }
    // The shape tells the kind: a key's checksum is checked before any look-up.
    if let Ok(key) = tenure_license::ApiKey::parse(token) {
        return principal_of_key(app, &key).await?.map(Who::Tenant).ok_or_else(invalid);
    }
    staff_of_token(app, token).await?.map(Who::Staff).ok_or_else(invalid)
}

/// The vendor's staff, in any role.
pub struct Staff(pub StaffMember);

impl FromRequestParts<App> for Staff {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match who(&parts.headers, app).await? {
            Who::Staff(staff) => Ok(Self(staff)),
            Who::Tenant(_) => Err(Problem::forbidden(
                "This operation is the vendor's; a tenant's API key cannot do it.",
            )),
        }
    }
}

/// The vendor's staff, allowed to change things.
pub struct Admin(pub Actor);

impl FromRequestParts<App> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Staff(staff) = Staff::from_request_parts(parts, app).await?;
        if staff.role != Role::Admin {
            return Err(Problem::forbidden(
                "This credential may look but not change; use one of role `admin`.",
            ));
        }
        Ok(Self(staff.actor()))
    }
}

/// A tenant's API key.
pub struct ApiKey(pub Principal);

impl ApiKey {
    /// As the trail names it.
    pub fn actor(&self) -> Actor {
        Actor::ApiKey { id: self.0.key, tenant: self.0.tenant }
    }
}

impl FromRequestParts<App> for ApiKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match who(&parts.headers, app).await? {
            Who::Tenant(principal) => Ok(Self(principal)),
            Who::Staff(_) => Err(Problem::forbidden(
                "This operation acts for a tenant; use one of its API keys.",
            )),
        }
    }
}
