//! What exists once per installation: its identity, the check of the master
//! key, and the test clock.
//!
//! Refuses: to start with another master key than the database was made with,
//! to move the clock of a database that is not a test database, and to begin a
//! clock anywhere but in a new one.

pub mod api;
mod db;

use jiff::Timestamp;
use tenure_core::IdentityId;
use uuid::Uuid;

use crate::{
    App, Config,
    call::Call,
    http::Problem,
    trail::{self, Change},
    vault::Place,
};

const CHECK: &[u8] = b"tenure";

fn place() -> Place<'static> {
    Place { tenant: Uuid::nil(), owner: Uuid::nil(), field: "installation key check", version: 1 }
}

/// Why this server may not serve this database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The sealed check does not open.
    #[error(
        "this database was made with another master key. Point TENURE_MASTER_KEY_FILE at that key: \
         every process of an installation shares one file"
    )]
    MasterKeyMismatch,
    /// A clock was moved, and this server would not follow it.
    #[error(
        "this is a test database: its clock was moved. Start with TENURE_TEST_CLOCK=1, or use another \
         database; a test database never becomes a production one"
    )]
    TestDatabase,
    /// A start for a clock that is the machine's.
    #[error(
        "TENURE_TEST_CLOCK_START is where a test clock begins, and this server runs on real time. Set \
         TENURE_TEST_CLOCK=1 as well, on a database made for tests, or leave the start out"
    )]
    StartOfRealClock,
    /// The database is away or refused.
    #[error("{}", .0.detail)]
    Database(Problem),
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Database(problem)
    }
}

/// Refuses settings that contradict each other, before anything is touched.
pub(crate) fn check_settings(config: &Config) -> Result<(), Error> {
    match config.test_clock_start {
        Some(_) if !config.test_clock => Err(Error::StartOfRealClock),
        _ => Ok(()),
    }
}

/// Checks the master key against the database (or notes it, the first time, with the
/// beginning of its test clock) and takes over the test clock.
pub async fn check(app: &App) -> Result<(), Error> {
    let sealed = app.vault().seal(place(), CHECK).map_err(Problem::internal)?;
    let start = app.config().test_clock_start;
    let real = app.now();
    let offset_ms = start.map(|start| offset_ms(real, start)).transpose()?;
    let now = start.unwrap_or(real);
    let mut tx = app.db().vendor().await.map_err(Problem::from)?;
    let id = IdentityId::new(now).uuid();
    let new = db::insert_if_new(&mut tx, id, &sealed, now, offset_ms).await?;
    let row = db::read(&mut tx).await?;
    tx.commit().await.map_err(Problem::from)?;
    let opened = app.vault().open(place(), &row.key_check);
    if opened.map_or(true, |plain| plain.as_slice() != CHECK) {
        return Err(Error::MasterKeyMismatch);
    }
    if row.test_clock && !app.config().test_clock {
        return Err(Error::TestDatabase);
    }
    app.start_clock(row.clock_offset_ms);
    if let Some(start) = start.filter(|_| !new) {
        let now = app.now();
        tracing::info!(%start, %now, "a clock's start is for a new database: this one keeps its own");
    }
    Ok(())
}

/// How far `to` is from `from`, as the database keeps it.
fn offset_ms(from: Timestamp, to: Timestamp) -> Result<i64, Problem> {
    i64::try_from(to.duration_since(from).as_millis()).map_err(Problem::internal)
}

/// Takes over the clock as another process moved it.
pub(crate) async fn refresh_clock(app: &App) -> Result<(), Problem> {
    if !app.config().test_clock {
        return Ok(());
    }
    let mut tx = app.db().vendor().await?;
    let row = db::read(&mut tx).await?;
    tx.commit().await?;
    app.set_clock_offset(row.clock_offset_ms);
    Ok(())
}

/// Moves the clock forward to `to`, for every process on this database.
pub async fn move_clock(app: &App, call: &Call, to: Timestamp) -> Result<Timestamp, Problem> {
    if !app.config().test_clock {
        return Err(Problem::conflict(
            "not-a-test-clock",
            "This server runs on real time. Start it with TENURE_TEST_CLOCK=1 on a database made for tests.",
        ));
    }
    let ahead_ms = offset_ms(call.now, to)?;
    if ahead_ms < 0 {
        let detail = format!("The clock only moves forward; it stands at {}.", call.now);
        return Err(Problem::field("/now", detail));
    }
    let mut tx = app.db().vendor().await?;
    let offset = db::add_offset(&mut tx, ahead_ms).await?;
    let change = Change {
        action: "clock.moved",
        target: "clock".to_owned(),
        before: serde_json::json!({ "now": call.now }),
        after: serde_json::json!({ "now": to }),
    };
    trail::record(app, &mut tx, call, change).await?;
    tx.commit().await?;
    app.set_clock_offset(offset);
    app.forget_everything();
    Ok(app.now())
}
