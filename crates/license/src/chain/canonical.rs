//! Canonical JSON: one spelling for every value, so that its hash means it.

use serde_json::Value;

/// Deepest nesting of canonical JSON.
pub const DEPTH_MAX: usize = 32;
/// Largest integer that every JSON reader holds exactly (RFC 8259, section 6).
pub const INTEGER_MAX: u64 = (1 << 53) - 1;

/// Why a value has no canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CanonicalError {
    /// A fraction or an integer beyond 2^53 - 1; write it as text.
    #[error("the number {0} has no canonical form; write it as text")]
    Number(String),
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("nested more than {DEPTH_MAX} deep")]
    Depth,
}

/// The one way to write a value (RFC 8785, restricted to exact integers): keys
/// sorted by UTF-16, no blanks, shortest escapes.
pub fn canonical_json(value: &Value) -> Result<Vec<u8>, CanonicalError> {
    let mut out = Vec::with_capacity(256);
    write_value(value, &mut out, 0)?;
    Ok(out)
}

fn write_value(value: &Value, out: &mut Vec<u8>, depth: usize) -> Result<(), CanonicalError> {
    if depth > DEPTH_MAX {
        return Err(CanonicalError::Depth);
    }
    match value {
        Value::Number(number) => {
            let exact = number.as_u64().is_some_and(|n| n <= INTEGER_MAX)
                || number.as_i64().is_some_and(|n| n.unsigned_abs() <= INTEGER_MAX);
            if !exact {
                return Err(CanonicalError::Number(number.to_string()));
            }
            out.extend_from_slice(number.to_string().as_bytes());
        }
        Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_value(item, out, depth + 1)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            // Sorted here: the map keeps insertion order in some builds.
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push(b'{');
            for (i, (key, item)) in sorted.into_iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_scalar(&Value::String(key.clone()), out);
                out.push(b':');
                write_value(item, out, depth + 1)?;
            }
            out.push(b'}');
        }
        scalar => write_scalar(scalar, out),
    }
    Ok(())
}

/// `null`, booleans and strings; serde_json escapes as RFC 8785 wants it.
fn write_scalar(value: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(value.to_string().as_bytes());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn canonical_json_has_one_spelling() {
        let value = json!({"b": [1, -2, true, null], "a\n": "é\u{1f600}\u{1}", "": {}});
        let text = String::from_utf8(canonical_json(&value).unwrap()).unwrap();
        assert_eq!(text, "{\"\":{},\"a\\n\":\"é😀\\u0001\",\"b\":[1,-2,true,null]}");
        // UTF-16 order puts a surrogate pair before U+FB33 (RFC 8785, section 3.2.3).
        let value = json!({"\u{fb33}": 1, "\u{1f600}": 2});
        let text = String::from_utf8(canonical_json(&value).unwrap()).unwrap();
        assert_eq!(text, "{\"\u{1f600}\":2,\"\u{fb33}\":1}");
    }

    #[test]
    fn numbers_that_readers_disagree_on_have_no_canonical_form() {
        for value in [json!(0.5), json!(1.0), json!(9_007_199_254_740_992_u64)] {
            assert!(matches!(canonical_json(&value), Err(CanonicalError::Number(_))), "{value}");
        }
        assert!(canonical_json(&json!(-9_007_199_254_740_991_i64)).is_ok());
        let deep = (0..=DEPTH_MAX + 1).fold(json!(1), |inner, _| json!([inner]));
        assert_eq!(canonical_json(&deep), Err(CanonicalError::Depth));
    }
}
