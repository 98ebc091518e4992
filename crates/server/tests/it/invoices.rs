//! `/api/v1/admin/invoices` and what may be done to one. Test clocks begin on
//! 1 March 2026, 0:00 UTC.

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use tenure_core::TenantId;
use tenure_server::jobs;

use crate::harness::{ADMIN, EPOCH, TestServer};

/// A tenant with an invoice of 99.00 for March, issued on 2 April: its path, the
/// tenant's API key.
async fn issued(test: &TestServer, tenant: &str) -> (String, String) {
    let body = json!({ "plan": "pro", "starts_at": EPOCH, "billed_from": EPOCH });
    let subscription = test.subscribe(tenant, body).await;
    let path = format!("/api/v1/admin/tenants/{tenant}/keys");
    let key = test.post(ADMIN, &path, json!({ "subscription": subscription })).await.expect(201);
    test.advance_to("2026-04-02T00:00:00Z");
    jobs::run_due(test.app()).await.unwrap();
    (newest(test, tenant).await, key["api_key"].as_str().unwrap().to_owned())
}

/// The path of a tenant's newest invoice.
async fn newest(test: &TestServer, tenant: &str) -> String {
    let page =
        test.get(ADMIN, &format!("/api/v1/admin/invoices?tenant={tenant}")).await.expect(200);
    let id = page["items"][0]["id"].as_str().unwrap().to_owned();
    format!("/api/v1/admin/tenants/{tenant}/invoices/{id}")
}

async fn tenant_id(test: &TestServer, slug: &str) -> TenantId {
    let tenant = test.get(ADMIN, &format!("/api/v1/admin/tenants/{slug}")).await.expect(200);
    tenant["id"].as_str().unwrap().parse().unwrap()
}

