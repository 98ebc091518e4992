//! Who may ask.
//!
//! The secret shows that it is a program of the same owner. The `Host` header
//! shows that a browser was not led here by a name that resolves to 127.0.0.1.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri, header},
    middleware::Next,
    response::Response,
};

use super::problem::problem;
use crate::Agent;

const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

pub(super) async fn host(
    State(agent): State<Arc<Agent>>,
    request: Request,
    next: Next,
) -> Response {
    let asked = host_of(request.headers(), request.uri());
    let known = |host: &&str| {
        LOOPBACK.contains(host) || agent.settings.allowed_hosts.iter().any(|known| known == host)
    };
    match asked.as_deref().filter(known) {
        Some(_) => next.run(request).await,
        None => problem(
            StatusCode::MISDIRECTED_REQUEST,
            "host_refused",
            "The local API answers to localhost only; another name is added with --allow-host.",
        ),
    }
}

/// The name asked for, without the port.
fn host_of(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let named = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let authority = named.or(uri.authority().map(|authority| authority.as_str()))?;
    let port =
        authority.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    Some(port.map_or(authority, |(host, _)| host).to_ascii_lowercase())
}

pub(super) async fn product(
    State(agent): State<Arc<Agent>>,
    request: Request,
    next: Next,
) -> Response {
    match bearer(request.headers()) {
        Some(secret) if agent.secrets.opens(secret) => next.run(request).await,
        _ => refused("local-secret"),
    }
}

pub(super) async fn admin(
    State(agent): State<Arc<Agent>>,
    request: Request,
    next: Next,
) -> Response {
    match bearer(request.headers()) {
        Some(secret) if agent.secrets.opens_admin(secret) => next.run(request).await,
        _ => refused("admin-secret"),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, secret) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(secret)
}

fn refused(file: &str) -> Response {
    let detail = format!(
        "Send `Authorization: Bearer SECRET`; the secret is in `{file}` in the data directory."
    );
    problem(StatusCode::UNAUTHORIZED, "local_secret", &detail)
}
