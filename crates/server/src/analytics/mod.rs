//! What the vendor earns, with whom, and how much of what it includes is used.
//!
//! Reads what is there already: issued invoices, drafts, terms in force and quota
//! counters, with a fixed number of grouped queries whatever the number of tenants.
//! Owns: months of revenue, top tenants, the distribution of quota use. Refuses: a
//! bill a tenant, and adding amounts of different currencies.

pub mod api;
mod db;
mod db_quotas;
pub mod model;
pub(crate) mod quota_use;
pub(crate) mod recurring;
pub(crate) mod revenue;
mod top;

pub use self::{
    model::{QuotaUse, Revenue, TopTenants},
    quota_use::quota_use,
    revenue::revenue,
    top::top_tenants,
};
