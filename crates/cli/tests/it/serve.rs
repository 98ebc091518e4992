//! A real server process and the commands that ask it.

use nix::sys::signal::Signal;
use tenure_testkit::TestDatabase;

use crate::support::{Serve, free_port, run, stderr, stdout, tenure};

#[tokio::test]
async fn a_server_is_started_asked_and_stopped_in_order() {
    let database = TestDatabase::empty().await;
    let dir = tempfile::tempdir().unwrap();
    let mut server = Serve::start(&database.admin_url, &dir.path().join("master.key"), free_port());

    let products = server.json(&["product", "list"]);
    assert_eq!(products["items"].as_array().unwrap().len(), 5);
    let client = ["client", "create", "Acme Corp", "--product", "kg-rca", "--plan", "pro"];
    let made = server.json(&client);
    assert!(made["api_key"].as_str().unwrap().starts_with("kg_live_"), "{made}");

    let listed = server.ask(&["tenant", "list"]);
    assert!(stdout(&listed).contains("acme-corp  Acme Corp  active"), "{}", stdout(&listed));
    let shown = server.ask(&["subscription", "show", "acme-corp"]);
    assert!(stdout(&shown).contains("events"), "{}{}", stdout(&shown), stderr(&shown));
    let audit = server.ask(&["audit", "verify", "acme-corp"]);
    assert!(audit.status.success() && stdout(&audit).contains("intact"), "{}", stdout(&audit));

    assert_eq!(server.end(Signal::SIGTERM), Some(0));
}

#[tokio::test]
async fn a_refusal_is_rendered_with_every_field_and_exit_code_1() {
    let database = TestDatabase::empty().await;
    let dir = tempfile::tempdir().unwrap();
    let mut server = Serve::start(&database.admin_url, &dir.path().join("master.key"), free_port());

    let refused =
        server.ask(&["tenant", "create", " ", "--time-zone", "Mars/Base", "--contact-email", "x"]);
    assert_eq!(refused.status.code(), Some(1));
    insta::assert_snapshot!("refusal", stderr(&refused));

    let missing = server.ask(&["tenant", "show", "nobody"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        stderr(&missing).starts_with("error: There is no such tenant."),
        "{}",
        stderr(&missing)
    );

    let stranger = run(&["tenant", "list", "--url", &server.url, "--token", "tenv_no"]);
    assert!(stderr(&stranger).contains("hint: give a vendor credential"), "{}", stderr(&stranger));
    assert_eq!(server.end(Signal::SIGINT), Some(0));
}

#[test]
fn a_test_clock_begins_at_a_moment_and_is_asked_for() {
    let start = "2025-11-01T00:00:00Z";
    let nonsense = run(&["serve", "--test-clock", "--test-clock-start", "yesterday"]);
    assert_eq!(nonsense.status.code(), Some(2));
    assert!(stderr(&nonsense).contains("expected a moment"), "{}", stderr(&nonsense));
    let alone = run(&["serve", "--test-clock-start", start]);
    assert_eq!(alone.status.code(), Some(2));
    assert!(stderr(&alone).contains("--test-clock"), "{}", stderr(&alone));
    // Said and taken back: the setting is off, and nothing was started or made.
    let dir = tempfile::tempdir().unwrap();
    let off = tenure(&["serve", "--listen", "127.0.0.1:0", "--master-key-file"])
        .arg(dir.path().join("master.key"))
        .env("TENURE_DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing")
        .env("TENURE_TEST_CLOCK", "0")
        .env("TENURE_TEST_CLOCK_START", start)
        .output()
        .unwrap();
    assert_eq!(off.status.code(), Some(1));
    assert!(stderr(&off).contains("TENURE_TEST_CLOCK=1"), "{}", stderr(&off));
}
