//! A vendor's license service in a few lines, an agent with a clock of its own.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{Arc, LazyLock, Mutex, MutexGuard},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tenure_agent::{Agent, Settings, local};
use tenure_api::licensing::{
    Activate, Activated, Beat, Heartbeat, Released, ReportReceipt, Warning,
};
use tenure_core::{
    InstanceId, LicenseId, SubscriptionId,
    clock::{Clock, ManualClock},
};
use tenure_license::{
    Digest, LeaseClaims, LicenseClaims, MemorySigner, ReceiptClaims, RevocationsClaims, Signer,
    activation::sequence::{Judgement, Presented, Sequence},
    chain::Head,
    claims::{Cap, Customer, DeploymentModel, Edition, Entitlements, Limit, Over, Per, Withdrawn},
    instance::{self, Proof, SliceRequest},
    keys::JwkSet,
    ledger,
    state::ExpiryPolicy,
    token::{self, Kind},
};
use tokio::net::TcpListener;
use uuid::Uuid;

pub(crate) const PRODUCT: &str = "incidentfox";
pub(crate) const START: &str = "2026-03-01T12:00:00Z";
/// A key string with a good check group.
pub(crate) static LICENSE_KEY: LazyLock<String> = LazyLock::new(|| {
    let random = [7; 10];
    tenure_license::LicenseKey::issue("IFOX", "ENT", "ACME", random)
        .map(|key| key.expose().to_owned())
        .unwrap()
});
/// Made once a test binary: 3,072 bits take a moment.
pub(crate) static SIGNER: LazyLock<MemorySigner> =
    LazyLock::new(|| MemorySigner::generate().unwrap());
pub(crate) static STRANGER: LazyLock<MemorySigner> =
    LazyLock::new(|| MemorySigner::generate().unwrap());

pub(crate) fn keys() -> String {
    serde_json::to_string(&JwkSet::of_product(PRODUCT, [SIGNER.public_key()])).unwrap()
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// incidentfox Enterprise for Acme, from `iat` for a year.
pub(crate) fn claims(iat: Timestamp) -> LicenseClaims {
    let features = ["sso".to_owned(), "github".to_owned()].to_vec();
    let limit = |max: u32, per, over, unit: &str| Limit {
        max: Some(max.into()),
        per,
        over,
        unit: Some(unit.to_owned()),
        warn_at: vec![80, 100],
    };
    let limits = BTreeMap::from([
        ("teams".to_owned(), limit(5, None, Over::Block, "team")),
        ("agent_runs".to_owned(), limit(3, Some(Per::Month), Over::Block, "run")),
    ]);
    LicenseClaims {
        iss: token::issuer(PRODUCT),
        sub: "ten_01".into(),
        aud: Kind::License.audience().into(),
        iat,
        nbf: None,
        exp: iat.checked_add(SignedDuration::from_hours(24 * 365)).unwrap(),
        jti: "lic_01-1".into(),
        customer: Customer {
            id: "ten_01".into(),
            name: "Acme Corp".into(),
            domain: "acme.example".into(),
        },
        edition: Edition::Enterprise,
        seats: Cap::of(500).unwrap(),
        features: features.clone(),
        offline_grace_period_days: 7,
        phone_home_required: true,
        entitlements: Entitlements::derive("enterprise", &features, Some(4), &limits),
        license: LicenseId::from_uuid(Uuid::from_u128(1)),
        revision: 1,
        product: PRODUCT.into(),
        subscription: SubscriptionId::from_uuid(Uuid::from_u128(2)),
        model: DeploymentModel::SelfHosted,
        mode: None,
        update_until: None,
        limits,
        values: BTreeMap::from([("rate".to_owned(), json!("10000/minute"))]),
        expiry_policy: ExpiryPolicy::PRESET,
        supersedes: None,
        binding: None,
        receipt: None,
        enforcement: None,
        sales_contact: Some("sales@incidentfox.example".into()),
    }
}

pub(crate) fn issue(claims: &LicenseClaims) -> String {
    token::sign(claims, &*SIGNER).unwrap()
}

/// A call as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) path: &'static str,
    pub(crate) proof: String,
    pub(crate) body: String,
}

