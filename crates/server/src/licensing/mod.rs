//! Licenses: what starts the product where the customer runs it.
//!
//! Owns: issuing, renewing and revoking them, their key strings and files. What
//! a license says is derived from its subscription ([`claims`]), signed by the
//! product's key, and never edited: a change is a new revision.
//! Refuses: models that the vendor operates, plans without an agreed price, and
//! a second license for one place.

pub mod api;
mod claims;
mod db;
pub mod model;

use std::sync::Arc;

use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use tenure_catalog::Model;
use tenure_core::{DeploymentId, LicenseId, SubscriptionId, SubscriptionStatus, TenantId};
use tenure_license::{LicenseClaims, LicenseKey, MemorySigner, Signer, key_string, token};
use tenure_tenancy::TenantTx;
use zeroize::Zeroizing;

pub use model::{
    IssuedLicense, License, LicenseDetail, LicenseStatus, NewLicense, RenewLicense, RevealedKey,
    Revision,
};

use self::claims::{Grant, Issue};
use crate::{
    App,
    call::Call,
    deployments::{self, Deployment, DeploymentStatus},
    http::{Cursor, Page, Problem},
    idempotency,
    products::signing,
    subscriptions,
    trail::{self, Change},
    vault::{self, Place},
};

/// Licenses that a tenant has at most, revoked ones included.
pub const LICENSES_MAX: i64 = 500;
/// Revisions that a license has at most.
pub const REVISIONS_MAX: i32 = 1_000;
/// Revisions shown with a license.
pub const REVISIONS_SHOWN: i64 = 50;
/// Longest time that a license runs, in days: ten years.
pub const TERM_DAYS_MAX: i64 = 3_660;

fn place(tenant: TenantId, license: LicenseId) -> Place<'static> {
    Place { tenant: tenant.uuid(), owner: license.uuid(), field: "license key", version: 1 }
}

fn missing() -> Problem {
    Problem::not_found("license")
}

/// Issues the first revision of a license.
pub async fn issue(
    app: &App,
    call: &Call,
    tenant: TenantId,
    new: NewLicense,
) -> Result<IssuedLicense, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let subscription = subscriptions::lock(&mut tx, new.subscription).await?;
    let deployment = deployment(&mut tx, subscription.id, new.deployment).await?;
    let model = deployment.as_ref().map_or(subscription.model, |place| place.model);
    if !model.is_licensed() {
        let detail = format!(
            "A {model} product is opened by API keys, not started by a license. Licenses are for \
             self_hosted and air_gapped."
        );
        return Err(Problem::conflict("model-not-licensed", detail));
    }
    let grant = Grant::read(app, &mut tx, subscription.id, model, deployment.as_ref()).await?;
    grant.require_sold(call.now)?;
    refuse_second(&mut tx, &new, model).await?;
    let issue = Issue {
        license: LicenseId::new(call.now),
        revision: 1,
        at: whole_second(call.now)?,
        expires_at: expiry(&grant, call.now, new.expires_at, None)?,
    };
    let key = new_key(&grant, issue.at)?;
    let license = License {
        id: issue.license,
        subscription_id: subscription.id,
        deployment_id: new.deployment,
        model,
        status: LicenseStatus::Active,
        revision: issue.revision,
        key_hint: key.hint(),
        created_at: call.now,
        issued_at: issue.at,
        expires_at: issue.expires_at,
        revoked_at: None,
    };
    let sealed = app.vault().seal(place(tenant, license.id), key.expose().as_bytes());
    let sealed = sealed.map_err(Problem::internal)?;
    let digest = key.lookup_digest(app.vault().pepper());
    let columns = db::KeyColumns { digest: digest.as_bytes(), sealed: &sealed };
    db::insert(&mut tx, &license, columns).await?;
    let token = sign(app, &mut tx, &grant, &issue).await?;
    deployments::settle_licensed(&mut tx, call, subscription.id).await?;
    let change = Change::created("license.issued", license.id, &license);
    trail::record(app, &mut tx, call, change).await?;
    let issued = IssuedLicense { license, license_key: key.expose().to_owned(), token };
    idempotency::remember(app, &mut tx, call, StatusCode::CREATED, &issued).await?;
    tx.commit().await?;
    app.forget_tenant(tenant);
    Ok(issued)
}

