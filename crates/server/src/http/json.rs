//! JSON bodies, read strictly: no unknown field, no field twice, no surprise.

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::{Serialize, de::DeserializeOwned};

use super::problem::{FieldError, Problem};

/// Largest JSON body of an ordinary operation, in bytes.
pub const BODY_BYTES_MAX: usize = 256 * 1024;
/// Deepest nesting of a JSON body.
const DEPTH_MAX: usize = 32;

/// A JSON body, or a JSON answer.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
            Err(error) => Problem::internal(error).into_response(),
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        require_json(request.headers())?;
        let bytes = read(request.into_body(), BODY_BYTES_MAX).await?;
        strict(&bytes).map(Self)
    }
}

pub(crate) fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = given.map(|text| text.split(';').next().unwrap_or("").trim());
    match essence {
        Some(text) if text.eq_ignore_ascii_case("application/json") => Ok(()),
        Some(text) if text.to_ascii_lowercase().ends_with("+json") => Ok(()),
        _ => Err(Problem::unsupported_media_type(
            "Send JSON with the header `Content-Type: application/json`.",
        )),
    }
}

/// The whole body, if it is no larger than `limit` bytes.
pub(crate) async fn read(body: Body, limit: usize) -> Result<Bytes, Problem> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => {
            Err(Problem::too_large(format!("The body is larger than {limit} bytes.")))
        }
        Err(_) => Err(Problem::bad_request("The body ended before it was complete.")),
    }
}

/// Reads a value, refusing fields given twice (at any depth) and, through the
/// type's `deny_unknown_fields`, unknown ones; errors point to the field.
///
/// # Errors
/// 400 when the text is not JSON, 422 when it is not what `T` says.
pub fn strict<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    refuse_duplicates(bytes)?;
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = pointer(error.path());
        Problem::invalid(vec![FieldError { detail: sentence(error.inner()), pointer }])
    })
}

fn refuse_duplicates(bytes: &[u8]) -> Result<(), Problem> {
    tenure_license::json::check_to_depth(bytes, DEPTH_MAX)
        .map_err(|error| Problem::bad_request(format!("The body is not valid JSON: {error}.")))
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut text = String::new();
    for segment in path {
        match segment {
            Segment::Map { key } => {
                text.push('/');
                text.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Seq { index } => text.push_str(&format!("/{index}")),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    text
}

/// serde's message without the position in the text, which the pointer replaces.
fn sentence(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rfind(" at line ").map_or(&*text, |at| &text[..at]);
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Plan {
        name: String,
        limits: Option<serde_json::Value>,
    }

    #[test]
    fn a_field_given_twice_is_refused_at_any_depth() {
        let text = br#"{"name": "a", "limits": {"x": [{"y": 1, "y": 2}]}}"#;
        let problem = strict::<Plan>(text).unwrap_err();
        assert_eq!(problem.status, 400);
        assert!(problem.detail.contains("`y` is given twice"), "{}", problem.detail);
    }

    #[test]
    fn an_unknown_field_is_refused_with_the_known_ones() {
        let problem = strict::<Plan>(br#"{"name": "a", "limit": 1}"#).unwrap_err();
        assert_eq!(problem.status, 422);
        assert!(problem.errors[0].detail.contains("`limits`"), "{problem:?}");
    }

    #[test]
    fn a_wrong_type_is_pointed_at() {
        let problem = strict::<Plan>(br#"{"name": 7}"#).unwrap_err();
        assert_eq!(problem.errors[0].pointer, "/name");
    }

    #[test]
    fn trailing_text_and_deep_nesting_are_refused() {
        assert_eq!(strict::<Plan>(br#"{"name": "a"} x"#).unwrap_err().status, 400);
        let nested = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let deepest = nested(DEPTH_MAX);
        assert!(strict::<serde_json::Value>(deepest.as_bytes()).is_ok());
        let problem = strict::<serde_json::Value>(nested(DEPTH_MAX + 1).as_bytes()).unwrap_err();
        assert_eq!(problem.status, 400);
        assert!(problem.detail.contains("nested more than 32 deep at line 1"), "{problem:?}");
    }
}
