//! The data directory: everything that the agent writes is in it.
//!
//! Owns: its permissions, the lock that keeps a second agent out, the instance's
//! seed, the local secrets, the second copy of the time floor. Refuses: a
//! directory that others can look into, or that belongs to somebody else: who
//! reads the seed is the instance.

mod floor;
mod secret;
mod seed;

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

pub use floor::{Floor, FloorFile};
pub use secret::{SECRET_LEN_MIN, Secrets};
pub use seed::Seed;

use crate::{Error, error::Result};

/// Bits of a mode that let others in.
const OTHERS: u32 = 0o077;
/// Mode of the directory.
const DIR_MODE: u32 = 0o700;
/// Mode of every file in it.
const FILE_MODE: u32 = 0o600;
const LOCK_TRIES_MAX: u32 = 3;
const LOCK_PAUSE: Duration = Duration::from_millis(20);
const LOCK: &str = "lock";
const DATABASE: &str = "agent.db";

/// A data directory that was found fit.
#[derive(Debug, Clone)]
pub struct DataDir {
    path: PathBuf,
}

/// A data directory that this process holds, until it ends.
#[derive(Debug)]
pub struct Held {
    _lock: File,
}

impl DataDir {
    /// Makes the directory where it is missing, and checks it.
    pub fn open(path: &Path) -> Result<Self> {
        let made = fs::DirBuilder::new().recursive(true).mode(DIR_MODE).create(path);
        made.map_err(Error::file(path))?;
        Self::existing(path)
    }

    /// Checks a directory that must be there.
    pub fn existing(path: &Path) -> Result<Self> {
        let found = fs::metadata(path).map_err(Error::file(path))?;
        let refused = |why: String| Err(Error::Directory { path: path.into(), why });
        if !found.is_dir() {
            return refused("is not a directory".into());
        }
        let me = nix::unistd::geteuid().as_raw();
        if found.uid() != me {
            return refused(format!(
                "belongs to user {}, and this runs as user {me}; run it as that user, or give the \
                 directory to this one with chown",
                found.uid()
            ));
        }
        let mode = found.permissions().mode() & 0o777;
        if mode & OTHERS != 0 {
            return refused(format!(
                "others can look into it (mode {mode:03o}), and it holds the instance's key; run \
                 chmod 700 on it"
            ));
        }
        Ok(Self { path: path.into() })
    }

    /// Takes the directory for this process.
    pub fn hold(&self) -> Result<Held> {
        let path = self.file(LOCK);
        let lock = private().create(true).truncate(false).open(&path).map_err(Error::file(path))?;
        for _ in 0..LOCK_TRIES_MAX {
            if lock.try_lock().is_ok() {
                return Ok(Held { _lock: lock });
            }
            // Somebody may only be looking whether it is held, which takes an instant.
            std::thread::sleep(LOCK_PAUSE);
        }
        Err(Error::InUse(self.path.clone()))
    }

    /// Whether an agent holds the directory.
    pub fn is_held(&self) -> bool {
        let lock = File::open(self.file(LOCK));
        lock.is_ok_and(|lock| lock.try_lock_shared().is_err())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The SQLite database.
    pub fn database(&self) -> PathBuf {
        self.file(DATABASE)
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(FILE_MODE);
    options
}

/// Writes a file whole or not at all, readable by its owner only, and returns
/// when the disk has it.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let next = path.with_extension("tmp");
    let wrong = |source| Error::File { path: path.into(), source };
    let write = || {
        let mut file = private().create(true).truncate(true).open(&next)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&next, path)?;
        sync_parent(path)
    };
    write().map_err(wrong)
}

/// A file's name is only durable once its directory is.
fn sync_parent(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => File::open(dir)?.sync_all(),
        _ => Ok(()),
    }
}

/// A private file's bytes; `None` when there is none.
///
/// # Errors
/// When others can read it: it may have been read.
pub(crate) fn read_private(path: &Path, len_max: usize) -> Result<Option<Vec<u8>>> {
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::File { path: path.into(), source }),
    };
    if found.permissions().mode() & OTHERS != 0 {
        let why = "others can read it; run chmod 600 on it, and consider it known to them".into();
        return Err(Error::Directory { path: path.into(), why });
    }
    if found.len() > len_max as u64 {
        let why = format!("has {} bytes, at most {len_max} are expected", found.len());
        return Err(Error::Directory { path: path.into(), why });
    }
    fs::read(path).map(Some).map_err(Error::file(path))
}
