//! `kill -9` while months are closed, by two servers at once: the invoices that come of it are
//! those of a server that nobody disturbed, to the byte.

#![allow(clippy::disallowed_methods, reason = "the database is looked at from outside")]

use std::{
    fmt::Write,
    path::Path,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use nix::sys::signal::Signal;
use sqlx::PgConnection;
use tenure_testkit::TestDatabase;

use crate::support::{Serve, free_port, stderr, tenure};

const CLIENTS: usize = 16;
/// Closes that are interrupted.
const KILLS: usize = 4;
/// Longer than a dead worker keeps its jobs.
const LEASE: SignedDuration = SignedDuration::from_mins(6);
const PATIENCE: Duration = Duration::from_secs(120);
/// Everything that an invoice says but its number and when it was written: numbers go to whoever
/// is issued first.
const CONTENTS: &str = "SELECT coalesce(string_agg(text, E'\\n' ORDER BY text), '') FROM (
    SELECT (to_jsonb(i) - ARRAY['number', 'drafted_at', 'issued_at', 'due_at'])::text AS text
        FROM invoices i
    UNION ALL SELECT to_jsonb(l)::text FROM invoice_lines l
    UNION ALL SELECT to_jsonb(t)::text FROM invoice_taxes t
    UNION ALL SELECT (to_jsonb(p) - 'closed_at')::text FROM billing_periods p) all_of_it";

async fn text(conn: &mut PgConnection, sql: &'static str) -> String {
    sqlx::query_scalar(sql).fetch_one(conn).await.unwrap()
}

async fn count(conn: &mut PgConnection, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(conn).await.unwrap()
}

/// What closing and issuing has left behind so far.
async fn progress(conn: &mut PgConnection) -> i64 {
    count(conn, "SELECT count(*) + count(number) FROM invoices").await
}

/// The number of periods that are over and open, and of drafts.
async fn left(conn: &mut PgConnection, now: Timestamp) -> i64 {
    let sql =
        "SELECT (SELECT count(*) FROM billing_periods WHERE status = 'open' AND period_end <= $1)
        + (SELECT count(*) FROM invoices WHERE status = 'draft' AND finalise_after <= $1)";
    let now = jiff_sqlx::ToSqlx::to_sqlx(now);
    sqlx::query_scalar(sql).bind(now).fetch_one(conn).await.unwrap()
}

fn serve(database: &TestDatabase, key: &Path) -> Serve {
    let environment = [("TENURE_TEST_CLOCK", Path::new("1"))];
    Serve::start_with(&database.admin_url, key, free_port(), &environment)
}

fn now(server: &Serve) -> Timestamp {
    server.json(&["clock"])["now"].as_str().unwrap().parse().unwrap()
}

fn advance(server: &Serve, by: SignedDuration) -> Timestamp {
    let to = now(server) + by;
    server.json(&["clock", "--to", &to.to_string()]);
    to
}

/// Sixteen clients on two plans, each with usage of its own.
fn clients(server: &Serve, dir: &Path) {
    let file = dir.join("events.jsonl");
    for client in 0..CLIENTS {
        let plan = ["basic", "pro"][client % 2];
        let name = format!("Client {client}");
        let made = server.json(&["client", "create", &name, "--product", "kg-rca", "--plan", plan]);
        let key = made["api_key"].as_str().unwrap();
        let time = now(server);
        let mut lines = String::new();
        for number in 0..(client + 1) * 150 {
            let event = serde_json::json!({ "specversion": "1.0", "id": format!("e-{number}"),
                "source": "/close", "type": "rca.query", "time": time });
            writeln!(lines, "{event}").unwrap();
        }
        std::fs::write(&file, lines).unwrap();
        let mut send = tenure(&["usage", "send", "--url", &server.url, "--token", key, "--json"]);
        let output = send.arg(&file).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    }
}

/// Runs until nothing is due.
async fn finish(server: &Serve, conn: &mut PgConnection) {
    let until = Instant::now() + PATIENCE;
    loop {
        let now = advance(server, LEASE);
        if left(conn, now).await == 0 {
            return;
        }
        assert!(Instant::now() < until, "the close does not come to an end");
        let output = server.ask(&["invoice", "close"]);
        assert!(output.status.success(), "{}", stderr(&output));
    }
}

#[tokio::test]
async fn a_close_that_is_killed_ends_in_the_same_invoices() {
    let quiet = TestDatabase::empty().await;
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("master.key");
    let mut server = serve(&quiet, &key);
    clients(&server, dir.path());
    server.end(Signal::SIGTERM);
    let disturbed = quiet.copy().await;

    // Nobody disturbs this one: two months, and the grace of their invoices.
    let server = serve(&quiet, &key);
    let mut conn = quiet.admin().await;
    advance(&server, SignedDuration::from_hours(24 * 70));
    finish(&server, &mut conn).await;
    let expected = text(&mut conn, CONTENTS).await;
    let invoices = count(&mut conn, "SELECT count(*) FROM invoices WHERE number IS NOT NULL").await;
    assert_eq!(invoices, 2 * CLIENTS as i64);
    drop(server);

    // Here two servers close, and one after the other is killed.
    let mut servers = [serve(&disturbed, &key), serve(&disturbed, &key)];
    let mut conn = disturbed.admin().await;
    advance(&servers[0], SignedDuration::from_hours(24 * 70));
    let mut interrupted = 0;
    for kill in 0..KILLS {
        let now = advance(&servers[0], LEASE);
        if left(&mut conn, now).await == 0 {
            break;
        }
        let before = progress(&mut conn).await;
        let output = servers[kill % 2].ask(&["invoice", "close", "--no-wait"]);
        assert!(output.status.success(), "{}", stderr(&output));
        let until = Instant::now() + PATIENCE;
        while progress(&mut conn).await == before {
            assert!(Instant::now() < until, "nothing is closed");
        }
        servers[kill % 2].end(Signal::SIGKILL);
        interrupted += i64::from(left(&mut conn, now).await > 0);
        servers[kill % 2] = serve(&disturbed, &key);
    }
    assert!(interrupted > 0, "every close was over before its server was killed");
    finish(&servers[1], &mut conn).await;
    assert_eq!(text(&mut conn, CONTENTS).await, expected);
    let numbers = "SELECT string_agg(number, ' ' ORDER BY number) FROM invoices";
    let whole: Vec<String> = (1..=invoices).map(|n| format!("INV-{n:06}")).collect();
    assert_eq!(text(&mut conn, numbers).await, whole.join(" "), "no number is missing");
}
