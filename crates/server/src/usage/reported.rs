//! Events out of usage reports, numbered by the ledgers that bring them.
//!
//! A ledger and a source are a producer of the numbered lane
//! ([`tenure_license::numbering`]): such events cost no key. Once a copy of a
//! ledger has parted from it, numbers say nothing any more: its events are
//! looked for, by their ids, among what was recorded by number since the
//! histories agreed, and what is new then goes through the key lane.
//!
//! Owns: which of the two it is, and that comparison. Refuses: nothing of its
//! own; an event that cannot be recorded uses up its number.

use std::collections::{BTreeMap, HashMap};

use serde_json::value::RawValue;
use tenure_api::usage::{EventResult, Outcome, Receipt};
use tenure_license::{
    Environment,
    numbering::{self, Mark, Way},
};
use tenure_tenancy::TenantTx;

use super::{
    Reported,
    batch::{Batch, Lane},
    chunk::Unpacked,
    count, db,
    event::{self, Arrived, CloudEvent, Digits, Text},
    generations::{self, With},
    lanes::Watermark,
    write,
};
use crate::{App, http::Problem};

/// Chunks of a producer read at once.
const CHUNKS_AT_ONCE: i64 = 32;

/// Events by their ids: the place of each in the report, and its payload.
type ById<'n> = HashMap<&'n str, Vec<(usize, i64)>>;

/// An event of a report.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    /// As its product sent it.
    pub(crate) event: &'a RawValue,
    /// Its place in a ledger, if that numbered it.
    pub(crate) place: Option<InLedger<'a>>,
}

/// Where a ledger keeps an event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InLedger<'a> {
    /// The thumbprint of the ledger's key.
    pub(crate) ledger: &'a str,
    /// Among the events of its source.
    pub(crate) number: i64,
    /// Whether that key signed the report.
    pub(crate) own: bool,
}

/// An event that was read.
struct Entry<'a> {
    told: Told<'a>,
    event: Arrived<'a>,
    /// Its producer and the number there.
    number: Option<(String, i64)>,
    /// Why it cannot be recorded, though its number is used up.
    unusable: Option<String>,
}

/// Records events out of a report in the caller's transaction, at most
/// [`super::EVENTS_MAX`] of them, as [`super::record_reported`] does.
pub(crate) async fn record<'a>(
    app: &App,
    tx: &mut TenantTx,
    of: &Reported<'_>,
    events: &[Told<'a>],
    now: jiff::Timestamp,
) -> Result<Receipt<'a>, Problem> {
    let mut entries: Vec<Entry<'a>> = events.iter().map(|told| Entry::read(*told)).collect();
    let numbered = entries.iter().any(|entry| entry.number.is_some());
    if !numbered || of.environment == Environment::Test {
        let raw: Vec<&RawValue> = events.iter().map(|told| told.event).collect();
        return super::record_reported(app, tx, of, &raw, now).await;
    }
    // The order of locks: the generation before the sources.
    generations::enter(tx, of.situation.subscription.id, With::Nobody).await?;
    let marks = part(tx, &entries).await?;
    let known = known(tx, of, &entries, &marks, now).await?;
    let mut index = 0..;
    entries.retain(|_| index.next().is_none_or(|index| !known.contains_key(&index)));
    let unusable: Vec<Option<String>> =
        entries.iter_mut().map(|entry| entry.unusable.take()).collect();
    let arrived = entries.into_iter().map(|entry| entry.named(&marks)).collect();
    let mut batch = Batch::check(of.situation, now, arrived);
    write(app, tx, of.situation, &mut batch, now, With::Nobody).await?;
    let mut receipt = batch.receipt(false);
    for (result, detail) in receipt.results.iter_mut().zip(unusable) {
        if detail.is_some() {
            (result.reason, result.detail) = (Some("malformed".into()), detail);
        }
    }
    for (index, same) in known {
        match same {
            true => receipt.duplicates += 1,
            false => {
                receipt.conflicts += 1;
                receipt.results.push(conflict(events[index].event));
            }
        }
    }
    count(app, &receipt);
    Ok(receipt)
}

