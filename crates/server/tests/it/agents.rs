//! The real agent beside the real server: SPEC 5's start-up flow and enforcement
//! table, the lost connection, the offline year, and what usage costs (SPEC 6).

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tenure_agent::{Agent, Settings, local};
use tenure_license::State;

use crate::harness::{ADMIN, TestServer};

const LICENSES: &str = "/api/v1/admin/tenants/acme/licenses";
pub(crate) const PRODUCT: &str = include_str!("air_gapped_product.toml");

/// A customer, `acme`, with a license, and room for its machines.
pub(crate) struct Customer {
    pub(crate) test: TestServer,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) subscription: String,
    license: String,
    key: String,
    keys: String,
}

impl Customer {
    pub(crate) async fn of(product: &str, plan: &str, model: &str) -> Self {
        let test = TestServer::empty().await;
        test.load(product).await;
        let wanted = json!({ "product": "vault", "plan": plan, "model": model });
        let subscription = test.subscribe("acme", wanted).await;
        let body = json!({ "subscription": subscription });
        let issued = test.post(ADMIN, LICENSES, body).await.expect(201);
        let keys = test.get("", "/.well-known/tenure/vault/jwks.json").await.text;
        Self {
            dir: tempfile::tempdir().unwrap(),
            license: issued["license"]["id"].as_str().unwrap().to_owned(),
            key: issued["license_key"].as_str().unwrap().to_owned(),
            subscription,
            keys,
            test,
        }
    }

    pub(crate) fn settings(&self, machine: &str) -> Settings {
        let mut settings = Settings::new(self.dir.path().join(machine), self.keys.clone());
        settings.server = Some(self.test.url(""));
        settings.name = Some(machine.to_owned());
        settings.version = Some("1.2.0".to_owned());
        settings
    }

    pub(crate) async fn start(&self, machine: &str) -> Arc<Agent> {
        self.open(self.settings(machine), &self.key).await.expect("the agent starts")
    }

    pub(crate) async fn try_start(&self, machine: &str) -> Result<Arc<Agent>, tenure_agent::Error> {
        self.open(self.settings(machine), &self.key).await
    }

    async fn open(&self, settings: Settings, key: &str) -> Result<Arc<Agent>, tenure_agent::Error> {
        Agent::open(settings, self.test.clock.clone(), Some(key)).await
    }

    /// A machine that reaches the vendor at another address.
    pub(crate) async fn start_through(&self, machine: &str, server: &str) -> Arc<Agent> {
        let settings = Settings { server: Some(server.to_owned()), ..self.settings(machine) };
        self.open(settings, &self.key).await.expect("the agent starts")
    }

    /// A machine without a network.
    async fn start_offline(&self, machine: &str) -> Arc<Agent> {
        let settings = Settings { server: None, ..self.settings(machine) };
        self.open(settings, &self.key).await.expect("the agent starts")
    }

    fn license_path(&self, rest: &str) -> String {
        format!("{LICENSES}/{}{rest}", self.license)
    }

    async fn carry(&self, file: impl Into<Vec<u8>>) -> Value {
        let files = "/api/v1/admin/license-files";
        let kind = "application/octet-stream";
        self.test.post_bytes(ADMIN, files, kind, file.into()).await.expect(200)
    }

    async fn instances(&self) -> Value {
        self.test.get(ADMIN, &self.license_path("/instances")).await.expect(200)
    }

    /// What the bill says was used of a meter in the present window.
    pub(crate) async fn used(&self) -> String {
        let path = format!("/api/v1/admin/tenants/acme/subscriptions/{}/usage", self.subscription);
        let usage = self.test.get(ADMIN, &path).await.expect(200);
        usage["meters"][0]["used"].as_str().unwrap().to_owned()
    }

    async fn bill(&self) -> Value {
        let path = format!("/api/v1/admin/tenants/acme/subscriptions/{}/bill", self.subscription);
        self.test.get(ADMIN, &path).await.expect(200)
    }

    pub(crate) fn pass(&self, time: SignedDuration) {
        let to = self.test.clock_now().checked_add(time).unwrap();
        self.test.advance_to(&to.to_string());
    }
}

