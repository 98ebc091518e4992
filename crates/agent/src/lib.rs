//! The agent that runs beside a product at a customer's.
//!
//! Owns: keeping one license alive ([`machine`]), everything durable ([`store`],
//! [`dir`]), the conversation with the license service ([`run`]), the product's
//! local API ([`local`]), usage on its way ([`spool`]), files for places without a
//! network ([`files`]), the command line ([`commands`]). Refuses: issuing
//! anything; no code that signs for a vendor is in here, and everything that it
//! believes was signed with the product's published keys.
//!
//! In a test or a simulation: [`Agent::open`] with a clock of its own, then
//! [`Agent::step`] as often as wanted; [`local::router`] is the local API.

pub mod agent;
pub mod commands;
pub mod dir;
pub mod error;
pub mod files;
pub mod local;
pub mod machine;
pub mod quota;
pub mod run;
pub mod settings;
pub mod spool;
pub mod store;
pub mod view;

pub use agent::Agent;
pub use error::Error;
pub use settings::Settings;
