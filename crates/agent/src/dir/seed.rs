//! The seed of the instance's key pair, and how a new one takes its place.
//!
//! A change of key is written down in two steps, because a file and a database
//! do not commit together: the new seed first lies beside the old one
//! (`instance-seed.next`); then the database says which key it keeps a ledger
//! for; then the file takes its name. Whoever starts after a crash finds out
//! from the database how far that went.

use std::{fs, path::Path};

use aws_lc_rs::{hkdf, rand};
use tenure_license::{
    InstanceKey,
    instance::{InstancePublicKey, SEED_LEN},
};
use zeroize::Zeroizing;

use super::{DataDir, read_private, write_private};
use crate::{Error, error::Result};

const NAME: &str = "instance-seed";
const NEXT: &str = "instance-seed.next";

/// The seed and the key that follows from it.
#[derive(Debug)]
pub struct Seed {
    bytes: Zeroizing<[u8; SEED_LEN]>,
    key: InstanceKey,
}

struct Len;

impl hkdf::KeyType for Len {
    fn len(&self) -> usize {
        SEED_LEN
    }
}

impl Seed {
    fn of(bytes: Zeroizing<[u8; SEED_LEN]>) -> Self {
        let key = InstanceKey::from_seed(&bytes);
        Self { bytes, key }
    }

    fn random() -> Result<Self> {
        let mut bytes = Zeroizing::new([0; SEED_LEN]);
        rand::fill(&mut bytes[..]).map_err(|_| Error::Random)?;
        Ok(Self::of(bytes))
    }

    /// The seed in `dir`, made at the first start. `known` is the key that the
    /// database keeps a ledger for, if it does already.
    pub fn open(dir: &DataDir, known: Option<&str>) -> Result<Self> {
        let (path, next) = (dir.file(NAME), dir.file(NEXT));
        if let Some(waiting) = read(&next)? {
            // The database went over to the new key: finish. Else: it never did.
            if known == Some(&*waiting.thumbprint()) {
                fs::rename(&next, &path).map_err(Error::file(&path))?;
                return Ok(waiting);
            }
            fs::remove_file(&next).map_err(Error::file(&next))?;
        }
        match (read(&path)?, known) {
            (Some(seed), None) => Ok(seed),
            (Some(seed), Some(known)) if seed.thumbprint() == known => Ok(seed),
            (Some(_), Some(_)) => Err(Error::Damaged {
                what: "the instance's seed",
                why: "it is not the key that the database belongs to; restore both from one backup"
                    .into(),
            }),
            (None, Some(_)) => Err(Error::Damaged {
                what: "the instance's seed",
                why: format!(
                    "{} is missing; restore it, or begin anew in an empty data directory",
                    path.display()
                ),
            }),
            (None, None) => {
                let seed = Self::random()?;
                write_private(&path, &seed.bytes[..])?;
                Ok(seed)
            }
        }
    }

    /// The seed in `dir`, if there is one. Makes none.
    pub fn existing(dir: &DataDir) -> Result<Option<Self>> {
        read(&dir.file(NAME))
    }

    /// A new seed, lying beside the present one.
    pub fn prepare(dir: &DataDir) -> Result<Self> {
        let seed = Self::random()?;
        write_private(&dir.file(NEXT), &seed.bytes[..])?;
        Ok(seed)
    }

    /// Gives the prepared seed its name, after the database went over to it.
    pub fn adopt(dir: &DataDir) -> Result<()> {
        let path = dir.file(NAME);
        fs::rename(dir.file(NEXT), &path).map_err(Error::file(&path))
    }

    /// The key pair.
    pub const fn key(&self) -> &InstanceKey {
        &self.key
    }

    /// The public half.
    pub fn public(&self) -> &InstancePublicKey {
        self.key.public()
    }

    /// The name of the public half.
    pub fn thumbprint(&self) -> String {
        self.key.public().thumbprint()
    }

    /// A key for another purpose, from which the seed cannot be found.
    pub(super) fn derive(&self, purpose: &[u8]) -> Zeroizing<[u8; SEED_LEN]> {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"tenure agent v1");
        let mut out = Zeroizing::new([0; SEED_LEN]);
        salt.extract(&self.bytes[..])
            .expand(&[purpose], Len)
            .and_then(|okm| okm.fill(&mut out[..]))
            .expect("HKDF-SHA256 gives up to 8,160 bytes (RFC 5869, section 2.3)");
        out
    }
}

fn read(path: &Path) -> Result<Option<Seed>> {
    let Some(bytes) = read_private(path, SEED_LEN)? else { return Ok(None) };
    let bytes = Zeroizing::new(bytes);
    let seed: [u8; SEED_LEN] = bytes[..].try_into().map_err(|_| Error::Damaged {
        what: "the instance's seed",
        why: format!("{} has not {SEED_LEN} bytes", path.display()),
    })?;
    Ok(Some(Seed::of(Zeroizing::new(seed))))
}
