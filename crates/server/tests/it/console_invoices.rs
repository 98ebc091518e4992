//! Pages about invoices, for staff and for the customer, and the PDF. Test clocks
//! begin on 1 March 2026, 0:00 UTC; sessions last twelve hours.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tenure_server::jobs;

use crate::{
    console::{Browser, between},
    harness::{ADMIN, Answer, TestServer},
    portal::visitor,
    usage::behind,
};

/// A moment at which March is over and its grace is not.
pub const IN_GRACE: &str = "2026-04-01T06:00:00Z";
/// A moment at which the invoices of March are issued.
const ISSUED: &str = "2026-04-02T06:00:00Z";

/// A tenant on kg-rca basic: its API key.
async fn subscriber(test: &TestServer, slug: &str) -> String {
    let body = json!({ "product": "kg-rca", "plan": "basic" });
    let subscription = test.subscribe(slug, body).await;
    let path = format!("/api/v1/admin/tenants/{slug}/keys");
    let body = json!({ "subscription": subscription });
    let key = test.post(ADMIN, &path, body).await.expect(201)["api_key"].clone();
    key.as_str().unwrap().to_owned()
}

/// One that used 1,203 queries in March, 203 over at $0.50: its API key.
pub async fn customer(test: &TestServer, slug: &str) -> String {
    let key = subscriber(test, slug).await;
    let events: Vec<Value> = (0..1_203)
        .map(|n| {
            json!({ "specversion": "1.0", "id": format!("q{n}"), "source": "/test",
                    "type": "rca.query", "time": "2026-03-01T00:00:00Z" })
        })
        .collect();
    test.post(&key, "/api/v1/usage", json!(events)).await.expect(200);
    key
}

/// What is due at that moment is done.
pub async fn pass(test: &TestServer, to: &str) {
    test.advance_to(to);
    jobs::run_due(test.app()).await.unwrap();
}

/// The id of a tenant's newest invoice.
async fn newest(test: &TestServer, slug: &str) -> String {
    let page = test.get(ADMIN, &format!("/api/v1/admin/invoices?tenant={slug}")).await.expect(200);
    page["items"][0]["id"].as_str().unwrap().to_owned()
}

/// A server with a customer whose March is at that moment, staff who are signed in, and the
/// path of the invoice's page.
async fn at(moment: &str) -> (TestServer, String, String) {
    let test = TestServer::with_product(&["kg-rca"]).await;
    let key = customer(&test, "acme").await;
    pass(&test, moment).await;
    let path = format!("/console/tenants/acme/invoices/{}", newest(&test, "acme").await);
    (test, key, path)
}

fn leads_to(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    answer.header("location").unwrap().to_owned()
}

fn says(page: &Answer, all: &[&str]) {
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    for words in all {
        assert!(page.text.contains(words), "{words}: {}", page.text);
    }
}

