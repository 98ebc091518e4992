//! A tenant's settings: free JSON, replaced as a whole.

use serde_json::{Map, Value};
use tenure_core::TenantId;

use super::db;
use crate::{
    App,
    call::Call,
    http::Problem,
    trail::{self, Change},
};

/// The settings.
pub async fn read(app: &App, tenant: TenantId) -> Result<Map<String, Value>, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let settings = db::settings(&mut tx).await?;
    tx.commit().await?;
    Ok(object(settings))
}

/// Replaces the settings.
pub async fn replace(
    app: &App,
    call: &Call,
    tenant: TenantId,
    settings: Map<String, Value>,
) -> Result<Map<String, Value>, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    db::lock(&mut tx).await?.ok_or_else(|| Problem::not_found("tenant"))?;
    let before = Value::Object(object(db::settings(&mut tx).await?));
    let after = Value::Object(settings);
    db::replace_settings(&mut tx, &after, call.now).await?;
    let change = Change::updated("tenant.settings_changed", tenant, &before, &after);
    trail::record(app, &mut tx, call, change).await?;
    tx.commit().await?;
    Ok(object(Some(after)))
}

fn object(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}
