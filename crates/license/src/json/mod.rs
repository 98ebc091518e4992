//! JSON as a security boundary: one meaning for every text.
//!
//! Owns: the strict reader of signed and of foreign JSON. It reads into a type
//! in a single walk ([`read`]), or walks a document without keeping it
//! ([`check`]). Refuses, wherever it stands in the document and whether or not
//! the type looks there: a name given twice in an object (two readers would see
//! two documents), however it is escaped; nesting deeper than the caller says;
//! text that is not UTF-8; anything after the document; and names by which the
//! JSON library would read JSON inside a text.
//!
//! What signers write is read by a reader that knows no more than that
//! ([`plain`]); any other document, and whatever is wrong with one, is for the
//! strict reader around the JSON library ([`strict`]).

mod names;
mod plain;
mod strict;

use serde::{Deserialize, de::IgnoredAny};

use plain::Plain;
use strict::{Strict, Walk};

/// Deepest nesting of objects and arrays in what is signed.
pub const DEPTH_MAX: usize = 8;

/// Deepest nesting of what is read as plain: well below the JSON library's own bound.
const PLAIN_DEPTH_MAX: usize = 64;

/// Checks that `bytes` is one JSON document that has one meaning, nested at most
/// [`DEPTH_MAX`] deep. The message says what is wrong and where.
///
/// # Errors
/// A clause for a message, without a full stop.
pub fn check(bytes: &[u8]) -> Result<(), String> {
    check_to_depth(bytes, DEPTH_MAX)
}

/// As [`check`], for documents that may be nested deeper or less deep.
///
/// # Errors
/// As [`check`].
pub fn check_to_depth(bytes: &[u8], depth_max: usize) -> Result<(), String> {
    read_to_depth::<IgnoredAny>(bytes, depth_max).map(drop)
}

/// Reads `T` from a document that passes [`check`]. Names are text: a type that
/// wants numbers for names is not read.
///
/// # Errors
/// As [`check`], or how the document is not what `T` says.
pub fn read<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, String> {
    read_to_depth(bytes, DEPTH_MAX)
}

fn read_to_depth<'de, T: Deserialize<'de>>(
    bytes: &'de [u8],
    depth_max: usize,
) -> Result<T, String> {
    // At once for the whole document: the library would do so text by text.
    let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
    match plainly(text, depth_max) {
        Some(value) => Ok(value),
        None => strictly(text, depth_max),
    }
}

/// A plain document; `None` for any other, and for a wrong one.
fn plainly<'de, T: Deserialize<'de>>(text: &'de str, depth_max: usize) -> Option<T> {
    let mut plain = Plain::new(text, depth_max.min(PLAIN_DEPTH_MAX));
    let value = T::deserialize(&mut plain).ok()?;
    plain.end().ok()?;
    Some(value)
}

