//! Tenant isolation on PostgreSQL, for Tenure's own server and for vendors who
//! embed it in theirs.
//!
//! Owns: the four database roles, the pools that log in as them, and the only
//! two ways to a connection, [`TenantTx`] and [`VendorTx`]. Refuses: a
//! connection whose tenant is not fixed, and a role that could look past
//! row-level security.
//!
//! A unit of work is a transaction. `begin` and the tenant's id travel in one
//! round trip, so isolation costs no extra wait, and a pooled connection never
//! carries a tenant from one unit to the next.

pub mod local;
mod pools;
pub mod roles;
mod scram;
mod tx;

pub use pools::{Db, DbSettings, Error, POOL_CONNECTIONS_MAX, Pool};
pub use tx::{AuthTx, TenantTx, VendorTx};
