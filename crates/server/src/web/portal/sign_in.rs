//! Signing in and out of the portal.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use askama::Template;
use axum::{
    Extension, Form,
    extract::{ConnectInfo, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use subtle::ConstantTimeEq;
use tenure_license::{LicenseKey, key_string::KeyStringError};

use super::session::{SIGN_IN, Visitor};
use crate::{
    App,
    http::Problem,
    identity::portal,
    web::{frame::page, pages::sign_in::from_here, sign_in_limit::SignInLimit},
};

#[derive(Template)]
#[template(path = "portal/sign-in.html")]
struct SignInPage {
    error: Option<String>,
}

/// `GET /portal/sign-in`
pub(super) async fn show() -> Result<Response, Problem> {
    page(&SignInPage { error: None })
}

/// The form.
#[derive(Deserialize)]
pub(super) struct SignIn {
    key: String,
}

fn again(status: StatusCode, error: impl Into<String>) -> Result<Response, Problem> {
    let mut response = page(&SignInPage { error: Some(error.into()) })?;
    *response.status_mut() = status;
    Ok(response)
}

/// `POST /portal/sign-in`
pub(super) async fn submit(
    State(app): State<App>,
    Extension(limit): Extension<Arc<SignInLimit>>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    Form(form): Form<SignIn>,
) -> Result<Response, Problem> {
    from_here(&headers)?;
    let address = peer.map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0.0.ip());
    if let Err(seconds) = limit.attempt(address) {
        let error = format!("Too many attempts from this address. Try again in {seconds} seconds.");
        let mut response = again(StatusCode::TOO_MANY_REQUESTS, error)?;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        return Ok(response);
    }
    match portal::sign_in(&app, &form.key).await? {
        Some(secret) => {
            let cookie = cookie(&app, &secret, portal::SESSION_HOURS * 3_600)?;
            Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/portal")).into_response())
        }
        None => again(StatusCode::UNAUTHORIZED, why(&form.key)),
    }
}

/// A key that was mistyped is told from one that nobody has: its last group says so.
fn why(typed: &str) -> &'static str {
    match LicenseKey::parse(typed.trim()) {
        Err(KeyStringError::Mistyped) => {
            "The license key has a typing mistake; compare it group by group."
        }
        _ => "This key is not known, or it was revoked.",
    }
}

/// `POST /portal/sign-out`
pub(super) async fn sign_out(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(fields): Form<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let given = fields.get("form_token").map_or("", String::as_str);
    if !bool::from(given.as_bytes().ct_eq(visitor.form_token.as_bytes())) {
        let detail = "This form is not from your session. Go back, reload the page and try again.";
        return Err(Problem::forbidden(detail));
    }
    if let Some(secret) = portal::secret(&headers) {
        portal::sign_out(&app, secret).await?;
    }
    let cookie = cookie(&app, "", 0)?;
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(SIGN_IN)).into_response())
}

fn cookie(app: &App, secret: &str, seconds: i64) -> Result<HeaderValue, Problem> {
    let secure = if app.config().public_url.starts_with("https://") { "; Secure" } else { "" };
    let name = portal::COOKIE;
    let text =
        format!("{name}={secret}; Path=/portal; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    HeaderValue::from_str(&text).map_err(Problem::internal)
}
