//! A file that is sent with a form, and files that are taken away.

use axum::{
    body::Bytes,
    extract::{
        FromRequest, Multipart, Request,
        multipart::{Field, MultipartError},
    },
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use subtle::ConstantTimeEq;

use crate::{
    App,
    http::Problem,
    licensing::{LicenseFile, files::Exchanged},
    router::REQUEST_BYTES_MAX,
};

/// Largest form with a file, in bytes: the whole request.
pub(super) const UPLOAD_BYTES_MAX: usize = REQUEST_BYTES_MAX;
/// What people are told of it.
pub(super) const UPLOAD_MAX_WORDS: &str = "16 MB";
/// Fields of such a form at most.
const FIELDS_MAX: usize = 8;

fn unreadable(error: &MultipartError) -> Problem {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::too_large(format!("A file has at most {UPLOAD_MAX_WORDS}."))
        }
        _ => Problem::bad_request(format!("The form cannot be read: {}.", error.body_text())),
    }
}

/// The file of a form that comes from the session with this token. The token is
/// the first field: nothing of the file is read without it.
pub(super) async fn file(request: Request, app: &App, form_token: &str) -> Result<Bytes, Problem> {
    let form = Multipart::from_request(request, app).await;
    let mut form = form.map_err(|error| Problem::bad_request(error.body_text()))?;
    let mut ours = false;
    for _ in 0..FIELDS_MAX {
        let Some(field) = form.next_field().await.map_err(|error| unreadable(&error))? else {
            break;
        };
        match field.name() {
            Some("form_token") => ours = is_token(field, form_token).await?,
            Some("file") if ours => {
                return field.bytes().await.map_err(|error| unreadable(&error));
            }
            _ => break,
        }
    }
    if ours {
        return Err(Problem::field("/file", "Choose a file."));
    }
    let detail = "This form is not from your session. Go back, reload the page and try again.";
    Err(Problem::forbidden(detail))
}

async fn is_token(mut field: Field<'_>, expected: &str) -> Result<bool, Problem> {
    let mut given = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| unreadable(&error))? {
        given.extend_from_slice(&chunk);
        if given.len() > expected.len() {
            return Ok(false);
        }
    }
    Ok(bool::from(given.ct_eq(expected.as_bytes())))
}

/// A file as the answer, to be saved.
pub(super) fn saved(file: LicenseFile) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", file.name)),
    ];
    (headers, file.text).into_response()
}

/// What a carried file turned out to be, and what it got.
pub(super) struct Outcome {
    pub(super) what: &'static str,
    pub(super) tone: &'static str,
    pub(super) summary: String,
    pub(super) warnings: Vec<String>,
    /// Name of the answering file, and where it is below the license's path.
    pub(super) answer: Option<(String, String)>,
}

impl Outcome {
    /// From the answer of the operation.
    pub(super) fn new(exchanged: Exchanged) -> Self {
        let (what, path) = match (exchanged.kind.as_str(), exchanged.report_id) {
            ("request", _) => {
                ("Request file", Some(format!("instances/{}/file", exchanged.instance_id)))
            }
            ("return", _) => ("Return file", None),
            (_, Some(report)) => ("Usage report", Some(format!("reports/{report}/receipt"))),
            _ => ("Usage report", None),
        };
        Self {
            what,
            tone: if exchanged.warnings.is_empty() { "ok" } else { "warn" },
            summary: plain(&exchanged.summary),
            warnings: exchanged.warnings.iter().map(|text| plain(text)).collect(),
            answer: exchanged.file_name.zip(path),
        }
    }
}

/// A sentence of the API as pages say it: it begins large, and commands have no marks around them.
pub(super) fn plain(text: &str) -> String {
    let text = text.replace('`', "");
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}
