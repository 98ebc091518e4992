//! The console in a real Chromium, driven through chromedriver: what only a
//! browser can tell. Left out, and said so, where Chromium is not installed.

use std::{path::PathBuf, process::Stdio, time::Duration};

use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use tenure_license::instance::RequestKind;

use crate::{
    carried::{Site, vendor},
    console_invoices::{IN_GRACE, customer},
    harness::{ADMIN, TestServer},
};

/// How long the driver may take to listen.
const DRIVER_STARTS_WITHIN: Duration = Duration::from_secs(30);
/// How long a small file may take to be saved.
const SAVED_WITHIN: Duration = Duration::from_secs(30);

fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// A browser of the test's own, ended with it.
struct Browser {
    client: Client,
    driver: Child,
    /// The driver's address of this session.
    session: String,
    http: reqwest::Client,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// `None` where the machine has none.
    async fn start() -> Option<Self> {
        let (chromium, driver) = (installed("chromium")?, installed("chromedriver")?);
        let profile = tempfile::tempdir().unwrap();
        let port = {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap().port()
        };
        let driver = Command::new(driver)
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            &format!("--user-data-dir={}", profile.path().display()),
        ];
        let capabilities = json!({
            "goog:chromeOptions": { "binary": chromium, "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let Value::Object(capabilities) = capabilities else { unreachable!() };
        let address = format!("http://127.0.0.1:{port}");
        let begun = std::time::Instant::now();
        let client = loop {
            let connected = ClientBuilder::rustls()
                .unwrap()
                .capabilities(capabilities.clone())
                .connect(&address)
                .await;
            match connected {
                Ok(client) => break client,
                Err(error) => {
                    assert!(begun.elapsed() < DRIVER_STARTS_WITHIN, "no driver: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        };
        let id = client.session_id().await.unwrap().expect("a session");
        let session = format!("{address}/session/{id}");
        Some(Self { client, driver, session, http: reqwest::Client::new(), _profile: profile })
    }

    async fn stop(mut self) {
        self.client.clone().close().await.unwrap();
        self.driver.kill().await.unwrap();
    }

    async fn text(&self) -> String {
        self.client.find(Locator::Css("body")).await.unwrap().text().await.unwrap()
    }

    /// A command that only Chromium's driver knows.
    async fn command(&self, path: &str, body: Value) -> Value {
        let request = self.http.post(format!("{}/{path}", self.session)).json(&body);
        let mut answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["value"].take()
    }

    /// What the console of the browser says since it was last asked: blocked
    /// files, script errors.
    async fn complaints(&self) -> Value {
        self.command("se/log", json!({ "type": "browser" })).await
    }

    /// What a page of that width is like; nothing is the real window's.
    async fn resize(&self, width: u32) {
        let metrics =
            json!({ "width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500 });
        let command = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": metrics });
        self.command("goog/cdp/execute", command).await;
    }

    /// Files that are taken away are saved there.
    async fn saves_to(&self, dir: &std::path::Path) {
        let params = json!({ "behavior": "allow", "downloadPath": dir });
        let command = json!({ "cmd": "Browser.setDownloadBehavior", "params": params });
        self.command("goog/cdp/execute", command).await;
    }

    async fn evaluate(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// At the width of a phone nothing sticks out of the page.
    async fn fits_a_phone(&self, page: &str) {
        self.resize(390).await;
        let root = self
            .evaluate("const r = document.documentElement; return [r.scrollWidth, innerWidth]")
            .await;
        assert_eq!(root, json!([390, 390]), "{page} is wider than a phone");
        self.resize(1280).await;
    }
}

impl Drop for Browser {
    /// A test that failed ends its browser too: asked to end, the driver takes it along.
    fn drop(&mut self) {
        if let Some(id) = self.driver.id() {
            let _ = std::process::Command::new("kill").arg(id.to_string()).status();
            std::thread::sleep(Duration::from_millis(500));
        }
    }
}

fn event(id: usize, time: &str) -> Value {
    json!({ "specversion": "1.0", "id": format!("e{id}"), "source": "/test",
            "type": "event.ingested", "time": time })
}

#[tokio::test]
async fn staff_sign_in_find_a_tenant_and_see_usage_and_bill() {
    let Some(browser) = Browser::start().await else {
        println!("left out: install chromium and chromium-driver (scripts/test does)");
        return;
    };
    let test = TestServer::start().await;
    let (slug, key) = test.client("Northwind Grid", "pro").await;
    test.client("Acme Corp", "starter").await;
    test.advance_to("2026-03-10T12:00:00Z");
    let events: Vec<Value> = (0..40).map(|id| event(id, "2026-03-10T08:00:00Z")).collect();
    let sent = test
        .request(reqwest::Method::POST, &key, "/api/v1/usage")
        .header("content-type", "application/cloudevents-batch+json")
        .body(serde_json::to_vec(&events).unwrap());
    assert!(test.send(sent).await.status.is_success());
    let client = &browser.client;

    client.goto(&test.url("/console/tenants?q=north")).await.unwrap();
    let field = client.find(Locator::Id("credential")).await.unwrap();
    field.send_keys(ADMIN).await.unwrap();
    client.find(Locator::Css("main button[type=submit]")).await.unwrap().click().await.unwrap();
    let link = client.wait().for_element(Locator::LinkText("Northwind Grid")).await.unwrap();
    assert!(!browser.text().await.contains("Acme Corp"), "the search was kept");
    link.click().await.unwrap();
    client.wait().for_element(Locator::Css(".bill")).await.unwrap();
    let text = browser.text().await;
    assert!(text.contains("40 of 100,000"), "{text}");
    assert!(text.contains("$99.00"), "{text}");

    let base = format!("/console/tenants/{slug}");
    let tabs = ["", "/usage", "/invoices", "/deployments", "/licenses", "/access", "/audit"]
        .map(|tab| format!("{base}{tab}"));
    let others = [
        "/console",
        "/console/tenants",
        "/console/products",
        "/console/products/widget",
        "/console/files",
        "/console/invoices",
        "/console/invoices/runs",
    ];
    for path in tabs.iter().map(String::as_str).chain(others) {
        client.goto(&test.url(path)).await.unwrap();
        browser.fits_a_phone(path).await;
        // The style sheet and the script were allowed to load.
        let styled = "return getComputedStyle(document.querySelector('.card')).borderRadius";
        assert_eq!(browser.evaluate(styled).await, "10px", "{path}");
        let scripted = "return document.documentElement.classList.contains('js')";
        assert_eq!(browser.evaluate(scripted).await, true, "{path}");
    }

    client.goto(&test.url(&format!("{base}/usage"))).await.unwrap();
    let bars = client.find_all(Locator::Css(".chart .day rect.s1")).await.unwrap();
    assert_eq!(bars.len(), 1, "one day with events");
    let background = "return getComputedStyle(document.body).backgroundColor";
    let before = browser.evaluate(background).await;
    client.find(Locator::Css("[data-theme-toggle]")).await.unwrap().click().await.unwrap();
    let after = browser.evaluate(background).await;
    assert_ne!(before, after, "the other theme");
    client.goto(&test.url("/console")).await.unwrap();
    let kept = browser.evaluate(background).await;
    assert_eq!(after, kept, "the theme is remembered");
    assert_eq!(browser.complaints().await, json!([]));
    browser.stop().await;
}

/// A file of that name, once the browser has written all of it.
async fn saved(file: &std::path::Path) -> String {
    let begun = std::time::Instant::now();
    loop {
        match std::fs::read_to_string(file) {
            Ok(text) if text.contains("-----END") => return text,
            _ => assert!(begun.elapsed() < SAVED_WITHIN, "{} was not saved", file.display()),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_customer_signs_in_with_a_license_key_and_carries_a_file() {
    let Some(browser) = Browser::start().await else {
        println!("left out: install chromium and chromium-driver (scripts/test does)");
        return;
    };
    let vendor = vendor().await;
    let dir = tempfile::tempdir().unwrap();
    browser.saves_to(dir.path()).await;
    let request = Site::new(1).request(RequestKind::Activation, Some(&vendor.key), None, "a");
    let carried = dir.path().join("request.txt");
    std::fs::write(&carried, request).unwrap();
    let client = &browser.client;

    client.goto(&vendor.test.url("/portal")).await.unwrap();
    client.find(Locator::Id("key")).await.unwrap().send_keys(&vendor.key).await.unwrap();
    client.find(Locator::Css("main button[type=submit]")).await.unwrap().click().await.unwrap();
    client.wait().for_element(Locator::Id("standing")).await.unwrap();
    assert!(browser.text().await.contains("In force"));
    client.find(Locator::LinkText("Download .lic")).await.unwrap().click().await.unwrap();
    let file = dir.path().join("vault-acme-r1.lic");
    let license = saved(&file).await;
    std::fs::remove_file(&file).unwrap();
    assert!(license.starts_with("-----BEGIN TENURE LICENSE-----"), "{license}");

    client.find(Locator::LinkText("Carry a file")).await.unwrap().click().await.unwrap();
    let field = client.wait().for_element(Locator::Id("file")).await.unwrap();
    field.send_keys(carried.to_str().unwrap()).await.unwrap();
    client.find(Locator::Css("main button[type=submit]")).await.unwrap().click().await.unwrap();
    client.wait().for_element(Locator::Id("outcome")).await.unwrap();
    assert!(browser.text().await.contains("for bunker-1 alone"));
    browser.fits_a_phone("the answer").await;
    let answer = client.find(Locator::Css("main a[download]")).await.unwrap();
    answer.click().await.unwrap();
    let bound = saved(&file).await;
    assert_ne!(bound, license, "bound to the instance that asked");

    for path in ["/portal", "/portal/instances", "/portal/reports", "/portal/files"] {
        client.goto(&vendor.test.url(path)).await.unwrap();
        browser.fits_a_phone(path).await;
    }
    assert_eq!(browser.complaints().await, json!([]));
    browser.stop().await;
}

#[tokio::test]
async fn staff_close_a_month_issue_its_invoice_and_lead_a_line_back_to_its_events() {
    let Some(browser) = Browser::start().await else {
        println!("left out: install chromium and chromium-driver (scripts/test does)");
        return;
    };
    let test = TestServer::with_product(&["kg-rca"]).await;
    let key = customer(&test, "northwind").await;
    test.advance_to(IN_GRACE);
    let client = &browser.client;
    let press = async |text: &str| {
        client.wait().for_element(Locator::LinkText(text)).await.unwrap().click().await.unwrap();
    };
    let submit = async || {
        let button = client.wait().for_element(Locator::Css("main button[type=submit]")).await;
        button.unwrap().click().await.unwrap();
    };

    client.goto(&test.url("/console/invoices")).await.unwrap();
    client.find(Locator::Id("credential")).await.unwrap().send_keys(ADMIN).await.unwrap();
    submit().await;
    press("Close what is due").await;
    client.wait().for_element(Locator::LinkText("Go back")).await.unwrap();
    browser.fits_a_phone("the question").await;
    submit().await;
    client.wait().for_element(Locator::Id("runs")).await.unwrap();
    assert!(browser.text().await.contains("0 of 1 done"));
    tenure_server::jobs::run_due(test.app()).await.unwrap();
    client.goto(&test.url("/console/invoices")).await.unwrap();
    press("Draft").await;
    client.wait().for_element(Locator::Css("table.lines")).await.unwrap();
    browser.fits_a_phone("the draft").await;
    press("Issue now").await;
    client.wait().for_element(Locator::LinkText("Go back")).await.unwrap();
    submit().await;
    client.wait().for_element(Locator::LinkText("Mark as paid")).await.unwrap();
    assert!(browser.text().await.contains("Invoice INV-000001"));
    browser.fits_a_phone("the invoice").await;
    press("Mark as paid").await;
    client.wait().for_element(Locator::Id("paid_at")).await.unwrap();
    submit().await;
    client.wait().for_element(Locator::Css("h1 + .badge.ok")).await.unwrap();
    let lines = client.find_all(Locator::Css("table.lines tbody th a")).await.unwrap();
    lines[1].click().await.unwrap();
    client.wait().for_element(Locator::Css("table.events")).await.unwrap();
    let text = browser.text().await;
    assert!(text.contains("Agrees. Computed again just now"), "{text}");
    browser.fits_a_phone("the line").await;

    client.goto(&test.url("/portal")).await.unwrap();
    client.find(Locator::Id("key")).await.unwrap().send_keys(&key).await.unwrap();
    submit().await;
    press("Invoices").await;
    press("INV-000001").await;
    client.wait().for_element(Locator::Css("table.lines")).await.unwrap();
    browser.fits_a_phone("the customer's invoice").await;
    client.goto(&test.url("/portal/invoices")).await.unwrap();
    browser.fits_a_phone("the customer's invoices").await;
    assert_eq!(browser.complaints().await, json!([]));
    browser.stop().await;
}
