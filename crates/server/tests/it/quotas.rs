//! `/api/v1/quota`: the check and the record are one thing.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tenure_server::Config;
use tenure_testkit::TestDatabase;

use crate::harness::{ADMIN, Answer, EPOCH, TestServer};

const QUOTA: &str = "/api/v1/quota";
const RESERVATIONS: &str = "/api/v1/quota/reservations";
const CONSUME: &str = "/api/v1/quota/consume";
const USAGE: &str = "/api/v1/usage";

/// Blocks at ten runs a month, or thirty; sums tokens and charges past a thousand.
const ROBOT: &str = r#"
[product]
id = "robot"
name = "Robot"
sales_contact = "sales@robot.example"
api_key_prefix = "rb"

[models.managed]
isolation = "shared_tables"
responsibility = { software = "vendor", infrastructure = "vendor", security = "vendor", compliance = "vendor", support = "vendor" }

[meters]
runs = { name = "Runs", type = "run", count = true, unit = "run" }
tokens = { name = "Tokens", type = "tokens.used", sum = "tokens", unit = "token" }
users = { name = "Users", type = "user.seen", unique = "user", unit = "user" }

[plans.starter]
name = "Starter"
models = ["managed"]
price = { month = "10" }
[plans.starter.limits]
runs = { included = 10, per = "month", over = "block" }
tokens = { included = 1_000, per = "day", over = { price = "0.01" }, warn_at = [50, 100] }

[plans.pro]
name = "Pro"
extends = "starter"
price = { month = "99" }
limits = { runs = { included = 30, per = "month", over = "block" } }

[plans.daily]
name = "Daily"
extends = "starter"
price = { month = "20" }
limits = { runs = { included = 3, per = "day", over = "block" } }
"#;

async fn robot() -> (TestServer, String, String) {
    let test = TestServer::empty().await;
    test.load(ROBOT).await.expect(201);
    let (client, key) = test.client("Acme", "starter").await;
    (test, client, key)
}

fn run(id: &str) -> Value {
    json!({ "specversion": "1.0", "id": id, "source": "/test", "type": "run", "time": EPOCH })
}

async fn quota(test: &TestServer, key: &str, meter: &str) -> Value {
    let all = test.get(key, QUOTA).await.expect(200);
    let found = all["items"].as_array().unwrap().iter().find(|one| one["meter"] == meter).cloned();
    found.unwrap_or_else(|| panic!("{all}"))
}

/// (used, held, left) of the runs.
async fn runs(test: &TestServer, key: &str) -> (String, String, String) {
    let now = quota(test, key, "runs").await;
    let text = |name: &str| now[name].as_str().unwrap().to_owned();
    (text("used"), text("reserved"), text("remaining"))
}

fn three(used: &str, reserved: &str, remaining: &str) -> (String, String, String) {
    (used.to_owned(), reserved.to_owned(), remaining.to_owned())
}

async fn reserve(test: &TestServer, key: &str, id: &str) -> Answer {
    test.post(key, RESERVATIONS, json!({ "meter": "runs", "id": id })).await
}

async fn commit(test: &TestServer, key: &str, id: &str) -> Answer {
    test.post(key, &format!("{RESERVATIONS}/{id}/commit"), json!({})).await
}

fn later(test: &TestServer, seconds: i64) {
    let now = tenure_core::Clock::now(&*test.clock);
    assert!(test.clock.advance_to(now + SignedDuration::from_secs(seconds)));
}

