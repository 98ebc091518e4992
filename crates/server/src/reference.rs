//! The description of the API for machines, completed, and the same as a page
//! for people at `/docs/api`.
//!
//! Owns: what holds for every operation and is therefore written nowhere else:
//! the answers 401, 403, 413 and 503, and words for statuses and path
//! parameters. Refuses: scripts and styles from elsewhere; the page is one file.

use std::fmt::Write;

use axum::http::StatusCode;
use serde_json::{Value, json};
use utoipa::openapi::{
    ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder, path::Operation, path::PathItem,
};

/// Completes the description.
pub fn complete(document: &mut OpenApi) {
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            answers(operation);
            parameters(operation);
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete]
        .into_iter()
        .filter_map(Option::as_mut)
}

fn problem(detail: &str) -> RefOr<utoipa::openapi::Response> {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    RefOr::T(
        ResponseBuilder::new()
            .description(detail)
            .content("application/problem+json", content)
            .build(),
    )
}

/// Adds what any operation can answer, and words where none were given.
fn answers(operation: &mut Operation) {
    // `security(())` marks the operations that need no credential.
    let public = serde_json::to_value(&operation.security).is_ok_and(|value| value == json!([{}]));
    let mut common: Vec<(&str, &str)> = Vec::new();
    if !public {
        common.push(("401", "No credential, or one that is not valid"));
        common.push(("403", "A valid credential that may not do this"));
        common.push(("503", "Come back after `Retry-After`; nothing was changed"));
    }
    if operation.request_body.is_some() {
        common.push(("400", "The request cannot be read"));
        common.push(("413", "The body is too large"));
        common.push(("415", "The body has the wrong type"));
    }
    let responses = &mut operation.responses.responses;
    for (status, detail) in common {
        responses.entry(status.to_owned()).or_insert_with(|| problem(detail));
    }
    for (status, response) in responses {
        let RefOr::T(response) = response else { continue };
        if response.description.is_empty() {
            response.description = words(status).to_owned();
        }
        let failed = status.starts_with('4') || status.starts_with('5');
        if failed && let Some(content) = response.content.shift_remove("application/json") {
            response.content.insert("application/problem+json".to_owned(), content);
        }
    }
}

fn words(status: &str) -> &'static str {
    match status {
        "200" => "Done",
        "201" => "Made",
        "404" => "There is no such thing for this caller",
        "409" => "Not possible in the present state",
        "422" => "Read, but not valid; `errors` points at what is wrong",
        _ => status
            .parse()
            .ok()
            .and_then(|code| StatusCode::from_u16(code).ok())
            .and_then(|code| code.canonical_reason())
            .unwrap_or("Another answer"),
    }
}

fn parameters(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        let missing = parameter.description.as_ref().is_none_or(String::is_empty);
        if missing {
            parameter.description = Some(match parameter.name.as_str() {
                "tenant" => "Id or slug of the tenant".to_owned(),
                "product" => "Slug of the product".to_owned(),
                name => format!("Id of the {}", name.replace('_', " ")),
            });
        }
    }
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;\
color:#1c2430;background:#fff}nav ul{columns:2;list-style:none;padding:0}h2{margin-top:3rem;border-bottom:1px solid #ccd}\
h3{margin-top:2rem}code,pre{font-family:ui-monospace,monospace;font-size:.9em}pre{background:#f4f6f9;padding:.8rem;\
overflow:auto}table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25rem .5rem;\
border-bottom:1px solid #e3e7ee;vertical-align:top}.m{display:inline-block;min-width:4.5rem;font-weight:700}\
a{color:#0b57b0}@media(prefers-color-scheme:dark){body{background:#12161c;color:#dde3ec}pre{background:#1d232c}\
a{color:#7db4ff}td,th,h2{border-color:#333c49}}";

/// Text that is safe between tags and in quoted attributes.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

struct Entry<'a> {
    method: &'a str,
    path: &'a str,
    operation: &'a Value,
}

/// The page, from the served document.
pub fn page(document: &Value) -> String {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for method in ["get", "post", "put", "patch", "delete"] {
            let operation = &item[method];
            if operation.is_object() {
                entries.push(Entry { method, path, operation });
            }
        }
    }
    let tag = |entry: &Entry<'_>| entry.operation["tags"][0].as_str().unwrap_or("Other").to_owned();
    entries.sort_by_key(|entry| (tag(entry), entry.path));
    let (mut contents, mut body) = (String::new(), String::new());
    let mut last = String::new();
    for entry in &entries {
        let section = tag(entry);
        if section != last {
            let _ = write!(body, "<h2>{}</h2>", escape(&section));
            let _ = write!(contents, "<li><strong>{}</strong></li>", escape(&section));
            last = section;
        }
        let (id, summary) =
            (text(entry.operation, "operationId"), text(entry.operation, "summary"));
        let _ = write!(contents, "<li><a href=\"#{}\">{}</a></li>", escape(id), escape(summary));
        operation(&mut body, entry, document);
    }
    let (title, version) = (text(&document["info"], "title"), text(&document["info"], "version"));
    let about = escape(text(&document["info"], "description")).replace("\n\n", "</p><p>");
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{0} API</title><style>{STYLE}</style></head><body>\
         <h1>{0} API {1}</h1><p>{about}</p><p>For machines: <a href=\"/openapi.json\">openapi.json</a></p>\
         <nav><ul>{contents}</ul></nav>{body}</body></html>",
        escape(title),
        escape(version)
    )
}

