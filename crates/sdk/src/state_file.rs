//! What outlives a restart: the time floor, and the last license. Nothing in it is believed without
//! its signature, and a file that cannot be read is as good as none.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// Largest state file that is read, in bytes.
const LEN_MAX: u64 = 64 * 1024;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Whole seconds since 1970.
    #[serde(default)]
    pub(crate) floor: i64,
    #[serde(default)]
    pub(crate) license: Option<String>,
}

#[derive(Debug)]
pub(crate) struct StateFile(PathBuf);

impl StateFile {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn read(&self) -> Kept {
        let read = || -> io::Result<Kept> {
            let mut text = String::new();
            fs::File::open(&self.0)?.take(LEN_MAX).read_to_string(&mut text)?;
            serde_json::from_str(&text).map_err(io::Error::other)
        };
        read().unwrap_or_default()
    }

    /// Replaces the file as a whole; a failure is logged.
    pub(crate) fn write(&self, kept: &Kept) {
        let mut beside = self.0.clone().into_os_string();
        beside.push(".new");
        if let Err(error) = replace(Path::new(&beside), &self.0, kept) {
            tracing::warn!(%error, path = %self.0.display(), "the license state cannot be kept");
        }
    }
}

fn replace(beside: &Path, path: &Path, kept: &Kept) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(beside)?;
    file.write_all(&serde_json::to_vec(kept)?)?;
    file.sync_all()?;
    fs::rename(beside, path)
}
