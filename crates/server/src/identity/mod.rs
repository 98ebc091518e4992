//! Who asks: vendor credentials, browser sessions of staff, and API keys of
//! tenants.
//!
//! Owns: turning a credential into an actor, as extractors, so that a handler
//! cannot forget it. Refuses: telling a missing key from a wrong one.
//!
//! The rule that leaks nothing: no or invalid credential 401; a valid one of
//! the wrong kind or role 403; a thing of another tenant 404, exactly as a thing
//! that does not exist.

pub mod api;
mod db;
mod extract;
pub mod portal;
pub mod sessions;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenure_core::{ApiKeyId, CredentialId, SubscriptionId, TenantId};
use tenure_license::{Digest, Environment};
use utoipa::ToSchema;
use zeroize::Zeroizing;

pub use extract::{Admin, ApiKey, Staff};
pub(crate) use extract::{bearer, is_known};

use crate::{
    App,
    call::{Actor, Call},
    http::Problem,
    idempotency,
    trail::{self, Change},
    vault,
};

/// Vendor credentials at most.
const CREDENTIALS_MAX: i64 = 200;

/// What an API key opens.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The key.
    pub key: ApiKeyId,
    /// Whose.
    pub tenant: TenantId,
    /// For which subscription.
    pub subscription: SubscriptionId,
    /// Real data or tests.
    pub environment: Environment,
    /// Not valid from this moment on.
    pub expires_at: Option<Timestamp>,
    pub(crate) digest: Digest,
}

/// What staff may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    Admin,
    /// Look.
    Viewer,
}

impl Role {
    /// The word of API and database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Viewer => "viewer",
        }
    }
}

/// A vendor credential that was presented and is valid.
#[derive(Debug, Clone)]
pub struct StaffMember {
    /// Which credential.
    pub id: CredentialId,
    /// What it is called.
    pub name: String,
    /// What it may do.
    pub role: Role,
}

impl StaffMember {
    /// As the trail names them.
    pub fn actor(&self) -> Actor {
        Actor::Staff { id: self.id, name: self.name.clone() }
    }
}

/// A vendor credential, as listed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Credential {
    /// Its id.
    pub id: CredentialId,
    /// What it is called.
    #[schema(example = "deploy pipeline")]
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ended.
    pub revoked_at: Option<Timestamp>,
}

/// A new vendor credential. The token is shown this once.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct NewCredential {
    /// The credential.
    pub credential: Credential,
    /// Send it as `Authorization: Bearer ...`.
    #[schema(example = "tenv_4f6c...")]
    pub token: String,
}

const PURPOSE: &str = "vendor token";

fn new_token() -> Result<Zeroizing<String>, Problem> {
    let bytes = vault::random::<32>().map_err(Problem::internal)?;
    Ok(Zeroizing::new(format!("tenv_{}", hex::encode(*bytes))))
}

/// Makes the first credential of a new installation: from the configured token,
/// or a new one, which is returned to be shown once.
///
/// A configured token is always valid: changing it in the configuration adds it.
pub async fn ensure_first_credential(app: &App) -> Result<Option<Zeroizing<String>>, Problem> {
    let call = Call::system(app.now());
    let mut tx = app.db().vendor().await?;
    let (token, shown) = match &app.config().admin_token {
        Some(token) => (Zeroizing::new(token.clone()), false),
        None if db::any_credential(&mut tx).await? => return Ok(None),
        None => (new_token()?, true),
    };
    let digest = app.vault().digest(PURPOSE, token.as_bytes());
    let credential = Credential {
        id: CredentialId::new(call.now),
        name: "admin".to_owned(),
        role: Role::Admin,
        created_at: call.now,
        revoked_at: None,
    };
    if db::insert_credential_if_new(&mut tx, &credential, &digest).await? {
        let change = Change::created("credential.created", credential.id, &credential);
        trail::record(app, &mut tx, &call, change).await?;
    }
    tx.commit().await?;
    Ok(shown.then_some(token))
}