#[tokio::test]
async fn a_draft_is_issued_and_paid_from_its_page() {
    let (test, _, path) = at(IN_GRACE).await;
    let browser = Browser::signed_in(&test, ADMIN).await;
    let draft = browser.get(&path).await;
    says(
        &draft,
        &[
            "Draft invoice",
            "This is a draft.",
            "issued by itself in 18 hours",
            "1 Mar 2026 to 31 Mar 2026",
            "203 x $0.50",
            "$200.50",
            "Drafted",
        ],
    );
    for step in ["pay", "uncollectible", "credit"] {
        assert!(!draft.text.contains(&format!("{path}/{step}\"")), "{step} makes no sense yet");
    }
    let question = browser.get(&format!("{path}/issue")).await;
    says(&question, &["Issue this draft?", "From then on it never changes"]);
    assert_eq!(leads_to(&browser.submit(&format!("{path}/issue"), &[]).await), path);
    let issued = browser.get(&path).await;
    says(&issued, &["Invoice INV-000001", "Still to be paid", "1 May 2026"]);
    // What is refused is said in the form, and nothing changed.
    let again = browser.submit(&format!("{path}/issue"), &[]).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert!(again.text.contains("it cannot become issued"), "{}", again.text);
    let future = browser.submit(&format!("{path}/pay"), &[("paid_at", "2026-06-01")]).await;
    assert_eq!(future.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(future.text.contains("cannot lie in the future"), "{}", future.text);
    assert!(future.text.contains("value=\"2026-06-01\""), "what was typed stays");
    assert_eq!(leads_to(&browser.submit(&format!("{path}/pay"), &[]).await), path);
    let paid = browser.get(&path).await;
    says(&paid, &["<span class=\"badge ok\">Paid</span>", "Credit note"]);
    let audit = browser.get("/console/tenants/acme/audit").await;
    assert!(audit.text.contains("Invoice paid"), "{}", audit.text);
}

#[tokio::test]
async fn a_credit_note_that_is_sent_twice_takes_back_once() {
    let (test, _, path) = at(ISSUED).await;
    let browser = Browser::signed_in(&test, ADMIN).await;
    let form = browser.get(&format!("{path}/credit")).await;
    let once = between(&form.text, "name=\"once\" value=\"", "\"").to_owned();
    let too_much = [("amount", "200.51"), ("reason", "Outage"), ("once", &*once)];
    let refused = browser.submit(&format!("{path}/credit"), &too_much).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("what is left of the invoice, $200.50"), "{}", refused.text);
    assert!(refused.text.contains(&format!("value=\"{once}\"")), "the same form");
    let words = [("amount", "ten"), ("reason", "Outage"), ("once", &*once)];
    let refused = browser.submit(&format!("{path}/credit"), &words).await;
    assert!(refused.text.contains("An amount looks like 49.90."), "{}", refused.text);
    let fields = [("amount", "50.10"), ("reason", "Outage on 3 March"), ("once", &*once)];
    for _ in 0..2 {
        assert_eq!(leads_to(&browser.submit(&format!("{path}/credit"), &fields).await), path);
    }
    let page = browser.get(&path).await;
    says(&page, &["INV-CN-000001", "Outage on 3 March", "-$50.10", "$150.40"]);
    assert!(!page.text.contains("INV-CN-000002"), "{}", page.text);
    // It cannot be annulled any more, and the form says so.
    assert!(!page.text.contains(&format!("{path}/void\"")));
    let void = browser.submit(&format!("{path}/void"), &[]).await;
    assert_eq!(void.status, StatusCode::CONFLICT);
    assert!(void.text.contains("A part of it was taken back already"), "{}", void.text);
}

#[tokio::test]
async fn a_line_is_led_back_to_its_events_and_says_when_they_do_not_agree() {
    let (test, key, path) = at(ISSUED).await;
    let browser = Browser::signed_in(&test, ADMIN).await;
    let line = format!("{path}/lines/2");
    let first = browser.get(&line).await;
    says(
        &first,
        &[
            "<strong>Agrees.</strong>",
            "1,203 single events",
            "$101.50",
            "/console/products/kg-rca/versions/1",
            "generation 0",
            "1 Mar 2026, 00:00:00",
        ],
    );
    let next = between(&first.text, "?events=", "#events").to_owned();
    let second = browser.get(&format!("{line}?events={next}")).await;
    says(&second, &["First page"]);
    let id = |page: &str| between(page, "<th scope=\"row\" class=\"main\"><code>", "<").to_owned();
    assert_ne!(id(&second.text), id(&first.text));
    let base = browser.get(&format!("{path}/lines/1")).await;
    says(&base, &["<strong>Agrees.</strong>", "$99.00"]);
    assert_eq!(browser.get(&format!("{path}/lines/3")).await.status, StatusCode::NOT_FOUND);
    // Somebody took events away behind the server's back.
    behind(&test, "DELETE FROM usage_chunks").await;
    behind(&test, "DELETE FROM usage_events").await;
    let broken = browser.get(&line).await;
    says(
        &broken,
        &["<strong>Does not agree.</strong>", "The single events of 1 window do not come to"],
    );
    let own = visitor(&test, &key).await;
    let line = line.replace("/console/tenants/acme", "/portal");
    says(&own.get(&line).await, &["<strong>Does not agree.</strong>"]);
}

