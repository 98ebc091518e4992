//! One product file and everything that follows from it.
//!
//! The path of a price: [`ProductFile::parse`] reads a vendor's text into a
//! [`Product`] or into every mistake at once; a subscription and its contracts
//! are [`Terms`]; [`resolve`] answers what those terms allow
//! ([`Entitlements`]); [`estimate`] answers what they cost (a [`Bill`]);
//! [`invoicing`] makes an invoice of a timeline of terms.
//!
//! Owns: the product file's grammar, the typed product, entitlements, contract
//! terms, pricing and rating. Refuses: I/O, floats, and reading the time.

pub mod changes;
pub mod contract;
pub mod deployment;
pub mod diagnostic;
pub mod duration;
pub mod entitlements;
mod file;
mod grammar;
pub mod invoicing;
pub mod meter;
pub mod model;
pub mod plan;
pub mod price;
pub mod rating;
mod reference;
mod schema;
pub mod show;

pub use changes::{Change, Refusal, changes};
pub use contract::{Contract, Item, NeedsContract, Terms, billable};
pub use deployment::{License, Mode, Model, ModelTerms, Resource, Variable};
pub use diagnostic::{Diagnostic, Severity};
pub use entitlements::{Entitlements, resolve};
pub use file::{Parsed, ProductFile};
pub use meter::{Aggregation, Allocation, Meter};
pub use model::Product;
pub use plan::{AddOn, Charge, Discount, Limit, Over, Per, Plan};
pub use price::Amount;
pub use rating::{Bill, Line, Usage, estimate, windows};
pub use reference::key_reference;
pub use schema::json_schema;
pub use show::show;
