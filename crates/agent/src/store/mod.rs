//! SQLite: one file, one connection, one writer.
//!
//! Owns: every query of the agent. A commit returns when the disk has it (WAL
//! with `synchronous=FULL`). Refuses: a database of a newer agent.
//!
//! Queries are checked at run time (the workspace's compile-time checks speak to
//! PostgreSQL); each has a test that runs it.

#![allow(clippy::disallowed_methods, reason = "SQLite: see the module's own words")]

mod ledger;
mod numbers;
mod quota;
mod sent;
mod slices;

use std::{path::Path, time::Duration};

use sqlx::{
    ConnectOptions, Connection, Row, SqliteConnection,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tokio::sync::{Mutex, MutexGuard};

pub use ledger::{Appended, Incoming, LedgerRow, PAGE_BYTES_MAX, PAGE_ENTRIES_MAX, Unreported};
pub use quota::{KEPT_DAYS as TAKINGS_KEPT_DAYS, Taken, Taking};
pub use sent::{BODY_KEPT_MAX, SENT_MAX, Sent};
pub use slices::{Allowance, Consumed, SliceHeld};

use crate::{Error, dir::DataDir, error::Result};

static MIGRATIONS: Migrator = sqlx::migrate!();
/// How long a look from outside may hold up a commit.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Statements kept ready.
const STATEMENTS_MAX: usize = 40;
/// Layout of the JSON in `state`.
pub const STATE_VERSION: i64 = 1;

/// The agent's database.
#[derive(Debug)]
pub struct Store {
    connection: Mutex<SqliteConnection>,
}

impl Store {
    /// Opens the database for writing; the caller holds the data directory.
    pub async fn open(dir: &DataDir) -> Result<Self> {
        let options = options(&dir.database())
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let mut connection = options.connect().await?;
        restrict(dir)?;
        MIGRATIONS.run(&mut connection).await.map_err(migration)?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    /// Opens the database to look at it, beside a running agent; `None` when there is none.
    pub async fn look(dir: &DataDir) -> Result<Option<Self>> {
        if !dir.database().exists() {
            return Ok(None);
        }
        let connection = options(&dir.database()).read_only(true).connect().await?;
        Ok(Some(Self { connection: Mutex::new(connection) }))
    }

    async fn lock(&self) -> MutexGuard<'_, SqliteConnection> {
        self.connection.lock().await
    }

    /// Folds the log into the database file, so that the file alone is a whole copy.
    pub async fn fold(&self) -> Result<()> {
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut *self.lock().await).await?;
        Ok(())
    }

    /// Closes the database, which folds its log into the file.
    pub async fn close(self) -> Result<()> {
        Ok(self.connection.into_inner().close().await?)
    }

    /// A named value.
    pub async fn meta(&self, name: &str) -> Result<Option<String>> {
        let row = sqlx::query("SELECT value FROM meta WHERE name = ?").bind(name);
        let row = row.fetch_optional(&mut *self.lock().await).await?;
        Ok(row.map(|row| row.get(0)))
    }

    /// Writes a named value.
    pub async fn set_meta(&self, name: &str, value: &str) -> Result<()> {
        set_meta(&mut *self.lock().await, name, value).await
    }

    /// The state as JSON; none before the first time.
    pub async fn state(&self) -> Result<Option<String>> {
        let row = sqlx::query("SELECT version, json FROM state");
        let Some(row) = row.fetch_optional(&mut *self.lock().await).await? else {
            return Ok(None);
        };
        match row.get::<i64, _>(0) {
            STATE_VERSION => Ok(Some(row.get(1))),
            other => Err(Error::Schema(format!(
                "its state has version {other}, this agent reads {STATE_VERSION}; run a newer agent"
            ))),
        }
    }

    /// Writes the state down; returns when the disk has it.
    pub async fn save_state(&self, json: &str) -> Result<()> {
        save_state(&mut *self.lock().await, json).await
    }

    /// Bytes that the database's contents take.
    pub async fn used_bytes(&self) -> Result<u64> {
        used_bytes(&mut *self.lock().await).await
    }
}

async fn set_meta(connection: &mut SqliteConnection, name: &str, value: &str) -> Result<()> {
    sqlx::query(
        "INSERT INTO meta (name, value) VALUES (?, ?)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )
    .bind(name)
    .bind(value)
    .execute(connection)
    .await?;
    Ok(())
}

async fn save_state(connection: &mut SqliteConnection, json: &str) -> Result<()> {
    sqlx::query(
        "INSERT INTO state (one, version, json) VALUES (1, ?, ?)
         ON CONFLICT (one) DO UPDATE SET version = excluded.version, json = excluded.json",
    )
    .bind(STATE_VERSION)
    .bind(json)
    .execute(connection)
    .await?;
    Ok(())
}

/// Pages in use, times their size.
async fn used_bytes(connection: &mut SqliteConnection) -> Result<u64> {
    let row = sqlx::query(
        "SELECT (page_count - freelist_count) * page_size
         FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
    )
    .fetch_one(connection)
    .await?;
    Ok(row.get::<i64, _>(0).unsigned_abs())
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(STATEMENTS_MAX)
        // 1 MiB of pages is plenty for appending.
        .pragma("cache_size", "-1024")
        .thread_name(|_| "agent-db".to_owned())
}

/// SQLite makes its file with the process's umask; the directory is closed
/// already, this is the second lock on the door.
fn restrict(dir: &DataDir) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let path = dir.database();
    let closed = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&path, closed).map_err(Error::file(path))
}

fn migration(error: MigrateError) -> Error {
    Error::Schema(match error {
        MigrateError::VersionMissing(version) => {
            format!("it was made by a newer agent (schema {version}); run that one")
        }
        other => other.to_string(),
    })
}
