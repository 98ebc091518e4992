//! Requests that may be sent again: `Idempotency-Key`.
//!
//! Owns: remembering an answer in the very transaction that did the work, and
//! giving it again. Refuses: the same key with another request (422).
//!
//! Two requests with one key at the same time: both do the work, the unique
//! index lets one commit, the other's work is undone and it gets the first
//! one's answer. So nothing has to be claimed beforehand, and nothing can stay
//! claimed by a process that died.

mod db;

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};
use tenure_license::Digest;
use uuid::Uuid;

use crate::{
    App,
    call::{Actor, Call},
    http::{BODY_BYTES_MAX, Problem, strict},
    unit::Unit,
    vault::Place,
};

/// Longest key.
pub const KEY_LEN_MAX: usize = 200;
/// For how long an answer is remembered.
pub const REMEMBERED_HOURS: i64 = 24;

const HEADER: &str = "idempotency-key";
const FIELD: &str = "idempotent answer";

/// A request's key and what it was asked with.
#[derive(Debug, Clone)]
pub struct Once {
    key: String,
    digest: [u8; 32],
}

impl Once {
    /// Of a form with a key of its own: sent twice by a double click or a reload, it
    /// does its work once. `asked` is everything that was filled in.
    pub(crate) fn of_form(key: &str, asked: &str) -> Option<Self> {
        let usable = !key.is_empty() && key.len() <= KEY_LEN_MAX;
        let digest = *Digest::sha256(asked.as_bytes()).as_bytes();
        usable.then(|| Self { key: format!("form:{key}"), digest })
    }
}

/// Whether the work of that call was done before.
pub(crate) async fn was_done(app: &App, call: &Call) -> Result<bool, Problem> {
    Ok(replay(app, call).await?.is_some())
}

/// A JSON body and the idempotency key it came with.
pub struct Keyed<T> {
    /// The body.
    pub body: T,
    once: Option<Once>,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Keyed<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let key = key(&parts.headers)?;
        let bytes = json_body(&parts.headers, body).await?;
        let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
        let once = key.map(|key| {
            let mut asked = format!("{} {target}\n", parts.method).into_bytes();
            asked.extend_from_slice(&bytes);
            Once { key, digest: *Digest::sha256(&asked).as_bytes() }
        });
        Ok(Self { body: strict(&bytes)?, once })
    }
}

/// An absent body stands for an empty object, for operations without parameters.
async fn json_body(headers: &HeaderMap, body: Body) -> Result<axum::body::Bytes, Problem> {
    let bytes = crate::http::read_body(body, BODY_BYTES_MAX).await?;
    if bytes.is_empty() && !headers.contains_key(header::CONTENT_TYPE) {
        return Ok(axum::body::Bytes::from_static(b"{}"));
    }
    crate::http::require_json(headers)?;
    Ok(bytes)
}

/// The key: a quoted string by the draft standard, accepted without quotes too.
fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(HEADER) else { return Ok(None) };
    let refuse = || {
        Problem::bad_request(format!(
            "Idempotency-Key must be 1 to {KEY_LEN_MAX} visible ASCII characters, such as a UUID."
        ))
    };
    let text = value.to_str().map_err(|_| refuse())?.trim();
    let text = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let visible = text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
    if text.is_empty() || text.len() > KEY_LEN_MAX || !visible {
        return Err(refuse());
    }
    Ok(Some(text.to_owned()))
}

impl<T: DeserializeOwned> Keyed<T> {
    /// Runs `operation` once for the key: again, the first answer is given,
    /// with the header `Idempotency-Replayed: true`.
    pub async fn answer<R, F, Fut>(
        self,
        app: &App,
        actor: Actor,
        status: StatusCode,
        operation: F,
    ) -> Result<Response, Problem>
    where
        R: Serialize,
        F: FnOnce(Call, T) -> Fut,
        Fut: Future<Output = Result<R, Problem>>,
    {
        let mut call = app.call(actor);
        call.once = self.once;
        if let Some(saved) = replay(app, &call).await? {
            return Ok(saved);
        }
        let done = operation(call.clone(), self.body).await;
        match done {
            Ok(answer) => Ok((status, crate::http::Json(answer)).into_response()),
            Err(problem) => match replay(app, &call).await? {
                // Another request with this key was faster, and ours was undone.
                Some(saved) => Ok(saved),
                None => Err(problem),
            },
        }
    }
}

fn place(scope: Uuid) -> Place<'static> {
    Place { tenant: Uuid::nil(), owner: scope, field: FIELD, version: 1 }
}

async fn replay(app: &App, call: &Call) -> Result<Option<Response>, Problem> {
    let Some(once) = &call.once else { return Ok(None) };
    let scope = call.actor.scope();
    let mut tx = app.db().vendor().await?;
    let Some(saved) = db::find(&mut tx, scope, &once.key).await? else { return Ok(None) };
    tx.commit().await?;
    if saved.request_digest != once.digest {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency-key-reused",
            "This Idempotency-Key was used for another request",
            "Send a new key with a new request; an old key only repeats the old request.",
        ));
    }
    let body = app.vault().open(place(scope), &saved.sealed_response).map_err(Problem::internal)?;
    let status = StatusCode::from_u16(saved.status.unsigned_abs()).unwrap_or(StatusCode::OK);
    let mut response = (status, body.to_vec()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("idempotency-replayed", HeaderValue::from_static("true"));
    Ok(Some(response))
}

/// Remembers the answer inside the transaction that earned it. Nothing happens
/// without a key.
pub async fn remember<T: Serialize>(
    app: &App,
    tx: &mut impl Unit,
    call: &Call,
    status: StatusCode,
    answer: &T,
) -> Result<(), Problem> {
    let Some(once) = &call.once else { return Ok(()) };
    let body = serde_json::to_vec(answer).map_err(Problem::internal)?;
    let scope = call.actor.scope();
    let sealed = app.vault().seal(place(scope), &body).map_err(Problem::internal)?;
    let saved = db::Saved {
        request_digest: once.digest.to_vec(),
        status: status.as_u16() as i16,
        sealed_response: sealed,
    };
    db::insert(tx, scope, &once.key, &saved, call.now).await
}

/// Forgets answers older than [`REMEMBERED_HOURS`]. Returns how many.
pub async fn expire(app: &App) -> Result<u64, Problem> {
    let before = app.now() - jiff::SignedDuration::from_hours(REMEMBERED_HOURS);
    let mut tx = app.db().vendor().await?;
    let gone = db::delete_before(&mut tx, before).await?;
    tx.commit().await?;
    Ok(gone)
}
