//! What real usage would have cost on other terms.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{ADMIN, TestServer};

const OWN: &str = "/api/v1/plans/simulation";

fn queries(prefix: &str, count: usize, time: &str) -> Vec<Value> {
    let one = |n: usize| {
        json!({ "specversion": "1.0", "id": format!("{prefix}{n}"), "source": "/test",
            "type": "rca.query", "time": time })
    };
    (0..count).map(one).collect()
}

/// Basic includes 1,000 queries a month and charges 0.50 for more; Pro includes 10,000.
async fn two_months() -> (TestServer, String, String) {
    let test = TestServer::with_product(&["kg-rca"]).await;
    let body = json!({ "name": "Acme", "product": "kg-rca", "plan": "basic" });
    let made = test.post(ADMIN, "/admin/clients", body).await.expect(201);
    let key = made["api_key"].as_str().unwrap().to_owned();
    let client = made["client_id"].as_str().unwrap().to_owned();
    test.clock.advance_to("2026-05-02T00:00:00Z".parse().unwrap());
    let march = queries("a", 1_800, "2026-03-10T00:00:00Z");
    let april = queries("b", 2_000, "2026-04-10T00:00:00Z");
    test.post(&key, "/api/v1/usage", json!(march)).await.expect(200);
    test.post(&key, "/api/v1/usage", json!(april)).await.expect(200);
    // The period that is under way does not count.
    test.post(&key, "/api/v1/usage", json!(queries("c", 9, "2026-05-01T00:00:00Z")))
        .await
        .expect(200);
    (test, client, key)
}

fn plan<'a>(simulation: &'a Value, id: &str) -> &'a Value {
    let all = simulation["plans"].as_array().unwrap();
    all.iter().find(|plan| plan["plan"] == id).unwrap_or_else(|| panic!("{simulation}"))
}

fn minor(money: &Value) -> i64 {
    let text = money["amount"].as_str().unwrap_or_else(|| panic!("{money}"));
    text.replace('.', "").parse().unwrap()
}

#[tokio::test]
async fn past_usage_is_rated_on_every_plan_the_cheapest_first() {
    let (test, _, key) = two_months().await;
    let simulation = test.get(&key, OWN).await.expect(200);
    assert_eq!((&simulation["periods"], &simulation["plan"]), (&json!(2), &json!("basic")));
    assert_eq!(simulation["to"], "2026-05-01T00:00:00Z");
    let order: Vec<&str> = simulation["plans"]
        .as_array()
        .unwrap()
        .iter()
        .map(|plan| plan["plan"].as_str().unwrap())
        .collect();
    assert_eq!(order, ["free", "pro", "basic", "enterprise"]);

    // 2 x 99 + (800 + 1,000) x 0.50 = 1,098; on Pro 2 x 499 = 998, 100 less.
    let basic = plan(&simulation, "basic");
    assert_eq!((minor(&basic["total"]), &basic["is_present"]), (109_800, &json!(true)));
    let pro = plan(&simulation, "pro");
    assert_eq!((minor(&pro["total"]), minor(&pro["difference"])), (99_800, -10_000));
    // Free includes 100 queries a month and blocks: 1,700 + 1,900 would have been refused.
    let refused = &plan(&simulation, "free")["refused"][0];
    let expected = (&json!("queries"), &json!(2), &json!("3600"));
    assert_eq!((&refused["meter"], &refused["windows"], &refused["quantity"]), expected);
    let enterprise = plan(&simulation, "enterprise");
    assert_eq!(enterprise["total"], Value::Null);
    assert!(enterprise["needs_contract"].as_str().unwrap().contains("sales@"), "{enterprise}");

    let one = test.get(&key, &format!("{OWN}?periods=1")).await.expect(200);
    assert_eq!(minor(&plan(&one, "basic")["total"]), 9_900 + 50_000, "April alone");
    test.get(&key, &format!("{OWN}?periods=13")).await.expect(422);
}

#[tokio::test]
async fn a_file_is_tried_on_real_usage_before_it_is_loaded() {
    let (test, client, _) = two_months().await;
    let base = format!("/api/v1/admin/tenants/{client}/subscriptions");
    let own = test.get(ADMIN, &base).await.expect(200)["items"][0].clone();
    let file = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../products/kg-rca/product.toml"
    ))
    .unwrap();
    let dearer = file.replace("over = { price = \"0.50\" }", "over = { price = \"0.60\" }");
    assert_ne!(file, dearer);
    let path = "/api/v1/admin/products/kg-rca/simulation";
    let send = async |text: String| {
        let request = test.request(Method::POST, ADMIN, path);
        test.send(request.header("content-type", "application/toml").body(text)).await
    };
    let found = send(dearer.clone()).await.expect(200);
    assert_eq!((minor(&found["before"]), minor(&found["after"])), (109_800, 127_800));
    let largest = &found["largest"][0];
    assert_eq!(minor(&largest["difference"]), 18_000, "1,800 queries at 0.10 more");
    assert_eq!(largest["subscription_id"], own["id"]);
    assert!(found["changes"][0].as_str().unwrap().contains("basic"), "{found}");
    assert_eq!(minor(&send(file.clone()).await.expect(200)["after"]), 109_800);

    // Nothing was loaded.
    let versions = test.get(ADMIN, "/api/v1/admin/products/kg-rca/versions").await.expect(200);
    assert_eq!(versions["items"].as_array().unwrap().len(), 1);
    send("nonsense".to_owned()).await.expect(422);
    let redefined = file.replace("type = \"rca.query\"", "type = \"rca.other\"");
    send(redefined).await.expect(409);
}

#[tokio::test]
async fn before_a_period_is_over_there_is_nothing_to_try() {
    let test = TestServer::start().await;
    let (_, key) = test.client("Acme", "starter").await;
    let problem = test.get(&key, OWN).await.expect(409);
    assert_eq!(problem["type"], "urn:tenure:problem:no-period-is-over");
}