pub(crate) const fn days(count: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * count)
}

/// Every call that is due.
pub(crate) async fn settle(agent: &Agent) {
    for _ in 0..20 {
        if agent.step().await.expect("a round") > agent.now() {
            return;
        }
    }
}

pub(crate) fn state(agent: &Agent) -> State {
    agent.view().verdict(agent.now()).expect("a license").state
}

fn reason(agent: &Agent) -> &'static str {
    agent.view().verdict(agent.now()).expect("a license").reason.code()
}

/// The local API, as the product calls it.
pub(crate) struct Product {
    base: String,
    secret: String,
    http: reqwest::Client,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Drop for Product {
    fn drop(&mut self) {
        self.served.abort();
    }
}

impl Product {
    pub(crate) async fn beside(agent: &Arc<Agent>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let router = local::router(agent.clone());
        let served = tokio::spawn(async move { axum::serve(listener, router).await });
        let secret = agent.local_secret().to_owned();
        Self { base, secret, http: reqwest::Client::new(), served }
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let request = self.http.get(format!("{}{path}", self.base)).bearer_auth(&self.secret);
        request.send().await.unwrap().json().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let request = self.http.post(format!("{}{path}", self.base)).bearer_auth(&self.secret);
        request.json(&body).send().await.unwrap().json().await.unwrap()
    }

    pub(crate) async fn run(&self, ids: std::ops::Range<u32>, at: Timestamp) {
        let count = ids.len();
        assert_eq!(self.send(ids, at).await["accepted"], count);
    }

