//! `/api/v1/bill/days` and `/api/v1/bill/dimensions`: on which day, and for what, a
//! bill came about. Test clocks begin on 1 March 2026, 0:00 UTC.

use serde_json::{Value, json};
use tenure_server::jobs;

use crate::harness::{ADMIN, TestServer, WIDGET};

const DAYS: &str = "/api/v1/bill/days";

/// Runs are told apart by region; past 10 a month each costs 0.10.
const RUNS: &str = r#"[meters]
events = { type = "event.ingested", count = true }
runs = { type = "run", sum = "n", dimensions = ["region", "tier"] }"#;

async fn widget() -> TestServer {
    let test = TestServer::empty().await;
    let limits = "limits = { runs = { included = 10, per = \"month\", over = { price = \"0.10\" } }, \
                  events = { included = 10, per = \"day\", over = { price = \"0.05\" } } }";
    let file =
        WIDGET.replace("[meters]\nevents = { type = \"event.ingested\", count = true }", RUNS);
    let (head, pro) = file.split_once("[plans.pro]").unwrap();
    let pro = pro.lines().map(|line| if line.starts_with("limits") { limits } else { line });
    let pro: Vec<&str> = pro.collect();
    test.load(&format!("{head}[plans.pro]{}", pro.join("\n"))).await;
    test
}

fn event(id: &str, kind: &str, time: &str, data: Value) -> Value {
    json!({ "specversion": "1.0", "id": id, "source": "/test", "type": kind, "time": time, "data": data })
}

async fn send(test: &TestServer, key: &str, events: Vec<Value>) {
    let sent = events.len();
    let receipt = test.post(key, "/api/v1/usage", json!(events)).await.expect(200);
    assert_eq!(receipt["accepted"], sent, "{receipt}");
}

async fn many(test: &TestServer, key: &str, kind: &str, time: &str, count: usize) {
    let one = |n: usize| event(&format!("{kind}-{time}-{n}"), kind, time, json!({}));
    send(test, key, (0..count).map(one).collect()).await;
}

fn minor(money: &Value) -> i64 {
    let text = money["amount"].as_str().unwrap_or_else(|| panic!("{money}"));
    text.replace('.', "").parse().unwrap()
}

fn sum(list: &Value) -> i64 {
    list.as_array().unwrap().iter().map(|one| minor(&one["amount"])).sum()
}

/// The days that cost something.
fn costly(days: &Value) -> Vec<(&str, i64)> {
    let all = days["days"].as_array().unwrap().iter();
    let all = all.map(|day| (day["date"].as_str().unwrap(), minor(&day["amount"])));
    all.filter(|(_, amount)| *amount != 0).collect()
}

/// Everything that is told adds up to the subtotal. Returns it.
fn added_up(days: &Value) -> i64 {
    let subtotal = minor(&days["subtotal"]);
    let before = minor(&days["before"]["amount"]);
    assert_eq!(before + sum(&days["days"]) + sum(&days["apart"]), subtotal, "{days}");
    assert_eq!(before + sum(&days["days"]), sum(&days["charges"]), "{days}");
    subtotal
}

async fn pass(test: &TestServer, to: &str) {
    test.advance_to(to);
    let done = jobs::run_due(test.app()).await.unwrap();
    assert_eq!(done.failed, 0, "at {to}");
}

/// The only subscription of a tenant: its path, and its invoices, oldest first.
async fn subscription(test: &TestServer, tenant: &str) -> String {
    let list = test.get(ADMIN, &format!("{tenant}/subscriptions")).await.expect(200);
    format!("{tenant}/subscriptions/{}", list["items"][0]["id"].as_str().unwrap())
}

async fn invoices(test: &TestServer, key: &str) -> Vec<Value> {
    let page = test.get(key, "/api/v1/invoices").await.expect(200);
    let mut all = page["items"].as_array().unwrap().clone();
    all.reverse();
    all
}

