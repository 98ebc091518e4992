//! What the two kinds of transaction have in common for the capabilities that
//! serve both: the trail and idempotency.

use std::ops::DerefMut;

use sqlx::PgConnection;
use tenure_core::TenantId;
use tenure_tenancy::{TenantTx, VendorTx};

/// A unit of work of a tenant or of the vendor.
pub trait Unit: DerefMut<Target = PgConnection> + Send {
    /// Whose, if a tenant's.
    fn tenant_id(&self) -> Option<TenantId>;
}

impl Unit for TenantTx {
    fn tenant_id(&self) -> Option<TenantId> {
        Some(self.tenant())
    }
}

impl Unit for VendorTx {
    fn tenant_id(&self) -> Option<TenantId> {
        None
    }
}