impl<'a> Entry<'a> {
    fn read(told: Told<'a>) -> Self {
        let mut entry =
            Self { told, event: event::element(told.event), number: None, unusable: None };
        let Some(place) = told.place else { return entry };
        let source = match &entry.event {
            Ok(event) => event.source.as_ref().map(|source| source.0.clone().into_owned()),
            Err(_) => member(told.event, "source"),
        };
        let Some(source) = source else { return entry };
        let producer = numbering::producer(place.ledger, &source);
        entry.unusable = match &entry.event {
            Ok(event) => (!names_itself(event)).then(|| {
                "`specversion` must be \"1.0\", and `id` a text of 1 to 256 bytes without control \
                 characters."
                    .to_owned()
            }),
            Err(detail) => Some(detail.clone()),
        };
        if entry.unusable.is_some() {
            // Refused for its missing type, it uses up its number.
            entry.event = Ok(CloudEvent {
                specversion: text("1.0"),
                id: text("unusable"),
                ..CloudEvent::default()
            });
        }
        if let Ok(event) = &mut entry.event {
            number(event, &producer, place.number);
        }
        entry.number = Some((producer, place.number));
        entry
    }

    /// The event under the name that it is recorded by.
    fn named(self, marks: &BTreeMap<String, Mark>) -> Arrived<'a> {
        let Some((producer, _)) = &self.number else { return self.event };
        let parted = marks.get(producer).is_some_and(|mark| mark.epoch > 0);
        let (true, Some(place)) = (parted, self.told.place) else { return self.event };
        let name = producer.split_once('#').map_or("", |(_, source)| source);
        let source = numbering::parted(place.ledger, name);
        self.event.map(|event| CloudEvent {
            source: Some(Text(source.into())),
            sequence: None,
            sequencetype: None,
            epoch: None,
            ..event
        })
    }
}

fn text<'a>(text: &'static str) -> Option<Text<'a>> {
    Some(Text(text.into()))
}

fn number(event: &mut CloudEvent<'_>, producer: &str, number: i64) {
    event.source = Some(Text(producer.to_owned().into()));
    event.sequence = Some(Digits(number.to_string().into()));
    event.sequencetype = text("Integer");
    event.epoch = None;
}

/// Whether everything that comes before an event's number is in order.
fn names_itself(event: &CloudEvent<'_>) -> bool {
    let version = event.specversion.as_ref().is_some_and(|text| text.0 == "1.0");
    let id = event.id.as_ref().is_some_and(|text| {
        (1..=256).contains(&text.0.len()) && !text.0.chars().any(char::is_control)
    });
    version && id
}

/// A text of an event that cannot be read as one.
fn member(raw: &RawValue, name: &str) -> Option<String> {
    let event: serde_json::Value = serde_json::from_str(raw.get()).ok()?;
    event.get(name)?.as_str().map(str::to_owned)
}

/// Where the producers stand, each locked. Those whose numbers say nothing from now on have
/// their epoch raised.
async fn part(tx: &mut TenantTx, entries: &[Entry<'_>]) -> Result<BTreeMap<String, Mark>, Problem> {
    let numbers = || entries.iter().filter_map(|entry| Some((entry, entry.number.as_ref()?)));
    let wanted: BTreeMap<&str, bool> =
        numbers().map(|(_, (producer, _))| (&**producer, true)).collect();
    let found = db::sources(tx, &wanted).await?;
    let mut marks: BTreeMap<String, Mark> = found
        .into_iter()
        .filter_map(|(producer, lane)| match lane {
            Lane::Numbers(Watermark { epoch, last }) => Some((producer, Mark { epoch, last })),
            // Somebody sent under its name; the batch refuses what comes in the other lane.
            Lane::Keys => None,
        })
        .collect();
    let mut parted: BTreeMap<String, Watermark> = BTreeMap::new();
    for (entry, (producer, number)) in numbers() {
        let own = entry.told.place.is_some_and(|place| place.own);
        let Some(mark) = marks.get_mut(producer) else { continue };
        if mark.way(own, *number) == Way::Name {
            parted.insert(producer.clone(), Watermark { epoch: mark.epoch, last: mark.last });
        }
    }
    if !parted.is_empty() {
        let parted: Vec<(String, Watermark)> = parted.into_iter().collect();
        db::move_watermarks(tx, &parted).await?;
    }
    Ok(marks)
}

/// An event under a name that was used before.
fn conflict(raw: &RawValue) -> EventResult<'static> {
    EventResult {
        index: None,
        id: member(raw, "id").map(Into::into),
        outcome: Outcome::Conflict,
        reason: Some("key_reused".into()),
        detail: Some(
            "Another event of this source and id came by another copy of the agent; an event's \
             content never changes. Give a new event a new id."
                .to_owned(),
        ),
    }
}

