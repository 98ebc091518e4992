//! Browser sessions of the console.
//!
//! The cookie holds 32 random bytes; the database holds their keyed digest. The
//! form token derives from the cookie, so it needs no storage and dies with it.

use axum::http::{HeaderMap, header};
use jiff::SignedDuration;
use zeroize::Zeroizing;

use super::{StaffMember, db, staff_of_token};
use crate::{App, http::Problem, vault};

/// How long a session lasts, in hours.
pub const SESSION_HOURS: i64 = 12;
/// The cookie's name.
pub const COOKIE: &str = "tenure_session";

const PURPOSE: &str = "session";
const FORM_PURPOSE: &str = "form token";

/// What a cookie holds.
pub(super) fn new_secret() -> Result<Zeroizing<String>, Problem> {
    let bytes = vault::random::<32>().map_err(Problem::internal)?;
    Ok(Zeroizing::new(hex::encode(*bytes)))
}

/// A new session's secret, or `None` when the vendor token is not valid.
pub async fn sign_in(app: &App, token: &str) -> Result<Option<Zeroizing<String>>, Problem> {
    let Some(staff) = staff_of_token(app, token.trim()).await? else { return Ok(None) };
    let secret = new_secret()?;
    let digest = app.vault().digest(PURPOSE, secret.as_bytes());
    let now = app.now();
    let mut tx = app.db().vendor().await?;
    let expires_at = now + SignedDuration::from_hours(SESSION_HOURS);
    db::insert_session(&mut tx, &digest, staff.id, now, expires_at).await?;
    tx.commit().await?;
    Ok(Some(secret))
}

/// Ends a session.
pub async fn sign_out(app: &App, secret: &str) -> Result<(), Problem> {
    let digest = app.vault().digest(PURPOSE, secret.as_bytes());
    let mut tx = app.db().vendor().await?;
    db::delete_session(&mut tx, &digest).await?;
    tx.commit().await?;
    Ok(())
}

/// Who a session belongs to.
pub async fn staff(app: &App, secret: &str) -> Result<Option<StaffMember>, Problem> {
    let digest = app.vault().digest(PURPOSE, secret.as_bytes());
    let mut tx = app.db().auth().await?;
    let found = db::staff_by_session(&mut tx, &digest, app.now()).await?;
    tx.commit().await?;
    Ok(found)
}

/// The session's secret in a request's cookies.
pub fn secret(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, COOKIE)
}

/// The secret in the cookie of that name.
pub(super) fn cookie<'h>(headers: &'h HeaderMap, named: &str) -> Option<&'h str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == named)
        .map(|(_, value)| value)
        .filter(|value| value.len() == 64)
}

/// The token that forms of this session carry against forged requests.
pub fn form_token(app: &App, secret: &str) -> String {
    hex::encode(&app.vault().digest(FORM_PURPOSE, secret.as_bytes())[..16])
}
