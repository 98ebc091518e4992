//! The control plane as its users see it: over HTTP, on a real PostgreSQL, a
//! database a test. Modules mirror the URLs.
#![allow(
    unreachable_pub,
    missing_docs,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test binary has no outside, may fail loudly, and looks at the database from outside"
)]

mod harness;

mod agents;
mod agents_numbers;
mod analytics;
mod analytics_pages;
mod audit;
mod authorization;
mod bad_input;
mod bill;
mod browser;
mod carried;
mod clients;
mod close;
mod console;
mod console_invoices;
mod console_licenses;
mod costs;
mod currencies;
mod deployments;
mod faults;
mod idempotency;
mod invoices;
mod isolation;
mod licenses;
mod licensing;
mod lifecycle;
mod offboarding;
mod ofrep;
mod openapi;
mod portal;
mod quotas;
mod settlements;
mod signing;
mod simulation;
mod slices;
mod slices_lost;
mod softhsm;
mod trials;
mod usage;
mod usage_bodies;
mod usage_dimensions;
mod usage_lanes;
mod usage_retention;
mod usage_voids;
mod years;
