//! The usage ledger in SQLite: entries, their head, and how far they are counted.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::{Connection, Row, SqliteConnection, sqlite::SqliteRow};
use tenure_api::usage::Outcome;
use tenure_license::{
    Digest,
    chain::Head,
    ledger::{EVENTS_MAX, Line, TakenOfSlice},
};

use super::{Store, numbers::Numbers, save_state, used_bytes};
use crate::{Error, error::Result};

/// Largest content of an entry, in bytes, unless one event alone is larger. A
/// quarter of what a line may hold: quoting at most doubles it.
const CONTENT_LEN_MAX: usize = 256 * 1024;
/// Entries read at once.
pub const PAGE_ENTRIES_MAX: usize = 2_000;
/// Bytes of content read at once, give or take an entry.
pub const PAGE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Entries removed in one transaction.
const PRUNE_ENTRIES_MAX: i64 = 10_000;
/// A database takes more than its contents: index pages, free space in pages.
const OVERHEAD_PERCENT: u64 = 150;

/// An event to be written down.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// Names it: digest of source and id.
    pub key: Digest,
    /// Tells a repetition from another event under the same name.
    pub payload: Digest,
    /// Who says so: its events are numbered.
    pub source: String,
    /// As it was sent.
    pub event: Box<RawValue>,
}

/// What became of the events of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// One an event, in order.
    pub outcomes: Vec<Outcome>,
}

/// How a ledger stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// Counts the instance's keys.
    pub id: i64,
    /// Thumbprint of the key whose ledger it is.
    pub key: String,
    /// Its last entry.
    pub head: Option<Head>,
    /// The last entry that a signed receipt covers.
    pub counted: Option<Head>,
    /// `jti` of that receipt.
    pub receipt: Option<String>,
    /// The last entry that was let go of.
    pub pruned: Option<Head>,
}

/// What is not counted yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Unreported {
    /// Entries.
    pub entries: u64,
    /// Events in them.
    pub events: u64,
    /// When the oldest was taken in.
    pub since: Option<Timestamp>,
}

/// An entry's content as written: [`tenure_license::ledger::Content`] with the
/// events byte for byte as the product sent them, so that no number is rounded.
#[derive(Serialize)]
struct Content<'a> {
    at: Timestamp,
    ledger: &'a str,
    numbers: &'a [u64],
    #[serde(skip_serializing_if = "<[TakenOfSlice]>::is_empty")]
    taken: &'a [TakenOfSlice],
    events: &'a [Box<RawValue>],
}

/// New events on their way into entries, each with its number.
type Fresh = VecDeque<(Box<RawValue>, u64)>;

impl Store {
    /// The present ledger; none before the first key.
    pub async fn ledger(&self) -> Result<Option<LedgerRow>> {
        current(&mut *self.lock().await).await
    }

    /// Begins the ledger of a key. Of the ledger before it, what is not counted
    /// is entered anew: the events keep their names, so they count once whichever
    /// ledger brings them. The new state is written in the same transaction.
    pub async fn begin_ledger(&self, key: &str, state: Option<&str>) -> Result<LedgerRow> {
        let mut connection = self.lock().await;
        let mut tx = connection.begin().await?;
        let before = current(&mut tx).await?;
        let id = before.as_ref().map_or(1, |row| row.id + 1);
        sqlx::query("INSERT INTO ledger (id, key) VALUES (?, ?)")
            .bind(id)
            .bind(key)
            .execute(&mut *tx)
            .await?;
        if let Some(before) = before {
            carry_over(&mut tx, &before, id).await?;
        }
        if let Some(state) = state {
            save_state(&mut tx, state).await?;
        }
        tx.commit().await?;
        current(&mut connection).await?.ok_or_else(no_ledger)
    }

    /// Takes events in: those that are new become entries, all in one
    /// transaction. `used_max` bounds the database, in bytes.
    pub async fn append(
        &self,
        at: Timestamp,
        events: Vec<Incoming>,
        used_max: u64,
    ) -> Result<Appended> {
        let mut connection = self.lock().await;
        make_room(&mut connection, &events, used_max).await?;
        let mut tx = connection.begin().await?;
        let mut outcomes = Vec::with_capacity(events.len());
        let mut fresh = Vec::with_capacity(events.len());
        for event in events {
            let outcome = name(&mut tx, &event, at).await?;
            if outcome == Outcome::Accepted {
                fresh.push((event.event, event.source));
            }
            outcomes.push(outcome);
        }
        enter(&mut tx, at, fresh, &[]).await?;
        tx.commit().await?;
        Ok(Appended { outcomes })
    }

