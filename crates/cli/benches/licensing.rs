//! Speed of the license service: validation, heartbeats, a hundred thousand
//! instances.

use std::{
    hint::black_box,
    net::SocketAddr,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tenure_core::InstanceId;
use tenure_license::{
    Digest, InstanceKey, MemorySigner, Signer, TrustSet,
    instance::{self, Proof, Purpose, StatementKind},
};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    figure,
    http::{self, Connection, Timing},
    made,
    process::{Agent, Constant, Serve},
};

const CONNECTIONS: usize = 16;
const SECONDS: u64 = 4;
/// Instances that send heartbeats in turn, of one license.
const INSTANCES: usize = 320;
/// Instances of the large installation, and licenses they are spread over.
const MANY: usize = 100_000;
const MANY_LICENSES: usize = 10;
/// Instances of the large installation that send heartbeats.
const MANY_SPEAKING: usize = 4_000;

/// For how long an idle agent is watched.
const IDLE: Duration = Duration::from_secs(30);

/// A license of a customer of its own.
pub(crate) struct Licensed {
    tenant: Uuid,
    license: Uuid,
    key: String,
    token: String,
}

pub(crate) async fn licensed(serve: &Serve, name: &str) -> Licensed {
    let mut connection = Connection::open(serve.address).await;
    let tenant = made(&mut connection, "/api/v1/admin/tenants", json!({ "name": name })).await;
    let path = format!("/api/v1/admin/tenants/{}", text(&tenant["id"]));
    let wanted =
        json!({ "product": "incidentfox", "plan": "professional", "model": "self_hosted" });
    let sold = made(&mut connection, &format!("{path}/subscriptions"), wanted).await;
    let wanted = json!({ "subscription": sold["id"] });
    let issued = made(&mut connection, &format!("{path}/licenses"), wanted).await;
    Licensed {
        tenant: uuid(&tenant["id"]),
        license: uuid(&issued["license"]["id"]),
        key: text(&issued["license_key"]),
        token: text(&issued["token"]),
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn uuid(id: &Value) -> Uuid {
    let text = text(id);
    text.split_once('_').and_then(|(_, hex)| hex.parse().ok()).expect("an id")
}

/// `validate` with and without the cache of verified tokens, against a handler that returns a
/// constant.
pub(crate) async fn validate(serve: &Serve, bare: &Serve, licensed: &Licensed) {
    let body = json!({ "token": licensed.token }).to_string();
    let request = post("/api/v1/validate", &[], &body);
    let answer = {
        let mut connection = Connection::open(serve.address).await;
        connection.post("/api/v1/validate", "", "application/json", &body).await
    };
    assert!(answer.body.contains("\"valid\":true"), "{}", answer.body);
    let cached = http::posts(serve.address, &request, CONNECTIONS, SECONDS).await;
    let uncached = http::posts(bare.address, &request, CONNECTIONS, SECONDS).await;
    let constant = Constant::start(&answer.body).await;
    let limit = http::posts(constant.address, &post("/", &[], &body), CONNECTIONS, SECONDS).await;
    constant.stop();
    let rsa = rsa_on_all_cores();
    for (what, ours, goal) in
        [("validate, cached", &cached, "0.5"), ("validate, no cache", &uncached, "0.3")]
    {
        figure(what, &ours.to_string(), &limit.beside("constant handler", ours, Some(goal)));
    }
    // A handler that did nothing but answer and verify would share the cores between the two.
    let most = 1.0 / (1.0 / limit.rate + 1.0 / rsa);
    figure(
        "",
        &format!("{rsa:.0} RSA /s"),
        &format!(
            "bare, all cores at once: at most {most:.0} /s beside the constant handler ({:.2} of it); ours is {:.2} of that",
            most / limit.rate,
            uncached.rate / most
        ),
    );
}

/// RSA-3072 verifications a second, on every core at once.
fn rsa_on_all_cores() -> f64 {
    let signer = MemorySigner::generate().expect("a key");
    let trust = TrustSet::from_keys("bench", [signer.public_key().clone()]).expect("a trust set");
    let message = [7; 2048];
    let signature = signer.sign(&message).expect("a signature");
    let key = trust.key(signer.public_key().kid()).expect("the key");
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let began = Instant::now();
    let until = began + Duration::from_secs(SECONDS);
    let count = || {
        let mut count = 0_u64;
        while Instant::now() < until {
            assert!(key.verifies(black_box(&message), black_box(&signature)));
            count += 1;
        }
        count
    };
    let total: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(count)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a count")).sum()
    });
    total as f64 / began.elapsed().as_secs_f64()
}