#[tokio::test]
async fn what_is_held_becomes_one_usage_event_or_nothing() {
    let (test, _, key) = robot().await;
    let held = reserve(&test, &key, "a").await.expect(201);
    assert_eq!((&held["status"], &held["quota"]["reserved"]), (&json!("held"), &json!("1")));
    assert_eq!(runs(&test, &key).await, three("0", "1", "9"));
    let done = commit(&test, &key, "a").await.expect(200);
    assert_eq!((&done["status"], &done["committed"]), (&json!("committed"), &json!("1")));
    assert_eq!(runs(&test, &key).await, three("1", "0", "9"));

    // The reservation's name is the event's: sent as an event, it is the same event.
    let again = commit(&test, &key, "a").await.expect(200);
    assert_eq!(again["status"], "committed", "a lost answer, asked for again");
    let event = json!({ "specversion": "1.0", "id": "a", "source": "/quota", "type": "run",
        "time": EPOCH, "data": {} });
    let receipt = test.post(&key, USAGE, event).await.expect(200);
    assert_eq!(receipt["results"][0]["outcome"], "duplicate");

    reserve(&test, &key, "b").await.expect(201);
    let path = format!("{RESERVATIONS}/b");
    assert_eq!(test.delete(&key, &path).await.expect(200)["status"], "released");
    assert_eq!(test.delete(&key, &path).await.expect(200)["status"], "released");
    assert_eq!(runs(&test, &key).await, three("1", "0", "9"));
    let late = commit(&test, &key, "b").await.expect(409);
    assert_eq!(late["type"], "urn:tenure:problem:reservation-ended");
    let used = test.delete(&key, &format!("{RESERVATIONS}/a")).await.expect(409);
    assert_eq!(used["type"], "urn:tenure:problem:reservation-committed");
    commit(&test, &key, "nobody").await.expect(404);
}

#[tokio::test]
async fn past_a_limit_that_blocks_nothing_is_held_and_the_answer_says_what_to_do() {
    let (test, client, key) = robot().await;
    let events: Vec<Value> = (0..8).map(|n| run(&format!("e{n}"))).collect();
    test.post(&key, USAGE, json!(events)).await.expect(200);
    reserve(&test, &key, "a").await.expect(201);
    reserve(&test, &key, "b").await.expect(201);
    let refused = reserve(&test, &key, "c").await;
    let seconds: i64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert_eq!(seconds, 31 * 24 * 60 * 60, "until the month ends");
    let refused = refused.expect(429);
    assert_eq!(refused["type"], "urn:tenure:problem:quota-exceeded");
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.starts_with("Monthly quota exceeded: 8/10 (2 more held)"), "{detail}");
    assert!(detail.contains("Pro (30)") && detail.contains("sales@robot.example"), "{detail}");
    // Held already: asking again is not asking for more.
    reserve(&test, &key, "a").await.expect(201);

    // What happened is recorded all the same, and is past the limit.
    test.post(&key, USAGE, json!([run("x"), run("y"), run("z")])).await.expect(200);
    let detail = reserve(&test, &key, "c").await.expect(429)["detail"].clone();
    assert!(detail.as_str().unwrap().starts_with("Monthly quota exceeded: 11/10"), "{detail}");
    commit(&test, &key, "a").await.expect(200);
    commit(&test, &key, "b").await.expect(200);
    assert_eq!(runs(&test, &key).await, three("13", "0", "0"));
    let staff = test.get(ADMIN, &subscription(&test, &client, "/quota").await).await.expect(200);
    assert_eq!(staff["items"][0]["standing"], "blocked");

    // A new month begins anew.
    test.clock.advance_to("2026-04-01T00:00:00Z".parse().unwrap());
    reserve(&test, &key, "c").await.expect(201);
    assert_eq!(runs(&test, &key).await, three("0", "1", "9"));
}