/// The place that a license is to be bound to, in use and of that subscription.
async fn deployment(
    tx: &mut TenantTx,
    subscription: SubscriptionId,
    id: Option<DeploymentId>,
) -> Result<Option<Deployment>, Problem> {
    let Some(id) = id else { return Ok(None) };
    let found = deployments::db::find(tx, id).await?;
    let found = found
        .filter(|place| place.subscription_id == subscription)
        .filter(|place| place.status != DeploymentStatus::Retired);
    let refuse = || {
        let detail = "The subscription has no such deployment in use.";
        Problem::field("/deployment", detail)
    };
    found.map(Some).ok_or_else(refuse)
}

async fn refuse_second(tx: &mut TenantTx, new: &NewLicense, model: Model) -> Result<(), Problem> {
    let active = db::active(tx, new.subscription).await?;
    let same =
        |license: &&License| license.deployment_id == new.deployment && license.model == model;
    if let Some(other) = active.iter().find(same) {
        let detail = format!("{} is in force here. Renew it, or revoke it first.", other.id);
        return Err(Problem::conflict("already-licensed", detail));
    }
    if db::count(tx).await? >= LICENSES_MAX {
        let detail = format!("A tenant has at most {LICENSES_MAX} licenses.");
        return Err(Problem::conflict("too-many-licenses", detail));
    }
    Ok(())
}

/// Tokens count in whole seconds; what is stored is what they say.
fn whole_second(at: Timestamp) -> Result<Timestamp, Problem> {
    Timestamp::from_second(at.as_second()).map_err(Problem::internal)
}

/// When a revision expires: as asked for, or the product's term from now and
/// not before the revision that it replaces; never after a trial.
fn expiry(
    grant: &Grant,
    now: Timestamp,
    wanted: Option<Timestamp>,
    replaced: Option<Timestamp>,
) -> Result<Timestamp, Problem> {
    let wrong = |detail: String| Problem::field("/expires_at", detail);
    let trial = grant
        .subscription
        .trial_ends_at
        .filter(|_| grant.subscription.status == SubscriptionStatus::Trial);
    let term = grant.catalog.product.license.offline_term.seconds().unwrap_or(0);
    let default = || {
        let end = now.checked_add(SignedDuration::from_secs(term)).unwrap_or(now);
        let end = replaced.map_or(end, |replaced| replaced.max(end));
        trial.map_or(end, |trial| trial.min(end))
    };
    let at = whole_second(wanted.unwrap_or_else(default))?;
    if at <= now {
        return Err(wrong("A license expires in the future.".to_owned()));
    }
    if at.duration_since(now) > SignedDuration::from_hours(24 * TERM_DAYS_MAX) {
        return Err(wrong(format!("A license runs for at most {TERM_DAYS_MAX} days.")));
    }
    match trial {
        Some(trial) if at > trial => {
            Err(wrong(format!("The trial ends at {trial}; its license ends with it.")))
        }
        _ => Ok(at),
    }
}

fn new_key(grant: &Grant, at: Timestamp) -> Result<LicenseKey, Problem> {
    let prefix = grant.catalog.product.license_key_prefix.as_deref().unwrap_or_default();
    let tier = grant.entitlements(at)?.tier;
    let random = vault::random::<{ key_string::ID_LEN }>().map_err(Problem::internal)?;
    LicenseKey::issue(prefix, &tier, &grant.tenant.slug, *random).map_err(Problem::internal)
}

/// Signs and writes a revision.
async fn sign(
    app: &App,
    tx: &mut TenantTx,
    grant: &Grant,
    issue: &Issue,
) -> Result<String, Problem> {
    let claims = grant.claims(issue)?;
    let signer = signing::signer(app, grant.catalog.product_id).await?;
    let written = serde_json::to_value(&claims).map_err(Problem::internal)?;
    let kid = signer.public_key().kid().to_owned();
    let token = sign_aside(claims, signer).await?;
    let revision = Revision {
        revision: issue.revision,
        kid,
        issued_at: issue.at,
        expires_at: issue.expires_at,
        claims: written,
    };
    db::insert_revision(tx, issue.license, &revision, &token).await?;
    Ok(token)
}

/// An RSA signature takes milliseconds: not on the runtime's threads.
async fn sign_aside(claims: LicenseClaims, signer: Arc<MemorySigner>) -> Result<String, Problem> {
    let signed = tokio::task::spawn_blocking(move || token::sign(&claims, &*signer)).await;
    signed.map_err(Problem::internal)?.map_err(|error| match error {
        token::IssueError::Sign(error) => Problem::internal(error),
        refused => Problem::conflict("license-not-issuable", format!("{refused}.")),
    })
}

