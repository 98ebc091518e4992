//! The key a tenant that personal data is sealed under. Destroying it erases
//! that data wherever copies of it are.

use tenure_core::TenantId;
use tenure_tenancy::VendorTx;

use super::db;
use crate::{
    App,
    http::Problem,
    unit::Unit,
    vault::{Key, Place},
};

/// The place of a tenant key, beside the tenant itself.
pub(crate) const FIELD: &str = "tenant key";

fn place(tenant: TenantId) -> Place<'static> {
    Place { tenant: tenant.uuid(), owner: tenant.uuid(), field: FIELD, version: 1 }
}

pub(super) fn seal(app: &App, tenant: TenantId, key: &Key) -> Result<Vec<u8>, Problem> {
    app.vault().seal(place(tenant), key.expose()).map_err(Problem::internal)
}

fn open(app: &App, tenant: TenantId, sealed: &[u8]) -> Result<Key, Problem> {
    let plain = app.vault().open(place(tenant), sealed).map_err(Problem::internal)?;
    Key::from_slice(&plain).ok_or_else(|| Problem::internal("a tenant key has the wrong length"))
}

/// The key of the tenant whose unit of work this is; `None` once destroyed.
pub(crate) async fn of_unit(app: &App, tx: &mut impl Unit) -> Result<Option<Key>, Problem> {
    let Some(tenant) = tx.tenant_id() else { return Ok(None) };
    if let Some(key) = app.tenant_keys().get(&tenant) {
        return Ok(Some(key));
    }
    let ticket = app.tenant_keys().ticket();
    let Some(sealed) = db::sealed_key(tx, tenant).await? else { return Ok(None) };
    let key = open(app, tenant, &sealed)?;
    app.tenant_keys().put(ticket, tenant, key.clone());
    Ok(Some(key))
}

/// The key of a tenant, for staff who read its trail.
pub(crate) async fn read(
    app: &App,
    tx: &mut VendorTx,
    tenant: TenantId,
) -> Result<Option<Key>, Problem> {
    let sealed = db::sealed_key(tx, tenant).await?;
    sealed.map(|sealed| open(app, tenant, &sealed)).transpose()
}
