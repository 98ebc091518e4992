//! What goes in and out by hand.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Options, driven::order, options::read, output};
use crate::{Error, error::Result, files::FILE_LEN_MAX, local::Command};

/// How hard reports are compressed (zstd).
const ZSTD_LEVEL: i32 = 9;

fn text_of(path: &Path) -> Result<String> {
    let bytes = read(path, FILE_LEN_MAX as u64)?;
    String::from_utf8(bytes).map_err(|_| Error::Setting(format!("{} is no text", path.display())))
}

pub(super) async fn activate(options: &Options, file: Option<&Path>) -> Result<()> {
    let license_key = match (file, &options.license_key) {
        (Some(path), _) => text_of(path)?,
        (None, Some(key)) if !key.trim().is_empty() => key.clone(),
        _ => {
            return Err(Error::Setting(
                "which license? Set LICENSE_KEY, give --license-key, or name a file".into(),
            ));
        }
    };
    let done = order(options, Command::Activate { license_key }).await?.result;
    if options.json {
        output::json(&without_tokens(done));
        return Ok(());
    }
    let word = |name: &str| done[name].as_str().unwrap_or_default().to_owned();
    match (word("state").as_str(), options.server.is_some()) {
        ("unlicensed", true) => Err(Error::refused("license_missing", word("notice"))),
        ("unlicensed", false) => {
            output::note(
                "the key is kept. Without a license service, go on with `tenure-agent request \
                 export`",
            );
            Ok(())
        }
        (state, _) => {
            output::line(&format!("{state} ({})", word("reason")));
            Ok(())
        }
    }
}

/// The description, without what opens anything.
fn without_tokens(mut done: Value) -> Value {
    if let Some(members) = done.as_object_mut() {
        members.retain(|name, _| !name.ends_with("_token"));
    }
    done
}

pub(super) async fn install(options: &Options, path: &Path) -> Result<()> {
    let done = order(options, Command::Install { file: text_of(path)? }).await?.result;
    if options.json {
        output::json(&done);
    } else {
        output::line(done["message"].as_str().unwrap_or("installed"));
    }
    Ok(())
}

/// Whether a new key pair is wanted for a request, and whether to ask about it.
pub(super) struct NewKey {
    pub(super) wanted: bool,
    pub(super) yes: bool,
}

pub(super) async fn request(
    options: &Options,
    output: Option<&Path>,
    new_key: NewKey,
) -> Result<()> {
    if new_key.wanted {
        output::confirm(
            new_key.yes,
            "This installation goes on with a new key pair, as an instance of its own: it takes a \
             slot, and the instance that it was keeps its own until its license ends.",
        )?;
    }
    let file = order(options, Command::Request { new_key: new_key.wanted })
        .await?
        .file
        .unwrap_or_default();
    output::file(output, &file)?;
    if output.is_some() {
        output::note("give it to the vendor; it may hold the license key, so keep it as one");
    }
    Ok(())
}

pub(super) async fn give_back(options: &Options, output: Option<&Path>, yes: bool) -> Result<()> {
    output::confirm(
        yes,
        "The license is given back: this installation is finished and cannot use it any more.",
    )?;
    let file = order(options, Command::Return).await?.file.unwrap_or_default();
    output::file(output, &file)?;
    output::note("report what was used with `tenure-agent report export` as well");
    Ok(())
}

pub(super) async fn release(options: &Options, reason: String, yes: bool) -> Result<()> {
    output::confirm(
        yes,
        "The license is given back: this installation is finished and cannot use it any more.",
    )?;
    let done = order(options, Command::Release { reason }).await?.result;
    if done["phase"] == "released" {
        output::line("released");
        return Ok(());
    }
    let why = done["trouble"]["message"].as_str().unwrap_or("the license service did not answer");
    Err(Error::refused("not_released", format!("not released yet, it is tried again: {why}")))
}

pub(super) async fn report(options: &Options, output: Option<&Path>, all: bool) -> Result<()> {
    let done = order(options, Command::Report { all }).await?;
    let Some(text) = done.file else {
        output::note("there is nothing to report");
        return Ok(());
    };
    let (first, last) = (&done.result["first"], &done.result["through"]);
    let path =
        output.map_or_else(|| PathBuf::from(format!("usage-{first}-{last}.tur")), Into::into);
    let packed = zstd::bulk::compress(text.as_bytes(), ZSTD_LEVEL).map_err(Error::file(&path))?;
    crate::dir::write_private(&path, &packed)?;
    if options.json {
        output::json(
            &json!({ "file": path, "first": first, "through": last, "bytes": packed.len() }),
        );
    } else {
        output::line(&path.display().to_string());
        output::note(&format!(
            "entries {first} to {last}, {} bytes; what it says: zstd -dc {}",
            packed.len(),
            path.display()
        ));
    }
    Ok(())
}
