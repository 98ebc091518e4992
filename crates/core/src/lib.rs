//! The vocabulary every other crate is written in: ids, money, quantities,
//! periods, slugs and the clock.
//!
//! Owns: representation and checked arithmetic. Refuses: I/O, floats, and
//! reading the wall clock anywhere but in [`clock::SystemClock`].

pub mod clock;
pub mod id;
pub mod lifecycle;
pub mod money;
pub mod period;
pub mod quantity;
pub mod slug;

pub use clock::{Clock, ManualClock, SystemClock};
pub use id::*;
pub use lifecycle::{IllegalTransition, SubscriptionStatus, TenantStatus};
pub use money::{Currency, Money, MoneyError};
pub use period::{Interval, Period};
pub use quantity::{Quantity, QuantityError};