async fn sql(tx: &mut sqlx::PgConnection, text: &str) -> Result<(), String> {
    match sqlx::raw_sql(AssertSqlSafe(text.to_owned())).execute(tx).await {
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(error)) => Err(error.code().unwrap().into_owned()),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn an_issued_invoice_is_the_tenants_to_see_and_a_draft_is_not() {
    let test = TestServer::start().await;
    let (path, key) = issued(&test, "acme").await;
    let (_, stranger) = issued(&test, "globex").await;
    let invoice = test.get(ADMIN, &path).await.expect(200);
    assert_eq!(invoice["status"], "issued");
    assert_eq!(invoice["due_at"], "2026-05-02T00:00:00Z", "net 30");
    assert_eq!(invoice["buyer"]["name"], "acme");
    let own = test.get(&key, "/api/v1/invoices").await.expect(200);
    assert_eq!(own["items"][0]["number"], invoice["number"]);
    let id = invoice["id"].as_str().unwrap();
    let seen = test.get(&key, &format!("/api/v1/invoices/{id}")).await.expect(200);
    assert_eq!(seen, invoice);
    test.get(&stranger, &format!("/api/v1/invoices/{id}")).await.expect(404);
    // April is closed, and still a draft.
    test.advance_to("2026-05-01T06:00:00Z");
    jobs::run_due(test.app()).await.unwrap();
    let draft = newest(&test, "acme").await;
    assert_eq!(test.get(ADMIN, &draft).await.expect(200)["status"], "draft");
    let own = test.get(&key, "/api/v1/invoices").await.expect(200);
    assert_eq!(own["items"].as_array().unwrap().len(), 1);
    let id = draft.rsplit('/').next().unwrap();
    test.get(&key, &format!("/api/v1/invoices/{id}")).await.expect(404);
    // Staff may issue it before its grace is over; once.
    let now = test.post(ADMIN, &format!("{draft}/issue"), json!({})).await.expect(200);
    assert_eq!(now["number"], "INV-000003");
    test.post(ADMIN, &format!("{draft}/issue"), json!({})).await.expect(409);
}

#[tokio::test]
async fn states_follow_one_another_and_no_other_way() {
    let test = TestServer::start().await;
    let (paid, _) = issued(&test, "acme").await;
    let future = json!({ "paid_at": "2026-06-01T00:00:00Z" });
    test.post(ADMIN, &format!("{paid}/pay"), future).await.expect(422);
    let invoice = test.post(ADMIN, &format!("{paid}/pay"), json!({})).await.expect(200);
    assert_eq!(
        (&invoice["status"], &invoice["outstanding"]["amount"]),
        (&json!("paid"), &json!("0.00"))
    );
    for step in ["pay", "void", "uncollectible", "issue"] {
        test.post(ADMIN, &format!("{paid}/{step}"), json!({})).await.expect(409);
    }
    let (given_up, _) = issued(&test, "globex").await;
    test.post(ADMIN, &format!("{given_up}/uncollectible"), json!({})).await.expect(200);
    test.post(ADMIN, &format!("{given_up}/void"), json!({})).await.expect(409);
    let after_all = test.post(ADMIN, &format!("{given_up}/pay"), json!({})).await.expect(200);
    assert_eq!(after_all["status"], "paid");
    let (void, _) = issued(&test, "initech").await;
    test.post(ADMIN, &format!("{void}/void"), json!({})).await.expect(200);
    test.post(ADMIN, &format!("{void}/pay"), json!({})).await.expect(409);
    // Its period is not billed again.
    test.advance_to("2026-05-03T00:00:00Z");
    jobs::run_due(test.app()).await.unwrap();
    let april = test.get(ADMIN, &newest(&test, "initech").await).await.expect(200);
    assert_eq!(april["total"]["amount"], "99.00");
}

#[tokio::test]
async fn the_database_refuses_changes_and_sums_that_are_wrong() {
    let test = TestServer::start().await;
    issued(&test, "acme").await;
    let tenant = tenant_id(&test, "acme").await;
    for text in [
        "UPDATE invoices SET total_minor = 1, subtotal_minor = 1",
        "UPDATE invoices SET number = 'INV-000009'",
        "UPDATE invoices SET inputs = '{}'",
        "UPDATE invoices SET status = 'draft'",
        "DELETE FROM invoices",
        "UPDATE invoice_lines SET amount_minor = 1",
        "DELETE FROM invoice_lines",
        "INSERT INTO invoice_lines SELECT tenant_id, invoice_id, 99, kind, subscription_id, period_n, \
         service_from, service_to, plan, charge, part, description, quantity, unit, arithmetic, 0, 0, \
         version, cutoff, meter, events, digest, NULL, NULL FROM invoice_lines",
    ] {
        let mut tx = test.app().db().tenant(tenant).await.unwrap();
        assert_eq!(sql(&mut tx, text).await, Err("23001".to_owned()), "{text}");
    }
    test.advance_to("2026-05-01T06:00:00Z");
    jobs::run_due(test.app()).await.unwrap();
    let mut tx = test.app().db().tenant(tenant).await.unwrap();
    let text = "UPDATE invoice_lines SET amount_minor = amount_minor + 1 \
                WHERE invoice_id = (SELECT id FROM invoices WHERE status = 'draft')";
    sql(&mut tx, text).await.unwrap();
    assert!(tx.commit().await.is_err(), "a draft's lines add up, too");
    let mut tx = test.app().db().tenant(tenant).await.unwrap();
    let text = "INSERT INTO billing_periods (tenant_id, subscription_id, n, after, period_start, period_end) \
                SELECT tenant_id, subscription_id, n + 1, n, period_end + interval '1 second', \
                period_end + interval '1 day' FROM billing_periods WHERE status = 'open'";
    assert_eq!(sql(&mut tx, text).await, Err("23503".to_owned()), "a gap between periods");
}

#[tokio::test]
async fn a_number_that_was_not_used_after_all_is_used_by_the_next() {
    let test = TestServer::start().await;
    let (first, _) = issued(&test, "acme").await;
    assert_eq!(test.get(ADMIN, &first).await.expect(200)["number"], "INV-000001");
    test.advance_to("2026-05-01T06:00:00Z");
    jobs::run_due(test.app()).await.unwrap();
    let draft = newest(&test, "acme").await;
    let tenant = tenant_id(&test, "acme").await;
    for _ in 0..3 {
        let mut tx = test.app().db().tenant(tenant).await.unwrap();
        let text = "UPDATE invoices SET status = 'issued', issued_at = drafted_at, due_minor = total_minor \
                    WHERE status = 'draft'";
        sql(&mut tx, text).await.unwrap();
        tx.rollback().await.unwrap();
    }
    let second = test.post(ADMIN, &format!("{draft}/issue"), json!({})).await.expect(200);
    assert_eq!(second["number"], "INV-000002");
}

#[tokio::test]
async fn tax_is_charged_once_a_rate_and_reverse_charge_says_why_not() {
    let test = TestServer::start().await;
    let seller = test.get(ADMIN, "/api/v1/admin/sellers").await.expect(200)["items"][0].clone();
    let path = format!("/api/v1/admin/sellers/{}", seller["id"].as_str().unwrap());
    let change = json!({ "name": seller["name"], "legal_name": "Widget Ltd",
        "address": { "country": "IE", "city": "Cork" } });
    test.put(ADMIN, &path, change).await.expect(200);
    let wrong = json!({ "items": [{ "country": "de", "name": "VAT", "percent": "119" }] });
    test.put(ADMIN, &format!("{path}/tax-rates"), wrong).await.expect(422);
    let rates = json!({ "items": [
        { "country": "DE", "name": "VAT", "percent": "19", "reverse_charge": true },
        { "country": "US", "region": "NY", "name": "State", "percent": "4" },
        { "country": "US", "region": "NY", "name": "City", "percent": "4.875" },
    ] });
    test.put(ADMIN, &format!("{path}/tax-rates"), rates).await.expect(200);
    let buyers = [
        ("berlin", json!({ "country": "DE" }), Value::Null, "117.81"),
        ("bonn", json!({ "country": "DE" }), json!("DE123456789"), "99.00"),
        // 3.96 + 4.83 (4.82625)
        ("albany", json!({ "country": "US", "region": "NY" }), Value::Null, "107.79"),
        ("boise", json!({ "country": "US", "region": "ID" }), Value::Null, "99.00"),
    ];
    for (tenant, address, tax_id, _) in &buyers {
        test.subscribe(tenant, json!({ "plan": "pro" })).await;
        let path = format!("/api/v1/admin/tenants/{tenant}/billing-accounts");
        let account = test.get(ADMIN, &path).await.expect(200)["items"][0].clone();
        let change = json!({ "name": tenant, "address": address, "tax_id": tax_id });
        let path = format!("{path}/{}", account["id"].as_str().unwrap());
        test.put(ADMIN, &path, change).await.expect(200);
    }
    test.advance_to("2026-04-02T00:00:00Z");
    jobs::run_due(test.app()).await.unwrap();
    for (tenant, _, _, total) in &buyers {
        let invoice = test.get(ADMIN, &newest(&test, tenant).await).await.expect(200);
        assert_eq!(invoice["total"]["amount"], *total, "{tenant}: {invoice}");
        assert_eq!(invoice["lines"][0]["tax"], invoice["tax"], "{tenant}");
    }
    let bonn = test.get(ADMIN, &newest(&test, "bonn").await).await.expect(200);
    assert!(bonn["taxes"][0]["note"].as_str().unwrap().contains("Reverse charge"), "{bonn}");
}

#[tokio::test]
async fn credit_is_used_by_the_next_invoices_and_never_below_zero() {
    let test = TestServer::start().await;
    test.subscribe("acme", json!({ "plan": "pro" })).await;
    let path = "/api/v1/admin/tenants/acme/credits";
    let prepaid = json!({ "amount": "150", "kind": "prepayment", "note": "PO 4711" });
    test.post(ADMIN, path, prepaid).await.expect(201);
    let too_much = json!({ "amount": "150.01", "kind": "refund", "note": "back" });
    test.post(ADMIN, path, too_much).await.expect(409);
    test.advance_to("2026-05-02T00:00:00Z");
    jobs::run_due(test.app()).await.unwrap();
    // 150 - 99 = 51 after March, which is paid; April has 48 left to pay.
    let april = test.get(ADMIN, &newest(&test, "acme").await).await.expect(200);
    assert_eq!(
        (&april["credit"]["amount"], &april["due"]["amount"]),
        (&json!("51.00"), &json!("48.00"))
    );
    let march = test.get(ADMIN, "/api/v1/admin/invoices?tenant=acme&status=paid").await.expect(200);
    assert_eq!(march["items"][0]["credit"]["amount"], "99.00");
    let credits = test.get(ADMIN, path).await.expect(200);
    assert_eq!(credits["balances"][0]["balance"]["amount"], "0.00");
    assert_eq!(credits["entries"].as_array().unwrap().len(), 3);
    // Void gives it back.
    let path_of = newest(&test, "acme").await;
    test.post(ADMIN, &format!("{path_of}/void"), json!({})).await.expect(200);
    let credits = test.get(ADMIN, path).await.expect(200);
    assert_eq!(credits["balances"][0]["balance"]["amount"], "51.00");
}

#[tokio::test]
async fn credit_notes_take_back_what_is_owed_first_and_then_what_was_paid() {
    let test = TestServer::start().await;
    let (path, _) = issued(&test, "acme").await;
    let note = |amount: &str| json!({ "amount": amount, "reason": "Outage on 3 March" });
    let notes = format!("{path}/credit-notes");
    let first = test.post(ADMIN, &notes, note("9.90")).await.expect(201);
    assert_eq!(
        (&first["number"], &first["to_balance"]["amount"]),
        (&json!("INV-CN-000001"), &json!("0.00"))
    );
    let invoice = test.get(ADMIN, &path).await.expect(200);
    assert_eq!(invoice["outstanding"]["amount"], "89.10");
    test.post(ADMIN, &notes, note("89.11")).await.expect(422);
    test.post(ADMIN, &format!("{path}/void"), json!({})).await.expect(409);
    test.post(ADMIN, &format!("{path}/pay"), json!({})).await.expect(200);
    let rest = test.post(ADMIN, &notes, json!({ "reason": "All of it" })).await.expect(201);
    assert_eq!(
        (&rest["amount"]["amount"], &rest["to_balance"]["amount"]),
        (&json!("89.10"), &json!("89.10"))
    );
    let credits = test.get(ADMIN, "/api/v1/admin/tenants/acme/credits").await.expect(200);
    assert_eq!(credits["balances"][0]["balance"]["amount"], "89.10");
    assert_eq!(credits["entries"][0]["note"], "INV-CN-000002");
    test.post(ADMIN, &notes, note("0.01")).await.expect(422);
}

#[tokio::test]
async fn the_table_for_finance_has_a_row_an_invoice() {
    let test = TestServer::start().await;
    issued(&test, "acme").await;
    let answer = test.get(ADMIN, "/api/v1/admin/invoices.csv?from=2026-04-01T00:00:00Z").await;
    assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8"));
    let rows: Vec<&str> = answer.text.split("\r\n").collect();
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(rows[1].starts_with("INV-000001,issued,ten_"), "{rows:?}");
    assert!(rows[1].ends_with(",USD,99.00,0.00,99.00,0.00,99.00,99.00"), "{rows:?}");
    let none = test.get(ADMIN, "/api/v1/admin/invoices.csv?status=draft").await.text;
    assert_eq!(none.matches("\r\n").count(), 1);
}

#[tokio::test]
async fn invoices_survive_their_tenant_and_drafts_do_not() {
    let test = TestServer::start().await;
    let (path, _) = issued(&test, "acme").await;
    let tenant = tenant_id(&test, "acme").await;
    test.advance_to("2026-05-01T06:00:00Z");
    jobs::run_due(test.app()).await.unwrap();
    test.post(ADMIN, "/api/v1/admin/tenants/acme/cancel", json!({})).await.expect(200);
    let before = test.get(ADMIN, &path).await.expect(200);
    test.delete(ADMIN, "/api/v1/admin/tenants/acme?confirm=acme").await.expect(200);
    let left =
        test.get(ADMIN, &format!("/api/v1/admin/invoices?tenant={tenant}")).await.expect(200);
    let left = left["items"].as_array().unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0]["number"], before["number"]);
    let mut admin = test.database.admin().await;
    let rows =
        sqlx::raw_sql("SELECT count(*) FROM invoice_lines").fetch_one(&mut admin).await.unwrap();
    assert_eq!(sqlx::Row::get::<i64, _>(&rows, 0), 1);
    // What had been queued for the tenant finds nothing to do.
    test.advance_to("2026-07-01T00:00:00Z");
    assert_eq!(jobs::run_due(test.app()).await.unwrap().failed, 0);
}
