//! `/api/v1/admin/tenants/{tenant}/deployments`.

use serde_json::{Value, json};

use crate::harness::{ADMIN, TestServer};

const DEPLOYMENTS: &str = "/api/v1/admin/tenants/acme/deployments";

async fn only(test: &TestServer) -> Value {
    let list = test.get(ADMIN, DEPLOYMENTS).await.expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
    list["items"][0].clone()
}

fn path(deployment: &Value, rest: &str) -> String {
    format!("{DEPLOYMENTS}/{}{rest}", deployment["id"].as_str().unwrap())
}

async fn byoi() -> (TestServer, Value) {
    let test = TestServer::with_product(&["meeting-minutes"]).await;
    test.subscribe("acme", json!({ "product": "meeting-minutes", "plan": "byoi" })).await;
    let deployment = only(&test).await;
    (test, deployment)
}

fn whole_profile() -> Value {
    json!({
        "database": {
            "url": "postgres://app:s3cret@db.acme.example/minutes",
            "region": "westeurope", "schema_version": "42",
        },
        "llm": { "endpoint": "https://acme.openai.azure.example/", "deployment": "gpt-4o" },
        "documents": { "url": "https://acme.sharepoint.example/sites/minutes", "library": "Minutes" },
        "storage": { "account": "acmeminutes" },
        "vault": { "url": "https://acme.vault.azure.example/" },
        "directory": { "tenant_id": "t-1", "client_id": "c-1", "client_secret": "it's $ecret" },
        "credentials": {
            "service_principal_id": "sp-1",
            "vault_reference": "https://acme.vault.azure.example/secrets/sp",
        },
    })
}

#[tokio::test]
async fn a_managed_customer_is_ready_with_an_api_key() {
    let test = TestServer::with_product(&["kg-rca"]).await;
    let (client, key) = test.client("Acme", "pro").await;
    assert_eq!(client, "acme");
    assert!(key.starts_with("kg_live_"), "{key}");
    let deployment = only(&test).await;
    assert_eq!((&deployment["model"], &deployment["status"]), (&json!("managed"), &json!("ready")));
    let env = test.get(ADMIN, &path(&deployment, "/env")).await;
    assert!(env.header("content-type").unwrap().starts_with("text/plain"));
    assert!(env.text.contains("\nCLIENT_ID=acme\n"), "{}", env.text);
    assert!(env.text.contains("# model: managed\n"), "{}", env.text);
    assert!(!env.text.contains("LICENSE_KEY"), "{}", env.text);
}

#[tokio::test]
async fn a_byoi_customer_records_its_resources_and_is_ready_when_none_is_missing() {
    let (test, deployment) = byoi().await;
    assert_eq!(deployment["status"], "pending");
    let shown = test.get(ADMIN, &path(&deployment, "")).await.expect(200);
    assert_eq!(shown["resources"]["deploymentMode"], "byoi");
    assert_eq!(shown["resources"]["health"], json!({ "status": "unknown", "last_check": null }));
    let missing = shown["resources"]["missing"].as_array().unwrap();
    assert!(missing.contains(&json!("database.url")), "{missing:?}");

    let mut part = whole_profile();
    part.as_object_mut().unwrap().remove("llm");
    let answer = test.put(ADMIN, &path(&deployment, "/resources"), part).await.expect(200);
    assert_eq!(answer["status"], "pending");
    assert_eq!(answer["resources"]["missing"], json!(["llm.endpoint", "llm.deployment"]));

    let rest = json!({ "llm": whole_profile()["llm"] });
    let answer = test.put(ADMIN, &path(&deployment, "/resources"), rest).await;
    assert!(!answer.text.contains("s3cret"), "{}", answer.text);
    let answer = answer.expect(200);
    assert_eq!((&answer["status"], &answer["resources"]["missing"]), (&json!("ready"), &json!([])));
    let id = deployment["id"].as_str().unwrap();
    assert_eq!(
        answer["resources"]["resources"]["database"]["fields"]["url"],
        json!({ "secret": true, "set": true, "version": 1,
                "reference": format!("secret://{id}/database.url") })
    );

    let env = test.get(ADMIN, &path(&deployment, "/env")).await.text;
    assert!(env.contains(&format!("\nDATABASE_URL=secret://{id}/database.url\n")), "{env}");
    assert!(env.contains("\nAZURE_OPENAI_ENDPOINT=https://acme.openai.azure.example/\n"), "{env}");
    assert!(!env.contains("s3cret"), "{env}");
    let trail = test.get(ADMIN, "/api/v1/admin/tenants/acme/audit").await.text;
    assert!(trail.contains("deployment.resources") && !trail.contains("s3cret"), "{trail}");
}

