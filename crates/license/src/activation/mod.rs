//! Who may hold a license: the decisions behind activation and heartbeats.
//!
//! Owns: whether a slot is free ([`slots`]) and whether a numbered request is
//! the next one, a repetition, or a second history ([`sequence`]). Pure: the
//! server keeps the state, and a simulation drives the very same functions.

pub mod sequence;
pub mod slots;