#[derive(Default)]
struct Instance {
    id: Option<InstanceId>,
    sequence: Sequence,
    nonce: String,
    last: Option<(StatusCode, Value)>,
    quarantined: bool,
    head: Option<Head>,
}

/// What the vendor knows, and how it misbehaves.
pub(crate) struct Book {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) signer: &'static MemorySigner,
    pub(crate) license: LicenseClaims,
    pub(crate) lease_seconds: i64,
    pub(crate) revocations: Option<RevocationsClaims>,
    /// Answers that are computed and then lost on the way.
    pub(crate) lose: usize,
    /// Whether it answers 503.
    pub(crate) down: bool,
    /// Answers 403 to activations.
    pub(crate) denies: bool,
    pub(crate) seen: Vec<Seen>,
    /// How often each event was accepted, by source and id.
    pub(crate) counted: HashMap<(String, String), u32>,
    /// By ledger and source: the id under each number, from 1.
    pub(crate) numbered: HashMap<(String, String), Vec<String>>,
    /// How large the next slices of a quota are; the quota is used up after the last.
    pub(crate) slices: Vec<u32>,
    instances: HashMap<String, Instance>,
}

impl Book {
    pub(crate) fn leases(&self) -> usize {
        self.instances.values().filter(|instance| instance.id.is_some()).count()
    }

    pub(crate) fn quarantined(&self) -> usize {
        self.instances.values().filter(|instance| instance.quarantined).count()
    }

    pub(crate) fn revoke(&mut self) {
        let now = self.clock.now();
        self.revocations = Some(RevocationsClaims {
            iss: token::issuer(PRODUCT),
            aud: Kind::Revocations.audience().into(),
            iat: now,
            product: PRODUCT.into(),
            epoch: self.revocations.as_ref().map_or(1, |list| list.epoch + 1),
            withdrawn: vec![Withdrawn { license: self.license.license, below: None, at: now }],
        });
    }

    pub(crate) fn calls(&self, path: &str) -> Vec<Seen> {
        self.seen.iter().filter(|seen| seen.path == path).cloned().collect()
    }

    fn lease(&self, key: &str, id: InstanceId) -> String {
        let now = self.clock.now();
        let lease = LeaseClaims {
            iss: token::issuer(PRODUCT),
            sub: self.license.sub.clone(),
            aud: Kind::Lease.audience().into(),
            iat: now,
            exp: now.checked_add(SignedDuration::from_secs(self.lease_seconds)).unwrap(),
            jti: Uuid::now_v7().to_string(),
            product: PRODUCT.into(),
            license: self.license.license,
            revision: self.license.revision,
            instance: id,
            key: key.into(),
            epoch: 0,
            heartbeat_seconds: 300,
        };
        token::sign(&lease, self.signer).unwrap()
    }

    fn list(&self, epoch: Option<u64>) -> Option<String> {
        let list = self.revocations.as_ref().filter(|list| epoch.unwrap_or(0) < list.epoch)?;
        Some(token::sign(list, self.signer).unwrap())
    }
}

#[derive(Clone)]
pub(crate) struct Vendor {
    pub(crate) url: String,
    book: Arc<Mutex<Book>>,
}