    /// Entries after `after`, at most a page; fewer when they are large.
    pub async fn lines(&self, ledger: i64, after: u64) -> Result<Vec<Line>> {
        let mut connection = self.lock().await;
        lines(&mut connection, ledger, after).await
    }

    /// A signed receipt says that everything up to `through` is counted.
    ///
    /// # Errors
    /// When the entry is not this ledger's.
    pub async fn counted(&self, through: Head, receipt: &str) -> Result<()> {
        let mut connection = self.lock().await;
        let ledger = current(&mut connection).await?.ok_or_else(no_ledger)?;
        if ledger.counted.is_some_and(|counted| counted.seq >= through.seq) {
            return Ok(());
        }
        let entry = sqlx::query("SELECT hash FROM entry WHERE ledger = ? AND seq = ?")
            .bind(ledger.id)
            .bind(through.seq as i64)
            .fetch_optional(&mut *connection)
            .await?;
        let known = entry.and_then(|row| Digest::from_slice(row.get(0)));
        if known != Some(through.hash) {
            return Err(Error::refused(
                "receipt_other_ledger",
                format!("the receipt is for entry {} of another ledger", through.seq),
            ));
        }
        sqlx::query(
            "UPDATE ledger SET counted_seq = ?, counted_hash = ?, receipt = ? WHERE id = ?",
        )
        .bind(through.seq as i64)
        .bind(&through.hash.as_bytes()[..])
        .bind(receipt)
        .bind(ledger.id)
        .execute(&mut *connection)
        .await?;
        Ok(())
    }

    /// What is not counted yet.
    pub async fn unreported(&self) -> Result<Unreported> {
        let mut connection = self.lock().await;
        let Some(ledger) = current(&mut connection).await? else {
            return Ok(Unreported::default());
        };
        let row = sqlx::query(
            "SELECT count(*), coalesce(sum(events), 0), min(at) FROM entry
             WHERE ledger = ? AND seq > ?",
        )
        .bind(ledger.id)
        .bind(seq_of(ledger.counted))
        .fetch_one(&mut *connection)
        .await?;
        let since: Option<i64> = row.get(2);
        Ok(Unreported {
            entries: row.get::<i64, _>(0).unsigned_abs(),
            events: row.get::<i64, _>(1).unsigned_abs(),
            since: since.and_then(|at| Timestamp::from_second(at).ok()),
        })
    }

    /// Forgets counted entries, and the names of their events, from before `before`.
    pub async fn prune(&self, before: Timestamp) -> Result<u64> {
        let mut connection = self.lock().await;
        let removed = remove_counted(&mut connection, before).await?;
        // A name is kept while the entry that it stands in might be sent again.
        sqlx::query(
            "DELETE FROM event WHERE at < ? AND at < (SELECT coalesce(min(at), ?) FROM entry)",
        )
        .bind(before.as_second())
        .bind(before.as_second())
        .execute(&mut *connection)
        .await?;
        Ok(removed)
    }
}

/// Enters new events, each numbered among those of its source, with what they took of slices.
pub(super) async fn enter(
    tx: &mut SqliteConnection,
    at: Timestamp,
    events: Vec<(Box<RawValue>, String)>,
    taken: &[TakenOfSlice],
) -> Result<()> {
    let ledger = current(tx).await?.ok_or_else(no_ledger)?;
    let mut fresh = Fresh::with_capacity(events.len());
    let mut numbers = Numbers::default();
    for (event, source) in events {
        let number = numbers.next(tx, ledger.id, source).await?;
        fresh.push_back((event, number));
    }
    numbers.save(tx, ledger.id).await?;
    let (mut head, mut taken) = (ledger.head, taken);
    while let Some((events, numbers)) = next_entry(&mut fresh) {
        let content =
            Content { at, ledger: &ledger.key, numbers: &numbers, taken, events: &events };
        head = Some(insert(tx, ledger.id, head, &content).await?);
        taken = &[];
    }
    set_head(tx, ledger.id, head).await
}

async fn current(connection: &mut SqliteConnection) -> Result<Option<LedgerRow>> {
    let row = sqlx::query(
        "SELECT id, key, head_seq, head_hash, counted_seq, counted_hash, receipt,
                pruned_seq, pruned_hash
         FROM ledger ORDER BY id DESC LIMIT 1",
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| LedgerRow {
        id: row.get(0),
        key: row.get(1),
        head: head(&row, 2),
        counted: head(&row, 4),
        receipt: row.get(6),
        pruned: head(&row, 7),
    }))
}

