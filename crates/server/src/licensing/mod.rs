//! Licenses: what starts the product where the customer runs it.
//!
//! Owns: issuing, renewing and revoking them, their key strings and files. What
//! a license says is derived from its subscription ([`claims`]), signed by the
//! product's key, and never edited: a change is a new revision.
//! Refuses: models that the vendor operates, plans without an agreed price, and
//! a second license for one place.
//!
//! Beside it: [`service`], what running instances call; [`instances`], who they
//! are; [`revocation`], the signed lists of what was taken back.

pub mod api;
mod claims;
mod conversion;
mod db;
pub mod files;
pub mod instances;
mod issuing;
mod look;
pub mod model;
pub mod reports;
pub mod revocation;
pub mod service;

use jiff::Timestamp;
use tenure_core::{LicenseId, SubscriptionId, TenantId};
use tenure_tenancy::TenantTx;
use zeroize::Zeroizing;

pub use conversion::{ConvertLicense, convert};
pub use issuing::{issue, renew};
pub(crate) use look::holder_of;
pub use look::{Look, look, take_file};
pub use model::{
    IssuedLicense, License, LicenseDetail, LicenseStatus, NewLicense, RenewLicense, RevealedKey,
    Revision,
};

use self::claims::{Grant, Issue};
use crate::{
    App,
    call::Call,
    deployments::{self, Deployment},
    http::{Cursor, Page, Problem},
    subscriptions,
    trail::{self, Change},
    vault::Place,
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
        supersede_at: now,
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
    revocation::withdraw_whole(tx, after.id, call.now).await?;
    instances::end_all(app, tx, call, Some(after.id), None).await?;
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
