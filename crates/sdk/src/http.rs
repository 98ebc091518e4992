//! One request, one bounded answer. Refuses redirects: a credential goes where it was meant to.

use std::time::Duration;

use reqwest::{RequestBuilder, header, redirect::Policy};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Error;

const TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer that is read, in bytes: a license, a lease and a revocation list fit well.
const ANSWER_LEN_MAX: usize = 4 * 1024 * 1024;

/// A client; a `local` one never goes through a proxy.
pub(crate) fn client(local: bool) -> Result<reqwest::Client, Error> {
    let builder = reqwest::Client::builder().timeout(TIMEOUT).redirect(Policy::none());
    let builder = if local { builder.no_proxy() } else { builder };
    builder.build().map_err(|error| Error::Unreachable(error.to_string()))
}

pub(crate) async fn send<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, Error> {
    let unreachable = |error: reqwest::Error| Error::Unreachable(error.to_string());
    let mut answer =
        request.header(header::ACCEPT, "application/json").send().await.map_err(unreachable)?;
    let status = answer.status();
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > ANSWER_LEN_MAX {
            return Err(Error::Unreachable("the answer is too large to be read".into()));
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return serde_json::from_slice(&body)
            .map_err(|error| Error::Unreachable(format!("the answer cannot be read: {error}")));
    }
    let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
    let detail = problem["detail"].as_str().or(status.canonical_reason()).unwrap_or("refused");
    Err(Error::Refused { status: status.as_u16(), detail: detail.to_owned() })
}
