//! `/api/v1/admin/analytics`, against numbers worked out by hand. Test clocks begin
//! on 1 March 2026, 0:00 UTC.

use serde_json::{Value, json};
use tenure_server::jobs;

use crate::harness::{ADMIN, TestServer, WIDGET};

const BASE: &str = "/api/v1/admin/analytics";

/// Starter costs 10 a month and blocks at 1,000 events a day; Pro costs 99, includes 10 events a
/// day and charges 0.05 for each more.
async fn widget() -> TestServer {
    let test = TestServer::empty().await;
    let cheap = "included = 10, per = \"day\", over = { price = \"0.05\" }";
    let listed = "included = 100_000, per = \"day\", over = { price = \"0.05\", each = 1_000 }";
    assert!(WIDGET.contains(listed));
    test.load(&WIDGET.replace(listed, cheap)).await;
    test
}

async fn pass(test: &TestServer, to: &str) {
    test.advance_to(to);
    let done = jobs::run_due(test.app()).await.unwrap();
    assert_eq!(done.failed, 0, "at {to}");
}

async fn events(test: &TestServer, key: &str, time: &str, count: usize) {
    let one = |n: usize| {
        json!({ "specversion": "1.0", "id": format!("{time}-{n}"), "source": "/test",
            "type": "event.ingested", "time": time })
    };
    let batch: Vec<Value> = (0..count).map(one).collect();
    let receipt = test.post(key, "/api/v1/usage", json!(batch)).await.expect(200);
    assert_eq!(receipt["accepted"], count);
}

/// A month's invoiced, credited and recognised amounts.
fn month<'a>(revenue: &'a Value, month: &str) -> [&'a str; 3] {
    let all = revenue["months"].as_array().unwrap();
    let found = all.iter().find(|one| one["month"] == month);
    let found = found.unwrap_or_else(|| panic!("no {month}: {revenue}"));
    ["invoiced", "credited", "recognised"].map(|field| found[field]["amount"].as_str().unwrap())
}

fn named<'a>(list: &'a Value, field: &str) -> Vec<(&'a str, &'a str)> {
    let all = list.as_array().unwrap().iter();
    all.map(|one| (one["name"].as_str().unwrap(), one[field]["amount"].as_str().unwrap())).collect()
}

/// Two tenants from 1 March, one from 16 March; April's invoices are issued on 2 May.
async fn three_tenants() -> (TestServer, String) {
    let test = widget().await;
    let (_, acme) = test.subscribed("Acme", json!({ "plan": "pro" })).await;
    test.subscribed("Globex", json!({ "plan": "starter" })).await;
    test.advance_to("2026-03-16T00:00:00Z");
    test.subscribed("Initech", json!({ "plan": "pro" })).await;
    pass(&test, "2026-04-02T00:00:00Z").await;
    test.advance_to("2026-04-11T00:00:00Z");
    events(&test, &acme, "2026-04-10T12:00:00Z", 30).await;
    pass(&test, "2026-04-17T00:00:00Z").await;
    pass(&test, "2026-05-02T00:00:00Z").await;
    (test, acme)
}

#[tokio::test]
async fn revenue_is_invoiced_by_the_month_of_issue_and_recognised_over_the_period() {
    let (test, key) = three_tenants().await;
    let revenue = test.get(ADMIN, &format!("{BASE}/revenue")).await.expect(200);
    // Issued on 2 April: March of Acme, 99, and of Globex, 10; on 17 April: Initech's period from
    // 16 March to 16 April, 99. On 2 May: April of Acme, 99 and 20 events at 0.05, and of Globex.
    // Initech's 31 days: 16 in March, 99 x 16 / 31 = 51.10 (51.0968), and 47.90 in April.
    assert_eq!(month(&revenue, "2026-03"), ["0.00", "0.00", "160.10"]);
    assert_eq!(month(&revenue, "2026-04"), ["208.00", "0.00", "157.90"]);
    assert_eq!(month(&revenue, "2026-05"), ["110.00", "0.00", "0.00"]);
    let estimate = &revenue["estimates"][0];
    assert_eq!(
        (&estimate["recurring"]["amount"], &estimate["drafts"]["amount"]),
        (&json!("208.00"), &json!("0.00"))
    );

    let own = test.get(&key, "/api/v1/invoices").await.expect(200);
    let (tenant, id) = (&own["items"][1]["tenant_id"], &own["items"][1]["id"]);
    let path = format!(
        "/api/v1/admin/tenants/{}/invoices/{}",
        tenant.as_str().unwrap(),
        id.as_str().unwrap()
    );
    let body = json!({ "amount": "9.00", "reason": "goodwill" });
    let noted = test.post(ADMIN, &format!("{path}/credit-notes"), body).await;
    assert_eq!(noted.status, 201, "{}", noted.text);
    let april = own["items"][0]["id"].as_str().unwrap();
    let path = format!("/api/v1/admin/tenants/{}/invoices/{april}", tenant.as_str().unwrap());
    let voided = test.post(ADMIN, &format!("{path}/void"), json!({})).await;
    assert!(voided.status.is_success(), "{}", voided.text);
    let after = test.get(ADMIN, &format!("{BASE}/revenue?months=2")).await.expect(200);
    assert_eq!(month(&after, "2026-05"), ["10.00", "9.00", "0.00"], "a void invoice is none");
    assert_eq!(after["from"], "2026-04-01T00:00:00Z");
    test.get(ADMIN, &format!("{BASE}/revenue?months=25")).await.expect(422);
}

