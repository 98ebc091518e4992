//! The description of the API: a snapshot to read, and what every operation says.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use crate::harness::TestServer;

const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
const UPDATE: &str = "TENURE_UPDATE_SNAPSHOTS=1 cargo test -p tenure-server --test it openapi::";
/// Differences shown at most.
const SHOWN_MAX: usize = 40;

fn document() -> Value {
    serde_json::from_str(&tenure_server::router::openapi().to_pretty_json().unwrap()).unwrap()
}

/// Where two documents differ, as pointers.
fn differences(at: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
    if old == new {
        return;
    }
    if let (Value::Object(before), Value::Object(after)) = (old, new) {
        let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        for name in names {
            let pointer = format!("{at} > {name}");
            match (before.get(name), after.get(name)) {
                (Some(old), Some(new)) => differences(&pointer, old, new, found),
                (None, _) => found.push(format!("+ {pointer}")),
                (_, None) => found.push(format!("- {pointer}")),
            }
        }
        return;
    }
    let (short_old, short_new) = (old.to_string(), new.to_string());
    found.push(format!("~ {at}: {short_old:.80} is now {short_new:.80}"));
}

/// Every `$ref` below a value.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(to)) = members.get("$ref") {
                found.insert(to.clone());
            }
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn everything_that_the_description_refers_to_is_in_it() {
    let (document, mut found) = (document(), BTreeSet::new());
    references(&document, &mut found);
    let missing = |to: &&String| document.pointer(to.trim_start_matches('#')).is_none();
    assert_eq!(found.iter().filter(missing).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn the_description_is_the_committed_one() {
    let new = document();
    let text = format!("{}\n", serde_json::to_string_pretty(&new).unwrap());
    #[allow(clippy::disallowed_methods, reason = "a switch for whoever runs the test")]
    let update = std::env::var_os("TENURE_UPDATE_SNAPSHOTS").is_some();
    if update {
        fs::create_dir_all(Path::new(SNAPSHOT).parent().unwrap()).unwrap();
        fs::write(SNAPSHOT, text).unwrap();
        return;
    }
    let old = fs::read_to_string(SNAPSHOT).unwrap_or_default();
    if old == text {
        return;
    }
    let old: Value = serde_json::from_str(&old).unwrap_or_default();
    let mut found = Vec::new();
    differences("", &old, &new, &mut found);
    let more = found.len().saturating_sub(SHOWN_MAX);
    found.truncate(SHOWN_MAX);
    panic!(
        "docs/openapi.json is not what the server serves:\n{}\n{more} more.\nRead the differences; if they are \
         meant: {UPDATE}",
        found.join("\n")
    );
}

#[tokio::test]
async fn the_served_document_is_the_described_one_and_has_a_page() {
    let test = TestServer::empty().await;
    assert_eq!(test.get("", "/openapi.json").await.expect(200), document());
    let page = test.get("", "/docs/api").await;
    assert_eq!(
        (page.status.as_u16(), page.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    for (path, item) in document()["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values().filter(|value| value.is_object()) {
            let id = operation["operationId"].as_str().unwrap();
            assert!(page.text.contains(&format!("id=\"{id}\"")), "{path} is on the page");
        }
    }
    for foreign in ["src=\"http", "href=\"http", "@import", "<script"] {
        assert!(!page.text.contains(foreign), "the page fetches nothing: {foreign}");
    }
}

/// Whether a value, or what it refers to, shows an example.
fn shows_example(value: &Value, document: &Value, depth: usize) -> bool {
    match value {
        Value::Object(fields) => fields.iter().any(|(name, inner)| {
            let referred = inner.as_str().filter(|_| name == "$ref").filter(|_| depth < 8);
            let referred = referred.and_then(|path| path.rsplit('/').next());
            name == "example"
                || name == "examples"
                || shows_example(inner, document, depth)
                || referred.is_some_and(|schema| {
                    schema != "Problem"
                        && shows_example(
                            &document["components"]["schemas"][schema],
                            document,
                            depth + 1,
                        )
                })
        }),
        Value::Array(all) => all.iter().any(|inner| shows_example(inner, document, depth)),
        _ => false,
    }
}

#[test]
fn every_operation_says_what_it_is_and_how_it_fails() {
    let document = document();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."), "{}", document["openapi"]);
    let mut wrong = Vec::new();
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if !operation.is_object() {
                continue;
            }
            let name = format!("{} {path}", method.to_uppercase());
            let mut need = |holds: bool, what: &str| {
                if !holds {
                    wrong.push(format!("{name}: {what}"));
                }
            };
            let text = |field: &str| operation[field].as_str().unwrap_or_default();
            need(!text("summary").is_empty(), "no summary");
            need(!text("operationId").is_empty(), "no operation_id");
            need(ids.insert(text("operationId").to_owned()), "its operation_id is taken");
            need(operation["tags"][0].is_string(), "no tag");
            let answers = operation["responses"].as_object().unwrap();
            need(answers.values().all(|a| a["description"] != ""), "an answer without words");
            need(answers.keys().any(|status| status.starts_with(['2', '3'])), "no success");
            let public = operation["security"] == serde_json::json!([{}]);
            for status in ["401", "403"] {
                need(public || answers.contains_key(status), &format!("no answer {status}"));
            }
            need(!path.contains('{') || answers.contains_key("404"), "no answer 404");
            let body = &operation["requestBody"];
            for status in ["400", "413", "415"] {
                need(
                    body.is_null() || answers.contains_key(status),
                    &format!("no answer {status}"),
                );
            }
            let json = &body["content"]["application/json"];
            need(json.is_null() || shows_example(json, &document, 0), "no example of its body");
            let success = answers.iter().find(|(status, _)| status.starts_with('2'));
            let content = success.map(|(_, answer)| &answer["content"]["application/json"]);
            let free = content.is_some_and(|content| content["schema"]["type"] == "object");
            let shown = content.is_none_or(|content| {
                content.is_null() || free || shows_example(content, &document, 0)
            });
            need(shown, "no example of its answer");
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
