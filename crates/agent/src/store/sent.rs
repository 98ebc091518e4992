//! The last messages that left this machine: the customer may look.

use jiff::Timestamp;
use serde::Serialize;
use sqlx::{Row, sqlite::SqliteRow};

use super::Store;
use crate::error::Result;

/// Messages remembered.
pub const SENT_MAX: i64 = 200;
/// Bytes of a body that are remembered.
pub const BODY_KEPT_MAX: usize = 16 * 1024;

/// A message that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sent {
    /// When.
    pub at: Timestamp,
    /// In a word: `activate`, `heartbeat`, `release`, `report`.
    pub what: String,
    /// Where to: the address.
    pub to: String,
    /// Bytes of the body.
    pub bytes: u64,
    /// The body, its license key blotted out; cut at [`BODY_KEPT_MAX`].
    pub body: String,
    /// What came of it.
    pub outcome: String,
}

impl Store {
    /// Remembers a message.
    pub async fn remember_sent(&self, sent: &Sent) -> Result<()> {
        let mut connection = self.lock().await;
        sqlx::query(
            "INSERT INTO sent (at, what, place, bytes, body, outcome) VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(sent.at.as_second())
        .bind(&sent.what)
        .bind(&sent.to)
        .bind(i64::try_from(sent.bytes).unwrap_or(i64::MAX))
        .bind(cut(&sent.body))
        .bind(&sent.outcome)
        .execute(&mut *connection)
        .await?;
        sqlx::query("DELETE FROM sent WHERE id <= (SELECT max(id) FROM sent) - ?")
            .bind(SENT_MAX)
            .execute(&mut *connection)
            .await?;
        Ok(())
    }

    /// The last messages, the newest first.
    pub async fn sent(&self, max: usize) -> Result<Vec<Sent>> {
        let rows = sqlx::query(
            "SELECT at, what, place, bytes, body, outcome FROM sent ORDER BY id DESC LIMIT ?",
        )
        .bind(i64::try_from(max).unwrap_or(SENT_MAX))
        .fetch_all(&mut *self.lock().await)
        .await?;
        Ok(rows.iter().map(read).collect())
    }
}

fn read(row: &SqliteRow) -> Sent {
    Sent {
        at: Timestamp::from_second(row.get(0)).unwrap_or(Timestamp::UNIX_EPOCH),
        what: row.get(1),
        to: row.get(2),
        bytes: row.get::<i64, _>(3).unsigned_abs(),
        body: row.get(4),
        outcome: row.get(5),
    }
}

fn cut(body: &str) -> &str {
    let end = (0..=body.len().min(BODY_KEPT_MAX)).rev().find(|at| body.is_char_boundary(*at));
    &body[..end.unwrap_or(0)]
}
