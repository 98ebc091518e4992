//! A server of a test's own, and a client that reads like the test's sentence.

use std::{net::SocketAddr, sync::Arc, task::Poll};

use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tenure_core::{Clock, InstanceId, ManualClock};
use tenure_license::{
    Digest, InstanceKey,
    instance::{self, Proof, Purpose, StatementKind},
};
use tenure_server::{
    Config, MIGRATOR, Server,
    vault::{Key, Vault},
};
use tenure_testkit::TestDatabase;

/// The vendor credential of every test server.
pub const ADMIN: &str = "tenv_test_admin";
/// When test clocks begin.
pub const EPOCH: &str = "2026-03-01T00:00:00Z";

/// A product with one of everything, for tests that are not about a real one.
pub const WIDGET: &str = r#"
[product]
id = "widget"
name = "Widget"
sales_contact = "sales@widget.example"
api_key_prefix = "wg"

[models.managed]
isolation = "shared_tables"
responsibility = { software = "vendor", infrastructure = "vendor", security = "vendor", compliance = "vendor", support = "vendor" }

[meters]
events = { type = "event.ingested", count = true }

[allocations]
seats = { name = "Seats", one = "seat" }

[features]
sso = { name = "Single sign-on", missing = 403 }

[plans.starter]
name = "Starter"
models = ["managed"]
price = { month = "10" }
limits = { events = { included = 1_000, per = "day", over = "block" } }

[plans.pro]
name = "Pro"
models = ["managed"]
features = ["sso"]
price = { month = "99" }
limits = { events = { included = 100_000, per = "day", over = { price = "0.05", each = 1_000 } } }
"#;

/// A product that customers run themselves, for tests of the license service: `pro` blocks at three
/// instances, `team` lets one more than five in and says so, `open` has no bound.
pub const GIZMO: &str = r#"
[product]
id = "gizmo"
name = "Gizmo"
sales_contact = "sales@gizmo.example"
api_key_prefix = "gz"
license_key_prefix = "GZMO"

[models.self_hosted]
responsibility = { software = "vendor", infrastructure = "customer", security = "customer", compliance = "customer", support = "vendor" }

[allocations]
instances = { name = "Instances", one = "instance" }
teams = { name = "Teams", one = "team" }

[meters]
runs = { type = "run.finished", count = true, unit = "run", reported_as = "agent_runs" }

[features]
sso = { name = "Single sign-on", missing = 403 }

[plans.pro]
name = "Pro"
models = ["self_hosted"]
features = ["sso"]
license_tier = "PRO"
price = { month = "100" }
[plans.pro.limits]
instances = { included = 3, over = "block" }
teams = { included = 5, over = "block" }
runs = { included = 1_000, per = "month", over = "warn" }

[plans.team]
name = "Team"
extends = "pro"
price = { month = "500" }
limits = { instances = { included = 5, over = "warn" }, teams = { included = 50, over = "block" } }

[plans.open]
name = "Open"
extends = "pro"
price = { month = "900" }
limits = { instances = "unlimited" }

[license]
heartbeat = "5m"
lease = "7d"
overage = 20
phone_home_required = true
"#;

/// An instance of a test's own: a key pair, and the count of its calls.
pub struct TestInstance {
    /// Its key pair.
    pub key: InstanceKey,
    /// Its id, once it was activated.
    pub id: Option<InstanceId>,
    /// The number of its last call.
    pub seq: u64,
    /// What the last answer handed out.
    pub nonce: String,
}

/// A call of an instance, ready to be sent, and sent again.
#[derive(Clone)]
pub struct ProvenCall {
    /// Where to.
    pub path: String,
    /// As the bearer, unless it is empty.
    pub bearer: String,
    /// The header `Tenure-Proof`.
    pub proof: String,
    /// The body.
    pub body: String,
}

impl TestInstance {
    /// An instance whose key pair follows from a number.
    pub fn new(seed: u16) -> Self {
        let mut bytes = [9u8; 32];
        bytes[..2].copy_from_slice(&seed.to_be_bytes());
        let key = InstanceKey::from_seed(&bytes.into());
        Self { key, id: None, seq: 0, nonce: "first".to_owned() }
    }

