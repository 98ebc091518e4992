//! Instances: running processes that hold a license.
//!
//! Owns: their records, what they take of a license's slots, the marks of what
//! they reported, and what staff does with them: release, restore, the list of
//! those that need a look. Refuses: to stop anything. An instance that is
//! released or in quarantine gets no further lease, and runs on what it has.

pub mod api;
pub(crate) mod db;
pub mod model;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tenure_core::{DeploymentId, InstanceId, LicenseId, TenantId};
use tenure_license::{LicenseClaims, activation::slots::Policy, claims::Over};
use tenure_tenancy::TenantTx;

pub use model::{
    Attention, HighWater, HighWaters, Identity, Instance, InstanceState, InstanceStatus,
    InstanceView, Instances, ReleaseInstance, SlotState,
};

use super::{db as licenses, missing, service::high_water};
use crate::{
    App,
    call::Call,
    http::{Cursor, Page, Problem},
    trail::{self, Change},
};

/// Instances that a license has ever had, at most.
pub const INSTANCES_MAX: i64 = 250_000;
/// The limit of a plan that says how many instances may hold a license.
pub const SLOTS_LIMIT: &str = "instances";
/// After so many hours without a heartbeat a connected instance is silent.
pub const SILENT_AFTER_HOURS: i64 = 24;
/// After so many days it is no longer listed as silent: it is gone.
pub const SILENT_DAYS_MAX: i64 = 90;
/// Marks shown of a license: two years of 64 statistics.
pub const HIGH_WATER_SHOWN: i64 = 1_536;
/// Longest reason, in characters.
const REASON_LEN_MAX: usize = 500;

/// How many may hold a license: what was bought, and what is tolerated beyond it.
pub(crate) fn policy(claims: &LicenseClaims, overage_percent: u32) -> Policy {
    let Some(limit) = claims.limit(SLOTS_LIMIT) else { return Policy::UNLIMITED };
    let max = tenure_license::claims::Cap::of_quantity(limit.max).count();
    let overage_percent = if limit.over == Over::Block { 0 } else { overage_percent };
    Policy { max, overage_percent }
}

/// What the trail says of an instance: who and where, none of its secrets.
pub(crate) fn told(instance: &Instance, now: Timestamp) -> serde_json::Value {
    let view = instance.view(now);
    json!({
        "license_id": view.license_id, "deployment_id": view.deployment_id, "key": view.key,
        "name": view.name, "k8s_cluster_uid": view.k8s_cluster_uid, "state": view.state,
        "slot": view.slot, "held_until": view.held_until, "offline": view.offline,
    })
}

/// An instance that nobody has heard of before; it holds nothing yet, and is not written down.
/// Its license must be locked.
pub(super) async fn fresh(
    tx: &mut TenantTx,
    license: LicenseId,
    deployment: Option<DeploymentId>,
    identity: Identity,
    now: Timestamp,
) -> Result<Instance, Problem> {
    if db::count_up_to(tx, license, INSTANCES_MAX).await? >= INSTANCES_MAX {
        let detail =
            format!("A license has at most {INSTANCES_MAX} instances, ended ones included.");
        return Err(Problem::conflict("too-many-instances", detail));
    }
    Ok(Instance {
        id: InstanceId::new(now),
        license_id: license,
        deployment_id: deployment,
        identity,
        name: String::new(),
        k8s_cluster_uid: None,
        version: None,
        status: InstanceStatus::Active,
        offline: false,
        sequence: Default::default(),
        stats: Default::default(),
        lease: None,
        lease_seq: None,
        held_until: now,
        last_seen_at: now,
        ledger_seq: 0,
        ledger_hash: None,
        created_at: now,
        quarantined_at: None,
        released_at: None,
        returned: false,
        forced: false,
    })
}

/// A page of a license's instances, newest first, and how its slots are taken.
pub async fn list(
    app: &App,
    tenant: TenantId,
    license: LicenseId,
    cursor: Cursor,
) -> Result<Instances, Problem> {
    let now = app.now();
    let mut tx = app.db().tenant(tenant).await?;
    let known = licenses::find(&mut tx, license).await?.ok_or_else(missing)?;
    let grant = super::grant_of(app, &mut tx, &known).await?;
    let (claims, _) =
        licenses::token(&mut tx, license, known.revision).await?.ok_or_else(missing)?;
    let rows = db::list(&mut tx, license, cursor).await?;
    let holds = db::holds(&mut tx, license, None, now).await?;
    tx.commit().await?;
    let claims: LicenseClaims = serde_json::from_value(claims).map_err(Problem::internal)?;
    let policy = policy(&claims, grant.catalog.product.license.overage_percent);
    let count = |returned| holds.iter().filter(|hold| hold.returned == returned).count() as u64;
    let page = Page::cut(rows, cursor, |instance| instance.id.uuid());
    Ok(Instances {
        items: page.items.iter().map(|instance| instance.view(now)).collect(),
        next_cursor: page.next_cursor,
        held: count(false),
        returned: count(true),
        max: policy.max,
        cap: policy.cap(),
    })
}

