//! CloudEvents 1.0 as they arrive: one, a batch, or an event in headers.
//!
//! Everything borrows from the request's body. Refuses (for the whole request)
//! what is no JSON, other content types, and more than the named limits;
//! what is wrong with one event is told for that event alone.

use std::{borrow::Cow, fmt};

use axum::http::{HeaderMap, header};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, Visitor},
};
use serde_json::value::RawValue;

use super::EVENTS_MAX;
use crate::http::Problem;

/// How the body holds events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// One event, as a JSON object.
    Single,
    /// A JSON array of events.
    Batch,
    /// An object or an array, by what it begins with.
    Either,
    /// A JSON object a line.
    Lines,
    /// Attributes in `ce-*` headers, the body is the data.
    Binary,
}

/// What the headers say.
pub(super) fn mode(headers: &HeaderMap, body_is_empty: bool) -> Result<Mode, Problem> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence =
        given.map(|text| text.split(';').next().unwrap_or("").trim().to_ascii_lowercase());
    let binary = headers.contains_key("ce-specversion") || headers.contains_key("ce-id");
    match essence.as_deref() {
        Some("application/cloudevents+json") => Ok(Mode::Single),
        Some("application/cloudevents-batch+json") => Ok(Mode::Batch),
        Some("application/x-ndjson" | "application/ndjson" | "application/cloudevents+ndjson") => {
            Ok(Mode::Lines)
        }
        Some("application/json") if binary => Ok(Mode::Binary),
        Some(text) if binary && text.ends_with("+json") => Ok(Mode::Binary),
        Some("application/json") => Ok(Mode::Either),
        None if binary && body_is_empty => Ok(Mode::Binary),
        _ => Err(Problem::unsupported_media_type(
            "Send CloudEvents as application/cloudevents+json (one), application/cloudevents-batch+json \
             (several), application/x-ndjson (one a line), application/json (one or several), or in \
             binary mode: ce-* headers with JSON data.",
        )),
    }
}

/// A text that borrows unless it has escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrow;
        impl<'de> Visitor<'de> for Borrow {
            type Value = Cow<'de, str>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
                Ok(Cow::Borrowed(text))
            }
            fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }
        deserializer.deserialize_str(Borrow).map(Text)
    }
}

/// A number that was written as a text, as CloudEvents has it, or as a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Digits<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Digits<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        if raw.starts_with('"') {
            let text: Text<'_> = serde_json::from_str(raw).map_err(D::Error::custom)?;
            return Ok(Self(text.0));
        }
        Ok(Self(Cow::Borrowed(raw)))
    }
}

/// The attributes that Tenure reads; others are extensions and pass by.
#[derive(Debug, Default, Deserialize)]
pub(super) struct CloudEvent<'a> {
    #[serde(borrow, default)]
    pub(super) specversion: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) source: Option<Text<'a>>,
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) subject: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) time: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) datacontenttype: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) data_base64: Option<&'a RawValue>,
    /// The extension of numbered events.
    #[serde(borrow, default)]
    pub(super) sequence: Option<Digits<'a>>,
    /// `Integer` says that `sequence` counts by one.
    #[serde(borrow, default)]
    pub(super) sequencetype: Option<Text<'a>>,
    /// Begins the numbers anew.
    #[serde(borrow, default)]
    pub(super) epoch: Option<Digits<'a>>,
}

/// An event, or why this one cannot be read.
pub(super) type Arrived<'a> = Result<CloudEvent<'a>, String>;

/// The events of a request, in order.
pub(super) fn read<'a>(
    headers: &HeaderMap,
    body: &'a [u8],
    mode: Mode,
) -> Result<Vec<Arrived<'a>>, Problem> {
    let mode = match mode {
        Mode::Either if body.trim_ascii_start().starts_with(b"[") => Mode::Batch,
        Mode::Either => Mode::Single,
        other => other,
    };
    match mode {
        Mode::Batch => batch(body),
        Mode::Lines => lines(body),
        Mode::Binary => Ok(vec![from_headers(headers, body)?]),
        Mode::Single | Mode::Either => {
            let one: &RawValue = serde_json::from_slice(body).map_err(not_json)?;
            if !one.get().starts_with('{') {
                return Err(Problem::bad_request("One CloudEvent is a JSON object."));
            }
            Ok(vec![element(one)])
        }
    }
}

fn not_json(error: serde_json::Error) -> Problem {
    Problem::bad_request(format!("The body is not valid JSON: {error}."))
}

fn batch(body: &[u8]) -> Result<Vec<Arrived<'_>>, Problem> {
    let all: Vec<&RawValue> = serde_json::from_slice(body).map_err(not_json)?;
    if all.len() > EVENTS_MAX {
        return Err(too_many(all.len()));
    }
    Ok(all.into_iter().map(element).collect())
}

fn too_many(events: usize) -> Problem {
    Problem::too_large(format!(
        "The batch has {events} events; send at most {EVENTS_MAX} at once. Nothing was recorded."
    ))
}

/// Lines are independent: one that is no JSON leaves the others readable.
fn lines(body: &[u8]) -> Result<Vec<Arrived<'_>>, Problem> {
    let filled = || body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let count = filled().count();
    if count > EVENTS_MAX {
        return Err(too_many(count));
    }
    Ok(filled().map(|line| serde_json::from_slice(line).map_err(unreadable)).collect())
}

