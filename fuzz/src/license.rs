//! What must hold for any bytes that reach the license crate.

use std::sync::LazyLock;

use tenure_license::{
    LeaseClaims, LicenseClaims, LicenseKey, ReceiptClaims, RevocationsClaims, TrustSet,
    file::{self, FileKind},
    presented::Presented,
    token::{self, Payload},
};

/// The golden vectors, of which one token is genuine.
static VECTORS: LazyLock<serde_json::Value> = LazyLock::new(|| {
    let text = include_str!("../../crates/license/vectors/license.json");
    serde_json::from_str(text).expect("the vectors are JSON")
});

static TRUST: LazyLock<TrustSet> = LazyLock::new(|| {
    let product = VECTORS["product"].as_str().expect("a product");
    TrustSet::from_test_jwks(product, &VECTORS["jwks"].to_string()).expect("the test key")
});

/// The tokens of a list of the vectors.
fn listed(list: &str) -> Vec<&'static str> {
    let cases = VECTORS[list].as_array().into_iter().flatten();
    cases.filter_map(|case| case["token"].as_str()).collect()
}

/// The licenses that are believed.
static GENUINE: LazyLock<Vec<&'static str>> = LazyLock::new(|| listed("licenses"));

/// Tokens of other kinds that somebody signed; attacks may be genuine tokens out of place.
static OTHERS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    ["leases", "revocation_lists", "refused"].into_iter().flat_map(listed).collect()
});

/// One license that is believed.
pub(crate) fn genuine() -> &'static str {
    GENUINE.first().expect("a license")
}

/// The genuine licenses and every attack of the vectors.
pub(crate) fn tokens() -> Vec<String> {
    GENUINE.iter().copied().chain(listed("refused")).map(str::to_owned).collect()
}

pub(crate) fn files() -> Vec<String> {
    let license = file::write(genuine());
    let others = FileKind::ALL.map(|kind| file::write_kind(kind, "aB3-_."));
    let windows = license.replace('\n', "\r\n");
    [license, windows].into_iter().chain(others).collect()
}

/// The valid license keys, then those that are refused.
pub(crate) fn keys() -> Vec<String> {
    ["valid", "refused"]
        .into_iter()
        .filter_map(|list| VECTORS["license_keys"][list].as_array())
        .flatten()
        .filter_map(|key| key["text"].as_str().map(str::to_owned))
        .collect()
}

/// How many license keys are valid.
pub(crate) fn valid_keys() -> usize {
    VECTORS["license_keys"]["valid"].as_array().map_or(0, Vec::len)
}

/// Nothing panics, and no text is believed but the genuine tokens. Says how far
/// the text came: whether its signature was looked at.
pub(crate) fn token_verify(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let license = token::verify::<LicenseClaims>(text, &TRUST);
    assert_eq!(license.is_ok(), GENUINE.contains(&text), "believed: {text}");
    refused::<LeaseClaims>(text);
    refused::<RevocationsClaims>(text);
    refused::<ReceiptClaims>(text);
    // What is read in the same breath by whoever verifies.
    drop(Presented::read(text));
    drop(TrustSet::from_published_jwks(text));
    matches!(license, Ok(_) | Err(token::Error::Signature))
}

/// A license is not a token of another kind, and nothing that is not in the vectors is one.
fn refused<C: Payload>(text: &str) {
    if OTHERS.contains(&text) {
        return;
    }
    assert!(token::verify::<C>(text, &TRUST).is_err(), "believed as {}: {text}", C::KIND);
}

/// A file that is read is one that this code would write, up to its line ends,
/// and no two files of a kind carry the same token otherwise.
pub(crate) fn license_file(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let mut read = false;
    for kind in FileKind::ALL {
        if let Ok(token) = file::read_kind(kind, text) {
            let written = file::write_kind(kind, &token);
            let same = text.replace("\r\n", "\n");
            assert_eq!(same.trim_end_matches('\n'), written.trim_end_matches('\n'));
            read = true;
        }
    }
    read
}

/// A key that is read reads back from its own text, as the same key.
pub(crate) fn license_key(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(key) = LicenseKey::parse(text) else { return false };
    let again = LicenseKey::parse(key.expose()).expect("a key's own text is a key");
    assert!(again == key && again.expose() == key.expose(), "{text}");
    assert!(!format!("{key:?}").contains(key.expose()), "a key is not shown");
    true
}
