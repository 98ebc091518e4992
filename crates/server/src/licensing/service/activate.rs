//! `POST /api/v1/activate`: a license key for a license, and a key pair for a
//! lease.

use std::{net::IpAddr, sync::Arc};

use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::json;
use tenure_api::licensing::{Activate, Activated, Warning};
use tenure_core::{DeploymentId, InstanceId};
use tenure_license::{
    LeaseClaims, LicenseClaims,
    activation::sequence::Judgement,
    token::{Kind, issuer},
};
use tenure_tenancy::TenantTx;

use super::{
    holder::Held,
    proof::{Proven, nonce, stale, warning},
    sign, slots,
    standing::{self, Standing},
};
use crate::{
    App,
    call::{Actor, Call},
    deployments::{self, DeploymentStatus},
    http::Problem,
    licensing::{
        db as licenses,
        instances::{self, Identity, Instance, InstanceStatus, db},
        revocation,
    },
    trail::{self, Change},
};

/// Longest name, in characters.
const NAME_LEN_MAX: usize = 200;
/// Longest cluster UID and version, in characters.
const WORD_LEN_MAX: usize = 100;

/// What an activation was asked with, checked.
struct Asked {
    body: Activate,
    proven: Option<Proven>,
    deployment: Option<DeploymentId>,
    identity: Identity,
}

/// What an activation did.
struct Done {
    instance: Instance,
    warnings: Vec<Warning>,
    token: String,
}

/// Activates an instance of a license.
pub(super) async fn activate(
    app: &App,
    address: Option<IpAddr>,
    held: Held,
    proven: Option<Proven>,
    body: Activate,
) -> Result<Activated, Problem> {
    let now = app.now();
    app.licensing().limits.activation_from(address)?;
    app.licensing().limits.activation_of(held.license)?;
    let unknown = || {
        let detail = "This license is not known here any more. Ask the vendor.";
        Problem::new(StatusCode::UNAUTHORIZED, "license-unknown", "Unknown license", detail)
    };
    let mut standing = standing::read(app, held.tenant, held.license).await?.ok_or_else(unknown)?;
    let asked = check(&standing, &held, proven, body, now)?;
    // What is remembered of the license may be a second old: then once more, from the database.
    let done = match attempt(app, &standing, &asked, now).await? {
        Some(done) => done,
        None => {
            standing = standing::load(app, held.tenant, held.license).await?.ok_or_else(unknown)?;
            let again = attempt(app, &standing, &asked, now).await?;
            again.ok_or_else(|| Problem::unavailable("The license changes; try again."))?
        }
    };
    answer(app, &standing, &asked, done, now).await
}

fn check(
    standing: &Standing,
    held: &Held,
    proven: Option<Proven>,
    body: Activate,
    now: Timestamp,
) -> Result<Asked, Problem> {
    refuse_revoked(standing)?;
    let tenant = &standing.situation.tenant;
    let own = |customer: &str| customer == tenant.id.to_string() || customer == tenant.slug;
    if body.customer_id.as_deref().is_some_and(|customer| !own(customer)) {
        let detail = "The license is another customer's than `customer_id` says.";
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "other-customer",
            "Another customer's license",
            detail,
        ));
    }
    refuse_withheld(standing, now)?;
    refuse_bound(held, proven.as_ref())?;
    sizes(&body)?;
    let deployment = place(standing, body.deployment_id)?;
    let identity = match &proven {
        Some(proven) => Identity::Key(proven.proof.key),
        None => {
            let named = body.deployment_id.map(|id| id.to_string()).unwrap_or_default();
            let cluster = body.k8s_cluster_uid.as_deref().unwrap_or_default();
            Identity::Place(format!("{named}|{cluster}"))
        }
    };
    Ok(Asked { body, proven, deployment, identity })
}

fn refuse_revoked(standing: &Standing) -> Result<(), Problem> {
    if !standing.is_revoked() {
        return Ok(());
    }
    let at = standing.license.revoked_at.map(|at| format!(" on {at}")).unwrap_or_default();
    let detail = format!("The license was taken back{at}. Contact the vendor to learn why.");
    Err(Problem::new(StatusCode::FORBIDDEN, "license-revoked", "The license is revoked", detail))
}

/// 403 where access is withheld: nothing is issued then, over the network or as a file.
pub(crate) fn refuse_withheld(standing: &Standing, now: Timestamp) -> Result<(), Problem> {
    if !standing.situation.is_withheld(now) {
        return Ok(());
    }
    let why = standing.situation.why_withheld(now);
    let detail = format!("{why} What runs goes on with the lease that it has.");
    let title = "Access is withheld";
    Err(Problem::new(StatusCode::FORBIDDEN, "access-withheld", title, detail))
}