    pub(crate) async fn send(&self, ids: std::ops::Range<u32>, at: Timestamp) -> Value {
        let events: Vec<Value> = ids
            .map(|n| {
                json!({ "specversion": "1.0", "id": format!("run-{n}"), "source": "/prod-1",
                        "type": "agent.run", "time": at })
            })
            .collect();
        let request = self.http.post(format!("{}/v1/usage", self.base)).bearer_auth(&self.secret);
        let request = request
            .header("content-type", "application/cloudevents-batch+json")
            .body(serde_json::to_vec(&events).unwrap());
        request.send().await.unwrap().json().await.unwrap()
    }
}

#[tokio::test]
async fn start_up_verifies_the_key_phones_home_and_serves_the_product() {
    let customer = Customer::of(PRODUCT, "team", "self_hosted").await;
    let agent = customer.start("prod-1").await;
    assert_eq!(agent.view().word(agent.now()), "unlicensed", "before it phoned home");
    settle(&agent).await;
    assert_eq!((state(&agent), reason(&agent)), (State::Active, "valid"));

    let product = Product::beside(&agent).await;
    let health = product.get("/health").await;
    assert_eq!(health, json!({"status": "healthy", "license": "active", "version": "1.2.0"}));
    let entitlements = product.get("/v1/entitlements").await;
    assert_eq!(entitlements["max_teams"], 5, "{entitlements}");
    let instances = customer.instances().await;
    assert_eq!(instances["items"][0]["name"], "prod-1", "{instances}");
    assert_eq!((&instances["held"], &instances["max"]), (&json!(1), &json!(1)), "{instances}");

    // A second machine finds the only slot held, and waits; nothing on it is stopped.
    let second = customer.start("prod-2").await;
    settle(&second).await;
    assert_eq!(second.view().word(second.now()), "unlicensed");
}

#[tokio::test]
async fn start_up_refuses_a_key_that_is_not_genuine_and_a_license_that_was_revoked() {
    let customer = Customer::of(PRODUCT, "team", "self_hosted").await;
    let mistyped = customer.key.replace("VLT", "VTL");
    let refused = customer.open(customer.settings("a"), &mistyped).await.err().expect("refused");
    assert_eq!(refused.code(), "license_key_mistyped");
    let forged = "eyJhbGciOiJub25lIn0.e30.";
    let refused = customer.open(customer.settings("b"), forged).await.err().expect("refused");
    assert!(refused.code().starts_with("token_"), "{}", refused.code());

    let agent = customer.start("c").await;
    customer.test.post(ADMIN, &customer.license_path("/revoke"), json!({})).await.expect(200);
    settle(&agent).await;
    assert_eq!(agent.view().word(agent.now()), "unlicensed");
}

#[tokio::test]
async fn each_row_of_the_enforcement_table_reaches_the_product() {
    let customer = Customer::of(PRODUCT, "team", "self_hosted").await;
    let agent = customer.start("prod-1").await;
    settle(&agent).await;
    let product = Product::beside(&agent).await;
    let check = async |body: Value| product.post("/v1/check", body).await;

    // teams: blocks creation with a way to more
    let full = check(json!({ "limit": "teams", "used": "5", "more": "1" })).await;
    assert_eq!((&full["allowed"], &full["status"]), (&json!(false), &json!(402)));
    assert_eq!(
        full["message"],
        "Team limit reached: 5/5. To raise it, contact sales@vault.example."
    );
    assert_eq!(check(json!({ "limit": "teams", "used": "4", "more": "1" })).await["allowed"], true);
    // runs: quota
    let taken = product.post("/v1/quota/agent_runs/take", json!({ "quantity": "1000", "id": "a" }));
    assert_eq!(taken.await["allowed"], true);
    let over = product.post("/v1/quota/agent_runs/take", json!({ "quantity": "1", "id": "b" }));
    let over = over.await;
    assert_eq!(over["allowed"], false, "{over}");
    let message = over["message"].as_str().unwrap();
    assert!(message.starts_with("Monthly quota exceeded: 1000/1000."), "{message}");
    // sso missing: 403; a feature that is granted: yes
    let sso = check(json!({ "feature": "sso" })).await;
    assert_eq!((&sso["allowed"], &sso["status"]), (&json!(false), &json!(403)));
    assert_eq!(check(json!({ "feature": "github" })).await["allowed"], true);
    // the same as flags
    let flag = product.post("/ofrep/v1/evaluate/flags/github", json!({ "context": {} })).await;
    assert_eq!(flag["value"], true, "{flag}");
    let flag = product.post("/ofrep/v1/evaluate/flags/sso", json!({ "context": {} })).await;
    assert_eq!(flag["value"], false, "{flag}");
}

#[tokio::test]
async fn a_new_plan_and_a_revocation_reach_the_product_with_the_next_heartbeat() {
    let customer = Customer::of(PRODUCT, "team", "self_hosted").await;
    let agent = customer.start("prod-1").await;
    settle(&agent).await;
    let upgrade = json!({ "plan": "enterprise" });
    customer.test.post(ADMIN, &customer.license_path("/convert"), upgrade).await.expect(201);
    customer.pass(SignedDuration::from_mins(6));
    settle(&agent).await;
    let product = Product::beside(&agent).await;
    assert_eq!(product.post("/v1/check", json!({ "feature": "sso" })).await["allowed"], true);
    assert_eq!(agent.view().license.as_ref().unwrap().claims().revision, 2);

    customer.test.post(ADMIN, &customer.license_path("/revoke"), json!({})).await.expect(200);
    assert_eq!(state(&agent), State::Active, "it cannot know yet");
    customer.pass(SignedDuration::from_mins(6));
    settle(&agent).await;
    assert_eq!((state(&agent), reason(&agent)), (State::Terminated, "revoked"));
    assert_eq!(product.get("/health").await["license"], "terminated");
}

#[tokio::test]
async fn a_lost_connection_changes_nothing_for_lease_and_grace_then_new_work_stops() {
    let strict = PRODUCT.replace(
        "offline_grace = \"14d\"",
        "offline_grace = \"14d\"\nphone_home_required = true\nlease = \"7d\"",
    );
    let customer = Customer::of(&strict, "team", "self_hosted").await;
    let agent = customer.start("prod-1").await;
    settle(&agent).await;
    // The vendor is away: nobody answers at this address any more.
    agent.stop();
    agent.close().await.unwrap();
    drop(agent);
    let mut settings = customer.settings("prod-1");
    settings.server = Some("http://127.0.0.1:9".to_owned());
    let agent = customer.open(settings, &customer.key).await.unwrap();
    for (day, expected) in [(6, "valid"), (8, "valid"), (20, "valid"), (21, "phone_home_overdue")] {
        let target = "2026-03-01T00:00:00Z".parse::<Timestamp>().unwrap() + days(day);
        customer.test.advance_to(&target.to_string());
        settle(&agent).await;
        assert_eq!(reason(&agent), expected, "day {day}");
    }
    assert_eq!(state(&agent), State::Restricted);
    // Found again: one heartbeat, and all is well.
    agent.stop();
    agent.close().await.unwrap();
    drop(agent);
    let agent = customer.start("prod-1").await;
    // It waits for at most a quarter of an hour between two tries.
    customer.pass(SignedDuration::from_mins(20));
    settle(&agent).await;
    assert_eq!(reason(&agent), "valid");
}

#[tokio::test]
async fn usage_counts_once_through_crashes_and_days_without_a_vendor() {
    let customer = Customer::of(PRODUCT, "enterprise", "self_hosted").await;
    let agent = customer.start("prod-1").await;
    settle(&agent).await;
    let product = Product::beside(&agent).await;
    product.run(0..700, agent.now()).await;
    assert_eq!(product.send(0..700, agent.now()).await["duplicates"], 700);
    customer.pass(SignedDuration::from_mins(2));
    settle(&agent).await;
    assert_eq!(customer.used().await, "700");
    product.run(700..1_000, agent.now()).await;
    // Ended without a word: what was answered is on disk.
    agent.stop();
    drop((product, agent));
    customer.pass(days(3));
    let agent = reopened(&customer).await;
    settle(&agent).await;
    assert_eq!(customer.used().await, "1000");
}

/// The directory is free again once the old agent's tasks have ended.
pub(crate) async fn reopened(customer: &Customer) -> Arc<Agent> {
    for _ in 0..10_000 {
        if let Ok(agent) = customer.open(customer.settings("prod-1"), &customer.key).await {
            return agent;
        }
        tokio::task::yield_now().await;
    }
    customer.start("prod-1").await
}

#[tokio::test]
async fn the_offline_year_request_license_reports_receipts_renewal_true_up_and_return() {
    let customer = Customer::of(PRODUCT, "enterprise", "air_gapped").await;
    let agent = customer.start_offline("bunker").await;
    assert_eq!(agent.view().word(agent.now()), "unlicensed");
    let answer = customer.carry(agent.request().await.unwrap()).await;
    agent.install(answer["file"].as_str().unwrap()).await.unwrap();
    assert_eq!(state(&agent), State::Active);

    // Four quarters: 33,000 runs in each one's first month, reported by file.
    let product = Product::beside(&agent).await;
    for quarter in 0..4u32 {
        for part in 0..33 {
            let first = quarter * 33_000 + part * 1_000;
            product.run(first..first + 1_000, agent.now()).await;
        }
        let report = agent.report(false).await.unwrap().unwrap();
        let packed = zstd::stream::encode_all(report.text.as_bytes(), 3).unwrap();
        let counted = customer.carry(packed.clone()).await;
        assert!(counted["summary"].as_str().unwrap().contains("33000 events counted"), "{counted}");
        assert_eq!(customer.carry(packed).await["file"], counted["file"], "again: the same");
        agent.install(counted["file"].as_str().unwrap()).await.unwrap();
        // Past the included 10,000 a month, 23,000 at 0.50.
        customer.pass(SignedDuration::from_hours(1));
        let bill = customer.bill().await;
        let lines = bill["lines"].as_array().unwrap();
        let over = lines.iter().find(|line| line["charge"] == "overage.agent_runs");
        assert_eq!(over.unwrap()["amount"]["amount"], "11500.00", "{bill}");
        customer.pass(days(if quarter < 3 { 90 } else { 0 }));
    }
    // The renewal: two weeks before the end a notice, then a file.
    customer.test.advance_to("2027-02-16T00:00:00Z");
    assert_eq!(state(&agent), State::Expiring);
    customer.test.post(ADMIN, &customer.license_path("/renew"), json!({})).await.expect(201);
    let answer = customer.carry(agent.request().await.unwrap()).await;
    assert_eq!(answer["warnings"], json!([]), "everything was reported: {answer}");
    agent.install(answer["file"].as_str().unwrap()).await.unwrap();
    assert_eq!(state(&agent), State::Active);
    let license = agent.view().license.clone().unwrap();
    assert_eq!(license.claims().revision, 2);
    assert!(license.claims().receipt.is_some(), "it cites the last receipt");

    let returned = customer.carry(agent.give_back().await.unwrap()).await;
    assert_eq!(returned["kind"], "return");
    assert_eq!(customer.instances().await["items"][0]["state"], "released");
}

#[tokio::test]
async fn a_copied_machine_is_found_and_both_live_on_while_slots_last() {
    let customer = Customer::of(PRODUCT, "enterprise", "self_hosted").await;
    let agent = customer.start("prod-1").await;
    settle(&agent).await;
    agent.stop();
    agent.close().await.unwrap();
    drop(agent);
    copy(&customer.dir.path().join("prod-1"), &customer.dir.path().join("copy"));
    let (one, two) = (customer.start("prod-1").await, customer.start("copy").await);
    for _ in 0..8 {
        customer.pass(SignedDuration::from_mins(30));
        settle(&one).await;
        settle(&two).await;
    }
    assert_eq!((state(&one), state(&two)), (State::Active, State::Active), "nothing is stopped");
    // The slot that both had is held until its lease ends: then there are two again.
    customer.pass(days(8));
    settle(&one).await;
    settle(&two).await;
    let (a, b) = (one.view().state.instance, two.view().state.instance);
    assert!(a.is_some() && b.is_some() && a != b, "instances of their own: {a:?} {b:?}");
    let instances = customer.instances().await;
    let quarantined = instances["items"].as_array().unwrap().iter();
    assert_eq!(quarantined.filter(|i| i["state"] == "quarantined").count(), 1, "{instances}");
}

#[tokio::test]
async fn a_copied_machine_without_a_network_goes_on_with_a_new_key_pair_as_it_is_told() {
    let customer = Customer::of(PRODUCT, "enterprise", "air_gapped").await;
    let agent = customer.start_offline("bunker").await;
    let answer = customer.carry(agent.request().await.unwrap()).await;
    agent.install(answer["file"].as_str().unwrap()).await.unwrap();
    agent.close().await.unwrap();
    drop(agent);
    copy(&customer.dir.path().join("bunker"), &customer.dir.path().join("copy"));
    let one = customer.start_offline("bunker").await;
    let two = customer.start_offline("copy").await;
    Product::beside(&one).await.run(0..10, one.now()).await;
    Product::beside(&two).await.run(10..30, two.now()).await;
    let files = "/api/v1/admin/license-files";
    let kind = "application/octet-stream";
    customer.carry(one.report(false).await.unwrap().unwrap().text).await;
    let report = two.report(false).await.unwrap().unwrap().text;
    let forked = customer.test.post_bytes(ADMIN, files, kind, report.into()).await.expect(409);
    assert_eq!(forked["type"], "urn:tenure:problem:ledger-fork");
    let trail = customer.test.get(ADMIN, "/api/v1/admin/tenants/acme/audit").await.expect(200);
    let entry = &trail["items"][0];
    assert_eq!(entry["action"], "instance.quarantined", "{trail}");
    assert_eq!(entry["actor"], answer["instance_id"], "{trail}");

    let request = two.request().await.unwrap();
    let told = customer.test.post_bytes(ADMIN, files, kind, request.into()).await.expect(409);
    assert!(told["detail"].as_str().unwrap().contains("request export --new-key"), "{told}");
    customer.pass(days(1));
    let request = two.request_with_new_key().await.unwrap();
    let answer = customer.carry(request).await;
    two.install(answer["file"].as_str().unwrap()).await.unwrap();
    assert_eq!(state(&two), State::Active);
    // What the copy had recorded alone was not lost with its old ledger, and counts once.
    let counted = customer.carry(two.report(false).await.unwrap().unwrap().text).await;
    assert!(counted["summary"].as_str().unwrap().contains(" 20 events counted"), "{counted}");
    assert_eq!(customer.used().await, "30");
}

pub(crate) fn copy(from: &std::path::Path, to: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir(to).unwrap();
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o700)).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
