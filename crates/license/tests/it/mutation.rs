//! Changed tokens by the hundred thousand: none is believed.

use serde_json::Value;
use tenure_license::{
    LicenseClaims, TrustSet,
    claims::Cap,
    token::{self, Error},
};

use crate::{
    mutate::Mutator,
    support::{TRUSTED, b64, claims, issue, trust, verify},
};

/// Changed tokens in a run, in total.
const MUTATIONS: u64 = 300_000;
/// How many of them, at the least, come as far as the RSA signature.
const REACH_RSA_MIN: u64 = 140_000;
const THREADS: u64 = 4;

/// A license, and a better one that the attacker once saw.
fn issued() -> [String; 2] {
    let mut renewed = claims();
    renewed.revision += 1;
    renewed.seats = Cap::UNLIMITED;
    [issue(&claims()), issue(&renewed)]
}

#[test]
fn no_token_that_differs_from_an_issued_one_is_ever_accepted() {
    let (issued, trust) = (issued(), trust());
    let reached: u64 = std::thread::scope(|scope| {
        let run = |seed| hammer(seed, MUTATIONS / THREADS, &issued, &trust);
        let threads: Vec<_> = (0..THREADS).map(|seed| scope.spawn(move || run(seed))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(reached >= REACH_RSA_MIN, "only {reached} of {MUTATIONS} came as far as RSA");
}

/// Returns how many came as far as RSA.
fn hammer(seed: u64, mutations: u64, issued: &[String; 2], trust: &TrustSet) -> u64 {
    let mut mutator = Mutator::new(seed);
    let [license, other] = issued.each_ref().map(String::as_bytes);
    let mut reached = 0;
    for number in 0..mutations {
        let changed = mutator.mutate(license, other);
        let Ok(changed) = String::from_utf8(changed) else { continue };
        // A change may undo another, and a splice may be the other license, whole.
        if issued.contains(&changed) {
            continue;
        }
        match token::verify::<LicenseClaims>(&changed, trust) {
            Ok(_) => panic!("believed: seed {seed}, mutation {number}: {changed}"),
            Err(Error::Signature) => reached += 1,
            Err(_) => {}
        }
    }
    reached
}

#[test]
fn the_parts_of_two_genuine_tokens_make_no_third() {
    let issued = issued();
    let parts: Vec<&str> = issued.iter().flat_map(|token| token.split('.')).collect();
    for a in &parts {
        for b in &parts {
            for c in &parts {
                let mixed = format!("{a}.{b}.{c}");
                assert_eq!(verify(&mixed).is_ok(), issued.contains(&mixed), "{mixed}");
            }
        }
    }
}

/// All texts for one part that a lenient decoder would take for the same bytes.
fn respelled(part: &str) -> Vec<String> {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = part.split_at(part.len() - 1);
    let wrapped = |width: usize, end: &str| {
        let lines: Vec<&str> =
            part.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect();
        lines.join(end)
    };
    let mut texts = vec![
        format!("{part}="),
        format!("{part}=="),
        format!("{part}==="),
        format!("{part}A"),
        format!("A{part}"),
        format!("{part}%3D"),
        format!("{part}\0"),
        format!(" {part}"),
        format!("{part} "),
        format!("{part}\n"),
        format!("{part}\u{200b}"),
        format!("\u{feff}{part}"),
        part.replace('-', "+"),
        part.replace('_', "/"),
        part.replace('-', "+").replace('_', "/"),
        part.replace('-', "\u{2010}"),
        part.replace('-', "%2D"),
        part.to_uppercase(),
        part.to_lowercase(),
        part.chars().rev().collect(),
        part.chars().map(|c| char::from_u32(0xfee0 + c as u32).unwrap()).collect(),
        part.chars().map(|c| format!("%{:02X}", c as u32)).collect(),
        wrapped(64, "\n"),
        wrapped(64, "\r\n"),
        wrapped(76, "\n"),
        rest.to_owned(),
        b64(part),
    ];
    // Bits behind the last byte, which decoders are tempted to ignore.
    texts.extend(alphabet.chars().map(|c| format!("{rest}{c}")).filter(|t| !t.ends_with(last)));
    texts
}

#[test]
fn a_part_has_one_spelling() {
    let token = issue(&claims());
    let parts: Vec<&str> = token.split('.').collect();
    for place in 0..3 {
        for text in respelled(parts[place]) {
            let mut changed = parts.clone();
            changed[place] = &text;
            let changed = changed.join(".");
            assert!(changed == token || verify(&changed).is_err(), "{changed}");
        }
    }
    for (order, dot) in [([1, 0, 2], "."), ([0, 2, 1], "."), ([2, 1, 0], "."), ([0, 1, 2], "..")] {
        assert!(verify(&order.map(|part| parts[part]).join(dot)).is_err());
    }
    for dot in [",", " .", ". ", "%2E", "\u{ff0e}", "\u{3002}", "\u{2024}", ":", "", "\0."] {
        assert!(verify(&parts.join(dot)).is_err(), "{dot:?}");
    }
    for around in ["\"", "'", "Bearer ", "<", "\u{feff}", "jwt:"] {
        assert!(verify(&format!("{around}{token}")).is_err());
        assert!(verify(&format!("{token}{around}")).is_err());
    }
}

#[test]
fn a_blank_anywhere_is_noticed() {
    let token = issue(&claims());
    for at in 0..=token.len() {
        for blank in [' ', '\n', '\0'] {
            let mut changed = token.clone();
            changed.insert(at, blank);
            assert!(verify(&changed).is_err(), "{at} {blank:?}");
        }
    }
}

#[test]
fn header_and_claims_written_anew_do_not_fit_the_signature() {
    let token = issue(&claims());
    let parts: Vec<&str> = token.split('.').collect();
    let header = format!(
        r#"{{"alg":"RS256","typ":"tenure-license+jwt","kid":"{}"}}"#,
        tenure_license::Signer::public_key(&*TRUSTED).kid()
    );
    let payload = serde_json::to_string(&claims()).unwrap();
    assert_eq!([b64(&header), b64(&payload)], [parts[0], parts[1]], "as this code writes them");
    for place in 0..2 {
        let json = [&header, &payload][place];
        let value: Value = serde_json::from_str(json).unwrap();
        for other in [
            json.replacen(':', ": ", 1),
            json.replacen('{', "{ ", 1),
            json.replacen("\"a", "\"\\u0061", 1),
            format!("{json} "),
            format!("{json}\n"),
            format!("\u{feff}{json}"),
            serde_json::to_string_pretty(&value).unwrap(),
            value.to_string(),
        ] {
            let mut changed = parts.clone();
            let text = b64(&other);
            changed[place] = &text;
            let changed = changed.join(".");
            assert!(changed == token || verify(&changed).is_err(), "{other}");
        }
    }
}
