//! The second copy of the time floor, apart from the database.
//!
//! Both copies are read and the later one wins, so restoring an old database
//! alone gains nothing. The file is authenticated with a key that follows from
//! the instance's seed: another instance's floor, or one that was edited, is
//! not believed and is reported.

use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;
use jiff::Timestamp;

use super::{Seed, read_private, write_private};
use crate::error::Result;

const PURPOSE: &[u8] = b"time floor";
/// A line with a second and a digest.
const FILE_LEN_MAX: usize = 128;

/// What the copy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Floor {
    /// A moment that has passed.
    At(Timestamp),
    /// There is no file.
    Missing,
    /// The file is not one that this instance wrote.
    Tampered,
}

/// Where the copy is.
#[derive(Debug)]
pub struct FloorFile {
    path: PathBuf,
    key: hmac::Key,
}

impl FloorFile {
    /// The copy at `path`, of the instance with that seed.
    pub fn new(path: PathBuf, seed: &Seed) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &seed.derive(PURPOSE)[..]);
        Self { path, key }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says. A file that cannot be read counts as tampered with.
    pub fn read(&self) -> Floor {
        match read_private(&self.path, FILE_LEN_MAX) {
            Ok(None) => Floor::Missing,
            Ok(Some(bytes)) => self.parse(&bytes).map_or(Floor::Tampered, Floor::At),
            Err(_) => Floor::Tampered,
        }
    }

    /// Writes it down, durably.
    pub fn write(&self, at: Timestamp) -> Result<()> {
        let second = at.as_second().to_string();
        let tag = hmac::sign(&self.key, second.as_bytes());
        write_private(&self.path, format!("{second} {}\n", hex::encode(tag)).as_bytes())
    }

    fn parse(&self, bytes: &[u8]) -> Option<Timestamp> {
        let text = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
        let (second, tag) = text.split_once(' ')?;
        hmac::verify(&self.key, second.as_bytes(), &hex::decode(tag).ok()?).ok()?;
        Timestamp::from_second(second.parse().ok()?).ok()
    }
}
