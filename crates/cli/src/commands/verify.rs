//! `tenure license verify`: no network, no database, only public keys.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use clap::Args;
use jiff::Timestamp;
use serde_json::json;
use tenure_core::Clock;
use tenure_license::{
    LicenseClaims, State, TrustSet, Verdict, Verified, presented::Presented, state, token,
};

use crate::{
    common::moment,
    error::{Error, Result},
    output,
};

/// Longest license that is read, in bytes; a file has far less.
const LICENSE_BYTES_MAX: u64 = 1024 * 1024;

/// Verify a license with no network and no database
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenure license verify acme.lic --keys jwks.json
  tenure license verify acme.lic --keys jwks.json --now 2027-06-01
  cat acme.lic | tenure license verify - --keys jwks.json --json

The keys are what `tenure license keys PRODUCT` writes. Exit code 0 while the license gives full
function (active, expiring, grace), 1 when it is not genuine, restricted or terminated.")]
pub(crate) struct Verify {
    /// A .lic file, a token, or - for standard input
    #[arg(value_name = "FILE_OR_TOKEN")]
    license: String,
    /// The product's public keys (JWKS)
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
    /// Expect this product [default: the one that the keys name]
    #[arg(long)]
    product: Option<String>,
    /// Judge at this moment [default: this machine's clock]
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    now: Option<Timestamp>,
    /// Print the verdict and all claims as JSON
    #[arg(long)]
    json: bool,
}

impl Verify {
    /// Does it.
    pub(crate) fn run(self) -> Result {
        let keys =
            std::fs::read_to_string(&self.keys).map_err(|error| Error::file(&self.keys, &error))?;
        let trust = match &self.product {
            Some(product) => TrustSet::from_jwks(product, &keys),
            None => TrustSet::from_published_jwks(&keys),
        };
        let trust = trust.map_err(|error| {
            Error::new(format!("{}: {error}", self.keys.display()))
                .hint("get the keys from the vendor: tenure license keys PRODUCT")
        })?;
        let presented = Presented::read(&read(&self.license)?)?;
        let Presented::Token(token) = presented else {
            return Err(Error::new(
                "this is a license key, which is exchanged for a license online",
            )
            .hint("verify the .lic file or the token that it was exchanged for"));
        };
        let license = match token::verify::<LicenseClaims>(&token, &trust) {
            Ok(license) => license,
            Err(error) => return self.refuse(&error),
        };
        let now = self.now.unwrap_or_else(|| tenure_core::SystemClock.now());
        let verdict = state::evaluate(&state::Input::new(&license, now));
        let valid = verdict.state < State::Restricted;
        if self.json {
            let mut answer = serde_json::to_value(&verdict)?;
            answer["valid"] = valid.into();
            answer["signed_by"] = license.kid().into();
            answer["claims"] = serde_json::to_value(license.claims())?;
            output::json(&answer);
        } else {
            tell(&license, &verdict);
        }
        if valid {
            return Ok(());
        }
        let notice = verdict.notice.unwrap_or_default();
        let state = verdict.state.word();
        Err(Error::new(format!("the license is genuine, but {state}. {notice}")))
    }

    fn refuse(&self, error: &token::Error) -> Result {
        if self.json {
            let answer =
                json!({ "valid": false, "code": error.code(), "detail": error.to_string() });
            output::json(&answer);
        }
        let refused = Error::new(format!("not a genuine license: {error} ({})", error.code()));
        Err(match error {
            token::Error::UnknownKey(_) => {
                refused.hint("use the public keys of the product that the license is for")
            }
            token::Error::Signature => {
                refused.hint("ask the vendor for the file again; do not use this one")
            }
            _ => refused,
        })
    }
}

/// What the argument names: standard input, a file, or the token itself.
fn read(license: &str) -> Result<String> {
    let path = Path::new(license);
    let failed = |error| Error::file(path, &error);
    let mut text = String::new();
    if license == "-" {
        std::io::stdin().take(LICENSE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
        return Ok(text);
    }
    // A token has two dots and no slash, and is longer than any file name.
    if license.matches('.').count() == 2 && license.len() > 255 {
        return Ok(license.to_owned());
    }
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(LICENSE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

fn tell(license: &Verified<LicenseClaims>, verdict: &Verdict) {
    let claims = license.claims();
    let day = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
    let state = format!("{} ({})", verdict.state.word(), verdict.reason.code());
    let word = |value| output::text(&serde_json::to_value(value).unwrap_or_default());
    let mut rows = vec![
        ("State", state),
        ("Product", claims.product.clone()),
        ("Customer", claims.customer.name.clone()),
        ("Plan", claims.entitlements.tier.clone()),
        ("Edition", word(json!(claims.edition))),
        ("Model", word(json!(claims.model))),
        ("Seats", claims.seats.to_string()),
        ("Begins", day(claims.starts())),
        ("Ends", day(claims.exp)),
        ("License", format!("{}, revision {}", claims.license, claims.revision)),
        ("Signed by", license.kid().to_owned()),
        (
            "Features",
            if claims.features.is_empty() { "-".into() } else { claims.features.join(", ") },
        ),
    ];
    rows.extend(claims.mode.clone().map(|mode| ("Mode", mode)));
    rows.extend(verdict.until.map(|until| ("Next change", day(until))));
    if let Some(notice) = verdict.notice.as_ref().filter(|_| verdict.state < State::Restricted) {
        rows.push(("Notice", notice.clone()));
    }
    let rows: Vec<(String, String)> =
        rows.into_iter().map(|(label, value)| (label.to_owned(), value)).collect();
    output::record(&rows);
    let limits = claims.limits.iter().map(|(id, limit)| {
        let max = limit.max.map_or_else(|| "unlimited".to_owned(), |max| max.to_string());
        let per = limit.per.map_or("-", |per| per.word()).to_owned();
        vec![id.clone(), max, per, word(json!(limit.over))]
    });
    let limits: Vec<Vec<String>> = limits.collect();
    if !limits.is_empty() {
        output::line("");
        output::line(&output::table(&["limit", "max", "per", "past it"], limits));
    }
}
