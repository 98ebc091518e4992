//! Bodies with usage: lines, packed ones, too much at once; and what becomes of refused events.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    harness::{ADMIN, Answer, EPOCH, TestServer},
    usage::{USAGE, meter, reasons, typed},
};

/// Longer than any promise made here; for polling only.
const PATIENCE: Duration = Duration::from_secs(60);

fn event(id: &str) -> Value {
    typed(id, "event.ingested", EPOCH, json!({}))
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

async fn packed(test: &TestServer, key: &str, coding: &str, body: Vec<u8>) -> Answer {
    let request = test.request(Method::POST, key, USAGE).header("content-type", "application/json");
    test.send(request.header("content-encoding", coding).body(body)).await
}

#[tokio::test]
async fn lines_are_events_and_a_broken_line_is_one_refused_event() {
    let test = TestServer::start().await;
    let (_, key) = test.client("Acme", "pro").await;
    let text = format!("{}\n\r\n{{\"id\": \n{}\n", event("a"), event("b"));
    for kind in ["application/x-ndjson", "application/cloudevents+ndjson; charset=utf-8"] {
        let answer = test.post_bytes(&key, USAGE, kind, text.clone().into_bytes()).await;
        assert_eq!(reasons(&answer.expect(200)), ["", "malformed", ""]);
    }
    assert_eq!(meter(&test, &key, "events").await["used"], "2");
    let many = "{}\n".repeat(10_001);
    let answer = test.post_bytes(&key, USAGE, "application/x-ndjson", many.into_bytes()).await;
    answer.expect(413);
}

#[tokio::test]
async fn packed_bodies_are_unpacked_within_a_bound() {
    let test = TestServer::start().await;
    let (_, key) = test.client("Acme", "pro").await;
    let body = |id: &str| json!([event(id)]).to_string().into_bytes();
    let answer = packed(&test, &key, "gzip", gzip(&body("a"))).await;
    assert_eq!(answer.expect(200)["accepted"], 1);
    let answer = packed(&test, &key, "ZSTD", zstd::bulk::compress(&body("b"), 1).unwrap()).await;
    assert_eq!(answer.expect(200)["accepted"], 1);
    packed(&test, &key, "identity", body("c")).await.expect(200);
    let refused = packed(&test, &key, "br", body("d")).await;
    assert_eq!(refused.header("accept-encoding"), Some("gzip, zstd"));
    refused.expect(415);
    packed(&test, &key, "gzip", body("d")).await.expect(400);
    let bomb = gzip(&vec![b' '; tenure_server::usage::UNPACKED_BYTES_MAX + 1]);
    assert!(bomb.len() < 1_000_000);
    packed(&test, &key, "gzip", bomb).await.expect(413);
    assert_eq!(meter(&test, &key, "events").await["used"], "3");
}

#[tokio::test]
async fn a_minimal_receipt_lists_only_what_is_not_recorded() {
    let test = TestServer::start().await;
    let (_, key) = test.client("Acme", "pro").await;
    test.post(&key, USAGE, event("known")).await.expect(200);
    let mut other = event("known");
    other["time"] = json!("2026-03-01T00:00:01Z");
    let batch = json!([
        event("a"),
        event("known"),
        other,
        typed("t", "nonsense", EPOCH, json!({})),
        event("b")
    ]);
    let request = test.request(Method::POST, &key, USAGE).header("prefer", "return=minimal");
    let answer = test.send(request.json(&batch)).await;
    assert_eq!(answer.header("preference-applied"), Some("return=minimal"));
    let receipt = answer.expect(200);
    let counts = ["accepted", "duplicates", "conflicts", "rejected"].map(|name| &receipt[name]);
    assert_eq!(counts, [2, 1, 1, 1]);
    assert_eq!(reasons(&receipt), ["key_reused", "unknown_type"]);
    let places: Vec<&Value> =
        receipt["results"].as_array().unwrap().iter().map(|result| &result["index"]).collect();
    assert_eq!(places, [2, 3]);
}

#[tokio::test]
async fn refused_events_are_listed_and_counted() {
    let test = TestServer::start().await;
    let (acme, key) = test.client("Acme", "pro").await;
    let (_, other) = test.client("Globex", "pro").await;
    let old = |id: &str| typed(id, "event.ingested", "2024-12-01T12:00:00Z", json!({}));
    let control = typed("nul\u{0}\u{7}", "event.ingested", EPOCH, json!({}));
    let batch = json!([old("a"), event("fine"), control, 7]);
    test.post(&key, USAGE, batch).await.expect(200);
    let listed = test.get(&key, "/api/v1/usage/refused").await.expect(200);
    let items = listed["items"].as_array().unwrap();
    let seen: Vec<_> = items.iter().map(|item| (&item["id"], &item["reason"])).collect();
    assert_eq!(
        seen,
        [
            (&Value::Null, &json!("malformed")),
            (&json!("nul"), &json!("bad_text")),
            (&json!("a"), &json!("too_old"))
        ]
    );
    assert_eq!(
        (&items[2]["time"], &items[2]["source"], &items[2]["type"]),
        (&json!("2024-12-01T12:00:00Z"), &json!("/test"), &json!("event.ingested"))
    );
    // The newest are kept, and every one is counted.
    for round in 0..2 {
        let many: Vec<Value> = (0..700).map(|n| old(&format!("{round}-{n}"))).collect();
        assert_eq!(test.post(&key, USAGE, json!(many)).await.expect(200)["rejected"], 700);
    }
    let path = format!("/api/v1/admin/tenants/{acme}/usage/refused");
    let (mut cursor, mut total) = (String::new(), 0);
    loop {
        let page = test.get(ADMIN, &format!("{path}?limit=200&cursor={cursor}")).await.expect(200);
        total += page["items"].as_array().unwrap().len();
        let count =
            page["counts"].as_array().unwrap().iter().find(|count| count["reason"] == "too_old");
        assert_eq!(count.unwrap()["count"], 1_401);
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = next.to_owned();
    }
    assert_eq!(total, tenure_server::usage::refused::REFUSED_KEPT_MAX);
    let others = test.get(&other, "/api/v1/usage/refused").await.expect(200);
    assert_eq!(others, json!({ "items": [], "counts": [] }));
    assert_eq!(meter(&test, &key, "events").await["used"], "1");
}

/// Requests whose bodies of 16 MiB have begun and do not end: one more than there is room for.
/// Tells how that one was refused, and keeps the others at work.
async fn filled(test: &TestServer, key: &str) -> (String, tokio::task::JoinSet<String>) {
    let address = test.url("").trim_start_matches("http://").to_owned();
    let head = format!(
        "POST {USAGE} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: 16777216\r\n\r\n["
    );
    let mut open = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let (address, head) = (address.clone(), head.clone());
        open.spawn(async move {
            let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut said = [0u8; 1_000];
            let length = stream.read(&mut said).await.unwrap();
            String::from_utf8_lossy(&said[..length]).into_owned()
        });
    }
    (open.join_next().await.unwrap().unwrap(), open)
}

