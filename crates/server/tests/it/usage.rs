//! `/api/v1/usage`.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Row;

use crate::harness::{ADMIN, Answer, EPOCH, TestServer};

pub const USAGE: &str = "/api/v1/usage";

fn event(id: &str, time: &str) -> Value {
    typed(id, "event.ingested", time, json!({}))
}

pub fn typed(id: &str, kind: &str, time: &str, data: Value) -> Value {
    json!({ "specversion": "1.0", "id": id, "source": "/test", "type": kind, "time": time, "data": data })
}

fn events(prefix: &str, count: usize, time: &str) -> Vec<Value> {
    (0..count).map(|n| event(&format!("{prefix}-{n}"), time)).collect()
}

pub fn outcomes(receipt: &Value) -> Vec<&str> {
    let results = receipt["results"].as_array().unwrap();
    results.iter().map(|result| result["outcome"].as_str().unwrap()).collect()
}

pub fn reasons(receipt: &Value) -> Vec<&str> {
    let results = receipt["results"].as_array().unwrap();
    results.iter().map(|result| result["reason"].as_str().unwrap_or("")).collect()
}

async fn send_as(
    test: &TestServer,
    key: &str,
    kind: &str,
    body: impl Into<reqwest::Body>,
) -> Answer {
    let request = test.request(Method::POST, key, USAGE).header("content-type", kind).body(body);
    test.send(request).await
}

/// The summary of one meter.
pub async fn meter(test: &TestServer, key: &str, id: &str) -> Value {
    let summary = test.get(key, "/api/v1/usage/summary?days=4").await.expect(200);
    let found = summary["meters"].as_array().unwrap().iter().find(|meter| meter["meter"] == id);
    found.unwrap_or_else(|| panic!("{summary}")).clone()
}

/// (Keys, events alone or in chunks, rollups), seen from outside.
async fn rows(test: &TestServer) -> (i64, i64, i64) {
    let sql = "SELECT (SELECT count(*) FROM usage_keys), (SELECT count(*) FROM usage_events)
                       + (SELECT coalesce(sum(events), 0) FROM usage_chunks)::bigint,
                   (SELECT count(*) FROM usage_rollups)";
    let row = behind(test, sql).await.remove(0);
    (row.get(0), row.get(1), row.get(2))
}

/// Looks or changes behind the server's back.
#[allow(clippy::disallowed_methods, reason = "a test looks from outside")]
pub async fn behind(test: &TestServer, sql: &str) -> Vec<sqlx::postgres::PgRow> {
    let mut admin = test.database.admin().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).fetch_all(&mut admin).await.expect("SQL of a test")
}

#[tokio::test]
async fn an_event_sent_again_counts_once_and_its_name_cannot_be_used_for_another() {
    let test = TestServer::start().await;
    let (_, key) = test.client("Acme", "pro").await;
    let first = test.post(&key, USAGE, json!([event("a", EPOCH), event("b", EPOCH)])).await;
    assert_eq!(outcomes(&first.expect(200)), ["accepted", "accepted"]);
    // Blanks and the zone that the time is written in say nothing.
    let again = r#"[ {"specversion":"1.0","id":"a","source":"/test","type":"event.ingested",
        "time":"2026-03-01T01:00:00+01:00","data": { } } ]"#;
    let again = send_as(&test, &key, "application/cloudevents-batch+json", again).await.expect(200);
    assert_eq!(outcomes(&again), ["duplicate"]);
    let other = test.post(&key, USAGE, event("a", "2026-03-01T00:00:01Z")).await.expect(200);
    assert_eq!((outcomes(&other), reasons(&other)), (vec!["conflict"], vec!["key_reused"]));
    assert_eq!(meter(&test, &key, "events").await["used"], "2");
}