/// A token that is bound to one instance opens nothing without its key.
fn refuse_bound(held: &Held, proven: Option<&Proven>) -> Result<(), Problem> {
    let Some(binding) = held.token.as_ref().and_then(|token| token.claims().binding.as_ref())
    else {
        return Ok(());
    };
    if proven.is_some_and(|proven| proven.proof.key.thumbprint() == binding.key) {
        return Ok(());
    }
    let detail = format!("The license token is bound to {}; show its key.", binding.instance);
    Err(Problem::new(StatusCode::FORBIDDEN, "license-bound", "Bound to another instance", detail))
}

fn sizes(body: &Activate) -> Result<(), Problem> {
    let too_long = |text: &Option<String>, max: usize| {
        text.as_ref().is_some_and(|text| text.chars().count() > max)
    };
    for (pointer, text, max) in [
        ("/name", &body.name, NAME_LEN_MAX),
        ("/version", &body.version, WORD_LEN_MAX),
        ("/k8s_cluster_uid", &body.k8s_cluster_uid, WORD_LEN_MAX),
    ] {
        if too_long(text, max) {
            return Err(Problem::field(pointer, format!("At most {max} characters.")));
        }
    }
    Ok(())
}

/// Where it runs: as it says, within what the license allows.
fn place(standing: &Standing, said: Option<DeploymentId>) -> Result<Option<DeploymentId>, Problem> {
    match (standing.license.deployment_id, said) {
        (Some(own), Some(said)) if own != said => {
            let detail = format!("The license is for {own} alone.");
            Err(Problem::field("/deployment_id", detail))
        }
        (own, said) => Ok(said.or(own)),
    }
}

/// One attempt; `None` where the license is another by now than `standing` says.
async fn attempt(
    app: &App,
    standing: &Standing,
    asked: &Asked,
    now: Timestamp,
) -> Result<Option<Done>, Problem> {
    let license = &standing.license;
    let mut tx = app.db().tenant(standing.tenant).await?;
    if !standing.lock(&mut tx).await? {
        return Ok(None);
    }
    if let Some(id) = asked.deployment {
        let found = deployments::db::find(&mut tx, id).await?;
        found
            .filter(|place| place.subscription_id == license.subscription_id)
            .filter(|place| place.status != DeploymentStatus::Retired)
            .ok_or_else(|| {
                let detail = "The license's subscription has no such deployment in use.";
                Problem::field("/deployment_id", detail)
            })?;
    }
    let (_, token) = licenses::token(&mut tx, license.id, license.revision)
        .await?
        .ok_or_else(super::super::missing)?;
    let known = db::lock_known(&mut tx, license.id, &asked.identity).await?;
    if known.as_ref().is_some_and(|known| known.status == InstanceStatus::Quarantined) {
        return Err(quarantined());
    }
    let before = known.clone();
    let mut instance = match known {
        Some(known) => known,
        None => {
            let identity = asked.identity.clone();
            instances::fresh(&mut tx, license.id, asked.deployment, identity, now).await?
        }
    };
    if let Some(proven) = &asked.proven {
        match proven.judge(app, &instance) {
            Judgement::Next => {}
            Judgement::Ahead => tracing::info!(instance = %instance.id, "calls were lost here"),
            Judgement::Repeat => return repeat(instance, proven, token, now).map(Some),
            Judgement::Late => return Err(stale()),
            Judgement::Fork => {
                quarantine(app, &mut tx, &instance, now).await?;
                tx.commit().await?;
                return Err(quarantined());
            }
        }
        let presented = proven.presented(app, &instance);
        instance.sequence.accept(&presented);
    }
    let mut warnings = Vec::new();
    let takes_slot = before.as_ref().is_none_or(|before| !before.holds_slot(now));
    let overage = match takes_slot {
        true => slots::take(&mut tx, standing, before.as_ref().map(|it| it.id), now).await?,
        false => None,
    };
    describe(&mut instance, asked, now);
    hold(app, standing, asked, &mut instance, now).await?;
    match &before {
        Some(_) => db::update(&mut tx, &instance).await?,
        None => db::insert(&mut tx, &instance).await?,
    }
    let call = Call { now, ..app.call(Actor::Instance(instance.id)) };
    if takes_slot {
        let told = instances::told(&instance, now);
        let change = Change::created("instance.activated", instance.id, &told);
        trail::record(app, &mut tx, &call, change).await?;
    }
    if let Some(over) = overage {
        let told = slots::overage(app, &mut tx, &call, standing, instance.id, over).await?;
        warnings.push(told);
    }
    tx.commit().await?;
    Ok(Some(Done { instance, warnings, token }))
}

/// 409: two copies used the key.
fn quarantined() -> Problem {
    Problem::conflict(
        "instance-quarantined",
        "Two copies of this instance used its key. Make a new key pair and activate again, or ask \
         the vendor to lift the quarantine.",
    )
}

