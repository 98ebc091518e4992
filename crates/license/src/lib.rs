//! Licenses: keys, tokens, files, and what state a license is in.
//!
//! The path of a license: entitlements become [`LicenseClaims`], [`token::sign`]
//! makes them a token with a product's [`Signer`], the token travels as a
//! [`key_string`] to be exchanged, or as a [`file`] to be carried. At the other
//! end [`token::verify`] believes it by a [`TrustSet`] alone, and
//! [`state::evaluate`] says what it is worth at a moment.
//!
//! Owns: formats, signatures and the decision. Refuses: I/O, reading a clock,
//! making random identifiers by itself (the callers hand bytes in; only RSA key
//! generation draws on the library's generator), and enforcing anything: a
//! state is an answer, what it blocks is the product's policy.
//!
//! A product that is licensed:
//!
//! ```
//! use tenure_license::{LicenseClaims, State, TrustSet, presented::Presented, state, token};
//!
//! fn licensed(jwks: &str, presented: &str, now: jiff::Timestamp) -> Result<bool, String> {
//!     let trust = TrustSet::from_jwks("incidentfox", jwks).map_err(|e| e.to_string())?;
//!     let token = match Presented::read(presented).map_err(|e| e.to_string())? {
//!         Presented::Token(token) => token,
//!         Presented::Key(_) => return Err("a license key is exchanged for a token first".into()),
//!     };
//!     let license =
//!         token::verify::<LicenseClaims>(&token, &trust).map_err(|e| format!("{}: {e}", e.code()))?;
//!     let verdict = state::evaluate(&state::Input::new(&license, now));
//!     if let Some(notice) = &verdict.notice {
//!         eprintln!("{notice}");
//!     }
//!     Ok(verdict.state < State::Restricted && license.claims().has_feature("sso"))
//! }
//! # assert!(licensed("{}", "", jiff::Timestamp::UNIX_EPOCH).is_err());
//! ```
//!
//! What no license can do: an owner who patches the program, or who owns the
//! clock from its first start, wins. Offline, forgery is impossible, but use
//! beyond the grant is detected and evidenced rather than prevented.

pub mod activation;
pub mod api_key;
pub mod chain;
pub mod claims;
pub mod digest;
pub mod enforcement;
pub mod file;
pub mod instance;
pub mod json;
pub mod key_string;
pub mod keys;
pub mod ledger;
pub mod numbering;
pub mod presented;
pub mod state;
mod text;
pub mod token;

pub use api_key::{ApiKey, Environment};
pub use claims::{LeaseClaims, LicenseClaims, ReceiptClaims, RevocationsClaims};
pub use digest::{Digest, Pepper};
pub use instance::{InstanceKey, InstancePublicKey};
pub use key_string::LicenseKey;
pub use keys::{MemorySigner, PublicKey, Signer, TrustSet};
pub use state::{Reason, State, Verdict};
pub use token::Verified;