/// The license, its subscription locked for a change.
async fn lock(tx: &mut TenantTx, id: LicenseId) -> Result<License, Problem> {
    let known = db::find(tx, id).await?.ok_or_else(missing)?;
    subscriptions::lock(tx, known.subscription_id).await?;
    db::find(tx, id).await?.ok_or_else(missing)
}

fn require_active(license: &License) -> Result<(), Problem> {
    match license.status {
        LicenseStatus::Active => Ok(()),
        LicenseStatus::Revoked => {
            let detail = "The license is revoked; issue a new one.";
            Err(Problem::conflict("license-revoked", detail))
        }
    }
}

/// Issues the next revision, with what the subscription allows now.
pub async fn renew(
    app: &App,
    call: &Call,
    tenant: TenantId,
    id: LicenseId,
    how: RenewLicense,
) -> Result<IssuedLicense, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let before = lock(&mut tx, id).await?;
    require_active(&before)?;
    if before.revision >= REVISIONS_MAX {
        let detail = format!("A license has at most {REVISIONS_MAX} revisions; issue a new one.");
        return Err(Problem::conflict("too-many-revisions", detail));
    }
    let grant = grant_of(app, &mut tx, &before).await?;
    grant.require_sold(call.now)?;
    let issue = Issue {
        license: id,
        revision: before.revision + 1,
        at: whole_second(call.now)?,
        expires_at: expiry(&grant, call.now, how.expires_at, Some(before.expires_at))?,
    };
    let token = sign(app, &mut tx, &grant, &issue).await?;
    let license = License {
        revision: issue.revision,
        issued_at: issue.at,
        expires_at: issue.expires_at,
        ..before.clone()
    };
    db::update(&mut tx, &license).await?;
    let key = open_key(app, &mut tx, id).await?;
    let change = Change::updated("license.renewed", id, &before, &license);
    trail::record(app, &mut tx, call, change).await?;
    let issued = IssuedLicense { license, license_key: key.to_string(), token };
    idempotency::remember(app, &mut tx, call, StatusCode::CREATED, &issued).await?;
    tx.commit().await?;
    app.forget_tenant(tenant);
    Ok(issued)
}

async fn grant_of(app: &App, tx: &mut TenantTx, license: &License) -> Result<Grant, Problem> {
    let place = match license.deployment_id {
        Some(id) => deployments::db::find(tx, id).await?,
        None => None,
    };
    Grant::read(app, tx, license.subscription_id, license.model, place.as_ref()).await
}

/// A page of a tenant's licenses, newest first.
pub async fn list(app: &App, tenant: TenantId, cursor: Cursor) -> Result<Page<License>, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let rows = db::list(&mut tx, cursor).await?;
    tx.commit().await?;
    Ok(Page::cut(rows, cursor, |license| license.id.uuid()))
}

/// One license, its revisions, and whether it still says what is allowed.
pub async fn read(app: &App, tenant: TenantId, id: LicenseId) -> Result<LicenseDetail, Problem> {
    let now = app.now();
    let mut tx = app.db().tenant(tenant).await?;
    let license = db::find(&mut tx, id).await?.ok_or_else(missing)?;
    let revisions = db::revisions(&mut tx, id, REVISIONS_SHOWN).await?;
    let differs = match (license.status, revisions.first()) {
        (LicenseStatus::Active, Some(newest)) => {
            let grant = grant_of(app, &mut tx, &license).await?;
            differs(&grant, &license, newest, now)
        }
        _ => Vec::new(),
    };
    tx.commit().await?;
    Ok(LicenseDetail { stale: !differs.is_empty(), differs, license, revisions })
}

fn differs(grant: &Grant, license: &License, newest: &Revision, now: Timestamp) -> Vec<String> {
    let issue = Issue {
        license: license.id,
        revision: newest.revision,
        at: now,
        expires_at: newest.expires_at,
    };
    let fresh = grant.claims(&issue).ok().and_then(|claims| serde_json::to_value(claims).ok());
    match fresh {
        Some(fresh) => claims::differences(&newest.claims, &fresh),
        // The plan is no longer sold this way: nothing would be granted at all.
        None => vec!["entitlements".to_owned()],
    }
}

/// A license file to be carried.
pub struct LicenseFile {
    /// `incidentfox-acme-r2.lic`
    pub name: String,
    /// The armoured token.
    pub text: String,
}

