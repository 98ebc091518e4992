//! For tests only: a PostgreSQL database a test, copied from a migrated
//! template, and a clock that stands where the test puts it.
//!
//! Never depends on the server, so that the server's own tests can use it. The
//! PostgreSQL server itself is started by `scripts/test` (or `scripts/dev-db
//! start`) and named by `TENURE_TEST_DATABASE_URL`.

#![allow(clippy::disallowed_methods, reason = "tests look at the database from outside")]

use std::{
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use sqlx::{Connection, PgConnection, Row, migrate::Migrator};
use tenure_tenancy::{Db, DbSettings, roles::RoleSecret};
use tokio::sync::OnceCell;

/// Names the PostgreSQL server that tests may make databases on.
pub const URL_VARIABLE: &str = "TENURE_TEST_DATABASE_URL";
/// Connections a pool of one test opens at most.
const CONNECTIONS_MAX: u32 = 8;
/// Derives the passwords of the roles on the test server, which trusts its socket.
pub const ROLE_KEY: [u8; 32] = [7; 32];

static TEMPLATE: OnceCell<String> = OnceCell::const_new();
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A database of one test. Dropped with the server that it lives on.
pub struct TestDatabase {
    /// How to reach it.
    pub settings: DbSettings,
    /// A privileged URL of it, to look from outside.
    pub admin_url: String,
}

/// The PostgreSQL server's privileged URL.
///
/// # Panics
/// Without [`URL_VARIABLE`], saying what to do.
#[allow(clippy::disallowed_methods, reason = "tests have no configuration to read it from")]
pub fn server_url() -> String {
    std::env::var(URL_VARIABLE).unwrap_or_else(|_| {
        panic!("{URL_VARIABLE} is not set: run scripts/test, or: export {URL_VARIABLE}=$(scripts/dev-db start)")
    })
}

fn at(url: &str, database: &str) -> String {
    let (before, query) = url.split_once('?').map_or((url, ""), |(before, query)| (before, query));
    let base = before.rsplit_once('/').map_or(before, |(base, _)| base);
    format!("{base}/{database}?{query}")
}

fn settings(url: &str) -> DbSettings {
    DbSettings {
        url: url.to_owned(),
        owner_url: None,
        secret: RoleSecret::new(&ROLE_KEY),
        connections_max: CONNECTIONS_MAX,
    }
}

async fn run(url: &str, sql: String) {
    let mut conn = PgConnection::connect(url).await.expect("the test server answers");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut conn).await.expect("SQL of a test");
}

impl TestDatabase {
    /// A new database with the schema of `migrator`.
    pub async fn create(migrator: &'static Migrator) -> Self {
        let server = server_url();
        let template = TEMPLATE.get_or_init(|| template(server.clone(), migrator)).await;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("t_{}_{number}", process::id());
        run(&server, format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        // A copy has the template's grants, but not its right to connect and create.
        let admin_url = at(&server, &name);
        Self { settings: settings(&admin_url), admin_url }
    }

    /// A database with nothing in it, not even the schema.
    pub async fn empty() -> Self {
        let server = server_url();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("e_{}_{number}", process::id());
        run(&server, format!("CREATE DATABASE {name}")).await;
        let admin_url = at(&server, &name);
        Self { settings: settings(&admin_url), admin_url }
    }

    /// Another database with all that is in this one, which nobody may be connected to.
    pub async fn copy(&self) -> Self {
        let (server, number) = (server_url(), NEXT.fetch_add(1, Ordering::Relaxed));
        let name = format!("c_{}_{number}", process::id());
        let from = self.admin_url.split('?').next().and_then(|url| url.rsplit('/').next());
        let from = from.expect("the URL of a test database names it");
        run(&server, format!("CREATE DATABASE {name} TEMPLATE {from}")).await;
        let admin_url = at(&server, &name);
        Self { settings: settings(&admin_url), admin_url }
    }

    /// A privileged connection, to look from outside.
    pub async fn admin(&self) -> PgConnection {
        PgConnection::connect(&self.admin_url).await.expect("the test database answers")
    }
}

/// The template is named after the schema, so that a run finds the one before it.
async fn template(server: String, migrator: &'static Migrator) -> String {
    let mut fingerprint: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in migrator.iter().flat_map(|migration| migration.checksum.iter()) {
        fingerprint = (fingerprint ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let name = format!("tenure_template_{fingerprint:016x}");
    let mut conn = PgConnection::connect(&server).await.expect("the test server answers");
    // One test process at a time makes it; the lock ends with the connection.
    sqlx::raw_sql("SELECT pg_advisory_lock(7304)").execute(&mut conn).await.expect("a lock");
    let ready = format!("SELECT datistemplate FROM pg_database WHERE datname = '{name}'");
    let found = sqlx::raw_sql(sqlx::AssertSqlSafe(ready)).fetch_optional(&mut conn).await;
    let found = found.expect("pg_database");
    if found.is_some_and(|row| row.try_get::<bool, _>("datistemplate").unwrap_or(false)) {
        return name;
    }
    run(&server, format!("DROP DATABASE IF EXISTS {name}")).await;
    run(&server, format!("CREATE DATABASE {name}")).await;
    let db = Db::open(settings(&at(&server, &name)), migrator).await.expect("the schema migrates");
    db.close().await;
    run(&server, format!("ALTER DATABASE {name} IS_TEMPLATE true")).await;
    name
}
