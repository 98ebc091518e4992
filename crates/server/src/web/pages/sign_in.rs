//! Signing in and out.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use askama::Template;
use axum::{
    Extension, Form,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use crate::{
    App,
    http::{Problem, Query},
    identity::sessions,
    web::{
        frame::page,
        session::{SIGN_IN, own_form, safe_next},
        sign_in_limit::SignInLimit,
    },
};

#[derive(Template)]
#[template(path = "console/sign-in.html")]
struct SignInPage {
    next: String,
    error: Option<String>,
}

/// Where to go afterwards.
#[derive(Deserialize)]
pub(in crate::web) struct Next {
    next: Option<String>,
}

/// `GET /console/sign-in`
pub(in crate::web) async fn show(Query(query): Query<Next>) -> Result<Response, Problem> {
    let next = safe_next(query.next.as_deref()).to_owned();
    page(&SignInPage { next, error: None })
}

/// The form.
#[derive(Deserialize)]
pub(in crate::web) struct SignIn {
    credential: String,
    next: Option<String>,
}

/// `POST /console/sign-in`
pub(in crate::web) async fn submit(
    State(app): State<App>,
    Extension(limit): Extension<Arc<SignInLimit>>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    Form(form): Form<SignIn>,
) -> Result<Response, Problem> {
    from_here(&headers)?;
    let next = safe_next(form.next.as_deref()).to_owned();
    let address = peer.map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0.0.ip());
    if let Err(seconds) = limit.attempt(address) {
        let error = format!("Too many attempts from this address. Try again in {seconds} seconds.");
        let mut response = page(&SignInPage { next, error: Some(error) })?;
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        return Ok(response);
    }
    match sessions::sign_in(&app, &form.credential).await? {
        Some(secret) => {
            let cookie = cookie(&app, &secret, sessions::SESSION_HOURS * 3_600)?;
            Ok(([(header::SET_COOKIE, cookie)], Redirect::to(&next)).into_response())
        }
        None => {
            let error = Some("This credential is not known or was revoked.".to_owned());
            let mut response = page(&SignInPage { next, error })?;
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            Ok(response)
        }
    }
}

/// `POST /console/sign-out`
pub(in crate::web) async fn sign_out(
    State(app): State<App>,
    request: Request,
) -> Result<Response, Response> {
    let headers = request.headers().clone();
    own_form(request, &app).await?;
    let end = async {
        if let Some(secret) = sessions::secret(&headers) {
            sessions::sign_out(&app, secret).await?;
        }
        cookie(&app, "", 0)
    };
    let cookie = end.await.map_err(Problem::into_response)?;
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(SIGN_IN)).into_response())
}

/// Another site must not sign somebody in here as somebody else. Before a
/// session there is no form token, so the browser is asked where the form was.
pub(in crate::web) fn from_here(headers: &HeaderMap) -> Result<(), Problem> {
    let site = headers.get(HeaderName::from_static("sec-fetch-site"));
    match site.and_then(|value| value.to_str().ok()) {
        None | Some("same-origin" | "none") => Ok(()),
        Some(_) => Err(Problem::forbidden("Sign in on the page of this server.")),
    }
}

fn cookie(app: &App, secret: &str, seconds: i64) -> Result<HeaderValue, Problem> {
    let secure = if app.config().public_url.starts_with("https://") { "; Secure" } else { "" };
    let name = sessions::COOKIE;
    let text =
        format!("{name}={secret}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    HeaderValue::from_str(&text).map_err(Problem::internal)
}
