//! Licenses of Tenure in a Rust product.
//!
//! ```no_run
//! use tenure_sdk::Tenure;
//!
//! # fn main() -> Result<(), tenure_sdk::Error> {
//! let tenure = Tenure::builder().product("incidentfox").keys("...").from_env()?;
//! let decision = tenure.feature("sso");
//! if !decision.allowed {
//!     eprintln!("{} {}", decision.status, decision.message.unwrap_or_default());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Owns: the license of a running product. Questions are answered from memory, in nanoseconds; the
//! network is asked by one thread of its own, so nothing here is `async` and nothing waits, except
//! the start and what says so. Refuses: to believe anything that is not signed by the product's
//! keys, and to stop anything: a [`Decision`] is an answer, the product acts on it.

mod builder;
mod error;
mod http;
mod license;
mod source;
mod state_file;
mod tenure;
mod usage;
mod worker;

pub use builder::{Builder, Settings};
pub use error::Error;
pub use license::License;
pub use source::{Agent, Grant, Server};
pub use tenure::Tenure;
pub use tenure_core::Quantity;
pub use tenure_license::{
    LicenseClaims, LicenseKey, Reason, State, Verdict,
    enforcement::{Decision, Work},
};
pub use usage::{BATCH_MAX, QUEUE_MAX};
