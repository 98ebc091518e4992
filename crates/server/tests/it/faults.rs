//! What goes wrong around a server, and what it does then.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::json;
use tenure_server::{
    Config, MIGRATOR, Server,
    vault::{Key, Vault},
};
use tenure_tenancy::{
    DbSettings,
    local::{Cluster, Durability},
};
use tenure_testkit::TestDatabase;

use crate::harness::{ADMIN, TestServer, WIDGET, vault};

/// Longer than any promise made here; for polling only.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory that the user of PostgreSQL can reach too.
struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("tenure-faults-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        Self(dir)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn settings(url: &str, vault: &Vault) -> DbSettings {
    DbSettings {
        url: url.to_owned(),
        owner_url: None,
        secret: vault.roles().clone(),
        connections_max: 4,
    }
}

fn config() -> Config {
    Config {
        listen: ([127, 0, 0, 1], 0).into(),
        admin_token: Some(ADMIN.to_owned()),
        ..Config::default()
    }
}

/// Why a server does not start there; panics when it does.
async fn refusal(config: Config, settings: DbSettings, vault: Vault) -> String {
    match Server::start(config, settings, vault).await {
        Ok(_) => panic!("the server started"),
        Err(error) => error.to_string(),
    }
}

fn another_vault() -> Vault {
    Vault::new(&Key::from_slice(&[8; 32]).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_and_comes_back_needs_no_restart() {
    let home = Home::new("outage");
    let cluster = Cluster::start(&home.0, Durability::None).expect("a cluster");
    let url = cluster.url().to_owned();
    let database = TestDatabase { settings: settings(&url, &vault()), admin_url: url.clone() };
    let test = TestServer::on(database, Config::default()).await;
    test.load(WIDGET).await;
    let (_, key) = test.client("Acme", "pro").await;

    // This PostgreSQL has real passwords: the roles of another installation are refused.
    let foreign = refusal(config(), settings(&url, &another_vault()), another_vault()).await;
    assert!(foreign.contains("another master key"), "{foreign}");
    assert!(foreign.contains("TENURE_MASTER_KEY_FILE"), "{foreign}");

    cluster.stop();
    let down = Instant::now();
    loop {
        let ready = test.get("", "/readyz").await;
        if ready.status == 503 {
            break;
        }
        assert!(down.elapsed() < PATIENCE, "readyz still says {}", ready.status);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    test.get("", "/healthz").await.expect(200);
    // Past the bound of caches, every request says come back.
    tokio::time::sleep(tenure_server::cache::STALE_MAX + Duration::from_millis(100)).await;
    for (token, path) in [(ADMIN, "/api/v1/admin/tenants"), (key.as_str(), "/api/v1/entitlements")]
    {
        let answer = test.get(token, path).await;
        assert_eq!(answer.status, 503, "{}", answer.text);
        assert!(answer.header("retry-after").is_some(), "{:?}", answer.headers);
        assert_eq!(answer.json["type"], "urn:tenure:problem:unavailable");
    }
    let write = test.post(ADMIN, "/admin/clients", json!({"name": "Lost", "plan": "pro"})).await;
    assert_eq!(write.status, 503, "{}", write.text);

    let cluster = Cluster::start(&home.0, Durability::None).expect("the cluster again");
    let up = Instant::now();
    while test.get("", "/readyz").await.status != 200 {
        assert!(up.elapsed() < PATIENCE, "the server did not find its database again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    test.get(&key, "/api/v1/entitlements").await.expect(200);
    let all = test.get(ADMIN, "/api/v1/admin/tenants").await.expect(200);
    assert_eq!(all["items"].as_array().unwrap().len(), 1, "the refused client was not made");
    test.stop().await;
    cluster.stop();
}

/// Polls until `seen` holds; the stated bound is one second, the machine may be slow.
async fn soon(what: &str, mut seen: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !seen().await {
        assert!(began.elapsed() < PATIENCE, "{what} was never seen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_one_server_changes_another_sees() {
    let one = TestServer::start().await;
    let (client, key) = one.client("Acme", "starter").await;
    let database = TestDatabase {
        settings: one.database.settings.clone(),
        admin_url: one.database.admin_url.clone(),
    };
    let two = TestServer::on(database, Config::default()).await;
    let before = two.get(&key, "/api/v1/entitlements").await.expect(200);
    assert_eq!(before["plan"], "starter");

    let base = format!("/api/v1/admin/tenants/{client}");
    let all = one.get(ADMIN, &format!("{base}/subscriptions")).await.expect(200);
    let path = format!("{base}/subscriptions/{}/move", all["items"][0]["id"].as_str().unwrap());
    one.post(ADMIN, &path, json!({"plan": "pro"})).await.expect(200);
    soon("the new plan", async || {
        two.get(&key, "/api/v1/entitlements").await.json["plan"] == "pro"
    })
    .await;

    let keys = one.get(ADMIN, &format!("{base}/keys")).await.expect(200);
    let path = format!("{base}/keys/{}", keys["items"][0]["id"].as_str().unwrap());
    one.delete(ADMIN, &path).await.expect(200);
    assert_eq!(
        one.get(&key, "/api/v1/entitlements").await.status,
        401,
        "at once where it was done"
    );
    soon("the revocation", async || two.get(&key, "/api/v1/entitlements").await.status == 401)
        .await;
}

#[tokio::test]
async fn a_migration_that_fails_says_so_and_leaves_no_half_step() {
    let database = TestDatabase::empty().await;
    let mut admin = database.admin().await;
    // Somebody else's table stands where step 4 makes one.
    sqlx::raw_sql("CREATE TABLE contracts (mine int)").execute(&mut admin).await.unwrap();
    let settings = settings(&database.admin_url, &vault());
    let error = refusal(config(), settings.clone(), vault()).await;
    assert!(error.contains("nothing was changed by the step that failed"), "{error}");
    assert!(error.contains("contracts"), "{error}");
    let made = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class
        WHERE relname IN ('tenants', 'subscriptions', 'deployments')";
    let row = sqlx::raw_sql(made).fetch_one(&mut admin).await.unwrap();
    let made: String = sqlx::Row::get(&row, 0);
    assert_eq!(made, "tenants", "whole steps before it stand, nothing of the step itself");
    // Out of the way, the next start goes on from there.
    sqlx::raw_sql("DROP TABLE contracts").execute(&mut admin).await.unwrap();
    let started = Server::start(config(), settings, vault()).await.expect("it starts");
    started.server.stop().await;
}

#[tokio::test]
async fn another_master_key_is_refused() {
    let database = TestServer::start().await.stop().await;
    let error =
        refusal(config(), settings(&database.admin_url, &another_vault()), another_vault()).await;
    assert!(error.contains("TENURE_MASTER_KEY_FILE") || error.contains("master key"), "{error}");
    // With its own key it starts.
    TestServer::on(database, Config::default()).await.stop().await;
}

#[tokio::test]
async fn a_database_whose_clock_was_moved_never_serves_in_earnest() {
    let testing = Config { test_clock: true, ..Config::default() };
    let database = TestServer::empty().await.stop().await;
    let test = TestServer::on(database, testing.clone()).await;
    let to = json!({"now": "2026-06-01T00:00:00Z"});
    test.post(ADMIN, "/api/v1/admin/clock", to.clone()).await.expect(200);
    let database = test.stop().await;
    let error = refusal(config(), settings(&database.admin_url, &vault()), vault()).await;
    assert!(error.contains("TENURE_TEST_CLOCK=1"), "{error}");
    TestServer::on(database, testing).await.stop().await;
    // And a server on real time does not move it.
    let earnest = TestServer::empty().await;
    let problem = earnest.post(ADMIN, "/api/v1/admin/clock", to).await.expect(409);
    assert_eq!(problem["type"], "urn:tenure:problem:not-a-test-clock");
}

#[tokio::test]
async fn a_new_test_database_begins_where_it_is_told_and_its_clock_only_goes_forward() {
    let clock = "/api/v1/admin/clock";
    let begins = |start: &str| Config {
        test_clock: true,
        test_clock_start: Some(start.parse().unwrap()),
        ..Config::default()
    };
    let database = TestDatabase::create(&MIGRATOR).await;
    let test = TestServer::on(database, begins("2025-03-01T00:00:00Z")).await;
    assert_eq!(test.get(ADMIN, clock).await.expect(200)["now"], "2025-03-01T00:00:00Z");
    let made = test.post(ADMIN, "/api/v1/admin/tenants", json!({ "name": "Acme" })).await;
    assert_eq!(made.expect(201)["created_at"], "2025-03-01T00:00:00Z");
    let back = json!({ "now": "2025-02-28T23:59:59Z" });
    test.post(ADMIN, clock, back).await.expect(422);
    let on = json!({ "now": "2025-06-01T00:00:00Z" });
    test.post(ADMIN, clock, on.clone()).await.expect(200);
    // Another start says nothing to a database that is there, whether it is later or earlier, and
    // without one it goes on as well.
    let mut database = test.stop().await;
    let others = [begins("2025-09-01T00:00:00Z"), begins("2024-01-01T00:00:00Z")];
    for config in others.into_iter().chain([Config { test_clock: true, ..Config::default() }]) {
        let test = TestServer::on(database, config).await;
        assert_eq!(test.get(ADMIN, clock).await.expect(200), on);
        database = test.stop().await;
    }
    // It is a test database for ever, also when its clock has come to the machine's time.
    let test = TestServer::on(database, begins("2025-03-01T00:00:00Z")).await;
    let present = json!({ "now": test.clock_now() });
    test.post(ADMIN, clock, present.clone()).await.expect(200);
    assert_eq!(test.get(ADMIN, clock).await.expect(200), present);
    let database = test.stop().await;
    let error = refusal(config(), settings(&database.admin_url, &vault()), vault()).await;
    assert!(error.contains("TENURE_TEST_CLOCK=1"), "{error}");
}

#[tokio::test]
async fn servers_that_start_together_agree_where_the_clock_begins() {
    let database = TestDatabase::create(&MIGRATOR).await;
    let start = |start: &str| {
        let config =
            Config { test_clock: true, test_clock_start: Some(start.parse().unwrap()), ..config() };
        Server::start(config, settings(&database.admin_url, &vault()), vault())
    };
    let (one, other) = tokio::join!(start("2025-03-01T00:00:00Z"), start("2025-07-01T00:00:00Z"));
    let (one, other) = (one.unwrap().server, other.unwrap().server);
    let apart = one.app().now().duration_since(other.app().now()).abs();
    assert!(apart < jiff::SignedDuration::from_hours(1), "{apart}");
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn a_start_for_a_clock_that_is_real_is_refused_before_anything_is_touched() {
    let start = Some("2025-03-01T00:00:00Z".parse().unwrap());
    let database = TestDatabase::create(&MIGRATOR).await;
    let wrong = Config { test_clock_start: start, ..config() };
    let error = refusal(wrong, settings(&database.admin_url, &vault()), vault()).await;
    assert!(error.contains("TENURE_TEST_CLOCK_START"), "{error}");
    // The database may still become one that serves in earnest.
    let earnest = TestServer::on(database, Config::default()).await;
    let on = json!({ "now": "2027-01-01T00:00:00Z" });
    earnest.post(ADMIN, "/api/v1/admin/clock", on).await.expect(409);
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("master.key");
    Vault::load_or_create(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = Vault::load_or_create(&path).err().unwrap().to_string();
    assert!(error.contains("chmod 600"), "{error}");
}
