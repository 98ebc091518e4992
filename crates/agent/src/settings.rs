//! What an agent is told at its start.

use std::{net::SocketAddr, path::PathBuf};

use tenure_core::DeploymentId;

/// Where the local API listens when nobody says.
pub const LISTEN_DEFAULT: &str = "127.0.0.1:8766";
/// Where the license service is when nobody says: nowhere.
pub const SPOOL_MAX_BYTES_DEFAULT: u64 = 1024 * 1024 * 1024;
/// Smallest spool: below it the database itself does not fit.
pub const SPOOL_MAX_BYTES_MIN: u64 = 1024 * 1024;
/// For how long counted usage is kept, in days.
pub const KEEP_DAYS_DEFAULT: u32 = 35;

/// Everything that an agent is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Everything that it writes is in here.
    pub data_dir: PathBuf,
    /// The second copy of the time floor; `floor` in the data directory when left out.
    pub floor_file: Option<PathBuf>,
    /// The license service, as `https://HOST`; none: no network is used at all.
    pub server: Option<String>,
    /// Certificates of authorities that are believed beside the system's, as PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// The product's published key set, as JSON.
    pub keys: String,
    /// The product; as the key set says when left out.
    pub product: Option<String>,
    /// Version of the product, for `/health` and the vendor.
    pub version: Option<String>,
    /// For people: the host or cluster.
    pub name: Option<String>,
    /// The customer, where it is known.
    pub customer_id: Option<String>,
    /// Where the product runs.
    pub deployment_id: Option<DeploymentId>,
    /// The UID of the `kube-system` namespace.
    pub k8s_cluster_uid: Option<String>,
    /// Largest database, in bytes.
    pub spool_max_bytes: u64,
    /// For how long counted usage is kept, in days.
    pub keep_days: u32,
    /// Where the local API listens.
    pub listen: SocketAddr,
    /// Host names beside the loopback's that the local API answers to.
    pub allowed_hosts: Vec<String>,
    /// The product's secret of the local API; made when left out.
    pub local_secret: Option<String>,
}

impl Settings {
    /// The defaults, with a data directory and a key set.
    pub fn new(data_dir: impl Into<PathBuf>, keys: impl Into<String>) -> Self {
        Self {
            data_dir: data_dir.into(),
            floor_file: None,
            server: None,
            ca_pem: None,
            keys: keys.into(),
            product: None,
            version: None,
            name: None,
            customer_id: None,
            deployment_id: None,
            k8s_cluster_uid: None,
            spool_max_bytes: SPOOL_MAX_BYTES_DEFAULT,
            keep_days: KEEP_DAYS_DEFAULT,
            listen: SocketAddr::from(([127, 0, 0, 1], 8766)),
            allowed_hosts: Vec::new(),
            local_secret: None,
        }
    }
}
