//! One product in several currencies: a subscription is billed in one of them, for good.

use reqwest::Method;
use serde_json::{Value, json};
use tenure_server::jobs;

use crate::harness::{ADMIN, TestServer};

const FILE: &str = r#"
[product]
id = "gadget"
name = "Gadget"
currency = "USD"
currencies = ["EUR"]
sales_contact = "sales@example.com"
api_key_prefix = "gad"

[models.managed]
isolation = "shared_tables"
responsibility = { software = "vendor", infrastructure = "vendor", security = "vendor", compliance = "vendor", support = "vendor" }

[meters]
calls = { type = "call", count = true }

[plans.basic]
name = "Basic"
models = ["managed"]
price = { month = { USD = "12", EUR = "11" } }
[plans.basic.limits]
calls = { included = 10, per = "month", over = { price = { USD = "0.10", EUR = "0.09" } } }

[plans.more]
name = "More"
models = ["managed"]
price = { month = { USD = "15", EUR = "13" } }
[plans.more.limits]
calls = { included = 100, per = "month", over = { price = { USD = "0.10", EUR = "0.09" } } }
"#;

/// A subscription in euros that used 30 calls in March, on 2 May.
async fn euros() -> (TestServer, String, String) {
    let test = TestServer::empty().await;
    test.load(FILE).await;
    let id = test.subscribe("acme", json!({ "plan": "basic", "currency": "EUR" })).await;
    let path = "/api/v1/admin/tenants/acme/keys";
    let made = test.post(ADMIN, path, json!({ "subscription": id })).await.expect(201);
    let key = made["api_key"].as_str().unwrap().to_owned();
    test.advance_to("2026-03-20T00:00:00Z");
    let one = |n: usize| {
        json!({ "specversion": "1.0", "id": n.to_string(), "source": "/test", "type": "call",
            "time": "2026-03-10T00:00:00Z" })
    };
    let batch: Vec<Value> = (0..30).map(one).collect();
    test.post(&key, "/api/v1/usage", json!(batch)).await.expect(200);
    test.advance_to("2026-05-02T00:00:00Z");
    assert_eq!(jobs::run_due(test.app()).await.unwrap().failed, 0);
    let path = format!("/api/v1/admin/tenants/acme/subscriptions/{id}");
    (test, path, key)
}

#[tokio::test]
async fn a_subscription_in_euros_is_invoiced_at_the_prices_in_euros() {
    let (test, path, key) = euros().await;
    let subscription = test.get(ADMIN, &path).await.expect(200);
    assert_eq!(subscription["currency"], "EUR");
    let all = test.get(&key, "/api/v1/invoices").await.expect(200);
    let march = all["items"].as_array().unwrap().last().unwrap().clone();
    // 11 + 20 x 0.09.
    assert_eq!(march["total"], json!({ "amount": "12.80", "currency": "EUR" }));
    let own = format!("/api/v1/invoices/{}", march["id"].as_str().unwrap());
    let explained = test.get(&key, &format!("{own}/lines/2")).await.expect(200);
    assert_eq!(
        (&explained["agrees"], &explained["amount"]["amount"]),
        (&json!(true), &json!("1.80"))
    );
    let request = test.request(Method::GET, &key, &format!("{own}/evidence"));
    let archive = request.send().await.unwrap().bytes().await.unwrap();
    let report = tenure_evidence::verify(&*archive).unwrap();
    assert!(report.agrees(), "{report:?}");
    // The estimate and the trial of other plans are in euros too.
    let bill = test.get(&key, "/api/v1/bill").await.expect(200);
    assert_eq!(bill["total"], json!({ "amount": "11.00", "currency": "EUR" }));
    let tried = test.get(&key, "/api/v1/plans/simulation").await.expect(200);
    let more = tried["plans"].as_array().unwrap().iter().find(|one| one["plan"] == "more").unwrap();
    // Two months of 13 against 12.80 + 11.
    assert_eq!(more["total"], json!({ "amount": "26.00", "currency": "EUR" }));
    assert_eq!(more["difference"], json!({ "amount": "2.20", "currency": "EUR" }));
    // A move stays in the currency.
    test.post(ADMIN, &format!("{path}/move"), json!({ "plan": "more" })).await.expect(200);
    assert_eq!(test.get(ADMIN, &path).await.expect(200)["currency"], "EUR");
}

#[tokio::test]
async fn credit_in_the_accounts_currency_is_used_and_each_currency_has_an_account() {
    let (test, path, _) = euros().await;
    let account = test.get(ADMIN, &path).await.expect(200)["billing_account_id"].clone();
    let body = json!({ "billing_account": account, "amount": "5", "kind": "prepayment", "note": "welcome" });
    test.post(ADMIN, "/api/v1/admin/tenants/acme/credits", body).await.expect(201);
    // Another subscription in dollars has another account.
    let body = json!({ "plan": "basic" });
    let made = test.post(ADMIN, "/api/v1/admin/tenants/acme/subscriptions", body).await.expect(201);
    assert_eq!(made["currency"], "USD");
    assert_ne!(made["billing_account_id"], account);
    test.advance_to("2026-06-03T00:00:00Z");
    assert_eq!(jobs::run_due(test.app()).await.unwrap().failed, 0);
    let page = test.get(ADMIN, "/api/v1/admin/invoices?tenant=acme").await.expect(200);
    let may: Vec<&Value> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["billing_account_id"] == account && one["period"] == 2)
        .collect();
    assert_eq!(may[0]["credit"], json!({ "amount": "5.00", "currency": "EUR" }));
    assert_eq!(may[0]["due"], json!({ "amount": "6.00", "currency": "EUR" }));
}

#[tokio::test]
async fn a_currency_that_is_not_sold_is_refused_and_says_which_are() {
    let test = TestServer::empty().await;
    test.load(FILE).await;
    test.post(ADMIN, "/api/v1/admin/tenants", json!({ "name": "acme" })).await.expect(201);
    let path = "/api/v1/admin/tenants/acme/subscriptions";
    let problem = test.post(ADMIN, path, json!({ "currency": "GBP" })).await.expect(422);
    let error = &problem["errors"][0];
    assert_eq!(error["pointer"], "/currency");
    assert_eq!(error["detail"], "Gadget is not sold in GBP, but in USD, EUR.");
    // Nothing was written: no account in pounds stays behind.
    let accounts = test.get(ADMIN, "/api/v1/admin/tenants/acme/billing-accounts").await.expect(200);
    assert_eq!(accounts["items"], json!([]));
}
