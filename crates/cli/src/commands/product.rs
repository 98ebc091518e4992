//! `tenure product`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::{Method, header};
use serde_json::{Value, json};
use tenure_catalog::{Diagnostic, ProductFile, Severity};

use super::signing_key::SigningKey;
use crate::{
    client,
    common::Common,
    error::{Error, Result},
    output,
};

/// Check, show and load product files
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenure product check products/*/product.toml
  tenure product show products/kg-rca/product.toml
  tenure product load products/kg-rca/product.toml")]
pub(crate) struct Product {
    #[command(subcommand)]
    command: ProductCommand,
}

#[derive(Debug, Subcommand)]
enum ProductCommand {
    /// Find every mistake in product files, with line, column and a way out
    #[command(after_help = "Examples:
  tenure product check products/kg-rca/product.toml
  tenure product check --json products/*/product.toml

Needs no server. Exit code 1 when a file has an error; warnings do not count.")]
    Check {
        /// Product files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Print the findings as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the plans of a product file side by side
    #[command(after_help = "Examples:
  tenure product show products/incidentfox/product.toml
  tenure product show --json products/incidentfox/product.toml | jq '.plans[].id'

Needs no server.")]
    Show {
        /// The product file
        file: PathBuf,
        /// Print what was read as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of product files, for editors
    #[command(after_help = "Examples:
  tenure product schema > product.schema.json

Needs no server.")]
    Schema,
    /// Load product files into a server: a changed file makes a new version
    #[command(after_help = "Examples:
  tenure product load products/kg-rca/product.toml
  tenure product load products/*/product.toml

Every file is checked first; nothing is loaded when one has a mistake.")]
    Load {
        /// Product files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        common: Common,
    },
    /// List the products of a server
    #[command(after_help = "Examples:
  tenure product list")]
    List {
        #[command(flatten)]
        common: Common,
    },
    /// List the versions of a product
    #[command(after_help = "Examples:
  tenure product versions kg-rca")]
    Versions {
        /// Id of the product
        product: String,
        #[command(flatten)]
        common: Common,
    },
    /// The keys that sign a product's licenses
    Key(SigningKey),
}

impl Product {
    /// Does it.
    pub(crate) async fn run(self) -> Result {
        match self.command {
            ProductCommand::Check { files, json } => check(&files, json),
            ProductCommand::Show { file, json } => show(&file, json),
            ProductCommand::Schema => {
                output::json(&tenure_catalog::json_schema());
                Ok(())
            }
            ProductCommand::Load { files, common } => load(&files, &common).await,
            ProductCommand::List { common } => {
                let products = client::Client::new(&common)?.get(&["products"]).await?;
                let none = "no products yet; load one: tenure product load FILE";
                output::list(common.json, &products, &PRODUCTS, none);
                Ok(())
            }
            ProductCommand::Versions { product, common } => {
                let client = client::Client::new(&common)?;
                let versions = client.get(&["products", &product, "versions"]).await?;
                output::list(common.json, &versions, &VERSIONS, "no versions");
                Ok(())
            }
            ProductCommand::Key(command) => command.run().await,
        }
    }
}

const PRODUCTS: [output::Field; 4] = [
    ("product", "/slug"),
    ("name", "/name"),
    ("version", "/version"),
    ("subscriptions", "/subscriptions"),
];
const VERSIONS: [output::Field; 5] = [
    ("version", "/version"),
    ("loaded", "/created_at"),
    ("by", "/created_by"),
    ("subscriptions", "/subscriptions"),
    ("digest", "/digest"),
];

/// A file that was read, and what is to be said of it.
struct Checked {
    name: String,
    text: String,
    product: Option<tenure_catalog::Product>,
    found: Vec<Diagnostic>,
}

impl Checked {
    fn read(file: &std::path::Path) -> Result<Self> {
        let bytes = std::fs::read(file).map_err(|error| Error::file(file, &error))?;
        let name = file.display().to_string();
        let text = String::from_utf8(bytes)
            .map_err(|_| Error::new(format!("{name}: a product file is UTF-8 text")))?;
        let (product, found) = match ProductFile::check(&text, &name) {
            Ok(parsed) => (Some(parsed.product), parsed.warnings),
            Err(found) => (None, found),
        };
        Ok(Self { name, text, product, found })
    }

    fn count(&self, severity: Severity) -> usize {
        self.found.iter().filter(|one| one.severity == severity).count()
    }
}

fn check(files: &[PathBuf], as_json: bool) -> Result {
    let checked = files.iter().map(|file| Checked::read(file)).collect::<Result<Vec<_>>>()?;
    if as_json {
        output::json(&Value::Array(checked.iter().map(findings).collect()));
    } else {
        checked.iter().for_each(tell);
    }
    refuse(&checked)
}

fn tell(file: &Checked) {
    for diagnostic in &file.found {
        output::note(&format!("{diagnostic}\n"));
    }
    if let Some(product) = &file.product {
        let counts = [
            (product.plans.len(), "plan"),
            (product.meters.len(), "meter"),
            (product.features.len(), "feature"),
            (product.resources.len(), "resource"),
        ];
        let counts = counts.map(|(count, word)| match count {
            1 => format!("1 {word}"),
            _ => format!("{count} {word}s"),
        });
        output::line(&format!("{}: ok ({}: {})", file.name, product.name, counts.join(", ")));
    }
}

fn findings(file: &Checked) -> Value {
    let one = |found: &Diagnostic| {
        json!({
            "severity": if found.severity == Severity::Error { "error" } else { "warning" },
            "message": found.message, "line": found.line, "column": found.column,
            "source": found.source_line, "hint": found.hint,
        })
    };
    let all: Vec<Value> = file.found.iter().map(one).collect();
    json!({ "file": file.name, "ok": file.product.is_some(), "findings": all })
}

fn refuse(checked: &[Checked]) -> Result {
    let wrong: Vec<&Checked> = checked.iter().filter(|file| file.product.is_none()).collect();
    let mistakes: usize = wrong.iter().map(|file| file.count(Severity::Error)).sum();
    match (mistakes, wrong.as_slice()) {
        (_, []) => Ok(()),
        (1, [file]) => Err(Error::new(format!("1 mistake in {}", file.name))),
        (many, [file]) => Err(Error::new(format!("{many} mistakes in {}", file.name))),
        (many, files) => Err(Error::new(format!("{many} mistakes in {} files", files.len()))),
    }
}

fn show(file: &std::path::Path, as_json: bool) -> Result {
    let checked = Checked::read(file)?;
    let Some(product) = &checked.product else {
        tell(&checked);
        return refuse(&[checked]);
    };
    if as_json {
        output::json(&serde_json::to_value(product)?);
    } else {
        output::line(tenure_catalog::show(product, output::width()).trim_end());
    }
    Ok(())
}

async fn load(files: &[PathBuf], common: &Common) -> Result {
    let checked = files.iter().map(|file| Checked::read(file)).collect::<Result<Vec<_>>>()?;
    if checked.iter().any(|file| file.product.is_none()) {
        checked.iter().filter(|file| file.product.is_none()).for_each(tell);
        return refuse(&checked);
    }
    let client = client::Client::new(common)?;
    let mut answers = Vec::new();
    for file in &checked {
        let loaded = load_text(&client, &file.text).await?;
        if !common.json {
            told(&file.name, &loaded);
        }
        answers.push(loaded);
    }
    if common.json {
        output::json(&Value::Array(answers));
    }
    Ok(())
}

/// Loads a product file's text.
pub(crate) async fn load_text(client: &client::Client, text: &str) -> Result<Value> {
    let request = client.admin(Method::POST, &["products"]);
    let request = request.header(header::CONTENT_TYPE, "application/toml").body(text.to_owned());
    client.json(request).await
}

fn told(file: &str, loaded: &Value) {
    let (product, version) = (output::text_at(loaded, "/product"), &loaded["version"]);
    let what = if loaded["created"] == true { "now" } else { "unchanged," };
    output::line(&format!("{file}: {product} is {what} version {version}"));
    for change in loaded["changes"].as_array().into_iter().flatten() {
        output::line(&format!("  {}", output::text(change)));
    }
    for warning in loaded["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        output::note(warning);
    }
}