#[tokio::test]
async fn a_bad_event_never_fails_its_batch() {
    let test = TestServer::start().await;
    let (_, key) = test.client("Acme", "pro").await;
    let no_time =
        json!({ "specversion": "1.0", "id": "e", "source": "/s", "type": "event.ingested" });
    let batch = json!([
        event("a", EPOCH),
        event("a", EPOCH),
        event("a", "2026-03-01T00:01:00Z"),
        event("late", "2025-01-01T00:00:00Z"),
        event("before", "2026-02-28T23:59:59Z"),
        event("ahead", "2026-03-01T00:05:01Z"),
        event("a little ahead", "2026-03-01T00:05:00Z"),
        typed("type", "event.ingestd", EPOCH, json!({})),
        no_time,
        { "specversion": "0.3", "id": "v", "source": "/s", "type": "event.ingested", "time": EPOCH },
        { "id": 7 },
        3,
        event(&"x".repeat(257), EPOCH),
        event("nul\u{0}", EPOCH),
    ]);
    let receipt = test.post(&key, USAGE, batch).await.expect(200);
    assert_eq!(
        reasons(&receipt),
        [
            "",
            "",
            "key_reused",
            "too_old",
            "before_subscription",
            "in_future",
            "",
            "unknown_type",
            "missing_time",
            "unsupported_specversion",
            "malformed",
            "malformed",
            "too_long",
            "bad_text",
        ]
    );
    let counts = ["accepted", "duplicates", "conflicts", "rejected"].map(|name| &receipt[name]);
    assert_eq!(counts, [2, 1, 1, 10]);
    let hint = receipt["results"][7]["detail"].as_str().unwrap();
    assert!(hint.contains("did you mean `event.ingested`?"), "{hint}");
    assert_eq!(rows(&test).await, (2, 2, 1));
    let counted = test.get("", "/metrics").await.text;
    assert!(counted.contains("tenure_usage_events_total{outcome=\"rejected\"} 10"), "{counted}");
}

#[tokio::test]
async fn events_arrive_alone_in_a_batch_or_in_headers() {
    let test = TestServer::start().await;
    let (_, key) = test.client("Acme", "pro").await;
    let one = event("one", EPOCH).to_string();
    let single = send_as(&test, &key, "application/cloudevents+json", one).await.expect(200);
    assert_eq!(outcomes(&single), ["accepted"]);
    let binary = |id: &str| {
        test.request(Method::POST, &key, USAGE)
            .header("ce-specversion", "1.0")
            .header("ce-id", id)
            .header("ce-source", "/caf%C3%A9")
            .header("ce-type", "event.ingested")
            .header("ce-time", EPOCH)
    };
    let with = binary("two").header("content-type", "application/json").body(r#"{"a": 1}"#);
    assert_eq!(outcomes(&test.send(with).await.expect(200)), ["accepted"]);
    assert_eq!(outcomes(&test.send(binary("three")).await.expect(200)), ["accepted"]);
    send_as(&test, &key, "text/plain", "hello").await.expect(415);
    send_as(&test, &key, "application/json", "{").await.expect(400);
    send_as(&test, &key, "application/cloudevents+json", "[]").await.expect(400);
    let many = serde_json::to_string(&vec![0; 10_001]).unwrap();
    send_as(&test, &key, "application/json", many).await.expect(413);
    assert_eq!(outcomes(&test.post(&key, USAGE, json!([])).await.expect(200)), Vec::<&str>::new());
    assert_eq!(meter(&test, &key, "events").await["used"], "3");
}

#[tokio::test]
async fn quantities_are_read_exactly_or_not_at_all() {
    let test = TestServer::with_product(&["kg-rca"]).await;
    let key = client(&test, "kg-rca", "pro").await;
    let sent = |values: &[&str]| {
        let all: Vec<String> = values
            .iter()
            .enumerate()
            .map(|(n, value)| {
                format!(
                    r#"{{"specversion":"1.0","id":"{n}","source":"/s","type":"storage.measured",
                        "time":"{EPOCH}","data":{{"bytes":{value}}}}}"#
                )
            })
            .collect();
        format!("[{}]", all.join(","))
    };
    let forty = "9".repeat(40);
    let bad = ["-1", "1e3", "\"NaN\"", "null", "true", "{}", "0.0000001", &forty, "\"1 \"", "\"\""];
    let receipt = send_as(&test, &key, "application/json", sent(&bad)).await.expect(200);
    assert_eq!(reasons(&receipt), ["bad_quantity"; 10]);
    let good = ["999999999999999.999999", "\"0.000001\"", "0"];
    let receipt = send_as(&test, &key, "application/json", sent(&good)).await.expect(200);
    assert_eq!(outcomes(&receipt), ["accepted"; 3]);
    let missing = typed("m", "storage.measured", EPOCH, json!({ "byte": 1 }));
    let receipt = test.post(&key, USAGE, missing).await.expect(200);
    assert_eq!(reasons(&receipt), ["missing_field"]);
    let sql = "SELECT sum::text, max::text, min::text, last::text FROM usage_rollups";
    let row = behind(&test, sql).await.remove(0);
    let read: [String; 4] = std::array::from_fn(|n| row.get(n));
    assert_eq!(
        read,
        ["1000000000000000.000000", "999999999999999.999999", "0.000000", "999999999999999.999999"]
    );
}

