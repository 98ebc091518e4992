//! What an operator decides, read once at start.

use std::{net::SocketAddr, path::PathBuf};

use crate::products::signing::pkcs11;

/// Settings of a control plane. The environment variable of each is its name
/// in capitals behind `TENURE_`.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The first vendor credential; made and shown once when absent.
    pub admin_token: Option<String>,
    /// Product files to load at start.
    pub products_dir: Option<PathBuf>,
    /// Whether the clock may be moved, forward only. Marks the database for ever.
    pub test_clock: bool,
    /// Where people reach this server, for links in environments and licenses.
    pub public_url: String,
    /// The security module in which new signing keys are made; in the database when absent.
    pub pkcs11: Option<pkcs11::Settings>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8765)),
            admin_token: None,
            products_dir: None,
            test_clock: false,
            public_url: "http://127.0.0.1:8765".to_owned(),
            pkcs11: None,
        }
    }
}
