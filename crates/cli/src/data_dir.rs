//! Where a server keeps its files when nobody says.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

/// `/var/lib/tenure` for root, else the user's own data directory.
pub(crate) fn default() -> PathBuf {
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from("/var/lib/tenure");
    }
    let xdg = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let home = || std::env::home_dir().unwrap_or_else(|| PathBuf::from("/")).join(".local/share");
    xdg.unwrap_or_else(home).join("tenure")
}

/// A data directory that one process holds: two would fight over its database.
pub(crate) struct Held {
    _lock: fs::File,
}

/// Makes the directory and takes it for this process, until it ends.
pub(crate) fn hold(dir: &Path, name: &str) -> Result<Held> {
    fs::create_dir_all(dir).map_err(|error| {
        Error::file(dir, &error).hint("choose a data directory you may write to with --data-dir")
    })?;
    let path = dir.join(name);
    let lock = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| Error::file(&path, &error))?;
    lock.try_lock().map_err(|_| {
        Error::new(format!("{} is in use by another tenure process", dir.display()))
            .hint("stop that process, or choose another directory with --data-dir")
    })?;
    Ok(Held { _lock: lock })
}
