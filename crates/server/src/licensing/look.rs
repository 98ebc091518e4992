//! A license as people look at it: what it says, what that is worth now, and
//! its file to take away.
//!
//! Owns: reading all of it at once for pages of staff and customers. Refuses:
//! to judge; that is [`tenure_license::state`]'s.

use std::sync::Arc;

use tenure_core::{LicenseId, ProductId, TenantId};
use tenure_license::{LicenseClaims, LicenseKey, Verdict};

use super::{
    LicenseDetail, LicenseFile, db, missing, revocation,
    service::{holder, standing},
};
use crate::{
    App,
    call::Call,
    http::Problem,
    products::{self, Catalog},
    subscriptions::{self, Subscription},
    tenants::Tenant,
    trail::{self, Change},
};

/// A license with what it is worth now.
pub struct Look {
    /// The license and its revisions.
    pub detail: LicenseDetail,
    /// What the newest revision says.
    pub claims: LicenseClaims,
    /// What it is worth; `None` when its token was signed by another installation.
    pub verdict: Option<Verdict>,
    /// What it grants the use of.
    pub subscription: Subscription,
    /// The version whose terms the subscription is on.
    pub catalog: Arc<Catalog>,
}

/// Reads a license and judges its newest revision.
pub async fn look(app: &App, tenant: TenantId, id: LicenseId) -> Result<Look, Problem> {
    let detail = super::read(app, tenant, id).await?;
    let license = &detail.license;
    let mut tx = app.db().tenant(tenant).await?;
    let found = db::token(&mut tx, id, license.revision).await?;
    tx.commit().await?;
    let (claims, _) = found.ok_or_else(missing)?;
    let claims: LicenseClaims = serde_json::from_value(claims).map_err(Problem::internal)?;
    let subscription = subscriptions::read(app, tenant, license.subscription_id).await?;
    let catalog = products::catalog_of(app, &subscription).await?;
    let verdict = verdict(app, tenant, id, catalog.product_id).await?;
    Ok(Look { claims, verdict, subscription, catalog, detail })
}

/// What the newest revision is worth; `None` where it was not signed here.
async fn verdict(
    app: &App,
    tenant: TenantId,
    id: LicenseId,
    product: ProductId,
) -> Result<Option<Verdict>, Problem> {
    let standing = match standing::read(app, tenant, id).await {
        Ok(standing) => standing.ok_or_else(missing)?,
        Err(problem) if problem.kind.ends_with(":license-not-renewed") => return Ok(None),
        Err(problem) => return Err(problem),
    };
    let list = revocation::current(app, product).await?;
    Ok(Some(standing.verdict(list.as_deref(), app.now())))
}

/// The license that a key opens; `None` where nobody was given it.
pub(crate) async fn holder_of(
    app: &App,
    key: &LicenseKey,
) -> Result<Option<(TenantId, LicenseId)>, Problem> {
    match holder::find(app, key.expose()).await {
        Ok(held) => Ok(Some((held.tenant, held.license))),
        Err(problem) if problem.status == 401 => Ok(None),
        Err(problem) => Err(problem),
    }
}

/// The `.lic` file of the newest revision, taken away by somebody whom the trail names.
pub async fn take_file(
    app: &App,
    call: &Call,
    tenant: &Tenant,
    id: LicenseId,
) -> Result<LicenseFile, Problem> {
    let file = super::file(app, tenant, id).await?;
    let mut tx = app.db().tenant(tenant.id).await?;
    let shown = serde_json::json!({ "file": file.name });
    trail::record(app, &mut tx, call, Change::created("license.file_taken", id, &shown)).await?;
    tx.commit().await?;
    Ok(file)
}