impl Vendor {
    pub(crate) async fn start(clock: Arc<dyn Clock>) -> Self {
        let book = Book {
            license: claims(clock.now()),
            clock,
            signer: &SIGNER,
            lease_seconds: 3 * 24 * 3600,
            revocations: None,
            lose: 0,
            down: false,
            denies: false,
            seen: Vec::new(),
            counted: HashMap::new(),
            numbered: HashMap::new(),
            slices: Vec::new(),
            instances: HashMap::new(),
        };
        let book = Arc::new(Mutex::new(book));
        let router = Router::new()
            .route("/api/v1/activate", post(activate))
            .route("/api/v1/heartbeat", post(heartbeat))
            .route("/api/v1/release", post(release))
            .route("/api/v1/reports", post(report))
            .route("/api/v1/quota/slices", post(slice))
            .layer(axum::extract::DefaultBodyLimit::max(16 * 1024 * 1024))
            .with_state(Arc::clone(&book));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, book }
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

type Shared = State<Arc<Mutex<Book>>>;

fn problem(status: u16, slug: &str, detail: &str) -> (StatusCode, Value) {
    let body = json!({ "type": format!("urn:tenure:problem:{slug}"), "detail": detail });
    (StatusCode::from_u16(status).unwrap(), body)
}

/// The protocol around a call: its number, its repetition, its loss.
fn call(
    book: &Arc<Mutex<Book>>,
    path: &'static str,
    headers: &HeaderMap,
    body: &Bytes,
    act: impl FnOnce(&mut Book, &str) -> (StatusCode, Value),
) -> Response {
    let mut book = book.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if book.down {
        return (StatusCode::SERVICE_UNAVAILABLE, "down").into_response();
    }
    let header = headers["tenure-proof"].to_str().unwrap().to_owned();
    let text = String::from_utf8(body.to_vec()).unwrap();
    book.seen.push(Seen { path, proof: header.clone(), body: text });
    let proof = instance::verify::<Proof>(&header).unwrap().into_claims();
    assert_eq!(proof.body, Digest::sha256(body), "the proof is for this body");
    let key = proof.key.thumbprint();
    let known = book.instances.entry(key.clone()).or_default();
    let presented = Presented {
        seq: proof.seq,
        digest: Digest::sha256(header.as_bytes()),
        nonce_matches: proof.nonce == known.nonce,
    };
    let answer = match known.sequence.judge(&presented) {
        Judgement::Next | Judgement::Ahead => {
            known.sequence.accept(&presented);
            let answer = act(&mut book, &key);
            book.instances.get_mut(&key).unwrap().last = Some(answer.clone());
            answer
        }
        Judgement::Repeat => known.last.clone().unwrap(),
        Judgement::Late => problem(409, "stale-request", "came late"),
        Judgement::Fork => {
            known.quarantined = true;
            let beat = quarantine_beat(book.clock.now());
            (StatusCode::OK, beat)
        }
    };
    if book.lose > 0 {
        book.lose -= 1;
        drop(book);
        // The connection ends without an answer.
        std::panic::resume_unwind(Box::new("lost"));
    }
    (answer.0, Json(answer.1)).into_response()
}

fn quarantine_beat(now: Timestamp) -> Value {
    let beat = Beat {
        status: "quarantined".into(),
        warnings: vec![Warning {
            code: "instance_quarantined".into(),
            message: "Another copy of this installation was seen.".into(),
        }],
        nonce: "none".into(),
        heartbeat_seconds: 300,
        at: now,
        lease: None,
        license_token: None,
        revocations: None,
    };
    serde_json::to_value(beat).unwrap()
}

async fn activate(State(book): Shared, headers: HeaderMap, body: Bytes) -> Response {
    call(&book, "activate", &headers, &body, |book, key| {
        let asked: Activate = serde_json::from_slice(&body).unwrap();
        if book.denies || asked.license_key.is_none() {
            return problem(401, "license-key-unknown", "There is no such license key.");
        }
        let instance = book.instances.get_mut(key).unwrap();
        let id = *instance.id.get_or_insert_with(|| InstanceId::from_uuid(Uuid::now_v7()));
        instance.nonce = Uuid::now_v7().to_string();
        let nonce = instance.nonce.clone();
        let answer = Activated {
            license_token: token::sign(&book.license, book.signer).unwrap(),
            entitlements: json!({}),
            instance: id,
            lease: Some(book.lease(key, id)),
            nonce,
            heartbeat_seconds: 300,
            revocations: book.list(None),
            status: "active".into(),
            warnings: Vec::new(),
        };
        (StatusCode::OK, serde_json::to_value(answer).unwrap())
    })
}

async fn heartbeat(State(book): Shared, headers: HeaderMap, body: Bytes) -> Response {
    call(&book, "heartbeat", &headers, &body, |book, key| {
        let asked: Heartbeat = serde_json::from_slice(&body).unwrap();
        let instance = book.instances.get_mut(key).unwrap();
        let Some(id) = instance.id else { return problem(401, "instance-unknown", "who?") };
        if instance.quarantined {
            return (StatusCode::OK, quarantine_beat(book.clock.now()));
        }
        instance.nonce = Uuid::now_v7().to_string();
        let nonce = instance.nonce.clone();
        let newer = asked.revision.unwrap_or(0) < book.license.revision;
        let beat = Beat {
            status: "active".into(),
            warnings: Vec::new(),
            nonce,
            heartbeat_seconds: 300,
            at: book.clock.now(),
            lease: asked.renew.then(|| book.lease(key, id)),
            license_token: newer.then(|| token::sign(&book.license, book.signer).unwrap()),
            revocations: book.list(asked.epoch),
        };
        (StatusCode::OK, serde_json::to_value(beat).unwrap())
    })
}

async fn release(State(book): Shared, headers: HeaderMap, body: Bytes) -> Response {
    call(&book, "release", &headers, &body, |book, key| {
        book.instances.get_mut(key).unwrap().id = None;
        let answer = Released { status: "released".into() };
        (StatusCode::OK, serde_json::to_value(answer).unwrap())
    })
}

async fn report(State(book): Shared, body: Bytes) -> Response {
    let mut book = book.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if book.down {
        return (StatusCode::SERVICE_UNAVAILABLE, "down").into_response();
    }
    let text = String::from_utf8(body.to_vec()).unwrap();
    book.seen.push(Seen { path: "report", proof: String::new(), body: text.clone() });
    let answer = count(&mut book, &text);
    if book.lose > 0 {
        book.lose -= 1;
        drop(book);
        std::panic::resume_unwind(Box::new("lost"));
    }
    (answer.0, Json(answer.1)).into_response()
}

async fn slice(State(book): Shared, body: Bytes) -> Response {
    let mut book = book.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if book.down {
        return (StatusCode::SERVICE_UNAVAILABLE, "down").into_response();
    }
    let text = String::from_utf8(body.to_vec()).unwrap();
    book.seen.push(Seen { path: "slice", proof: String::new(), body: text.clone() });
    let request = instance::verify::<SliceRequest>(&text).unwrap().into_claims();
    let Some(ask) = request.ask else { return Json(json!({ "slice": null })).into_response() };
    if book.slices.is_empty() {
        let words = "Monthly quota exceeded: 3/3. Runs begin anew at 2026-04-01T00:00:00Z.";
        let (status, body) = problem(429, "quota-exceeded", words);
        return (status, Json(body)).into_response();
    }
    let quota = json!({
        "meter": ask.meter, "name": "Runs", "unit": "run", "used": "0", "reserved": "2",
        "window": { "per": "month", "start": "2026-03-01T00:00:00Z", "resets_at": "2026-04-01T00:00:00Z" },
        "limit": "3", "remaining": "1", "past_limit": "block", "standing": "ok",
    });
    let quantity = book.slices.remove(0).to_string();
    let slice = json!({ "id": ask.slice, "meter": ask.meter, "quantity": quantity,
        "ends_in_seconds": 3_600, "quota": quota });
    Json(json!({ "slice": slice })).into_response()
}

/// Counts a report, and again when it comes again.
pub(crate) fn count(book: &mut Book, text: &str) -> (StatusCode, Value) {
    let report = ledger::read(text).unwrap();
    let claims = report.head.claims().clone();
    let key = claims.key.thumbprint();
    let known = book.instances.entry(key.clone()).or_default().head.map_or(0, |head| head.seq);
    if claims.after.map_or(0, |head| head.seq) > known {
        return problem(409, "report-gap", "entries are missing");
    }
    let (mut accepted, mut duplicates) = (0, 0);
    for line in &report.lines {
        let content = line.read().unwrap();
        let ledger = content.ledger.expect("agents number their events");
        for (event, number) in content.events.iter().zip(content.numbers) {
            let word = |name: &str| event[name].as_str().unwrap().to_owned();
            let numbered = book.numbered.entry((ledger.clone(), word("source"))).or_default();
            let place = usize::try_from(number).unwrap() - 1;
            // A number says what it is, and no name is needed; but for copies.
            let new = match numbered.get(place) {
                None => {
                    assert_eq!(place, numbered.len(), "a number is missing before {event}");
                    numbered.push(word("id"));
                    true
                }
                Some(id) => {
                    assert_eq!(*id, word("id"), "two events under number {number}");
                    false
                }
            };
            if new {
                *book.counted.entry((word("source"), word("id"))).or_default() += 1;
                accepted += 1;
            } else {
                duplicates += 1;
            }
        }
    }
    let head = &mut book.instances.get_mut(&key).unwrap().head;
    if claims.through.seq > known {
        *head = Some(claims.through);
    }
    let receipt = receipt(book, &claims);
    let answer =
        ReportReceipt { receipt, through: claims.through.seq, accepted, duplicates, rejected: 0 };
    (StatusCode::OK, serde_json::to_value(answer).unwrap())
}

fn receipt(book: &Book, report: &instance::ReportHead) -> String {
    let receipt = ReceiptClaims {
        iss: token::issuer(PRODUCT),
        sub: book.license.sub.clone(),
        aud: Kind::Receipt.audience().into(),
        iat: book.clock.now(),
        jti: Uuid::now_v7().to_string(),
        product: PRODUCT.into(),
        license: report.license,
        instance: report.instance,
        through: report.through,
    };
    token::sign(&receipt, book.signer).unwrap()
}

/// A clock, a vendor, an installation.
pub(crate) struct Place {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) vendor: Vendor,
    pub(crate) temp: tempfile::TempDir,
}