#[tokio::test]
async fn the_days_of_a_running_period_add_up_to_its_estimate() {
    let test = TestServer::with_product(&["kg-rca"]).await;
    let plan = json!({ "product": "kg-rca", "plan": "basic" });
    let (tenant, key) = test.subscribed("Acme", plan).await;
    test.advance_to("2026-03-11T06:00:00Z");
    let stored = |id: &str, time: &str, bytes: &str| {
        event(id, "storage.measured", time, json!({ "bytes": bytes }))
    };
    let disk = vec![
        stored("s1", "2026-03-01T00:00:00Z", "14000000000"),
        stored("s2", "2026-03-08T00:00:00Z", "2000000000"),
    ];
    send(&test, &key, disk).await;
    many(&test, &key, "rca.query", "2026-03-03T12:00:00Z", 990).await;
    many(&test, &key, "rca.query", "2026-03-05T23:59:59Z", 15).await;
    many(&test, &key, "rca.query", "2026-03-06T00:00:00Z", 7).await;
    let days = test.get(&key, DAYS).await.expect(200);
    let bill = test.get(&key, "/api/v1/bill").await.expect(200);
    assert_eq!(added_up(&days), minor(&bill["total"]));
    assert_eq!(days["days"].as_array().unwrap().len(), 11, "the last is under way");
    // 1,000 queries are included: 5 more on the 5th, 7 more on the 6th, at 0.50. Of storage
    // 10 GB on average: 14 GB are 4 over at 2, all on the first day; from the 8th on the
    // average falls, and what was too much comes back.
    let queries = |date: &str| {
        let day = days["days"].as_array().unwrap().iter().find(|day| day["date"] == date).unwrap();
        let charges = day["charges"].as_array().unwrap().iter();
        charges
            .filter(|charge| charge["charge"] == "overage.queries")
            .map(|charge| minor(&charge["amount"]))
            .sum::<i64>()
    };
    assert_eq!(
        (queries("2026-03-03"), queries("2026-03-05"), queries("2026-03-06")),
        (0, 250, 350)
    );
    let all = costly(&days);
    assert_eq!(all[0], ("2026-03-01", 800));
    assert!(all.iter().any(|(_, amount)| *amount < 0), "{all:?}");
    assert_eq!((sum(&days["apart"]), &days["apart"][0]["why"]), (9_900, &json!("flat")));
    assert_eq!((&days["invoice"], &days["has_earlier"]), (&Value::Null, &json!(false)));
    let path = subscription(&test, &tenant).await;
    let staff = test.get(ADMIN, &format!("{path}/bill/days")).await.expect(200);
    assert_eq!(staff["days"], days["days"]);
    test.get(&key, &format!("{DAYS}?at=2026-02-01T00:00:00Z")).await.expect(404);
    test.get(&key, &format!("{DAYS}?at=soon")).await.expect(400);
}

