//! The JSON Schema of product files, drawn from the grammar.

use serde_json::{Map, Value, json};

use crate::grammar::{FILE, MODEL_WORDS, Naming, Shape, Table};

/// The JSON Schema (2020-12) of a product file, for editors. It refuses
/// unknown keys; what it accepts may still be refused for its meaning.
pub fn json_schema() -> Value {
    let mut defs = Map::new();
    let mut schema = table(&FILE, &mut defs);
    if let Value::Object(object) = &mut schema {
        object.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
        object.insert("title".into(), json!("Tenure product file"));
        object.insert("$defs".into(), Value::Object(defs));
    }
    schema
}

fn table(table: &Table, defs: &mut Map<String, Value>) -> Value {
    let mut properties = Map::new();
    for key in table.keys {
        let mut schema = shape(&key.shape, defs);
        if let Value::Object(object) = &mut schema {
            object.insert("description".into(), json!(key.about));
        }
        properties.insert(key.name.into(), schema);
    }
    let required: Vec<&str> =
        table.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    json!({
        "type": "object",
        "description": table.about,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// One for all, or one a currency.
fn by_currency(price: Value) -> Value {
    let each = json!({ "type": "object", "propertyNames": { "pattern": "^[A-Z]{3}$" },
        "minProperties": 1, "additionalProperties": price });
    json!({ "anyOf": [price, each] })
}

fn shape(of: &Shape, defs: &mut Map<String, Value>) -> Value {
    const AMOUNT: &str = r"\d{1,12}(\.\d{1,12})?";
    const LENGTH: &str = r"\d{1,6}(s|m|h|d|bd)";
    let text = |pattern: String| json!({ "type": "string", "pattern": pattern });
    match of {
        Shape::Text => json!({ "type": "string", "minLength": 1 }),
        Shape::Price => {
            by_currency(text(format!("^(custom|(from )?{AMOUNT}|{AMOUNT} ?- ?{AMOUNT})$")))
        }
        Shape::ExactPrice => by_currency(text(format!("^{AMOUNT}$"))),
        Shape::Decimal => text(format!("^{AMOUNT}$")),
        Shape::Whole => json!({ "type": "integer", "minimum": 0 }),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Duration => text(format!("^{LENGTH}$")),
        Shape::DurationRange => text(format!("^{LENGTH}(-{LENGTH})?$")),
        Shape::Rate => text(r"^\d+/(second|minute|hour)$".to_owned()),
        Shape::Word(words) => json!({ "enum": words }),
        Shape::List(inner) => json!({ "type": "array", "items": shape(inner, defs) }),
        Shape::Map(naming, inner) => {
            let names = match naming {
                Naming::Id => json!({ "pattern": "^[a-z][a-z0-9_-]{0,47}$" }),
                Naming::Variable => json!({ "pattern": "^[A-Z_][A-Z0-9_]{0,47}$" }),
                Naming::Model => json!({ "enum": MODEL_WORDS }),
                Naming::Field => json!({ "pattern": "^[A-Za-z_][A-Za-z0-9_-]{0,47}$" }),
            };
            let inner = shape(inner, defs);
            json!({ "type": "object", "propertyNames": names, "additionalProperties": inner })
        }
        Shape::Table(inner) => {
            if !defs.contains_key(inner.name) {
                let schema = table(inner, defs);
                defs.insert(inner.name.to_owned(), schema);
            }
            json!({ "$ref": format!("#/$defs/{}", inner.name) })
        }
        Shape::Either(shapes) => {
            let any: Vec<Value> = shapes.iter().map(|inner| shape(inner, defs)).collect();
            json!({ "anyOf": any })
        }
    }
}
