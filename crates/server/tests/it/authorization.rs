//! Every operation of the served description, called as everybody who may not.
//!
//! Nothing here names operations: those added later are covered as they come.
//! What deviates on purpose stands, with its reason, in
//! `authorization_exceptions.txt`; an exception that is not needed fails too.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Row;

use crate::harness::{ADMIN, Answer, TestServer};

const EXCEPTIONS: &str = include_str!("authorization_exceptions.txt");
/// A well-formed UUID that no row has.
const NOBODY: &str = "01900000000070008000000000000bad";

struct Operation {
    id: String,
    method: Method,
    path: String,
    about: Value,
}

impl Operation {
    /// The vendor's, as against a tenant's.
    fn is_vendors(&self) -> bool {
        self.path.starts_with("/api/v1/admin/") || self.path.starts_with("/admin/")
    }

    fn parameters(&self) -> impl Iterator<Item = &Value> {
        self.about["parameters"].as_array().into_iter().flatten()
    }

    fn ids(&self) -> Vec<&str> {
        self.parameters().filter(|p| p["in"] == "path").filter_map(|p| p["name"].as_str()).collect()
    }
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "put", "post", "patch", "delete"] {
            if let Some(about) = item.get(method) {
                all.push(Operation {
                    id: about["operationId"].as_str().unwrap().to_owned(),
                    method: method.to_uppercase().parse().unwrap(),
                    path: path.clone(),
                    about: about.clone(),
                });
            }
        }
    }
    all
}

/// Collects what is wrong and holds it against the committed exceptions.
#[derive(Default)]
struct Findings(BTreeMap<(String, &'static str), String>);

impl Findings {
    fn expect(&mut self, operation: &Operation, check: &'static str, status: u16, answer: &Answer) {
        if answer.status.as_u16() != status {
            let text: String = answer.text.chars().take(200).collect();
            let found = format!("answered {}, not {status}: {text}", answer.status);
            self.0.insert((operation.id.clone(), check), found);
        }
    }

    /// `checks` are those that this test makes.
    fn settle(self, checks: &[&str]) {
        let mut excused = BTreeSet::new();
        for line in EXCEPTIONS.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut words = line.splitn(3, ' ');
            let (id, check) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
            assert!(words.next().is_some_and(|why| why.len() > 10), "a reason is missing: {line}");
            if checks.contains(&check) {
                excused.insert((id.to_owned(), check.to_owned()));
            }
        }
        let mut wrong = Vec::new();
        for ((id, check), found) in &self.0 {
            if !excused.remove(&(id.clone(), (*check).to_owned())) {
                wrong.push(format!("{id} {check}: {found}"));
            }
        }
        wrong.extend(
            excused.iter().map(|(id, check)| format!("{id} {check}: the exception is stale")),
        );
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    }
}

/// A value that fits a schema, from its examples where it has them.
fn sample(schema: &Value, document: &Value) -> Value {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return sample(&document["components"]["schemas"][name], document);
    }
    if let Some(example) = schema.get("example").or_else(|| schema["examples"].get(0)) {
        return example.clone();
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    for of in ["oneOf", "anyOf", "allOf"] {
        if let Some(options) = schema[of].as_array() {
            let real = options.iter().find(|option| option["type"] != "null");
            return real.map_or(Value::Null, |option| sample(option, document));
        }
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str()).unwrap_or("object");
    match kind {
        "string" if schema["format"] == "date-time" => json!("2026-03-02T00:00:00Z"),
        "string" => json!("example"),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(1)),
        "boolean" => json!(false),
        "array" => json!([]),
        _ => {
            let required = schema["required"].as_array().into_iter().flatten();
            let fields = required.filter_map(Value::as_str);
            fields.map(|f| (f.to_owned(), sample(&schema["properties"][f], document))).collect()
        }
    }
}