/// The instance of a license, locked for a change.
async fn lock(tx: &mut TenantTx, license: LicenseId, id: InstanceId) -> Result<Instance, Problem> {
    licenses::lock(tx, license).await?.ok_or_else(missing)?;
    let found = db::lock(tx, id).await?.filter(|instance| instance.license_id == license);
    found.ok_or_else(|| Problem::not_found("instance"))
}

/// Takes an instance's slot. Without `force` it is free when the token in the instance's hands
/// ends. Releasing again changes nothing, unless it is forced now.
pub async fn release(
    app: &App,
    call: &Call,
    tenant: TenantId,
    license: LicenseId,
    id: InstanceId,
    how: ReleaseInstance,
) -> Result<InstanceView, Problem> {
    let reason = how.reason.trim();
    if reason.is_empty() || reason.chars().count() > REASON_LEN_MAX {
        let detail = format!("Say why, in 1 to {REASON_LEN_MAX} characters.");
        return Err(Problem::field("/reason", detail));
    }
    let mut tx = app.db().tenant(tenant).await?;
    let before = lock(&mut tx, license, id).await?;
    let settled = before.status == InstanceStatus::Released && (before.forced || !how.force);
    if settled {
        return Ok(before.view(call.now));
    }
    let after = Instance {
        status: InstanceStatus::Released,
        released_at: before.released_at.or(Some(call.now)),
        forced: how.force,
        ..before.clone()
    };
    db::update(&mut tx, &after).await?;
    let mut now = told(&after, call.now);
    now["reason"] = json!(reason);
    now["forced"] = json!(how.force);
    let change = Change::updated("instance.released", id, &told(&before, call.now), &now);
    trail::record(app, &mut tx, call, change).await?;
    tx.commit().await?;
    Ok(after.view(call.now))
}

/// Lifts a quarantine: the instance's calls are counted anew from its next one. Where both
/// copies still run, it is in quarantine again with the second of their calls.
pub async fn restore(
    app: &App,
    call: &Call,
    tenant: TenantId,
    license: LicenseId,
    id: InstanceId,
) -> Result<InstanceView, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let before = lock(&mut tx, license, id).await?;
    if before.status != InstanceStatus::Quarantined {
        let detail = "The instance is not in quarantine.";
        return Err(Problem::conflict("instance-not-quarantined", detail));
    }
    let after = Instance {
        status: InstanceStatus::Active,
        quarantined_at: None,
        sequence: Default::default(),
        ..before.clone()
    };
    db::update(&mut tx, &after).await?;
    let (was, is) = (told(&before, call.now), told(&after, call.now));
    trail::record(app, &mut tx, call, Change::updated("instance.restored", id, &was, &is)).await?;
    tx.commit().await?;
    Ok(after.view(call.now))
}

/// Ends what holds a license that was taken back, or what runs in a place that goes out of use:
/// no further lease. One entry of the trail tells of all.
pub(crate) async fn end_all(
    app: &App,
    tx: &mut TenantTx,
    call: &Call,
    license: Option<LicenseId>,
    deployment: Option<DeploymentId>,
) -> Result<(), Problem> {
    let count = db::end_all(tx, license, deployment, call.now).await?;
    if count == 0 {
        return Ok(());
    }
    let target = match (license, deployment) {
        (Some(license), _) => license.to_string(),
        (None, Some(deployment)) => deployment.to_string(),
        (None, None) => String::new(),
    };
    let change = Change::created("instance.released", target, &json!({ "instances": count }));
    trail::record(app, tx, call, change).await
}

/// The most that a license reported at once, by month. What was reported a moment ago counts.
pub async fn high_water(
    app: &App,
    tenant: TenantId,
    license: LicenseId,
) -> Result<HighWaters, Problem> {
    high_water::write(app, tenant, license, app.now()).await?;
    let mut tx = app.db().tenant(tenant).await?;
    licenses::find(&mut tx, license).await?.ok_or_else(missing)?;
    let items = db::high_water(&mut tx, license, HIGH_WATER_SHOWN).await?;
    tx.commit().await?;
    Ok(HighWaters { items })
}

/// Which instances staff should look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Concern {
    /// Two copies used one key.
    Quarantined,
    /// Connected, and not heard of for a day.
    Silent,
}

/// Instances of all tenants that somebody should look at, newest first.
pub async fn attention(
    app: &App,
    concern: Concern,
    cursor: Cursor,
) -> Result<Page<Attention>, Problem> {
    let now = app.now();
    let mut tx = app.db().vendor().await?;
    let rows = match concern {
        Concern::Quarantined => db::quarantined(&mut tx, cursor).await?,
        Concern::Silent => {
            let after = now - SignedDuration::from_hours(24 * SILENT_DAYS_MAX);
            let before = now - SignedDuration::from_hours(SILENT_AFTER_HOURS);
            db::silent(&mut tx, after, before, cursor).await?
        }
    };
    tx.commit().await?;
    let attention = |(tenant, instance): (TenantId, Instance)| Attention {
        tenant,
        instance: instance.view(now),
    };
    let rows = rows.into_iter().map(attention).collect();
    Ok(Page::cut(rows, cursor, |found: &Attention| found.instance.id.uuid()))
}
