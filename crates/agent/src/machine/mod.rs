//! What an agent knows and does next, as plain data and plain functions.
//!
//! The program around it owns a clock, a disk, a network and a generator of
//! random bytes, and goes round this loop:
//!
//! ```text
//! load State -> adopt(key pair)
//!   next ---- Wait --> sleep, serve the product, look again
//!        ---- NewKey -> 32 random bytes -> adopt -> SAVE both together
//!        ---- Stop ---> stop -> SAVE; nothing more to say to the vendor
//!        ---- Send ---> nothing outstanding? prepare -> SAVE
//!                       post the outstanding call, exactly as written down
//!                       answered or failed -> SAVE
//! ```
//!
//! SAVE is a durable write of the whole [`State`], before the next step. A call
//! that is not saved before it is sent is the one mistake that this protocol
//! does not forgive: after a crash another call would go out under its number,
//! and two different calls under one number are what a cloned machine sends.
//!
//! Owns: which call is next and when, what is believed of an answer, the time
//! floor, the verdict. Refuses: I/O, clocks, randomness (all handed in),
//! checking signatures of tokens (the caller verifies and hands in claims), and
//! the usage ledger itself (its entries are the caller's; here is only up to
//! where they were counted).

mod answer;
mod call;
mod judge;
mod plan;
mod state;
mod take;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Event, Standing, Taken, answered};
pub use call::{CallError, Failure, Setup, adopt, draft, failed, prepare, stop, write_down};
pub use judge::{raise_floor, verdict};
pub use plan::{
    BACKOFF_SECONDS_MAX, BACKOFF_SECONDS_MIN, CallKind, HEARTBEAT_SECONDS_MAX,
    HEARTBEAT_SECONDS_MIN, RETRY_AFTER_SECONDS_MAX, SLOW_SECONDS_MIN, Step, WAIT_SECONDS_MAX, next,
};
pub use state::{
    Call, HEARTBEAT_SECONDS, LeaseHeld, LicenseHeld, Phase, ReceiptHeld, RevocationsHeld, State,
    Trouble,
};
pub use take::{
    Refusal, ledger_forked, ledger_gap, report_after, take_license, take_receipt, take_revocations,
};