async fn call(
    test: &TestServer,
    document: &Value,
    operation: &Operation,
    token: &str,
    ids: &BTreeMap<&str, String>,
) -> Answer {
    let mut path = operation.path.clone();
    for (name, id) in ids {
        path = path.replace(&format!("{{{name}}}"), id);
    }
    let mut request = test.request(operation.method.clone(), token, &path);
    for parameter in operation.parameters().filter(|p| p["required"] == true) {
        let value = parameter.get("example").cloned();
        let value = value.unwrap_or_else(|| sample(&parameter["schema"], document));
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let name = parameter["name"].as_str().unwrap();
        request = match parameter["in"].as_str() {
            Some("query") => request.query(&[(name, text)]),
            Some("header") => request.header(name, text),
            _ => request,
        };
    }
    let content = operation.about["requestBody"]["content"].as_object();
    if let Some((kind, content)) = content.and_then(|content| content.iter().next()) {
        let body = content.get("example").cloned();
        let body = body.unwrap_or_else(|| sample(&content["schema"], document));
        let text = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
        request = request.header("content-type", kind).body(text);
    }
    test.send(request).await
}

/// Ids that no row has, in the shape that each parameter asks for.
fn missing<'a>(operation: &'a Operation, document: &Value) -> BTreeMap<&'a str, String> {
    let parameters = operation.parameters().filter(|p| p["in"] == "path");
    parameters
        .map(|parameter| {
            let example = sample(&parameter["schema"], document);
            let shaped = match example.as_str().and_then(|text| text.split_once('_')) {
                Some((prefix, _)) if example != "example" => format!("{prefix}_{NOBODY}"),
                _ if example.is_number() => "4711".to_owned(),
                _ => "nobody".to_owned(),
            };
            (parameter["name"].as_str().unwrap(), shaped)
        })
        .collect()
}

struct Scene {
    test: TestServer,
    document: Value,
    key: String,
    viewer: String,
}

async fn scene() -> Scene {
    let test = TestServer::start().await;
    let document = test.get("", "/openapi.json").await.expect(200);
    let (_, key) = test.client("Acme", "pro").await;
    let viewer = json!({"name": "looker", "role": "viewer"});
    let viewer = test.post(ADMIN, "/api/v1/admin/credentials", viewer).await.expect(201);
    let viewer = viewer["token"].as_str().unwrap().to_owned();
    Scene { test, document, key, viewer }
}

#[tokio::test]
async fn nobody_gets_past_without_a_valid_credential() {
    let Scene { test, document, .. } = scene().await;
    let mut findings = Findings::default();
    for operation in &operations(&document) {
        let ids = missing(operation, &document);
        let answer = call(&test, &document, operation, "", &ids).await;
        findings.expect(operation, "anonymous", 401, &answer);
        for garbage in ["tenv_0000", "wg_live_garbage", "eyJhbGciOiJub25lIn0.e30.", "x"] {
            let answer = call(&test, &document, operation, garbage, &ids).await;
            findings.expect(operation, "garbage", 401, &answer);
        }
    }
    findings.settle(&["anonymous", "garbage"]);
}

#[tokio::test]
async fn a_credential_of_the_wrong_kind_or_role_is_told_so() {
    let Scene { test, document, key, viewer } = scene().await;
    let mut findings = Findings::default();
    for operation in &operations(&document) {
        let ids = missing(operation, &document);
        let other = if operation.is_vendors() { &key } else { ADMIN };
        let answer = call(&test, &document, operation, other, &ids).await;
        findings.expect(operation, "wrong-kind", 403, &answer);
        if operation.is_vendors() && operation.method != Method::GET {
            let answer = call(&test, &document, operation, &viewer, &ids).await;
            findings.expect(operation, "viewer", 403, &answer);
        }
    }
    findings.settle(&["wrong-kind", "viewer"]);
}

fn without_instance(answer: &Answer) -> Value {
    let mut body = answer.json.clone();
    if let Some(fields) = body.as_object_mut() {
        fields.remove("instance");
    }
    body
}

/// The id of a row of that tenant, by the name of a path parameter.
async fn row_of(test: &TestServer, tenant: &str, name: &str, shape: &str) -> Option<String> {
    let table = match name {
        "key" => "api_keys".to_owned(),
        "account" => "billing_accounts".to_owned(),
        name => format!("{name}s"),
    };
    let mut admin = test.database.admin().await;
    let sql = format!(
        "SELECT replace(r.id::text, '-', '') FROM {table} r JOIN tenants t ON t.id = r.tenant_id \
         WHERE t.slug = '{tenant}' LIMIT 1"
    );
    let row = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).fetch_optional(&mut admin).await.ok()??;
    let (prefix, _) = shape.split_once('_')?;
    Some(format!("{prefix}_{}", row.get::<String, _>(0)))
}

