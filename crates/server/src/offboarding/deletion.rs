//! Erasure of a tenant that has left.
//!
//! What remains: an empty tombstone, the audit chain whose bodies nobody can
//! read any more (the tenant's key is destroyed), and a report of the deletion
//! in the tombstone and in the vendor's own trail.
//!
//! Issued invoices survive by law, in the books of their seller: their tables
//! stay out of the erasure through [`super::tables::KEPT`], with the buyer's name
//! and address as issued, and with the totals and digests that lines were computed
//! from. The events themselves go. What was only a draft goes too.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenure_core::{TenantId, TenantStatus};
use utoipa::ToSchema;

use super::{
    db,
    tables::{KEPT, TABLES},
};
use crate::{
    App, billing,
    call::Call,
    http::Problem,
    tenants,
    trail::{self, Change},
};

/// In both trails.
const ACTION: &str = "tenant.deleted";
/// Deletions noted at once.
const NOTES_MAX: i64 = 100;

/// What a deletion did. It names nobody but staff.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DeletionReport {
    /// Who is no more.
    pub tenant: TenantId,
    /// When.
    pub deleted_at: Timestamp,
    /// By whom.
    #[schema(example = "staff:admin")]
    pub deleted_by: String,
    /// Rows deleted, by table; tables without any are left out.
    pub rows: BTreeMap<String, u64>,
    /// Entries in the tenant's audit chain, which stays.
    #[schema(example = 12)]
    pub audit_entries: i64,
    /// Hash of the last of them, in hex.
    pub audit_head: String,
}

/// Deletes a tenant. `confirm` repeats its slug.
pub async fn delete(
    app: &App,
    call: &Call,
    tenant: TenantId,
    confirm: &str,
) -> Result<DeletionReport, Problem> {
    let mut tx = app.db().tenant(tenant).await?;
    let missing = || Problem::not_found("tenant");
    let before = tenants::db::lock(&mut tx).await?.ok_or_else(missing)?;
    if before.status == TenantStatus::Deleted {
        return Err(missing());
    }
    if before.status != TenantStatus::Cancelled {
        let detail = format!(
            "The tenant is {}. Cancel it first, and export its data if it may be needed: a deletion \
             cannot be undone.",
            before.status
        );
        return Err(Problem::conflict("tenant-not-cancelled", detail));
    }
    if confirm != before.slug {
        let detail = format!("Repeat the tenant's slug, `{}`, to delete it.", before.slug);
        return Err(Problem::field("/confirm", detail));
    }
    // The last entry of its chain; like all before, unreadable once the key is gone.
    let change = Change::removed(ACTION, tenant, &before);
    trail::record(app, &mut tx, call, change).await?;
    let mut rows = BTreeMap::new();
    let count = db::erase(&mut tx, "idempotency_keys", "tenant_id").await?;
    rows.insert("idempotency_keys".to_owned(), count);
    let drafts = billing::invoices::erase_drafts(&mut tx).await?;
    rows.insert("invoices".to_owned(), drafts);
    let kept = |name: &str| KEPT.iter().any(|(kept, _)| *kept == name);
    for table in TABLES.iter().rev().filter(|table| !kept(table.name)) {
        let count = db::erase(&mut tx, table.name, table.tenant_column).await?;
        rows.insert(table.name.to_owned(), count);
    }
    rows.retain(|_, count| *count > 0);
    let (audit_entries, head) =
        db::chain_head(&mut tx).await?.ok_or_else(|| Problem::internal("a chain has a head"))?;
    let report = DeletionReport {
        tenant,
        deleted_at: call.now,
        deleted_by: call.actor.to_string(),
        rows,
        audit_entries,
        audit_head: hex::encode(head),
    };
    let value = serde_json::to_value(&report).map_err(Problem::internal)?;
    db::entomb(&mut tx, &value, call.now).await?;
    tx.commit().await?;
    app.forget_tenant(tenant);
    // The tenant is gone whatever happens now; a note that fails is made up for later.
    if let Err(problem) = note_deletions(app, call).await {
        tracing::warn!(detail = problem.detail, "a deletion is not in the vendor's trail yet");
    }
    Ok(report)
}

/// Writes deletions into the vendor's trail that are not there yet. Returns how many.
///
/// A tenant's transaction cannot write the vendor's chain, so the report lies in
/// the tombstone first. Called after each deletion and with the clean-ups, for
/// the process may die between the two.
pub async fn note_deletions(app: &App, call: &Call) -> Result<u64, Problem> {
    let mut tx = app.db().vendor().await?;
    let unnoted = db::unnoted(&mut tx, ACTION, NOTES_MAX).await?;
    let mut count = 0;
    for (tenant, report) in unnoted {
        trail::record(app, &mut tx, call, Change::created(ACTION, tenant, &report)).await?;
        count += 1;
    }
    tx.commit().await?;
    Ok(count)
}
