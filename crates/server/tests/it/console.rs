//! The console over HTTP: signing in, what a page shows, what a form may do.

use reqwest::{Method, StatusCode, header};
use serde_json::json;

use crate::harness::{ADMIN, Answer, TestServer};

/// A browser's part: a client that keeps cookies and follows nothing by itself.
pub struct Browser<'a> {
    pub test: &'a TestServer,
    http: reqwest::Client,
    pub form_token: String,
}

impl<'a> Browser<'a> {
    pub fn new(test: &'a TestServer) -> Self {
        let http = reqwest::Client::builder()
            .cookie_store(true)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self { test, http, form_token: String::new() }
    }

    /// Signed in with that credential.
    pub async fn signed_in(test: &'a TestServer, credential: &str) -> Self {
        let mut browser = Self::new(test);
        let answer = browser.sign_in(credential, "").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        let page = browser.get("/console/products").await;
        browser.form_token = between(&page.text, "name=\"form_token\" value=\"", "\"").to_owned();
        browser
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.test.send(self.http.get(self.test.url(path))).await
    }

    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.test.send(self.http.post(self.test.url(path)).form(fields)).await
    }

    /// A form with a file; `token` is what the form carries.
    pub async fn upload(&self, path: &str, token: &str, file: &[u8]) -> Answer {
        let part = |name: &str| format!("--cut\r\nContent-Disposition: form-data; name=\"{name}\"");
        let mut body = format!("{}\r\n\r\n{token}\r\n", part("form_token")).into_bytes();
        body.extend(format!("{}; filename=\"carried.txt\"\r\n\r\n", part("file")).bytes());
        body.extend_from_slice(file);
        body.extend(b"\r\n--cut--\r\n");
        let request = self.http.post(self.test.url(path));
        let request = request.header("content-type", "multipart/form-data; boundary=cut");
        self.test.send(request.body(body)).await
    }

    /// A form of this session.
    pub async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut all = vec![("form_token", self.form_token.as_str())];
        all.extend(fields);
        self.post(path, &all).await
    }

    pub async fn sign_in(&self, credential: &str, next: &str) -> Answer {
        self.post("/console/sign-in", &[("credential", credential), ("next", next)]).await
    }
}

pub fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}"));
    rest.split_once(after).unwrap().0
}

#[tokio::test]
async fn a_stranger_is_asked_to_sign_in_and_comes_back_to_the_page() {
    let test = TestServer::start().await;
    let browser = Browser::new(&test);
    for path in ["/console", "/console/tenants?q=a&model=managed", "/console/no-such-page"] {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}");
        assert!(answer.header("location").unwrap().starts_with("/console/sign-in"), "{path}");
    }
    let answer = browser.get("/console/tenants?q=a").await;
    assert_eq!(answer.header("location"), Some("/console/sign-in?next=/console/tenants%3Fq%3Da"));
    let answer = browser.sign_in(ADMIN, "/console/tenants?q=a").await;
    assert_eq!(answer.header("location"), Some("/console/tenants?q=a"));
    let cookie = answer.header("set-cookie").unwrap();
    for part in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert_eq!(browser.get("/console/tenants?q=a").await.status, StatusCode::OK);
    let away = Browser::new(&test).sign_in(ADMIN, "https://evil.example/console").await;
    assert_eq!(away.header("location"), Some("/console"));
}

