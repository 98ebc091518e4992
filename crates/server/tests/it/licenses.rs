//! `/api/v1/admin/tenants/{tenant}/licenses` and a product's signing keys.

use serde_json::{Value, json};
use tenure_license::{LicenseClaims, LicenseKey, State, TrustSet, Verified, file, state, token};

use crate::harness::{ADMIN, TestServer};

const LICENSES: &str = "/api/v1/admin/tenants/acme/licenses";

async fn keys(test: &TestServer, product: &str) -> TrustSet {
    let jwks = test.get("", &format!("/.well-known/tenure/{product}/jwks.json")).await;
    TrustSet::from_published_jwks(&jwks.text).expect("published keys are trusted")
}

fn verified(token: &Value, keys: &TrustSet) -> Verified<LicenseClaims> {
    token::verify(token.as_str().unwrap(), keys).expect("the license verifies")
}

fn path(license: &Value, rest: &str) -> String {
    format!("{LICENSES}/{}{rest}", license["id"].as_str().unwrap())
}

async fn issue(test: &TestServer, subscription: &str) -> Value {
    test.post(ADMIN, LICENSES, json!({ "subscription": subscription })).await.expect(201)
}

async fn professional() -> (TestServer, String) {
    let test = TestServer::with_product(&["incidentfox"]).await;
    let subscription = json!({ "product": "incidentfox", "plan": "professional" });
    let subscription = test.subscribe("acme", subscription).await;
    (test, subscription)
}

async fn contract(test: &TestServer, subscription: &str, changes: Value) {
    let path = format!("/api/v1/admin/tenants/acme/subscriptions/{subscription}/contracts");
    let body = json!({ "reason": "Quote 7", "approver": "cfo@vendor.example", "changes": changes });
    test.post(ADMIN, &path, body).await.expect(201);
}

#[tokio::test]
async fn a_self_hosted_customer_gets_a_key_and_a_license_that_the_published_keys_verify() {
    let (test, subscription) = professional().await;
    let issued = issue(&test, &subscription).await;
    let key = issued["license_key"].as_str().unwrap();
    assert!(key.starts_with("IFOX-") && key.contains("-ACME-"), "{key}");
    assert_eq!(LicenseKey::parse(key).unwrap().hint(), issued["license"]["key_hint"]);

    let license = verified(&issued["token"], &keys(&test, "incidentfox").await);
    let claims = serde_json::to_value(license.claims()).unwrap();
    assert_eq!(claims["customer"]["name"], "acme");
    assert_eq!(claims["customer"]["domain"], "acme.example");
    assert_eq!((&claims["edition"], &claims["seats"]), (&json!("standard"), &json!(-1)));
    assert_eq!(claims["entitlements"]["tier"], "professional");
    assert_eq!(claims["entitlements"]["max_teams"], 20);
    assert_eq!(claims["entitlements"]["max_agent_runs_per_month"], 50_000);
    assert_eq!(claims["entitlements"]["support_sla_hours"], 24);
    assert_eq!(
        (&claims["offlineGracePeriod"], &claims["phoneHomeRequired"]),
        (&json!(14), &json!(false))
    );
    assert!(license.claims().has_feature("sso"));
    assert_eq!((&claims["model"], &claims["revision"]), (&json!("self_hosted"), &json!(1)));

    let deployments = test.get(ADMIN, "/api/v1/admin/tenants/acme/deployments").await.expect(200);
    assert_eq!(deployments["items"][0]["status"], "ready");
    let deployment = deployments["items"][0]["id"].as_str().unwrap();
    let env = format!("/api/v1/admin/tenants/acme/deployments/{deployment}/env");
    let env = test.get(ADMIN, &env).await.text;
    let id = issued["license"]["id"].as_str().unwrap();
    assert!(env.contains(&format!("\nLICENSE_KEY=secret://{id}/license_key\n")), "{env}");
    assert!(!env.contains(key), "{env}");
}

