//! What the license crate promises, from the outside.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod enforcement;
mod forgery;
mod grant;
mod instance;
mod keys;
mod lifetime;
mod support;
mod vectors;
