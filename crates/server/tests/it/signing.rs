//! `/api/v1/admin/products/{product}/signing-keys`: which key signs, what is
//! published, keys in files and keys in a security module.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tenure_license::{LicenseClaims, Signer, TrustSet, token};
use tenure_server::{
    Config, MIGRATOR,
    products::signing::pkcs11::{Module, ModuleSigner, Settings},
};
use tenure_testkit::TestDatabase;

use crate::{
    harness::{ADMIN, TestServer},
    softhsm::{self, PIN, Token},
};

const KEYS: &str = "/api/v1/admin/products/incidentfox/signing-keys";
const LICENSES: &str = "/api/v1/admin/tenants/acme/licenses";
const JWKS: &str = "/.well-known/tenure/incidentfox/jwks.json";
const PASSPHRASE: &str = "correct horse battery staple";

async fn sold(test: &TestServer) -> String {
    test.subscribe("acme", json!({ "product": "incidentfox", "plan": "professional" })).await
}

async fn professional() -> (TestServer, String) {
    let test = TestServer::with_product(&["incidentfox"]).await;
    let subscription = sold(&test).await;
    (test, subscription)
}

/// Another server on the same database.
async fn beside(test: &TestServer) -> TestServer {
    let database = TestDatabase {
        settings: test.database.settings.clone(),
        admin_url: test.database.admin_url.clone(),
    };
    TestServer::on(database, Config::default()).await
}

async fn issue(test: &TestServer, subscription: &str) -> Value {
    test.post(ADMIN, LICENSES, json!({ "subscription": subscription })).await.expect(201)
}

async fn renew(test: &TestServer, issued: &Value) -> Value {
    let path = format!("{LICENSES}/{}/renew", issued["license"]["id"].as_str().unwrap());
    test.post(ADMIN, &path, json!({})).await.expect(201)
}

async fn published(test: &TestServer) -> TrustSet {
    TrustSet::from_published_jwks(&test.get("", JWKS).await.text).expect("a key set")
}

/// Which key signed a license, when it verifies with the published keys.
async fn signed_by(test: &TestServer, issued: &Value) -> Option<String> {
    let keys = published(test).await;
    let license = token::verify::<LicenseClaims>(issued["token"].as_str().unwrap(), &keys);
    license.ok().map(|license| license.kid().to_owned())
}

/// The product's keys as `status kid`, in their order.
async fn listed(test: &TestServer) -> Vec<(String, String)> {
    let list = test.get(ADMIN, KEYS).await.expect(200);
    let text = |key: &Value, name: &str| key[name].as_str().unwrap().to_owned();
    let items = list["items"].as_array().unwrap();
    items.iter().map(|key| (text(key, "status"), text(key, "kid"))).collect()
}

async fn active(test: &TestServer) -> String {
    let all = listed(test).await;
    all.into_iter().find(|(status, _)| status == "active").expect("one is active").1
}

fn at(key: &Value, action: &str) -> String {
    format!("{KEYS}/{}/{action}", key["id"].as_str().unwrap())
}

async fn key_of(test: &TestServer, kid: &str) -> Value {
    let list = test.get(ADMIN, KEYS).await.expect(200);
    list["items"].as_array().unwrap().iter().find(|key| key["kid"] == kid).unwrap().clone()
}