#[tokio::test]
async fn an_air_gapped_license_lives_by_its_file_and_the_public_keys_alone() {
    let test = TestServer::with_product(&["incidentfox"]).await;
    let plan = json!({ "product": "incidentfox", "plan": "enterprise", "model": "air_gapped" });
    let subscription = test.subscribe("acme", plan).await;
    let refused =
        test.post(ADMIN, LICENSES, json!({ "subscription": subscription })).await.expect(409);
    assert_eq!(refused["type"], "urn:tenure:problem:needs-contract");
    assert!(refused["detail"].as_str().unwrap().contains("/contracts"), "{refused}");
    contract(&test, &subscription, json!({ "prices": [{ "charge": "base", "amount": "180000" }] }))
        .await;

    let issued = issue(&test, &subscription).await;
    assert!(issued["license_key"].as_str().unwrap().starts_with("IFOX-ENT-ACME-"), "{issued}");
    let keys = keys(&test, "incidentfox").await;
    let answer = test.get(ADMIN, &path(&issued["license"], "/file")).await;
    let disposition = "attachment; filename=\"incidentfox-acme-r1.lic\"";
    assert_eq!(answer.header("content-disposition"), Some(disposition));
    test.stop().await;

    let token = file::read(&answer.text).expect("a license file");
    let license: Verified<LicenseClaims> = token::verify(&token, &keys).expect("it verifies");
    assert_eq!(license.claims().limit("teams").unwrap().max, None);
    let exp = license.claims().exp;
    assert_eq!(exp.to_string(), "2027-03-01T00:00:00Z", "a year");
    let days = |n: i64| exp + jiff::SignedDuration::from_hours(24 * n);
    for (day, expected) in [
        (-15, State::Active),
        (-14, State::Expiring),
        (0, State::Grace),
        (7, State::Restricted),
        (30, State::Terminated),
    ] {
        let verdict = state::evaluate(&state::Input::new(&license, days(day)));
        assert_eq!(verdict.state, expected, "day {day}");
    }
}

#[tokio::test]
async fn a_changed_contract_makes_a_license_stale_until_it_is_renewed() {
    let (test, subscription) = professional().await;
    let first = issue(&test, &subscription).await;
    let detail = test.get(ADMIN, &path(&first["license"], "")).await.expect(200);
    assert_eq!((&detail["stale"], &detail["differs"]), (&json!(false), &json!([])));

    test.advance_to("2026-04-01T00:00:00Z");
    contract(&test, &subscription, json!({ "limits": [{ "limit": "teams", "included": "40" }] }))
        .await;
    let detail = test.get(ADMIN, &path(&first["license"], "")).await.expect(200);
    assert_eq!(detail["stale"], true);
    assert_eq!(detail["differs"], json!(["entitlements", "limits"]));

    let renewed = test.post(ADMIN, &path(&first["license"], "/renew"), json!({})).await.expect(201);
    assert_eq!(renewed["license_key"], first["license_key"]);
    let keys = keys(&test, "incidentfox").await;
    let (old, new) = (verified(&first["token"], &keys), verified(&renewed["token"], &keys));
    let (old, new) = (old.into_claims(), new.into_claims());
    assert_eq!((old.revision, new.revision, new.license), (1, 2, old.license));
    assert_eq!(new.supersedes.map(|replaced| replaced.revision), Some(1));
    assert_eq!(new.entitlements.max["max_teams"].count(), Some(40));
    assert!(new.exp > old.exp);
    let detail = test.get(ADMIN, &path(&first["license"], "")).await.expect(200);
    assert_eq!(detail["stale"], false);
    let revisions = detail["revisions"].as_array().unwrap();
    assert_eq!(
        revisions.iter().map(|r| r["revision"].as_i64().unwrap()).collect::<Vec<_>>(),
        [2, 1]
    );
}

#[tokio::test]
async fn after_a_rotation_old_and_new_licenses_verify_with_the_published_keys() {
    let (test, subscription) = professional().await;
    let old = issue(&test, &subscription).await;
    let rotate = "/api/v1/admin/products/incidentfox/signing-keys/rotate";
    let key = test.post(ADMIN, rotate, json!({})).await.expect(201);
    let list = test.get(ADMIN, "/api/v1/admin/products/incidentfox/signing-keys").await.expect(200);
    let states: Vec<&str> =
        list["items"].as_array().unwrap().iter().map(|k| k["status"].as_str().unwrap()).collect();
    assert_eq!(states, ["active", "retired"]);

    let new = test.post(ADMIN, &path(&old["license"], "/renew"), json!({})).await.expect(201);
    let keys = keys(&test, "incidentfox").await;
    assert_ne!(verified(&old["token"], &keys).kid(), key["kid"]);
    assert_eq!(verified(&new["token"], &keys).kid(), key["kid"]);
}