fn strictly<'de, T: Deserialize<'de>>(text: &'de str, depth_max: usize) -> Result<T, String> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let walk = &mut Walk::new(depth_max);
    let value = T::deserialize(Strict { inner: &mut reader, walk }).map_err(|e| e.to_string())?;
    reader.end().map_err(|e| e.to_string())?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn refusal(text: &str) -> String {
        check(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_name_given_twice_is_refused_at_any_depth() {
        let fine = r#"{"a":1,"b":{"a":2},"c":[{"a":1},{"a":2}]}"#;
        assert_eq!(check(fine.as_bytes()), Ok(()));
        for twice in [
            r#"{"a":1,"a":1}"#,
            r#"{"x":[{"a":1,"b":2,"a":3}]}"#,
            r#"{"a":{"b":{}},"c":1,"a":2}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"{"\u0061":1,"a":1}"#,
            r#"{"\u0061":1,"\u0061":1}"#,
            r#"{"":1,"":1}"#,
        ] {
            assert!(refusal(twice).contains("twice"), "{twice}");
        }
        assert_eq!(
            refusal("{\"a\": 1,\n \"a\": 2}"),
            "the field `a` is given twice at line 2 column 4",
            "the message says where"
        );
    }

    #[test]
    fn a_name_given_twice_is_found_in_large_objects_wherever_it_stands() {
        let names = |names: &[usize]| {
            let members: Vec<String> = names.iter().map(|n| format!(r#""n{n}":{{}}"#)).collect();
            format!("{{{}}}", members.join(","))
        };
        let all: Vec<usize> = (0..100).collect();
        assert_eq!(check(names(&all).as_bytes()), Ok(()));
        for (first, again) in [(0, 31), (0, 32), (0, 33), (31, 32), (32, 33), (5, 99), (98, 99)] {
            let mut twice = all.clone();
            twice[again] = first;
            assert!(refusal(&names(&twice)).contains("twice"), "{first} {again}");
        }
    }

    #[test]
    fn what_the_type_does_not_look_at_is_walked_all_the_same() {
        #[derive(Debug, serde::Deserialize)]
        struct Narrow {
            #[allow(dead_code, reason = "only its reading counts")]
            a: u8,
        }
        let narrow = |text: &str| read::<Narrow>(text.as_bytes());
        assert!(narrow(r#"{"a":1,"b":{"c":[1.5,null,"x"]}}"#).is_ok());
        assert!(narrow(r#"{"a":1,"b":{"c":1,"c":2}}"#).unwrap_err().contains("twice"));
        assert!(narrow(r#"{"a":1,"b":1,"b":1}"#).unwrap_err().contains("twice"));
        assert!(narrow(r#"{"a":1,"b":[[[[[[[[1]]]]]]]]}"#).unwrap_err().contains("nested"));
        assert!(narrow(r#"{"a":1,"b":1e999}"#).is_err());
        assert!(narrow(r#"{"a":1,"b":"\ud800"}"#).is_err());
    }

    #[test]
    fn variants_with_content_are_walked_too() {
        #[derive(Debug, PartialEq, serde::Deserialize)]
        enum Shape {
            Unit,
            Newtype(Value),
            Tuple(u8, Value),
            Struct { a: Value },
        }
        let shape = |text: &str, depth| read_to_depth::<Shape>(text.as_bytes(), depth);
        assert_eq!(shape(r#""Unit""#, 0), Ok(Shape::Unit));
        assert!(shape(r#"{"Newtype":{"a":1}}"#, 2).is_ok());
        assert!(shape(r#"{"Newtype":{"a":1}}"#, 1).unwrap_err().contains("nested"));
        assert!(shape(r#"{"Newtype":{"a":1,"a":1}}"#, 9).unwrap_err().contains("twice"));
        assert!(shape(r#"{"Newtype":1,"Newtype":1}"#, 9).is_err());
        assert!(shape(r#"{"Tuple":[1,{"a":1,"a":1}]}"#, 9).unwrap_err().contains("twice"));
        assert!(shape(r#"{"Tuple":[1,{"a":1}]}"#, 2).unwrap_err().contains("nested"));
        assert!(shape(r#"{"Struct":{"a":{"b":1,"b":1}}}"#, 9).unwrap_err().contains("twice"));
        assert!(shape(r#"{"Struct":{"a":{"b":1}}}"#, 3).is_ok());
    }

    #[test]
    fn json_inside_a_text_is_never_read() {
        let inner = r#"{"$serde_json::private::RawValue":"{\"a\":1,\"a\":2}"}"#;
        assert!(refusal(inner).contains("reserved"));
        assert!(read::<Value>(inner.as_bytes()).is_err());
        assert!(read::<&serde_json::value::RawValue>(b"{}").is_err());
    }

    #[test]
    fn nothing_may_follow_the_document_and_all_of_it_is_utf_8() {
        for text in
            [&b"{} {}"[..], b"{},", b"", b"\xef\xbb\xbf{}", b"\"\xff\"", b"{\"\xc0\xaf\":1}"]
        {
            assert!(check(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nest = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert_eq!(check(nest(DEPTH_MAX).as_bytes()), Ok(()));
        assert!(refusal(&nest(DEPTH_MAX + 1)).contains("nested more than 8 deep"));
        assert!(check("[".repeat(1_000_000).as_bytes()).is_err());
        assert!(check("{\"a\":".repeat(1_000_000).as_bytes()).is_err());
    }

    /// JSON with few names, so that they collide, as text: a map would have
    /// merged them already.
    fn document() -> impl Strategy<Value = (String, bool)> {
        let leaf = prop_oneof![
            "[a-c]{0,2}".prop_map(|s| (format!("\"{s}\""), true)),
            any::<i64>().prop_map(|n| (n.to_string(), true)),
            Just(("null".to_owned(), true)),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|items| {
                    let once = items.iter().all(|(_, once)| *once);
                    let texts: Vec<_> = items.into_iter().map(|(text, _)| text).collect();
                    (format!("[{}]", texts.join(",")), once)
                }),
                prop::collection::vec(("[a-f]{1,2}", any::<bool>(), inner), 0..6).prop_map(object),
            ]
        })
    }

    fn object(members: Vec<(String, bool, (String, bool))>) -> (String, bool) {
        let names: BTreeMap<_, _> = members.iter().map(|(name, ..)| (name, ())).collect();
        let once = names.len() == members.len() && members.iter().all(|(.., (_, once))| *once);
        let spelled = |name: &str, escape| match escape {
            true => name.chars().map(|c| format!("\\u{:04x}", c as u32)).collect(),
            false => name.to_owned(),
        };
        let texts: Vec<String> = members
            .iter()
            .map(|(name, escape, (value, _))| format!("\"{}\":{value}", spelled(name, *escape)))
            .collect();
        (format!("{{{}}}", texts.join(",")), once)
    }

    /// Of each kind that claims are made of.
    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Word {
        Cat,
        Dog,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Wrapped(String);

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Typed {
        a: Option<i64>,
        b: Option<Vec<u32>>,
        #[serde(default)]
        c: BTreeMap<String, Value>,
        d: Option<Word>,
        e: Option<Wrapped>,
        f: Option<bool>,
        g: Option<u8>,
    }

    fn typed() -> impl Strategy<Value = String> {
        let value = prop_oneof![
            any::<i64>().prop_map(|n| n.to_string()),
            "-?[0-9]{1,3}",
            "[0-9]{17,21}",
            "[0-9]{1,2}(\\.[0-9]{1,2})?(e-?[0-9])?",
            Just("null".to_owned()),
            "true|false",
            "\"(cat|dog|cow)\"",
            "\"([a-z ]|\\\\n|\\\\u0061|\u{e9}|\u{1F408}|\u{7f}){0,6}\"",
            "\\[(1|20|300)?(,[0-9]{1,4}){0,3}\\]",
            "\\{(\"x\":1)?(,\"y\":\\[[0-9]?\\])?\\}",
        ];
        let blank = "[ \n\t\r]{0,2}|\u{a0}{0,1}";
        let member = ("[a-h]", value, blank).prop_map(|(name, value, blank)| {
            format!("{blank}\"{name}\"{blank}:{blank}{value}{blank}")
        });
        prop::collection::vec(member, 0..8).prop_map(|members| format!("{{{}}}", members.join(",")))
    }

    /// What is plain means the same to the strict reader.
    fn agree<'de, T: Deserialize<'de> + PartialEq + std::fmt::Debug>(
        text: &'de str,
        depth: usize,
    ) -> Result<bool, TestCaseError> {
        let plain = plainly::<T>(text, depth);
        let is_plain = plain.is_some();
        if let Some(plain) = plain {
            prop_assert_eq!(Ok(plain), strictly::<T>(text, depth), "{}", text);
        }
        Ok(is_plain)
    }

    #[test]
    fn what_signers_write_is_plain_and_odd_spellings_are_not() {
        for text in ["0", "-1", "123456789012345678", "true", "null", r#""é""#, " [ 1 , {} ] "] {
            assert!(plainly::<Value>(text, 8).is_some(), "{text}");
        }
        for text in [
            "-0",
            "00",
            "01",
            "1.0",
            "1e3",
            "1234567890123456789",
            "-",
            "tru",
            "nulll",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{\"a\":1,}",
            "{,}",
            "{\"a\" 1}",
            "\"\\n\"",
            "\"\t\"",
            "\"",
            "",
            "{",
            "[",
            "1 1",
            "\u{a0}1",
            "{a:1}",
            "{1:1}",
        ] {
            assert!(plainly::<Value>(text, 8).is_none(), "{text}");
        }
        assert_eq!(plainly::<Wrapped>(r#""x""#, 8), Some(Wrapped("x".into())));
        assert_eq!(plainly::<Word>(r#""cat""#, 8), Some(Word::Cat));
        assert!(plainly::<String>("1", 8).is_none() && plainly::<u64>(r#""1""#, 8).is_none());
        assert!(plainly::<Value>("[[1]]", 2).is_some() && plainly::<Value>("[[1]]", 1).is_none());
    }

    proptest! {
        #[test]
        fn a_plain_document_means_the_same_to_both_readers(
            (text, once) in document(),
            typed in typed(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), 0x20u8..0x7f), 0..3),
            depth in 0usize..6,
        ) {
            agree::<Value>(&text, depth)?;
            prop_assert!(once || !agree::<Value>(&text, 32)?);
            agree::<Typed>(&typed, depth)?;
            agree::<Value>(&typed, depth)?;
            for text in [text, typed] {
                let mut bytes = text.into_bytes();
                for (at, byte) in &changes {
                    let at = at.index(bytes.len());
                    bytes[at] = *byte;
                }
                if let Ok(text) = std::str::from_utf8(&bytes) {
                    agree::<Value>(text, depth)?;
                    agree::<Typed>(text, depth)?;
                    agree::<Value>(text, 32)?;
                    agree::<Typed>(text, 32)?;
                }
            }
        }

        #[test]
        fn a_document_is_read_exactly_when_every_name_is_given_once((text, once) in document()) {
            prop_assert_eq!(check_to_depth(text.as_bytes(), 32).is_ok(), once, "{}", text);
            let read = read_to_depth::<Value>(text.as_bytes(), 32);
            prop_assert_eq!(read.is_ok(), once);
            if let Ok(value) = read {
                prop_assert_eq!(value, serde_json::from_str::<Value>(&text).unwrap());
            }
        }
    }
}
