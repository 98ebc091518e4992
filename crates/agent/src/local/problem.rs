//! What goes wrong, as problem details (RFC 9457).

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::Error;

/// An answer that is no success.
pub(super) fn problem(status: StatusCode, code: &str, detail: &str) -> Response {
    let kind = format!("urn:tenure:problem:{}", code.replace('_', "-"));
    let title = status.canonical_reason().unwrap_or("Refused");
    let body = json!({
        "type": kind, "title": title, "status": status.as_u16(), "code": code, "detail": detail,
    });
    let content = [(header::CONTENT_TYPE, "application/problem+json")];
    (status, content, Json(body).0.to_string()).into_response()
}

pub(super) async fn no_route() -> Response {
    problem(StatusCode::NOT_FOUND, "not_found", "There is nothing here.")
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = match (&self, self.code()) {
            (Self::SpoolFull { .. }, _) => StatusCode::INSUFFICIENT_STORAGE,
            (_, "too_many_events") => StatusCode::PAYLOAD_TOO_LARGE,
            (_, "taking_conflict") => StatusCode::CONFLICT,
            (_, "stopping" | "quota_changes") => StatusCode::SERVICE_UNAVAILABLE,
            (_, "no_such_limit") => StatusCode::NOT_FOUND,
            (Self::Refused { .. } | Self::Setting(_), _) => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(code = self.code(), error = %self, "the local API failed");
        }
        problem(status, self.code(), &self.to_string())
    }
}