#[tokio::test]
async fn the_list_is_filtered_added_up_paged_and_saved_as_a_table() {
    let test = TestServer::with_product(&["kg-rca"]).await;
    let browser = Browser::signed_in(&test, ADMIN).await;
    says(&browser.get("/console/invoices").await, &["No invoices yet"]);
    for n in 0..27 {
        let body = json!({ "product": "kg-rca", "plan": "basic" });
        test.subscribe(&format!("t{n}"), body).await;
    }
    pass(&test, IN_GRACE).await;
    let issue = format!("/api/v1/admin/tenants/t3/invoices/{}/issue", newest(&test, "t3").await);
    test.post(ADMIN, &issue, json!({})).await.expect(200);
    let browser = Browser::signed_in(&test, ADMIN).await;
    let page = browser.get("/console/invoices").await;
    says(
        &page,
        &["$2,574.00", "26 invoices", "$99.00", "27 of 27 done", "Billing run of 2026-04-01"],
    );
    assert_eq!(page.text.matches("<th scope=\"row\" class=\"main\">").count(), 25);
    let next = between(&page.text, "href=\"/console/invoices?cursor=", "\" rel=\"next\"");
    let second = browser.get(&format!("/console/invoices?cursor={next}")).await;
    assert_eq!(second.text.matches("<th scope=\"row\" class=\"main\">").count(), 2);
    let issued = browser.get("/console/invoices?status=issued&tenant=&product=&from=&to=").await;
    says(&issued, &["INV-000001", "/console/tenants/t3/invoices"]);
    assert!(!issued.text.contains("/console/tenants/t4/invoices"));
    let csv =
        between(&issued.text, "href=\"/console/invoices.csv", "\" download").replace("&#38;", "&");
    let table = browser.get(&format!("/console/invoices.csv{csv}")).await;
    assert_eq!(table.header("content-disposition"), Some("attachment; filename=\"invoices.csv\""));
    assert_eq!(table.text.matches("\r\n").count(), 2, "a head and a row: {}", table.text);
    for (filter, count) in [
        ("tenant=t7", 1),
        ("seller=vendor", 25),
        ("seller=nobody", 0),
        ("from=2026-04-01&to=2026-04-01", 25),
        ("from=2026-04-02", 0),
        ("to=2026-03-31", 0),
        ("product=kg-rca&status=draft&tenant=t3", 0),
    ] {
        let page = browser.get(&format!("/console/invoices?{filter}")).await;
        let rows = page.text.matches("<th scope=\"row\" class=\"main\">").count();
        assert_eq!(rows, count, "{filter}: {}", page.text);
        assert_eq!(page.text.contains("No invoice matches"), count == 0, "{filter}");
    }
    let wrong = browser.get("/console/invoices?from=tomorrow").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let totals = test.get(ADMIN, "/api/v1/admin/invoices/totals?tenant=t3").await.expect(200);
    assert_eq!(
        totals["items"],
        json!([{ "status": "issued", "count": 1,
                 "total": { "amount": "99.00", "currency": "USD" },
                 "outstanding": { "amount": "99.00", "currency": "USD" } }])
    );
}

#[tokio::test]
async fn runs_show_how_far_they_are_and_what_could_not_be_billed() {
    let test = TestServer::with_product(&["kg-rca"]).await;
    test.subscribe("acme", json!({ "product": "kg-rca", "plan": "enterprise" })).await;
    test.advance_to(IN_GRACE);
    let browser = Browser::signed_in(&test, ADMIN).await;
    says(&browser.get("/console/invoices/runs").await, &["Nothing was due yet"]);
    says(&browser.get("/console/invoices/close").await, &["Close what is due?"]);
    let sent = browser.submit("/console/invoices/close", &[]).await;
    assert_eq!(leads_to(&sent), "/console/invoices/runs");
    says(&browser.get("/console/invoices/runs").await, &["Under way", "0 of 1 done"]);
    jobs::run_due(test.app()).await.unwrap();
    let page = browser.get("/console/invoices/runs").await;
    says(
        &page,
        &["Something failed", "Could not be billed", "agree on it in a contract", "1 time"],
    );
    assert!(page.text.contains("href=\"/console/tenants/acme\""), "{}", page.text);
}

#[tokio::test]
async fn credit_is_added_on_a_form_and_stands_on_the_tenants_page() {
    let (test, _, path) = at(IN_GRACE).await;
    let browser = Browser::signed_in(&test, ADMIN).await;
    let tab = "/console/tenants/acme/invoices";
    says(&browser.get(tab).await, &["There was never any credit", "Draft", "Balance –"]);
    let new = "/console/tenants/acme/credits/new";
    let once = between(&browser.get(new).await.text, "name=\"once\" value=\"", "\"").to_owned();
    let fields = |amount, kind| {
        [("kind", kind), ("amount", amount), ("note", "PO 4711"), ("once", once.as_str())]
    };
    let nothing = browser.submit(new, &fields("0", "prepayment")).await;
    assert!(nothing.text.contains("Give an amount above zero."), "{}", nothing.text);
    let back = browser.submit(new, &fields("1", "refund")).await;
    assert_eq!(back.status, StatusCode::CONFLICT);
    assert!(back.text.contains("The balance is $0.00."), "{}", back.text);
    for _ in 0..2 {
        assert_eq!(leads_to(&browser.submit(new, &fields("150", "prepayment")).await), tab);
    }
    says(&browser.get(tab).await, &["Balance $150.00", "PO 4711", "Prepayment"]);
    assert_eq!(leads_to(&browser.submit(&format!("{path}/issue"), &[]).await), path);
    says(&browser.get(&path).await, &["Credit used", "-$150.00", "$50.50"]);
    says(&browser.get(tab).await, &["Balance $0.00", "Applied", "$50.50 open"]);
}

