//! What the license crate promises, from the outside.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod enforcement;
mod forgery;
mod fuzz;
mod grant;
mod instance;
mod keys;
mod lifetime;
mod mutation;
mod signature;
mod support;
mod vectors;

// Shared with the fuzz targets.
#[path = "../../../../fuzz/src/license.rs"]
mod fuzz_license;
#[path = "../../../../fuzz/src/mutate.rs"]
mod mutate;
