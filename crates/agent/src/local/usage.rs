//! Usage in, and what went out.

use std::sync::Arc;

use axum::{Json, body::Bytes, extract::State};
use serde_json::{Value, json};
use tenure_api::usage::Receipt;

use crate::{Agent, Error, machine::CallKind, run::blotted, spool, store::SENT_MAX};

/// CloudEvents: one, or an array. Answered when the disk has them.
pub(super) async fn take(
    State(agent): State<Arc<Agent>>,
    body: Bytes,
) -> Result<Json<Receipt<'static>>, Error> {
    Ok(Json(agent.take_usage(&body).await?))
}

/// What was sent, and what the next heartbeat would say.
pub(super) async fn sent(State(agent): State<Arc<Agent>>) -> Result<Json<Value>, Error> {
    Ok(Json(agent.what_is_sent().await?))
}

impl Agent {
    /// Takes CloudEvents in; returns when the disk has them.
    pub async fn take_usage(&self, body: &[u8]) -> Result<Receipt<'static>, Error> {
        let now = self.now();
        let readings = spool::read(body, now)?;
        // Never before the time floor: a clock that was set back dates no usage back.
        let at = now.max(self.view().state.floor.unwrap_or(now));
        self.spool.take(readings, at).await
    }

    /// What left this machine, and what will.
    pub async fn what_is_sent(&self) -> Result<Value, Error> {
        let sent = self.store.sent(usize::try_from(SENT_MAX).unwrap_or(usize::MAX)).await?;
        let inner = self.inner.lock().await;
        let renew = inner.state.wants_lease(self.now());
        let next = match &inner.state.outstanding {
            Some(call) => call.body.clone(),
            None if inner.state.instance.is_some() => {
                self.body(&inner, CallKind::Heartbeat { renew }).await?
            }
            None => self.body(&inner, CallKind::Activate).await?,
        };
        drop(inner);
        let next: Value = serde_json::from_str(&blotted(&next)).unwrap_or_default();
        Ok(json!({
            "to": self.settings.server,
            "sent": sent,
            "next": self.settings.server.as_ref().map(|_| next),
            "usage_to_be_forwarded": self.store.unreported().await?,
        }))
    }
}
