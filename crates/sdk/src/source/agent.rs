//! The agent on this machine.

use std::fmt;

use jiff::Timestamp;
use reqwest::header;
use serde::Deserialize;
use serde_json::Value;
use tenure_api::usage::Event;
use tenure_core::Quantity;
use tenure_license::enforcement::Decision;

use super::Grant;
use crate::{Error, http};

/// Where an agent listens when nothing else is said.
pub(crate) const AGENT_ADDRESS: &str = "http://127.0.0.1:8766";

/// An agent, opened with its local secret.
#[derive(Clone)]
pub struct Agent {
    http: reqwest::Client,
    address: String,
    secret: String,
}

/// The secret is not shown.
impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Agent({})", self.address)
    }
}

/// What is used of `GET /v1/license`. The readable fields beside are for people.
#[derive(Deserialize)]
struct Answer {
    license: Option<String>,
    lease: Option<String>,
    revocations: Option<String>,
    #[serde(default)]
    held_since: Value,
    #[serde(default)]
    floor: Value,
}

impl Agent {
    /// The agent at `address`.
    pub fn new(address: &str, secret: &str) -> Result<Self, Error> {
        let address = address.trim_end_matches('/').to_owned();
        Ok(Self { http: http::client(true)?, address, secret: secret.trim().to_owned() })
    }

    /// What the agent holds.
    pub async fn license(&self) -> Result<Grant, Error> {
        let url = format!("{}/v1/license", self.address);
        let answer: Answer = http::send(self.http.get(url).bearer_auth(&self.secret)).await?;
        Ok(Grant {
            license: answer.license,
            lease: answer.lease,
            revocations: answer.revocations,
            held_since: moment(&answer.held_since),
            floor: moment(&answer.floor),
            ..Grant::default()
        })
    }

    /// Checks a quota and records the event, both or neither.
    pub(crate) async fn consume(
        &self,
        quota: &str,
        quantity: Quantity,
        event: &Event,
    ) -> Result<Decision, Error> {
        let url = format!("{}/v1/quota/{quota}/consume", self.address);
        let body = serde_json::json!({ "quantity": quantity, "event": event });
        http::send(self.http.post(url).bearer_auth(&self.secret).json(&body)).await
    }

    pub(super) async fn send_usage(&self, events: &[Event]) -> Result<Vec<String>, Error> {
        let request = self
            .http
            .post(format!("{}/v1/usage", self.address))
            .bearer_auth(&self.secret)
            .header(header::CONTENT_TYPE, "application/cloudevents-batch+json")
            .body(serde_json::to_vec(events).map_err(|e| Error::Unreachable(e.to_string()))?);
        let answer: Value = http::send(request).await?;
        let results = answer["results"].as_array().map(Vec::as_slice).unwrap_or_default();
        let refused = results
            .iter()
            .filter(|result| matches!(result["outcome"].as_str(), Some("rejected" | "conflict")));
        Ok(refused.map(Value::to_string).collect())
    }
}

/// RFC 3339 or whole seconds; anything else is not used.
fn moment(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => text.parse().ok(),
        number => Timestamp::from_second(number.as_i64()?).ok(),
    }
}
