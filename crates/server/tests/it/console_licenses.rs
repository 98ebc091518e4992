//! Licenses, instances and carried files in the console.

use reqwest::StatusCode;
use serde_json::json;
use tenure_license::instance::RequestKind;

use crate::{
    carried::{Site, vendor},
    console::{Browser, between},
    harness::{ADMIN, TestInstance, TestServer},
};

const LICENSES: &str = "/console/tenants/acme/licenses";

fn location(answer: &crate::harness::Answer) -> String {
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    answer.header("location").unwrap().to_owned()
}

#[tokio::test]
async fn a_license_is_issued_renewed_and_revoked_and_tells_what_changed() {
    let test = TestServer::gizmo().await;
    let subscription = test.subscribe("acme", json!({ "product": "gizmo", "plan": "pro" })).await;
    let browser = Browser::signed_in(&test, ADMIN).await;
    let empty = browser.get(LICENSES).await;
    assert!(empty.text.contains("<h2>No license</h2>"), "{}", empty.text);
    let issue = format!("{LICENSES}/issue");
    assert!(browser.get(&issue).await.text.contains("Gizmo pro, self-hosted"));
    let fields = [("subscription", &*subscription), ("deployment", ""), ("expires_at", "")];
    let path = location(&browser.submit(&issue, &fields).await);
    let page = browser.get(&path).await;
    for words in ["GZMO-PRO-ACME-...", "In force", "0 of 3 slots held", "First revision"] {
        assert!(page.text.contains(words), "{words}: {}", page.text);
    }
    let again = browser.submit(&issue, &fields).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert!(again.text.contains("is in force here"), "said on the form: {}", again.text);

    // The subscription grows: the page says that the license lags, and a renewal says what came.
    let moved = json!({ "plan": "team" });
    let at = format!("/api/v1/admin/tenants/acme/subscriptions/{subscription}/move");
    test.post(ADMIN, &at, moved).await.expect(200);
    let stale = browser.get(&path).await;
    assert!(stale.text.contains("The subscription allows something else now."), "{}", stale.text);
    let renew = format!("{path}/renew");
    let wrong = browser.submit(&renew, &[("expires_at", "2020-01-01")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text.contains("A license expires in the future."));
    assert!(wrong.text.contains("value=\"2020-01-01\""), "what was typed stays");
    location(&browser.submit(&renew, &[("expires_at", "2027-09-01")]).await);
    let renewed = browser.get(&path).await;
    for change in ["<del>plan Pro</del><ins>plan Team</ins>", "<ins>ends 1 Sep 2027</ins>"] {
        assert!(renewed.text.contains(change), "{change}: {}", renewed.text);
    }
    assert!(!renewed.text.contains("allows something else"));

    let file = browser.get(&format!("{path}/file")).await;
    assert!(file.text.starts_with("-----BEGIN TENURE LICENSE-----"));
    let name = file.header("content-disposition").unwrap();
    assert_eq!(name, "attachment; filename=\"gizmo-acme-r2.lic\"");
    assert!(!renewed.text.contains("GZMO-PRO-ACME-2"), "the key is shown on demand only");
    let key = browser.submit(&format!("{path}/key"), &[]).await;
    assert!(between(&key.text, "<div class=\"secret\"><code>", "<").starts_with("GZMO-PRO-ACME-"));

    assert!(browser.get(&format!("{path}/revoke")).await.text.contains("never comes back"));
    location(&browser.submit(&format!("{path}/revoke"), &[]).await);
    let revoked = browser.get(&path).await;
    assert!(revoked.text.contains("All work is refused"), "{}", revoked.text);
    let audit = browser.get("/console/tenants/acme/audit").await;
    for said in ["License file taken", "License key revealed", "License revoked"] {
        assert!(audit.text.contains(said), "{said}");
    }
}

#[tokio::test]
async fn a_license_is_converted_on_a_form_that_says_what_is_wrong() {
    let vendor = vendor().await;
    let browser = Browser::signed_in(&vendor.test, ADMIN).await;
    let path = format!("{LICENSES}/{}", vendor.license);
    let convert = format!("{path}/convert");
    let nothing = browser.submit(&convert, &[("model", ""), ("plan", "")]).await;
    assert_eq!(nothing.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(nothing.text.contains("Say what changes"), "{}", nothing.text);
    let far = [("model", "self_hosted"), ("supersede_at", "2027-03-01")];
    assert!(browser.submit(&convert, &far).await.text.contains("at most 90 days"));
    let soon = [("model", "self_hosted"), ("supersede_at", "2026-03-20")];
    location(&browser.submit(&convert, &soon).await);
    let page = browser.get(&path).await;
    assert!(page.text.contains("<del>model Air gapped</del><ins>model Self hosted</ins>"));
    assert!(page.text.contains("the one before counts until 20 Mar 2026"), "{}", page.text);
}

#[tokio::test]
async fn instances_show_their_health_and_are_released_and_restored() {
    let test = TestServer::gizmo().await;
    let license = test.licensed("acme", "pro").await;
    let browser = Browser::signed_in(&test, ADMIN).await;
    let path = format!("{LICENSES}/{}", license.license);
    let mut instance = TestInstance::new(1);
    instance.activate(&test, &license.key).await.expect(200);
    instance.beat(&test, json!({ "usage_stats": { "teams": 4 } })).await.expect(200);
    let page = browser.get(&path).await;
    for words in ["1 of 3 slots held", "<span class=\"stat-line\">4 teams</span>", "4 of 5"] {
        assert!(page.text.contains(words), "{words}: {}", page.text);
    }
    let at = format!("{path}/instances/{}", instance.id.unwrap());
    let silent = browser.submit(&format!("{at}/release"), &[("reason", " ")]).await;
    assert!(silent.text.contains("Say why"), "{}", silent.text);
    let mut copy = instance.copied(1);
    instance.beat(&test, json!({})).await.expect(200);
    copy.beat(&test, json!({ "renew": true })).await.expect(200);
    let overview = browser.get("/console").await;
    assert!(overview.text.contains("A copy of host was found."), "{}", overview.text);
    assert!(overview.text.contains(&format!("href=\"{path}\"")), "it leads to the license");
    location(&browser.submit(&format!("{at}/restore"), &[]).await);
    let lost = [("reason", "machine lost"), ("force", "yes")];
    location(&browser.submit(&format!("{at}/release"), &lost).await);
    let page = browser.get(&path).await;
    assert!(page.text.contains("its slot is free"), "{}", page.text);

    let mut other = TestInstance::new(2);
    other.activate(&test, &license.key).await.expect(200);
    test.advance_to("2026-03-10T00:00:00Z");
    let browser = Browser::signed_in(&test, ADMIN).await;
    let overview = browser.get("/console").await;
    assert!(overview.text.contains("has not called since its lease ended"), "{}", overview.text);
}

#[tokio::test]
async fn a_carried_file_is_told_and_answered() {
    let vendor = vendor().await;
    let browser = Browser::signed_in(&vendor.test, ADMIN).await;
    let token = browser.form_token.clone();
    let mut site = Site::new(1);
    let request = site.request(RequestKind::Activation, Some(&vendor.key), None, "a");
    let forged = browser.upload("/console/files", &"0".repeat(32), request.as_bytes()).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    let answered = browser.upload("/console/files", &token, request.as_bytes()).await;
    assert_eq!(answered.status, StatusCode::OK, "{}", answered.text);
    for words in ["Request file", "for bunker-1 alone", "acme", "Download vault-acme-r1.lic"] {
        assert!(answered.text.contains(words), "{words}: {}", answered.text);
    }
    let at = between(&answered.text, "<a class=\"btn primary\" href=\"", "\"").to_owned();
    let file = browser.get(&at).await;
    assert!(file.text.starts_with("-----BEGIN TENURE LICENSE-----"), "{}", file.text);

    let (instance, license, _) = vendor.license_for(&site, "a").await;
    site.use_it(0..3);
    let report = site.report(instance, license.license, 0);
    let counted = browser.upload("/console/files", &token, report.as_bytes()).await;
    assert!(counted.text.contains("3 events counted"), "{}", counted.text);
    let at = between(&counted.text, "<a class=\"btn primary\" href=\"", "\"").to_owned();
    assert!(browser.get(&at).await.text.starts_with("-----BEGIN TENURE RECEIPT-----"));
    let page = browser.get(&format!("{LICENSES}/{}", vendor.license)).await;
    for words in ["entry 1", "carried", "bunker-1"] {
        assert!(page.text.contains(words), "{words}");
    }
    for (file, says) in [(&b"nonsense"[..], "The file was not taken."), (b"", "Choose a file")] {
        let refused = browser.upload("/console/files", &token, file).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
        assert!(refused.text.contains(says), "{}", refused.text);
    }
    let large = vec![b'x'; 17 * 1024 * 1024];
    let refused = browser.upload("/console/files", &token, &large).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_viewer_looks_at_licenses_and_changes_none() {
    let test = TestServer::gizmo().await;
    let license = test.licensed("acme", "pro").await;
    let mut instance = TestInstance::new(1);
    instance.activate(&test, &license.key).await.expect(200);
    let body = json!({ "name": "auditor", "role": "viewer" });
    let made = test.post(ADMIN, "/api/v1/admin/credentials", body).await.expect(201);
    let browser = Browser::signed_in(&test, made["token"].as_str().unwrap()).await;
    let path = format!("{LICENSES}/{}", license.license);
    for page in [LICENSES, &path, "/console/files"] {
        let page = browser.get(page).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        for word in ["Issue license", "Renew", "Revoke", "Release", "Show the license key"] {
            assert!(!page.text.contains(&format!(">{word}<")), "{word}");
        }
    }
    let at = format!("{path}/instances/{}", instance.id.unwrap());
    let pages = [format!("{path}/file"), format!("{at}/file")];
    let forms = ["renew", "convert", "revoke", "key"].map(|form| format!("{path}/{form}"));
    let more = [format!("{at}/release"), format!("{at}/restore"), format!("{LICENSES}/issue")];
    for form in forms.iter().chain(&more) {
        assert_eq!(browser.get(form).await.status, StatusCode::FORBIDDEN, "{form}");
        assert_eq!(browser.submit(form, &[]).await.status, StatusCode::FORBIDDEN, "{form}");
    }
    for page in &pages {
        assert_eq!(browser.get(page).await.status, StatusCode::FORBIDDEN, "{page}");
    }
    let token = browser.form_token.clone();
    let upload = browser.upload("/console/files", &token, b"x").await;
    assert_eq!(upload.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_license_is_found_under_its_own_tenant_only() {
    let test = TestServer::gizmo().await;
    let license = test.licensed("acme", "pro").await;
    test.licensed("globex", "pro").await;
    let browser = Browser::signed_in(&test, ADMIN).await;
    let foreign = format!("/console/tenants/globex/licenses/{}", license.license);
    for path in ["", "/renew", "/convert", "/revoke", "/key", "/file"] {
        let page = browser.get(&format!("{foreign}{path}")).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
    }
    for path in ["/renew", "/revoke", "/key"] {
        let answer = browser.submit(&format!("{foreign}{path}"), &[]).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
}