async fn trail(test: &TestServer) -> Vec<String> {
    let entries = test.get(ADMIN, "/api/v1/admin/audit").await.expect(200);
    let items = entries["items"].as_array().unwrap();
    items.iter().map(|entry| entry["action"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_scheduled_key_is_published_at_once_and_signs_from_its_moment() {
    let (test, subscription) = professional().await;
    let first = active(&test).await;
    let body = json!({ "activate_at": "2026-03-15T00:00:00Z" });
    let next = test.post(ADMIN, KEYS, body.clone()).await.expect(201);
    assert_eq!((&next["status"], &next["backend"]), (&json!("scheduled"), &json!("sealed")));
    let kid = next["kid"].as_str().unwrap().to_owned();
    let both = [("active".to_owned(), first.clone()), ("scheduled".to_owned(), kid.clone())];
    assert_eq!(listed(&test).await, both);
    // A product that is released today with these keys knows tomorrow's.
    let embedded = published(&test).await;
    assert!(embedded.key(&kid).is_some() && embedded.key(&first).is_some());

    let early = issue(&test, &subscription).await;
    assert_eq!(signed_by(&test, &early).await.as_deref(), Some(first.as_str()));
    test.advance_to("2026-03-14T23:59:59Z");
    let early = renew(&test, &early).await;
    assert_eq!(signed_by(&test, &early).await.as_deref(), Some(first.as_str()));

    test.advance_to("2026-03-15T00:00:00Z");
    let late = renew(&test, &early).await;
    assert_eq!(signed_by(&test, &late).await.as_deref(), Some(kid.as_str()));
    assert!(token::verify::<LicenseClaims>(late["token"].as_str().unwrap(), &embedded).is_ok());
    assert!(signed_by(&test, &early).await.is_some(), "what the old key signed verifies");
    assert_eq!(listed(&test).await, [("active".into(), kid), ("retired".into(), first)]);
}

#[tokio::test]
async fn one_key_waits_at_a_time_and_moments_are_checked() {
    let (test, _) = professional().await;
    for wrong in ["2026-03-01T00:00:00Z", "2025-01-01T00:00:00Z", "2028-01-01T00:00:00Z"] {
        let problem = test.post(ADMIN, KEYS, json!({ "activate_at": wrong })).await.expect(422);
        assert_eq!(problem["errors"][0]["pointer"], "/activate_at");
    }
    let later = json!({ "activate_at": "2026-04-01T00:00:00Z" });
    let next = test.post(ADMIN, KEYS, later.clone()).await.expect(201);
    let problem = test.post(ADMIN, KEYS, later.clone()).await.expect(409);
    assert_eq!(problem["type"], "urn:tenure:problem:signing-key-scheduled");
    assert!(problem["detail"].as_str().unwrap().contains(next["id"].as_str().unwrap()));
    // An emergency does not wait for it.
    let now = test.post(ADMIN, &format!("{KEYS}/rotate"), json!({})).await.expect(201);
    assert_eq!(active(&test).await, now["kid"]);
    // What is not wanted any more signed nothing, and goes without ado.
    test.post(ADMIN, &at(&next, "withdraw"), json!({})).await.expect(200);
    test.post(ADMIN, KEYS, later).await.expect(201);
}

#[tokio::test]
async fn a_key_is_withdrawn_only_when_no_license_in_force_lives_by_it() {
    let (test, subscription) = professional().await;
    let issued = issue(&test, &subscription).await;
    let old = key_of(&test, &active(&test).await).await;
    let problem = test.post(ADMIN, &at(&old, "withdraw"), json!({})).await.expect(409);
    assert_eq!(problem["type"], "urn:tenure:problem:signing-key-active");
    test.post(ADMIN, &format!("{KEYS}/rotate"), json!({})).await.expect(201);

    let problem = test.post(ADMIN, &at(&old, "withdraw"), json!({})).await.expect(409);
    assert_eq!(problem["type"], "urn:tenure:problem:signing-key-in-use");
    let (detail, license) = (problem["detail"].as_str().unwrap(), &issued["license"]["id"]);
    let named = format!(
        "1 license in force would not verify any more: {} of acme.",
        license.as_str().unwrap()
    );
    assert!(detail.starts_with(&named), "{detail}");

    let renewed = renew(&test, &issued).await;
    let gone = test.post(ADMIN, &at(&old, "withdraw"), json!({})).await.expect(200);
    assert_eq!(
        (&gone["key"]["status"], &gone["licenses_to_renew"]),
        (&json!("withdrawn"), &json!(0))
    );
    assert!(published(&test).await.key(old["kid"].as_str().unwrap()).is_none());
    assert_eq!(signed_by(&test, &issued).await, None);
    assert!(signed_by(&test, &renewed).await.is_some());

    let problem = test.post(ADMIN, &at(&old, "withdraw"), json!({})).await.expect(409);
    assert_eq!(problem["type"], "urn:tenure:problem:signing-key-withdrawn");
    let sql = "SELECT count(*) FROM signing_keys WHERE withdrawn_at IS NOT NULL AND sealed_private IS NULL";
    let wiped: i64 =
        sqlx::query_scalar(sql).fetch_one(&mut test.database.admin().await).await.unwrap();
    assert_eq!(wiped, 1, "a withdrawn key has no private half any more");
    let trail = trail(&test).await;
    assert!(trail.iter().any(|action| action == "signing_key.withdrawn"), "{trail:?}");
    assert!(trail.iter().any(|action| action == "signing_key.retired"), "{trail:?}");
}

#[tokio::test]
async fn a_key_lives_as_long_as_the_grace_time_of_what_it_signed() {
    let (test, subscription) = professional().await;
    let body = json!({ "subscription": subscription, "expires_at": "2026-04-01T00:00:00Z" });
    test.post(ADMIN, LICENSES, body).await.expect(201);
    let old = key_of(&test, &active(&test).await).await;
    test.post(ADMIN, &format!("{KEYS}/rotate"), json!({})).await.expect(201);
    // Expired, and by the product's policy still running: restricted until day 30.
    test.advance_to("2026-04-30T23:59:59Z");
    test.post(ADMIN, &at(&old, "withdraw"), json!({})).await.expect(409);
    test.advance_to("2026-05-01T00:00:00Z");
    test.post(ADMIN, &at(&old, "withdraw"), json!({})).await.expect(200);
}

#[tokio::test]
async fn a_stolen_key_is_withdrawn_by_force_and_the_answer_says_what_to_renew() {
    let (test, subscription) = professional().await;
    let issued = issue(&test, &subscription).await;
    let old = key_of(&test, &active(&test).await).await;
    test.post(ADMIN, &format!("{KEYS}/rotate"), json!({})).await.expect(201);
    let gone = test.post(ADMIN, &at(&old, "withdraw"), json!({ "force": true })).await.expect(200);
    assert_eq!(gone["licenses_to_renew"], 1);
    assert_eq!(gone["licenses"][0]["license"], issued["license"]["id"]);
    assert_eq!(gone["licenses"][0]["tenant"], "acme");
    assert_eq!(signed_by(&test, &issued).await, None);
    assert!(signed_by(&test, &renew(&test, &issued).await).await.is_some());
}

#[tokio::test]
async fn another_server_signs_with_the_new_key_within_a_second() {
    let (one, subscription) = professional().await;
    let two = beside(&one).await;
    let issued = issue(&two, &subscription).await;
    let new = one.post(ADMIN, &format!("{KEYS}/rotate"), json!({})).await.expect(201);
    let asked = Instant::now();
    loop {
        // Renewing reads the signer through the other server's cache.
        let began = asked.elapsed();
        let renewed = renew(&two, &issued).await;
        if signed_by(&one, &renewed).await.as_deref() == new["kid"].as_str() {
            break;
        }
        assert!(began < Duration::from_secs(1), "{began:?} later it signs with the old key");
    }

    let old = listed(&one).await.into_iter().find(|(status, _)| status == "retired").unwrap().1;
    let old = key_of(&one, &old).await;
    one.post(ADMIN, &at(&old, "withdraw"), json!({})).await.expect(200);
    let set = TrustSet::from_published_jwks(&two.get("", JWKS).await.text).unwrap();
    assert!(set.key(old["kid"].as_str().unwrap()).is_none());
}

#[tokio::test]
async fn a_server_signs_nothing_with_a_withdrawn_key_not_even_before_it_has_heard_of_it() {
    let (one, subscription) = professional().await;
    let two = beside(&one).await;
    let issued = issue(&two, &subscription).await;
    let old = key_of(&one, &active(&one).await).await;
    one.post(ADMIN, &format!("{KEYS}/rotate"), json!({})).await.expect(201);
    one.post(ADMIN, &at(&old, "withdraw"), json!({ "force": true })).await.expect(200);
    assert!(signed_by(&one, &renew(&two, &issued).await).await.is_some());
}

#[tokio::test]
async fn the_published_keys_may_be_cached_and_asked_for_again() {
    let (test, _) = professional().await;
    let first = test.get("", JWKS).await;
    let etag = first.header("etag").expect("an entity tag").to_owned();
    assert_eq!(first.header("cache-control"), Some("public, max-age=300"));
    let again = || {
        let request = test.request(reqwest::Method::GET, "", JWKS);
        test.send(request.header("if-none-match", etag.as_str()))
    };
    let unchanged = again().await;
    assert_eq!((unchanged.status.as_u16(), unchanged.text.as_str()), (304, ""));
    test.post(ADMIN, &format!("{KEYS}/rotate"), json!({})).await.expect(201);
    let changed = again().await;
    assert_eq!(changed.status.as_u16(), 200);
    assert_ne!(changed.header("etag"), Some(etag.as_str()));
}

async fn exported(test: &TestServer, body: Value) -> Value {
    let answer = test.post(ADMIN, &format!("{KEYS}/export"), body).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    answer.expect(200)
}

#[tokio::test]
async fn a_key_moves_to_another_installation_as_a_file_and_signs_there() {
    let (here, subscription) = professional().await;
    let issued = issue(&here, &subscription).await;
    let kid = active(&here).await;
    let file = exported(&here, json!({ "passphrase": PASSPHRASE })).await;
    assert_eq!((&file["product"], &file["kid"]), (&json!("incidentfox"), &json!(kid)));
    assert!(trail(&here).await.iter().any(|action| action == "signing_key.exported"));
    here.stop().await;

    let (there, subscription) = professional().await;
    let fresh = active(&there).await;
    assert_eq!(signed_by(&there, &issued).await, None, "another installation, another key");
    let import = format!("{KEYS}/import");
    let body = json!({ "file": file, "passphrase": PASSPHRASE, "activate": true });
    let key = there.post(ADMIN, &import, body.clone()).await.expect(201);
    assert_eq!((&key["kid"], &key["status"]), (&json!(kid), &json!("active")));
    assert_eq!(signed_by(&there, &issued).await.as_deref(), Some(kid.as_str()));
    let new = issue(&there, &subscription).await;
    assert_eq!(signed_by(&there, &new).await.as_deref(), Some(kid.as_str()));
    assert_eq!(listed(&there).await[1], ("retired".to_owned(), fresh));
    let problem = there.post(ADMIN, &import, body).await.expect(409);
    assert_eq!(problem["type"], "urn:tenure:problem:signing-key-known");
    assert!(trail(&there).await.iter().any(|action| action == "signing_key.imported"));
}

#[tokio::test]
async fn an_imported_key_that_is_not_activated_verifies_and_signs_nothing() {
    let (here, subscription) = professional().await;
    let issued = issue(&here, &subscription).await;
    let file = exported(&here, json!({ "passphrase": PASSPHRASE })).await;
    here.stop().await;
    let (there, subscription) = professional().await;
    let fresh = active(&there).await;
    let body = json!({ "file": file, "passphrase": PASSPHRASE });
    let key = there.post(ADMIN, &format!("{KEYS}/import"), body).await.expect(201);
    assert_eq!(key["status"], "retired");
    assert_eq!(signed_by(&there, &issued).await.as_deref(), key["kid"].as_str());
    assert_eq!(signed_by(&there, &issue(&there, &subscription).await).await, Some(fresh));
}

#[tokio::test]
async fn a_wrong_passphrase_a_changed_file_and_another_product_are_told() {
    let test = TestServer::with_product(&["incidentfox", "meeting-minutes"]).await;
    let export = format!("{KEYS}/export");
    let short = test.post(ADMIN, &export, json!({ "passphrase": "too short" })).await.expect(422);
    assert_eq!(short["errors"][0]["pointer"], "/passphrase");
    let file = exported(&test, json!({ "passphrase": PASSPHRASE })).await;
    let import = async |product: &str, file: &Value, passphrase: &str| {
        let path = format!("/api/v1/admin/products/{product}/signing-keys/import");
        test.post(ADMIN, &path, json!({ "file": file, "passphrase": passphrase })).await
    };
    let told = "The passphrase is wrong, or the file was changed after it was written.";
    let wrong = import("incidentfox", &file, "correct horse battery stable").await.expect(422);
    assert_eq!(wrong["detail"], told);
    let mut changed = file.clone();
    changed["created_at"] = json!("2020-01-01T00:00:00Z");
    let problem = import("incidentfox", &changed, PASSPHRASE).await.expect(422);
    assert_eq!(problem["detail"], told);
    let foreign = import("meeting-minutes", &file, PASSPHRASE).await.expect(422);
    assert_eq!(foreign["errors"][0]["pointer"], "/file/product");
    let mut foreign = file.clone();
    foreign["product"] = json!("meeting-minutes");
    let renamed = import("meeting-minutes", &foreign, PASSPHRASE).await.expect(422);
    assert_eq!(renamed["detail"], told, "a file does not become another product's by its label");
    let mut unknown = file.clone();
    unknown["note"] = json!("nobody vouches for this");
    import("incidentfox", &unknown, PASSPHRASE).await.expect(422);
    let trail = test.get(ADMIN, "/api/v1/admin/audit").await.text;
    assert!(!trail.contains(PASSPHRASE), "{trail}");
}

/// A server whose new signing keys are made in that token.
async fn with_module(token: &Token, database: TestDatabase) -> TestServer {
    let config = Config { pkcs11: Some(token.settings()), ..Config::default() };
    TestServer::on(database, config).await
}

#[test]
fn licenses_are_signed_inside_the_module_and_verify_with_the_published_keys() {
    softhsm::inside(
        "signing::licenses_are_signed_inside_the_module_and_verify_with_the_published_keys",
        async |token| {
            // A key from before the module stays what it was.
            let (before, subscription) = professional().await;
            let issued = issue(&before, &subscription).await;
            let test = with_module(&token, before.stop().await).await;
            let sealed = key_of(&test, &active(&test).await).await;
            assert_eq!(sealed["backend"], "sealed");
            let still = renew(&test, &issued).await;
            assert_eq!(signed_by(&test, &still).await.as_deref(), sealed["kid"].as_str());

            let key = test.post(ADMIN, &format!("{KEYS}/rotate"), json!({})).await.expect(201);
            assert_eq!(key["backend"], "pkcs11");
            let label = key["module_label"].as_str().unwrap();
            assert_eq!(label, format!("tenure incidentfox {}", key["id"].as_str().unwrap()));
            let renewed = renew(&test, &issued).await;
            assert_eq!(signed_by(&test, &renewed).await.as_deref(), key["kid"].as_str());
            assert!(signed_by(&test, &still).await.is_some());

            assert_eq!(token.look_at_an_unguarded_key(), softhsm::Guarded::NONE);
            let private = token.private_keys();
            assert_eq!(
                private,
                [(label.to_owned(), softhsm::Guarded::ALL)],
                "nothing of it comes out"
            );
            let body = json!({ "passphrase": PASSPHRASE });
            let problem = test.post(ADMIN, &format!("{KEYS}/export"), body).await.expect(409);
            assert_eq!(problem["type"], "urn:tenure:problem:signing-key-in-module");
            let sql = "SELECT count(*) FROM signing_keys WHERE backend = 'pkcs11' AND sealed_private IS NULL";
            let rows: i64 =
                sqlx::query_scalar(sql).fetch_one(&mut test.database.admin().await).await.unwrap();
            assert_eq!(rows, 1);

            // A first key of a product, after a restart too.
            let test = with_module(&token, test.stop().await).await;
            let again = renew(&test, &issued).await;
            assert_eq!(signed_by(&test, &again).await.as_deref(), key["kid"].as_str());
            let file = include_str!("../../../../products/meeting-minutes/product.toml");
            test.load(file).await;
            let path = "/api/v1/admin/products/meeting-minutes/signing-keys";
            let list = test.get(ADMIN, path).await.expect(200);
            assert_eq!(list["items"][0]["backend"], "pkcs11");
            assert_eq!(token.private_keys().len(), 2);
        },
    );
}

#[test]
fn a_module_that_lost_the_session_is_logged_in_to_again() {
    softhsm::inside(
        "signing::a_module_that_lost_the_session_is_logged_in_to_again",
        async |token| {
            let test = with_module(&token, TestDatabase::create(&MIGRATOR).await).await;
            test.load(include_str!("../../../../products/incidentfox/product.toml")).await;
            let subscription = sold(&test).await;
            let issued = issue(&test, &subscription).await;
            token.log_everybody_out();
            let renewed = renew(&test, &issued).await;
            assert!(signed_by(&test, &renewed).await.is_some(), "after a logout");
            token.restart_module();
            let renewed = renew(&test, &issued).await;
            assert!(signed_by(&test, &renewed).await.is_some(), "after the module began anew");
        },
    );
}

#[test]
fn many_signatures_at_the_same_time_share_the_sessions_of_the_module() {
    softhsm::inside(
        "signing::many_signatures_at_the_same_time_share_the_sessions_of_the_module",
        async |token| {
            let module = Arc::new(Module::open(token.settings()).unwrap());
            let (key, public) = module.generate(b"at the same time", "many").unwrap();
            let trusted = TrustSet::from_keys("widget", [public]).unwrap();
            let signer = ModuleSigner::open(module, key, trusted.clone()).unwrap();
            std::thread::scope(|scope| {
                for number in 0..16u8 {
                    let (signer, trusted, token) = (&signer, &trusted, &token);
                    scope.spawn(move || {
                        for round in 0..8u8 {
                            let message = [number, round];
                            let signature = signer.sign(&message).unwrap();
                            let key = trusted.keys().next().unwrap().kid();
                            let key = trusted.key(key).unwrap();
                            assert!(key.verifies(&message, &signature), "{number} {round}");
                            if (number, round) == (0, 4) {
                                token.log_everybody_out();
                            }
                        }
                    });
                }
            });
        },
    );
}

#[test]
fn a_key_that_the_module_or_the_setting_lost_is_named_and_nothing_is_issued() {
    softhsm::inside(
        "signing::a_key_that_the_module_or_the_setting_lost_is_named_and_nothing_is_issued",
        async |token| {
            let test = with_module(&token, TestDatabase::create(&MIGRATOR).await).await;
            test.load(include_str!("../../../../products/incidentfox/product.toml")).await;
            let subscription = sold(&test).await;
            let body = json!({ "subscription": subscription });

            let without = TestServer::on(test.stop().await, Config::default()).await;
            let problem = without.post(ADMIN, LICENSES, body.clone()).await.expect(503);
            assert_eq!(problem["type"], "urn:tenure:problem:signing-key-unusable");
            assert!(
                problem["detail"].as_str().unwrap().contains("TENURE_PKCS11_MODULE"),
                "{problem}"
            );

            let test = with_module(&token, without.stop().await).await;
            token.destroy_keys();
            let problem = test.post(ADMIN, LICENSES, body.clone()).await.expect(503);
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains("has no private key `tenure incidentfox sgk_"), "{detail}");
            let licenses = test.get(ADMIN, LICENSES).await.expect(200);
            assert_eq!(licenses["items"], json!([]));
            // The way out: another key.
            test.post(ADMIN, &format!("{KEYS}/rotate"), json!({})).await.expect(201);
            test.post(ADMIN, LICENSES, body).await.expect(201);
        },
    );
}

#[test]
fn a_server_says_at_start_what_is_wrong_with_its_module() {
    softhsm::inside(
        "signing::a_server_says_at_start_what_is_wrong_with_its_module",
        async |token| {
            let settings = token.settings();
            let refused = |settings: Settings| async move {
                let opened = tokio::task::spawn_blocking(|| Module::open(settings));
                opened.await.unwrap().err().expect("refused").to_string()
            };
            let mut other = settings.clone();
            other.token = "elsewhere".into();
            let told = refused(other).await;
            assert!(told.contains("no token `elsewhere`; it has `tenure-tests`"), "{told}");
            let mut other = settings.clone();
            other.module = "/nonexistent/libpkcs11.so".into();
            let told = refused(other).await;
            assert!(told.contains("/nonexistent/libpkcs11.so cannot be loaded"), "{told}");
            let mut other = settings.clone();
            other.pin_file = token.file("missing", "", 0o600);
            std::fs::remove_file(&other.pin_file).unwrap();
            assert!(refused(other.clone()).await.contains("the PIN file"), "missing");
            other.pin_file = token.file("exposed", PIN, 0o644);
            assert!(refused(other.clone()).await.contains("can be read by others: run chmod 600"));
            other.pin_file = token.file("wrong", "9999", 0o600);
            let told = refused(other).await;
            assert!(told.contains("refused the PIN. It is not tried again"), "{told}");
            // The right one still works: the token did not lock itself.
            let opened = tokio::task::spawn_blocking(|| Module::open(settings).map(drop));
            opened.await.unwrap().expect("the right PIN");
        },
    );
}
