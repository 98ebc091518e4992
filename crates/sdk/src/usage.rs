//! Recording usage: a bounded queue whose events are sent in batches until they are taken.
//!
//! An event gets its id once, when it is recorded. Sending it again is safe: it is counted once.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::Value;
use tenure_api::usage::Event;
use uuid::Uuid;

use crate::{Error, source::Source};

/// Most events that wait.
pub const QUEUE_MAX: usize = 10_000;
/// Most events sent at once: what one ledger entry of an agent holds.
pub const BATCH_MAX: usize = 500;
const RETRY_FIRST: Duration = Duration::from_secs(5);
const RETRY_MAX: Duration = Duration::from_secs(300);

pub(crate) struct Recorder {
    origin: String,
    queue: Mutex<VecDeque<Event>>,
    refused: AtomicU64,
    backoff: Mutex<Option<(Instant, Duration)>>,
}

impl Recorder {
    pub(crate) fn new(origin: String) -> Self {
        let (queue, backoff) = (Mutex::default(), Mutex::default());
        Self { origin, queue, refused: AtomicU64::new(0), backoff }
    }

    /// Queues one event; its id, or `None` when the queue is full.
    pub(crate) fn record(
        &self,
        kind: &str,
        data: Option<Value>,
        time: Timestamp,
    ) -> Option<String> {
        let mut queue = self.queue();
        if queue.len() >= QUEUE_MAX {
            self.refuse(1, "the queue is full");
            return None;
        }
        let event = self.event(kind, data, time, None);
        let id = event.id.clone();
        queue.push_back(event);
        Some(id)
    }

    /// An event of this origin; `id` names it where the product has a name for what it counts.
    pub(crate) fn event(
        &self,
        kind: &str,
        data: Option<Value>,
        time: Timestamp,
        id: Option<&str>,
    ) -> Event {
        Event {
            specversion: "1.0".into(),
            id: id.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned),
            source: self.origin.clone(),
            kind: kind.into(),
            time,
            data,
        }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.queue().len()
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Sends what waits, unless a failure was too recent.
    pub(crate) async fn flush_patiently(&self, to: &Source) {
        let due = self.backoff().is_none_or(|(not_before, _)| Instant::now() >= not_before);
        if due && let Err(error) = self.flush(to).await {
            tracing::warn!(%error, waiting = self.waiting(), "usage waits");
        }
    }

    /// Sends what waits. Only one thread sends, so what is taken off the front is what was sent.
    pub(crate) async fn flush(&self, to: &Source) -> Result<(), Error> {
        loop {
            let batch: Vec<Event> = self.queue().iter().take(BATCH_MAX).cloned().collect();
            if batch.is_empty() {
                return Ok(());
            }
            match to.send_usage(&batch).await {
                Ok(refused) => refused.iter().for_each(|why| self.refuse(1, why)),
                Err(error) if error.worth_retrying() => {
                    let mut backoff = self.backoff();
                    let wait = backoff.map_or(RETRY_FIRST, |(_, wait)| (wait * 2).min(RETRY_MAX));
                    *backoff = Some((Instant::now() + wait, wait));
                    return Err(error);
                }
                Err(error) => self.refuse(batch.len() as u64, &error.to_string()),
            }
            *self.backoff() = None;
            self.queue().drain(..batch.len());
        }
    }

    fn refuse(&self, events: u64, why: &str) {
        self.refused.fetch_add(events, Ordering::Relaxed);
        tracing::error!(events, why, "usage was not taken");
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn backoff(&self) -> MutexGuard<'_, Option<(Instant, Duration)>> {
        self.backoff.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