fn head(row: &SqliteRow, at: usize) -> Option<Head> {
    let hash: Option<&[u8]> = row.get(at + 1);
    let seq = row.get::<i64, _>(at).unsigned_abs();
    Some(Head { seq, hash: Digest::from_slice(hash?)? })
}

fn seq_of(head: Option<Head>) -> i64 {
    head.map_or(0, |head| head.seq as i64)
}

fn no_ledger() -> Error {
    Error::Damaged { what: "the usage ledger", why: "it was never begun".into() }
}

async fn set_head(tx: &mut SqliteConnection, ledger: i64, head: Option<Head>) -> Result<()> {
    let Some(head) = head else { return Ok(()) };
    sqlx::query("UPDATE ledger SET head_seq = ?, head_hash = ? WHERE id = ?")
        .bind(head.seq as i64)
        .bind(&head.hash.as_bytes()[..])
        .bind(ledger)
        .execute(tx)
        .await?;
    Ok(())
}

/// Enters the name of an event, or finds it entered before.
pub(super) async fn name(
    tx: &mut SqliteConnection,
    event: &Incoming,
    at: Timestamp,
) -> Result<Outcome> {
    let entered = sqlx::query(
        "INSERT INTO event (key, payload, at) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING",
    )
    .bind(&event.key.as_bytes()[..])
    .bind(&event.payload.as_bytes()[..])
    .bind(at.as_second())
    .execute(&mut *tx)
    .await?;
    if entered.rows_affected() == 1 {
        return Ok(Outcome::Accepted);
    }
    let row = sqlx::query("SELECT payload FROM event WHERE key = ?")
        .bind(&event.key.as_bytes()[..])
        .fetch_one(tx)
        .await?;
    let same = Digest::from_slice(row.get(0)) == Some(event.payload);
    Ok(if same { Outcome::Duplicate } else { Outcome::Conflict })
}

/// The events of the next entry, within both of its bounds, and their numbers.
fn next_entry(events: &mut Fresh) -> Option<(Vec<Box<RawValue>>, Vec<u64>)> {
    let (mut taken, mut numbers, mut bytes) = (Vec::new(), Vec::new(), 0);
    while let Some((next, _)) = events.front() {
        let len = next.get().len() + 1;
        if taken.len() == EVENTS_MAX || (!taken.is_empty() && bytes + len > CONTENT_LEN_MAX) {
            break;
        }
        bytes += len;
        if let Some((event, number)) = events.pop_front() {
            taken.push(event);
            numbers.push(number);
        }
    }
    (!taken.is_empty()).then_some((taken, numbers))
}

async fn insert(
    tx: &mut SqliteConnection,
    ledger: i64,
    head: Option<Head>,
    said: &Content<'_>,
) -> Result<Head> {
    let content = serde_json::to_string(said)
        .map_err(|error| Error::Damaged { what: "an event", why: error.to_string() })?;
    store(tx, ledger, head, said.at.as_second(), said.events.len() as i64, content).await
}

async fn store(
    tx: &mut SqliteConnection,
    ledger: i64,
    head: Option<Head>,
    at: i64,
    events: i64,
    content: String,
) -> Result<Head> {
    let entry = Head::append(head, content);
    sqlx::query(
        "INSERT INTO entry (ledger, seq, hash, content, at, events) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(ledger)
    .bind(entry.seq as i64)
    .bind(&entry.hash.as_bytes()[..])
    .bind(&entry.bytes)
    .bind(at)
    .bind(events)
    .execute(tx)
    .await?;
    Ok(entry.head())
}

async fn lines(connection: &mut SqliteConnection, ledger: i64, after: u64) -> Result<Vec<Line>> {
    // The window's sum stops the page at its size, and always lets one entry through.
    let rows = sqlx::query(
        "SELECT seq, hash, content FROM (
             SELECT seq, hash, content, sum(length(content)) OVER (ORDER BY seq) - length(content) AS before
             FROM (SELECT * FROM entry WHERE ledger = ? AND seq > ? ORDER BY seq LIMIT ?)
         ) WHERE before < ? ORDER BY seq",
    )
    .bind(ledger)
    .bind(after as i64)
    .bind(PAGE_ENTRIES_MAX as i64)
    .bind(PAGE_BYTES_MAX as i64)
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let hash = Digest::from_slice(row.get(1)).ok_or_else(|| Error::Damaged {
                what: "the usage ledger",
                why: "an entry's hash has not 32 bytes".into(),
            })?;
            Ok(Line { seq: row.get::<i64, _>(0).unsigned_abs(), hash, content: row.get(2) })
        })
        .collect()
}

