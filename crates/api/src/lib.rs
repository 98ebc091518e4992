//! What server, agent, SDK and command line say to each other.
//!
//! Owns: the wire types of usage, flags and licensing, the evaluation of flags (a pure
//! function, so that an agent without a network answers exactly as the server
//! does), and a client of the API that a tenant's key opens.
//! Refuses: policy, storage, and anything of the vendor's own API.

pub mod client;
pub mod evidence;
pub mod flags;
pub mod licensing;
pub mod quota;
pub mod slices;
pub mod usage;

pub use client::Client;
