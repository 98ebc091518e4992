//! Usage on its way in: checked, named, and on the disk before it is answered.
//!
//! Owns: the queue in front of the database. Requests that arrive while a commit
//! is under way share the next one, so a hundred producers cost one `fsync`.
//! Refuses (507) once the database holds as much as it may; what was accepted
//! before stays.

mod event;

use std::sync::Arc;

use jiff::Timestamp;
use tenure_api::usage::{EventResult, Outcome, Receipt};
use tokio::sync::{mpsc, oneshot};

pub use event::{AHEAD_MAX, BATCH_EVENTS_MAX, HORIZON_DAYS, Reading, Refusal, read};

use crate::{
    Error,
    error::Result,
    store::{Incoming, Store},
};

/// Requests that wait for a commit at most; more are told to come again.
const QUEUE_MAX: usize = 256;
/// Events of one transaction, give or take a request.
const COMMIT_EVENTS_MAX: usize = 5_000;

/// A request's events, and who waits for them.
struct Job {
    at: Timestamp,
    events: Vec<Incoming>,
    answer: oneshot::Sender<Result<Vec<Outcome>>>,
}

/// The way in.
#[derive(Clone)]
pub struct Spool {
    jobs: mpsc::Sender<Job>,
}

impl Spool {
    /// A queue and the task that empties it. The task ends when the last handle
    /// is gone, after what it was given.
    pub fn start(store: Arc<Store>, used_max: u64, server: String) -> Self {
        let (jobs, waiting) = mpsc::channel(QUEUE_MAX);
        tokio::spawn(commit_all(store, used_max, server, waiting));
        Self { jobs }
    }

    /// Takes a request's events in; returns when the disk has them.
    pub async fn take(&self, readings: Vec<Reading>, at: Timestamp) -> Result<Receipt<'static>> {
        let events: Vec<Incoming> =
            readings.iter().filter_map(|reading| reading.event.as_ref().ok().cloned()).collect();
        let outcomes = if events.is_empty() { Vec::new() } else { self.commit(at, events).await? };
        Ok(receipt(readings, outcomes))
    }

    async fn commit(&self, at: Timestamp, events: Vec<Incoming>) -> Result<Vec<Outcome>> {
        let (answer, answered) = oneshot::channel();
        let stopping =
            || Error::refused("stopping", "the agent is stopping; send the events again");
        self.jobs.send(Job { at, events, answer }).await.map_err(|_| stopping())?;
        answered.await.map_err(|_| stopping())?
    }
}

fn receipt(readings: Vec<Reading>, outcomes: Vec<Outcome>) -> Receipt<'static> {
    let mut outcomes = outcomes.into_iter();
    let results: Vec<EventResult<'static>> =
        readings.into_iter().map(|reading| result(reading, &mut outcomes)).collect();
    let count = |outcome| results.iter().filter(|result| result.outcome == outcome).count();
    Receipt {
        accepted: count(Outcome::Accepted),
        duplicates: count(Outcome::Duplicate),
        conflicts: count(Outcome::Conflict),
        rejected: count(Outcome::Rejected),
        results,
    }
}

fn result(reading: Reading, outcomes: &mut impl Iterator<Item = Outcome>) -> EventResult<'static> {
    let id = reading.id.map(Into::into);
    match reading.event {
        Err(refusal) => EventResult {
            index: None,
            id,
            outcome: Outcome::Rejected,
            reason: Some(refusal.reason.into()),
            detail: Some(refusal.detail),
        },
        Ok(_) => {
            let outcome = outcomes.next().unwrap_or(Outcome::Rejected);
            let conflict = outcome == Outcome::Conflict;
            EventResult {
                index: None,
                id,
                outcome,
                reason: conflict.then(|| "conflict".into()),
                detail: conflict.then(|| {
                    "This source and id were used before, for an event with other content.".into()
                }),
            }
        }
    }
}

async fn commit_all(
    store: Arc<Store>,
    used_max: u64,
    server: String,
    mut waiting: mpsc::Receiver<Job>,
) {
    while let Some(first) = waiting.recv().await {
        let mut jobs = vec![first];
        let mut events = jobs[0].events.len();
        while events < COMMIT_EVENTS_MAX
            && let Ok(next) = waiting.try_recv()
        {
            events += next.events.len();
            jobs.push(next);
        }
        commit(&store, used_max, &server, jobs).await;
    }
}

async fn commit(store: &Store, used_max: u64, server: &str, mut jobs: Vec<Job>) {
    let at = jobs.iter().map(|job| job.at).max().unwrap_or(Timestamp::UNIX_EPOCH);
    let sizes: Vec<usize> = jobs.iter().map(|job| job.events.len()).collect();
    let events = jobs.iter_mut().flat_map(|job| std::mem::take(&mut job.events)).collect();
    let mut result = store.append(at, events, used_max).await.map(|done| done.outcomes.into_iter());
    for (job, size) in jobs.into_iter().zip(sizes) {
        let answer = match &mut result {
            Ok(outcomes) => Ok(outcomes.take(size).collect()),
            Err(error) => Err(again(error, server)),
        };
        // Whoever asked may have gone; the events are on the disk all the same.
        let _ = job.answer.send(answer);
    }
}

/// The same failure, for each who waits.
fn again(error: &Error, server: &str) -> Error {
    match error {
        Error::SpoolFull { used, max, .. } => {
            Error::SpoolFull { used: *used, max: *max, server: server.to_owned() }
        }
        other => Error::refused(other.code(), other.to_string()),
    }
}