#[tokio::test]
async fn a_draft_is_an_estimate_and_no_revenue() {
    let test = widget().await;
    test.subscribed("Acme", json!({ "plan": "pro" })).await;
    pass(&test, "2026-04-01T00:00:00Z").await;
    let revenue = test.get(ADMIN, &format!("{BASE}/revenue")).await.expect(200);
    assert_eq!(revenue["months"], json!([]));
    assert_eq!(revenue["estimates"][0]["drafts"]["amount"], "99.00");
}

#[tokio::test]
async fn tenants_are_ordered_by_what_they_were_invoiced_and_by_how_it_changed() {
    let (test, _) = three_tenants().await;
    let top = test.get(ADMIN, &format!("{BASE}/tenants")).await.expect(200);
    let expected = [("Acme", "199.00"), ("Initech", "99.00"), ("Globex", "20.00")];
    assert_eq!(named(&top["by_revenue"], "invoiced"), expected);
    // March has 31 days and April 30: both are one month, so only Acme's usage is growth.
    // Initech has a single invoice: nothing to compare.
    assert_eq!(named(&top["growing"], "difference"), [("Acme", "1.00")]);
    assert_eq!(top["falling"], json!([]));
    let one = test.get(ADMIN, &format!("{BASE}/tenants?limit=1")).await.expect(200);
    assert_eq!(named(&one["by_revenue"], "invoiced"), expected[..1]);
    test.get(ADMIN, &format!("{BASE}/tenants?limit=0")).await.expect(422);
}

#[tokio::test]
async fn the_use_of_quotas_is_told_by_plan_with_who_is_close_and_who_is_far_below() {
    let test = widget().await;
    let mut keys = Vec::new();
    for name in ["Quiet", "Little", "Close", "Full", "Special"] {
        let (tenant, key) = test.subscribed(name, json!({ "plan": "starter" })).await;
        keys.push((tenant, key));
    }
    let list = test.get(ADMIN, &format!("{}/subscriptions", keys[4].0)).await.expect(200);
    let contract = json!({
        "reason": "test", "approver": "test",
        "changes": { "limits": [{ "limit": "events", "included": "5000" }] },
    });
    let path = format!(
        "{}/subscriptions/{}/contracts",
        keys[4].0,
        list["items"][0]["id"].as_str().unwrap()
    );
    assert_eq!(test.post(ADMIN, &path, contract).await.status, 201);
    test.advance_to("2026-04-20T00:00:00Z");
    for ((_, key), count) in keys.iter().zip([0, 150, 930, 1_000, 900]).skip(1) {
        events(&test, key, "2026-04-10T12:00:00Z", count).await;
    }
    // Another day, less than the fullest; and one that is not over.
    events(&test, &keys[2].1, "2026-04-11T12:00:00Z", 20).await;
    events(&test, &keys[0].1, "2026-04-20T00:00:00Z", 999).await;
    let found = test.get(ADMIN, &format!("{BASE}/quotas?product=widget")).await.expect(200);
    let starter = &found["quotas"][0];
    assert_eq!((&starter["plan"], &starter["included"]), (&json!("starter"), &json!("1000")));
    let counts =
        ["subscriptions", "unused", "below_20", "below_50", "below_80", "below_100", "past"]
            .map(|field| starter[field].as_i64().unwrap());
    assert_eq!(counts, [4, 1, 1, 0, 0, 1, 1]);
    assert_eq!(found["left_out"], 1, "a limit of its own");
    let listed = |list: &str| {
        let all = found[list].as_array().unwrap().iter();
        all.map(|one| {
            (one["tenant"].as_str().unwrap().to_owned(), one["percent"].as_i64().unwrap())
        })
        .collect::<Vec<_>>()
    };
    assert_eq!(listed("close"), [("Full".to_owned(), 100), ("Close".to_owned(), 93)]);
    assert_eq!(listed("below"), [("Little".to_owned(), 15)]);
    test.get(ADMIN, &format!("{BASE}/quotas?product=none")).await.expect(404);
}
