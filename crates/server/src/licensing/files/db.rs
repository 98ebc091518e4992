//! SQL of bound license files.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use tenure_core::{InstanceId, LicenseId, TenantId};
use tenure_license::instance::{Request, RequestKind};
use tenure_tenancy::{AuthTx, TenantTx};

use crate::http::Problem;

pub(super) async fn license_by_id(
    tx: &mut AuthTx,
    id: LicenseId,
) -> Result<Option<(TenantId, LicenseId)>, Problem> {
    let row = sqlx::query!(
        r#"SELECT tenant_id AS "tenant_id: TenantId", id AS "id: LicenseId"
           FROM licenses WHERE id = $1"#,
        id.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| (row.tenant_id, row.id)))
}

pub(super) async fn answered(
    tx: &mut TenantTx,
    instance: InstanceId,
    jti: &str,
) -> Result<Option<String>, Problem> {
    let tenant = tx.tenant().uuid();
    let token = sqlx::query_scalar!(
        "SELECT token FROM license_requests WHERE tenant_id = $1 AND instance_id = $2 AND jti = $3",
        tenant,
        instance.uuid(),
        jti
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(token)
}

pub(super) async fn remember(
    tx: &mut TenantTx,
    license: LicenseId,
    request: &Request,
    instance: InstanceId,
    token: &str,
    now: Timestamp,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    let kind = match request.kind {
        RequestKind::Activation => "activation",
        RequestKind::Renewal => "renewal",
    };
    sqlx::query!(
        "INSERT INTO license_requests (tenant_id, instance_id, jti, license_id, kind, token, answered_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        tenant,
        instance.uuid(),
        request.jti,
        license.uuid(),
        kind,
        token,
        now.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The file that an instance was given last.
pub(super) async fn newest_answer(
    tx: &mut TenantTx,
    license: LicenseId,
    instance: InstanceId,
) -> Result<Option<String>, Problem> {
    let tenant = tx.tenant().uuid();
    let token = sqlx::query_scalar!(
        "SELECT token FROM license_requests
         WHERE tenant_id = $1 AND license_id = $2 AND instance_id = $3
         ORDER BY answered_at DESC, jti LIMIT 1",
        tenant,
        license.uuid(),
        instance.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(token)
}
