//! Hash chains: entries that cannot be edited, dropped or reordered unnoticed.
//!
//! Owns: canonical JSON, the link between entries, and the verifier that the
//! usage ledger and the audit trail share. Refuses: numbers that JSON readers
//! disagree on. A chain shows what happened to its middle; that its *end* was
//! not cut off needs a head kept elsewhere (a receipt, a signed checkpoint).

mod canonical;

use crate::Digest;

pub use canonical::{CanonicalError, DEPTH_MAX, INTEGER_MAX, canonical_json};

/// The number of the first entry.
pub const SEQ_FIRST: u64 = 1;
const DOMAIN: &[u8] = b"tenure chain v1\0";

/// The hash of entry `seq` with that content after `prev` (`None` for the first).
pub fn link(prev: Option<Digest>, seq: u64, bytes: &[u8]) -> Digest {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    context.update(DOMAIN);
    context.update(&seq.to_be_bytes());
    // A byte says whether a predecessor follows, so that no content imitates one.
    context.update(&[u8::from(prev.is_some())]);
    if let Some(prev) = prev {
        context.update(prev.as_bytes());
    }
    context.update(bytes);
    Digest::of_library(context.finish().as_ref())
}

/// An entry as stored.
#[derive(Debug, Clone)]
pub struct Entry<B> {
    /// Its number, from [`SEQ_FIRST`] without gaps.
    pub seq: u64,
    /// Hash of the entry before; none for the first.
    pub prev: Option<Digest>,
    /// Its own [`link`].
    pub hash: Digest,
    /// What is chained.
    pub bytes: B,
}

/// The last entry of a chain, so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Head {
    /// Its number.
    pub seq: u64,
    /// Its hash.
    pub hash: Digest,
}

impl Head {
    /// The entry that follows `head` with that content.
    pub fn append<B: AsRef<[u8]>>(head: Option<Self>, bytes: B) -> Entry<B> {
        let seq = head.map_or(SEQ_FIRST, |head| head.seq.saturating_add(1));
        let prev = head.map(|head| head.hash);
        Entry { seq, prev, hash: link(prev, seq, bytes.as_ref()), bytes }
    }
}

impl<B> Entry<B> {
    /// The chain's head once this entry is its last.
    pub const fn head(&self) -> Head {
        Head { seq: self.seq, hash: self.hash }
    }
}

/// The first thing wrong with a chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Break {
    /// Entries are missing.
    #[error("entries {missing_from} to {} are missing", found - 1)]
    Gap {
        /// The first missing number.
        missing_from: u64,
        /// The number found instead.
        found: u64,
    },
    /// The content is not what was hashed.
    #[error("entry {seq} was edited: its hash does not match its content")]
    Edit {
        /// The entry.
        seq: u64,
    },
    /// It continues another history.
    #[error("entry {seq} continues another history than the entries before it")]
    Fork {
        /// The entry.
        seq: u64,
    },
    /// A number that came before.
    #[error("entry {seq} comes twice or out of order")]
    Repeated {
        /// The entry.
        seq: u64,
    },
}

impl Break {
    /// The stable name of the finding.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Gap { .. } => "chain_gap",
            Self::Edit { .. } => "chain_edit",
            Self::Fork { .. } => "chain_fork",
            Self::Repeated { .. } => "chain_repeated",
        }
    }
}

/// Follows `entries` from `start` (`None`: from the beginning) and returns the
/// head, or the first break. An empty continuation returns `start`.
pub fn verify<B, I>(start: Option<Head>, entries: I) -> Result<Option<Head>, Break>
where
    B: AsRef<[u8]>,
    I: IntoIterator<Item = Entry<B>>,
{
    let mut head = start;
    for entry in entries {
        head = Some(follow(head, &entry)?);
    }
    Ok(head)
}

/// Checks one entry against the head before it; for chains read in pages.
pub fn follow<B: AsRef<[u8]>>(head: Option<Head>, entry: &Entry<B>) -> Result<Head, Break> {
    let seq = entry.seq;
    let expected = head.map_or(SEQ_FIRST, |head| head.seq.saturating_add(1));
    if seq > expected {
        return Err(Break::Gap { missing_from: expected, found: seq });
    }
    if seq < expected {
        // The same number with another hash is a second history, not a repetition.
        let fork = head.is_some_and(|head| head.seq == seq && head.hash != entry.hash);
        return Err(if fork { Break::Fork { seq } } else { Break::Repeated { seq } });
    }
    if entry.prev != head.map(|head| head.hash) {
        return Err(Break::Fork { seq });
    }
    if entry.hash != link(entry.prev, seq, entry.bytes.as_ref()) {
        return Err(Break::Edit { seq });
    }
    Ok(entry.head())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chain(contents: &[&str]) -> Vec<Entry<String>> {
        let mut head = None;
        contents
            .iter()
            .map(|content| {
                let entry = Head::append(head, (*content).to_owned());
                head = Some(entry.head());
                entry
            })
            .collect()
    }

    #[test]
    fn an_untouched_chain_ends_in_its_head() {
        let entries = chain(&["a", "b", "c"]);
        let head = verify(None, entries.clone()).unwrap().unwrap();
        assert_eq!(head, entries[2].head());
        let later = verify(Some(entries[0].head()), entries[1..].to_vec()).unwrap();
        assert_eq!(later, Some(head), "pages continue from a stored head");
        assert_eq!(verify::<String, _>(Some(head), []).unwrap(), Some(head));
    }

    #[test]
    fn each_way_to_tamper_has_its_name() {
        let entries = chain(&["a", "b", "c", "d"]);
        let other = chain(&["a", "x", "c", "d"]);
        let code = |entries: Vec<Entry<String>>| verify(None, entries).unwrap_err().code();

        let mut edited = entries.clone();
        edited[1].bytes = "B".into();
        assert_eq!(verify(None, edited).unwrap_err(), Break::Edit { seq: 2 });

        let mut dropped = entries.clone();
        dropped.remove(1);
        assert_eq!(verify(None, dropped).unwrap_err(), Break::Gap { missing_from: 2, found: 3 });

        let grafted = vec![entries[0].clone(), entries[1].clone(), other[2].clone()];
        assert_eq!(verify(None, grafted).unwrap_err(), Break::Fork { seq: 3 });

        let twice = vec![entries[0].clone(), entries[1].clone(), other[1].clone()];
        assert_eq!(code(twice), "chain_fork");
        let repeated = vec![entries[0].clone(), entries[1].clone(), entries[1].clone()];
        assert_eq!(code(repeated), "chain_repeated");

        let beheaded = entries[1..].to_vec();
        assert_eq!(code(beheaded), "chain_gap");
    }

    proptest! {
        #[test]
        fn no_change_to_any_entry_goes_unnoticed(
            contents in prop::collection::vec("[a-c]{0,4}", 2..12), at: usize, change in 0u8..5,
        ) {
            let texts: Vec<&str> = contents.iter().map(String::as_str).collect();
            let mut entries = chain(&texts);
            // The last entry may be cut off; only a head kept elsewhere shows that.
            let at = at % (entries.len() - 1);
            match change {
                0 => entries[at].bytes.push('!'),
                1 => { entries.remove(at); }
                2 => entries.swap(at, at + 1),
                3 => entries[at].hash = Digest::sha256(b"else"),
                _ => { let copy = entries[at].clone(); entries.insert(at, copy); }
            }
            prop_assert!(verify(None, entries).is_err());
        }
    }
}
