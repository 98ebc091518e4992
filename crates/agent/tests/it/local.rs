//! The local API: who may ask, and what is answered.

use reqwest::{Method, header};
use serde_json::json;

use crate::support::{Local, Place};

#[tokio::test]
async fn only_a_program_with_the_secret_asks_and_only_localhost_is_answered() {
    let place = Place::new().await;
    let agent = place.active("a").await;
    let local = Local::of(&agent).await;
    let ask = async |method: Method, path: &str, host: &str, secret: Option<&str>| {
        let url = format!("{}{path}", local.base);
        let mut request = local.http.request(method, url).header(header::HOST, host);
        if let Some(secret) = secret {
            request = request.bearer_auth(secret);
        }
        request.send().await.unwrap().status().as_u16()
    };
    let secret = Some(local.secret.as_str());
    let routes = [
        (Method::GET, "/v1/license"),
        (Method::GET, "/v1/entitlements"),
        (Method::GET, "/v1/notices"),
        (Method::POST, "/v1/check"),
        (Method::POST, "/v1/usage"),
        (Method::GET, "/v1/quota"),
        (Method::POST, "/v1/quota/agent_runs/take"),
        (Method::GET, "/v1/sent"),
        (Method::POST, "/ofrep/v1/evaluate/flags"),
        (Method::POST, "/ofrep/v1/evaluate/flags/sso"),
        (Method::GET, "/ofrep/v1/configuration"),
        (Method::POST, "/v1/command"),
    ];
    for (method, path) in routes {
        assert_eq!(ask(method.clone(), path, "localhost", None).await, 401, "{path}");
        assert_eq!(ask(method.clone(), path, "localhost", Some("guess")).await, 401, "{path}");
        assert_eq!(ask(method, path, "attacker.example", secret).await, 421, "{path}");
    }
    assert_eq!(ask(Method::POST, "/v1/command", "localhost", secret).await, 401, "another secret");
    assert_eq!(ask(Method::GET, "/health", "attacker.example", None).await, 421);
    assert_eq!(ask(Method::GET, "/health", "[::1]:8766", None).await, 200);
    assert_eq!(ask(Method::GET, "/v1/nothing", "localhost:8766", secret).await, 404);
}

#[tokio::test]
async fn health_is_the_one_of_the_specification() {
    let place = Place::new().await;
    let agent = place.open(place.settings("a")).await;
    let local = Local::of(&agent).await;
    let expected =
        |license: &str| json!({"status": "healthy", "license": license, "version": "1.2.0"});
    assert_eq!(local.get("/health").await, expected("unlicensed"));
    agent.step().await.unwrap();
    assert_eq!(local.get("/health").await, expected("active"));
}

#[tokio::test]
async fn the_license_comes_with_the_tokens_to_verify_it_by() {
    let place = Place::new().await;
    let agent = place.active("a").await;
    let local = Local::of(&agent).await;
    let license = local.get("/v1/license").await;
    assert_eq!((&license["state"], &license["reason"]), (&json!("active"), &json!("valid")));
    let trust = tenure_license::TrustSet::from_published_jwks(&crate::support::keys()).unwrap();
    let token = license["license"].as_str().unwrap();
    let verified =
        tenure_license::token::verify::<tenure_license::LicenseClaims>(token, &trust).unwrap();
    assert_eq!(serde_json::to_value(verified.claims()).unwrap(), license["claims"]);
    let lease = license["lease"].as_str().unwrap();
    tenure_license::token::verify::<tenure_license::LeaseClaims>(lease, &trust).unwrap();
    let entitlements = local.get("/v1/entitlements").await;
    assert_eq!(entitlements["max_teams"], 5);
    assert_eq!(entitlements["max_agent_runs_per_month"], 3);
}