/// Polls until a small batch is answered with that status.
async fn until(test: &TestServer, key: &str, status: u16) -> Answer {
    let began = Instant::now();
    loop {
        let answer = test.post(key, USAGE, json!([event("small")])).await;
        if answer.status.as_u16() == status {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "{} {}", answer.status, answer.text);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn too_much_at_once_is_told_to_come_back_and_nobody_keeps_the_others_out() {
    let test = TestServer::start().await;
    let (_, greedy) = test.client("Greedy", "pro").await;
    let (_, other) = test.client("Other", "pro").await;
    let (_, third) = test.client("Third", "pro").await;
    let (refused, first) = filled(&test, &greedy).await;
    assert!(refused.starts_with("HTTP/1.1 429 "), "{refused}");
    assert!(refused.contains("\r\nretry-after: 1\r\n"), "{refused}");
    test.post(&greedy, USAGE, json!([event("small")])).await.expect(429);
    test.post(&other, USAGE, json!([event("small")])).await.expect(200);
    let (_, second) = filled(&test, &other).await;
    let full = test.post(&third, USAGE, json!([event("small")])).await;
    assert_eq!(full.status, 503, "{}", full.text);
    assert_eq!(
        (full.header("retry-after"), &full.json["type"]),
        (Some("1"), &json!("urn:tenure:problem:busy"))
    );
    drop((first, second));
    until(&test, &third, 200).await;
    until(&test, &greedy, 200).await;
}