    /// The same machine again, from an image of its disk.
    pub fn copied(&self, seed: u16) -> Self {
        Self { id: self.id, seq: self.seq, nonce: self.nonce.clone(), ..Self::new(seed) }
    }

    /// A proof for a body, as it would be sent now; changes nothing.
    pub fn proof(&self, purpose: Purpose, seq: u64, body: &str, at: Timestamp) -> String {
        let proof = Proof {
            aud: StatementKind::Proof.audience().to_owned(),
            key: *self.key.public(),
            instance: self.id,
            purpose,
            seq,
            nonce: self.nonce.clone(),
            jti: String::new(),
            iat: at,
            body: Digest::sha256(body.as_bytes()),
        };
        instance::sign(&proof, &self.key).expect("a proof is signed")
    }

    /// The next call: it is counted as sent.
    pub fn call(
        &mut self,
        test: &TestServer,
        purpose: Purpose,
        bearer: &str,
        body: Value,
    ) -> ProvenCall {
        self.seq += 1;
        let path = match purpose {
            Purpose::Activate => "/api/v1/activate",
            Purpose::Heartbeat => "/api/v1/heartbeat",
            Purpose::Release => "/api/v1/release",
        };
        let body = body.to_string();
        let proof = self.proof(purpose, self.seq, &body, test.clock.now());
        ProvenCall { path: path.to_owned(), bearer: bearer.to_owned(), proof, body }
    }

    /// Takes an answer in.
    pub fn hear(&mut self, answer: &Value) {
        if let Some(nonce) = answer["nonce"].as_str() {
            self.nonce = nonce.to_owned();
        }
        // Of a problem, `instance` names the request.
        if let Some(id) = answer["instance"].as_str().and_then(|id| id.parse().ok()) {
            self.id = Some(id);
        }
    }

    /// Activates with a license key, and takes the answer in.
    pub async fn activate(&mut self, test: &TestServer, key: &str) -> Answer {
        let call = self.call(test, Purpose::Activate, key, json!({ "name": "host" }));
        let answer = test.proven(&call).await;
        self.hear(&answer.json);
        answer
    }

    /// Sends a heartbeat, and takes the answer in.
    pub async fn beat(&mut self, test: &TestServer, body: Value) -> Answer {
        let call = self.call(test, Purpose::Heartbeat, "", body);
        let answer = test.proven(&call).await;
        self.hear(&answer.json);
        answer
    }

    /// Gives the slot back.
    pub async fn release(&mut self, test: &TestServer) -> Answer {
        let call = self.call(test, Purpose::Release, "", json!({}));
        test.proven(&call).await
    }
}

/// A license of the product [`GIZMO`].
pub struct Gizmo {
    /// The path of its tenant.
    pub tenant: String,
    /// The id of its subscription.
    pub subscription: String,
    /// Its id.
    pub license: String,
    /// Its key.
    pub key: String,
    /// The token of its first revision.
    pub token: String,
}

impl Gizmo {
    /// A path of the license.
    pub fn path(&self, rest: &str) -> String {
        format!("{}/licenses/{}{rest}", self.tenant, self.license)
    }

    /// A path of the subscription.
    pub fn subscription(&self, rest: &str) -> String {
        format!("{}/subscriptions/{}{rest}", self.tenant, self.subscription)
    }
}

/// A running server.
pub struct TestServer {
    server: Option<Server>,
    /// Moves only when the test says so.
    pub clock: Arc<ManualClock>,
    /// Its database.
    pub database: TestDatabase,
    address: SocketAddr,
    http: reqwest::Client,
}

/// What a server answered.
pub struct Answer {
    /// The status code.
    pub status: StatusCode,
    /// Its headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body, if it was JSON.
    pub json: Value,
    /// The body as text.
    pub text: String,
}

