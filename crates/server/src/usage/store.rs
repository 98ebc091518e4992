//! What new events become: chunks or rows, rollups, members.
//!
//! Events of a batch go into chunks; a few alone become rows, so that a request
//! an event does not leave a chunk each. What is kept as long as the subscription is a
//! row always: chunks go with their month.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rust_decimal::Decimal;
use tenure_api::evidence::Counted;
use tenure_catalog::meter::Retention;
use uuid::Uuid;

use super::{
    batch::Batch,
    check::{Checked, Reading},
    chunk::{self, CHUNK_EVENTS_MAX, Record},
};
use crate::http::Problem;

/// Length of a rollup's bucket, in seconds: time zones are offset by quarters
/// of an hour.
pub(super) const BUCKET_SECONDS: i64 = 15 * 60;
/// Fewer records than this become rows.
const CHUNK_EVENTS_MIN: usize = 16;
/// Bytes of the texts of one chunk at most: a row of an archive has to hold it.
const CHUNK_TEXT_MAX: usize = 1024 * 1024;

/// What events of one bucket come to.
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
    pub(super) const fn of(quantity: Decimal, at: Timestamp, hash: u128) -> Self {
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

    /// Of no events, in a bucket.
    pub(super) fn empty(bucket: i64) -> Self {
        let at = Timestamp::from_second(bucket).unwrap_or_default();
        Self { events: 0, ..Self::of(Decimal::ZERO, at, 0) }
    }

    /// Of these events and those.
    pub(super) fn join(&mut self, other: &Self) {
        if self.events == 0 || other.events == 0 {
            if self.events == 0 {
                *self = *other;
            }
            return;
        }
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

/// By meter, start of the bucket in seconds, and dimension.
pub(super) type Rollups<'b> = BTreeMap<(i32, i64, &'b str), Rollup>;
/// As a rollup, with the member.
pub(super) type Members<'b> = BTreeSet<(i32, i64, &'b str, &'b str)>;

/// A row of `usage_chunks`.
pub(super) struct Chunk {
    pub(super) meters: Vec<String>,
    pub(super) first_at: Timestamp,
    pub(super) last_at: Timestamp,
    pub(super) events: i32,
    pub(super) numbers: Option<Numbers>,
    pub(super) body: Vec<u8>,
}

/// Which numbers a chunk holds.
pub(super) struct Numbers {
    pub(super) source: String,
    pub(super) epoch: i64,
    pub(super) first: i64,
    pub(super) last: i64,
}

/// A row of `usage_events`.
pub(super) struct Row<'b> {
    /// `None`: no meter counts it.
    pub(super) meter_id: Option<i32>,
    pub(super) key: Uuid,
    /// Never dropped by its month: see [`tenure_catalog::meter::Retention`].
    pub(super) kept: bool,
    pub(super) record: Record<'b>,
}

/// What a batch changes.
#[derive(Default)]
pub(super) struct Writes<'b> {
    pub(super) chunks: Vec<Chunk>,
    pub(super) rows: Vec<Row<'b>>,
    pub(super) rollups: Rollups<'b>,
    pub(super) members: Members<'b>,
}

impl<'b> Writes<'b> {
    /// Of the new events of a batch.
    pub(super) fn of(batch: &'b Batch<'_, '_>) -> Result<Self, Problem> {
        let mut writes = Self::default();
        writes.lane(&batch.new_keyed())?;
        let numbered = batch.new_numbered();
        let place =
            |event: &'b Checked<'_>| (&event.source, event.sequence.map(|(epoch, _)| epoch));
        for producer in numbered.chunk_by(|(a, _), (b, _)| place(a) == place(b)) {
            writes.lane(producer)?;
        }
        Ok(writes)
    }

    /// Of events that took others back. Few at a time: they become rows.
    pub(super) fn of_amendments(batch: &'b Batch<'_, '_>) -> Result<Self, Problem> {
        let mut writes = Self::default();
        for event in batch.new_amendments() {
            writes.lane(&[event])?;
        }
        Ok(writes)
    }

