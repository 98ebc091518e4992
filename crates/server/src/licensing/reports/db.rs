//! SQL of usage reports and the ends of ledgers.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use tenure_core::{DeploymentId, InstanceId, LicenseId, ReportId, SubscriptionId, TenantId};
use tenure_license::{Digest, chain::Head};
use tenure_tenancy::{AuthTx, TenantTx};

use super::{ImportedReport, Origin};
use crate::http::{Cursor, Problem};

/// Whose an instance is, and its key, before the tenant is known.
pub(in crate::licensing) async fn identify(
    tx: &mut AuthTx,
    id: InstanceId,
) -> Result<Option<(TenantId, LicenseId, Option<Vec<u8>>)>, Problem> {
    let row = sqlx::query!(
        r#"SELECT tenant_id AS "tenant_id: TenantId", license_id AS "license_id: LicenseId", public_key
           FROM instances WHERE id = $1"#,
        id.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| (row.tenant_id, row.license_id, row.public_key)))
}

pub(super) struct Locked {
    pub(super) license: LicenseId,
    pub(super) subscription: SubscriptionId,
    pub(super) deployment: Option<DeploymentId>,
    pub(super) quarantined: bool,
    pub(super) known: Option<Head>,
}

pub(super) async fn lock(tx: &mut TenantTx, id: InstanceId) -> Result<Option<Locked>, Problem> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query!(
        r#"SELECT i.license_id AS "license_id: LicenseId",
               l.subscription_id AS "subscription_id: SubscriptionId",
               i.deployment_id AS "deployment_id: DeploymentId", i.status, i.ledger_seq, i.ledger_hash
           FROM instances i JOIN licenses l ON l.tenant_id = i.tenant_id AND l.id = i.license_id
           WHERE i.tenant_id = $1 AND i.id = $2 FOR UPDATE OF i"#,
        tenant,
        id.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| Locked {
        license: row.license_id,
        subscription: row.subscription_id,
        deployment: row.deployment_id,
        quarantined: row.status == "quarantined",
        known: row
            .ledger_hash
            .and_then(|hash| Digest::from_slice(&hash))
            .map(|hash| Head { seq: row.ledger_seq.unsigned_abs(), hash }),
    }))
}

pub(super) async fn quarantine(
    tx: &mut TenantTx,
    id: InstanceId,
    now: Timestamp,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE instances SET status = 'quarantined', quarantined_at = $3
         WHERE tenant_id = $1 AND id = $2 AND status = 'active'",
        tenant,
        id.uuid(),
        now.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn move_end(
    tx: &mut TenantTx,
    id: InstanceId,
    end: Head,
    now: Timestamp,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE instances SET ledger_seq = $3, ledger_hash = $4, last_seen_at = greatest(last_seen_at, $5)
         WHERE tenant_id = $1 AND id = $2",
        tenant,
        id.uuid(),
        i64::try_from(end.seq).map_err(Problem::internal)?,
        &end.hash.as_bytes()[..],
        now.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

struct Row {
    id: ReportId,
    license_id: LicenseId,
    instance_id: InstanceId,
    origin: String,
    after_seq: i64,
    through_seq: i64,
    accepted: i64,
    duplicates: i64,
    rejected: i64,
    findings: serde_json::Value,
    receipt: String,
    imported_at: jiff_sqlx::Timestamp,
}

impl From<Row> for ImportedReport {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            license_id: row.license_id,
            instance_id: row.instance_id,
            origin: if row.origin == "file" { Origin::File } else { Origin::Online },
            after_seq: row.after_seq,
            through_seq: row.through_seq,
            accepted: row.accepted,
            duplicates: row.duplicates,
            rejected: row.rejected,
            findings: serde_json::from_value(row.findings).unwrap_or_default(),
            imported_at: row.imported_at.to_jiff(),
            receipt: row.receipt,
        }
    }
}

pub(super) async fn by_digest(
    tx: &mut TenantTx,
    digest: &Digest,
) -> Result<Option<ImportedReport>, Problem> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        r#"SELECT id AS "id: ReportId", license_id AS "license_id: LicenseId",
               instance_id AS "instance_id: InstanceId", origin, after_seq, through_seq, accepted,
               duplicates, rejected, findings, receipt, imported_at AS "imported_at: jiff_sqlx::Timestamp"
           FROM usage_reports WHERE tenant_id = $1 AND digest = $2"#,
        tenant,
        &digest.as_bytes()[..]
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(ImportedReport::from))
}

pub(super) async fn find(
    tx: &mut TenantTx,
    license: LicenseId,
    id: ReportId,
) -> Result<Option<ImportedReport>, Problem> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        r#"SELECT id AS "id: ReportId", license_id AS "license_id: LicenseId",
               instance_id AS "instance_id: InstanceId", origin, after_seq, through_seq, accepted,
               duplicates, rejected, findings, receipt, imported_at AS "imported_at: jiff_sqlx::Timestamp"
           FROM usage_reports WHERE tenant_id = $1 AND license_id = $2 AND id = $3"#,
        tenant,
        license.uuid(),
        id.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(ImportedReport::from))
}

pub(super) async fn list(
    tx: &mut TenantTx,
    license: LicenseId,
    cursor: Cursor,
) -> Result<Vec<ImportedReport>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT id AS "id: ReportId", license_id AS "license_id: LicenseId",
               instance_id AS "instance_id: InstanceId", origin, after_seq, through_seq, accepted,
               duplicates, rejected, findings, receipt, imported_at AS "imported_at: jiff_sqlx::Timestamp"
           FROM usage_reports
           WHERE tenant_id = $1 AND license_id = $2 AND ($3::uuid IS NULL OR id < $3)
           ORDER BY id DESC LIMIT $4"#,
        tenant,
        license.uuid(),
        cursor.after,
        cursor.fetch()
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.into_iter().map(ImportedReport::from).collect())
}

/// Writes a report down. Of those sent online only the newest of an instance is
/// kept: the next one shows that its answer arrived.
pub(super) async fn insert(
    tx: &mut TenantTx,
    report: &ImportedReport,
    digest: &Digest,
    through_hash: Digest,
) -> Result<(), Problem> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "DELETE FROM usage_reports
         WHERE tenant_id = $1 AND license_id = $2 AND instance_id = $3 AND origin = 'online'",
        tenant,
        report.license_id.uuid(),
        report.instance_id.uuid()
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "INSERT INTO usage_reports (tenant_id, id, license_id, instance_id, digest, origin, after_seq,
             through_seq, through_hash, accepted, duplicates, rejected, findings, receipt, imported_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        tenant,
        report.id.uuid(),
        report.license_id.uuid(),
        report.instance_id.uuid(),
        &digest.as_bytes()[..],
        report.origin.word(),
        report.after_seq,
        report.through_seq,
        &through_hash.as_bytes()[..],
        report.accepted,
        report.duplicates,
        report.rejected,
        serde_json::to_value(&report.findings).map_err(Problem::internal)?,
        report.receipt,
        report.imported_at.to_sqlx()
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The newest receipt of a license: what its next revision cites.
pub(in crate::licensing) async fn newest(
    tx: &mut TenantTx,
    license: LicenseId,
) -> Result<Option<ReportId>, Problem> {
    let tenant = tx.tenant().uuid();
    let id = sqlx::query_scalar!(
        r#"SELECT id AS "id: ReportId" FROM usage_reports
           WHERE tenant_id = $1 AND license_id = $2 ORDER BY id DESC LIMIT 1"#,
        tenant,
        license.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(id)
}
