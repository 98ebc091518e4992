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
    check::{Checked, Checker, Reading, Refusal},
    event::{Arrived, CloudEvent, Text},
    lanes::{Step, Watermark},
    live::Added,
    refused::Refused,
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
    /// The same, of those that take another event back: they are decided last,
    /// when the events beside them are recorded.
    voids: Vec<Entry<'a>>,
    /// Sorted by source, epoch and number, then by place.
    numbered: Vec<Entry<'a>>,
    readings: Vec<Reading<'a, 's>>,
    refused: Vec<Refused>,
}

impl<'a, 's> Batch<'a, 's> {
    /// Checks every event; those refused have their result already.
    pub(super) fn check(
        situation: &'s Situation,
        now: Timestamp,
        events: Vec<Arrived<'a>>,
    ) -> Self {
        let mut checker = Checker::new(situation, now);
        let mut batch = Self {
            results: Vec::with_capacity(events.len()),
            keyed: Vec::with_capacity(events.len()),
            voids: Vec::new(),
            numbered: Vec::new(),
            readings: Vec::with_capacity(events.len()),
            refused: Vec::new(),
        };
        for arrived in events {
            match arrived {
                Ok(event) => batch.take(&mut checker, event),
                Err(detail) => batch.refuse(None, [None; 4], "malformed", detail),
            }
        }
        let by_key = |entry: &Entry<'_>| (entry.event.key, entry.index);
        batch.keyed.sort_unstable_by_key(by_key);
        batch.voids.sort_unstable_by_key(by_key);
        batch.numbered.sort_unstable_by(|a, b| {
            let key = |entry: &Entry<'_>| (entry.event.sequence, entry.index);
            a.event.source.cmp(&b.event.source).then_with(|| key(a).cmp(&key(b)))
        });
        batch
    }

    fn take(&mut self, checker: &mut Checker<'s>, event: CloudEvent<'a>) {
        let text = |text: &Option<Text<'a>>| text.as_ref().map(|text| text.0.clone());
        let id = text(&event.id);
        let said = [text(&event.source), id.clone(), text(&event.kind), text(&event.time)];
        let said = || [&said[0], &said[1], &said[2], &said[3]].map(Option::as_deref);
        let first = self.readings.len();
        let mut event = match checker.check(event, &mut self.readings) {
            Ok(event) => event,
            Err(Refusal { reason, detail }) => return self.refuse(id, said(), reason, detail),
        };
        let index = self.results.len();
        let mut outcome = Outcome::Accepted;
        match event.refusal.take() {
            None => self.results.push(EventResult {
                index: None,
                id,
                outcome,
                reason: None,
                detail: None,
            }),
            Some(Refusal { reason, detail }) => {
                outcome = Outcome::Rejected;
                self.refuse(id, said(), reason, detail);
            }
        }
        let lane = match (event.sequence, &event.target) {
            (Some(_), _) => &mut self.numbered,
            (None, None) => &mut self.keyed,
            (None, Some(_)) => &mut self.voids,
        };
        lane.push(Entry { index, event, readings: first..self.readings.len(), outcome });
    }

    fn refuse(
        &mut self,
        id: Option<Cow<'a, str>>,
        said: [Option<&str>; 4],
        reason: &'static str,
        detail: String,
    ) {
        self.refused.push(Refused::new(said, reason, &detail));
        let (outcome, detail) = (Outcome::Rejected, Some(detail));
        let reason = Some(Cow::Borrowed(reason));
        self.results.push(EventResult { index: None, id, outcome, reason, detail });
    }

    /// Whether nothing is left to record.
    pub(super) fn is_empty(&self) -> bool {
        self.entries().next().is_none()
    }

    /// What was refused for what it says.
    pub(super) fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// Whether something may have to be taken back.
    pub(super) fn has_voids(&self) -> bool {
        self.entries().any(|entry| entry.event.target.is_some())
    }

