//! `/api/v1/bill`: the estimated bill of the present period, on the real
//! price lists. Test clocks begin on 1 March 2026, 0:00 UTC.

use serde_json::{Value, json};

use crate::harness::{ADMIN, EPOCH, TestServer};

/// A plan of a real product.
fn plan(product: &str, plan: &str) -> Value {
    json!({ "product": product, "plan": plan })
}

async fn use_up(test: &TestServer, key: &str, kind: &str, time: &str, count: usize) {
    for first in (0..count).step_by(10_000) {
        let batch: Vec<Value> = (first..count.min(first + 10_000))
            .map(|n| {
                json!({ "specversion": "1.0", "id": format!("{kind}-{time}-{n}"), "source": "/test",
                        "type": kind, "time": time })
            })
            .collect();
        let receipt = test.post(key, "/api/v1/usage", json!(batch)).await.expect(200);
        assert_eq!(receipt["accepted"], batch.len());
    }
}

/// The total and the arithmetic of each line.
async fn bill(test: &TestServer, key: &str) -> (String, Vec<String>) {
    let bill = test.get(key, "/api/v1/bill").await.expect(200);
    let lines = bill["lines"].as_array().unwrap().iter();
    let said = lines.map(|line| line["arithmetic"].as_str().unwrap().to_owned()).collect();
    (bill["total"]["amount"].as_str().unwrap().to_owned(), said)
}

#[tokio::test]
async fn kg_rca_bills_the_excess_of_each_day_and_the_average_of_storage() {
    let test = TestServer::with_product(&["kg-rca"]).await;
    let (_, key) = test.subscribed("Acme", plan("kg-rca", "basic")).await;
    test.advance_to("2026-03-11T00:00:00Z");
    let stored = |id: &str, time: &str, bytes: &str| {
        json!({ "specversion": "1.0", "id": id, "source": "/disk", "type": "storage.measured",
                "time": time, "data": { "bytes": bytes } })
    };
    let measured = json!([
        stored("s1", EPOCH, "8000000000"),
        stored("s2", "2026-03-06T00:00:00Z", "20000000000")
    ]);
    test.post(&key, "/api/v1/usage", measured).await.expect(200);
    // A day of 110,000 events, another of 100,500 and one below the 100,000 included.
    for (time, days) in [
        ("2026-03-02T05:00:00Z", 110_000),
        ("2026-03-04T23:59:59Z", 100_500),
        ("2026-03-05T00:00:00Z", 10),
    ] {
        use_up(&test, &key, "event.ingested", time, days).await;
    }
    let (total, lines) = bill(&test, &key).await;
    // 10,000 + 500 = 10,500 events over; 10,500 / 1,000 x 0.10 = 1.05.
    // Of ten days, five with 8 GB and five with 20 GB: 14 GB on average; 4 over, at 2.
    // 99 + 1.05 + 8 = 108.05.
    assert_eq!(
        lines,
        [
            "$99.00 = $99.00",
            "over on 2 of 10 days: 10,500 / 1,000 x $0.10 = $1.05",
            "(14 - 10 included) = 4 x $2.00 = $8.00",
        ]
    );
    assert_eq!(total, "108.05");
}

#[tokio::test]
async fn kg_rca_pro_sums_the_daily_excess_once() {
    let test = TestServer::with_product(&["kg-rca"]).await;
    let (tenant, key) = test.subscribed("Acme", plan("kg-rca", "pro")).await;
    let path = format!("{tenant}/subscriptions");
    let id = test.get(ADMIN, &path).await.expect(200)["items"][0]["id"].clone();
    let path = format!("{path}/{}", id.as_str().unwrap());
    // A contract makes the daily allowance small enough for a test: 1,000 a day.
    let contract = json!({
        "reason": "test", "approver": "test",
        "changes": { "limits": [{ "limit": "events", "included": "1000" }] },
    });
    let made = test.post(ADMIN, &format!("{path}/contracts"), contract).await;
    assert_eq!(made.status, 201, "{}", made.text);
    test.advance_to("2026-03-20T00:00:00Z");
    use_up(&test, &key, "event.ingested", "2026-03-03T12:00:00Z", 2_034).await;
    use_up(&test, &key, "event.ingested", "2026-03-04T12:00:00Z", 999).await;
    use_up(&test, &key, "rca.query", "2026-03-04T12:00:00Z", 10_003).await;
    // (2,034 - 1,000) = 1,034 over on one day; 1,034 / 1,000 x 0.05 = 0.0517, rounded 0.05.
    // March is the calendar month and the period: 10,003 - 10,000 = 3 x 0.25 = 0.75.
    let (total, lines) = bill(&test, &key).await;
    assert_eq!(
        lines,
        [
            "$499.00 = $499.00",
            "(2,034 - 1,000 included) = 1,034 / 1,000 x $0.05 = $0.05",
            "(10,003 - 10,000 included) = 3 x $0.25 = $0.75",
        ]
    );
    assert_eq!(total, "499.80");
    let staff = test.get(ADMIN, &format!("{path}/bill")).await.expect(200);
    assert_eq!(staff["total"]["amount"], "499.80");
}

