//! A seeded mutator: the same seed changes the same texts in the same way.

/// Bytes that matter to the formats: both base64 alphabets, separators, blanks.
const INTERESTING: &[u8] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \t\r\n\0\"\\{}[]:,";
/// Most changes to one text.
const CHANGES_MAX: u64 = 3;
/// Longest stretch that is copied, deleted or doubled at once.
const STRETCH_MAX: u64 = 48;

pub(crate) struct Mutator(u64);

impl Mutator {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64, which is enough to choose places.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`; zero when that is zero.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap_or(0)
    }

    fn stretch(&mut self) -> usize {
        1 + self.below(STRETCH_MAX as usize)
    }

    fn interesting(&mut self) -> u8 {
        INTERESTING[self.below(INTERESTING.len())]
    }

    /// `text` with one to three changes; some of them bring in parts of `other`.
    pub(crate) fn mutate(&mut self, text: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = text.to_vec();
        for _ in 0..=self.next() % CHANGES_MAX {
            self.change(&mut bytes, other);
        }
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        if bytes.is_empty() {
            return bytes.push(self.interesting());
        }
        let len = bytes.len();
        let (at, to) = (self.below(len), self.below(len));
        let end = (at + self.stretch()).min(len);
        match self.below(12) {
            0 => bytes[at] ^= 1 << self.below(8),
            1 => bytes[at] = self.interesting(),
            2 => bytes[at] = self.next() as u8,
            3 => {
                let byte = self.interesting();
                bytes.insert(at, byte);
            }
            4 => drop(bytes.remove(at)),
            5 => drop(bytes.drain(at..end)),
            6 => bytes.swap(at, to),
            7 => bytes.truncate(at),
            8 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(to..to, copy);
            }
            9 => bytes[at..end].make_ascii_uppercase(),
            // The rest of another text, from the same place or from any.
            10 => {
                bytes.truncate(at);
                bytes.extend_from_slice(other.get(at..).unwrap_or_default());
            }
            _ => {
                let from = self.below(other.len());
                let until = (from + self.stretch()).min(other.len());
                bytes.splice(at..end, other[from..until].iter().copied());
            }
        }
    }
}
