//! The API that a tenant's key opens: entitlements, usage, flags.

use std::time::Duration;

use reqwest::{Method, StatusCode, header};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    flags::{BulkEvaluation, Evaluation, EvaluationRequest},
    usage::{Event, Receipt, UsageSummary},
};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why a request gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address of the server is wrong.
    #[error("`{0}` is not the address of a server; write https://HOST or http://HOST:PORT")]
    Address(String),
    /// The server could not be reached, or the answer not read.
    #[error("{address}: {source}")]
    Transport {
        /// The server.
        address: String,
        /// Why not.
        source: reqwest::Error,
    },
    /// The server refused.
    #[error("{detail} (HTTP {status})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// In the server's words.
        detail: String,
        /// `Retry-After` in seconds: trying again later can help.
        retry_after_seconds: Option<u64>,
    },
    /// The answer is not what this version understands.
    #[error("the server's answer cannot be read: {0}")]
    Answer(#[from] serde_json::Error),
}

/// A connection to a server, as one subscription.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    key: String,
}

impl Client {
    /// A client of the server at `base`, with an API key.
    pub fn new(base: &str, key: impl Into<String>) -> Result<Self, Error> {
        let base = base.trim_end_matches('/').to_owned();
        let known = base.starts_with("http://") || base.starts_with("https://");
        if !known || reqwest::Url::parse(&base).is_err() {
            return Err(Error::Address(base));
        }
        let built = reqwest::Client::builder().timeout(TIMEOUT).build();
        let http = built.map_err(|source| Error::Transport { address: base.clone(), source })?;
        Ok(Self { http, base, key: key.into() })
    }

    /// What the subscription may do now.
    pub async fn entitlements(&self) -> Result<Value, Error> {
        self.get("/api/v1/entitlements").await
    }

    /// Sends events as one batch. Sending a batch again is safe: what was
    /// recorded before is answered as a duplicate.
    pub async fn send_usage(&self, events: &[Event]) -> Result<Receipt<'static>, Error> {
        self.post("/api/v1/usage", "application/cloudevents-batch+json", &events).await
    }

    /// What was used so far, with the last `days` days.
    pub async fn usage_summary(&self, days: u16) -> Result<UsageSummary, Error> {
        self.get(&format!("/api/v1/usage/summary?days={days}")).await
    }

    /// One flag; `None` when there is no such flag.
    pub async fn flag(&self, key: &str) -> Result<Option<Evaluation>, Error> {
        let path = format!("/ofrep/v1/evaluate/flags/{key}");
        match self.post(&path, "application/json", &EvaluationRequest::default()).await {
            Ok(flag) => Ok(Some(flag)),
            Err(Error::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Every flag.
    pub async fn flags(&self) -> Result<BulkEvaluation, Error> {
        let request = EvaluationRequest::default();
        self.post("/ofrep/v1/evaluate/flags", "application/json", &request).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.send(self.http.request(Method::GET, format!("{}{path}", self.base))).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        content_type: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        let request = self
            .http
            .request(Method::POST, format!("{}{path}", self.base))
            .header(header::CONTENT_TYPE, content_type)
            .body(serde_json::to_vec(body)?);
        self.send(request).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<T, Error> {
        let transport = |source| Error::Transport { address: self.base.clone(), source };
        let response = request.bearer_auth(&self.key).send().await.map_err(transport)?;
        let status = response.status();
        let retry_after_seconds = response
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        let body = response.bytes().await.map_err(transport)?;
        if status.is_success() {
            return Ok(serde_json::from_slice(&body)?);
        }
        Err(Error::Refused {
            status: status.as_u16(),
            detail: detail(status, &body),
            retry_after_seconds,
        })
    }
}

/// The server's own words, of a problem or of an OFREP error.
fn detail(status: StatusCode, body: &[u8]) -> String {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let said = json["detail"].as_str().or(json["errorDetails"].as_str());
    said.or(status.canonical_reason()).unwrap_or("refused").to_owned()
}
