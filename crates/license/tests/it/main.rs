//! What the license crate promises, from the outside.

mod forgery;
mod grant;
mod keys;
mod lifetime;
mod support;
mod vectors;