#[tokio::test]
async fn incidentfox_charges_runs_past_the_month_and_tiers_of_consumption() {
    let test = TestServer::with_product(&["incidentfox"]).await;
    let (_, starter) = test.subscribed("Acme", plan("incidentfox", "starter")).await;
    let consumption = plan("incidentfox", "consumption");
    let (_, consumption) = test.subscribed("Globex", consumption).await;
    test.advance_to("2026-03-20T00:00:00Z");
    use_up(&test, &starter, "agent.run", "2026-03-10T00:00:00Z", 10_040).await;
    use_up(&test, &consumption, "agent.run", "2026-03-10T00:00:00Z", 12_000).await;
    // Billed by the year: 25,000; in March 10,040 - 10,000 = 40 runs over at 0.50 = 20.
    let (total, lines) = bill(&test, &starter).await;
    assert_eq!(lines.first().map(String::as_str), Some("$25,000.00 = $25,000.00"));
    assert_eq!(
        lines.last().map(String::as_str),
        Some("(10,040 - 10,000 included) = 40 x $0.50 = $20.00")
    );
    assert_eq!(total, "25020.00");
    // Graduated: 10,000 x 1.00 + 2,000 x 0.75 = 11,500; past the yearly 10,000.
    let (total, lines) = bill(&test, &consumption).await;
    assert_eq!(lines, ["10,000 x $1.00 + 2,000 x $0.75 = $11,500.00"]);
    assert_eq!(total, "11500.00");
}

#[tokio::test]
async fn minutes_bills_seats_and_a_trial_costs_nothing() {
    let test = TestServer::with_product(&["meeting-minutes"]).await;
    let items = json!([{ "charge": "base", "quantity": "12" }]);
    let starter = json!({ "product": "meeting-minutes", "plan": "starter", "items": items });
    let (_, key) = test.subscribed("Acme", starter).await;
    // Early adopter (one of the first ten customers): 12 x 5 = 60, less 20% = 48.
    let (total, lines) = bill(&test, &key).await;
    assert_eq!(lines, ["12 users x $5.00, less 20% (Early adopter) = $48.00"]);
    assert_eq!(total, "48.00");
    let trial =
        json!({ "product": "meeting-minutes", "plan": "pro", "items": items, "trial": true });
    let (_, key) = test.subscribed("Globex", trial).await;
    // 12 x 12 = 144, less 20% = 115.20, and nothing of it charged.
    let bill = test.get(&key, "/api/v1/bill").await.expect(200);
    assert_eq!(bill["subtotal"]["amount"], "115.20");
    assert_eq!(bill["total"]["amount"], "0.00");
    assert_eq!(bill["trial"]["ends_at"], "2026-03-15T00:00:00Z");
}

#[tokio::test]
async fn a_price_on_request_needs_a_contract_before_a_bill() {
    let test = TestServer::with_product(&["kg-rca"]).await;
    let (_, key) = test.subscribed("Acme", plan("kg-rca", "enterprise")).await;
    let bill = test.get(&key, "/api/v1/bill").await.expect(200);
    assert_eq!((&bill["lines"], &bill["total"]["amount"]), (&json!([]), &json!("0.00")));
    let said = bill["needs_contract"].as_str().unwrap();
    assert!(said.contains("contact sales@kg-rca.example"), "{said}");
}