/// Which of the events of parted producers were recorded by their numbers before, under the same
/// id; and whether they say the same.
async fn known(
    tx: &mut TenantTx,
    of: &Reported<'_>,
    entries: &[Entry<'_>],
    marks: &BTreeMap<String, Mark>,
    now: jiff::Timestamp,
) -> Result<BTreeMap<usize, bool>, Problem> {
    let mut told: Vec<usize> = Vec::new();
    let mut arrived = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let mark = entry.number.as_ref().and_then(|(producer, _)| marks.get(producer));
        if mark.is_some_and(|mark| mark.epoch > 0) {
            told.push(index);
            arrived.push(Entry::read(entry.told).event);
        }
    }
    if told.is_empty() {
        return Ok(BTreeMap::new());
    }
    let batch = Batch::check(of.situation, now, arrived);
    let mut wanted: BTreeMap<&str, ById<'_>> = BTreeMap::new();
    for (place, event) in batch.numbered() {
        let ids = wanted.entry(&event.source).or_default();
        ids.entry(&event.id).or_default().push((told[place], event.payload));
    }
    let mut known = BTreeMap::new();
    for (producer, ids) in wanted {
        let after = marks.get(producer).map_or(0, |mark| mark.last);
        for (id, payload) in recorded(tx, producer, after, &ids).await? {
            let same = ids.get(&*id).into_iter().flatten();
            known.extend(same.map(|(index, said)| (*index, *said == payload)));
        }
    }
    Ok(known)
}

/// What was recorded under numbers above `after`: ids and payloads.
async fn recorded(
    tx: &mut TenantTx,
    producer: &str,
    after: i64,
    wanted: &ById<'_>,
) -> Result<HashMap<String, i64>, Problem> {
    let tenant = tx.tenant().uuid();
    let ids: Vec<&str> = wanted.keys().copied().collect();
    let rows = sqlx::query!(
        r#"SELECT event_id, payload AS "payload!" FROM usage_events
           WHERE tenant_id = $1 AND source = $2 AND epoch = 0 AND number > $3
               AND number IS NOT NULL AND event_id = ANY($4)"#,
        tenant,
        producer,
        after,
        &ids as &[&str]
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut found: HashMap<String, i64> =
        rows.into_iter().map(|row| (row.event_id, row.payload)).collect();
    let mut after = after;
    loop {
        let rows = sqlx::query!(
            r#"SELECT last_number AS "last!", body FROM usage_chunks
               WHERE tenant_id = $1 AND source = $2 AND epoch = 0 AND last_number > $3
                   AND source IS NOT NULL
               ORDER BY last_number LIMIT $4"#,
            tenant,
            producer,
            after,
            CHUNKS_AT_ONCE
        )
        .fetch_all(&mut **tx)
        .await?;
        let Some(last) = rows.last() else { return Ok(found) };
        after = last.last;
        for row in &rows {
            let unpacked = Unpacked::new(&row.body).map_err(Problem::internal)?;
            let read = unpacked.records(|record| {
                if wanted.contains_key(record.id) {
                    found.insert(record.id.to_owned(), record.payload);
                }
            });
            read.map_err(Problem::internal)?;
        }
    }
}