impl Answer {
    /// The JSON, when the status is the expected one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self.json
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// The vault of every test server.
pub fn vault() -> Vault {
    Vault::new(&Key::from_slice(&[7; 32]).unwrap())
}

impl TestServer {
    /// A server on a database of its own, without products.
    pub async fn empty() -> Self {
        Self::on(TestDatabase::create(&MIGRATOR).await, Config::default()).await
    }

    /// A server with the product [`WIDGET`].
    pub async fn start() -> Self {
        let test = Self::empty().await;
        test.load(WIDGET).await;
        test
    }

    /// A server with the five real products.
    pub async fn with_products() -> Self {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../products").into();
        let config = Config { products_dir: Some(dir), ..Config::default() };
        Self::on(TestDatabase::create(&MIGRATOR).await, config).await
    }

    /// A server with some of the real products: each signing key costs a second.
    pub async fn with_product(slugs: &[&str]) -> Self {
        let test = Self::empty().await;
        for slug in slugs {
            let path = format!("{}/../../products/{slug}/product.toml", env!("CARGO_MANIFEST_DIR"));
            test.load(&std::fs::read_to_string(path).expect("a product file")).await;
        }
        test
    }

    /// A server on that database: a second one, or with other settings.
    pub async fn on(database: TestDatabase, config: Config) -> Self {
        let clock = Arc::new(ManualClock::new(EPOCH.parse().unwrap()));
        let config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            admin_token: Some(ADMIN.to_owned()),
            ..config
        };
        let settings = tenure_tenancy::DbSettings {
            secret: vault().roles().clone(),
            ..database.settings.clone()
        };
        let started = Server::start_with_clock(config, settings, vault(), clock.clone())
            .await
            .expect("the test server starts");
        let address = started.server.address();
        let test = Self {
            server: Some(started.server),
            clock,
            database,
            address,
            http: reqwest::Client::new(),
        };
        test.ready().await;
        test
    }

    /// Waits, without sleeping longer than needed, until the server says it is ready.
    async fn ready(&self) {
        for _ in 0..1_000 {
            if self.get("", "/readyz").await.status == StatusCode::OK {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("the test server did not become ready");
    }

    /// The server's state, for looking behind the API.
    pub fn app(&self) -> &tenure_server::App {
        self.server.as_ref().expect("the server runs").app()
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A request under construction, with a credential unless it is empty.
    pub fn request(&self, method: Method, token: &str, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, self.url(path));
        if token.is_empty() { request } else { request.bearer_auth(token) }
    }

    /// Sends a request.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.expect("the test server answers");
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.expect("a whole body");
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status, headers, json, text }
    }

    /// `GET`.
    pub async fn get(&self, token: &str, path: &str) -> Answer {
        self.send(self.request(Method::GET, token, path)).await
    }

