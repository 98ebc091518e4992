//! What exists once per installation: its identity, the check of the master
//! key, and the test clock.
//!
//! Refuses: to start with another master key than the database was made with,
//! and to move the clock of a database that is not a test database.

pub mod api;
mod db;

use jiff::Timestamp;
use tenure_core::IdentityId;
use uuid::Uuid;

use crate::{
    App,
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
    /// The database is away or refused.
    #[error("{}", .0.detail)]
    Database(Problem),
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Database(problem)
    }
}

/// Checks the master key against the database (or notes it, the first time)
/// and takes over the test clock.
pub async fn check(app: &App) -> Result<(), Error> {
    let sealed = app.vault().seal(place(), CHECK).map_err(Problem::internal)?;
    let now = app.now();
    let mut tx = app.db().vendor().await.map_err(Problem::from)?;
    db::insert_if_new(&mut tx, IdentityId::new(now).uuid(), &sealed, now).await?;
    let row = db::read(&mut tx).await?;
    tx.commit().await.map_err(Problem::from)?;
    let opened = app.vault().open(place(), &row.key_check);
    if opened.map_or(true, |plain| plain.as_slice() != CHECK) {
        return Err(Error::MasterKeyMismatch);
    }
    if row.test_clock && !app.config().test_clock {
        return Err(Error::TestDatabase);
    }
    app.set_clock_offset(row.clock_offset_ms);
    Ok(())
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
    let ahead_ms = to.duration_since(call.now).as_millis();
    let ahead_ms = i64::try_from(ahead_ms).map_err(Problem::internal)?;
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
