//! The two secrets of the local API.
//!
//! Other users of the machine can reach 127.0.0.1, and so can a web page in a
//! browser on it; the secret shows who asks. The product gets one, to ask and
//! to count; the command line has another, to install and to give back.

use aws_lc_rs::{constant_time::verify_slices_are_equal, rand};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::{DataDir, read_private, write_private};
use crate::{Error, error::Result};

const PRODUCT: &str = "local-secret";
const ADMIN: &str = "admin-secret";
const BYTES: usize = 32;
/// Shortest secret that an operator may choose, in bytes.
pub const SECRET_LEN_MIN: usize = 16;
const SECRET_LEN_MAX: usize = 512;

/// Who may ask what.
#[derive(Clone)]
pub struct Secrets {
    product: Zeroizing<String>,
    admin: Zeroizing<String>,
}

impl Secrets {
    /// The secrets in `dir`, made where they are missing. The product's may be
    /// given instead (in a pod, from a secret that both containers mount).
    pub fn open(dir: &DataDir, product: Option<String>) -> Result<Self> {
        let product = match product {
            Some(text) if text.len() < SECRET_LEN_MIN || text.len() > SECRET_LEN_MAX => {
                return Err(Error::Setting(format!(
                    "the local secret has {SECRET_LEN_MIN} to {SECRET_LEN_MAX} bytes"
                )));
            }
            Some(text) => Zeroizing::new(text),
            None => read_or_make(dir, PRODUCT)?,
        };
        Ok(Self { product, admin: read_or_make(dir, ADMIN)? })
    }

    /// Whether the product may ask with that.
    pub fn opens(&self, presented: &str) -> bool {
        same(&self.product, presented) || self.opens_admin(presented)
    }

    /// Whether the command line may act with that.
    pub fn opens_admin(&self, presented: &str) -> bool {
        same(&self.admin, presented)
    }

    /// What the product presents.
    pub fn product(&self) -> &str {
        &self.product
    }

    /// What the command line presents.
    pub fn admin(&self) -> &str {
        &self.admin
    }
}

fn same(secret: &str, presented: &str) -> bool {
    verify_slices_are_equal(secret.as_bytes(), presented.as_bytes()).is_ok()
}

fn read_or_make(dir: &DataDir, name: &str) -> Result<Zeroizing<String>> {
    let path = dir.file(name);
    if let Some(bytes) = read_private(&path, SECRET_LEN_MAX)? {
        let text = String::from_utf8(bytes).unwrap_or_default().trim_ascii().to_owned();
        if text.len() < SECRET_LEN_MIN {
            let why = format!("{} has fewer than {SECRET_LEN_MIN} characters", path.display());
            return Err(Error::Damaged { what: "the local secret", why });
        }
        return Ok(Zeroizing::new(text));
    }
    let mut bytes = Zeroizing::new([0; BYTES]);
    rand::fill(&mut bytes[..]).map_err(|_| Error::Random)?;
    let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(&bytes[..]));
    write_private(&path, text.as_bytes())?;
    Ok(text)
}