    /// `POST` with a JSON body.
    pub async fn post(&self, token: &str, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, token, path).json(&body)).await
    }

    /// `POST` with a body as it is.
    pub async fn post_bytes(
        &self,
        token: &str,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Answer {
        let request = self.request(Method::POST, token, path);
        self.send(request.header("content-type", content_type).body(body)).await
    }

    /// `PUT` with a JSON body.
    pub async fn put(&self, token: &str, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PUT, token, path).json(&body)).await
    }

    /// `PATCH` with a JSON body.
    pub async fn patch(&self, token: &str, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PATCH, token, path).json(&body)).await
    }

    /// `DELETE`.
    pub async fn delete(&self, token: &str, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, token, path)).await
    }

    /// Loads a product file.
    pub async fn load(&self, source: &str) -> Answer {
        let request = self
            .request(Method::POST, ADMIN, "/api/v1/admin/products")
            .header("content-type", "application/toml")
            .body(source.to_owned());
        let answer = self.send(request).await;
        assert!(answer.status.is_success(), "{}", answer.text);
        answer
    }

    /// A client that is ready: its id and API key.
    pub async fn client(&self, name: &str, plan: &str) -> (String, String) {
        let body = json!({ "name": name, "plan": plan });
        let made = self.post(ADMIN, "/admin/clients", body).await.expect(201);
        let text = |field: &str| made[field].as_str().unwrap().to_owned();
        (text("client_id"), text("api_key"))
    }

    /// A tenant called `acme`, and a subscription of it: its id.
    pub async fn subscribe(&self, tenant: &str, subscription: Value) -> String {
        let body = json!({ "name": tenant, "contact_email": format!("it@{tenant}.example") });
        self.post(ADMIN, "/api/v1/admin/tenants", body).await.expect(201);
        let path = format!("/api/v1/admin/tenants/{tenant}/subscriptions");
        let made = self.post(ADMIN, &path, subscription).await.expect(201);
        made["id"].as_str().unwrap().to_owned()
    }

    /// A subscription of a new tenant, with everything that may be said of one:
    /// the path of the tenant, and an API key.
    pub async fn subscribed(&self, name: &str, subscription: Value) -> (String, String) {
        let made = self.post(ADMIN, "/api/v1/admin/tenants", json!({ "name": name })).await;
        let path = format!("/api/v1/admin/tenants/{}", made.expect(201)["id"].as_str().unwrap());
        let made = self.post(ADMIN, &format!("{path}/subscriptions"), subscription).await;
        let body = json!({ "subscription": made.expect(201)["id"] });
        let key = self.post(ADMIN, &format!("{path}/keys"), body).await.expect(201);
        (path, key["api_key"].as_str().unwrap().to_owned())
    }

    /// A server that sells [`GIZMO`].
    pub async fn gizmo() -> Self {
        let test = Self::empty().await;
        test.load(GIZMO).await;
        test
    }

    /// A second server on the same database.
    pub async fn beside(&self) -> Self {
        let database = TestDatabase {
            settings: self.database.settings.clone(),
            admin_url: self.database.admin_url.clone(),
        };
        Self::on(database, Config::default()).await
    }

    /// A license of a new tenant for [`GIZMO`].
    pub async fn licensed(&self, tenant: &str, plan: &str) -> Gizmo {
        let body = json!({ "product": "gizmo", "plan": plan });
        let subscription = self.subscribe(tenant, body).await;
        let base = format!("/api/v1/admin/tenants/{tenant}");
        let body = json!({ "subscription": subscription });
        let made = self.post(ADMIN, &format!("{base}/licenses"), body).await.expect(201);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Gizmo {
            tenant: base,
            subscription,
            license: text(&made["license"]["id"]),
            key: text(&made["license_key"]),
            token: text(&made["token"]),
        }
    }

    /// Sends a call of an instance.
    pub async fn proven(&self, call: &ProvenCall) -> Answer {
        let request = self.request(Method::POST, &call.bearer, &call.path);
        let request = request
            .header("content-type", "application/json")
            .header("tenure-proof", &call.proof)
            .body(call.body.clone());
        self.send(request).await
    }

    /// The test's moment.
    pub fn clock_now(&self) -> Timestamp {
        tenure_core::Clock::now(&*self.clock)
    }

    /// Moves the clock forward.
    pub fn advance_to(&self, to: &str) {
        let to: Timestamp = to.parse().unwrap();
        assert!(self.clock.advance_to(to), "test clocks only move forward");
    }

    /// Stops the server and gives its database back, for another start.
    pub async fn stop(mut self) -> TestDatabase {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
        TestDatabase {
            settings: self.database.settings.clone(),
            admin_url: self.database.admin_url.clone(),
        }
    }
}

/// Awaits all of them at once; their answers in the order in which they came.
pub async fn all_at_once<T>(calls: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut pending: Vec<_> = calls.into_iter().map(Box::pin).collect();
    let mut answers = Vec::with_capacity(pending.len());
    std::future::poll_fn(move |context| {
        pending.retain_mut(|call| match call.as_mut().poll(context) {
            Poll::Ready(answer) => {
                answers.push(answer);
                false
            }
            Poll::Pending => true,
        });
        if pending.is_empty() { Poll::Ready(std::mem::take(&mut answers)) } else { Poll::Pending }
    })
    .await
}