#[tokio::test]
async fn a_secret_rises_in_version_and_clearing_it_makes_it_missing_again() {
    let (test, deployment) = byoi().await;
    let resources = path(&deployment, "/resources");
    test.put(ADMIN, &resources, whole_profile()).await.expect(200);
    let rotated = json!({ "database": { "url": "postgres://new" } });
    let answer = test.put(ADMIN, &resources, rotated).await.expect(200);
    let url =
        |answer: &Value| answer["resources"]["resources"]["database"]["fields"]["url"].clone();
    assert_eq!(url(&answer)["version"], 2);

    let cleared = json!({ "database": { "url": null } });
    let answer = test.put(ADMIN, &resources, cleared).await.expect(200);
    assert_eq!(answer["status"], "pending");
    assert_eq!(answer["resources"]["missing"], json!(["database.url"]));
    assert_eq!(url(&answer), json!({ "secret": true, "set": false, "version": 3 }));
    let env = test.get(ADMIN, &path(&deployment, "/env")).await.text;
    assert!(env.contains("# DATABASE_URL: missing: record `database.url`"), "{env}");
    assert!(env.contains("\nDATABASE_URL=\n"), "{env}");

    let again = json!({ "database": { "url": "postgres://newer" } });
    let answer = test.put(ADMIN, &resources, again).await.expect(200);
    assert_eq!(url(&answer)["version"], 4, "versions never repeat");
}

#[tokio::test]
async fn unknown_resources_fields_and_unfit_values_are_refused_all_at_once() {
    let (test, deployment) = byoi().await;
    let body = json!({
        "databse": { "url": "x" },
        "llm": { "endpont": "x", "deployment": "a\u{0}b" },
        "vault": { "url": " " },
    });
    let problem = test.put(ADMIN, &path(&deployment, "/resources"), body).await.expect(422);
    let told: Vec<(&str, &str)> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["pointer"].as_str().unwrap(), e["detail"].as_str().unwrap()))
        .collect();
    let pointers: Vec<&str> = told.iter().map(|(pointer, _)| *pointer).collect();
    assert_eq!(pointers, ["/databse", "/llm/deployment", "/llm/endpont", "/vault/url"]);
    assert!(told[0].1.ends_with("did you mean `database`?"), "{told:?}");
    assert!(told[2].1.ends_with("did you mean `endpoint`?"), "{told:?}");
    let shown = test.get(ADMIN, &path(&deployment, "")).await.expect(200);
    assert_eq!(shown["resources"]["resources"]["llm"]["fields"]["deployment"]["set"], false);
}

#[tokio::test]
async fn each_mode_of_dyocense_renders_exactly_its_flags() {
    let test = TestServer::with_product(&["dyocense"]).await;
    let subscription = json!({ "product": "dyocense", "plan": "enterprise", "model": "managed" });
    test.subscribe("acme", subscription).await;
    let deployment = only(&test).await;
    let flags = [
        "DEPLOYMENT_MODE",
        "USE_MONGODB",
        "USE_NEO4J",
        "USE_QDRANT",
        "USE_KEYCLOAK",
        "ENABLE_EVIDENCE_GRAPH",
        "ENABLE_VECTOR_SEARCH",
    ];
    for (mode, on) in [("platform", "true"), ("smb", "false")] {
        let update = json!({ "mode": mode, "release": "2.0.1" });
        test.patch(ADMIN, &path(&deployment, ""), update).await.expect(200);
        let text = test.get(ADMIN, &path(&deployment, "/env")).await.text;
        let mut expected = vec![format!("DEPLOYMENT_MODE={mode}")];
        expected.extend(flags[1..].iter().map(|flag| format!("{flag}={on}")));
        let rendered: Vec<&str> = text
            .lines()
            .filter(|line| flags.iter().any(|flag| line.split('=').next() == Some(flag)))
            .collect();
        assert_eq!(rendered, expected, "{text}");
        assert_eq!(text.contains("NEO4J_URL="), mode == "platform", "{text}");
        assert_eq!(text.contains("JWT_SECRET=secret://"), mode == "smb", "{text}");
        let json = test.get(ADMIN, &path(&deployment, "/env?format=json")).await.expect(200);
        assert_eq!((&json["mode"], &json["tenant"]), (&json!(mode), &json!("acme")));
    }
    let problem =
        test.patch(ADMIN, &path(&deployment, ""), json!({ "mode": "tiny" })).await.expect(422);
    assert!(problem["detail"].as_str().unwrap().contains("smb, platform"), "{problem}");
}

