//! The JSON Schema of product files.

/// The JSON Schema (2020-12) of a product file, for editors.
pub fn json_schema() -> serde_json::Value {
    serde_json::json!({})
}