fn post(path: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let headers: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// An instance that sends heartbeats.
struct Speaker {
    key: InstanceKey,
    instance: InstanceId,
    seq: u64,
    nonce: String,
}

fn key(number: usize) -> InstanceKey {
    let mut seed = Zeroizing::new([3; 32]);
    seed[..8].copy_from_slice(&(number as u64).to_be_bytes());
    InstanceKey::from_seed(&seed)
}

impl Speaker {
    fn call(
        &mut self,
        purpose: Purpose,
        path: &str,
        body: &str,
        instance: Option<InstanceId>,
    ) -> Vec<u8> {
        self.seq += 1;
        let proof = Proof {
            aud: StatementKind::Proof.audience().into(),
            key: *self.key.public(),
            instance,
            purpose,
            seq: self.seq,
            nonce: self.nonce.clone(),
            jti: String::new(),
            iat: Timestamp::now(),
            body: Digest::sha256(body.as_bytes()),
        };
        let proof = instance::sign(&proof, &self.key).expect("its own key");
        post(path, &[("tenure-proof", &proof)], body)
    }

    fn beat(&mut self) -> Vec<u8> {
        let body = r#"{"usage_stats":{"teams":"4","users":"31"},"revision":1,"epoch":0}"#;
        self.call(Purpose::Heartbeat, "/api/v1/heartbeat", body, Some(self.instance))
    }

    fn heard(&mut self, answer: &str) {
        self.nonce = member(answer, "nonce");
    }

    async fn activate(number: usize, licensed: &Licensed, connection: &mut Connection) -> Self {
        let instance = InstanceId::from_uuid(Uuid::nil());
        let mut speaker = Self { key: key(number), instance, seq: 0, nonce: "first".into() };
        let body = json!({ "license_key": licensed.key }).to_string();
        let request = speaker.call(Purpose::Activate, "/api/v1/activate", &body, None);
        let answer = connection.send(&request).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        speaker.instance = member(&answer.body, "instance").parse().expect("an id");
        speaker.heard(&answer.body);
        speaker
    }
}

/// A text member of a flat JSON answer, without reading the rest.
fn member(json: &str, name: &str) -> String {
    let rest = json.split_once(&format!("\"{name}\":\"")).expect("the member").1;
    rest.split('"').next().unwrap_or_default().to_owned()
}

/// Signed heartbeats, durable, against a transaction that updates one row of the same table.
pub(crate) async fn heartbeats(serve: &Serve, admin_url: &str, licensed: &Licensed) {
    // One by the service, to know that it is the real thing; the others as rows, because
    // activations are limited by address.
    let mut connection = Connection::open(serve.address).await;
    let mut speakers = vec![Speaker::activate(0, licensed, &mut connection).await];
    let mut conn = PgConnection::connect(admin_url).await.expect("the cluster answers");
    let (rows, others) = instances(licensed, 1, INSTANCES - 1, 1);
    copy(&mut conn, &rows).await;
    speakers.extend(others);
    let ours = speak(serve.address, speakers).await;
    let bare = bare_updates(admin_url, licensed.tenant).await;
    figure(
        "heartbeats",
        &ours.to_string(),
        &bare.beside("bare update transactions", &ours, Some("0.5")),
    );
}

/// Every speaker in turn, for a while, over [`CONNECTIONS`].
async fn speak(address: SocketAddr, speakers: Vec<Speaker>) -> Timing {
    let mut shares: Vec<Vec<Speaker>> = (0..CONNECTIONS).map(|_| Vec::new()).collect();
    for (index, speaker) in speakers.into_iter().enumerate() {
        shares[index % CONNECTIONS].push(speaker);
    }
    let began = Instant::now();
    let until = began + Duration::from_secs(SECONDS);
    let tasks = shares.into_iter().map(|mut share| {
        tokio::spawn(async move {
            let mut connection = Connection::open(address).await;
            let mut times = Vec::new();
            'time: loop {
                for speaker in &mut share {
                    if Instant::now() >= until {
                        break 'time;
                    }
                    let request = speaker.beat();
                    let sent = Instant::now();
                    let answer = connection.send(&request).await;
                    times.push(sent.elapsed());
                    assert_eq!(answer.status, 200, "{}", answer.body);
                    speaker.heard(&answer.body);
                }
            }
            times
        })
    });
    let mut all = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        all.extend(task.await.expect("a sender"));
    }
    Timing::of(all, began.elapsed())
}

