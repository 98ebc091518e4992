//! `tenure product key`: the keys that sign a product's licenses.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{
    client::Client,
    common::{Common, moment},
    error::{Error, Result},
    output,
};

/// Largest key file that is read, in bytes.
const KEY_FILE_BYTES_MAX: u64 = 64 * 1024;

/// The keys that sign a product's licenses
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenure product key list incidentfox
  tenure product key rotate incidentfox --activate-at 2027-01-01
  tenure product key export incidentfox --output incidentfox.key")]
pub(crate) struct SigningKey {
    #[command(subcommand)]
    command: KeyCommand,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// List a product's signing keys: which signs, where each is kept
    #[command(after_help = "Examples:
  tenure product key list incidentfox")]
    List {
        /// Id of the product
        product: String,
    },
    /// Make a new signing key; the old one stays published
    #[command(after_help = "Examples:
  tenure product key rotate incidentfox --activate-at 2027-01-01
  tenure product key rotate incidentfox                          signs at once

With --activate-at the key is published now and signs later: release programs that embed
their keys in between. Without it, only programs that fetch the keys know it in time.")]
    Rotate {
        /// Id of the product
        product: String,
        /// From when it signs [default: now]
        #[arg(long, value_name = "MOMENT", value_parser = moment)]
        activate_at: Option<Timestamp>,
    },
    /// Stop publishing a key: what it signed verifies no more
    #[command(after_help = "Examples:
  tenure product key withdraw incidentfox sgk_0193...
  tenure product key withdraw incidentfox sgk_0193... --force   a stolen key

Refused while licenses in force were signed by it: renew them first.")]
    Withdraw {
        /// Id of the product
        product: String,
        /// Id of the key
        key: String,
        /// Although licenses in force live by it; lists those to renew
        #[arg(long)]
        force: bool,
    },
    /// Write a signing key to an encrypted file: backup, escrow, another installation
    #[command(after_help = "Examples:
  tenure product key export incidentfox --output incidentfox.key
  tenure product key export incidentfox --output incidentfox.key --passphrase-file pass.txt

The server encrypts the key under the passphrase before it leaves it. Without the
passphrase nobody reads the file. Keys in a security module are not given out.")]
    Export {
        /// Id of the product
        product: String,
        /// Id of the key [default: the one that signs]
        #[arg(long, value_name = "ID")]
        key: Option<String>,
        /// Where to write it
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// File whose first line is the passphrase [default: asked for]
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Take a signing key in from an encrypted file
    #[command(after_help = "Examples:
  tenure product key import incidentfox incidentfox.key
  tenure product key import incidentfox incidentfox.key --activate   sign with it from now on

Without --activate it is published, and what it signed elsewhere verifies.")]
    Import {
        /// Id of the product
        product: String,
        /// The file
        file: PathBuf,
        /// Sign with it from now on
        #[arg(long)]
        activate: bool,
        /// File whose first line is the passphrase [default: asked for]
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
}

const COLUMNS: [output::Field; 7] = [
    ("id", "/id"),
    ("status", "/status"),
    ("kept", "/backend"),
    ("signs from", "/signs_from"),
    ("made", "/created_at"),
    ("withdrawn", "/withdrawn_at"),
    ("kid", "/kid"),
];
const FIELDS: [output::Field; 7] = [
    ("Id", "/id"),
    ("Kid", "/kid"),
    ("Status", "/status"),
    ("Kept", "/backend"),
    ("Label in the module", "/module_label"),
    ("Signs from", "/signs_from"),
    ("Made", "/created_at"),
];
const LICENSES: [output::Field; 4] = [
    ("license", "/license"),
    ("tenant", "/tenant"),
    ("revision", "/revision"),
    ("expires", "/expires_at"),
];

impl SigningKey {
    /// Does it.
    pub(crate) async fn run(self) -> Result {
        let client = Client::new(&self.common)?;
        let json = self.common.json;
        match self.command {
            KeyCommand::List { product } => {
                let keys = client.get(&["products", &product, "signing-keys"]).await?;
                output::list(json, &keys, &COLUMNS, "no signing keys: it sells no licensed model");
            }
            KeyCommand::Rotate { product, activate_at } => {
                let body = json!({ "activate_at": activate_at });
                let key = client.post(&["products", &product, "signing-keys"], &body).await?;
                output::show(json, &key, &FIELDS);
            }
            KeyCommand::Withdraw { product, key, force } => {
                let path = ["products", &product, "signing-keys", &key, "withdraw"];
                let done = client.post(&path, &json!({ "force": force })).await?;
                withdrawn(&done, json);
            }
            KeyCommand::Export { product, key, output, passphrase_file } => {
                let passphrase = passphrase(passphrase_file.as_deref(), true)?;
                let body = json!({ "passphrase": &*passphrase, "key": key });
                let path = ["products", &product, "signing-keys", "export"];
                let file = client.post(&path, &body).await?;
                written(&file, &output)?;
            }
            KeyCommand::Import { product, file, activate, passphrase_file } => {
                let file = read(&file)?;
                let passphrase = passphrase(passphrase_file.as_deref(), false)?;
                let body = json!({
                    "file": file, "passphrase": &*passphrase, "activate": activate,
                });
                let path = ["products", &product, "signing-keys", "import"];
                let key = client.post(&path, &body).await?;
                output::show(json, &key, &FIELDS);
            }
        }
        Ok(())
    }
}

fn withdrawn(done: &Value, json: bool) {
    if json {
        return output::json(done);
    }
    let fields = [("Id", "/key/id"), ("Withdrawn", "/key/withdrawn_at")];
    output::show(false, done, &fields);
    let count = done["licenses_to_renew"].as_i64().unwrap_or(0);
    if count > 0 {
        output::note(&format!(
            "\nThese do not verify any more; renew them now ({count} in all):\n"
        ));
        output::list(false, &json!({ "items": done["licenses"] }), &LICENSES, "");
    }
}

fn written(file: &Value, output: &Path) -> Result {
    let text = serde_json::to_string_pretty(file)?;
    output::write_private(output, format!("{text}\n").as_bytes())?;
    let (kid, path) = (output::text_at(file, "/kid"), output.display());
    output::note(&format!("{path}: key {kid}; it opens with the passphrase alone"));
    Ok(())
}

fn read(path: &Path) -> Result<Value> {
    let size = std::fs::metadata(path).map_err(|error| Error::file(path, &error))?.len();
    let no_key = || Error::new(format!("{}: no file of `product key export`", path.display()));
    if size > KEY_FILE_BYTES_MAX {
        return Err(no_key());
    }
    let text = std::fs::read_to_string(path).map_err(|error| Error::file(path, &error))?;
    serde_json::from_str(&text).map_err(|_| no_key())
}

/// From the file, or asked for: twice where a mistake would cost the key.
fn passphrase(file: Option<&Path>, twice: bool) -> Result<Zeroizing<String>> {
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map_err(|error| Error::file(path, &error))?;
        let text = Zeroizing::new(text);
        let first = text.lines().next().unwrap_or_default();
        return Ok(Zeroizing::new(first.to_owned()));
    }
    let prompt = dialoguer::Password::new().with_prompt("Passphrase");
    let prompt = match twice {
        true => prompt.with_confirmation("The same again", "They differ"),
        false => prompt,
    };
    let asked = prompt.interact().map_err(|error| {
        Error::new(format!("the passphrase cannot be asked for: {error}"))
            .hint("give it in a file with --passphrase-file")
    })?;
    Ok(Zeroizing::new(asked))
}