#[tokio::test]
async fn the_days_of_a_period_that_is_over_add_up_to_its_invoice_and_stay() {
    let test = widget().await;
    let (tenant, key) = test.subscribed("Acme", json!({ "plan": "pro" })).await;
    test.advance_to("2026-03-20T00:00:00Z");
    many(&test, &key, "event.ingested", "2026-03-05T12:00:00Z", 15).await;
    many(&test, &key, "event.ingested", "2026-03-06T12:00:00Z", 12).await;
    pass(&test, "2026-04-01T00:00:00Z").await;
    let march = format!("{DAYS}?at=2026-03-10T00:00:00Z");
    let path = subscription(&test, &tenant).await;
    let staff = test.get(ADMIN, &format!("{path}/bill/days?at=2026-03-31T23:59:59Z")).await;
    assert_eq!(staff.expect(200)["invoice"]["status"], "draft");
    let own = test.get(&key, &march).await.expect(200);
    assert_eq!(own["invoice"], Value::Null, "a draft is the vendor's alone");
    pass(&test, "2026-04-02T00:00:00Z").await;

    let days = test.get(&key, &march).await.expect(200);
    let invoice = &invoices(&test, &key).await[0];
    assert_eq!(days["invoice"]["number"], invoice["number"]);
    assert_eq!(added_up(&days), minor(&invoice["subtotal"]));
    assert_eq!(costly(&days), [("2026-03-05", 25), ("2026-03-06", 10)]);
    assert_eq!(days["days"].as_array().unwrap().len(), 31);

    // Late: 4 more on the 5th, 0.20. March stays; April says that it corrects it.
    many(&test, &key, "event.ingested", "2026-03-05T13:00:00Z", 4).await;
    pass(&test, "2026-05-02T00:00:00Z").await;
    let again = test.get(&key, &march).await.expect(200);
    assert_eq!((&again["days"], &again["subtotal"]), (&days["days"], &days["subtotal"]));
    let april = test.get(&key, &format!("{DAYS}?at=2026-04-10T00:00:00Z")).await.expect(200);
    assert_eq!(added_up(&april), minor(&invoices(&test, &key).await[1]["subtotal"]));
    assert_eq!(costly(&april), []);
    let apart = april["apart"].as_array().unwrap().iter();
    let whys: Vec<(&Value, i64)> =
        apart.map(|line| (&line["why"], minor(&line["amount"]))).collect();
    assert_eq!(whys, [(&json!("flat"), 9_900), (&json!("adjustment"), 20)]);
    assert_eq!(april["has_earlier"], true);
}

/// A calendar month that two billing periods share is billed by the later one.
#[tokio::test]
async fn a_month_that_began_in_the_period_before_is_told_before_the_first_day() {
    let test = widget().await;
    test.advance_to("2026-03-16T08:07:33Z");
    let (_, key) = test.subscribed("Acme", json!({ "plan": "pro" })).await;
    pass(&test, "2026-04-20T00:00:00Z").await;
    let run = |id: &str, time: &str, n: u32| event(id, "run", time, json!({ "n": n }));
    // April has 10 included: 30 in the first period, 5 in the second.
    send(&test, &key, vec![run("a", "2026-04-10T00:00:00Z", 30)]).await;
    send(&test, &key, vec![run("b", "2026-04-18T00:00:00Z", 5)]).await;
    pass(&test, "2026-05-10T00:00:00Z").await;
    let days = test.get(&key, DAYS).await.expect(200);
    assert_eq!(days["period_start"], "2026-04-16T08:07:33Z");
    assert_eq!(minor(&days["before"]["amount"]), 200, "20 runs at 0.10");
    assert_eq!(costly(&days), [("2026-04-18", 50)]);
    assert_eq!(added_up(&days), minor(&test.get(&key, "/api/v1/bill").await.expect(200)["total"]));
}

