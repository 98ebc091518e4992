//! The SDK as a product uses it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

mod example;
mod product;
mod vectors;
mod world;