#[tokio::test]
async fn a_key_is_shown_again_to_admins_and_the_trail_says_so() {
    let (test, subscription) = professional().await;
    let issued = issue(&test, &subscription).await;
    let shown = test.post(ADMIN, &path(&issued["license"], "/key"), json!({})).await.expect(200);
    assert_eq!(shown["license_key"], issued["license_key"]);
    let trail = test.get(ADMIN, "/api/v1/admin/tenants/acme/audit").await;
    assert!(trail.text.contains("license.key_revealed"), "{}", trail.text);
    let key = issued["license_key"].as_str().unwrap();
    assert!(!trail.text.contains(key), "the trail names no secret");
    for answer in
        [test.get(ADMIN, LICENSES).await, test.get(ADMIN, &path(&issued["license"], "")).await]
    {
        assert!(
            !answer.text.contains(key) && !answer.text.contains(issued["token"].as_str().unwrap())
        );
    }
}

#[tokio::test]
async fn what_ends_takes_its_licenses_with_it() {
    let (test, subscription) = professional().await;
    let issued = issue(&test, &subscription).await;
    let again = json!({ "subscription": subscription });
    let problem = test.post(ADMIN, LICENSES, again.clone()).await.expect(409);
    assert_eq!(problem["type"], "urn:tenure:problem:already-licensed");

    let revoked =
        test.post(ADMIN, &path(&issued["license"], "/revoke"), json!({})).await.expect(200);
    assert_eq!(revoked["status"], "revoked");
    test.post(ADMIN, &path(&issued["license"], "/renew"), json!({})).await.expect(409);
    test.get(ADMIN, &path(&issued["license"], "/file")).await.expect(409);
    let deployments = "/api/v1/admin/tenants/acme/deployments";
    let list = test.get(ADMIN, deployments).await.expect(200);
    assert_eq!(list["items"][0]["status"], "pending");

    let deployment = list["items"][0]["id"].as_str().unwrap();
    let bound = json!({ "subscription": subscription, "deployment": deployment });
    let bound = test.post(ADMIN, LICENSES, bound).await.expect(201);
    let retire = format!("{deployments}/{deployment}/retire");
    test.post(ADMIN, &retire, json!({})).await.expect(200);
    let detail = test.get(ADMIN, &path(&bound["license"], "")).await.expect(200);
    assert_eq!(detail["status"], "revoked");

    let shared = issue(&test, &subscription).await;
    let cancel = format!("/api/v1/admin/tenants/acme/subscriptions/{subscription}/cancel");
    test.post(ADMIN, &cancel, json!({})).await.expect(200);
    let detail = test.get(ADMIN, &path(&shared["license"], "")).await.expect(200);
    assert_eq!(detail["status"], "revoked");
    test.post(ADMIN, LICENSES, again).await.expect(409);
}

#[tokio::test]
async fn managed_subscriptions_have_no_licenses_and_dates_are_checked() {
    let test = TestServer::with_product(&["incidentfox", "kg-rca"]).await;
    let managed = test.subscribe("acme", json!({ "product": "kg-rca", "plan": "pro" })).await;
    let problem = test.post(ADMIN, LICENSES, json!({ "subscription": managed })).await.expect(409);
    assert_eq!(problem["type"], "urn:tenure:problem:model-not-licensed");
    let path = "/api/v1/admin/tenants/acme/subscriptions";
    let body = json!({ "product": "incidentfox", "plan": "starter" });
    let own = test.post(ADMIN, path, body).await.expect(201);
    for wrong in ["2026-02-01T00:00:00Z", "2046-02-01T00:00:00Z"] {
        let body = json!({ "subscription": own["id"], "expires_at": wrong });
        let problem = test.post(ADMIN, LICENSES, body).await.expect(422);
        assert_eq!(problem["errors"][0]["pointer"], "/expires_at");
    }
}

