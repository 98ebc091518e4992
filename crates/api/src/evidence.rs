//! What proves that a total is of certain events and of no others.
//!
//! Owns: the hash of one counted event and the digest of many. Anyone who has
//! the events can compute both again; a digest does not depend on their order.

use jiff::Timestamp;
use rust_decimal::Decimal;
use tenure_license::Digest;

/// One event as one meter counts it.
#[derive(Debug, Clone, Copy)]
pub struct Counted<'a> {
    /// The CloudEvents `source`.
    pub source: &'a str,
    /// The CloudEvents `id`.
    pub id: &'a str,
    /// The id of the meter, as in the product file.
    pub meter: &'a str,
    /// The CloudEvents `time`; less than a microsecond is dropped.
    pub time: Timestamp,
    /// What the meter read; 1 where events are counted.
    pub quantity: Decimal,
    /// What a `unique` meter counts once.
    pub member: Option<&'a str>,
}

impl Counted<'_> {
    /// The first 16 bytes of SHA-256 over source, id, meter, time (microseconds
    /// since 1970, 8 bytes), quantity (plain decimal without trailing zeros) and
    /// member (empty when there is none), each behind its length in 8 bytes. All
    /// numbers are big-endian.
    pub fn hash(&self) -> [u8; 16] {
        self.hash_with(&mut Vec::new())
    }

    /// As [`Counted::hash`], with a buffer that is used again.
    pub fn hash_with(&self, buffer: &mut Vec<u8>) -> [u8; 16] {
        use std::io::Write;
        buffer.clear();
        let mut put = |bytes: &[u8]| {
            buffer.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
            buffer.extend_from_slice(bytes);
        };
        put(self.source.as_bytes());
        put(self.id.as_bytes());
        put(self.meter.as_bytes());
        put(&self.time.as_microsecond().to_be_bytes());
        // Longer than any decimal: 29 digits, a point and a sign.
        let mut text = [0u8; 40];
        let mut rest = text.as_mut_slice();
        let written = write!(rest, "{}", self.quantity.normalize());
        written.expect("a decimal is shorter than 40 bytes");
        let len = 40 - rest.len();
        put(&text[..len]);
        put(self.member.unwrap_or_default().as_bytes());
        let digest = Digest::sha256(buffer);
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest.as_bytes()[..16]);
        hash
    }
}

/// The digest of several events: their hashes, XORed.
pub fn digest(hashes: impl IntoIterator<Item = [u8; 16]>) -> [u8; 16] {
    let all = hashes.into_iter().map(u128::from_be_bytes).fold(0, |all, one| all ^ one);
    all.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted<'a>(id: &'a str, quantity: &str) -> Counted<'a> {
        Counted {
            source: "/s",
            id,
            meter: "runs",
            time: Timestamp::UNIX_EPOCH,
            quantity: quantity.parse().unwrap(),
            member: None,
        }
    }

    #[test]
    fn a_hash_is_what_its_description_says() {
        let mut bytes = Vec::new();
        for part in [b"/s".as_slice(), b"a", b"runs", &[0; 8], b"1000.5", b""] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        let whole = Digest::sha256(&bytes);
        assert_eq!(counted("a", "1000.500").hash(), whole.as_bytes()[..16]);
        assert_eq!(counted("a", "100").hash(), counted("a", "100.00").hash());
    }

    #[test]
    fn what_one_event_says_is_never_what_another_says() {
        assert_ne!(counted("a", "1").hash(), counted("b", "1").hash());
        assert_ne!(counted("a", "1").hash(), counted("a", "2").hash());
        let member = Counted { member: Some("m"), ..counted("a", "1") };
        assert_ne!(counted("a", "1").hash(), member.hash());
    }

    #[test]
    fn a_digest_does_not_depend_on_the_order() {
        let hashes = ["a", "b", "c"].map(|id| counted(id, "1").hash());
        let mut backwards = hashes;
        backwards.reverse();
        assert_eq!(digest(hashes), digest(backwards));
        assert_eq!(digest([]), [0; 16]);
    }
}