fn operation(body: &mut String, entry: &Entry<'_>, document: &Value) {
    let Entry { method, path, operation } = entry;
    let (id, summary) = (text(operation, "operationId"), text(operation, "summary"));
    let _ = write!(
        body,
        "<h3 id=\"{0}\"><a href=\"#{0}\">{1}</a></h3><p><code><span class=\"m\">{2}</span>{3}</code></p>",
        escape(id),
        escape(summary),
        method.to_uppercase(),
        escape(path)
    );
    let about = text(operation, "description");
    if !about.is_empty() {
        let _ = write!(body, "<p>{}</p>", escape(about).replace("\n\n", "</p><p>"));
    }
    if operation["parameters"].as_array().is_some_and(|all| !all.is_empty()) {
        body.push_str("<table><tr><th>Parameter</th><th>In</th><th></th></tr>");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let required = if parameter["required"] == true { " (required)" } else { "" };
            let _ = write!(
                body,
                "<tr><td><code>{}</code></td><td>{}{required}</td><td>{}</td></tr>",
                escape(text(parameter, "name")),
                escape(text(parameter, "in")),
                escape(text(parameter, "description"))
            );
        }
        body.push_str("</table>");
    }
    for (kind, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
        let _ = write!(body, "<p>Body: <code>{}</code>{}</p>", escape(kind), schema_link(content));
        let example = Some(&content["example"]).filter(|example| !example.is_null());
        if let Some(example) = example.or_else(|| schema_example(content, document)) {
            let pretty = serde_json::to_string_pretty(example).unwrap_or_default();
            let _ = write!(body, "<pre>{}</pre>", escape(&pretty));
        }
    }
    body.push_str("<table><tr><th>Status</th><th>Meaning</th></tr>");
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let schema = response["content"].as_object().and_then(|content| content.values().next());
        let link = schema.map(schema_link).unwrap_or_default();
        let about = escape(text(response, "description"));
        let _ = write!(body, "<tr><td>{}</td><td>{about}{link}</td></tr>", escape(status));
    }
    body.push_str("</table>");
}

fn schema_link(content: &Value) -> String {
    let name = text(&content["schema"], "$ref").rsplit('/').next().unwrap_or_default();
    if name.is_empty() { String::new() } else { format!(" &ndash; <code>{}</code>", escape(name)) }
}

/// The schema that a body refers to, for operations without an example.
fn schema_example<'a>(content: &Value, document: &'a Value) -> Option<&'a Value> {
    let name = text(&content["schema"], "$ref").rsplit('/').next()?;
    let schema = &document["components"]["schemas"][name];
    schema.get("example").or_else(|| schema.get("properties")).filter(|value| !value.is_null())
}
