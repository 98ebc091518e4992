//! The license service: `/api/v1/activate`, `heartbeat`, `release`, `validate`,
//! and what staff sees of it.

mod activation;
mod heartbeats;
mod plain;
mod proofs;
mod revocation;
mod staff;
mod together;

use std::time::{Duration, Instant};

use serde_json::Value;

/// The stated bound is one second; the machine may be slow.
const PATIENCE: Duration = Duration::from_secs(20);

/// Polls until `seen` holds.
async fn soon(what: &str, mut seen: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !seen().await {
        assert!(began.elapsed() < PATIENCE, "{what} was never seen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn kind(problem: &Value) -> &str {
    problem["type"].as_str().unwrap_or_default().trim_start_matches("urn:tenure:problem:")
}

fn codes(answer: &Value) -> Vec<&str> {
    let warnings = answer["warnings"].as_array().into_iter().flatten();
    warnings.filter_map(|warning| warning["code"].as_str()).collect()
}

async fn trail(test: &crate::harness::TestServer, license: &crate::harness::Gizmo) -> Vec<String> {
    let path = format!("{}/audit", license.tenant);
    let trail = test.get(crate::harness::ADMIN, &path).await.expect(200);
    let items = trail["items"].as_array().unwrap();
    items.iter().map(|entry| entry["action"].as_str().unwrap().to_owned()).collect()
}