/// The `.lic` file of the newest revision.
pub async fn file(
    app: &App,
    tenant: &crate::tenants::Tenant,
    id: LicenseId,
) -> Result<LicenseFile, Problem> {
    let mut tx = app.db().tenant(tenant.id).await?;
    let license = db::find(&mut tx, id).await?.ok_or_else(missing)?;
    require_active(&license)?;
    let (claims, token) = db::token(&mut tx, id, license.revision).await?.ok_or_else(missing)?;
    tx.commit().await?;
    let product = claims.get("product").and_then(|product| product.as_str()).unwrap_or("license");
    let name = format!("{product}-{}-r{}.lic", tenant.slug, license.revision);
    Ok(LicenseFile { name, text: tenure_license::file::write(&token) })
}

async fn open_key(
    app: &App,
    tx: &mut TenantTx,
    id: LicenseId,
) -> Result<Zeroizing<String>, Problem> {
    let sealed = db::sealed_key(tx, id).await?.ok_or_else(missing)?;
    let plain = app.vault().open(place(tx.tenant(), id), &sealed).map_err(Problem::internal)?;
    let text = std::str::from_utf8(&plain).map_err(Problem::internal)?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Shows the license key again; the trail says to whom.
pub async fn reveal(
    app: &App,
    call: &Call,
    tenant: TenantId,
    id: LicenseId,
) -> Result<RevealedKey, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let license = db::find(&mut tx, id).await?.ok_or_else(missing)?;
    let key = open_key(app, &mut tx, id).await?;
    let shown = serde_json::json!({ "key_hint": license.key_hint });
    let change = Change::created("license.key_revealed", id, &shown);
    trail::record(app, &mut tx, call, change).await?;
    tx.commit().await?;
    Ok(RevealedKey { license_key: key.to_string() })
}

/// Takes a license back. Revoking again changes nothing.
pub async fn revoke(
    app: &App,
    call: &Call,
    tenant: TenantId,
    id: LicenseId,
) -> Result<License, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let before = lock(&mut tx, id).await?;
    if before.status == LicenseStatus::Revoked {
        return Ok(before);
    }
    let after = revoke_locked(app, &mut tx, call, before).await?;
    deployments::settle_licensed(&mut tx, call, after.subscription_id).await?;
    tx.commit().await?;
    app.forget_tenant(tenant);
    Ok(after)
}

async fn revoke_locked(
    app: &App,
    tx: &mut TenantTx,
    call: &Call,
    before: License,
) -> Result<License, Problem> {
    let after =
        License { status: LicenseStatus::Revoked, revoked_at: Some(call.now), ..before.clone() };
    db::update(tx, &after).await?;
    let change = Change::updated("license.revoked", after.id, &before, &after);
    trail::record(app, tx, call, change).await?;
    Ok(after)
}

/// Takes back what was issued for a place that goes out of use.
pub(crate) async fn revoke_bound(
    app: &App,
    tx: &mut TenantTx,
    call: &Call,
    place: &Deployment,
) -> Result<(), Problem> {
    for license in db::active(tx, place.subscription_id).await? {
        if license.deployment_id == Some(place.id) {
            revoke_locked(app, tx, call, license).await?;
        }
    }
    Ok(())
}

/// Takes back everything that was issued to a subscription.
pub(crate) async fn revoke_all(
    app: &App,
    tx: &mut TenantTx,
    call: &Call,
    subscription: SubscriptionId,
) -> Result<(), Problem> {
    for license in db::active(tx, subscription).await? {
        revoke_locked(app, tx, call, license).await?;
    }
    Ok(())
}

/// The license that starts a deployment: its own, or one of its whole subscription.
pub(crate) async fn of_deployment(
    tx: &mut TenantTx,
    place: &Deployment,
) -> Result<Option<License>, Problem> {
    let active = db::active(tx, place.subscription_id).await?;
    let fits = |license: &&License| license.model == place.model;
    let own = active.iter().filter(fits).find(|license| license.deployment_id == Some(place.id));
    let shared = || active.iter().filter(fits).find(|license| license.deployment_id.is_none());
    Ok(own.or_else(shared).cloned())
}

/// Whether a license starts a deployment.
pub(crate) async fn covers(tx: &mut TenantTx, place: &Deployment) -> Result<bool, Problem> {
    Ok(of_deployment(tx, place).await?.is_some())
}
