//! Issuing and renewing: a grant becomes claims, claims become a token.

use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use tenure_catalog::Model;
use tenure_core::{DeploymentId, LicenseId, SubscriptionId, SubscriptionStatus, TenantId};
use tenure_license::{LicenseKey, key_string};
use tenure_tenancy::TenantTx;

use super::{
    IssuedLicense, LICENSES_MAX, License, LicenseStatus, NewLicense, REVISIONS_MAX, RenewLicense,
    Revision, TERM_DAYS_MAX,
    claims::{Grant, Issue},
    db, grant_of, lock, open_key, place, reports, require_active, service,
};
use crate::{
    App,
    call::Call,
    deployments::{self, Deployment, DeploymentStatus},
    http::Problem,
    idempotency,
    products::signing,
    subscriptions,
    trail::{self, Change},
    vault,
};

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
        supersede_at: whole_second(call.now)?,
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
        supersede_at: whole_second(call.now)?,
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
pub(super) fn whole_second(at: Timestamp) -> Result<Timestamp, Problem> {
    Timestamp::from_second(at.as_second()).map_err(Problem::internal)
}

/// When a revision expires: as asked for, or the product's term from now and
/// not before the revision that it replaces; never after a trial.
pub(super) fn expiry(
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
pub(super) async fn sign(
    app: &App,
    tx: &mut TenantTx,
    grant: &Grant,
    issue: &Issue,
) -> Result<String, Problem> {
    let mut claims = grant.claims(issue)?;
    claims.receipt = reports::db::newest(tx, issue.license).await?.map(|id| id.to_string());
    let signer = signing::signer_for(app, tx, grant.catalog.product_id).await?;
    let written = serde_json::to_value(&claims).map_err(Problem::internal)?;
    let kid = signer.public_key().kid().to_owned();
    let token = service::sign_with(signer, claims).await?;
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