#[tokio::test]
async fn a_batch_with_an_error_inside_leaves_nothing() {
    let test = TestServer::start().await;
    let (_, key) = test.client("Acme", "pro").await;
    behind(&test, "ALTER TABLE usage_rollups ADD CONSTRAINT broken CHECK (events < 3)").await;
    test.post(&key, USAGE, json!(events("a", 3, EPOCH))).await.expect(500);
    assert_eq!(rows(&test).await, (0, 0, 0));
    behind(&test, "ALTER TABLE usage_rollups DROP CONSTRAINT broken").await;
    let receipt = test.post(&key, USAGE, json!(events("a", 3, EPOCH))).await.expect(200);
    assert_eq!(receipt["accepted"], 3, "nothing of the first try stood in the way");
}

#[tokio::test]
async fn batches_at_once_that_share_events_count_each_once() {
    let test = TestServer::start().await;
    let (_, key) = test.client("Acme", "pro").await;
    let times = ["2026-03-01T00:00:00Z", "2026-03-01T00:04:00Z", "2026-03-01T00:02:00Z"];
    let mut all: Vec<Value> = (0..400).map(|n| event(&n.to_string(), times[n % 3])).collect();
    for round in 0..3 {
        let forward = json!(all);
        all.reverse();
        let backward = json!(all);
        let (a, b, c) = tokio::join!(
            test.post(&key, USAGE, forward.clone()),
            test.post(&key, USAGE, backward),
            test.post(&key, USAGE, forward)
        );
        let receipts = [a.expect(200), b.expect(200), c.expect(200)];
        let accepted: u64 = receipts.iter().map(|r| r["accepted"].as_u64().unwrap()).sum();
        let repeated: u64 = receipts.iter().map(|r| r["duplicates"].as_u64().unwrap()).sum();
        assert_eq!((accepted, repeated), if round == 0 { (400, 800) } else { (0, 1200) });
    }
    assert_eq!(meter(&test, &key, "events").await["used"], "400");
    assert_eq!(rows(&test).await, (400, 400, 1));
}

/// A key of a tenant in a time zone, with a plan of a real product.
async fn client_in(test: &TestServer, product: &str, plan: &str, zone: &str) -> String {
    let body = json!({ "product": product, "plan": plan });
    let (path, key) = test.subscribed(zone, body).await;
    test.patch(ADMIN, &path, json!({ "time_zone": zone })).await.expect(200);
    key
}

async fn client(test: &TestServer, product: &str, plan: &str) -> String {
    client_in(test, product, plan, "UTC").await
}

