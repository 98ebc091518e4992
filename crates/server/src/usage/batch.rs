//! One batch: which of its events are new, and the rows that they become.
//!
//! Keys go to the database sorted, so two batches that share keys wait for each
//! other in one direction only; rollups likewise, by meter and bucket.

use std::{borrow::Cow, collections::BTreeMap, ops::Range};

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use rust_decimal::Decimal;
use tenure_api::{
    evidence::Counted,
    usage::{EventResult, Outcome, Receipt},
};
use uuid::Uuid;

use super::{
    check::{Checked, Checker, Reading},
    event::Arrived,
};
use crate::{quotas, subscriptions::entitlements::Situation};

/// Length of a rollup's bucket, in seconds: time zones are offset by quarters
/// of an hour.
pub(super) const BUCKET_SECONDS: i64 = 15 * 60;

struct Entry<'a> {
    /// Place in the batch.
    index: usize,
    event: Checked<'a>,
    readings: Range<usize>,
    outcome: Outcome,
}

/// The events of a request on their way.
pub(super) struct Batch<'a, 's> {
    results: Vec<EventResult<'a>>,
    /// Sorted by key, then by place: the first of each key claims it.
    entries: Vec<Entry<'a>>,
    readings: Vec<Reading<'a, 's>>,
}

/// The columns of new rows of `usage_events`, and the rollups that they change.
#[derive(Default)]
pub(super) struct Rows<'b> {
    pub(super) meter_ids: Vec<i32>,
    pub(super) times: Vec<jiff_sqlx::Timestamp>,
    pub(super) keys: Vec<Uuid>,
    /// `None` is one: most events count one, and nothing is cheaper to send.
    pub(super) quantities: Vec<Option<Decimal>>,
    pub(super) members: Vec<Option<&'b str>>,
    pub(super) sources: Vec<&'b str>,
    pub(super) ids: Vec<&'b str>,
    /// By meter, start of the bucket in seconds, and dimension.
    pub(super) rollups: BTreeMap<(i32, i64, &'b str), Rollup>,
}

impl Rows<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// What a batch adds to one bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rollup {
    pub(super) events: i64,
    pub(super) sum: Decimal,
    pub(super) max: Decimal,
    pub(super) min: Decimal,
    /// The latest value; of several at one moment, the largest.
    pub(super) last: Decimal,
    pub(super) last_at: Timestamp,
    /// The hashes of the events, XORed.
    pub(super) digest: u128,
}

impl Rollup {
    /// Of one event.
    pub(super) fn of(quantity: Decimal, at: Timestamp, hash: u128) -> Self {
        Self {
            events: 1,
            sum: quantity,
            max: quantity,
            min: quantity,
            last: quantity,
            last_at: at,
            digest: hash,
        }
    }

    /// Of these events and those.
    pub(super) fn join(&mut self, other: &Self) {
        self.events += other.events;
        self.sum += other.sum;
        self.max = self.max.max(other.max);
        self.min = self.min.min(other.min);
        if (other.last_at, other.last) > (self.last_at, self.last) {
            (self.last_at, self.last) = (other.last_at, other.last);
        }
        self.digest ^= other.digest;
    }
}

/// The start of the bucket that holds a moment, in seconds.
pub(super) fn bucket(at: Timestamp) -> i64 {
    // Below a second counts too: the second is rounded down, also before 1970.
    let seconds = at.as_nanosecond().div_euclid(1_000_000_000);
    let seconds = i64::try_from(seconds).unwrap_or(0);
    seconds - seconds.rem_euclid(BUCKET_SECONDS)
}

impl<'a, 's> Batch<'a, 's> {
    /// Checks every event; those refused have their result already.
    pub(super) fn check(
        situation: &'s Situation,
        now: Timestamp,
        events: Vec<Arrived<'a>>,
    ) -> Self {
        let mut checker = Checker::new(situation, now);
        let mut results = Vec::with_capacity(events.len());
        let mut entries = Vec::with_capacity(events.len());
        let mut readings = Vec::with_capacity(events.len());
        for (index, arrived) in events.into_iter().enumerate() {
            let event = match arrived {
                Ok(event) => event,
                Err(detail) => {
                    results.push(rejected(None, "malformed", detail));
                    continue;
                }
            };
            let id = event.id.as_ref().map(|text| text.0.clone());
            let first = readings.len();
            match checker.check(event, &mut readings) {
                Ok(event) => {
                    let readings = first..readings.len();
                    let outcome = Outcome::Accepted;
                    entries.push(Entry { index, event, readings, outcome });
                    results.push(EventResult { id, outcome, reason: None, detail: None });
                }
                Err(refusal) => results.push(rejected(id, refusal.reason, refusal.detail)),
            }
        }
        entries.sort_unstable_by_key(|entry| (entry.event.key, entry.index));
        Self { results, entries, readings }
    }

