//! What an instance signs: requests, returns, usage reports, and the proof that
//! goes with each call of the license service.
//!
//! An instance makes its own Ed25519 key pair (RFC 8032) when it is installed
//! and never gives the private half away, so who can sign *is* the instance.
//! What the vendor signs is RS256 instead ([`crate::token`]); the two kinds of
//! signature cannot be taken for each other, because neither reader knows the
//! other's algorithm.
//!
//! Owns: the key pair, the strict reading of signed statements. Refuses: header
//! fields other than `alg`, `typ`, `kid`; duplicate keys; a statement of another
//! kind; a key that is not the one named. Who an unknown key belongs to is for
//! the license service to say.

mod key;
mod statement;
mod statements;

pub use key::{InstanceKey, InstancePublicKey, SEED_LEN};
pub use statement::{Error, STATEMENT_LEN_MAX, Stated, Statement, StatementKind, sign, verify};
pub use statements::{
    Proof, Purpose, ReportHead, Request, RequestKind, Return, SliceAsked, SliceBack, SliceRequest,
};
