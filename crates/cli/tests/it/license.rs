//! Licenses from the command line: carried files, instances, conversions.

use jiff::Timestamp;
use nix::sys::signal::Signal;
use tenure_license::{
    InstanceKey,
    file::{self, FileKind},
    instance::{self, Request, RequestKind, StatementKind},
};
use tenure_testkit::TestDatabase;

use crate::support::{Serve, free_port, repository, stderr, stdout};

/// What an installation without a network exports.
fn request(license_key: &str) -> String {
    let key = InstanceKey::from_seed(&[3; 32].into());
    let request = Request {
        aud: StatementKind::Request.audience().into(),
        key: *key.public(),
        kind: RequestKind::Activation,
        license_key: Some(license_key.to_owned()),
        license: None,
        instance: None,
        jti: "request-1".into(),
        iat: Timestamp::now(),
        name: "bunker-1".into(),
        k8s_cluster_uid: None,
        agent_version: "0.1.0".into(),
        ledger: None,
    };
    let token = instance::sign(&request, &key).expect("a request is signed");
    file::write_kind(FileKind::Request, &token)
}

#[tokio::test]
async fn a_request_is_answered_and_its_instance_released() {
    let database = TestDatabase::empty().await;
    let dir = tempfile::tempdir().unwrap();
    let mut server = Serve::start(&database.admin_url, &dir.path().join("master.key"), free_port());
    let product = repository("crates/server/tests/it/air_gapped_product.toml");
    server.json(&["product", "load", product.to_str().unwrap()]);
    server.json(&["tenant", "create", "Acme"]);
    let plan = ["--product", "vault", "--plan", "enterprise", "--model", "air_gapped"];
    server.json(&[&["subscription", "create", "acme"][..], &plan].concat());
    let issued = server.json(&["license", "issue", "acme"]);
    let id = issued["license"]["id"].as_str().unwrap();

    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (asked, answer) = (file("request.txt"), file("acme.lic"));
    std::fs::write(&asked, request(issued["license_key"].as_str().unwrap())).unwrap();
    let report = server.ask(&["license", "report", "import", &asked]);
    assert_eq!(report.status.code(), Some(1), "a request is no report");
    assert!(stderr(&report).contains("hint: answer it: tenure license answer"));
    let answered = server.ask(&["license", "answer", &asked, "--output", &answer]);
    assert!(answered.status.success(), "{}", stderr(&answered));
    assert!(stderr(&answered).contains("for bunker-1 alone"), "{}", stderr(&answered));
    let license = std::fs::read_to_string(&answer).unwrap();
    let again = server.ask(&["license", "answer", &asked]);
    assert_eq!(stdout(&again).trim_end(), license.trim_end(), "the same file, on stdout");

    let held = server.ask(&["license", "instances", "acme", id]);
    assert!(stdout(&held).contains("bunker-1  held"), "{}", stdout(&held));
    assert!(stderr(&held).contains("1 of 2 slots held"), "{}", stderr(&held));
    let listed = server.json(&["license", "instances", "acme", id]);
    let instance = listed["items"][0]["id"].as_str().unwrap();
    let restore = server.ask(&["license", "restore", "acme", id, instance]);
    assert_eq!(restore.status.code(), Some(1), "it is in no quarantine");
    let lost = ["--reason", "machine lost", "--force"];
    let gone = server.json(&[&["license", "release", "acme", id, instance][..], &lost].concat());
    assert_eq!(gone["slot"], "free");

    let none = server.ask(&["license", "report", "list", "acme", id]);
    assert!(none.status.success() && stderr(&none).contains("no reports"));
    let none = server.ask(&["license", "high-water", "acme", id]);
    assert!(none.status.success() && stderr(&none).contains("nothing was reported"));
    let model = ["--model", "managed"];
    let converted = server.json(&[&["license", "convert", "acme", id][..], &model].concat());
    assert_eq!(converted["license"]["revision"], 2);
    let list = server.ask(&["license", "revocations", "vault"]);
    assert!(stdout(&list).starts_with("-----BEGIN TENURE REVOCATIONS-----"), "{}", stderr(&list));
    assert_eq!(server.end(Signal::SIGTERM), Some(0));
}
