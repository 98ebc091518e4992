//! A vendor of the test's own: a fresh key, licenses signed with it, and an agent or a server that
//! answers from a table and remembers what it was asked.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex},
    thread,
};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::StatusCode,
    response::IntoResponse,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use tenure_license::{
    LeaseClaims, LicenseClaims, MemorySigner, RevocationsClaims, Signer,
    keys::JwkSet,
    token::{self, Kind},
};

pub(crate) const PRODUCT: &str = "incidentfox";
const DAY: i64 = 86_400;

pub(crate) static VECTORS: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../license/vectors/license.json")).unwrap()
});
static SIGNER: LazyLock<MemorySigner> = LazyLock::new(|| MemorySigner::generate().unwrap());

pub(crate) fn keys() -> String {
    let set: JwkSet = [SIGNER.public_key()].into_iter().collect();
    serde_json::to_string(&set).unwrap()
}

pub(crate) fn days(from_now: i64) -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second() + from_now * DAY).unwrap()
}

/// The metered license of the vectors, in force for a year from yesterday.
pub(crate) fn license(change: impl FnOnce(&mut LicenseClaims)) -> String {
    let claims = VECTORS["licenses"][1]["claims"].clone();
    let mut claims: LicenseClaims = serde_json::from_value(claims).unwrap();
    (claims.iat, claims.exp) = (days(-1), days(365));
    change(&mut claims);
    token::sign(&claims, &*SIGNER).unwrap()
}

pub(crate) fn lease(until: Timestamp, license: u8) -> String {
    let claims = json!({
        "iss": token::issuer(PRODUCT), "sub": "ten_01", "aud": Kind::Lease.audience(),
        "iat": until.as_second() - 5 * DAY, "exp": until.as_second(), "jti": "lea_01",
        "product": PRODUCT, "license": format!("lic_{license:032x}"), "revision": 3,
        "instance": format!("ins_{:032x}", 7), "key": "k", "epoch": 0, "heartbeat_seconds": 300,
    });
    let claims: LeaseClaims = serde_json::from_value(claims).unwrap();
    token::sign(&claims, &*SIGNER).unwrap()
}

pub(crate) fn revocations(epoch: u64, withdrawn: Value) -> String {
    let claims = json!({
        "iss": token::issuer(PRODUCT), "aud": Kind::Revocations.audience(),
        "iat": Timestamp::now().as_second(), "product": PRODUCT, "epoch": epoch,
        "withdrawn": withdrawn,
    });
    let claims: RevocationsClaims = serde_json::from_value(claims).unwrap();
    token::sign(&claims, &*SIGNER).unwrap()
}

type Answers = HashMap<String, (u16, Value)>;

#[derive(Clone, Default)]
pub(crate) struct Other {
    answers: Arc<Mutex<Answers>>,
    asked: Arc<Mutex<Vec<(String, String, Value)>>>,
    pub(crate) address: String,
}

impl Other {
    pub(crate) fn start(path: &str, answer: Value) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let other = Self { address, ..Self::default() };
        other.answers(path, 200, answer);
        let router = Router::new().fallback(respond).with_state(other.clone());
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, router).await.unwrap();
            });
        });
        other
    }

    pub(crate) fn answers(&self, path: &str, status: u16, answer: Value) {
        self.answers.lock().unwrap().insert(path.into(), (status, answer));
    }

    /// Path, bearer and body of each request.
    pub(crate) fn asked(&self) -> Vec<(String, String, Value)> {
        self.asked.lock().unwrap().clone()
    }
}

async fn respond(State(other): State<Other>, request: Request) -> impl IntoResponse {
    let path = request.uri().path().to_owned();
    let bearer = request.headers().get("authorization").map(|it| it.to_str().unwrap().to_owned());
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    other.asked.lock().unwrap().push((path.clone(), bearer.unwrap_or_default(), body));
    let missing = (404, json!({"detail": "no such path"}));
    let (status, answer) = other.answers.lock().unwrap().get(&path).cloned().unwrap_or(missing);
    (StatusCode::from_u16(status).unwrap(), Json(answer))
}