#[tokio::test]
async fn nothing_forged_or_foreign_passes_the_edge() {
    let test = TestServer::with_product(&["incidentfox", "meeting-minutes"]).await;
    let plan = json!({ "product": "incidentfox", "plan": "professional" });
    let subscription = test.subscribe("acme", plan).await;
    let issued = issue(&test, &subscription).await;
    let token = issued["token"].as_str().unwrap();

    let foreign = keys(&test, "meeting-minutes").await;
    assert!(token::verify::<LicenseClaims>(token, &foreign).is_err(), "another product's keys");
    let own = keys(&test, "incidentfox").await;
    let (head, signature) = token.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    let forged = format!("{head}.{flipped}{}", &signature[1..]);
    assert!(token::verify::<LicenseClaims>(&forged, &own).is_err(), "another signature");

    let minutes = json!({ "product": "meeting-minutes", "plan": "self-hosted" });
    let theirs = test.subscribe("globex", minutes).await;
    let id = issued["license"]["id"].as_str().unwrap();
    let nobody = "lic_01932f3ea1b27c3d9e4f5a6b7c8d9e0f";
    for rest in ["", "/file"] {
        let at = |id: &str| format!("/api/v1/admin/tenants/globex/licenses/{id}{rest}");
        let (foreign, none) = (test.get(ADMIN, &at(id)).await, test.get(ADMIN, &at(nobody)).await);
        assert_eq!(foreign.expect(404)["detail"], none.expect(404)["detail"]);
    }
    for action in ["key", "renew", "revoke"] {
        let at = format!("/api/v1/admin/tenants/globex/licenses/{id}/{action}");
        test.post(ADMIN, &at, json!({})).await.expect(404);
    }
    test.post(ADMIN, LICENSES, json!({ "subscription": theirs })).await.expect(404);
}

#[tokio::test]
async fn renewals_at_the_same_time_are_two_revisions_and_a_repeated_one_is_none() {
    let (test, subscription) = professional().await;
    let issued = issue(&test, &subscription).await;
    let renew = path(&issued["license"], "/renew");
    let both = tokio::join!(
        test.post(ADMIN, &renew, json!({})),
        test.post(ADMIN, &renew, json!({ "expires_at": "2027-06-01T00:00:00Z" })),
    );
    let mut revisions = [both.0.expect(201), both.1.expect(201)]
        .map(|answer| answer["license"]["revision"].as_i64().unwrap());
    revisions.sort();
    assert_eq!(revisions, [2, 3]);

    let again = || {
        let request = test.request(reqwest::Method::POST, ADMIN, &renew);
        test.send(request.header("idempotency-key", "renewal-7").json(&json!({})))
    };
    let (first, second) = (again().await.expect(201), again().await.expect(201));
    assert_eq!((&first["license"]["revision"], &first["token"]), (&json!(4), &second["token"]));
}

#[tokio::test]
async fn a_trial_of_a_quoted_plan_is_licensed_until_it_ends_and_not_longer() {
    let test = TestServer::empty().await;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../products/incidentfox/product.toml");
    let file = std::fs::read_to_string(path).unwrap();
    let trial = "[plans.enterprise]\nname = \"Enterprise\"\n";
    assert!(file.contains(trial));
    test.load(&file.replace(trial, &format!("{trial}trial = \"14d\"\n"))).await;
    let plan = json!({ "product": "incidentfox", "plan": "enterprise", "trial": true });
    let subscription = test.subscribe("acme", plan).await;
    let late = json!({ "subscription": subscription, "expires_at": "2026-04-01T00:00:00Z" });
    test.post(ADMIN, LICENSES, late).await.expect(422);
    let issued = issue(&test, &subscription).await;
    assert_eq!(issued["license"]["expires_at"], "2026-03-15T00:00:00Z");
}

#[tokio::test]
async fn who_may_only_look_sees_a_license_but_neither_its_key_nor_its_file() {
    let (test, subscription) = professional().await;
    let issued = issue(&test, &subscription).await;
    let body = json!({ "name": "auditor", "role": "viewer" });
    let made = test.post(ADMIN, "/api/v1/admin/credentials", body).await.expect(201);
    let viewer = made["token"].as_str().unwrap();
    let license = &issued["license"];
    test.get(viewer, &path(license, "")).await.expect(200);
    test.get(viewer, &path(license, "/file")).await.expect(403);
    for action in ["/key", "/renew", "/revoke"] {
        test.post(viewer, &path(license, action), json!({})).await.expect(403);
    }
    let rotate = "/api/v1/admin/products/incidentfox/signing-keys/rotate";
    test.post(viewer, rotate, json!({})).await.expect(403);
    test.get("", &path(license, "/file")).await.expect(401);
}
