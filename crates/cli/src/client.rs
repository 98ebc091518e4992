//! Asking a server, and telling people what it answered when it refused.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::Value;

use crate::{
    common::Common,
    error::{Error, Result},
    output,
};

/// How long a server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The start of every path of the vendor's API.
const ADMIN: [&str; 3] = ["api", "v1", "admin"];

/// A server and the credential to ask it with.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<String>,
}

impl Client {
    /// As the command line says.
    pub(crate) fn new(common: &Common) -> Result<Self> {
        let token = common.token.clone().or_else(|| common.admin_token.clone());
        Self::to(&common.url, token)
    }

    /// A server at an address.
    pub(crate) fn to(url: &str, token: Option<String>) -> Result<Self> {
        let base: Url = url.parse().map_err(|error| {
            Error::new(format!("`{url}` is no address of a server: {error}"))
                .hint("an address looks like https://tenure.example or http://127.0.0.1:8765")
        })?;
        if base.cannot_be_a_base() || !matches!(base.scheme(), "http" | "https") {
            return Err(Error::new(format!("`{url}` is no http or https address")));
        }
        let http = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        Ok(Self { http, base, token })
    }

    /// The same server with another credential.
    #[must_use]
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// A request; each part of the path is escaped.
    pub(crate) fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let request = self.http.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// A request of the vendor's API.
    pub(crate) fn admin(&self, method: Method, path: &[&str]) -> RequestBuilder {
        self.request(method, &[&ADMIN[..], path].concat())
    }

    /// Sends it; an answer that refuses is an error.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = response.text().await.unwrap_or_default();
        Err(refusal(status, &body))
    }

    /// Sends it and reads JSON.
    pub(crate) async fn json(&self, request: RequestBuilder) -> Result<Value> {
        let response = self.send(request).await?;
        let text = response.text().await.map_err(|error| self.unreachable(&error))?;
        serde_json::from_str(&text).map_err(|_| {
            Error::new(format!("{} did not answer as a Tenure server does", self.base))
                .hint("check the address in --url or TENURE_URL")
        })
    }

    /// Reads from the vendor's API.
    pub(crate) async fn get(&self, path: &[&str]) -> Result<Value> {
        self.json(self.admin(Method::GET, path)).await
    }

    /// Reads a part of a list of the vendor's API.
    pub(crate) async fn find(&self, path: &[&str], query: &[(&str, String)]) -> Result<Value> {
        self.json(self.admin(Method::GET, path).query(query)).await
    }

    /// Makes something, or makes something happen.
    pub(crate) async fn post(&self, path: &[&str], body: &Value) -> Result<Value> {
        self.json(self.admin(Method::POST, path).json(body)).await
    }

    /// As [`Self::post`], safe to repeat within a day.
    pub(crate) async fn post_once(&self, path: &[&str], key: &str, body: &Value) -> Result<Value> {
        let request = self.admin(Method::POST, path).header("idempotency-key", key);
        self.json(request.json(body)).await
    }

    /// Makes something happen that needs no parameters.
    pub(crate) async fn act(&self, path: &[&str]) -> Result<Value> {
        self.json(self.admin(Method::POST, path)).await
    }

    /// Replaces something.
    pub(crate) async fn put(&self, path: &[&str], body: &Value) -> Result<Value> {
        self.json(self.admin(Method::PUT, path).json(body)).await
    }

    /// Changes something.
    pub(crate) async fn patch(&self, path: &[&str], body: &Value) -> Result<Value> {
        self.json(self.admin(Method::PATCH, path).json(body)).await
    }

    /// Ends something.
    pub(crate) async fn delete(&self, path: &[&str]) -> Result<Value> {
        self.json(self.admin(Method::DELETE, path)).await
    }

    fn unreachable(&self, error: &reqwest::Error) -> Error {
        // The innermost reason is the one that people know: "Connection refused".
        let mut reason: &dyn std::error::Error = error;
        while let Some(source) = reason.source() {
            reason = source;
        }
        let what = if error.is_timeout() { "did not answer in time" } else { "cannot be reached" };
        Error::new(format!("{} {what}: {reason}", self.base))
            .hint("start a server with `tenure serve`, or name one with --url or TENURE_URL")
    }
}