#[tokio::test]
async fn the_values_of_a_dimension_and_all_others_add_up_to_what_the_days_cost() {
    let test = widget().await;
    let (_, key) = test.subscribed("Acme", json!({ "plan": "pro" })).await;
    test.advance_to("2026-03-20T00:00:00Z");
    let mut batch = Vec::new();
    // Eleven regions, of which r0 has most, and events without one; on two days.
    for (day, scale) in [("05", 3), ("06", 1)] {
        for region in 0..11u32 {
            let data = json!({ "n": (20 - region) * scale, "region": format!("r{region:02}") });
            let id = format!("{day}-{region}");
            batch.push(event(&id, "run", &format!("2026-03-{day}T12:00:00Z"), data));
        }
        let time = format!("2026-03-{day}T13:00:00Z");
        batch.push(event(&format!("{day}-none"), "run", &time, json!({ "n": 100 * scale })));
    }
    send(&test, &key, batch).await;
    let path = "/api/v1/bill/dimensions?meter=runs&by=region";
    let found = test.get(&key, path).await.expect(200);
    let values = found["values"].as_array().unwrap();
    let named: Vec<&Value> = values.iter().map(|value| &value["value"]).collect();
    assert_eq!(named.len(), 8);
    assert_eq!((named[0], named[1], named[7]), (&Value::Null, &json!("r00"), &json!("r06")));
    assert_eq!(found["other"]["values"], 4);
    // 20 + 19 + ... + 10 = 165, and 100: 265 a day, four times; 10 are included, 0.10 each.
    assert_eq!(found["quantity"], "1060");
    let quantity = |value: &Value| value["quantity"].as_str().unwrap().parse::<i64>().unwrap();
    let listed: i64 = values.iter().map(quantity).sum();
    assert_eq!(listed + quantity(&found["other"]), 1_060);
    assert_eq!((quantity(&values[0]), quantity(&values[1])), (400, 80));
    assert_eq!(minor(&found["amount"]), 10_500);
    assert_eq!(sum(&found["values"]) + minor(&found["other"]["amount"]), 10_500);
    let days = test.get(&key, DAYS).await.expect(200);
    assert_eq!(sum(&days["days"]), 10_500);
    for (day, of_day) in
        found["days"].as_array().unwrap().iter().zip(days["days"].as_array().unwrap())
    {
        let parts: i64 = day["amounts"].as_array().unwrap().iter().map(minor).sum();
        assert_eq!((&day["date"], parts), (&of_day["date"], minor(&of_day["amount"])));
    }
    for wrong in ["meter=runs&by=colour", "meter=events&by=region", "meter=none&by=region"] {
        test.get(&key, &format!("/api/v1/bill/dimensions?{wrong}")).await.expect(422);
    }
}

#[tokio::test]
async fn another_tenants_costs_never_appear() {
    let test = widget().await;
    let (acme, acme_key) = test.subscribed("Acme", json!({ "plan": "pro" })).await;
    let (globex, globex_key) = test.subscribed("Globex", json!({ "plan": "pro" })).await;
    test.advance_to("2026-03-20T00:00:00Z");
    let run = |region: &str, n: u32| {
        vec![event("same", "run", "2026-03-05T12:00:00Z", json!({ "n": n, "region": region }))]
    };
    send(&test, &acme_key, run("acme-only", 60)).await;
    send(&test, &globex_key, run("globex-only", 20)).await;
    let path = "/api/v1/bill/dimensions?meter=runs&by=region";
    for (key, own, other, cost) in [
        (&acme_key, "acme-only", "globex-only", 500),
        (&globex_key, "globex-only", "acme-only", 100),
    ] {
        let days = test.get(key, DAYS).await;
        let found = test.get(key, path).await;
        assert!(found.text.contains(own) && !found.text.contains(other), "{}", found.text);
        assert_eq!(sum(&days.expect(200)["days"]), cost);
        assert_eq!(minor(&found.expect(200)["amount"]), cost);
    }
    let theirs = subscription(&test, &globex).await;
    let id = theirs.rsplit('/').next().unwrap();
    for rest in ["days", "dimensions?meter=runs&by=region"] {
        test.get(ADMIN, &format!("{acme}/subscriptions/{id}/bill/{rest}")).await.expect(404);
    }
}

#[tokio::test]
async fn a_trial_and_a_price_on_request_say_so_instead_of_days() {
    let test = TestServer::with_product(&["kg-rca", "meeting-minutes"]).await;
    let plan = json!({ "product": "kg-rca", "plan": "enterprise" });
    let (_, key) = test.subscribed("Acme", plan).await;
    let days = test.get(&key, DAYS).await.expect(200);
    assert!(days["needs_contract"].as_str().unwrap().contains("sales@"), "{days}");
    assert_eq!((&days["days"], minor(&days["subtotal"])), (&json!([]), 0));
    // 12 seats at 12, less 20% for one of the first ten customers: 115.20.
    let items = json!([{ "charge": "base", "quantity": "12" }]);
    let plan =
        json!({ "product": "meeting-minutes", "plan": "pro", "items": items, "trial": true });
    let (_, key) = test.subscribed("Globex", plan).await;
    let days = test.get(&key, DAYS).await.expect(200);
    assert_eq!((&days["is_trial"], added_up(&days)), (&json!(true), 11_520));
}
