//! One batch: which of its events are new, told for each.
//!
//! Keys go to the database sorted, so two batches that share keys wait for each
//! other in one direction only; sources likewise.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    ops::Range,
};

use jiff::Timestamp;
use tenure_api::usage::{EventResult, Outcome, Receipt};
use uuid::Uuid;

use super::{
    check::{Checked, Checker, Reading},
    event::Arrived,
    lanes::{Step, Watermark},
};
use crate::{quotas, subscriptions::entitlements::Situation};

/// An event on its way.
pub(super) struct Entry<'a> {
    /// Place in the batch.
    index: usize,
    pub(super) event: Checked<'a>,
    readings: Range<usize>,
    outcome: Outcome,
}

/// How the events of a source count once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Each has a key.
    Keys,
    /// They are numbered.
    Numbers(Watermark),
}

/// The sources of a batch, as they were found.
pub(super) type Sources = HashMap<String, Lane>;

/// Names an event of the numbered lane: source, epoch, number.
pub(super) type Number = (String, i64, i64);

/// The events of a request on their way.
pub(super) struct Batch<'a, 's> {
    results: Vec<EventResult<'a>>,
    /// Sorted by key, then by place: the first of each key claims it.
    keyed: Vec<Entry<'a>>,
    /// Sorted by source, epoch and number, then by place.
    numbered: Vec<Entry<'a>>,
    readings: Vec<Reading<'a, 's>>,
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
        let mut keyed = Vec::with_capacity(events.len());
        let mut numbered = Vec::new();
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
                Ok(mut event) => {
                    let readings = first..readings.len();
                    let mut outcome = Outcome::Accepted;
                    results.push(match event.refusal.take() {
                        None => EventResult { id, outcome, reason: None, detail: None },
                        Some(refusal) => {
                            outcome = Outcome::Rejected;
                            rejected(id, refusal.reason, refusal.detail)
                        }
                    });
                    let lane = if event.sequence.is_some() { &mut numbered } else { &mut keyed };
                    lane.push(Entry { index, event, readings, outcome });
                }
                Err(refusal) => results.push(rejected(id, refusal.reason, refusal.detail)),
            }
        }
        keyed.sort_unstable_by_key(|entry| (entry.event.key, entry.index));
        numbered.sort_unstable_by(|a, b| {
            let key = |entry: &Entry<'_>| (entry.event.sequence, entry.index);
            a.event.source.cmp(&b.event.source).then_with(|| key(a).cmp(&key(b)))
        });
        Self { results, keyed, numbered, readings }
    }

    /// Whether nothing is left to record.
    pub(super) fn is_empty(&self) -> bool {
        self.keyed.is_empty() && self.numbered.is_empty()
    }

    /// Each source once, sorted, and whether it numbers its events.
    pub(super) fn sources(&self) -> BTreeMap<&str, bool> {
        let keyed = self.keyed.iter().map(|entry| (&*entry.event.source, false));
        keyed.chain(self.numbered.iter().map(|entry| (&*entry.event.source, true))).collect()
    }

    /// Rejects events of sources that send in the other lane.
    pub(super) fn keep_lanes(&mut self, sources: &Sources) {
        const UNNUMBERED: &str = "The events of this source are numbered, and this one has no \
            number: it could count twice. Number it, or give it another source.";
        const NUMBERED: &str = "The events of this source have no numbers, and this one has: it \
            could count twice. Give a producer that numbers its events a source of its own.";
        let Self { results, keyed, numbered, .. } = self;
        let mut reject = |entry: &mut Entry<'_>, detail: &str| {
            entry.outcome = Outcome::Rejected;
            set(&mut results[entry.index], Outcome::Rejected, "other_lane", detail.to_owned());
        };
        keyed.retain_mut(|entry| {
            let keeps = matches!(sources.get(&*entry.event.source), Some(Lane::Keys));
            if !keeps {
                reject(entry, UNNUMBERED);
            }
            keeps
        });
        numbered.retain_mut(|entry| {
            let keeps = matches!(sources.get(&*entry.event.source), Some(Lane::Numbers(_)));
            if !keeps {
                reject(entry, NUMBERED);
            }
            keeps
        });
    }

    /// Each key once, sorted, with the payload of its first event.
    pub(super) fn claims(&self) -> (Vec<Uuid>, Vec<i64>) {
        let mut keys: Vec<Uuid> = Vec::with_capacity(self.keyed.len());
        let mut payloads = Vec::with_capacity(self.keyed.len());
        for entry in &self.keyed {
            if keys.last() != Some(&entry.event.key) {
                keys.push(entry.event.key);
                payloads.push(entry.event.payload);
            }
        }
        (keys, payloads)
    }

    /// Tells each keyed event's outcome, given the keys (sorted) that were
    /// claimed before, with the payloads that claimed them.
    pub(super) fn resolve_keys(&mut self, claimed: Vec<(Uuid, i64)>) {
        let mut claimed = claimed.into_iter().peekable();
        let mut holder: Option<(Uuid, i64)> = None;
        for entry in &mut self.keyed {
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
            entry.repeated(same, &mut self.results);
        }
    }

    /// The numbers that were settled before this batch: what was recorded under
    /// them has to be compared.
    pub(super) fn settled(&self, sources: &Sources) -> Vec<Number> {
        let mut all = Vec::new();
        for entry in &self.numbered {
            let (epoch, number) = entry.sequence();
            let mark = watermark(sources, &entry.event.source);
            if entry.outcome == Outcome::Accepted && epoch == mark.epoch && number <= mark.last {
                all.push((entry.event.source.clone().into_owned(), epoch, number));
            }
        }
        all
    }

    /// Tells each numbered event's outcome, given the payloads that were
    /// recorded under settled numbers, and moves the watermarks on.
    pub(super) fn resolve_numbers(
        &mut self,
        sources: &mut Sources,
        recorded: &HashMap<Number, i64>,
    ) {
        // Of this batch: the number taken last, and by what.
        let mut taken: HashMap<i64, Option<i64>> = HashMap::new();
        let mut source: Option<String> = None;
        for entry in &mut self.numbered {
            let (epoch, number) = entry.sequence();
            let event = &entry.event;
            if source.as_deref() != Some(&event.source) {
                source = Some(event.source.clone().into_owned());
                taken.clear();
            }
            let Some(Lane::Numbers(mark)) = sources.get_mut(&*event.source) else { continue };
            let before = mark.epoch;
            let step = mark.step(epoch, number);
            if mark.epoch != before {
                taken.clear();
            }
            let refused = entry.outcome == Outcome::Rejected;
            match step {
                Step::Next => {
                    taken.insert(number, (!refused).then_some(event.payload));
                }
                Step::Settled if refused => {}
                Step::Settled => {
                    let held = match taken.get(&number) {
                        Some(payload) => *payload,
                        None => {
                            let name = (event.source.clone().into_owned(), epoch, number);
                            recorded.get(&name).copied()
                        }
                    };
                    match held {
                        Some(payload) => {
                            let same = payload == event.payload;
                            entry.repeated(same, &mut self.results);
                        }
                        None => {
                            entry.reject(&mut self.results, "number_used", NUMBER_USED.to_owned())
                        }
                    }
                }
                Step::Gap { next } => {
                    let detail = format!(
                        "A number is missing: the next of this source in epoch {epoch} is {next}. \
                         Send from there on."
                    );
                    entry.reject(&mut self.results, "sequence_gap", detail);
                }
                Step::Stale => {
                    let detail = format!(
                        "This source is in epoch {} by now; events of earlier ones are refused.",
                        mark.epoch
                    );
                    entry.reject(&mut self.results, "stale_epoch", detail);
                }
            }
        }
    }

    /// As if nothing had been recorded before: for test keys.
    pub(super) fn pretend(&mut self) {
        self.resolve_keys(Vec::new());
        let mut sources = Sources::new();
        for entry in &self.numbered {
            let (epoch, number) = entry.sequence();
            let mark = Watermark { epoch, last: number - 1 };
            sources.entry(entry.event.source.clone().into_owned()).or_insert(Lane::Numbers(mark));
        }
        self.resolve_numbers(&mut sources, &HashMap::new());
    }

    /// New events of the key lane in the order of the batch, each with what its
    /// meters count.
    pub(super) fn new_keyed(&self) -> Vec<(&Checked<'a>, &[Reading<'a, 's>])> {
        let mut new: Vec<&Entry<'a>> = self.keyed.iter().filter(|entry| entry.is_new()).collect();
        new.sort_unstable_by_key(|entry| entry.index);
        new.into_iter()
            .map(|entry| (&entry.event, &self.readings[entry.readings.clone()]))
            .collect()
    }

    /// New events of the numbered lane by source, epoch and number.
    pub(super) fn new_numbered(&self) -> Vec<(&Checked<'a>, &[Reading<'a, 's>])> {
        let new = self.numbered.iter().filter(|entry| entry.is_new());
        new.map(|entry| (&entry.event, &self.readings[entry.readings.clone()])).collect()
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

const NUMBER_USED: &str = "An event that was refused has used up this number, so nothing is \
    recorded under it. Send the event under a new number.";

impl Entry<'_> {
    fn is_new(&self) -> bool {
        self.outcome == Outcome::Accepted
    }

    fn sequence(&self) -> (i64, i64) {
        self.event.sequence.unwrap_or_default()
    }

    fn repeated(&mut self, same: bool, results: &mut [EventResult<'_>]) {
        self.outcome = if same { Outcome::Duplicate } else { Outcome::Conflict };
        let result = &mut results[self.index];
        if same {
            result.outcome = Outcome::Duplicate;
            return;
        }
        let (reason, detail) = match self.event.sequence {
            None => (
                "key_reused",
                "Another event was recorded under this source and id; an event's content never \
                 changes. Give a new event a new id.",
            ),
            Some(_) => (
                "number_reused",
                "Another event was recorded under this source, epoch and number; an event's \
                 content never changes. Give a new event the next number.",
            ),
        };
        set(result, Outcome::Conflict, reason, detail.to_owned());
    }

    fn reject(&mut self, results: &mut [EventResult<'_>], reason: &'static str, detail: String) {
        self.outcome = Outcome::Rejected;
        set(&mut results[self.index], Outcome::Rejected, reason, detail);
    }
}

fn set(result: &mut EventResult<'_>, outcome: Outcome, reason: &'static str, detail: String) {
    result.outcome = outcome;
    result.reason = Some(Cow::Borrowed(reason));
    result.detail = Some(detail);
}

fn watermark(sources: &Sources, source: &str) -> Watermark {
    match sources.get(source) {
        Some(Lane::Numbers(mark)) => *mark,
        _ => Watermark::START,
    }
}

fn rejected<'a>(id: Option<Cow<'a, str>>, reason: &'static str, detail: String) -> EventResult<'a> {
    let reason = Some(Cow::Borrowed(reason));
    EventResult { id, outcome: Outcome::Rejected, reason, detail: Some(detail) }
}
