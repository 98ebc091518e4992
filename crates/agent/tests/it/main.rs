//! The agent against a vendor that the tests play: over HTTP, with real keys.

#![allow(clippy::unwrap_used, reason = "tests")]

mod activation;
mod binary;
mod copies;
mod dir;
mod local;
mod network;
mod offline;
mod screens;
mod slices;
mod support;
mod tls;
mod usage;
