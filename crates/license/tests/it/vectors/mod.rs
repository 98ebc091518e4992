//! The golden vectors: one file that every implementation must agree on.
//!
//! `vectors/license.json` is written from the cases in this folder with the published test keys;
//! RS256 is deterministic, so it is the same at every writing. Every expectation in it is what the
//! code answers when it is written, and what is wrong with each attack stands beside the attack, so
//! a difference is a change of behaviour, and something to read. To write it anew:
//! `cargo test -p tenure-license --test it -- --ignored write_the_vectors`.

mod attacks;
mod decisions;
mod key_sets;
mod licenses;
mod others;
mod texts;
mod verdicts;

use serde_json::{Value, json};
use tenure_license::Signer;

use crate::support::{PRODUCT, TRUSTED, jwks};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/license.json");
/// Counts the formats of the file.
const VERSION: u32 = 2;

fn vectors() -> String {
    let all = json!({
        "about": "Golden vectors for readers of Tenure licenses. The keys are published test keys: never trust them.",
        "version": VERSION,
        "product": PRODUCT,
        "jwks": serde_json::from_str::<Value>(&jwks(&[TRUSTED.public_key()])).unwrap(),
        "licenses": licenses::cases(),
        "refused": attacks::cases(),
        "revocation_lists": others::revocation_lists(),
        "leases": others::leases(),
        "verdicts": verdicts::cases(),
        "decisions": decisions::cases(),
        "key_sets": key_sets::cases(),
        "license_keys": texts::license_keys(),
        "files": texts::files(),
        "presented": texts::presented(),
    });
    serde_json::to_string_pretty(&all).unwrap() + "\n"
}

#[test]
fn the_vectors_are_what_this_code_writes() {
    let committed = std::fs::read_to_string(PATH).unwrap();
    let written = vectors();
    let differs = committed.lines().zip(written.lines()).position(|(a, b)| a != b);
    assert!(
        committed == written,
        "vectors/license.json differs from line {differs:?} on; see the top of this folder"
    );
}

#[test]
#[ignore = "writes vectors/license.json"]
fn write_the_vectors() {
    std::fs::write(PATH, vectors()).unwrap();
}
