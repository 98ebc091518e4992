//! The vendor's server.

use jiff::Timestamp;
use serde_json::json;
use tenure_api::{
    licensing::{Activate, Validate, Validation},
    usage::{Event, Outcome},
};
use tenure_license::{LicenseKey, state::Revocation};

use super::Grant;
use crate::{Error, http};

/// The server, asked with a license key.
#[derive(Clone)]
pub struct Server {
    http: reqwest::Client,
    address: String,
    key: Option<LicenseKey>,
    usage: Option<tenure_api::Client>,
}

/// Neither key is shown.
impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Server({})", self.address)
    }
}

impl Server {
    /// The server at `address`. `key` is exchanged for a license; `api_key` opens the usage API.
    pub fn new(
        address: &str,
        key: Option<LicenseKey>,
        api_key: Option<String>,
    ) -> Result<Self, Error> {
        let usage = api_key.map(|api_key| tenure_api::Client::new(address, api_key)).transpose()?;
        let address = address.trim_end_matches('/').to_owned();
        Ok(Self { http: http::client(false)?, address, key, usage })
    }

    pub(super) const fn takes_usage(&self) -> bool {
        self.usage.is_some()
    }

    /// Exchanges the license key for a license. No key pair is shown, so no lease is given.
    pub async fn activate(&self) -> Result<Grant, Error> {
        let key = self.key.as_ref().ok_or(Error::KeyNeedsServer)?;
        let body = Activate { license_key: Some(key.expose().to_owned()), ..Activate::default() };
        let url = format!("{}/api/v1/activate", self.address);
        // Read loosely: fields for people may change between versions, tokens may not.
        let answer: serde_json::Value = http::send(self.http.post(url).json(&body)).await?;
        let text = |name: &str| answer[name].as_str().map(str::to_owned);
        let (license, revocations) = (text("license_token"), text("revocations"));
        Ok(Grant { license, revocations, ..Grant::default() })
    }

    /// Whether the vendor still stands by a license token.
    pub async fn validate(&self, token: &str) -> Result<Validation, Error> {
        let url = format!("{}/api/v1/validate", self.address);
        http::send(self.http.post(url).json(&json!(Validate { token: token.into() }))).await
    }

    /// What is held, looked at anew; activated again when the vendor has a newer revision.
    pub(super) async fn fetch(
        &self,
        held: Option<(&str, u64)>,
        now: Timestamp,
    ) -> Result<Grant, Error> {
        let Some((token, revision)) = held else { return self.activate().await };
        let validation = self.validate(token).await?;
        if self.key.is_some() && validation.revision.is_some_and(|newest| newest > revision) {
            return self.activate().await;
        }
        let taken_back = match validation.reason.as_str() {
            "revoked" => Revocation::Revoked(now),
            "superseded" => Revocation::Superseded(now),
            _ => Revocation::None,
        };
        Ok(Grant { license: Some(token.to_owned()), taken_back, ..Grant::default() })
    }

    pub(super) async fn send_usage(&self, events: &[Event]) -> Result<Vec<String>, Error> {
        let usage = self.usage.as_ref().ok_or(Error::Missing)?;
        let receipt = usage.send_usage(events).await?;
        let refused = receipt
            .results
            .iter()
            .filter(|result| matches!(result.outcome, Outcome::Rejected | Outcome::Conflict));
        Ok(refused
            .map(|result| format!("{:?}: {:?} {:?}", result.id, result.reason, result.detail))
            .collect())
    }
}