/// Enters what `before` has uncounted into ledger `id`, and lets go of the rest.
async fn carry_over(tx: &mut SqliteConnection, before: &LedgerRow, id: i64) -> Result<()> {
    let (mut after, mut head) = (before.counted.map_or(0, |head| head.seq), None);
    loop {
        let rows = sqlx::query(
            "SELECT seq, at, events, content FROM entry WHERE ledger = ? AND seq > ?
             ORDER BY seq LIMIT 100",
        )
        .bind(before.id)
        .bind(after as i64)
        .fetch_all(&mut *tx)
        .await?;
        let Some(last) = rows.last() else { break };
        after = last.get::<i64, _>(0).unsigned_abs();
        for row in &rows {
            head = Some(store(tx, id, head, row.get(1), row.get(2), row.get(3)).await?);
        }
    }
    set_head(tx, id, head).await?;
    // What was carried over keeps the numbers of its ledger, which gives no more of them.
    for done in ["DELETE FROM entry WHERE ledger = ?", "DELETE FROM numbered WHERE ledger = ?"] {
        sqlx::query(done).bind(before.id).execute(&mut *tx).await?;
    }
    // Slices were handed to the key before, as another instance.
    sqlx::query("DELETE FROM slice").execute(tx).await?;
    Ok(())
}

/// Lets go of the oldest entries that are counted and from before `before`, and
/// remembers where what is left begins.
async fn remove_counted(connection: &mut SqliteConnection, before: Timestamp) -> Result<u64> {
    let mut tx = connection.begin().await?;
    let Some(ledger) = current(&mut tx).await? else { return Ok(0) };
    // The first one to stay; what comes before it in the chain may go.
    let last = sqlx::query(
        "SELECT seq, hash FROM (
             SELECT seq, hash, at, max(at) OVER (ORDER BY seq) AS newest FROM entry
             WHERE ledger = ? AND seq <= ? ORDER BY seq LIMIT ?
         ) WHERE newest < ? ORDER BY seq DESC LIMIT 1",
    )
    .bind(ledger.id)
    .bind(seq_of(ledger.counted))
    .bind(PRUNE_ENTRIES_MAX)
    .bind(before.as_second())
    .fetch_optional(&mut *tx)
    .await?;
    let Some(last) = last else { return Ok(0) };
    let (seq, hash): (i64, Vec<u8>) = (last.get(0), last.get(1));
    let done = sqlx::query("DELETE FROM entry WHERE ledger = ? AND seq <= ?")
        .bind(ledger.id)
        .bind(seq)
        .execute(&mut *tx)
        .await?;
    sqlx::query("UPDATE ledger SET pruned_seq = ?, pruned_hash = ? WHERE id = ?")
        .bind(seq)
        .bind(hash)
        .bind(ledger.id)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(done.rows_affected())
}

/// Lets go of the oldest names of events that the vendor has counted: it knows
/// them again by itself. Called once no counted entry is left.
async fn remove_names(connection: &mut SqliteConnection) -> Result<u64> {
    let done = sqlx::query(
        "DELETE FROM event WHERE key IN (
             SELECT key FROM event
             WHERE at < (SELECT coalesce(min(at), ?) FROM entry) ORDER BY at LIMIT ?)",
    )
    .bind(i64::MAX)
    .bind(PRUNE_ENTRIES_MAX)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Makes sure that `events` fit, giving up counted entries first.
pub(super) async fn make_room(
    connection: &mut SqliteConnection,
    events: &[Incoming],
    used_max: u64,
) -> Result<()> {
    let bytes: usize = events.iter().map(|event| event.event.get().len() + 80).sum();
    let wanted = bytes as u64 * OVERHEAD_PERCENT / 100;
    loop {
        let used = used_bytes(connection).await?;
        if used + wanted <= used_max {
            return Ok(());
        }
        if remove_counted(connection, Timestamp::MAX).await? == 0
            && remove_names(connection).await? == 0
        {
            return Err(Error::SpoolFull { used, max: used_max, server: "the server".into() });
        }
    }
}
