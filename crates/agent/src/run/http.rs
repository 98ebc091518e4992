//! The way to the license service: one POST at a time.
//!
//! Owns: timeouts, authorities, the bound on answers. Proxies are taken from the
//! environment (`HTTPS_PROXY`, `NO_PROXY`). Refuses: redirects (a license key is
//! not to be carried to wherever an answer points), plain HTTP to anything but
//! this machine, and answers longer than the longest token list.

use std::time::Duration;

use reqwest::{Certificate, Client, Url, header, redirect};
use tenure_api::licensing::PROOF_HEADER;

use crate::{Error, error::Result};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(30);
/// A report may be large and is counted before it is answered.
const REPORT_TIMEOUT: Duration = Duration::from_secs(120);
/// Longest answer: a revocation list (1 MiB), a license and words.
const ANSWER_LEN_MAX: usize = 2 * 1024 * 1024;
/// Idle connections are not kept: between two heartbeats lie minutes.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Retry-After`, in seconds.
    pub retry_after_seconds: Option<u64>,
    /// The body.
    pub body: Vec<u8>,
}

/// A connection to a license service.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client,
    base: String,
}

impl Http {
    /// A client of the service at `base`, believing `ca_pem` beside the system's authorities.
    pub fn new(base: &str, ca_pem: Option<&[u8]>) -> Result<Self> {
        let base = base.trim_end_matches('/').to_owned();
        check_address(&base)?;
        let wrong = |error: reqwest::Error| Error::Setting(format!("HTTP: {}", plain(&error)));
        let mut builder = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(1)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("tenure-agent/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = ca_pem {
            let extra = Certificate::from_pem_bundle(pem).map_err(wrong)?;
            if extra.is_empty() {
                return Err(Error::Setting("the file of authorities holds no certificate".into()));
            }
            builder = builder.tls_certs_merge(extra);
        }
        Ok(Self { client: builder.build().map_err(wrong)?, base })
    }

    /// The service's address.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Sends a call with its proof.
    ///
    /// # Errors
    /// The sentence why no answer came. The service may have acted all the same.
    pub async fn call(
        &self,
        path: &str,
        proof: &str,
        body: Vec<u8>,
    ) -> std::result::Result<Answer, String> {
        let request = self
            .client
            .post(format!("{}{path}", self.base))
            .header(PROOF_HEADER, proof)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body);
        self.answer(request).await
    }

    /// Sends a usage report.
    ///
    /// # Errors
    /// The sentence why no answer came.
    pub async fn report(&self, path: &str, report: String) -> std::result::Result<Answer, String> {
        let request = self
            .client
            .post(format!("{}{path}", self.base))
            .header(header::CONTENT_TYPE, "text/plain; charset=utf-8")
            .timeout(REPORT_TIMEOUT)
            .body(report);
        self.answer(request).await
    }

    /// Sends a request for slices of quotas, signed in itself.
    ///
    /// # Errors
    /// The sentence why no answer came.
    pub async fn slice(&self, path: &str, signed: String) -> std::result::Result<Answer, String> {
        let request = self
            .client
            .post(format!("{}{path}", self.base))
            .header(header::CONTENT_TYPE, "text/plain; charset=utf-8")
            .body(signed);
        self.answer(request).await
    }

    async fn answer(
        &self,
        request: reqwest::RequestBuilder,
    ) -> std::result::Result<Answer, String> {
        let mut response = request.send().await.map_err(|error| plain(&error))?;
        let status = response.status().as_u16();
        let retry = response.headers().get(header::RETRY_AFTER);
        let retry_after_seconds = retry.and_then(|value| value.to_str().ok()?.parse().ok());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| plain(&error))? {
            if body.len() + chunk.len() > ANSWER_LEN_MAX {
                return Err(format!("the answer is longer than {ANSWER_LEN_MAX} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, retry_after_seconds, body })
    }
}

fn check_address(base: &str) -> Result<()> {
    let wrong = |why: &str| Err(Error::Setting(format!("`{base}` {why}")));
    let Ok(url) = Url::parse(base) else {
        return wrong("is not the address of a license service; write https://HOST");
    };
    let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match url.scheme() {
        "https" => Ok(()),
        "http" if local => Ok(()),
        "http" => wrong("would carry the license key unencrypted; write https://HOST"),
        _ => wrong("is not the address of a license service; write https://HOST"),
    }
}

/// The innermost reason: "connection refused" tells more than "error sending request".
fn plain(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    match (error.is_timeout(), error.is_connect()) {
        (true, _) => "no answer in time".to_owned(),
        (_, true) => format!("cannot connect: {inner}"),
        _ => inner.to_string(),
    }
}