#[tokio::test]
async fn a_deployment_is_made_in_a_sold_model_and_its_name_is_free_again_when_retired() {
    let test = TestServer::with_product(&["meeting-minutes"]).await;
    let plan = json!({ "product": "meeting-minutes", "plan": "self-hosted" });
    let subscription = test.subscribe("acme", plan).await;
    let new = |model: &str| json!({ "subscription": subscription, "name": "dr", "model": model });
    let problem = test.post(ADMIN, DEPLOYMENTS, new("managed")).await.expect(422);
    assert_eq!(problem["errors"][0]["pointer"], "/model");
    assert!(problem["detail"].as_str().unwrap().contains("self_hosted, air_gapped"), "{problem}");

    let made = test.post(ADMIN, DEPLOYMENTS, new("air_gapped")).await.expect(201);
    assert_eq!(made["status"], "pending");
    let problem = test.post(ADMIN, DEPLOYMENTS, new("air_gapped")).await.expect(409);
    assert_eq!(problem["type"], "urn:tenure:problem:name-taken");
    let retired = test.post(ADMIN, &path(&made, "/retire"), json!({})).await.expect(200);
    assert_eq!(retired["status"], "retired");
    test.post(ADMIN, &path(&made, "/retire"), json!({})).await.expect(200);
    test.patch(ADMIN, &path(&made, ""), json!({ "region": "x" })).await.expect(409);
    test.post(ADMIN, DEPLOYMENTS, new("air_gapped")).await.expect(201);
}

#[tokio::test]
async fn another_tenants_deployment_is_as_missing_as_none() {
    let (test, deployment) = byoi().await;
    test.subscribe("globex", json!({ "plan": "byoi" })).await;
    let id = deployment["id"].as_str().unwrap();
    let nobody = "dep_01932f3ea1b27c3d9e4f5a6b7c8d9e0f";
    for rest in ["", "/env"] {
        let theirs = format!("/api/v1/admin/tenants/globex/deployments/{id}{rest}");
        let none = format!("/api/v1/admin/tenants/globex/deployments/{nobody}{rest}");
        let (theirs, none) = (test.get(ADMIN, &theirs).await, test.get(ADMIN, &none).await);
        let (theirs, none) = (theirs.expect(404), none.expect(404));
        assert_eq!(theirs["detail"], none["detail"]);
    }
    let theirs = format!("/api/v1/admin/tenants/globex/deployments/{id}/resources");
    test.put(ADMIN, &theirs, json!({})).await.expect(404);
}

#[tokio::test]
async fn with_a_tenant_that_leaves_its_deployments_and_their_secrets_go() {
    let (test, deployment) = byoi().await;
    test.put(ADMIN, &path(&deployment, "/resources"), whole_profile()).await.expect(200);
    test.post(ADMIN, "/api/v1/admin/tenants/acme/cancel", json!({})).await.expect(200);
    let shown = test.get(ADMIN, &path(&deployment, "")).await.expect(200);
    assert_eq!(shown["status"], "retired");
    let url = &shown["resources"]["resources"]["database"]["fields"]["url"];
    assert_eq!(url, &json!({ "secret": true, "set": false, "version": 2 }));
    let body = json!({ "database": { "url": "x" } });
    test.put(ADMIN, &path(&deployment, "/resources"), body).await.expect(409);
}
