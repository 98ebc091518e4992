//! SQL of evidence.

use tenure_catalog::invoicing::InvoiceInputs;
use tenure_core::InvoiceId;
use tenure_tenancy::TenantTx;

use crate::http::Problem;

/// What an invoice was computed from.
pub(super) async fn inputs(
    tx: &mut TenantTx,
    id: InvoiceId,
) -> Result<Option<InvoiceInputs>, Problem> {
    let tenant = tx.tenant().uuid();
    let inputs = sqlx::query_scalar!(
        "SELECT inputs FROM invoices WHERE tenant_id = $1 AND id = $2",
        tenant,
        id.uuid()
    )
    .fetch_optional(&mut **tx)
    .await?;
    inputs.map(serde_json::from_value).transpose().map_err(Problem::internal)
}

/// The file of a product version, by its id.
pub(super) async fn source(
    tx: &mut tenure_tenancy::VendorTx,
    version: tenure_core::CatalogVersionId,
) -> Result<Option<String>, Problem> {
    let sql =
        sqlx::query_scalar!("SELECT source FROM catalog_versions WHERE id = $1", version.uuid());
    Ok(sql.fetch_optional(&mut **tx).await?)
}
