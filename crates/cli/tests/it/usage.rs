//! `tenure usage` against a real server: what was counted, what was refused, and rollups that
//! somebody changed.

#![allow(clippy::disallowed_methods, reason = "rollups are changed behind the server's back")]

use nix::sys::signal::Signal;
use tenure_testkit::TestDatabase;

use crate::support::{Serve, free_port, stderr, stdout, tenure};

const EVENTS: usize = 40;

/// Sends one event a line; the last is of a type that the product does not have.
fn send(server: &Serve, key: &str, dir: &std::path::Path) {
    let time = server.json(&["clock"])["now"].clone();
    let event = |number: usize, kind: &str| {
        serde_json::json!({ "specversion": "1.0", "id": format!("e-{number}"), "source": "/desk",
            "type": kind, "time": time })
        .to_string()
    };
    let mut lines: Vec<String> = (0..EVENTS).map(|number| event(number, "rca.query")).collect();
    lines.push(event(EVENTS, "no.such.type"));
    let file = dir.join("events.jsonl");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let mut send = tenure(&["usage", "send", "--url", &server.url, "--token", key]);
    let output = send.arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "one event is refused");
    assert!(stderr(&output).contains("1 events were not recorded"), "{}", stderr(&output));
}

#[tokio::test]
async fn usage_is_told_by_day_with_its_refusals_and_its_rollups_can_be_made_again() {
    let database = TestDatabase::empty().await;
    let dir = tempfile::tempdir().unwrap();
    let key_file = dir.path().join("master.key");
    let mut server = Serve::start(&database.admin_url, &key_file, free_port());
    let made =
        server.json(&["client", "create", "Acme Corp", "--product", "kg-rca", "--plan", "pro"]);
    let key = made["api_key"].as_str().unwrap();
    let nothing = server.ask(&["usage", "series", "acme-corp", "--meter", "queries"]);
    assert!(stderr(&nothing).contains("nothing was used"), "{}", stderr(&nothing));
    send(&server, key, dir.path());

    // By hour of the day that it was sent on, to the vendor and to the key itself.
    let told =
        server.ask(&["usage", "series", "acme-corp", "--meter", "queries", "--every", "hour"]);
    assert!(told.status.success(), "{}", stderr(&told));
    assert!(stdout(&told).lines().any(|line| line.ends_with("  40")), "{}", stdout(&told));
    let asked = ["usage", "series", "--meter", "queries", "--url", &server.url, "--token", key];
    let own = tenure(&asked).output().unwrap();
    assert!(stdout(&own).lines().any(|line| line.ends_with("  40")), "{}", stdout(&own));
    let wrong = server.ask(&["usage", "series", "acme-corp", "--meter", "nothing"]);
    assert!(!wrong.status.success());

    let refused = server.ask(&["usage", "refused", "acme-corp"]);
    assert!(stdout(&refused).contains("unknown_type"), "{}", stdout(&refused));
    assert!(stderr(&refused).contains("ever refused: 1 unknown_type"), "{}", stderr(&refused));

    let right = server.ask(&["usage", "rebuild", "acme-corp"]);
    assert!(right.status.success(), "{}", stderr(&right));
    let mut conn = database.admin().await;
    let changed =
        sqlx::query("UPDATE usage_rollups SET sum = sum + 1").execute(&mut conn).await.unwrap();
    assert_ne!(changed.rows_affected(), 0);
    let found = server.ask(&["usage", "rebuild", "acme-corp"]);
    assert_eq!(found.status.code(), Some(1), "{}", stdout(&found));
    assert!(stderr(&found).contains("they are now"), "{}", stderr(&found));
    assert!(server.ask(&["usage", "rebuild", "acme-corp"]).status.success());
    server.end(Signal::SIGTERM);
}
