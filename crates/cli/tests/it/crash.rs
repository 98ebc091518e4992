//! `kill -9` while usage comes in: all of a batch, or nothing of it.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use tenure_testkit::TestDatabase;

use crate::support::{Serve, free_port, stderr, tenure};

const EVENTS: usize = 40_000;
const BATCH: u64 = 1_000;

fn events() -> String {
    let now = jiff::Timestamp::now();
    let mut lines = String::new();
    for number in 0..EVENTS {
        let event = serde_json::json!({
            "specversion": "1.0", "id": format!("e-{number}"), "source": "/crash",
            "type": "event.ingested", "time": now,
        });
        writeln!(lines, "{event}").unwrap();
    }
    lines
}

fn counted(server: &Serve) -> u64 {
    let summary = server.json(&["usage", "summary", "acme-corp", "--days", "2"]);
    let meters = summary["meters"].as_array().unwrap();
    let events = meters.iter().find(|meter| meter["meter"] == "events").unwrap();
    let days = events["daily"].as_array().unwrap();
    days.iter().map(|day| day["quantity"].as_str().unwrap().parse::<u64>().unwrap()).sum()
}

#[tokio::test]
async fn a_killed_server_has_whole_batches_and_resending_counts_each_event_once() {
    let database = TestDatabase::empty().await;
    let dir = tempfile::tempdir().unwrap();
    let (key, port) = (dir.path().join("master.key"), free_port());
    let file = dir.path().join("events.jsonl");
    let mut server = Serve::start(&database.admin_url, &key, port);
    let made =
        server.json(&["client", "create", "Acme Corp", "--product", "kg-rca", "--plan", "pro"]);
    // Not before the subscription began, or they would be refused.
    std::fs::write(&file, events()).unwrap();
    let api_key = made["api_key"].as_str().unwrap().to_owned();
    let send = |url: &str| {
        let mut command = tenure(&["usage", "send", "--url", url, "--token", &api_key, "--json"]);
        command.arg(&file);
        command
    };

    // Killed three times, each with batches under way.
    let mut known = 0;
    for _ in 0..3 {
        let mut sender = send(&server.url)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_secs(60);
        while counted(&server) == known {
            assert!(Instant::now() < until, "nothing is counted");
        }
        server.end(Signal::SIGKILL);
        assert!(!sender.wait().unwrap().success(), "all was sent before the server was killed");
        server = Serve::start(&database.admin_url, &key, port);
        known = counted(&server);
        assert_eq!(known % BATCH, 0, "a batch is there in part: {known} events");
    }

    let before = counted(&server);
    let output = send(&server.url).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let receipt: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(receipt["duplicates"], before);
    assert_eq!(receipt["accepted"].as_u64().unwrap() + before, EVENTS as u64);
    assert_eq!(counted(&server), EVENTS as u64);
}
