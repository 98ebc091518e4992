//! What every command is told: options, or environment variables of their names.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::Args;
use tenure_core::DeploymentId;

use crate::{
    Error, Settings,
    error::Result,
    settings::{KEEP_DAYS_DEFAULT, LISTEN_DEFAULT, SPOOL_MAX_BYTES_DEFAULT},
};

/// Where the data is when nobody says.
const DATA_DIR_DEFAULT: &str = "/var/lib/tenure-agent";
/// Largest file of authorities, in bytes.
const CA_FILE_LEN_MAX: u64 = 1024 * 1024;
/// The key set that a vendor builds in.
const EMBEDDED_KEYS: Option<&str> = option_env!("TENURE_AGENT_EMBEDDED_KEYS");

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Options {
    /// Everything that the agent writes is in here; mode 0700
    #[arg(long, global = true, env = "TENURE_AGENT_DATA_DIR", default_value = DATA_DIR_DEFAULT)]
    pub data_dir: PathBuf,
    /// The product's published key set (JSON); built in by some vendors
    #[arg(long, global = true, env = "TENURE_AGENT_KEYS", value_name = "FILE")]
    pub keys: Option<PathBuf>,
    /// Id of the product, where the key set does not say
    #[arg(long, global = true, env = "TENURE_AGENT_PRODUCT")]
    pub product: Option<String>,
    /// The license service, https://HOST; without it no network is used
    #[arg(long, global = true, env = "TENURE_AGENT_SERVER", value_name = "URL")]
    pub server: Option<String>,
    /// Believe these authorities beside the system's (PEM)
    #[arg(long, global = true, env = "TENURE_AGENT_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// The second copy of the time floor; best on another volume
    #[arg(long, global = true, env = "TENURE_AGENT_FLOOR_FILE", value_name = "FILE")]
    pub floor_file: Option<PathBuf>,
    /// Largest database, in bytes; beyond it usage is refused, not lost
    #[arg(long, global = true, env = "TENURE_AGENT_SPOOL_MAX_BYTES", default_value_t = SPOOL_MAX_BYTES_DEFAULT)]
    pub spool_max_bytes: u64,
    /// For how many days counted usage is kept as evidence
    #[arg(long, global = true, env = "TENURE_AGENT_KEEP_DAYS", default_value_t = KEEP_DAYS_DEFAULT)]
    pub keep_days: u32,
    /// Where the local API listens
    #[arg(long, global = true, env = "TENURE_AGENT_LISTEN", default_value = LISTEN_DEFAULT)]
    pub listen: SocketAddr,
    /// Answer to this host name too (repeat, or separate by commas)
    #[arg(long, global = true, env = "TENURE_AGENT_ALLOW_HOST", value_delimiter = ',')]
    pub allow_host: Vec<String>,
    /// The product's secret of the local API; made when left out
    #[arg(long, global = true, env = "TENURE_AGENT_LOCAL_SECRET", hide_env_values = true)]
    pub local_secret: Option<String>,
    /// The license key, a license token, or the text of a .lic file
    #[arg(long, global = true, env = "LICENSE_KEY", hide_env_values = true)]
    pub license_key: Option<String>,
    /// Name of this place, for people; the host's when left out
    #[arg(long, global = true, env = "TENURE_AGENT_NAME")]
    pub name: Option<String>,
    /// The customer, where it is known
    #[arg(long, global = true, env = "TENURE_AGENT_CUSTOMER_ID")]
    pub customer_id: Option<String>,
    /// Id of the deployment at the vendor's
    #[arg(long, global = true, env = "TENURE_AGENT_DEPLOYMENT_ID")]
    pub deployment_id: Option<DeploymentId>,
    /// UID of the kube-system namespace
    #[arg(long, global = true, env = "TENURE_AGENT_K8S_CLUSTER_UID")]
    pub k8s_cluster_uid: Option<String>,
    /// Version of the product, for /health and the vendor
    #[arg(long, global = true, env = "TENURE_AGENT_PRODUCT_VERSION")]
    pub product_version: Option<String>,
    /// Answer as JSON
    #[arg(long, global = true)]
    pub json: bool,
}

impl Options {
    /// The settings that they say. `remembered` is the key set of the last start.
    pub fn settings(&self, remembered: Option<(String, String)>) -> Result<Settings> {
        let (keys, product) = self.keys(remembered)?;
        let ca_pem = self.ca_file.as_deref().map(|path| read(path, CA_FILE_LEN_MAX)).transpose()?;
        let host = || nix::unistd::gethostname().ok()?.into_string().ok();
        let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        Ok(Settings {
            floor_file: self.floor_file.clone(),
            server: given(&self.server),
            ca_pem,
            product,
            version: given(&self.product_version),
            name: given(&self.name).or_else(host),
            customer_id: given(&self.customer_id),
            deployment_id: self.deployment_id,
            k8s_cluster_uid: given(&self.k8s_cluster_uid),
            spool_max_bytes: self.spool_max_bytes,
            keep_days: self.keep_days,
            listen: self.listen,
            allowed_hosts: self.allow_host.iter().map(|host| host.to_ascii_lowercase()).collect(),
            local_secret: given(&self.local_secret),
            ..Settings::new(&self.data_dir, keys)
        })
    }

    fn keys(&self, remembered: Option<(String, String)>) -> Result<(String, Option<String>)> {
        if let Some(path) = &self.keys {
            let bytes = read(path, tenure_license::keys::JWKS_LEN_MAX as u64)?;
            let text = String::from_utf8(bytes).map_err(|_| {
                Error::Setting(format!("{} is not a key set: it is no text", path.display()))
            })?;
            return Ok((text, self.product.clone()));
        }
        if let Some(keys) = EMBEDDED_KEYS {
            return Ok((keys.to_owned(), self.product.clone()));
        }
        match remembered {
            Some((keys, product)) => Ok((keys, Some(product))),
            None => Err(Error::Setting(
                "whose licenses are to be believed? Give the product's published key set with --keys \
                 FILE (the vendor publishes it, and it lies in the download)"
                    .into(),
            )),
        }
    }
}

/// A file's bytes, up to a bound.
pub(super) fn read(path: &Path, len_max: u64) -> Result<Vec<u8>> {
    let found = fs::metadata(path).map_err(Error::file(path))?;
    if found.len() > len_max {
        return Err(Error::Setting(format!(
            "{} has {} bytes; at most {len_max} are read",
            path.display(),
            found.len()
        )));
    }
    fs::read(path).map_err(Error::file(path))
}
