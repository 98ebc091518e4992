//! RSA keys of a product: who signs its licenses and who is believed.
//!
//! Owns: [`PublicKey`] and its forms (JWK, PEM), the [`Signer`] trait and the
//! signer in memory, and the [`TrustSet`] that a verifier embeds. Refuses: any
//! algorithm but RS256, moduli outside 2048 to 4096 bits, exponents other than
//! 65537, and a `kid` that is not the key's own thumbprint.

mod public;
mod signer;
mod trust;

pub use public::{Jwk, JwkSet, KeyError, PublicKey};
pub use signer::{MemorySigner, SignError, Signer};
pub use trust::{PUBLISHED_TEST_KIDS, TrustError, TrustSet, TrustedKey};

/// Modulus of a new signing key, in bits (3072 bits:
/// 128-bit strength by NIST SP 800-57).
pub const KEY_BITS: usize = 3072;
/// Smallest modulus that is believed, in bits (RFC 7518, section 3.3).
pub const KEY_BITS_MIN: usize = 2048;
/// Largest modulus that is believed, in bits: bounds the cost of a verification.
pub const KEY_BITS_MAX: usize = 4096;
/// Most keys of a trust set: a rotation needs two or three.
pub const TRUST_KEYS_MAX: usize = 16;
/// Largest key set that is read, in bytes.
pub const JWKS_LEN_MAX: usize = 32 * 1024;
