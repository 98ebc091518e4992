//! The command line from outside: what people type, read and wait for.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod check;
mod close_crash;
mod crash;
mod demo;
mod help;
mod license;
mod serve;
mod signing_key;
mod support;
mod usage;
mod verify;