    fn entries(&self) -> impl Iterator<Item = &Entry<'a>> {
        self.keyed.iter().chain(&self.voids).chain(&self.numbered)
    }

    /// Each source once, sorted, and whether it numbers its events.
    pub(super) fn sources(&self) -> BTreeMap<&str, bool> {
        let mut sources = BTreeMap::new();
        for entry in self.entries() {
            *sources.entry(&*entry.event.source).or_default() |= entry.event.sequence.is_some();
        }
        sources
    }

    /// Rejects events of sources that send in the other lane.
    pub(super) fn keep_lanes(&mut self, sources: &Sources) {
        const UNNUMBERED: &str = "The events of this source are numbered, and this one has no \
            number: it could count twice. Number it, or give it another source.";
        const NUMBERED: &str = "The events of this source have no numbers, and this one has: it \
            could count twice. Give a producer that numbers its events a source of its own.";
        let Self { results, keyed, voids, numbered, .. } = self;
        let mut reject = |entry: &mut Entry<'_>, detail: &str| {
            entry.outcome = Outcome::Rejected;
            set(&mut results[entry.index], Outcome::Rejected, "other_lane", detail.to_owned());
        };
        let mut keyed_keeps = |entry: &mut Entry<'_>| {
            let keeps = matches!(sources.get(&*entry.event.source), Some(Lane::Keys));
            if !keeps {
                reject(entry, UNNUMBERED);
            }
            keeps
        };
        keyed.retain_mut(&mut keyed_keeps);
        voids.retain_mut(&mut keyed_keeps);
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
        claims(&self.keyed)
    }

    /// Tells each keyed event's outcome, given the keys (sorted) that were
    /// claimed before, with the payloads that claimed them.
    pub(super) fn resolve_keys(&mut self, claimed: Vec<(Uuid, i64)>) {
        resolve(&mut self.keyed, &mut self.results, claimed);
    }

    /// As [`Batch::claims`], of events that take another back.
    pub(super) fn void_claims(&self) -> (Vec<Uuid>, Vec<i64>) {
        claims(&self.voids)
    }

    /// As [`Batch::resolve_keys`], of events that take another back.
    pub(super) fn resolve_voids(&mut self, claimed: Vec<(Uuid, i64)>) {
        resolve(&mut self.voids, &mut self.results, claimed);
    }

    /// New events that take another back, in the order of the batch.
    pub(super) fn new_voids(&mut self) -> Vec<Void<'_, 'a>> {
        let entries = self.voids.iter_mut().chain(&mut self.numbered);
        let mut new: Vec<&mut Entry<'a>> =
            entries.filter(|entry| entry.is_new() && entry.event.target.is_some()).collect();
        new.sort_unstable_by_key(|entry| entry.index);
        new.into_iter().map(Void).collect()
    }

    /// Tells an event that takes another back that it cannot.
    pub(super) fn reject_voids(&mut self, rejected: Vec<(usize, &'static str, String)>) {
        for (index, reason, detail) in rejected {
            set(&mut self.results[index], Outcome::Rejected, reason, detail);
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

    /// Each numbered event that could be recorded, with its place.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (usize, &Checked<'a>)> {
        let usable = self.numbered.iter().filter(|entry| entry.is_new());
        usable.map(|entry| (entry.index, &entry.event))
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
        self.resolve_voids(Vec::new());
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
        let new =
            self.numbered.iter().filter(|entry| entry.is_new() && entry.event.target.is_none());
        new.map(|entry| (&entry.event, &self.readings[entry.readings.clone()])).collect()
    }

    /// Events that took another back, with what stands in its place.
    pub(super) fn new_amendments(&self) -> Vec<(&Checked<'a>, &[Reading<'a, 's>])> {
        let entries = self.voids.iter().chain(&self.numbered);
        let new = entries.filter(|entry| entry.is_new() && entry.event.target.is_some());
        new.map(|entry| (&entry.event, &self.readings[entry.readings.clone()])).collect()
    }

    /// What the new events add to meters; those that stand in another's place are not among them.
    pub(super) fn added(&self) -> impl Iterator<Item = quotas::Reading> {
        let entries = self.keyed.iter().chain(&self.numbered);
        let new = entries.filter(|entry| entry.is_new() && entry.event.target.is_none());
        new.flat_map(|entry| {
            self.readings[entry.readings.clone()].iter().map(|reading| quotas::Reading {
                meter_id: reading.meter_id,
                at: entry.event.time,
                quantity: reading.quantity,
            })
        })
    }

    /// What Prometheus is told of the new events.
    pub(super) fn live(&self) -> Added<'s> {
        let mut added = Added::default();
        for entry in self.entries().filter(|entry| entry.is_new()) {
            added.event();
            for reading in &self.readings[entry.readings.clone()] {
                added.reading(reading.meter, entry.event.time, reading.quantity);
            }
        }
        added
    }

    /// The answer; a minimal one only lists what is not recorded.
    pub(super) fn receipt(mut self, minimal: bool) -> Receipt<'a> {
        let count =
            |outcome| self.results.iter().filter(|result| result.outcome == outcome).count();
        let [accepted, duplicates, conflicts, rejected] =
            [Outcome::Accepted, Outcome::Duplicate, Outcome::Conflict, Outcome::Rejected]
                .map(count);
        if minimal {
            for (index, result) in self.results.iter_mut().enumerate() {
                result.index = Some(index);
            }
            let told = |outcome| matches!(outcome, Outcome::Conflict | Outcome::Rejected);
            self.results.retain(|result| told(result.outcome));
        }
        Receipt { accepted, duplicates, conflicts, rejected, results: self.results }
    }
}

/// A new event that takes another back.
pub(super) struct Void<'b, 'a>(&'b mut Entry<'a>);

impl<'a> Void<'_, 'a> {
    pub(super) fn event(&self) -> &Checked<'a> {
        &self.0.event
    }

    /// It cannot; tells its place in the batch.
    pub(super) fn reject(self) -> usize {
        self.0.outcome = Outcome::Rejected;
        self.0.index
    }
}

fn claims(entries: &[Entry<'_>]) -> (Vec<Uuid>, Vec<i64>) {
    let mut keys: Vec<Uuid> = Vec::with_capacity(entries.len());
    let mut payloads = Vec::with_capacity(entries.len());
    for entry in entries.iter().filter(|entry| entry.is_new()) {
        if keys.last() != Some(&entry.event.key) {
            keys.push(entry.event.key);
            payloads.push(entry.event.payload);
        }
    }
    (keys, payloads)
}

fn resolve(entries: &mut [Entry<'_>], results: &mut [EventResult<'_>], claimed: Vec<(Uuid, i64)>) {
    let mut claimed = claimed.into_iter().peekable();
    let mut holder: Option<(Uuid, i64)> = None;
    for entry in entries {
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
        entry.repeated(same, results);
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
