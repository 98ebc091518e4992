//! Speed of the foundation, each figure beside the limit it is measured against,
//! in one run: `scripts/bench`.
//!
//! Everything is real: the release binary as a process of its own, HTTP over
//! loopback, a private PostgreSQL that reaches the disk at every commit. The
//! load comes from this process, on the same machine. Words on the command line
//! ([`PARTS`]) leave the other parts out: `cargo bench ... -- validate heartbeats`.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "the limit is raw SQL by an administrator; the figures go to standard output"
)]

mod close;
mod http;
mod licensing;
mod limits;
mod process;
mod quotas;
mod usage;

use std::time::{Duration, Instant};

use http::Connection;
use process::Serve;
use serde_json::json;
use tenure_tenancy::local::{Cluster, Durability};

const TENANTS: usize = 600;
const READ_SECONDS: u64 = 4;
const READERS: usize = 8;

/// What is measured, in this order.
const PARTS: [&str; 9] = [
    "tenants",
    "ingestion",
    "quotas",
    "entitlements",
    "validate",
    "heartbeats",
    "agent",
    "many",
    "close",
];

/// Whether a part was asked for; all are where none is named.
fn wanted(part: &str) -> bool {
    let named: Vec<String> =
        std::env::args().filter(|word| PARTS.contains(&word.as_str())).collect();
    named.is_empty() || named.iter().any(|name| name == part)
}

fn main() {
    if std::env::args().any(|argument| argument == "--constant-server") {
        return limits::constant_server();
    }
    // `cargo test --benches` only wants to know that this compiles and starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(run());
}

async fn run() {
    println!("{}", machine());
    let dir = tempfile::Builder::new().prefix("tenure-bench-").tempdir().expect("a directory");
    process::let_others_pass(dir.path());
    let cluster = Cluster::start(&dir.path().join("pg"), Durability::Full).expect("PostgreSQL");
    let data = dir.path().join("data");

    // The first start migrates; the second is the one that operators see.
    Serve::start(&data, cluster.url()).await.stop();
    let serve = Serve::start(&data, cluster.url()).await;
    if let Some(millions) = growth_wanted() {
        usage::growth(&serve, cluster.url(), millions).await;
        serve.stop();
        return cluster.stop();
    }
    figure(
        "start to ready",
        &format!("{} ms", serve.ready_after.as_millis()),
        "goal under 1,000 ms",
    );
    tokio::time::sleep(Duration::from_secs(3)).await;
    figure("resident when idle", &format!("{:.1} MB", serve.resident_mb()), "goal under 50 MB");

    if wanted("tenants") {
        tenants(&serve, cluster.url()).await;
    }
    if wanted("ingestion") {
        usage::lanes(&serve, cluster.url()).await;
    }
    if wanted("quotas") {
        quotas::reservations(&serve, cluster.url()).await;
    }
    if wanted("entitlements") {
        entitlements(&serve).await;
    }
    licenses(&serve, &data, cluster.url()).await;
    figure("resident after the load", &format!("{:.1} MB", serve.resident_mb()), "");
    serve.stop();
    if wanted("close") {
        close::months(&data, cluster.url()).await;
    }
    cluster.stop();
}

/// `--growth N`: to how many million events.
fn growth_wanted() -> Option<usize> {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--growth");
    arguments.next()?;
    Some(arguments.next().and_then(|text| text.parse().ok()).expect("--growth MILLIONS"))
}

fn figure(what: &str, ours: &str, limit: &str) {
    println!("{what:<28} {ours:>22}   {limit}");
}

fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{model}, {cores} cores, {}", jiff::Zoned::now().strftime("%Y-%m-%d %H:%M %Z"))
}

/// A client made over HTTP, against a bare transaction with the same inserts.
async fn tenants(serve: &Serve, admin_url: &str) {
    let mut connection = Connection::open(serve.address).await;
    let body = |n: usize| {
        json!({ "name": format!("Bench {n}"), "product": "kg-rca", "plan": "pro" }).to_string()
    };
    for n in 0..50 {
        connection.post("/admin/clients", process::ADMIN, "application/json", &body(n)).await;
    }
    let began = Instant::now();
    for n in 50..50 + TENANTS {
        let answer =
            connection.post("/admin/clients", process::ADMIN, "application/json", &body(n)).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
    }
    let ours = began.elapsed() / u32::try_from(TENANTS).unwrap_or(1);
    let bare = limits::bare_tenant_inserts(admin_url, TENANTS).await;
    figure(
        "tenant creation",
        &format!("{:.2} ms", ours.as_secs_f64() * 1e3),
        &format!(
            "bare transaction {:.2} ms, ratio {:.2} (at most 2)",
            bare.as_secs_f64() * 1e3,
            ours.as_secs_f64() / bare.as_secs_f64()
        ),
    );
}

/// Entitlement reads, against a handler that returns a constant.
async fn entitlements(serve: &Serve) {
    let key = client(serve, "Reader", "pro").await;
    let mut connection = Connection::open(serve.address).await;
    let body = connection.get("/api/v1/entitlements", &key).await;
    assert_eq!(body.status, 200, "{}", body.body);
    let ours =
        http::reads(serve.address, "/api/v1/entitlements", &key, READERS, READ_SECONDS).await;
    let constant = process::Constant::start(&body.body).await;
    let limit = http::reads(constant.address, "/", &key, READERS, READ_SECONDS).await;
    constant.stop();
    figure(
        "entitlement reads",
        &ours.to_string(),
        &limit.beside("constant handler", &ours, Some("0.5")),
    );
}

/// The license service; the second server differs in having no cache of verified tokens.
async fn licenses(serve: &Serve, data: &std::path::Path, admin_url: &str) {
    let customer = licensing::licensed(serve, "Licensed").await;
    if wanted("validate") {
        let bare = Serve::start_with(data, admin_url, &[("TENURE_VERIFIED_TOKENS_MAX", "0")]).await;
        licensing::validate(serve, &bare, &customer).await;
        bare.stop();
    }
    if wanted("heartbeats") {
        licensing::heartbeats(serve, admin_url, &customer).await;
    }
    if wanted("agent") {
        licensing::agent(serve, data, &licensing::licensed(serve, "Agent").await).await;
    }
    if wanted("many") {
        licensing::many(serve, admin_url).await;
    }
}

/// The key of a customer whose subscription began yesterday, so that events of
/// the last minutes are its own.
async fn client(serve: &Serve, name: &str, plan: &str) -> String {
    let mut connection = Connection::open(serve.address).await;
    let yesterday = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24);
    let tenant = made(&mut connection, "/api/v1/admin/tenants", json!({ "name": name })).await;
    let path = format!("/api/v1/admin/tenants/{}", tenant["id"].as_str().expect("an id"));
    let wanted = json!({ "product": "kg-rca", "plan": plan, "starts_at": yesterday });
    let sold = made(&mut connection, &format!("{path}/subscriptions"), wanted).await;
    let wanted = json!({ "subscription": sold["id"] });
    let key = made(&mut connection, &format!("{path}/keys"), wanted).await;
    key["api_key"].as_str().expect("a key").to_owned()
}

async fn made(
    connection: &mut Connection,
    path: &str,
    body: serde_json::Value,
) -> serde_json::Value {
    let body = body.to_string();
    let answer = connection.post(path, process::ADMIN, "application/json", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    serde_json::from_str(&answer.body).expect("JSON")
}
