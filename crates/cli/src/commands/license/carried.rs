//! Files that are carried between installations without a network and the
//! vendor: `tenure license answer`, `report` and `revocations`.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;
use tenure_license::file::FileKind;

use super::Which;
use crate::{
    client::Client,
    common::{Common, Paging},
    error::{Error, Result},
    output::{self, Field},
};

/// Largest carried file, in bytes; servers take no larger one.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

const TOLD: [Field; 5] = [
    ("File", "/kind"),
    ("Tenant", "/tenant_id"),
    ("License", "/license_id"),
    ("Instance", "/instance_id"),
    ("Answer", "/summary"),
];
const REPORTS: [Field; 8] = [
    ("report", "/id"),
    ("imported", "/imported_at"),
    ("instance", "/instance_id"),
    ("origin", "/origin"),
    ("through", "/through_seq"),
    ("counted", "/accepted"),
    ("before", "/duplicates"),
    ("not counted", "/rejected"),
];

/// Answer a file from an installation without a network: request, return or usage report
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenure license answer request.txt -o acme.lic
  tenure license answer report.zst -o receipt.txt
  tenure license answer return.txt

A request is answered with a license for that instance alone, a usage report with a receipt. The
same file again gets the same answer and counts nothing twice.")]
pub(super) struct Answer {
    /// The file, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where to write the answering file [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

impl Answer {
    pub(super) async fn run(self) -> Result {
        let bytes = read(&self.file)?;
        exchange(&self.common, bytes, self.output.as_deref()).await
    }
}

/// Import usage reports and list them
#[derive(Debug, Args)]
pub(super) struct Report {
    #[command(subcommand)]
    command: ReportCommand,
}

#[derive(Debug, Subcommand)]
enum ReportCommand {
    /// Import a usage report that was carried; again it counts nothing twice
    #[command(after_help = "Examples:
  tenure license report import report.zst -o receipt.txt")]
    Import {
        /// The report, plain or zstd, or - for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Where to write the receipt [default: standard output]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        common: Common,
    },
    /// List the reports of a license: what was counted, what could not be
    #[command(after_help = "Examples:
  tenure license report list acme-corp lic_0193...
  tenure license report list acme-corp lic_0193... --json | jq '.items[].findings'")]
    List {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        paging: Paging,
    },
}

impl Report {
    pub(super) async fn run(self) -> Result {
        match self.command {
            ReportCommand::Import { file, output, common } => {
                let bytes = read(&file)?;
                // A request would be answered too, and give a license away.
                if let Some(kind) = std::str::from_utf8(&bytes).ok().and_then(FileKind::of) {
                    let path = file.display();
                    let wrong = format!("{path} is a {}, no usage report", kind.name());
                    let hint = format!("answer it: tenure license answer {path}");
                    return Err(Error::new(wrong).hint(hint));
                }
                exchange(&common, bytes, output.as_deref()).await
            }
            ReportCommand::List { which, paging } => {
                let client = Client::new(&which.common)?;
                let found = client.find(&which.path("reports"), &paging.query()).await?;
                output::list(which.common.json, &found, &REPORTS, "no reports");
                Ok(())
            }
        }
    }
}

/// Write the signed list of a product's licenses that were taken back
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenure license revocations incidentfox -o revocations.txt

Needs no credential. Carry it where there is no network.")]
pub(super) struct Revocations {
    /// Id of the product
    product: String,
    /// Where to write it [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

impl Revocations {
    pub(super) async fn run(self) -> Result {
        let client = Client::new(&self.common)?;
        let path = [".well-known", "tenure", &self.product, "revocations"];
        let text = client.send(client.request(Method::GET, &path)).await?.text().await?;
        write(&text, self.output.as_deref())
    }
}

/// The bytes of a carried file.
fn read(path: &Path) -> Result<Vec<u8>> {
    let failed = |error| Error::file(path, &error);
    let mut bytes = Vec::new();
    let most = FILE_BYTES_MAX + 1;
    if path == Path::new("-") {
        std::io::stdin().take(most).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(most).read_to_end(&mut bytes).map_err(failed)?;
    }
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let text = format!("{} is larger than {FILE_BYTES_MAX} bytes", path.display());
        return Err(Error::new(text).hint("a report is carried packed; export it in parts"));
    }
    Ok(bytes)
}

async fn exchange(common: &Common, bytes: Vec<u8>, to: Option<&Path>) -> Result {
    let client = Client::new(common)?;
    let request = client.admin(Method::POST, &["license-files"]);
    let request = request.header("content-type", "application/octet-stream").body(bytes);
    let answer = client.json(request).await?;
    let file = answer["file"].as_str();
    if common.json {
        output::json(&answer);
        return match (file, to) {
            (Some(file), Some(to)) => write(file, Some(to)),
            _ => Ok(()),
        };
    }
    tell(&answer, file.is_none());
    file.map_or(Ok(()), |file| write(file, to))
}

/// What happened: beside the answering file, or as the answer where there is none.
fn tell(answer: &Value, alone: bool) {
    if alone {
        output::show(false, answer, &TOLD);
    } else {
        output::note(&output::text_at(answer, "/summary"));
    }
    for warning in answer["warnings"].as_array().into_iter().flatten() {
        output::note(&format!("warning: {}", output::text(warning)));
    }
}

fn write(text: &str, to: Option<&Path>) -> Result {
    match to {
        None => output::line(text.trim_end()),
        Some(path) => {
            output::write_private(path, text.as_bytes())?;
            output::note(&format!("wrote {}", path.display()));
        }
    }
    Ok(())
}
