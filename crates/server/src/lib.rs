//! Tenure's control plane: one folder a capability.
//!
//! The path of a request: an extractor proves who asks ([`identity`]) -> a short
//! handler (`api.rs`) -> an operation in the capability's `mod.rs` -> a decision
//! in a pure crate (`tenure-core`, `tenure-catalog`, `tenure-license`) -> SQL in
//! `db.rs`, inside a `TenantTx` or `VendorTx` -> one error type at the edge
//! ([`http::Problem`]).
//!
//! A change is written with its audit entry, its outbox message and its
//! idempotent answer in one transaction, or not at all.

pub mod analytics;
pub mod app;
pub mod billing;
pub mod cache;
pub mod call;
pub mod config;
pub mod deployments;
pub mod flags;
pub mod health;
pub mod http;
pub mod idempotency;
pub mod identity;
pub mod installation;
pub mod jobs;
pub mod licensing;
pub mod offboarding;
pub mod products;
pub mod quotas;
pub mod reference;
pub mod router;
mod serve;
pub mod simulation;
pub mod subscriptions;
pub mod tenants;
pub mod trail;
mod unit;
pub mod usage;
pub mod vault;
pub mod web;

pub use app::App;
pub use config::Config;
pub use serve::{Error, MIGRATOR, Server, Started};
