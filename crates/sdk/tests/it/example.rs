//! The example that the documentation shows, run as its reader would.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::json;

use crate::world::{Other, keys, license};

/// Built beside the tests by `cargo test`.
fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let example = test.ancestors().nth(2).unwrap().join("examples/product");
    assert!(example.exists(), "cargo build -p tenure-sdk --example product");
    example
}

fn run(dir: &tempfile::TempDir, env: &[(&str, &str)]) -> Output {
    let path = dir.path().join("keys.json");
    std::fs::write(&path, keys()).unwrap();
    Command::new(example()).arg(path).env_clear().envs(env.iter().copied()).output().unwrap()
}

#[test]
fn it_runs_offline_and_says_what_is_granted() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(&dir, &[("LICENSE_KEY", &license(|_| ()))]);
    assert!(ran.status.success(), "{ran:?}");
    let said = String::from_utf8(ran.stdout).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "licensed to Acme Corp: active");
    assert!(lines[2].starts_with("403 feature_missing "), "{said}");
    assert_eq!(lines[3], "200 limit_near Team limit: 5/5 (80% reached).");
}

#[test]
fn it_refuses_to_start_without_a_genuine_license() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(&dir, &[("LICENSE_KEY", &license(|_| ()).replacen("eyJ", "eyK", 1))]);
    assert!(!ran.status.success() && ran.stdout.is_empty(), "{ran:?}");
}

#[test]
fn it_runs_with_an_agent_and_sends_usage() {
    let dir = tempfile::tempdir().unwrap();
    let other = Other::start("/v1/license", json!({"license": license(|_| ())}));
    other.answers("/v1/usage", 202, json!({}));
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "s3cret").unwrap();
    let secret = secret.to_str().unwrap();
    let ran = run(&dir, &[("TENURE_AGENT", &other.address), ("TENURE_AGENT_SECRET_FILE", secret)]);
    assert!(ran.status.success(), "{ran:?}");
    let (path, bearer, events) = other.asked().pop().unwrap();
    assert_eq!((path.as_str(), bearer.as_str()), ("/v1/usage", "Bearer s3cret"));
    assert_eq!(events[0]["data"], json!({"runs": "1"}));
}
