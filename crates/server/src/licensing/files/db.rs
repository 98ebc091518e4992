//! SQL of bound license files.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use tenure_core::{InstanceId, LicenseId, TenantId};
use tenure_license::{
    activation::slots,
    instance::{Request, RequestKind},
};
use tenure_tenancy::{AuthTx, TenantTx};

use super::super::License;
use crate::http::Problem;

pub(super) async fn license_by_key(
    tx: &mut AuthTx,
    digest: &[u8],
) -> Result<Option<(TenantId, LicenseId)>, Problem> {
    let row = sqlx::query!(
        r#"SELECT tenant_id AS "tenant_id: TenantId", id AS "id: LicenseId"
           FROM licenses WHERE key_digest = $1"#,
        digest
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| (row.tenant_id, row.id)))
}

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

/// An instance of a license, by its key.
pub(super) struct Known {
    pub(super) id: InstanceId,
    pub(super) quarantined: bool,
    pub(super) ledger_seq: u64,
}

pub(super) async fn by_key(
    tx: &mut TenantTx,
    license: LicenseId,
    key: &[u8],
) -> Result<Option<Known>, Problem> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query!(
        r#"SELECT id AS "id: InstanceId", status, ledger_seq FROM instances
           WHERE tenant_id = $1 AND license_id = $2 AND public_key = $3"#,
        tenant,
        license.uuid(),
        key
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| Known {
        id: row.id,
        quarantined: row.status == "quarantined",
        ledger_seq: row.ledger_seq.unsigned_abs(),
    }))
}

/// What the other instances of a license hold.
pub(super) async fn holds(
    tx: &mut TenantTx,
    license: LicenseId,
    except: InstanceId,
    now: Timestamp,
) -> Result<Vec<slots::Hold>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        r#"SELECT held_until, returned FROM instances
           WHERE tenant_id = $1 AND license_id = $2 AND id <> $3 AND held_until > $4 AND NOT forced"#,
        tenant,
        license.uuid(),
        except.uuid(),
        now.to_sqlx()
    )
    .fetch_all(&mut **tx)
    .await?;
    let hold =
        |until: jiff_sqlx::Timestamp, returned| slots::Hold { until: until.to_jiff(), returned };
    Ok(rows.into_iter().map(|row| hold(row.held_until, row.returned)).collect())
}

/// A license file in an instance's hands.
pub(super) struct Hold<'a> {
    pub(super) instance: InstanceId,
    pub(super) token: &'a str,
    pub(super) until: Timestamp,
}

pub(super) async fn hold(
    tx: &mut TenantTx,
    license: &License,
    request: &Request,
    hold: Hold<'_>,
    now: Timestamp,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "INSERT INTO instances (tenant_id, id, license_id, deployment_id, public_key, name,
             k8s_cluster_uid, version, status, offline, lease, held_until, last_seen_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'active', true, $9, $10, $11, $11)
         ON CONFLICT (tenant_id, id) DO UPDATE SET status = 'active', offline = true, forced = false,
             returned = false, lease = excluded.lease, released_at = NULL, last_seen_at = excluded.last_seen_at,
             held_until = greatest(instances.held_until, excluded.held_until)",
        tenant,
        hold.instance.uuid(),
        license.id.uuid(),
        license.deployment_id.map(|id| id.uuid()),
        &request.key.as_bytes()[..],
        request.name,
        request.k8s_cluster_uid,
        request.agent_version,
        hold.token,
        hold.until.to_sqlx(),
        now.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
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
    license: &License,
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
        license.id.uuid(),
        kind,
        token,
        now.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Whether it was not released before.
pub(super) async fn release(
    tx: &mut TenantTx,
    id: InstanceId,
    now: Timestamp,
) -> Result<bool, Problem> {
    let tenant = tx.tenant().uuid();
    let done = sqlx::query!(
        "UPDATE instances SET status = 'released', released_at = $3, returned = true
         WHERE tenant_id = $1 AND id = $2 AND status <> 'released'",
        tenant,
        id.uuid(),
        now.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
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