#[tokio::test]
async fn a_wrong_credential_gets_the_page_again_and_after_a_while_nothing() {
    let test = TestServer::start().await;
    let browser = Browser::new(&test);
    let answer = browser.sign_in("tenv_wrong", "").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.text.contains("not known or was revoked"));
    let mut last = answer.status;
    for _ in 0..12 {
        last = browser.sign_in("tenv_wrong", "").await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    let refused = browser.sign_in(ADMIN, "").await;
    assert!(refused.header("retry-after").is_some(), "the right one waits too");
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let test = TestServer::start().await;
    let browser = Browser::signed_in(&test, ADMIN).await;
    let answer = browser.submit("/console/sign-out", &[]).await;
    assert_eq!(answer.header("location"), Some("/console/sign-in"));
    assert_eq!(browser.get("/console/tenants").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn pages_allow_nothing_but_our_own_files() {
    let test = TestServer::start().await;
    let browser = Browser::signed_in(&test, ADMIN).await;
    let page = browser.get("/console/products").await;
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'self'; script-src 'self'"));
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert!(!page.text.contains("style="), "the policy would drop it");
    let address = between(&page.text, "rel=\"stylesheet\" href=\"", "\"");
    let style = browser.get(address).await;
    assert_eq!(style.header("content-type"), Some("text/css; charset=utf-8"));
    assert!(style.header("cache-control").unwrap().contains("immutable"));
    assert_eq!(browser.get("/assets/console.000000000000.css").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_form_without_the_sessions_token_changes_nothing() {
    let test = TestServer::start().await;
    let (slug, _) = test.client("Acme", "pro").await;
    let browser = Browser::signed_in(&test, ADMIN).await;
    let path = format!("/console/tenants/{slug}/suspend");
    for fields in [&[][..], &[("form_token", "0".repeat(32).as_str())][..]] {
        let refused = browser.post(&path, fields).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        assert!(refused.text.contains("This is not allowed"), "a page, not JSON");
    }
    let tenant = test.get(ADMIN, &format!("/api/v1/admin/tenants/{slug}")).await.expect(200);
    assert_eq!(tenant["status"], "active");
    assert_eq!(browser.submit(&path, &[]).await.status, StatusCode::SEE_OTHER);
    let page = browser.get(&format!("/console/tenants/{slug}")).await;
    assert!(page.text.contains("This tenant is suspended."));
    let audit = browser.get(&format!("/console/tenants/{slug}/audit")).await;
    assert!(audit.text.contains("Tenant suspended"), "{}", audit.text);
    assert!(audit.text.contains("<del>status active</del><ins>status suspended</ins>"));
    let path = format!("/console/tenants/{slug}/resume");
    assert_eq!(browser.submit(&path, &[]).await.status, StatusCode::SEE_OTHER);
    let again = browser.submit(&path, &[]).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert!(again.text.contains("This is not possible now"));
}

#[tokio::test]
async fn a_viewer_sees_no_buttons_and_is_refused() {
    let test = TestServer::start().await;
    let (slug, _) = test.client("Acme", "pro").await;
    let body = json!({ "name": "auditor", "role": "viewer" });
    let made = test.post(ADMIN, "/api/v1/admin/credentials", body).await.expect(201);
    let browser = Browser::signed_in(&test, made["token"].as_str().unwrap()).await;
    let base = format!("/console/tenants/{slug}");
    for tab in ["", "/access"] {
        let page = browser.get(&format!("{base}{tab}")).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        for word in ["Suspend tenant", "New key", "Revoke", ">Cancel<"] {
            assert!(!page.text.contains(word), "{tab} shows {word}");
        }
    }
    for action in ["suspend", "keys/new"] {
        let path = format!("{base}/{action}");
        assert_eq!(browser.get(&path).await.status, StatusCode::FORBIDDEN);
        assert_eq!(browser.submit(&path, &[]).await.status, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn a_key_is_shown_once_and_works_until_it_is_revoked() {
    let test = TestServer::start().await;
    let (slug, _) = test.client("Acme", "pro").await;
    let browser = Browser::signed_in(&test, ADMIN).await;
    let base = format!("/console/tenants/{slug}");
    test.advance_to("2026-03-01T01:00:00Z");
    let form = browser.get(&format!("{base}/keys/new")).await;
    let subscription = between(&form.text, "<option value=\"sub_", "\"");
    let subscription = format!("sub_{subscription}");
    let fields = [("name", "ingest"), ("subscription", &*subscription), ("environment", "test")];
    let made = browser.submit(&format!("{base}/keys/new"), &fields).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
    let key = between(&made.text, "<div class=\"secret\"><code>", "<").to_owned();
    assert!(key.starts_with("wg_test_"), "{key}");
    test.get(&key, "/api/v1/entitlements").await.expect(200);
    let access = browser.get(&format!("{base}/access")).await;
    assert!(!access.text.contains(&key), "shown once");
    let (_, rows) = access.text.split_once("<tbody>").unwrap();
    let id = between(rows, &format!("{base}/keys/"), "/revoke");
    let path = format!("{base}/keys/{id}/revoke");
    assert!(browser.get(&path).await.text.contains("Revoke ingest?"));
    assert_eq!(browser.submit(&path, &[]).await.status, StatusCode::SEE_OTHER);
    test.get(&key, "/api/v1/entitlements").await.expect(401);
}

#[tokio::test]
async fn markup_in_a_name_is_text() {
    let test = TestServer::start().await;
    let (slug, _) = test.client("<script>alert(1)</script>", "pro").await;
    let browser = Browser::signed_in(&test, ADMIN).await;
    let paths = ["/console".to_owned(), "/console/tenants".to_owned()];
    let tabs = [
        "",
        "/usage",
        "/invoices",
        "/credits/new",
        "/deployments",
        "/licenses",
        "/access",
        "/audit",
        "/suspend",
    ];
    let tabs = tabs.map(|tab| format!("/console/tenants/{slug}{tab}"));
    for path in paths.into_iter().chain(tabs) {
        let page = browser.get(&path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.text);
        assert!(!page.text.contains("<script>alert"), "{path}");
        assert!(page.text.contains("script&#62;alert(1)"), "{path}");
    }
    let search = browser.get("/console/tenants?q=%22%3E%3Cscript%3Ealert(1)").await;
    assert!(!search.text.contains("<script>alert"));
}

#[tokio::test]
async fn tenants_are_searched_filtered_and_paged() {
    let test = TestServer::start().await;
    let browser = Browser::signed_in(&test, ADMIN).await;
    assert!(browser.get("/console").await.text.contains("Welcome to Tenure"));
    assert!(browser.get("/console/tenants").await.text.contains("No tenants yet"));
    for n in 0..27 {
        test.client(&format!("Customer {n}"), if n == 3 { "starter" } else { "pro" }).await;
    }
    let page = browser.get("/console/tenants").await;
    assert_eq!(page.text.matches("<th scope=\"row\"").count(), 25);
    let next = between(&page.text, "href=\"/console/tenants?cursor=", "\" rel=\"next\"");
    let second = browser.get(&format!("/console/tenants?cursor={next}")).await;
    assert_eq!(second.text.matches("<th scope=\"row\"").count(), 2);
    let found = browser.get("/console/tenants?q=customer+3&plan=starter&model=&status=").await;
    assert!(found.text.contains("customer-3") && !found.text.contains("customer-4"));
    let none = browser.get("/console/tenants?q=zzz&status=active").await;
    assert!(none.text.contains("No tenant matches"));
    assert!(
        none.text.contains("href=\"/console/tenants?q=zzz\" aria-label=\"Remove Status: Active\"")
    );
}

#[tokio::test]
async fn problems_are_pages_in_the_console_and_json_elsewhere() {
    let test = TestServer::start().await;
    let browser = Browser::signed_in(&test, ADMIN).await;
    for path in ["/console/nothing", "/console/tenants/nobody", "/console/products/none/versions/x"]
    {
        let page = browser.get(path).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND);
        assert!(page.header("content-type").unwrap().starts_with("text/html"), "{path}");
        let shown = between(&page.text, "data-copy=\"req_", "\"");
        assert_eq!(page.header("x-request-id"), Some(&*format!("req_{shown}")));
    }
    let api = browser.get("/nothing").await;
    assert_eq!(api.header("content-type"), Some("application/problem+json"));
    let root = browser.get("/").await;
    assert_eq!(root.header("location"), Some("/console"));
}

#[tokio::test]
async fn a_page_of_another_site_cannot_sign_anybody_in() {
    let test = TestServer::start().await;
    let request = test
        .request(Method::POST, "", "/console/sign-in")
        .header("sec-fetch-site", "cross-site")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(format!("credential={ADMIN}"));
    assert_eq!(test.send(request).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn products_show_their_price_lists_and_sources() {
    let test = TestServer::with_products().await;
    let browser = Browser::signed_in(&test, ADMIN).await;
    let list = browser.get("/console/products").await;
    for slug in ["agent-governance", "meeting-minutes", "dyocense", "kg-rca", "incidentfox"] {
        assert!(list.text.contains(&format!("href=\"/console/products/{slug}\"")), "{slug}");
        let page = browser.get(&format!("/console/products/{slug}")).await;
        assert_eq!(page.status, StatusCode::OK, "{slug}: {}", page.text);
    }
    let page = browser.get("/console/products/kg-rca").await;
    assert!(page.text.contains("<span class=\"price\">$499</span>"), "{}", page.text);
    let source = browser.get("/console/products/kg-rca/versions/1").await;
    assert!(source.text.contains("[plans.enterprise]"));
}