fn daily(meter: &Value) -> Vec<(&str, &str)> {
    let days = meter["daily"].as_array().unwrap();
    days.iter().map(|d| (d["date"].as_str().unwrap(), d["quantity"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn days_are_those_of_the_tenants_zone_also_when_clocks_change() {
    let test = TestServer::with_product(&["kg-rca"]).await;
    let berlin = client_in(&test, "kg-rca", "pro", "Europe/Berlin").await;
    let howe = client_in(&test, "kg-rca", "pro", "Australia/Lord_Howe").await;
    test.advance_to("2026-04-06T00:00:00Z");
    // Berlin: 29 March has 23 hours, from 28 March 23:00Z to 29 March 22:00Z.
    let around = [
        "2026-03-28T22:59:59.999999Z",
        "2026-03-28T23:00:00Z",
        "2026-03-29T21:59:59Z",
        "2026-03-29T22:00:00Z",
        "2026-03-29T12:00:00Z",
    ];
    // Lord Howe goes back half an hour on 5 April at 2:00: that day begins at
    // 4 April 13:00Z (+11:00) and ends at 5 April 13:30Z (+10:30).
    let half = [
        "2026-04-04T12:59:59Z",
        "2026-04-04T13:00:00Z",
        "2026-04-05T13:29:59Z",
        "2026-04-05T13:30:00Z",
        "2026-04-05T00:00:00Z",
    ];
    for (key, times) in [(&berlin, around), (&howe, half)] {
        let batch: Vec<Value> = times.iter().map(|time| event(time, time)).collect();
        assert_eq!(test.post(key, USAGE, json!(batch)).await.expect(200)["accepted"], 5);
    }
    let events = meter(&test, &howe, "events").await;
    assert_eq!(
        daily(&events),
        [("2026-04-03", "0"), ("2026-04-04", "1"), ("2026-04-05", "3"), ("2026-04-06", "1")]
    );
    assert_eq!(events["window"]["start"], "2026-04-05T13:30:00Z");
    let path = "/api/v1/usage/summary?days=9";
    let summary = test.get(&berlin, path).await.expect(200);
    let days = daily(&summary["meters"][0]);
    assert_eq!(days[..3], [("2026-03-29", "3"), ("2026-03-30", "1"), ("2026-03-31", "0")]);
    let wrong = test.get(&berlin, "/api/v1/usage/summary?days=401").await.expect(422);
    assert_eq!(wrong["errors"][0]["pointer"], "/days");
}

#[tokio::test]
async fn late_events_change_the_past_and_not_the_latest_value() {
    let test = TestServer::with_product(&["incidentfox"]).await;
    let key = client(&test, "incidentfox", "starter").await;
    test.advance_to("2026-03-04T12:00:00Z");
    let teams =
        |id: &str, time: &str, n: &str| typed(id, "teams.concurrent", time, json!({ "teams": n }));
    let now = json!([
        teams("1", "2026-03-04T11:00:00Z", "3"),
        typed("u", "user.active", EPOCH, json!({ "user_id": 5 })),
        typed("v", "user.active", EPOCH, json!({ "user_id": "5" }))
    ]);
    assert_eq!(test.post(&key, USAGE, now).await.expect(200)["accepted"], 3);
    let late = json!([
        teams("2", "2026-03-02T11:00:00Z", "4"),
        teams("3", "2026-03-02T11:01:00Z", "2.5"),
        typed("w", "user.active", "2026-03-03T00:00:00Z", json!({ "user_id": "x" }))
    ]);
    assert_eq!(test.post(&key, USAGE, late).await.expect(200)["accepted"], 3);
    let peak = meter(&test, &key, "concurrent_teams").await;
    assert_eq!(peak["used"], "4");
    let days: Vec<&str> = daily(&peak).into_iter().map(|(_, quantity)| quantity).collect();
    assert_eq!(days, ["0", "4", "0", "3"]);
    assert_eq!(meter(&test, &key, "active_users").await["used"], "2");
}

#[tokio::test]
async fn a_key_shows_the_usage_of_its_own_tenant_only() {
    let test = TestServer::start().await;
    let (acme, acme_key) = test.client("Acme", "pro").await;
    let (globex, globex_key) = test.client("Globex", "pro").await;
    for key in [&acme_key, &globex_key] {
        let receipt = test.post(key, USAGE, event("same name", EPOCH)).await.expect(200);
        assert_eq!(receipt["accepted"], 1, "names are a tenant's own");
    }
    test.post(&acme_key, USAGE, event("another", EPOCH)).await.expect(200);
    assert_eq!(meter(&test, &acme_key, "events").await["used"], "2");
    assert_eq!(meter(&test, &globex_key, "events").await["used"], "1");
    let path = format!("/api/v1/admin/tenants/{acme}/subscriptions");
    let subscription = test.get(ADMIN, &path).await.expect(200)["items"][0]["id"].clone();
    let usage = |tenant: &str| {
        let id = subscription.as_str().unwrap();
        format!("/api/v1/admin/tenants/{tenant}/subscriptions/{id}/usage")
    };
    assert_eq!(test.get(ADMIN, &usage(&acme)).await.expect(200)["meters"][0]["used"], "2");
    test.get(ADMIN, &usage(&globex)).await.expect(404);
    test.get(&globex_key, &usage(&acme)).await.expect(403);
    test.post("", USAGE, event("c", EPOCH)).await.expect(401);
    test.post(ADMIN, USAGE, event("c", EPOCH)).await.expect(403);
}

#[tokio::test]
async fn a_test_key_is_answered_and_never_recorded() {
    let test = TestServer::start().await;
    let (acme, _) = test.client("Acme", "pro").await;
    let path = format!("/api/v1/admin/tenants/{acme}");
    let listed = test.get(ADMIN, &format!("{path}/subscriptions")).await.expect(200);
    let body = json!({ "subscription": listed["items"][0]["id"], "environment": "test" });
    let made = test.post(ADMIN, &format!("{path}/keys"), body).await.expect(201);
    let key = made["api_key"].as_str().unwrap();
    let batch =
        json!([event("a", EPOCH), event("a", EPOCH), typed("b", "nonsense", EPOCH, json!({}))]);
    let receipt = test.post(key, USAGE, batch).await.expect(200);
    assert_eq!(outcomes(&receipt), ["accepted", "duplicate", "rejected"]);
    assert_eq!(rows(&test).await, (0, 0, 0));
}

#[tokio::test]
async fn what_happened_is_recorded_and_what_is_dated_after_the_end_is_not() {
    let test = TestServer::start().await;
    let (acme, key) = test.client("Acme", "starter").await;
    let path = format!("/api/v1/admin/tenants/{acme}");
    test.post(ADMIN, &format!("{path}/suspend"), json!({})).await;
    let over = json!(events("a", 1_000, EPOCH));
    assert_eq!(test.post(&key, USAGE, over).await.expect(200)["accepted"], 1_000);
    let events = meter(&test, &key, "events").await;
    assert_eq!((&events["standing"], &events["percent"]), (&json!("blocked"), &json!(100)));
    assert_eq!(events["window"]["resets_at"], "2026-03-02T00:00:00Z");
    let receipt = test.post(&key, USAGE, event("b", EPOCH)).await.expect(200);
    assert_eq!(receipt["accepted"], 1, "past a limit that blocks, too");
    test.post(ADMIN, &format!("{path}/resume"), json!({})).await;
    let listed = test.get(ADMIN, &format!("{path}/subscriptions")).await.expect(200);
    let id = listed["items"][0]["id"].as_str().unwrap();
    test.post(ADMIN, &format!("{path}/subscriptions/{id}/cancel"), json!({})).await.expect(200);
    let receipt = test.post(&key, USAGE, event("c", EPOCH)).await.expect(200);
    assert_eq!(reasons(&receipt), ["after_subscription"]);
}

#[tokio::test]
async fn windows_that_begin_inside_a_quarter_hour_are_exact() {
    let test = TestServer::empty().await;
    let file = crate::harness::WIDGET
        .replace("[meters]", "[meters]\nruns = { type = \"run\", sum = \"n\" }");
    test.load(&file).await;
    test.advance_to("2026-03-01T10:07:30Z");
    let (_, key) = test.client("Acme", "pro").await;
    test.advance_to("2026-04-01T12:00:00Z");
    // The second billing period begins at 10:07:30, inside a quarter hour.
    let runs = |time: &str, n: &str| typed(time, "run", time, json!({ "n": n }));
    let batch = json!([
        runs("2026-03-01T10:07:29.999Z", "100000"),
        runs("2026-03-01T10:07:30Z", "20000"),
        runs("2026-04-01T10:07:29.999999Z", "20000"),
        runs("2026-04-01T10:07:30Z", "1"),
        runs("2026-04-01T10:14:59Z", "0.5"),
        runs("2026-04-01T10:15:00Z", "0.25"),
        runs("2026-04-01T11:59:00Z", "0.125"),
    ]);
    let receipt = test.post(&key, USAGE, batch).await.expect(200);
    assert_eq!((&receipt["accepted"], &receipt["rejected"]), (&json!(6), &json!(1)));
    let runs = meter(&test, &key, "runs").await;
    assert_eq!(runs["window"]["start"], "2026-04-01T10:07:30Z");
    assert_eq!(runs["used"], "1.875");
}
