//! The agent that runs beside a product at a customer's.
//!
//! Owns: keeping one license alive ([`machine`]). Refuses: issuing anything; no
//! code that signs for a vendor is in here.

pub mod machine;