/// Something of everything, so that there is something to reach for.
async fn furnish(test: &TestServer, tenant: &str) {
    let base = format!("/api/v1/admin/tenants/{tenant}");
    let unit = json!({"kind": "team", "name": "Platform"});
    test.post(ADMIN, &format!("{base}/units"), unit).await.expect(201);
    let all = test.get(ADMIN, &format!("{base}/subscriptions")).await.expect(200);
    let id = all["items"][0]["id"].as_str().unwrap();
    let contract = json!({"reason": "Quote 7", "approver": "cfo@widget.example",
        "changes": {"limits": [{"limit": "events", "included": "123456"}]}});
    let path = format!("{base}/subscriptions/{id}/contracts");
    test.post(ADMIN, &path, contract).await.expect(201);
}

#[tokio::test]
async fn the_things_of_another_tenant_do_not_exist() {
    let Scene { test, document, key, .. } = scene().await;
    let (other, other_key) = test.client("Globex", "pro").await;
    furnish(&test, "acme").await;
    furnish(&test, &other).await;
    let mut findings = Findings::default();
    let mut reached = BTreeSet::new();
    for operation in &operations(&document) {
        let names = operation.ids();
        if names.is_empty() {
            continue;
        }
        let token = if operation.is_vendors() { ADMIN } else { &other_key };
        let mut none = missing(operation, &document);
        if names.contains(&"tenant") && names.len() > 1 {
            none.insert("tenant", other.clone());
        }
        let absent = call(&test, &document, operation, token, &none).await;
        findings.expect(operation, "missing-id", 404, &absent);
        for name in names.iter().filter(|name| **name != "tenant") {
            let Some(row) = row_of(&test, "acme", name, &none[name]).await else { continue };
            let foreign: BTreeMap<_, _> = none
                .iter()
                .map(|(known, id)| (*known, if known == name { row.clone() } else { id.clone() }))
                .collect();
            let answer = call(&test, &document, operation, token, &foreign).await;
            findings.expect(operation, "foreign-id", 404, &answer);
            if without_instance(&answer) != without_instance(&absent) {
                let found = format!("{} is not {}", answer.text, absent.text);
                findings.0.insert((operation.id.clone(), "foreign-id"), found);
            }
            reached.insert((*name).to_owned());
        }
    }
    findings.settle(&["missing-id", "foreign-id"]);
    // The denials above mean something: these rows exist, and their owner reaches them.
    for name in ["subscription", "contract", "unit", "key", "account"] {
        assert!(reached.contains(name), "no operation was tried with a foreign {name}");
    }
    let own = row_of(&test, "acme", "subscription", "sub_x").await.unwrap();
    test.get(ADMIN, &format!("/api/v1/admin/tenants/acme/subscriptions/{own}")).await.expect(200);
    test.get(&key, "/api/v1/tenant").await.expect(200);
}

#[tokio::test]
async fn a_tenant_that_was_deleted_looks_like_one_that_never_was() {
    let Scene { test, document, .. } = scene().await;
    let tenant = test.get(ADMIN, "/api/v1/admin/tenants/acme").await.expect(200);
    test.post(ADMIN, "/api/v1/admin/tenants/acme/cancel", json!({})).await.expect(200);
    test.delete(ADMIN, "/api/v1/admin/tenants/acme?confirm=acme").await.expect(200);
    let mut findings = Findings::default();
    for operation in &operations(&document) {
        if !operation.ids().contains(&"tenant") {
            continue;
        }
        let mut ids = missing(operation, &document);
        ids.insert("tenant", format!("ten_{NOBODY}"));
        let absent = call(&test, &document, operation, ADMIN, &ids).await;
        ids.insert("tenant", tenant["id"].as_str().unwrap().to_owned());
        let deleted = call(&test, &document, operation, ADMIN, &ids).await;
        findings.expect(operation, "deleted", 404, &deleted);
        assert_eq!(without_instance(&deleted), without_instance(&absent), "{}", operation.id);
    }
    findings.settle(&["deleted"]);
}
