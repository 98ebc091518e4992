//! Numbers of events: one after the other for each source of a ledger, written
//! in the transaction that writes the events.

use std::collections::BTreeMap;

use sqlx::{Row, SqliteConnection};
use tenure_license::numbering::SOURCE_LEN_MAX;

use crate::error::Result;

/// The last number of each source that a transaction has to do with.
#[derive(Debug, Default)]
pub(super) struct Numbers(BTreeMap<String, u64>);

impl Numbers {
    /// The number of the next event of a source; 0, which is none, where its name is too long.
    pub(super) async fn next(
        &mut self,
        tx: &mut SqliteConnection,
        ledger: i64,
        source: String,
    ) -> Result<u64> {
        if source.len() > SOURCE_LEN_MAX {
            return Ok(0);
        }
        if let Some(last) = self.0.get_mut(&source) {
            *last += 1;
            return Ok(*last);
        }
        let row = sqlx::query("SELECT last FROM numbered WHERE ledger = ? AND source = ?")
            .bind(ledger)
            .bind(&source)
            .fetch_optional(tx)
            .await?;
        let next = row.map_or(0, |row| row.get::<i64, _>(0).unsigned_abs()) + 1;
        self.0.insert(source, next);
        Ok(next)
    }

    /// Writes down how far the sources have come.
    pub(super) async fn save(self, tx: &mut SqliteConnection, ledger: i64) -> Result<()> {
        for (source, last) in self.0 {
            sqlx::query(
                "INSERT INTO numbered (ledger, source, last) VALUES (?, ?, ?)
                 ON CONFLICT (ledger, source) DO UPDATE SET last = excluded.last",
            )
            .bind(ledger)
            .bind(source)
            .bind(i64::try_from(last).unwrap_or(i64::MAX))
            .execute(&mut *tx)
            .await?;
        }
        Ok(())
    }
}