#[tokio::test]
async fn a_viewer_looks_at_invoices_and_changes_nothing() {
    let (test, _, path) = at(IN_GRACE).await;
    let body = json!({ "name": "auditor", "role": "viewer" });
    let made = test.post(ADMIN, "/api/v1/admin/credentials", body).await.expect(201);
    let browser = Browser::signed_in(&test, made["token"].as_str().unwrap()).await;
    for page in ["/console/invoices", "/console/tenants/acme/invoices", path.as_str()] {
        let page = browser.get(page).await;
        says(&page, &["acme"]);
        for words in ["Close what is due", "Add credit", "Issue now", "/void\""] {
            assert!(!page.text.contains(words), "{words}");
        }
    }
    for action in [
        format!("{path}/issue"),
        format!("{path}/void"),
        "/console/invoices/close".to_owned(),
        "/console/tenants/acme/credits/new".to_owned(),
    ] {
        assert_eq!(browser.get(&action).await.status, StatusCode::FORBIDDEN, "{action}");
        assert_eq!(browser.submit(&action, &[]).await.status, StatusCode::FORBIDDEN, "{action}");
    }
    let unknown = browser.get(&format!("{path}/frobnicate")).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_customer_sees_what_was_issued_and_nobody_elses() {
    let test = TestServer::with_product(&["kg-rca"]).await;
    let key = customer(&test, "acme").await;
    let other = customer(&test, "globex").await;
    pass(&test, ISSUED).await;
    // April is a draft by now.
    pass(&test, "2026-05-01T06:00:00Z").await;
    let own = visitor(&test, &key).await;
    let list = own.get("/portal/invoices").await;
    says(&list, &["Issued", "1 Mar 2026 to 31 Mar 2026", "$200.50", "Bill so far"]);
    assert!(!list.text.contains("1 Apr 2026 to"), "drafts are the vendor's: {}", list.text);
    let path = format!(
        "/portal/invoices/inv_{}",
        between(&list.text, "href=\"/portal/invoices/inv_", "\"")
    );
    let page = own.get(&path).await;
    says(&page, &["acme", "203 x $0.50", "You need not believe it."]);
    for words in ["/console/", "Mark as paid", "/void\""] {
        assert!(!page.text.contains(words), "{words}: {}", page.text);
    }
    let line = own.get(&format!("{path}/lines/2")).await;
    says(&line, &["<strong>Agrees.</strong>", "version 1"]);
    assert!(!line.text.contains("/console/"), "{}", line.text);
    let draft = format!("/portal/invoices/{}", newest(&test, "acme").await);
    let thief = visitor(&test, &other).await;
    for (browser, path) in [(&own, &draft), (&thief, &path), (&thief, &draft)] {
        for below in ["", "/pdf", "/evidence", "/lines/1"] {
            let answer = browser.get(&format!("{path}{below}")).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}{below}: {}", answer.text);
        }
    }
    let list = thief.get("/portal/invoices").await;
    says(&list, &["globex"]);
    assert!(!list.text.contains("acme") && !list.text.contains(&path), "{}", list.text);
    let stranger = Browser::new(&test);
    for path in ["/portal/invoices", path.as_str()] {
        assert_eq!(stranger.get(path).await.header("location"), Some("/portal/sign-in"), "{path}");
    }
}

async fn file(test: &TestServer, token: &str, path: &str) -> Vec<u8> {
    let answer = test.request(Method::GET, token, path).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    assert_eq!(answer.headers()["content-type"], "application/pdf");
    answer.bytes().await.unwrap().to_vec()
}

