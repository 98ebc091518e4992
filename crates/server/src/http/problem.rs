//! The one error type of the edge: RFC 9457 problem details.
//!
//! When to use which:
//! * [`Problem::bad_request`] - the request cannot be read at all;
//! * [`Problem::invalid`] - it was read, and some fields are wrong (422, with pointers);
//! * [`Problem::unauthorized`] - no credential, or one that is not (or no longer) valid;
//! * [`Problem::forbidden`] - a valid credential of the wrong kind or role;
//! * [`Problem::not_found`] - there is no such thing *for this caller*: another tenant's
//!   id gets exactly the answer of an id that does not exist;
//! * [`Problem::conflict`] - right in itself, but not in the present state;
//! * [`Problem::unavailable`] - a part we need is away; come back;
//! * [`Problem::internal`] - our mistake: logged whole, told as nothing.

use std::fmt;

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

/// What a client is told to wait when a part we need is away, in seconds.
pub const RETRY_AFTER_SECONDS: u32 = 2;

/// One field that is wrong.
#[derive(Debug, Clone, Serialize, ToSchema, PartialEq, Eq)]
pub struct FieldError {
    /// What is wrong and what to do.
    #[schema(example = "`starterr` is no plan of kg-rca; did you mean `starter`?")]
    pub detail: String,
    /// JSON pointer to the field.
    #[schema(example = "/plan")]
    pub pointer: String,
}

/// Problem details (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// Stable: programs may compare it.
    #[serde(rename = "type")]
    #[schema(example = "urn:tenure:problem:not-found")]
    pub kind: String,
    /// The same for every problem of this type.
    #[schema(example = "Not found")]
    pub title: String,
    /// The HTTP status code.
    #[schema(example = 404)]
    pub status: u16,
    /// What happened here, and what to do about it.
    #[schema(example = "There is no such tenant.")]
    pub detail: String,
    /// The request's id, for logs and support.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "req_01932f3ea1b27c3d9e4f5a6b7c8d9e0f")]
    pub instance: Option<String>,
    /// Which fields are wrong, for `invalid`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    #[serde(skip)]
    #[schema(ignore)]
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem of the type `urn:tenure:problem:<slug>`.
    pub fn new(
        status: StatusCode,
        slug: &str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            kind: format!("urn:tenure:problem:{slug}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            instance: None,
            errors: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// 400: the request cannot be read.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "The request cannot be read", detail)
    }

    /// 422: these fields are wrong.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [one] => one.detail.clone(),
            many => format!("{} fields are wrong; see errors.", many.len()),
        };
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self { errors, ..Self::new(status, "invalid", "The request is not valid", detail) }
    }

    /// 422: this field is wrong.
    pub fn field(pointer: &str, detail: impl fmt::Display) -> Self {
        Self::invalid(vec![FieldError { detail: detail.to_string(), pointer: pointer.to_owned() }])
    }

    /// 401, with the challenge that the standard asks for.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Not signed in", detail)
            .with_header(header::WWW_AUTHENTICATE, "Bearer realm=\"tenure\"")
    }

    /// 403: a valid credential that may not do this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed", detail)
    }

    /// 404: no such `what` for this caller.
    pub fn not_found(what: &str) -> Self {
        let detail = format!("There is no such {what}.");
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    /// 409: not in the present state.
    pub fn conflict(slug: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, slug, "Not possible in the present state", detail)
    }

    /// 413: larger than a named limit.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The request is too large", detail)
    }

    /// 415: a body of another type than the operation takes.
    pub fn unsupported_media_type(detail: impl Into<String>) -> Self {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self::new(status, "unsupported-media-type", "The body has the wrong type", detail)
    }

    /// 503: come back in a moment; nothing was changed.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, "unavailable", "Temporarily unavailable", detail)
            .with_header(header::RETRY_AFTER, &RETRY_AFTER_SECONDS.to_string())
    }

    /// 500: `error` goes to the log, never to the caller.
    pub fn internal(error: impl fmt::Display) -> Self {
        tracing::error!(%error, "request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something went wrong on our side",
            "The request failed and was logged. Nothing was changed. Trying again may help.",
        )
    }

    /// The same problem with one more header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// The status as a type.
    pub fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        let headers = std::mem::take(&mut self.headers);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (
            self.status_code(),
            [(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))],
            body,
        )
            .into_response();
        response.headers_mut().extend(headers);
        // Middleware adds the request's id, which only it knows.
        response.extensions_mut().insert(self);
        response
    }
}

impl From<tenure_tenancy::Error> for Problem {
    fn from(error: tenure_tenancy::Error) -> Self {
        if error.is_unavailable() {
            tracing::warn!(%error, "the database is away");
            return Self::unavailable(
                "The database cannot be reached. Nothing was changed; try again shortly.",
            );
        }
        if error.is_unstorable_text() {
            return Self::bad_request("A text holds the character U+0000, which cannot be kept.");
        }
        Self::internal(error)
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        tenure_tenancy::Error::from(error).into()
    }
}
