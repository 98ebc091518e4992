//! The customers' portal over HTTP: what a key opens, and what it does not.

use reqwest::{Method, StatusCode};
use serde_json::json;
use tenure_license::instance::RequestKind;

use crate::{
    carried::{Site, vendor},
    console::{Browser, between},
    harness::{ADMIN, Answer, TestInstance, TestServer},
};

async fn sign_in(browser: &Browser<'_>, key: &str) -> Answer {
    browser.post("/portal/sign-in", &[("key", key)]).await
}

/// Signed in with that key.
pub async fn visitor<'a>(test: &'a TestServer, key: &str) -> Browser<'a> {
    let mut browser = Browser::new(test);
    let answer = sign_in(&browser, key).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    let page = browser.get("/portal").await;
    let page = match page.status {
        StatusCode::SEE_OTHER => browser.get(page.header("location").unwrap()).await,
        _ => page,
    };
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    browser.form_token = between(&page.text, "name=\"form_token\" value=\"", "\"").to_owned();
    browser
}

#[tokio::test]
async fn a_license_key_opens_its_license_and_says_what_to_do_next() {
    let test = TestServer::gizmo().await;
    let license = test.licensed("acme", "pro").await;
    let mut instance = TestInstance::new(1);
    instance.activate(&test, &license.key).await.expect(200);
    instance.beat(&test, json!({ "usage_stats": { "teams": 4 } })).await.expect(200);
    let stranger = Browser::new(&test);
    for path in ["/portal", "/portal/instances", "/portal/license.lic", "/portal/nothing"] {
        let answer = stranger.get(path).await;
        assert_eq!(answer.header("location"), Some("/portal/sign-in"), "{path}");
    }
    let typed = format!("  {} ", license.key.to_lowercase());
    let answer = sign_in(&stranger, &typed).await;
    let cookie = answer.header("set-cookie").unwrap();
    for part in ["tenure_portal=", "HttpOnly", "SameSite=Lax", "Path=/portal", "Max-Age=43200"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let page = stranger.get("/portal").await;
    for words in ["Nothing. The license ends on", "4 of 5", "1 of 3 slots held", "Single sign-on"] {
        assert!(page.text.contains(words), "{words}: {}", page.text);
    }
    let instances = stranger.get("/portal/instances").await;
    assert!(instances.text.contains("host") && !instances.text.contains("Release"));
    let file = stranger.get("/portal/license.lic").await;
    assert!(file.text.starts_with("-----BEGIN TENURE LICENSE-----"));
    let trail = test.get(ADMIN, "/api/v1/admin/tenants/acme/audit").await.expect(200);
    let newest = &trail["items"][0];
    assert_eq!(newest["action"], "license.file_taken");
    assert_eq!(newest["actor"], license.license, "the customer did it");

    test.post(ADMIN, &license.path("/revoke"), json!({})).await.expect(200);
    let revoked = stranger.get("/portal").await;
    assert!(revoked.text.contains("Ask the vendor why it was revoked"), "{}", revoked.text);
    assert_eq!(stranger.get("/portal/license.lic").await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_wrong_key_gets_the_page_again_and_after_a_while_nothing() {
    let test = TestServer::gizmo().await;
    let license = test.licensed("acme", "pro").await;
    let browser = Browser::new(&test);
    let mut mistyped = license.key.clone();
    let last = mistyped.pop().unwrap();
    mistyped.push(if last == '7' { '8' } else { '7' });
    let answer = sign_in(&browser, &mistyped).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.text.contains("a typing mistake"), "{}", answer.text);
    let answer = sign_in(&browser, ADMIN).await;
    assert!(answer.text.contains("not known"), "a vendor's credential opens nothing here");
    let mut last = answer.status;
    for _ in 0..12 {
        last = sign_in(&browser, "nonsense").await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    let refused = sign_in(&browser, &license.key).await;
    assert!(refused.header("retry-after").is_some(), "the right one waits too");
    let request = test
        .request(Method::POST, "", "/portal/sign-in")
        .header("sec-fetch-site", "cross-site")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("key={}", license.key));
    assert_eq!(test.send(request).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn sessions_end_by_signing_out_by_time_and_with_their_key() {
    let test = TestServer::start().await;
    let (slug, key) = test.client("Acme", "pro").await;
    let browser = visitor(&test, &key).await;
    assert_eq!(browser.post("/portal/sign-out", &[]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(browser.get("/portal/usage").await.status, StatusCode::OK);
    let out = browser.submit("/portal/sign-out", &[]).await;
    assert_eq!(out.header("location"), Some("/portal/sign-in"));
    assert_eq!(browser.get("/portal/usage").await.status, StatusCode::SEE_OTHER);

    let browser = visitor(&test, &key).await;
    let keys = format!("/api/v1/admin/tenants/{slug}/keys");
    let id = test.get(ADMIN, &keys).await.expect(200)["items"][0]["id"].clone();
    let path = format!("{keys}/{}", id.as_str().unwrap());
    assert!(test.delete(ADMIN, &path).await.status.is_success());
    assert_eq!(browser.get("/portal/usage").await.status, StatusCode::SEE_OTHER);

    let (_, key) = test.client("Globex", "pro").await;
    let browser = visitor(&test, &key).await;
    test.advance_to("2026-03-01T12:00:01Z");
    assert_eq!(browser.get("/portal/usage").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn an_api_key_opens_usage_and_bill_of_its_subscription() {
    let test = TestServer::start().await;
    let (_, key) = test.client("Acme", "pro").await;
    test.client("Globex", "pro").await;
    let browser = visitor(&test, &key).await;
    let page = browser.get("/portal/usage").await;
    for words in ["Usage and bill", "Bill so far", "$99.00", "Acme"] {
        assert!(page.text.contains(words), "{words}: {}", page.text);
    }
    assert!(!page.text.contains("Globex"));
    for path in ["/portal/instances", "/portal/reports", "/portal/files", "/portal/license.lic"] {
        let answer = browser.get(path).await;
        assert_eq!(answer.header("location"), Some("/portal/usage"), "{path}");
    }
}

#[tokio::test]
async fn files_are_carried_by_the_customer() {
    let vendor = vendor().await;
    let browser = visitor(&vendor.test, &vendor.key).await;
    let token = browser.form_token.clone();
    let mut site = Site::new(1);
    let request = site.request(RequestKind::Activation, Some(&vendor.key), None, "a");
    let answered = browser.upload("/portal/files", &token, request.as_bytes()).await;
    assert!(answered.text.contains("for bunker-1 alone"), "{}", answered.text);
    let at = between(&answered.text, "<a class=\"btn primary\" href=\"", "\"").to_owned();
    let file = browser.get(&at).await;
    assert!(file.text.starts_with("-----BEGIN TENURE LICENSE-----"), "{at}: {}", file.text);
    let (instance, license, same) = vendor.license_for(&site, "a").await;
    assert_eq!(same["file"], file.text, "the vendor's answer is the same");
    site.use_it(0..3);
    let report = site.report(instance, license.license, 0);
    let counted = browser.upload("/portal/files", &token, report.as_bytes()).await;
    assert!(counted.text.contains("3 events counted"), "{}", counted.text);
    let reports = browser.get("/portal/reports").await;
    let at = between(&reports.text, "href=\"/portal/reports/", "\"");
    let receipt = browser.get(&format!("/portal/reports/{at}")).await;
    assert!(receipt.text.starts_with("-----BEGIN TENURE RECEIPT-----"), "{}", receipt.text);
    let given = site.give_back(instance, license.license);
    let returned = browser.upload("/portal/files", &token, given.as_bytes()).await;
    assert!(returned.text.contains("its slot is free"), "{}", returned.text);
    let page = browser.get("/portal/instances").await;
    assert!(page.text.contains("given back; its token is genuine until"), "{}", page.text);
}

#[tokio::test]
async fn programs_of_the_customer_carry_files_with_the_license_key() {
    let vendor = vendor().await;
    let site = Site::new(1);
    let request = site.request(RequestKind::Activation, Some(&vendor.key), None, "a");
    let send = async |key: &str, file: &str| {
        let kind = "application/octet-stream";
        vendor.test.post_bytes(key, "/api/v1/license-files", kind, file.into()).await
    };
    let answer = send(&vendor.key, &request).await.expect(200);
    assert_eq!(answer["file_name"], "vault-acme-r1.lic");
    let trail = vendor.test.get(ADMIN, "/api/v1/admin/tenants/acme/audit").await.expect(200);
    assert_eq!(trail["items"][0]["actor"], vendor.license.to_string());
    // Another license of the same customer is another scope.
    let plan = json!({ "product": "vault", "plan": "enterprise", "model": "air_gapped" });
    let subscription = vendor.test.subscribe("globex", plan).await;
    let body = json!({ "subscription": subscription });
    let path = "/api/v1/admin/tenants/globex/licenses";
    let other = vendor.test.post(ADMIN, path, body).await.expect(201);
    let key = other["license_key"].as_str().unwrap();
    send(key, &request).await.expect(404);
    let without_key = Site::new(2).request(RequestKind::Renewal, None, Some(vendor.license), "b");
    send(key, &without_key).await.expect(404);
    send(ADMIN, &request).await.expect(403);
    send("", &request).await.expect(401);
}

/// Everything that one customer could try with another's ids.
#[tokio::test]
async fn no_path_or_form_reaches_another_customer() {
    let vendor = vendor().await;
    let test = &vendor.test;
    let mut site = Site::new(1);
    let (instance, license, _) = vendor.license_for(&site, "a").await;
    site.use_it(0..3);
    let report = site.report(instance, license.license, 0);
    let imported = vendor.carry(report.clone()).await.expect(200);
    let report_id = imported["report_id"].as_str().unwrap().to_owned();
    let request = site.request(RequestKind::Renewal, Some(&vendor.key), None, "b");
    let given = site.give_back(instance, license.license);

    let plan = json!({ "product": "vault", "plan": "enterprise", "model": "air_gapped" });
    let subscription = test.subscribe("globex", plan).await;
    let body = json!({ "subscription": subscription });
    let path = "/api/v1/admin/tenants/globex/licenses";
    let other = test.post(ADMIN, path, body).await.expect(201);
    let thief = visitor(test, other["license_key"].as_str().unwrap()).await;
    let secrets = ["acme".to_owned(), instance.to_string(), "bunker-1".to_owned()];
    for path in ["/portal", "/portal/instances", "/portal/reports", "/portal/files"] {
        let ids = format!("?tenant=acme&license={}&instances=&reports=", vendor.license);
        for path in [path.to_owned(), format!("{path}{ids}")] {
            let page = thief.get(&path).await;
            assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text);
            for secret in &secrets {
                assert!(!page.text.contains(secret), "{path} shows {secret}");
            }
        }
    }
    let foreign = [
        format!("/portal/instances/{instance}/file"),
        format!("/portal/reports/{report_id}/receipt"),
        "/portal/instances/ins_00000000000000000000000000000000/file".to_owned(),
        "/portal/instances/..%2f..%2fconsole/file".to_owned(),
    ];
    for path in &foreign {
        let answer = thief.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}: {}", answer.text);
    }
    for file in [report.as_bytes(), request.as_bytes(), given.as_bytes()] {
        let answer = thief.upload("/portal/files", &thief.form_token, file).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{}", answer.text);
        assert!(!answer.text.contains("bunker-1") && !answer.text.contains("acme"));
    }
    // The session is no session of the console, nor a credential of the API.
    for path in ["/console", "/console/tenants/acme", "/console/files"] {
        let answer = thief.get(path).await;
        assert!(answer.header("location").unwrap().starts_with("/console/sign-in"), "{path}");
    }
    for path in ["/api/v1/admin/tenants", "/api/v1/tenant", "/api/v1/bill"] {
        assert_eq!(thief.get(path).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    // Nor is a form of one session good for another.
    let owner = visitor(test, &vendor.key).await;
    let answer = owner.upload("/portal/files", &thief.form_token, request.as_bytes()).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let fields = [("form_token", thief.form_token.as_str())];
    assert_eq!(owner.post("/portal/sign-out", &fields).await.status, StatusCode::FORBIDDEN);
    let staff = Browser::signed_in(test, ADMIN).await;
    assert_eq!(staff.get("/portal").await.status, StatusCode::SEE_OTHER);
}
