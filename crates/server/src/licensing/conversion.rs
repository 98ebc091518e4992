//! Conversion: another model, another plan, a trial that becomes paid, without
//! losing the license.
//!
//! Owns: changing subscription and license together, so that there is one
//! lineage: the same license and license key, a new revision, and a moment at
//! which the old one is superseded. Until that moment both count, so that a file
//! can be carried. Refuses: models and plans that are not sold.

use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tenure_catalog::Model;
use tenure_core::{LicenseId, TenantId};
use utoipa::ToSchema;

use super::{
    IssuedLicense, License, REVISIONS_MAX,
    claims::Issue,
    db, grant_of,
    issuing::{expiry, sign, whole_second},
    lock, open_key, require_active, revocation,
};
use crate::{
    App,
    call::Call,
    deployments,
    http::Problem,
    idempotency, subscriptions,
    trail::{self, Change},
};

/// Longest time for which old and new revision count side by side, in days.
pub(super) const OVERLAP_DAYS_MAX: i64 = 90;

/// What to change; at least one of `model`, `plan` and `paid`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConvertLicense {
    /// The model from now on. `managed` and `byoi` end the installations at `supersede_at`.
    #[schema(value_type = Option<String>, example = "air_gapped")]
    pub model: Option<Model>,
    /// The plan from now on, on the newest terms.
    #[schema(example = "enterprise")]
    pub plan: Option<String>,
    /// `true`: the trial becomes a paid subscription.
    #[serde(default)]
    pub paid: bool,
    /// When the old revision no longer counts, at most 90 days from now; now when left out.
    pub supersede_at: Option<Timestamp>,
    /// When the new revision expires; the product's license term when left out.
    pub expires_at: Option<Timestamp>,
}

/// Converts a license; the license key stays the same.
pub async fn convert(
    app: &App,
    call: &Call,
    tenant: TenantId,
    id: LicenseId,
    how: ConvertLicense,
) -> Result<IssuedLicense, Problem> {
    let subscription = super::read(app, tenant, id).await?.license.subscription_id;
    let supersede_at = supersede_at(&how, call.now)?;
    let newest = subscriptions::newest_of(app, tenant, subscription).await?;
    let mut tx = app.db().tenant(tenant).await?;
    let before = lock(&mut tx, id).await?;
    require_active(&before)?;
    if before.revision >= REVISIONS_MAX {
        let detail = format!("A license has at most {REVISIONS_MAX} revisions; issue a new one.");
        return Err(Problem::conflict("too-many-revisions", detail));
    }
    let change =
        subscriptions::Conversion { model: how.model, plan: how.plan.as_deref(), paid: how.paid };
    subscriptions::convert_locked(app, &mut tx, call, before.subscription_id, &newest, change)
        .await?;
    let license = License { model: how.model.unwrap_or(before.model), ..before.clone() };
    deployments::follow_model(&mut tx, call, &license).await?;
    let grant = grant_of(app, &mut tx, &license).await?;
    grant.require_sold(call.now)?;
    let issue = Issue {
        license: id,
        revision: before.revision + 1,
        at: whole_second(call.now)?,
        expires_at: expiry(&grant, call.now, how.expires_at, None)?,
        supersede_at: whole_second(supersede_at)?,
    };
    let token = sign(app, &mut tx, &grant, &issue).await?;
    let license = License {
        revision: issue.revision,
        issued_at: issue.at,
        expires_at: issue.expires_at,
        ..license
    };
    db::update(&mut tx, &license).await?;
    // Where the vendor operates, no installation counts any more: not with this revision either.
    let below = if license.model.is_licensed() { issue.revision } else { issue.revision + 1 };
    let below = Some(u64::try_from(below).map_err(Problem::internal)?);
    let forget_after = revocation::forget_after(&mut tx, id).await?;
    let product = grant.catalog.product_id;
    revocation::withdraw(&mut tx, product, id, below, issue.supersede_at, forget_after).await?;
    let key = open_key(app, &mut tx, id).await?;
    deployments::settle_licensed(&mut tx, call, license.subscription_id).await?;
    let change = Change::updated("license.converted", id, &before, &license);
    trail::record(app, &mut tx, call, change).await?;
    let issued = IssuedLicense { license, license_key: key.to_string(), token };
    idempotency::remember(app, &mut tx, call, StatusCode::CREATED, &issued).await?;
    tx.commit().await?;
    app.forget_tenant(tenant);
    Ok(issued)
}

fn supersede_at(how: &ConvertLicense, now: Timestamp) -> Result<Timestamp, Problem> {
    if how.model.is_none() && how.plan.is_none() && !how.paid {
        return Err(Problem::field("/model", "Say what changes: model, plan, or paid."));
    }
    let at = how.supersede_at.unwrap_or(now).max(now);
    if at.duration_since(now) > SignedDuration::from_hours(24 * OVERLAP_DAYS_MAX) {
        let detail =
            format!("Both revisions count side by side for at most {OVERLAP_DAYS_MAX} days.");
        return Err(Problem::field("/supersede_at", detail));
    }
    Ok(at)
}