pub(super) fn element(raw: &RawValue) -> Arrived<'_> {
    serde_json::from_str(raw.get()).map_err(unreadable)
}

#[allow(clippy::needless_pass_by_value, reason = "map_err hands it over")]
fn unreadable(error: serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rfind(" at line ").map_or(&*text, |at| &text[..at]);
    format!("The event cannot be read: {text}.")
}

fn from_headers<'a>(headers: &HeaderMap, body: &'a [u8]) -> Result<Arrived<'a>, Problem> {
    let data: Option<&RawValue> = match body {
        [] => None,
        some => Some(serde_json::from_slice(some).map_err(not_json)?),
    };
    let attribute = |name: &str| -> Result<Option<Text<'a>>, String> {
        let Some(value) = headers.get(name) else { return Ok(None) };
        let text = value.to_str().ok().and_then(percent_decoded);
        let text = text.ok_or_else(|| format!("The header {name} is no percent-encoded text."))?;
        Ok(Some(Text(Cow::Owned(text))))
    };
    let read = || {
        Ok(CloudEvent {
            specversion: attribute("ce-specversion")?,
            id: attribute("ce-id")?,
            source: attribute("ce-source")?,
            kind: attribute("ce-type")?,
            subject: attribute("ce-subject")?,
            time: attribute("ce-time")?,
            data,
            sequence: attribute("ce-sequence")?.map(|text| Digits(text.0)),
            sequencetype: attribute("ce-sequencetype")?,
            epoch: attribute("ce-epoch")?.map(|text| Digits(text.0)),
            ..CloudEvent::default()
        })
    };
    Ok(read())
}

/// The text behind percent-encoding, as the HTTP binding of CloudEvents wants it.
fn percent_decoded(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first != b'%' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let digits = std::str::from_utf8(after.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &after[2..];
    }
    String::from_utf8(bytes).ok()
}

/// A member of a JSON object, as it stands in the text; `None` when absent.
///
/// # Errors
/// When `data` is no object, or has the member twice.
pub(super) fn member<'a>(data: &'a RawValue, name: &str) -> Result<Option<&'a RawValue>, String> {
    struct Find<'n>(&'n str);
    impl<'de> Visitor<'de> for Find<'_> {
        type Value = Option<&'de RawValue>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(
            self,
            mut map: A,
        ) -> Result<Self::Value, A::Error> {
            let mut found = None;
            while let Some(key) = map.next_key::<Text<'de>>()? {
                if key.0 != self.0 {
                    map.next_value::<serde::de::IgnoredAny>()?;
                } else if found.replace(map.next_value::<&'de RawValue>()?).is_some() {
                    return Err(A::Error::custom("given twice"));
                }
            }
            Ok(found)
        }
    }
    let mut reader = serde_json::Deserializer::from_str(data.get());
    reader.deserialize_map(Find(name)).map_err(|error| match error.is_data() {
        true if error.to_string().starts_with("given twice") => {
            format!("`data` has `{name}` twice.")
        }
        _ => format!("`data` must be a JSON object with `{name}`."),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_borrow_unless_they_have_escapes() {
        let plain: CloudEvent<'_> =
            serde_json::from_str(r#"{"id": "a", "source": "b\n"}"#).unwrap();
        assert!(matches!(plain.id, Some(Text(Cow::Borrowed("a")))));
        assert!(matches!(plain.source, Some(Text(Cow::Owned(text))) if text == "b\n"));
    }

    #[test]
    fn one_unreadable_event_leaves_the_others_readable() {
        let body = br#"[{"id": "a"}, {"id": 7}, 3, {"id": "b", "id": "c"}]"#;
        let all = read(&HeaderMap::new(), body, Mode::Batch).unwrap();
        let ok: Vec<bool> = all.iter().map(Result::is_ok).collect();
        assert_eq!(ok, [true, false, false, false]);
    }

    #[test]
    fn a_line_that_cannot_be_read_leaves_the_others_readable() {
        let body = b"{\"id\": \"a\"}\r\n\n{\"id\":\n{\"id\": \"b\"} x\n{\"id\": \"c\"}";
        let all = read(&HeaderMap::new(), body, Mode::Lines).unwrap();
        let ok: Vec<bool> = all.iter().map(Result::is_ok).collect();
        assert_eq!(ok, [true, false, false, true]);
    }

    #[test]
    fn members_are_found_as_they_are_written() {
        let data: Box<RawValue> =
            serde_json::from_str(r#"{"a": {"n": 1}, "n": 1.50, "m": 1, "m": 2}"#).unwrap();
        assert_eq!(member(&data, "n").unwrap().unwrap().get(), "1.50");
        assert!(member(&data, "m").unwrap_err().contains("twice"));
        assert!(member(&data, "x").unwrap().is_none());
        let list: Box<RawValue> = serde_json::from_str("[1]").unwrap();
        assert!(member(&list, "n").is_err());
    }

    #[test]
    fn header_values_are_percent_decoded() {
        assert_eq!(percent_decoded("a%20b%C3%A9").as_deref(), Some("a b\u{e9}"));
        assert_eq!(percent_decoded("100%"), None);
    }
}