#[tokio::test]
async fn the_pdf_is_the_same_file_for_everybody_and_for_ever() {
    let (test, key, page) = at(ISSUED).await;
    let stranger = subscriber(&test, "globex").await;
    let id = page.rsplit('/').next().unwrap();
    let admin = format!("/api/v1/admin/tenants/acme/invoices/{id}");
    let own = format!("/api/v1/invoices/{id}/pdf");
    let first = file(&test, ADMIN, &format!("{admin}/pdf")).await;
    assert!(first.starts_with(b"%PDF-1."));
    assert_eq!(file(&test, &key, &own).await, first);
    test.get(&stranger, &own).await.expect(404);
    test.get(ADMIN, &format!("/api/v1/admin/tenants/globex/invoices/{id}/pdf")).await.expect(404);
    // Time goes by, names change, it is paid: not on this document.
    test.advance_to("2026-04-20T00:00:00Z");
    let change = json!({ "name": "Renamed", "time_zone": "Asia/Kathmandu" });
    test.patch(ADMIN, "/api/v1/admin/tenants/acme", change).await.expect(200);
    test.post(ADMIN, &format!("{admin}/pay"), json!({})).await.expect(200);
    let note = json!({ "amount": "1", "reason": "Sorry" });
    test.post(ADMIN, &format!("{admin}/credit-notes"), note).await.expect(201);
    let later = test.beside().await;
    assert_eq!(file(&later, ADMIN, &format!("{admin}/pdf")).await, first);
    // Drafts are the vendor's alone, and say so.
    pass(&test, "2026-05-01T06:00:00Z").await;
    let draft = newest(&test, "acme").await;
    file(&test, ADMIN, &format!("/api/v1/admin/tenants/acme/invoices/{draft}/pdf")).await;
    test.get(&key, &format!("/api/v1/invoices/{draft}/pdf")).await.expect(404);
    let browser = Browser::signed_in(&test, ADMIN).await;
    let saved = browser.get(&format!("{page}/pdf")).await;
    assert_eq!(saved.header("content-disposition"), Some("inline; filename=\"INV-000001.pdf\""));
    let archive = browser.get(&format!("{page}/evidence")).await;
    assert_eq!(archive.header("content-type"), Some("application/zstd"));
}

#[tokio::test]
async fn a_credit_note_is_a_document_of_its_own_for_vendor_and_customer() {
    let (test, key, page) = at(ISSUED).await;
    let stranger = subscriber(&test, "globex").await;
    let id = page.rsplit('/').next().unwrap();
    let admin = format!("/api/v1/admin/tenants/acme/invoices/{id}");
    let body = json!({ "amount": "1.50", "reason": "A slow afternoon" });
    let made = test.post(ADMIN, &format!("{admin}/credit-notes"), body).await.expect(201);
    let (note, number) = (made["id"].as_str().unwrap(), made["number"].as_str().unwrap());
    let (theirs, own) = (
        format!("{admin}/credit-notes/{note}/pdf"),
        format!("/api/v1/invoices/{id}/credit-notes/{note}/pdf"),
    );
    let first = file(&test, ADMIN, &theirs).await;
    assert!(first.starts_with(b"%PDF-1."));
    assert_eq!(file(&test, &key, &own).await, first);
    // It is found below its own invoice alone, by those whose it is.
    test.get(&stranger, &own).await.expect(404);
    test.get(ADMIN, &theirs.replace("/acme/", "/globex/")).await.expect(404);
    test.get(ADMIN, &theirs.replace(note, "crn_01932f3ea1b27c3d9e4f5a6b7c8d9e0f"))
        .await
        .expect(404);
    test.get(ADMIN, &theirs.replace(note, id)).await.expect(404);
    // Later it is the same file, whatever became of the invoice.
    test.advance_to("2026-04-20T00:00:00Z");
    let rest = json!({ "reason": "The rest" });
    test.post(ADMIN, &format!("{admin}/credit-notes"), rest).await.expect(201);
    assert_eq!(file(&test.beside().await, ADMIN, &theirs).await, first);
    // Both invoice pages lead to it.
    let browser = Browser::signed_in(&test, ADMIN).await;
    let link = format!("{page}/credit-notes/{note}/pdf");
    let shown = browser.get(&page).await;
    assert!(shown.text.contains(&format!("href=\"{link}\"")), "{}", shown.text);
    let name = format!("inline; filename=\"{number}.pdf\"");
    assert_eq!(browser.get(&link).await.header("content-disposition"), Some(name.as_str()));
    let customer = visitor(&test, &key).await;
    let link = format!("/portal/invoices/{id}/credit-notes/{note}/pdf");
    let shown = customer.get(&format!("/portal/invoices/{id}")).await;
    assert!(shown.text.contains(&format!("href=\"{link}\"")), "{}", shown.text);
    assert_eq!(customer.get(&link).await.header("content-type"), Some("application/pdf"));
    let thief = visitor(&test, &stranger).await;
    assert_eq!(thief.get(&link).await.status, StatusCode::NOT_FOUND);
}