/// `BEGIN; UPDATE one row; COMMIT` on the same table, from as many connections, by a superuser.
async fn bare_updates(admin_url: &str, tenant: Uuid) -> Timing {
    let mut conn = PgConnection::connect(admin_url).await.expect("the cluster answers");
    let ids: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM instances WHERE tenant_id = $1")
        .bind(tenant)
        .fetch_all(&mut conn)
        .await
        .expect("instances");
    let began = Instant::now();
    let until = began + Duration::from_secs(SECONDS);
    let mut tasks = Vec::new();
    for worker in 0..CONNECTIONS {
        let mut conn = PgConnection::connect(admin_url).await.expect("the cluster answers");
        let mine: Vec<Uuid> = ids.iter().copied().skip(worker).step_by(CONNECTIONS).collect();
        tasks.push(tokio::spawn(async move {
            let mut times = Vec::new();
            for id in mine.iter().cycle() {
                if Instant::now() >= until {
                    break;
                }
                let sent = Instant::now();
                sqlx::raw_sql("BEGIN").execute(&mut conn).await.expect("a transaction");
                sqlx::query(
                    "UPDATE instances SET seq = seq + 1, last_seen_at = $3
                     WHERE tenant_id = $1 AND id = $2",
                )
                .bind(tenant)
                .bind(id)
                .bind(jiff_sqlx::Timestamp::from(Timestamp::now()))
                .execute(&mut conn)
                .await
                .expect("an update");
                sqlx::raw_sql("COMMIT").execute(&mut conn).await.expect("durable");
                times.push(sent.elapsed());
            }
            times
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.expect("a worker"));
    }
    Timing::of(all, began.elapsed())
}

/// The agent beside a product: what it costs the customer's machine.
pub(crate) async fn agent(serve: &Serve, dir: &std::path::Path, licensed: &Licensed) {
    let path = "/.well-known/tenure/incidentfox/jwks.json";
    let jwks = Connection::open(serve.address).await.get(path, "").await.body;
    let Some(agent) = Agent::start(dir, serve.address, &jwks, &licensed.key).await else {
        return figure("agent", "left out", "set TENURE_AGENT_BIN");
    };
    let mut connection = Connection::open(agent.address()).await;
    for _ in 0..100 {
        connection.get("/health", "").await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = agent.cpu_ticks();
    tokio::time::sleep(IDLE).await;
    let ticks = agent.cpu_ticks() - before;
    figure("agent, resident", &format!("{:.1} MB", agent.resident_mb()), "goal under 15 MB");
    let percent = ticks as f64 / IDLE.as_secs_f64();
    figure("agent, idle", &format!("{percent:.2} % of a core"), "over half a minute");
    agent.stop();
}

/// A hundred thousand instances on one server: their heartbeats, and its memory.
pub(crate) async fn many(serve: &Serve, admin_url: &str) {
    let mut conn = PgConnection::connect(admin_url).await.expect("the cluster answers");
    let mut speakers = Vec::with_capacity(MANY_SPEAKING);
    for number in 0..MANY_LICENSES {
        let licensed = licensed(serve, &format!("Many {number}")).await;
        let count = MANY / MANY_LICENSES;
        let first = 1_000_000 + number * count;
        let (rows, some) = instances(&licensed, first, count, MANY / MANY_SPEAKING);
        copy(&mut conn, &rows).await;
        speakers.extend(some);
    }
    sqlx::raw_sql("ANALYZE instances").execute(&mut conn).await.expect("statistics");
    let ours = speak(serve.address, speakers).await;
    figure(
        "heartbeats, 100,000 known",
        &ours.to_string(),
        &format!(
            "{MANY_SPEAKING} of them speak; resident {:.1} MB; at 5 min each they need 333 /s",
            serve.resident_mb()
        ),
    );
}

async fn copy(conn: &mut PgConnection, rows: &str) {
    let statement = "COPY instances (tenant_id, id, license_id, public_key, name, status, held_until, \
                     last_seen_at, created_at) FROM STDIN";
    let mut sink = conn.copy_in_raw(statement).await.expect("COPY");
    sink.send(rows.as_bytes()).await.expect("rows");
    sink.finish().await.expect("all rows");
}

/// So many instances, by keys from `first` on: rows as `COPY` takes them, and each `every`th
/// as a speaker.
fn instances(
    licensed: &Licensed,
    first: usize,
    count: usize,
    every: usize,
) -> (String, Vec<Speaker>) {
    use std::fmt::Write;
    let now = Timestamp::now();
    let until = now + jiff::SignedDuration::from_hours(24);
    let (mut rows, mut some) = (String::new(), Vec::with_capacity(count / every + 1));
    for n in 0..count {
        let key = key(first + n);
        let id = InstanceId::new(now);
        writeln!(
            rows,
            "{}\t{}\t{}\t\\\\x{}\thost-{n}\tactive\t{until}\t{now}\t{now}",
            licensed.tenant,
            id.uuid(),
            licensed.license,
            hex::encode(key.public().as_bytes()),
        )
        .expect("a string takes everything");
        if n % every == 0 {
            some.push(Speaker { key, instance: id, seq: 0, nonce: "first".into() });
        }
    }
    (rows, some)
}
