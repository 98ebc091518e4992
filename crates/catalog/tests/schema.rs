//! The JSON Schema accepts the five product files, knows every key of them,
//! and refuses keys that do not exist.
#![allow(clippy::unwrap_used)]

mod common;

use serde_json::{Value, json};
use tenure_catalog::json_schema;

/// The part of JSON Schema that the schema uses, patterns left out: the places
/// in `value` that `schema` does not allow.
fn violations(root: &Value, schema: &Value, value: &Value, path: &str) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.strip_prefix("#/$defs/").unwrap();
        return violations(root, &root["$defs"][name], value, path);
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let tried: Vec<_> = any.iter().map(|one| violations(root, one, value, path)).collect();
        return if tried.iter().any(Vec::is_empty) { Vec::new() } else { tried.concat() };
    }
    if let Some(words) = schema["enum"].as_array() {
        let known = words.contains(value);
        return if known {
            Vec::new()
        } else {
            vec![format!("{path}: {value} is no word of {words:?}")]
        };
    }
    let kind = schema["type"].as_str().unwrap_or_else(|| panic!("{path}: {schema} has no type"));
    let fits = match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64(),
        "boolean" => value.is_boolean(),
        other => panic!("{other}"),
    };
    if !fits {
        return vec![format!("{path}: {value} is no {kind}")];
    }
    let mut found = Vec::new();
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        found.extend(violations(root, &schema["items"], item, &format!("{path}[{index}]")));
    }
    for key in schema["required"].as_array().into_iter().flatten() {
        if value.get(key.as_str().unwrap()).is_none() {
            found.push(format!("{path}: {key} is missing"));
        }
    }
    for (key, item) in value.as_object().into_iter().flatten() {
        let place = format!("{path}.{key}");
        match (schema["properties"].get(key), &schema["additionalProperties"]) {
            (Some(known), _) => found.extend(violations(root, known, item, &place)),
            (None, Value::Object(_)) => {
                found.extend(violations(root, &schema["additionalProperties"], item, &place));
            }
            _ => found.push(format!("{place}: unknown key")),
        }
    }
    found
}

#[test]
fn the_five_files_fit_the_schema() {
    let schema = json_schema();
    for (name, text) in common::FILES {
        let file: Value = toml::from_str(text).unwrap();
        assert_eq!(violations(&schema, &schema, &file, name), Vec::<String>::new());
    }
}

#[test]
fn unknown_keys_do_not_fit_at_any_depth() {
    let schema = json_schema();
    let file: Value = toml::from_str(common::FILES[3].1).unwrap();
    for pointer in [
        "",
        "/product",
        "/plans/pro",
        "/plans/pro/limits/events",
        "/plans/pro/limits/events/over",
        "/meters/events",
        "/models/managed/responsibility",
        "/resources/topics",
    ] {
        let mut damaged = file.clone();
        damaged.pointer_mut(pointer).unwrap()["colour"] = json!("red");
        assert!(!violations(&schema, &schema, &damaged, "").is_empty(), "{pointer}");
    }
}

#[test]
fn every_object_of_the_schema_refuses_unknown_keys_or_names_them() {
    fn walk(value: &Value, objects: &mut usize) {
        if value["type"] == "object" {
            *objects += 1;
            let extra = &value["additionalProperties"];
            assert!(
                extra.is_object() && value["propertyNames"].is_object() || *extra == json!(false),
                "{value}"
            );
        }
        value.as_object().into_iter().flatten().for_each(|(_, inner)| walk(inner, objects));
        value.as_array().into_iter().flatten().for_each(|inner| walk(inner, objects));
    }
    let mut objects = 0;
    walk(&json_schema(), &mut objects);
    assert!(objects > 30, "{objects}");
}