#[tokio::test]
async fn the_rows_of_the_enforcement_table_are_answered() {
    let place = Place::new().await;
    let agent = place.active("a").await;
    let local = Local::of(&agent).await;
    let ask = async |question| local.post("/v1/check", &question).await.1;
    assert_eq!(ask(json!({"feature": "sso"})).await["allowed"], true);
    let missing = ask(json!({"feature": "custom_mcps"})).await;
    assert_eq!((&missing["status"], &missing["code"]), (&json!(403), &json!("feature_missing")));
    assert_eq!(ask(json!({"limit": "teams", "used": "3", "more": "1"})).await["allowed"], true);
    let full = ask(json!({"limit": "teams", "used": "5", "more": "1"})).await;
    assert_eq!(
        full["message"],
        "Team limit reached: 5/5. To raise it, contact sales@incidentfox.example."
    );
    assert_eq!(ask(json!({"work": "new"})).await["code"], "ok");
    let (status, problem) = local.post("/v1/check", &json!({"features": "sso"})).await;
    assert_eq!((status, &problem["code"]), (400, &json!("bad_question")));
    // What the product said that it holds is told in the next heartbeat.
    let next = local.get("/v1/sent").await;
    assert_eq!(next["next"]["usage_stats"]["teams"], "5");
    // After its end the license refuses new work, and later all.
    place.vendor.book().down = true;
    place.pass(&[&agent], 24 * (365 + 10), 24 * 60).await;
    let refused = ask(json!({"work": "new"})).await;
    assert_eq!((&refused["allowed"], &refused["status"]), (&json!(false), &json!(402)));
    assert_eq!(ask(json!({"work": "running"})).await["allowed"], true);
    let notices = local.get("/v1/notices").await;
    assert_eq!(notices["notices"][0]["banner"], true);
}

#[tokio::test]
async fn a_quota_slice_is_counted_once_a_taking_and_ends_with_its_month() {
    let place = Place::new().await;
    let agent = place.active("a").await;
    let local = Local::of(&agent).await;
    let take = async |body| local.post("/v1/quota/agent_runs/take", &body).await;
    for run in ["1", "2", "1"] {
        let (_, answer) = take(json!({"quantity": "1", "id": run})).await;
        assert_eq!(answer["allowed"], true, "{answer}");
    }
    let (status, problem) = take(json!({"quantity": "2", "id": "1"})).await;
    assert_eq!((status, &problem["code"]), (409, &json!("taking_conflict")));
    let third = take(json!({})).await.1;
    assert_eq!((&third["used"], &third["limit"]), (&json!("3"), &json!("3")));
    let over = take(json!({"id": "4"})).await.1;
    assert_eq!((&over["allowed"], &over["status"]), (&json!(false), &json!(402)));
    assert!(over["message"].as_str().unwrap().starts_with("Monthly quota exceeded: 3/3"));
    let quotas = local.get("/v1/quota").await;
    assert_eq!(quotas["quotas"][0]["used"], "3");
    assert_eq!(quotas["quotas"][0]["resets_at"], "2026-04-01T00:00:00Z");
    place.pass(&[&agent], 24 * 31, 12 * 60).await;
    let again = take(json!({"id": "4"})).await.1;
    assert_eq!((&again["allowed"], &again["used"]), (&json!(true), &json!("1")));
}

#[tokio::test]
async fn takings_at_the_same_time_never_pass_the_quota() {
    let place = Place::new().await;
    let agent = place.active("a").await;
    let local = std::sync::Arc::new(Local::of(&agent).await);
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let local = local.clone();
            tokio::spawn(async move { local.post("/v1/quota/agent_runs/take", &json!({})).await.1 })
        })
        .collect();
    let mut allowed = 0;
    for task in tasks {
        allowed += usize::from(task.await.unwrap()["allowed"] == true);
    }
    assert_eq!(allowed, 3);
}

#[tokio::test]
async fn entitlements_are_flags() {
    let place = Place::new().await;
    let agent = place.active("a").await;
    let local = Local::of(&agent).await;
    let sso = local.post("/ofrep/v1/evaluate/flags/sso", &json!({"context": {}})).await.1;
    assert_eq!((&sso["value"], &sso["variant"]), (&json!(true), &json!("on")));
    let teams = local.post("/ofrep/v1/evaluate/flags/limit.teams", &json!({})).await.1;
    assert_eq!(teams["value"], 5);
    let rate = local.post("/ofrep/v1/evaluate/flags/rate", &json!({})).await.1;
    assert_eq!(rate["value"], "10000/minute");
    let (status, unknown) = local.post("/ofrep/v1/evaluate/flags/nothing", &json!({})).await;
    assert_eq!((status, &unknown["errorCode"]), (404, &json!("FLAG_NOT_FOUND")));
    let all = local.post("/ofrep/v1/evaluate/flags", &json!({})).await.1;
    assert_eq!(all["flags"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn what_is_sent_can_be_looked_at_and_holds_no_key() {
    let place = Place::new().await;
    let agent = place.active("a").await;
    place.pass(&[&agent], 1, 5).await;
    let local = Local::of(&agent).await;
    let sent = local.get("/v1/sent").await;
    let messages = sent["sent"].as_array().unwrap();
    assert_eq!(messages.last().unwrap()["what"], "activate");
    assert_eq!(messages[0]["what"], "heartbeat");
    assert!(!sent.to_string().contains(&*crate::support::LICENSE_KEY));
}
