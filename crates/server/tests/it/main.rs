//! The control plane as its users see it: over HTTP, on a real PostgreSQL, a
//! database a test. Modules mirror the URLs.

mod harness;

mod clients;
mod idempotency;