impl Place {
    pub(crate) async fn new() -> Self {
        let clock = Arc::new(ManualClock::new(at(START)));
        let vendor = Vendor::start(clock.clone()).await;
        Self { clock, vendor, temp: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn settings(&self, dir: &str) -> Settings {
        let mut settings = Settings::new(self.temp.path().join(dir), keys());
        settings.server = Some(self.vendor.url.clone());
        settings.version = Some("1.2.0".into());
        settings.name = Some("prod-eu-1".into());
        settings
    }

    pub(crate) async fn open(&self, settings: Settings) -> Arc<Agent> {
        Agent::open(settings, self.clock.clone(), Some(&LICENSE_KEY)).await.unwrap()
    }

    /// An agent in `dir` that has activated.
    pub(crate) async fn active(&self, dir: &str) -> Arc<Agent> {
        let agent = self.open(self.settings(dir)).await;
        agent.step().await.unwrap();
        assert_eq!(agent.view().word(agent.now()), "active");
        agent
    }

    /// Moves the clock, with a round a step, as the loop would.
    pub(crate) async fn pass(&self, agents: &[&Agent], hours: i64, step_minutes: i64) {
        for _ in 0..hours * 60 / step_minutes {
            self.forward(step_minutes * 60);
            for agent in agents {
                agent.step().await.unwrap();
            }
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn forward(&self, seconds: i64) {
        let to = self.clock.now().checked_add(SignedDuration::from_secs(seconds)).unwrap();
        assert!(self.clock.advance_to(to));
    }
}

/// The local API of an agent, over HTTP.
pub(crate) struct Local {
    pub(crate) base: String,
    pub(crate) secret: String,
    pub(crate) http: reqwest::Client,
}

impl Local {
    pub(crate) async fn of(agent: &Arc<Agent>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, local::router(Arc::clone(agent))).into_future());
        let secret = agent.local_secret().to_owned();
        Self { base, secret, http: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    pub(crate) fn nowhere() -> Self {
        Self { base: String::new(), secret: String::new(), http: reqwest::Client::new() }
    }

    pub(crate) fn at(base: String, data: &Path) -> Self {
        let secret = std::fs::read_to_string(data.join("local-secret")).unwrap();
        Self { base, secret, http: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let request = self.http.get(format!("{}{path}", self.base)).bearer_auth(&self.secret);
        request.send().await.unwrap().json().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.http.post(format!("{}{path}", self.base)).bearer_auth(&self.secret);
        let response = request.json(body).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }
}

pub(crate) fn event(id: &str, time: Timestamp) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/clusters/eu-1", "type": "agent.run",
        "time": time, "data": { "n": 1 },
    })
}

impl Book {
    /// As after a backup was restored that is older than the reports.
    pub(crate) fn forget_reports(&mut self) {
        self.counted.clear();
        self.numbered.clear();
        for instance in self.instances.values_mut() {
            instance.head = None;
        }
    }
}
