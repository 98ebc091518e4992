//! Who looks at a page of the portal.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use tenure_core::LicenseId;

use crate::{
    App,
    http::Problem,
    identity::{
        Principal,
        portal::{self, Customer},
        sessions,
    },
    tenants::{self, Tenant},
};

/// Where customers sign in.
pub(super) const SIGN_IN: &str = "/portal/sign-in";

/// A customer with a session. Others are sent to the sign-in page.
pub(super) struct Visitor {
    pub(super) customer: Customer,
    pub(super) tenant: Tenant,
    /// What forms of this session carry.
    pub(super) form_token: String,
}

impl Visitor {
    async fn find(app: &App, headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let Some(secret) = portal::secret(headers) else { return Ok(None) };
        let Some(customer) = portal::customer(app, secret).await? else { return Ok(None) };
        let tenant = tenants::read(app, customer.tenant()).await?;
        Ok(Some(Self { customer, tenant, form_token: sessions::form_token(app, secret) }))
    }
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let found = Self::find(app, &parts.headers).await.map_err(Problem::into_response)?;
        found.ok_or_else(|| Redirect::to(SIGN_IN).into_response())
    }
}

/// Whoever signed in with a license key; others are shown what they have.
pub(super) struct Holder {
    pub(super) visitor: Visitor,
    pub(super) license: LicenseId,
}

impl FromRequestParts<App> for Holder {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let visitor = Visitor::from_request_parts(parts, app).await?;
        match visitor.customer {
            Customer::License(_, license) => Ok(Self { visitor, license }),
            Customer::Key(_) => Err(Redirect::to("/portal/usage").into_response()),
        }
    }
}

/// Whoever signed in with an API key; others are shown what they have.
pub(super) struct KeyUser {
    pub(super) visitor: Visitor,
    pub(super) key: Principal,
}

impl FromRequestParts<App> for KeyUser {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let visitor = Visitor::from_request_parts(parts, app).await?;
        match visitor.customer.clone() {
            Customer::Key(key) => Ok(Self { visitor, key }),
            Customer::License(..) => Err(Redirect::to("/portal").into_response()),
        }
    }
}
