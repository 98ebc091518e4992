//! Statements of instances, and the usage ledger that they report.

use jiff::Timestamp;
use serde_json::json;
use tenure_core::{InstanceId, LicenseId};
use tenure_license::{
    Digest, InstanceKey,
    chain::Head,
    instance::{self, Proof, Purpose, ReportHead, Return, Statement, StatementKind},
    ledger::{self, Content, Line},
};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::support::{at, b64};

fn key(seed: u8) -> InstanceKey {
    InstanceKey::from_seed(&Zeroizing::new([seed; 32]))
}

fn instance_id() -> InstanceId {
    InstanceId::from_uuid(Uuid::from_u128(7))
}

fn now() -> Timestamp {
    at("2026-06-01T00:00:00Z")
}

fn proof(key: &InstanceKey) -> Proof {
    Proof {
        aud: StatementKind::Proof.audience().into(),
        key: *key.public(),
        instance: Some(instance_id()),
        purpose: Purpose::Heartbeat,
        seq: 3,
        nonce: "n".into(),
        jti: String::new(),
        iat: now(),
        body: Digest::sha256(b"{}"),
    }
}

fn lines(count: u64) -> Vec<Line> {
    let mut head = None;
    (1..=count)
        .map(|n| {
            let event = json!({"specversion": "1.0", "id": n.to_string(), "type": "agent.run"});
            let line = ledger::append(head, &Content::new(now(), vec![event])).unwrap();
            head = Some(line.head());
            line
        })
        .collect()
}

fn report(key: &InstanceKey, after: Option<Head>, lines: &[Line]) -> String {
    let head = ReportHead {
        aud: StatementKind::Report.audience().into(),
        key: *key.public(),
        instance: instance_id(),
        license: LicenseId::from_uuid(Uuid::from_u128(1)),
        iat: now(),
        after,
        through: lines.last().unwrap().head(),
        receipt: None,
    };
    ledger::write(&head, key, lines).unwrap()
}

#[test]
fn a_statement_reads_back_and_says_which_key_signed_it() {
    let key = key(1);
    let statement = instance::sign(&proof(&key), &key).unwrap();
    let read = instance::verify::<Proof>(&statement).unwrap();
    assert_eq!(read.claims(), &proof(&key));
    assert_eq!(read.claims().key(), key.public());
}

#[test]
fn a_statement_of_another_kind_key_or_algorithm_is_refused() {
    let (mine, other) = (key(1), key(2));
    let statement = instance::sign(&proof(&mine), &mine).unwrap();
    let code = |text: &str| instance::verify::<Proof>(text).unwrap_err().code();
    assert_eq!(instance::verify::<Return>(&statement).unwrap_err().code(), "statement_wrong_type");
    assert!(instance::sign(&proof(&mine), &other).is_err(), "signing for another key");

    let parts: Vec<&str> = statement.split('.').collect();
    let claims = serde_json::to_string(&proof(&other)).unwrap();
    let swapped = format!("{}.{}.{}", parts[0], b64(&claims), parts[2]);
    assert_eq!(code(&swapped), "statement_bad_signature");
    for header in [
        json!({"alg": "none", "typ": "tenure-proof+jwt", "kid": "x"}),
        json!({"alg": "HS256", "typ": "tenure-proof+jwt", "kid": "x"}),
        json!({"alg": "EdDSA", "typ": "tenure-proof+jwt", "kid": "x", "jku": "y"}),
        json!({"alg": "EdDSA", "typ": "tenure-proof+jwt"}),
    ] {
        let text = format!("{}.{}.{}", b64(header.to_string()), parts[1], parts[2]);
        assert_eq!(code(&text), "statement_header_refused", "{header}");
    }
    assert_eq!(code(&format!("{}.{}.", parts[0], parts[1])), "statement_bad_signature");
    assert_eq!(code(&"a".repeat(instance::STATEMENT_LEN_MAX + 1)), "statement_too_large");
    assert_eq!(code(&format!("{statement}=")), "statement_malformed");
}

#[test]
fn no_changed_byte_of_a_statement_is_accepted() {
    let key = key(1);
    let statement = instance::sign(&proof(&key), &key).unwrap();
    for at in 0..statement.len() {
        for byte in [b'A', b'z', b'.', b'-'] {
            let mut bytes = statement.clone().into_bytes();
            if bytes[at] == byte {
                continue;
            }
            bytes[at] = byte;
            let changed = String::from_utf8(bytes).unwrap();
            assert!(instance::verify::<Proof>(&changed).is_err(), "byte {at} to {byte}");
        }
    }
}

#[test]
fn a_report_reads_back_whole_or_from_a_known_head() {
    let key = key(1);
    let all = lines(5);
    let whole = ledger::read(&report(&key, None, &all)).unwrap();
    assert_eq!(whole.lines, all);
    assert_eq!(whole.lines[2].read().unwrap().events[0]["id"], "3");
    let later = ledger::read(&report(&key, Some(all[1].head()), &all[2..])).unwrap();
    assert_eq!(later.head.claims().after, Some(all[1].head()));
    assert_eq!(later.lines.len(), 3);
}

#[test]
fn gaps_edits_forks_and_cuts_of_a_report_are_named() {
    let key = key(1);
    let all = lines(4);
    let text = report(&key, None, &all);
    let rows: Vec<&str> = text.lines().collect();
    let code = |rows: &[&str]| ledger::read(&rows.join("\n")).unwrap_err().code();

    assert_eq!(code(&[rows[0], rows[1], rows[3], rows[4]]), "chain_gap");
    let edited = rows[2].replace("agent.run", "agent.fun");
    assert_eq!(code(&[rows[0], rows[1], &edited, rows[3], rows[4]]), "chain_edit");
    assert_eq!(code(&rows[..4]), "report_wrong_end", "cut");
    assert_eq!(code(&[rows[0], rows[1], rows[1]]), "chain_repeated");
    assert_eq!(code(&rows[1..]), "statement_malformed", "without its head");
    assert_eq!(code(&[rows[0], "{}"]), "report_bad_line");
    assert_eq!(ledger::read("").unwrap_err().code(), "report_empty");
    // A whole other history under the same signed head.
    let other = report(&key, None, &lines(4).into_iter().skip(1).collect::<Vec<_>>());
    let other: Vec<&str> = other.lines().collect();
    assert_eq!(code(&[rows[0], other[1], other[2], other[3]]), "chain_gap");
    let twice = rows[1].replacen('{', r#"{"seq":1,"#, 1);
    assert_eq!(code(&[rows[0], &twice]), "report_bad_line");
}