    /// Whether nothing is left to record.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Each key once, sorted, with the payload of its first event.
    pub(super) fn claims(&self) -> (Vec<Uuid>, Vec<i64>) {
        let mut keys: Vec<Uuid> = Vec::with_capacity(self.entries.len());
        let mut payloads = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            if keys.last() != Some(&entry.event.key) {
                keys.push(entry.event.key);
                payloads.push(entry.event.payload);
            }
        }
        (keys, payloads)
    }

    /// Tells each event's outcome, given the keys (sorted) that were claimed
    /// before, with the payloads that claimed them.
    pub(super) fn resolve(&mut self, claimed: Vec<(Uuid, i64)>) {
        let mut claimed = claimed.into_iter().peekable();
        let mut holder: Option<(Uuid, i64)> = None;
        for entry in &mut self.entries {
            let key = entry.event.key;
            while claimed.next_if(|(before, _)| *before < key).is_some() {}
            if holder.is_none_or(|(held, _)| held != key) {
                holder = claimed.next_if(|(before, _)| *before == key);
                if holder.is_none() {
                    holder = Some((key, entry.event.payload));
                    continue;
                }
            }
            let same = holder.is_some_and(|(_, payload)| payload == entry.event.payload);
            entry.outcome = if same { Outcome::Duplicate } else { Outcome::Conflict };
            let result = &mut self.results[entry.index];
            result.outcome = entry.outcome;
            if !same {
                result.reason = Some(Cow::Borrowed("key_reused"));
                let detail = "Another event was recorded under this source and id; \
                              an event's content never changes. Give a new event a new id.";
                result.detail = Some(detail.to_owned());
            }
        }
    }

    /// As if nothing had been recorded before: for test keys.
    pub(super) fn pretend(&mut self) {
        self.resolve(Vec::new());
    }

    /// The rows of the new events.
    pub(super) fn rows(&self) -> Rows<'_> {
        let mut rows = Rows::default();
        let mut buffer = Vec::with_capacity(256);
        for entry in self.entries.iter().filter(|entry| entry.outcome == Outcome::Accepted) {
            let event = &entry.event;
            let bucket = bucket(event.time);
            let time = event.time.to_sqlx();
            for reading in &self.readings[entry.readings.clone()] {
                let quantity = reading.quantity;
                rows.meter_ids.push(reading.meter_id);
                rows.times.push(time);
                rows.keys.push(event.key);
                rows.quantities.push((quantity != Decimal::ONE).then_some(quantity));
                rows.members.push(reading.member.as_deref());
                rows.sources.push(&event.source);
                rows.ids.push(&event.id);
                let counted = Counted {
                    source: &event.source,
                    id: &event.id,
                    meter: reading.meter,
                    time: event.time,
                    quantity,
                    member: reading.member.as_deref(),
                };
                let hash = u128::from_be_bytes(counted.hash_with(&mut buffer));
                let added = Rollup::of(quantity, event.time, hash);
                rows.rollups
                    .entry((reading.meter_id, bucket, ""))
                    .and_modify(|rollup| rollup.join(&added))
                    .or_insert(added);
            }
        }
        rows
    }

    /// What the new events add to meters.
    pub(super) fn readings(&self) -> impl Iterator<Item = quotas::Reading> {
        let new = self.entries.iter().filter(|entry| entry.outcome == Outcome::Accepted);
        new.flat_map(|entry| {
            self.readings[entry.readings.clone()].iter().map(|reading| quotas::Reading {
                meter_id: reading.meter_id,
                at: entry.event.time,
                quantity: reading.quantity,
            })
        })
    }

    /// The answer.
    pub(super) fn receipt(self) -> Receipt<'a> {
        let count =
            |outcome| self.results.iter().filter(|result| result.outcome == outcome).count();
        Receipt {
            accepted: count(Outcome::Accepted),
            duplicates: count(Outcome::Duplicate),
            conflicts: count(Outcome::Conflict),
            rejected: count(Outcome::Rejected),
            results: self.results,
        }
    }
}

fn rejected<'a>(id: Option<Cow<'a, str>>, reason: &'static str, detail: String) -> EventResult<'a> {
    let reason = Some(Cow::Borrowed(reason));
    EventResult { id, outcome: Outcome::Rejected, reason, detail: Some(detail) }
}
