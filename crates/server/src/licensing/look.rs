//! A license as people look at it: what it says, what that is worth now, and
//! its file to take away.
//!
//! Owns: reading all of it at once for pages of staff and customers. Refuses:
//! to judge; that is [`tenure_license::state`]'s.

use std::sync::Arc;

use tenure_core::{LicenseId, TenantId};
use tenure_license::{
    LicenseClaims, LicenseKey, Verdict,
    state::{self, Revocation},
    token,
};

use super::{LicenseDetail, LicenseFile, LicenseStatus, db, missing};
use crate::{
    App,
    call::Call,
    http::Problem,
    products::{self, Catalog, signing},
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
    let (claims, token) = found.ok_or_else(missing)?;
    let claims: LicenseClaims = serde_json::from_value(claims).map_err(Problem::internal)?;
    let subscription = subscriptions::read(app, tenant, license.subscription_id).await?;
    let catalog = products::catalog(app, subscription.catalog_version_id).await?;
    let trust = signing::trust_set(app, &catalog).await?;
    let revocation = match (license.status, license.revoked_at) {
        (LicenseStatus::Revoked, at) => Revocation::Revoked(at.unwrap_or(license.issued_at)),
        // Where the vendor operates, no installation counts any more.
        (LicenseStatus::Active, _) if !license.model.is_licensed() => {
            let at = claims.supersedes.map_or(license.issued_at, |replaced| replaced.at);
            Revocation::Superseded(at)
        }
        (LicenseStatus::Active, _) => Revocation::None,
    };
    let verified = token::verify::<LicenseClaims>(&token, &trust);
    let verdict = verified.ok().map(|newest| {
        let input = state::Input { revocation, ..state::Input::new(&newest, app.now()) };
        state::evaluate(&input)
    });
    Ok(Look { claims, verdict, subscription, catalog, detail })
}

/// The license that a key opens.
pub(crate) async fn holder_of(
    app: &App,
    key: &LicenseKey,
) -> Result<Option<(TenantId, LicenseId)>, Problem> {
    let digest = key.lookup_digest(app.vault().pepper());
    let mut tx = app.db().auth().await?;
    let found = db::by_key(&mut tx, &digest).await?;
    tx.commit().await?;
    Ok(found)
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