/// A problem of the server (RFC 9457) as an error of the command.
fn refusal(status: StatusCode, body: &str) -> Error {
    let problem: Value = serde_json::from_str(body).unwrap_or(Value::Null);
    let detail = problem["detail"].as_str().unwrap_or_default();
    let title = problem["title"].as_str().unwrap_or(status.canonical_reason().unwrap_or("refused"));
    let errors = problem["errors"].as_array().map_or(&[][..], Vec::as_slice);
    let message = match errors.len() {
        0 if !detail.is_empty() => detail.to_owned(),
        0 => format!("the server answered {status}"),
        _ => title.to_owned(),
    };
    let error = Error::new(message).status(status.as_u16());
    let error = error.details(errors.iter().map(field).collect());
    let request = problem["instance"].as_str();
    match (status.as_u16(), request) {
        (401, _) => error.hint("give a vendor credential with --token or TENURE_TOKEN"),
        (503, _) => error.hint("nothing was changed: try again in a moment"),
        (500.., Some(id)) => error.hint(format!("the server's log has more under request {id}")),
        _ => error,
    }
}

/// `plan: There is no plan ...`
fn field(error: &Value) -> String {
    let detail = error["detail"].as_str().unwrap_or_default();
    let pointer = error["pointer"].as_str().unwrap_or_default();
    match pointer.trim_start_matches('/').replace('/', ".") {
        name if name.is_empty() => detail.to_owned(),
        name => format!("{name}: {detail}"),
    }
}

/// The one subscription of a tenant, where the caller names none.
pub(crate) async fn subscription(
    client: &Client,
    tenant: &str,
    named: Option<&str>,
) -> Result<String> {
    if let Some(id) = named {
        return Ok(id.to_owned());
    }
    let all = client.get(&["tenants", tenant, "subscriptions"]).await?;
    let items = all["items"].as_array().map_or(&[][..], Vec::as_slice);
    let open: Vec<&Value> = items.iter().filter(|one| one["status"] != "cancelled").collect();
    match open.as_slice() {
        [one] => Ok(output::text_at(one, "/id")),
        [] => Err(Error::new(format!("{tenant} has no subscription in use"))
            .hint(format!("sell it one: tenure subscription create {tenant} --product PRODUCT"))),
        many => {
            let name = |one: &&Value| {
                format!(
                    "{}  {} {}",
                    output::text_at(one, "/id"),
                    output::text_at(one, "/product"),
                    output::text_at(one, "/plan")
                )
            };
            Err(Error::new(format!("{tenant} has {} subscriptions; say which", many.len()))
                .details(many.iter().map(name).collect()))
        }
    }
}

/// The id of a tenant's deployment, by id or name; the only one where none is named.
pub(crate) async fn deployment(
    client: &Client,
    tenant: &str,
    named: Option<&str>,
) -> Result<String> {
    if let Some(id) = named.filter(|id| id.starts_with("dep_")) {
        return Ok(id.to_owned());
    }
    let all = client.get(&["tenants", tenant, "deployments"]).await?;
    let items = all["items"].as_array().map_or(&[][..], Vec::as_slice);
    let fits = |one: &&Value| match named {
        Some(name) => one["name"] == name && one["status"] != "retired",
        None => one["status"] != "retired",
    };
    let found: Vec<&Value> = items.iter().filter(fits).collect();
    match found.as_slice() {
        [one] => Ok(output::text_at(one, "/id")),
        [] => Err(Error::new(format!("{tenant} has no such deployment in use"))
            .hint(format!("see them: tenure deployment list {tenant}"))),
        many => {
            let name = |one: &&Value| {
                format!(
                    "{}  {} {}",
                    output::text_at(one, "/id"),
                    output::text_at(one, "/name"),
                    output::text_at(one, "/model")
                )
            };
            Err(Error::new(format!("{} deployments fit; say which by its id", many.len()))
                .details(many.iter().map(name).collect()))
        }
    }
}
