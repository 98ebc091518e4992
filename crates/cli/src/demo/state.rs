//! What a demonstration remembers between two starts.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

const FILE: &str = "demo.json";

/// Written after every step, so that the next start goes on there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct State {
    /// The vendor credential of this demonstration.
    pub token: String,
    /// When it was first started, to the hour.
    pub began: Timestamp,
    /// Which usage it sends.
    pub seed: u64,
    /// Whether it sends less of it.
    pub quick: bool,
    /// The API key of each customer that reports usage.
    pub keys: BTreeMap<String, String>,
    /// Hours of usage that each customer has sent.
    pub sent_hours: BTreeMap<String, i64>,
    /// The last morning of its year that was lived through; none before the first.
    pub lived: Option<Timestamp>,
    /// Whether its clock has come to the present. An earlier version had no year, and no such field:
    /// what it left cannot be gone on with.
    pub arrived: bool,
    #[serde(skip)]
    path: PathBuf,
}

impl State {
    /// What an earlier start left, if there was one.
    pub(crate) fn load(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file(&path, &error)),
        };
        let state: Self = serde_json::from_str(&text).map_err(|error| {
            Error::new(format!("{}: {error}", path.display()))
                .hint("begin anew with `tenure demo --fresh`")
        })?;
        Ok(Some(Self { path, ..state }))
    }

    /// A new demonstration.
    pub(crate) fn new(dir: &Path, began: Timestamp, seed: u64, quick: bool) -> Result<Self> {
        let secret = tenure_server::vault::random::<32>()?;
        let state = Self {
            token: format!("tenv_{}", hex::encode(*secret)),
            began,
            seed,
            quick,
            keys: BTreeMap::new(),
            sent_hours: BTreeMap::new(),
            lived: None,
            arrived: false,
            path: dir.join(FILE),
        };
        state.save()?;
        Ok(state)
    }

    /// Replaces the file in one step; only its owner may read the secrets in it.
    pub(crate) fn save(&self) -> Result {
        let next = self.path.with_extension("json.new");
        let failed = |error: io::Error| Error::file(&next, &error);
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&next).map_err(failed)?;
        file.write_all(&serde_json::to_vec_pretty(self)?).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        fs::rename(&next, &self.path).map_err(|error| Error::file(&self.path, &error))
    }
}

/// Removes what an earlier demonstration left; never a directory of something else.
pub(crate) fn wipe(dir: &Path) -> Result {
    let mut entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::file(dir, &error)),
    };
    let empty = entries.next().is_none();
    if !empty && !dir.join(FILE).exists() {
        return Err(Error::new(format!("{} holds no demonstration", dir.display()))
            .hint("choose another directory with --data-dir; nothing was removed"));
    }
    fs::remove_dir_all(dir).map_err(|error| Error::file(dir, &error))
}
