//! Browser sessions of customers: the portal.
//!
//! Owns: opening a session with a license key or an API key, and telling for
//! each request what it opens. A session sees what its key sees: one license, or
//! one subscription, of one tenant. Refuses: sessions whose key has ended; a
//! revoked license may still be looked at, because its holder has to learn of it.

mod db;

use axum::http::HeaderMap;
use jiff::SignedDuration;
use tenure_core::{LicenseId, TenantId};
use tenure_license::LicenseKey;
use zeroize::Zeroizing;

use super::{Principal, principal, principal_of_key, sessions};
use crate::{App, call::Actor, http::Problem, licensing};

/// How long a session lasts, in hours.
pub const SESSION_HOURS: i64 = 12;
/// The cookie's name.
pub const COOKIE: &str = "tenure_portal";
/// Sessions of one key at most; the oldest end first.
const SESSIONS_MAX: i64 = 100;

const PURPOSE: &str = "portal session";

/// Who looks at the portal.
#[derive(Debug, Clone)]
pub enum Customer {
    /// Whoever holds a license.
    License(TenantId, LicenseId),
    /// A tenant's API key.
    Key(Principal),
}

impl Customer {
    /// Whose.
    pub fn tenant(&self) -> TenantId {
        match self {
            Self::License(tenant, _) => *tenant,
            Self::Key(principal) => principal.tenant,
        }
    }

    /// As the trail names them.
    pub fn actor(&self) -> Actor {
        match self {
            Self::License(tenant, id) => Actor::License { id: *id, tenant: *tenant },
            Self::Key(key) => Actor::ApiKey { id: key.key, tenant: key.tenant },
        }
    }
}

/// Whose key was typed; `None` for one that nobody was given.
async fn read(app: &App, typed: &str) -> Result<Option<Customer>, Problem> {
    if let Ok(key) = tenure_license::ApiKey::parse(typed) {
        return Ok(principal_of_key(app, &key).await?.map(Customer::Key));
    }
    let Ok(key) = LicenseKey::parse(typed) else { return Ok(None) };
    let found = licensing::holder_of(app, &key).await?;
    Ok(found.map(|(tenant, license)| Customer::License(tenant, license)))
}

/// A new session's secret, or `None` when the key opens nothing.
pub async fn sign_in(app: &App, typed: &str) -> Result<Option<Zeroizing<String>>, Problem> {
    let Some(customer) = read(app, typed.trim()).await? else { return Ok(None) };
    let secret = sessions::new_secret()?;
    let digest = app.vault().digest(PURPOSE, secret.as_bytes());
    let now = app.now();
    let expires_at = now + SignedDuration::from_hours(SESSION_HOURS);
    let mut tx = app.db().tenant(customer.tenant()).await?;
    let new = db::NewSession { digest: &digest, customer: &customer, now, expires_at };
    db::insert(&mut tx, &new, SESSIONS_MAX).await?;
    tx.commit().await?;
    Ok(Some(secret))
}

/// Ends a session.
pub async fn sign_out(app: &App, secret: &str) -> Result<(), Problem> {
    let digest = app.vault().digest(PURPOSE, secret.as_bytes());
    let mut tx = app.db().auth().await?;
    let found = db::find(&mut tx, &digest, app.now()).await?;
    tx.commit().await?;
    if let Some(session) = found {
        let mut tx = app.db().tenant(session.tenant).await?;
        db::delete(&mut tx, &digest).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Who a session belongs to, as long as its key opens anything.
pub async fn customer(app: &App, secret: &str) -> Result<Option<Customer>, Problem> {
    let digest = app.vault().digest(PURPOSE, secret.as_bytes());
    let mut tx = app.db().auth().await?;
    let found = db::find(&mut tx, &digest, app.now()).await?;
    tx.commit().await?;
    let Some(session) = found else { return Ok(None) };
    Ok(match (session.license, session.key) {
        (Some(license), _) => Some(Customer::License(session.tenant, license)),
        (None, Some(key)) => principal(app, key).await?.map(Customer::Key),
        (None, None) => None,
    })
}

/// The session's secret in a request's cookies.
pub fn secret(headers: &HeaderMap) -> Option<&str> {
    sessions::cookie(headers, COOKIE)
}