async fn subscription(test: &TestServer, client: &str, rest: &str) -> String {
    let base = format!("/api/v1/admin/tenants/{client}/subscriptions");
    let all = test.get(ADMIN, &base).await.expect(200);
    format!("{base}/{}{rest}", all["items"][0]["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_part_that_nobody_commits_in_time_is_free_again() {
    let (test, _, key) = robot().await;
    for n in 0..10 {
        let body = json!({ "meter": "runs", "id": format!("r{n}"), "expires_in_seconds": 60 });
        test.post(&key, RESERVATIONS, body).await.expect(201);
    }
    reserve(&test, &key, "one-more").await.expect(429);
    later(&test, 61);
    reserve(&test, &key, "one-more").await.expect(201);
    let late = commit(&test, &key, "r0").await.expect(409);
    assert!(late["detail"].as_str().unwrap().contains("ran out"), "{late}");
    assert_eq!(runs(&test, &key).await, three("0", "1", "9"));
}

#[tokio::test]
async fn consuming_records_or_refuses_and_counts_once() {
    let (test, _, key) = robot().await;
    let consume = async |id: &str| {
        let body = json!({ "meter": "runs", "id": id, "time": EPOCH });
        test.post(&key, CONSUME, body).await
    };
    for n in 0..10 {
        let done = consume(&format!("c{n}")).await.expect(200);
        assert_eq!(done["outcome"], "accepted");
    }
    let refused = consume("c10").await.expect(429);
    assert!(refused["detail"].as_str().unwrap().starts_with("Monthly quota exceeded: 10/10."));
    assert_eq!(consume("c3").await.expect(200)["outcome"], "duplicate");
    assert_eq!(runs(&test, &key).await, three("10", "0", "0"));
    let summary = test.get(&key, "/api/v1/usage/summary?days=1").await.expect(200);
    assert_eq!(summary["meters"][0]["used"], "10", "what was refused is not recorded");
}

#[tokio::test]
async fn many_at_once_on_two_servers_never_hold_more_than_the_limit() {
    let (one, _, key) = robot().await;
    let database = TestDatabase {
        settings: one.database.settings.clone(),
        admin_url: one.database.admin_url.clone(),
    };
    let two = TestServer::on(database, Config::default()).await;
    let (one, two, key) = (Arc::new(one), Arc::new(two), Arc::new(key));
    let mut asked = tokio::task::JoinSet::new();
    for n in 0..48 {
        let (test, key) = (if n % 2 == 0 { one.clone() } else { two.clone() }, key.clone());
        asked.spawn(async move {
            match n % 3 {
                0 => {
                    let body = json!({ "meter": "runs", "id": format!("c{n}") });
                    test.post(&key, CONSUME, body).await
                }
                _ => reserve(&test, &key, &format!("r{}", n / 2)).await,
            }
        });
    }
    let answers = asked.join_all().await;
    for answer in &answers {
        assert!([200, 201, 429, 503].contains(&answer.status.as_u16()), "{}", answer.text);
    }
    let (used, reserved, remaining) = runs(&one, &key).await;
    let number = |text: String| text.parse::<u32>().unwrap();
    assert_eq!(number(used) + number(reserved), 10, "all of the limit, and nothing past it");
    assert_eq!(remaining, "0");
}

#[tokio::test]
async fn thresholds_are_told_once_a_window() {
    let (test, client, key) = robot().await;
    let told = async || {
        let trail =
            test.get(ADMIN, &format!("/api/v1/admin/tenants/{client}/audit?limit=100")).await;
        let all = trail.expect(200);
        let entries = all["items"].as_array().unwrap().iter();
        entries
            .filter(|entry| entry["action"] == "quota.threshold_reached")
            .map(|entry| (entry["target"].to_string(), entry["after"]["percent"].as_i64().unwrap()))
            .collect::<Vec<_>>()
    };
    for n in 0..7 {
        test.post(&key, USAGE, run(&format!("e{n}"))).await.expect(200);
    }
    assert_eq!(told().await, []);
    test.post(&key, USAGE, json!([run("f"), run("g")])).await.expect(200);
    assert_eq!(told().await.len(), 1, "80 per cent");
    test.post(&key, USAGE, json!([run("h"), run("i"), run("j")])).await.expect(200);
    test.post(&key, USAGE, run("k")).await.expect(200);
    let mut percents: Vec<i64> = told().await.into_iter().map(|(_, percent)| percent).collect();
    percents.sort_unstable();
    assert_eq!(percents, [80, 100]);
}

#[tokio::test]
async fn another_plan_counts_in_its_own_windows_from_what_was_recorded() {
    let (test, client, key) = robot().await;
    test.post(&key, USAGE, json!([run("a"), run("b")])).await.expect(200);
    test.clock.advance_to("2026-03-02T10:00:00Z".parse::<Timestamp>().unwrap());
    let at_ten = |id: &str| {
        let mut event = run(id);
        event["time"] = json!("2026-03-02T10:00:00Z");
        event
    };
    test.post(&key, USAGE, at_ten("c")).await.expect(200);
    let path = subscription(&test, &client, "/move").await;
    test.post(ADMIN, &path, json!({ "plan": "daily" })).await.expect(200);
    assert_eq!(runs(&test, &key).await, three("1", "0", "2"), "today's");
    reserve(&test, &key, "r").await.expect(201);
    test.post(&key, USAGE, at_ten("d")).await.expect(200);
    assert_eq!(runs(&test, &key).await, three("2", "1", "0"));
    later(&test, 1);
    test.post(ADMIN, &path, json!({ "plan": "starter" })).await.expect(200);
    assert_eq!(runs(&test, &key).await.0, "4", "the month's, with what was recorded in between");
}

#[tokio::test]
async fn sums_are_held_by_quantity_and_what_was_really_used_is_recorded() {
    let (test, _, key) = robot().await;
    let body = json!({ "meter": "tokens", "id": "t", "quantity": "600.5" });
    test.post(&key, RESERVATIONS, body).await.expect(201);
    // Past a limit that charges, nobody is stopped.
    let body = json!({ "meter": "tokens", "id": "u", "quantity": "900" });
    test.post(&key, RESERVATIONS, body).await.expect(201);
    let done = test
        .post(&key, &format!("{RESERVATIONS}/t/commit"), json!({ "quantity": "40.25" }))
        .await
        .expect(200);
    assert_eq!(done["committed"], "40.25");
    let tokens = quota(&test, &key, "tokens").await;
    assert_eq!((&tokens["used"], &tokens["reserved"]), (&json!("40.25"), &json!("900")));
    let data = json!({ "data": { "tokens": 7 } });
    test.post(&key, &format!("{RESERVATIONS}/u/commit"), data).await.expect(422);
}

#[tokio::test]
async fn what_cannot_be_held_is_told() {
    let (test, client, key) = robot().await;
    let post = async |body: Value| test.post(&key, RESERVATIONS, body).await;
    for (body, pointer) in [
        (json!({ "meter": "run" }), "/meter"),
        (json!({ "meter": "users" }), "/meter"),
        (json!({ "meter": "runs", "quantity": "2" }), "/quantity"),
        (json!({ "meter": "tokens", "quantity": "0" }), "/quantity"),
        (json!({ "meter": "runs", "id": "" }), "/id"),
        (json!({ "meter": "runs", "id": "a\u{7}" }), "/id"),
        (json!({ "meter": "runs", "expires_in_seconds": 0 }), "/expires_in_seconds"),
        (json!({ "meter": "runs", "expires_in_seconds": 86_401 }), "/expires_in_seconds"),
    ] {
        let problem = post(body.clone()).await.expect(422);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}");
    }
    post(json!({ "meter": "tokens", "id": "a", "quantity": "5" })).await.expect(201);
    let other = post(json!({ "meter": "tokens", "id": "a", "quantity": "6" })).await.expect(409);
    assert_eq!(other["type"], "urn:tenure:problem:reservation-reused");
    let suspend = format!("/api/v1/admin/tenants/{client}/suspend");
    test.post(ADMIN, &suspend, json!({})).await.expect(200);
    post(json!({ "meter": "runs" })).await.expect(403);
}

#[tokio::test]
async fn a_test_key_holds_and_uses_apart_from_real_ones() {
    let (test, client, key) = robot().await;
    let path = format!("/api/v1/admin/tenants/{client}");
    let listed = test.get(ADMIN, &format!("{path}/subscriptions")).await.expect(200);
    let body = json!({ "subscription": listed["items"][0]["id"], "environment": "test" });
    let made = test.post(ADMIN, &format!("{path}/keys"), body).await.expect(201);
    let trial = made["api_key"].as_str().unwrap();
    reserve(&test, trial, "a").await.expect(201);
    commit(&test, trial, "a").await.expect(200);
    for n in 0..9 {
        let body = json!({ "meter": "runs", "id": format!("c{n}") });
        test.post(trial, CONSUME, body).await.expect(200);
    }
    reserve(&test, trial, "b").await.expect(429);
    assert_eq!(runs(&test, &key).await, three("0", "0", "10"));
}

#[tokio::test]
async fn an_event_that_is_taken_back_leaves_its_quota() {
    let (test, _, key) = robot().await;
    test.post(&key, USAGE, json!([run("a"), run("b"), run("c")])).await.expect(200);
    let void = json!({ "specversion": "1.0", "id": "v", "source": "/test", "type": "tenure.void",
        "time": EPOCH, "data": { "source": "/test", "id": "b" } });
    let receipt = test.post(&key, USAGE, json!([void, run("d")])).await.expect(200);
    assert_eq!(receipt["accepted"], 2, "{receipt}");
    assert_eq!(runs(&test, &key).await, three("3", "0", "7"));
}
