//! Units of work. There is no other way to a connection.

use std::ops::{Deref, DerefMut};

use sqlx::{PgConnection, PgTransaction};
use tenure_core::TenantId;

use crate::pools::{Db, Error};

macro_rules! connection {
    ($tx:ty) => {
        impl Deref for $tx {
            type Target = PgConnection;
            fn deref(&self) -> &PgConnection {
                &self.tx
            }
        }

        impl DerefMut for $tx {
            fn deref_mut(&mut self) -> &mut PgConnection {
                &mut self.tx
            }
        }

        impl $tx {
            /// Makes everything done in this unit of work durable, or nothing.
            pub async fn commit(self) -> Result<(), Error> {
                Ok(self.tx.commit().await?)
            }

            /// Undoes everything; dropping does the same, later.
            pub async fn rollback(self) -> Result<(), Error> {
                Ok(self.tx.rollback().await?)
            }
        }
    };
}

/// A transaction that sees and changes the rows of one tenant, and no others.
pub struct TenantTx {
    tx: PgTransaction<'static>,
    tenant: TenantId,
}

connection!(TenantTx);

impl TenantTx {
    /// Whose rows these are.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }
}

/// A transaction of the vendor: reads across tenants, writes vendor tables,
/// cannot write a tenant's rows.
pub struct VendorTx {
    tx: PgTransaction<'static>,
}

connection!(VendorTx);

/// A transaction that reads the few columns that tell who a credential belongs
/// to, before a tenant is known.
pub struct AuthTx {
    tx: PgTransaction<'static>,
}

connection!(AuthTx);

impl Db {
    /// Begins a unit of work for `tenant`, in a single round trip.
    ///
    /// The id is a typed UUID, so the text can hold nothing but hex digits and
    /// dashes; `SET LOCAL` ends with the transaction, so the pooled connection
    /// forgets the tenant.
    pub async fn tenant(&self, tenant: TenantId) -> Result<TenantTx, Error> {
        let statement = format!("BEGIN; SET LOCAL app.current_tenant = '{}'", tenant.uuid());
        Ok(TenantTx { tx: self.tenant.begin(&statement).await?, tenant })
    }

    /// The same, on one snapshot for every statement: for exports.
    pub async fn tenant_snapshot(&self, tenant: TenantId) -> Result<TenantTx, Error> {
        let statement = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL app.current_tenant = '{}'",
            tenant.uuid()
        );
        Ok(TenantTx { tx: self.tenant.begin(&statement).await?, tenant })
    }

    /// Begins a unit of work for the vendor.
    pub async fn vendor(&self) -> Result<VendorTx, Error> {
        Ok(VendorTx { tx: self.vendor.begin("BEGIN").await? })
    }

    /// Begins a look-up of credentials.
    pub async fn auth(&self) -> Result<AuthTx, Error> {
        Ok(AuthTx { tx: self.auth.begin("BEGIN").await? })
    }
}
