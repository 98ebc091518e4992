//! What an operator decides, read once at start.

use std::{net::SocketAddr, path::PathBuf};

use jiff::Timestamp;

use crate::products::signing::pkcs11;

/// License tokens remembered as verified, when nobody says otherwise.
pub const VERIFIED_TOKENS_MAX: usize = 10_000;

/// Hours before a draft is issued, when nobody says otherwise.
pub const INVOICE_GRACE_HOURS: u32 = 24;

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
    /// Where the test clock of a new database begins; now when absent. A database that is there
    /// already keeps its own clock.
    pub test_clock_start: Option<Timestamp>,
    /// Where people reach this server, for links in environments and licenses.
    pub public_url: String,
    /// License tokens remembered as verified, at most; 0 verifies each one anew.
    pub verified_tokens_max: usize,
    /// Whether this process works on the queue: closes periods, issues invoices.
    pub jobs: bool,
    /// Hours between the end of a period and the invoice, for usage that comes late and
    /// for looking at the draft.
    pub invoice_grace_hours: u32,
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
            test_clock_start: None,
            public_url: "http://127.0.0.1:8765".to_owned(),
            verified_tokens_max: VERIFIED_TOKENS_MAX,
            jobs: false,
            invoice_grace_hours: INVOICE_GRACE_HOURS,
            pkcs11: None,
        }
    }
}
