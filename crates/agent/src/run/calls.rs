//! One call: its body, the order around it, and what is remembered of it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use rust_decimal::Decimal;
use tenure_api::licensing::{Activate, Heartbeat, Release, STATS_MAX};
use tenure_license::instance::Purpose;

use crate::{
    Agent, Error,
    agent::{Inner, random_u64},
    error::Result,
    machine::{self, Call, CallKind},
    store::Sent,
};

/// What the product said last that it holds (teams, users): told in heartbeats.
#[derive(Debug, Default)]
pub struct Gauges(Mutex<BTreeMap<String, Decimal>>);

impl Gauges {
    /// The product holds so many.
    pub fn set(&self, name: &str, held: Decimal) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < STATS_MAX || all.contains_key(name) {
            all.insert(name.to_owned(), held);
        }
    }

    /// All, by name.
    pub fn all(&self) -> BTreeMap<String, Decimal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

const fn path(purpose: Purpose) -> (&'static str, &'static str) {
    match purpose {
        Purpose::Activate => ("activate", "/api/v1/activate"),
        Purpose::Heartbeat => ("heartbeat", "/api/v1/heartbeat"),
        Purpose::Release => ("release", "/api/v1/release"),
    }
}

impl Agent {
    /// Makes the call that is due, or sends the outstanding one again as it is.
    pub(super) async fn call(&self, kind: CallKind) -> Result<()> {
        let call = self.written_down(kind).await?;
        let Some(http) = &self.http else { return Ok(()) };
        let (what, path) = path(call.purpose);
        let answer = tokio::select! {
            answer = http.call(path, &call.proof, call.body.clone().into_bytes()) => answer,
            // It is written down: the next start sends it again.
            () = self.stop.cancelled() => return Ok(()),
        };
        let outcome = match &answer {
            Ok(answer) => format!("HTTP {}", answer.status),
            Err(why) => why.clone(),
        };
        self.answered(&call, answer).await?;
        self.remember(what, &format!("{}{path}", http.base()), &call.body, outcome).await
    }

    /// The outstanding call, or a new one, on the disk before it is sent.
    async fn written_down(&self, kind: CallKind) -> Result<Call> {
        let mut inner = self.inner.lock().await;
        if let Some(call) = &inner.state.outstanding {
            return Ok(call.clone());
        }
        let body = self.body(&inner, kind).await?;
        let now = self.now();
        let Inner { state, seed, .. } = &mut *inner;
        state.salt = random_u64()?;
        let call = machine::prepare(state, kind, body, seed.key(), now)
            .map_err(|error| Error::refused(error.code(), error.to_string()))?
            .clone();
        self.save(&mut inner).await?;
        Ok(call)
    }

    /// What the call says.
    pub(crate) async fn body(&self, inner: &Inner, kind: CallKind) -> Result<String> {
        let settings = &self.settings;
        let written = match kind {
            CallKind::Activate => serde_json::to_string(&Activate {
                license_key: inner.license_key.clone(),
                customer_id: settings.customer_id.clone(),
                deployment_id: settings.deployment_id,
                k8s_cluster_uid: settings.k8s_cluster_uid.clone(),
                name: settings.name.clone(),
                version: settings.version.clone(),
            }),
            CallKind::Heartbeat { renew } => serde_json::to_string(&Heartbeat {
                token: None,
                instance: None,
                usage_stats: self.usage_stats(inner).await?,
                revision: inner.state.revision(),
                epoch: Some(inner.state.epoch()),
                renew,
                version: settings.version.clone(),
            }),
            CallKind::Release => serde_json::to_string(&Release { reason: inner.release.clone() }),
        };
        written.map_err(|error| Error::Damaged { what: "a call", why: error.to_string() })
    }

    /// What the product holds and did, as far as this agent was asked about it.
    async fn usage_stats(&self, inner: &Inner) -> Result<BTreeMap<String, Decimal>> {
        let mut stats = self.gauges.all();
        let Some(license) = inner.license.clone() else { return Ok(stats) };
        let floor = self.now().max(inner.state.floor.unwrap_or_else(|| self.now()));
        for (id, limit) in &license.claims().limits {
            let Some(per) = limit.per else { continue };
            let used = self.store.used(id, crate::quota::window_start(per, floor)).await?;
            if !used.value().is_zero() && stats.len() < STATS_MAX {
                stats.insert(id.clone(), used.value());
            }
        }
        Ok(stats)
    }

    /// Keeps what was sent, for the customer to look at.
    pub(super) async fn remember(
        &self,
        what: &str,
        to: &str,
        body: &str,
        outcome: String,
    ) -> Result<()> {
        let sent = Sent {
            at: self.now(),
            what: what.to_owned(),
            to: to.to_owned(),
            bytes: body.len() as u64,
            body: blotted(body),
            outcome,
        };
        self.store.remember_sent(&sent).await
    }
}

/// A body without its license key.
pub(crate) fn blotted(body: &str) -> String {
    match serde_json::from_str::<serde_json::Value>(body) {
        Ok(mut json) if json.get("license_key").is_some_and(serde_json::Value::is_string) => {
            json["license_key"] = "(the license key)".into();
            json.to_string()
        }
        _ => body.to_owned(),
    }
}
