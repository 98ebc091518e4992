//! SQL of usage reports.

use jiff_sqlx::ToSqlx;
use tenure_core::{InstanceId, LicenseId, ReportId};
use tenure_license::Digest;
use tenure_tenancy::TenantTx;

use super::{ImportedReport, Origin};
use crate::http::{Cursor, Problem};

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

/// Reports by a condition of their own; the tenant is its `$1`.
macro_rules! reports {
    ($condition:tt, $($argument:expr),+) => {
        sqlx::query_as!(
            Row,
            r#"SELECT id AS "id: ReportId", license_id AS "license_id: LicenseId",
                   instance_id AS "instance_id: InstanceId", origin, after_seq, through_seq, accepted,
                   duplicates, rejected, findings, receipt, imported_at
               FROM usage_reports WHERE tenant_id = $1 AND "#
                + $condition,
            $($argument),+
        )
    };
}

pub(super) async fn by_digest(
    tx: &mut TenantTx,
    digest: &Digest,
) -> Result<Option<ImportedReport>, Problem> {
    let tenant = tx.tenant().uuid();
    let row = reports!("digest = $2", tenant, &digest.as_bytes()[..]);
    Ok(row.fetch_optional(&mut **tx).await?.map(ImportedReport::from))
}

pub(super) async fn find(
    tx: &mut TenantTx,
    license: LicenseId,
    id: ReportId,
) -> Result<Option<ImportedReport>, Problem> {
    let tenant = tx.tenant().uuid();
    let row = reports!("license_id = $2 AND id = $3", tenant, license.uuid(), id.uuid());
    Ok(row.fetch_optional(&mut **tx).await?.map(ImportedReport::from))
}

/// A page of a license's reports, newest first.
pub(super) async fn list(
    tx: &mut TenantTx,
    license: LicenseId,
    cursor: Cursor,
) -> Result<Vec<ImportedReport>, Problem> {
    let tenant = tx.tenant().uuid();
    let rows = reports!(
        "license_id = $2 AND ($3::uuid IS NULL OR id < $3) ORDER BY id DESC LIMIT $4",
        tenant,
        license.uuid(),
        cursor.after,
        cursor.fetch()
    );
    Ok(rows.fetch_all(&mut **tx).await?.into_iter().map(ImportedReport::from).collect())
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