/// Makes a credential for staff or a program of the vendor.
pub async fn create_credential(
    app: &App,
    call: &Call,
    name: &str,
    role: Role,
) -> Result<NewCredential, Problem> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 100 {
        return Err(Problem::field("/name", "A name has 1 to 100 characters."));
    }
    let token = new_token()?;
    let digest = app.vault().digest(PURPOSE, token.as_bytes());
    let credential = Credential {
        id: CredentialId::new(call.now),
        name: name.to_owned(),
        role,
        created_at: call.now,
        revoked_at: None,
    };
    let mut tx = app.db().vendor().await?;
    if db::count_credentials(&mut tx).await? >= CREDENTIALS_MAX {
        let detail = format!("There are {CREDENTIALS_MAX} credentials; revoke one first.");
        return Err(Problem::conflict("too-many-credentials", detail));
    }
    db::insert_credential_if_new(&mut tx, &credential, &digest).await?;
    let change = Change::created("credential.created", credential.id, &credential);
    trail::record(app, &mut tx, call, change).await?;
    let answer = NewCredential { credential, token: token.to_string() };
    idempotency::remember(app, &mut tx, call, axum::http::StatusCode::CREATED, &answer).await?;
    tx.commit().await?;
    Ok(answer)
}

/// Every vendor credential, newest first.
pub async fn credentials(app: &App) -> Result<Vec<Credential>, Problem> {
    let mut tx = app.db().vendor().await?;
    let all = db::credentials(&mut tx, CREDENTIALS_MAX).await?;
    tx.commit().await?;
    Ok(all)
}

/// Ends a credential. The last admin cannot be ended: nobody could undo it.
pub async fn revoke_credential(
    app: &App,
    call: &Call,
    id: CredentialId,
) -> Result<Credential, Problem> {
    let mut tx = app.db().vendor().await?;
    let before =
        db::lock_credential(&mut tx, id).await?.ok_or_else(|| Problem::not_found("credential"))?;
    if before.revoked_at.is_some() {
        return Ok(before);
    }
    if before.role == Role::Admin && db::count_admins(&mut tx).await? <= 1 {
        return Err(Problem::conflict(
            "last-admin",
            "This is the last admin credential. Make another one first.",
        ));
    }
    let after = Credential { revoked_at: Some(call.now), ..before.clone() };
    db::revoke_credential(&mut tx, id, call.now).await?;
    let change = Change::updated("credential.revoked", id, &before, &after);
    trail::record(app, &mut tx, call, change).await?;
    tx.commit().await?;
    app.forget_everything();
    Ok(after)
}

/// The staff member of a token; `None` for one that was never given or has ended.
pub async fn staff_of_token(app: &App, token: &str) -> Result<Option<StaffMember>, Problem> {
    let digest = app.vault().digest(PURPOSE, token.as_bytes());
    if let Some(staff) = app.staff_cache().get(&digest) {
        return Ok(Some(staff));
    }
    let ticket = app.staff_cache().ticket();
    let mut tx = app.db().auth().await?;
    let found = db::staff_by_digest(&mut tx, &digest).await?;
    tx.commit().await?;
    if let Some(staff) = &found {
        app.staff_cache().put(ticket, digest, staff.clone());
    }
    Ok(found)
}

/// What an API key opens; `None` for one that is wrong or has ended.
pub async fn principal_of_key(
    app: &App,
    key: &tenure_license::ApiKey,
) -> Result<Option<Principal>, Problem> {
    let digest = key.digest(app.vault().pepper());
    let known = principal(app, key.id()).await?;
    Ok(known.filter(|known| known.digest == digest && known.environment == key.environment()))
}

/// What the API key of that id opens; `None` for one that has ended.
async fn principal(app: &App, id: ApiKeyId) -> Result<Option<Principal>, Problem> {
    let principal = match app.principals().get(&id) {
        Some(principal) => principal,
        None => {
            let ticket = app.principals().ticket();
            let mut tx = app.db().auth().await?;
            let found = db::principal(&mut tx, id).await?;
            tx.commit().await?;
            let Some(principal) = found else { return Ok(None) };
            app.principals().put(ticket, id, principal.clone());
            principal
        }
    };
    let now = app.now();
    let valid = principal.expires_at.is_none_or(|end| now < end);
    Ok(valid.then_some(principal))
}