    fn lane(&mut self, events: &[(&'b Checked<'_>, &'b [Reading<'_, '_>])]) -> Result<(), Problem> {
        let mut packed: Vec<Row<'b>> = Vec::with_capacity(events.len());
        let mut buffer = Vec::with_capacity(256);
        for (event, readings) in events {
            if readings.is_empty() {
                let record = record(event, None);
                packed.push(Row { meter_id: None, key: event.key, kept: false, record });
            }
            for reading in *readings {
                let record = record(event, Some(reading));
                self.count(reading.meter_id, &record, &mut buffer);
                let kept = reading.meter.kept() == Retention::Subscription;
                let row = Row { meter_id: Some(reading.meter_id), key: event.key, kept, record };
                if row.kept { self.rows.push(row) } else { packed.push(row) }
            }
        }
        if packed.len() < CHUNK_EVENTS_MIN {
            self.rows.append(&mut packed);
            return Ok(());
        }
        let mut rest = packed.as_slice();
        while !rest.is_empty() {
            let (first, others) = rest.split_at(fitting(rest));
            self.chunks.push(chunk(first)?);
            rest = others;
        }
        Ok(())
    }

    fn count(&mut self, meter: i32, record: &Record<'b>, buffer: &mut Vec<u8>) {
        let bucket = bucket(record.time);
        let added = Rollup::of(record.quantity, record.time, hash(record, buffer));
        self.rollups
            .entry((meter, bucket, record.dimension))
            .and_modify(|rollup| rollup.join(&added))
            .or_insert(added);
        if let Some(member) = record.member {
            self.members.insert((meter, bucket, record.dimension, member));
        }
    }
}

/// The hash of an event as its meter counts it.
pub(super) fn hash(record: &Record<'_>, buffer: &mut Vec<u8>) -> u128 {
    let counted = Counted {
        source: record.source,
        id: record.id,
        meter: record.meter,
        time: record.time,
        quantity: record.quantity,
        member: record.member,
    };
    u128::from_be_bytes(counted.hash_with(buffer))
}

fn record<'b>(event: &'b Checked<'_>, reading: Option<&'b Reading<'_, '_>>) -> Record<'b> {
    Record {
        meter: reading.map_or("", |reading| &reading.meter.id),
        time: event.time,
        quantity: reading.map_or(Decimal::ONE, |reading| reading.quantity),
        member: reading.and_then(|reading| reading.member.as_deref()),
        dimension: reading.map_or("", |reading| &reading.dimension),
        source: &event.source,
        id: &event.id,
        sequence: event.sequence,
        payload: event.payload,
    }
}

/// How many of the rows fit into one chunk.
fn fitting(rows: &[Row<'_>]) -> usize {
    let mut bytes = 0;
    let fits = |row: &&Row<'_>| {
        let record = &row.record;
        bytes += record.id.len()
            + record.source.len()
            + record.dimension.len()
            + record.member.map_or(0, str::len);
        bytes <= CHUNK_TEXT_MAX
    };
    rows.iter().take(CHUNK_EVENTS_MAX).take_while(fits).count().max(1)
}

fn chunk(rows: &[Row<'_>]) -> Result<Chunk, Problem> {
    let records: Vec<Record<'_>> = rows.iter().map(|row| row.record).collect();
    let times = records.iter().map(|record| record.time);
    let meters: BTreeSet<&str> = records.iter().map(|record| record.meter).collect();
    let sequences = || records.iter().filter_map(|record| record.sequence);
    let numbers = sequences().next().map(|(epoch, first)| Numbers {
        source: records[0].source.to_owned(),
        epoch,
        first,
        last: sequences().next_back().map_or(first, |(_, last)| last),
    });
    Ok(Chunk {
        meters: meters.into_iter().map(str::to_owned).collect(),
        first_at: times.clone().min().unwrap_or_default(),
        last_at: times.max().unwrap_or_default(),
        events: i32::try_from(records.len()).map_err(Problem::internal)?,
        numbers,
        body: chunk::encode(&records).map_err(Problem::internal)?,
    })
}
