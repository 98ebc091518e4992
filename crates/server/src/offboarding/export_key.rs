//! The key of one export: what secrets travel under, and what proves that an
//! archive is as it was made.

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::{
    http::Problem,
    vault::{self, Key},
};

/// Thirty-two random bytes with a purpose each.
pub struct ExportKey {
    shown: Zeroizing<String>,
    sealing: Key,
    proving: hmac::Key,
}

impl ExportKey {
    /// A new key, for one export.
    pub fn random() -> Result<Self, Problem> {
        let bytes = vault::random::<32>().map_err(Problem::internal)?;
        Ok(Self::of(&bytes))
    }

    /// The key that a caller sends back: 64 hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = Zeroizing::new([0u8; 32]);
        hex::decode_to_slice(text.trim(), &mut *bytes).ok()?;
        Some(Self::of(&bytes))
    }

    fn of(bytes: &[u8; 32]) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, bytes);
        let derive = |purpose: &[u8]| hmac::sign(&root, purpose);
        Self {
            shown: Zeroizing::new(hex::encode(bytes)),
            sealing: Key::from_slice(derive(b"tenure export v1 sealing").as_ref())
                .expect("HMAC-SHA256 gives the 32 bytes of a key"),
            proving: hmac::Key::new(
                hmac::HMAC_SHA256,
                derive(b"tenure export v1 manifest").as_ref(),
            ),
        }
    }

    /// The key as it is shown, once.
    pub fn expose(&self) -> &str {
        &self.shown
    }

    /// Proves the manifest, which names the hash of everything else.
    pub(super) fn prove(&self, manifest: &[u8]) -> String {
        hex::encode(hmac::sign(&self.proving, manifest))
    }

    /// Whether `proof` is this key's for `manifest`; in constant time.
    pub(super) fn proves(&self, manifest: &[u8], proof: &str) -> bool {
        hex::decode(proof.trim())
            .is_ok_and(|tag| hmac::verify(&self.proving, manifest, &tag).is_ok())
    }

    pub(super) fn encrypt(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>, Problem> {
        self.sealing.encrypt(context.as_bytes(), plain).map_err(Problem::internal)
    }

    pub(super) fn decrypt(
        &self,
        context: &str,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, vault::Error> {
        self.sealing.decrypt(context.as_bytes(), sealed)
    }
}
