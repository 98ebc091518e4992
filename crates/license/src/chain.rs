//! Hash chains: entries that cannot be edited, dropped or reordered unnoticed.
//!
//! Owns: canonical JSON, the link between entries, and the verifier that the
//! usage ledger and the audit trail share. Refuses: numbers that JSON readers
//! disagree on. A chain shows what happened to its middle; that its *end* was
//! not cut off needs a head kept elsewhere (a receipt, a signed checkpoint).

use serde_json::Value;

use crate::Digest;

/// The number of the first entry.
pub const SEQ_FIRST: u64 = 1;
/// Deepest nesting of canonical JSON.
pub const DEPTH_MAX: usize = 32;
/// Largest integer that every JSON reader holds exactly (RFC 8259, section 6).
pub const INTEGER_MAX: u64 = (1 << 53) - 1;

const DOMAIN: &[u8] = b"tenure chain v1\0";

/// Why a value has no canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CanonicalError {
    /// A fraction or an integer beyond 2^53 - 1; write it as text.
    #[error("the number {0} has no canonical form; write it as text")]
    Number(String),
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("nested more than {DEPTH_MAX} deep")]
    Depth,
}

/// The one way to write a value (RFC 8785, restricted to exact integers): keys
/// sorted by UTF-16, no blanks, shortest escapes.
pub fn canonical_json(value: &Value) -> Result<Vec<u8>, CanonicalError> {
    let mut out = Vec::with_capacity(256);
    write_value(value, &mut out, 0)?;
    Ok(out)
}

fn write_value(value: &Value, out: &mut Vec<u8>, depth: usize) -> Result<(), CanonicalError> {
    if depth > DEPTH_MAX {
        return Err(CanonicalError::Depth);
    }
    match value {
        Value::Number(number) => {
            let exact = number.as_u64().is_some_and(|n| n <= INTEGER_MAX)
                || number.as_i64().is_some_and(|n| n.unsigned_abs() <= INTEGER_MAX);
            if !exact {
                return Err(CanonicalError::Number(number.to_string()));
            }
            out.extend_from_slice(number.to_string().as_bytes());
        }
        Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_value(item, out, depth + 1)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            // Sorted here: the map keeps insertion order in some builds.
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push(b'{');
            for (i, (key, item)) in sorted.into_iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_scalar(&Value::String(key.clone()), out);
                out.push(b':');
                write_value(item, out, depth + 1)?;
            }
            out.push(b'}');
        }
        scalar => write_scalar(scalar, out),
    }
    Ok(())
}

/// `null`, booleans and strings; serde_json escapes as RFC 8785 wants it.
fn write_scalar(value: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(value.to_string().as_bytes());
}

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
