//! An entitlement check, beside a look into a hash map: `cargo bench -p tenure-sdk --bench check`.
#![allow(clippy::print_stdout, reason = "the figures go to standard output")]

use std::{collections::HashMap, hint::black_box, sync::LazyLock, time::Instant};

use jiff::{Timestamp, ToSpan};
use serde_json::Value;
use tenure_license::{LicenseClaims, MemorySigner, Signer, keys::JwkSet, token};
use tenure_sdk::{Settings, Tenure, Work};

const ROUNDS: u32 = 5_000_000;

static TENURE: LazyLock<Tenure> = LazyLock::new(licensed);
static MAP: LazyLock<HashMap<String, bool>> = LazyLock::new(|| {
    TENURE.claims().features.iter().map(|feature| (feature.clone(), true)).collect()
});

/// The metered license of the golden vectors, in force now, under a key of its own.
fn licensed() -> Tenure {
    let vectors: Value =
        serde_json::from_str(include_str!("../../license/vectors/license.json")).expect("JSON");
    let claims = vectors["licenses"][1]["claims"].clone();
    let mut claims: LicenseClaims = serde_json::from_value(claims).expect("claims");
    let now = Timestamp::now();
    (claims.iat, claims.exp) = (now - 24.hours(), now + 8_000.hours());
    let signer = MemorySigner::generate().expect("a key");
    let keys: JwkSet = [signer.public_key()].into_iter().collect();
    let keys = serde_json::to_string(&keys).expect("a key set");
    let license_key = Some(token::sign(&claims, &signer).expect("a license"));
    let settings = Settings { license_key, ..Settings::default() };
    Tenure::builder().product("incidentfox").keys(&keys).start(settings).expect("licensed")
}

#[divan::bench]
fn hash_map() -> bool {
    MAP.get(black_box("github")).copied().unwrap_or_default()
}

#[divan::bench]
fn allows() -> bool {
    TENURE.allows(black_box("github"))
}

#[divan::bench]
fn feature() -> bool {
    TENURE.feature(black_box("github")).allowed
}

#[divan::bench]
fn limit() -> bool {
    TENURE.limit(black_box("teams"), 2_u32, 1_u32).allowed
}

#[divan::bench]
fn work() -> bool {
    TENURE.work(black_box(Work::New)).allowed
}

#[divan::bench]
fn clock() -> Timestamp {
    Timestamp::now()
}

fn main() {
    divan::main();
    // `cargo test --benches` only wants to know that this compiles and starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let nanoseconds = |check: fn() -> bool| {
        let begun = Instant::now();
        for _ in 0..ROUNDS {
            black_box(check());
        }
        begun.elapsed().as_nanos() as f64 / f64::from(ROUNDS)
    };
    // Once before, so that both are warm.
    let (_, _) = (nanoseconds(hash_map), nanoseconds(allows));
    let (map, check) = (nanoseconds(hash_map), nanoseconds(allows));
    println!(
        "{:<28} {:>22}   a hash map answers in {map:.1} ns: {:.1} times that",
        "entitlement check (SDK)",
        format!("{check:.1} ns"),
        check / map
    );
}