/// The same call again: its answer was lost. The same lease, byte for byte.
fn repeat(
    instance: Instance,
    proven: &Proven,
    token: String,
    now: Timestamp,
) -> Result<Done, Problem> {
    let own = instance.holds_slot(now) && instance.lease_seq == Some(proven.proof.seq);
    if !own {
        return Err(Problem::conflict(
            "instance-released",
            "What this call was given has ended since. Activate again with a new call.",
        ));
    }
    Ok(Done { instance, warnings: Vec::new(), token })
}

fn describe(instance: &mut Instance, asked: &Asked, now: Timestamp) {
    let body = &asked.body;
    instance.take_up(now);
    instance.offline = false;
    instance.deployment_id = asked.deployment.or(instance.deployment_id);
    if let Some(name) = &body.name {
        instance.name = name.trim().to_owned();
    }
    if body.k8s_cluster_uid.is_some() {
        instance.k8s_cluster_uid = body.k8s_cluster_uid.clone();
    }
    if body.version.is_some() {
        instance.version = body.version.clone();
    }
}

/// A lease for an instance that showed its key; a slot for one lease length for one that has none.
async fn hold(
    app: &App,
    standing: &Standing,
    asked: &Asked,
    instance: &mut Instance,
    now: Timestamp,
) -> Result<(), Problem> {
    let Some(proven) = &asked.proven else {
        instance.hold_until(standing.lease_end(now)?.1);
        return Ok(());
    };
    let (lease, until) = lease(app, standing, instance.id, proven, now).await?;
    instance.lease = Some(lease);
    instance.lease_seq = Some(proven.proof.seq);
    instance.hold_until(until);
    Ok(())
}

/// Signs a lease, and says when it ends.
pub(super) async fn lease(
    app: &App,
    standing: &Standing,
    instance: InstanceId,
    proven: &Proven,
    now: Timestamp,
) -> Result<(String, Timestamp), Problem> {
    let product = standing.situation.catalog.product_id;
    let epoch = revocation::current(app, product).await?.map_or(0, |list| list.claims.epoch);
    let (iat, exp) = standing.lease_end(now)?;
    let claims = standing.claims();
    let lease = LeaseClaims {
        iss: issuer(&claims.product),
        sub: claims.customer.id.clone(),
        aud: Kind::Lease.audience().to_owned(),
        iat,
        exp,
        jti: format!("{instance}.{}", proven.proof.seq),
        product: claims.product.clone(),
        license: claims.license,
        revision: claims.revision,
        instance,
        key: proven.proof.key.thumbprint(),
        epoch,
        heartbeat_seconds: standing.heartbeat_seconds(),
    };
    Ok((sign(app, product, lease).await?, exp))
}

/// Puts an instance into quarantine: a second history appeared under its key.
pub(in crate::licensing) async fn quarantine(
    app: &App,
    tx: &mut TenantTx,
    before: &Instance,
    now: Timestamp,
) -> Result<(), Problem> {
    let after = Instance {
        status: InstanceStatus::Quarantined,
        quarantined_at: Some(now),
        ..before.clone()
    };
    db::update(tx, &after).await?;
    tracing::warn!(instance = %before.id, tenant = %tx.tenant(), "two copies of an instance");
    let call = Call { now, ..app.call(Actor::Instance(before.id)) };
    let (was, is) = (instances::told(before, now), instances::told(&after, now));
    trail::record(app, tx, &call, Change::updated("instance.quarantined", before.id, &was, &is))
        .await
}

async fn answer(
    app: &App,
    standing: &Arc<Standing>,
    asked: &Asked,
    done: Done,
    now: Timestamp,
) -> Result<Activated, Problem> {
    let list = revocation::current(app, standing.situation.catalog.product_id).await?;
    let verdict = standing.verdict(list.as_deref(), now);
    let mut warnings = done.warnings;
    if let Some(notice) = &verdict.notice {
        warnings.push(warning(&format!("license_{}", verdict.reason.code()), notice.clone()));
    }
    warnings.extend(asked.proven.as_ref().and_then(|proven| proven.skew(now)));
    let id = done.instance.id;
    let nonce = match &asked.proven {
        Some(proven) => proven.next_nonce(app, id),
        None => nonce(app, id, 0, &tenure_license::Digest::sha256(b"")),
    };
    Ok(Activated {
        entitlements: readable(standing.claims())?,
        license_token: done.token,
        instance: id,
        lease: done.instance.lease.filter(|_| asked.proven.is_some()),
        nonce,
        heartbeat_seconds: standing.heartbeat_seconds(),
        revocations: list.map(|list| list.token.clone()),
        status: verdict.state.word().to_owned(),
        warnings,
    })
}

/// What a license grants, as products read it (SPEC 5), with the add-ons held.
pub(super) fn readable(claims: &LicenseClaims) -> Result<serde_json::Value, Problem> {
    let mut readable = serde_json::to_value(&claims.entitlements).map_err(Problem::internal)?;
    readable["add_ons"] = claims.values.get("add_ons").cloned().unwrap_or_else(|| json!([]));
    Ok(readable)
}
