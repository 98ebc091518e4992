//! What people type and carry: license keys, files, and either in `LICENSE_KEY`.

use serde_json::{Value, json};
use tenure_license::{LicenseKey, file, presented::Presented};

use crate::support::{claims, issue};

fn key() -> String {
    LicenseKey::issue("IFOX", "ENT", "acme", *b"tenurekeys").unwrap().expose().to_owned()
}

/// `valid` are spellings of one key; `exposed` is what it is exchanged as.
pub(super) fn license_keys() -> Value {
    let text = key();
    let last = text.chars().last().unwrap();
    let wrong = format!("{}{}", &text[..text.len() - 1], if last == '0' { '1' } else { '0' });
    let valid = [
        text.clone(),
        text.to_lowercase(),
        text.replace('-', " - "),
        text.replace('-', "\u{2013}"),
        text.replace("IFOX", "1F0X"),
        text.replace("IFOX", "LfoX"),
        format!("\u{a0}{text}\r\n"),
    ]
    .map(|text| {
        let key = LicenseKey::parse(&text).unwrap();
        json!({"text": text, "exposed": key.expose(), "hint": key.hint()})
    });
    let refused = [
        wrong,
        text.replace("ACME", "ACNE"),
        text.replace("IFOX", "FIOX"),
        text.replace("EHJP", "EHJU"),
        text.replace("EHJP", "EHPJ"),
        text.replace("-EHJP", ""),
        text.replace("EHJP", "EHJ"),
        text.replace("ACME", "ACMECORPORATION"),
        text.replace("ENT", ""),
        text.replace("ENT", "E_T"),
        text.replace("ACME", "ÄCME"),
        String::new(),
        "A".repeat(161),
    ]
    .map(|text| {
        let error = LicenseKey::parse(&text).unwrap_err();
        json!({"text": text, "error": error.code()})
    });
    json!({"valid": valid, "refused": refused})
}

pub(super) fn files() -> Vec<Value> {
    let good = file::write(&issue(&claims()));
    let lines: Vec<&str> = good.lines().collect();
    let body = lines[1..lines.len() - 1].concat();
    let rewrapped: Vec<&str> =
        body.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let rewrapped = format!("{}\n{}\n{}\n", lines[0], rewrapped.join("\n"), lines[lines.len() - 1]);
    [
        ("good", good.clone()),
        ("CRLF", good.replace('\n', "\r\n")),
        ("without the last line end", good.trim_end().to_owned()),
        ("line ends mixed", good.replacen('\n', "\r\n", 1)),
        ("carriage returns alone", good.replace('\n', "\r")),
        ("rewrapped", rewrapped),
        ("a short line in the middle", good.replacen("eyJ", "ey\nJ", 1)),
        ("byte order mark", format!("\u{feff}{good}")),
        ("words before it", format!("Customer: Acme\n{good}")),
        ("words after it", format!("{good}Expires: never\n")),
        ("an empty line after it", format!("{good}\n")),
        ("cut off", lines[..5].join("\n")),
        ("blank in a line", good.replacen("eyJ", "ey ", 1)),
        ("nothing inside", format!("{}\n{}\n", lines[0], lines[lines.len() - 1])),
        ("another kind", good.replace("TENURE LICENSE", "TENURE RECEIPT")),
        ("a zero byte", good.replacen("eyJ", "ey\0", 1)),
        ("empty", String::new()),
    ]
    .into_iter()
    .map(|(name, text)| match file::read(&text) {
        Ok(token) => {
            assert_eq!(token, issue(&claims()));
            json!({"name": name, "text": text, "license": "standard"})
        }
        Err(error) => json!({"name": name, "text": text, "error": error.code()}),
    })
    .chain([json!({"name": "too large", "text": "x", "times": file::FILE_LEN_MAX + 1, "error": "file_too_large"})])
    .collect()
}

pub(super) fn presented() -> Vec<Value> {
    let token = issue(&claims());
    [
        ("a token", token.clone()),
        ("a token with a line break", format!("  {token}\r\n")),
        ("a file", file::write(&token)),
        ("a key", key()),
        ("a key with a line break", format!("{}\n", key().to_lowercase())),
        ("a mistyped key", key().replace("ACME", "ACNE")),
        ("a spoiled file", format!("{}more", file::write(&token))),
        ("another file", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n".into()),
        ("nothing", "\n".into()),
    ]
    .into_iter()
    .map(|(name, text)| match Presented::read(&text) {
        Ok(Presented::Key(key)) => json!({"name": name, "text": text, "key": key.expose()}),
        Ok(Presented::Token(token)) => json!({"name": name, "text": text, "token": token}),
        Err(error) => json!({"name": name, "text": text, "error": error.code()}),
    })
    .collect()
}
