//! CloudEvents as a product sends them, checked as the server will check them
//! (as far as that needs no product file), so that what is answered `accepted`
//! here is not refused there for its form.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use tenure_license::{Digest, ledger};

use crate::{Error, error::Result, store::Incoming};

/// Events of one request at most.
pub const BATCH_EVENTS_MAX: usize = 1_000;
/// How far ahead a producer's clock may be.
pub const AHEAD_MAX: SignedDuration = SignedDuration::from_mins(5);
/// For how long an event may come late, in days: as long as the server knows it again.
pub const HORIZON_DAYS: i64 = 400;
const ATTRIBUTE_LEN_MAX: usize = 256;
const SOURCE_LEN_MAX: usize = 512;
const DATA_LEN_MAX: usize = 64 * 1024;
const EVENT_LEN_MAX: usize = DATA_LEN_MAX + 8 * 1024;

/// An event as it was read.
#[derive(Debug)]
pub struct Reading {
    /// Its id, where it has one.
    pub id: Option<String>,
    /// What is to be written down, or why it is not.
    pub event: std::result::Result<Incoming, Refusal>,
}

/// Why one event is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Stable: the server's words.
    pub reason: &'static str,
    /// What is wrong and what to do.
    pub detail: String,
}

#[derive(Deserialize)]
struct CloudEvent<'a> {
    specversion: Option<String>,
    id: Option<String>,
    source: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    subject: Option<String>,
    time: Option<String>,
    datacontenttype: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    data_base64: Option<&'a RawValue>,
}

/// Reads the body of a request: one event, or an array of them.
///
/// # Errors
/// When the whole body cannot be read, or holds too many.
pub fn read(body: &[u8], now: Timestamp) -> Result<Vec<Reading>> {
    let unreadable =
        |error: serde_json::Error| Error::refused("bad_json", format!("The body: {error}."));
    let events: Vec<&RawValue> = if body.trim_ascii_start().starts_with(b"[") {
        serde_json::from_slice(body).map_err(unreadable)?
    } else {
        vec![serde_json::from_slice(body).map_err(unreadable)?]
    };
    if events.len() > BATCH_EVENTS_MAX {
        let detail = format!(
            "The batch has {} events; send at most {BATCH_EVENTS_MAX} at once. Nothing was recorded.",
            events.len()
        );
        return Err(Error::refused("too_many_events", detail));
    }
    Ok(events.into_iter().map(|event| one(event, now)).collect())
}

fn refuse(reason: &'static str, detail: impl Into<String>) -> Refusal {
    Refusal { reason, detail: detail.into() }
}

fn one(raw: &RawValue, now: Timestamp) -> Reading {
    match serde_json::from_str::<CloudEvent<'_>>(raw.get()) {
        Ok(event) => Reading { id: event.id.clone(), event: check(raw, event, now) },
        Err(error) => {
            let text = error.to_string();
            let text = text.rfind(" at line ").map_or(&*text, |at| &text[..at]);
            let detail = format!("The event cannot be read: {text}.");
            Reading { id: None, event: Err(refuse("unreadable", detail)) }
        }
    }
}

fn check(
    raw: &RawValue,
    event: CloudEvent<'_>,
    now: Timestamp,
) -> std::result::Result<Incoming, Refusal> {
    if event.specversion.as_deref() != Some("1.0") {
        return Err(refuse("unsupported_specversion", "`specversion` must be \"1.0\"."));
    }
    let id = attribute(event.id, "id", ATTRIBUTE_LEN_MAX)?;
    let source = attribute(event.source, "source", SOURCE_LEN_MAX)?;
    let kind = attribute(event.kind, "type", ATTRIBUTE_LEN_MAX)?;
    let subject = match event.subject {
        Some(subject) => attribute(Some(subject), "subject", ATTRIBUTE_LEN_MAX)?,
        None => String::new(),
    };
    let json = event.datacontenttype.as_deref().is_none_or(|content| content.contains("json"));
    if event.data_base64.is_some() || !json {
        return Err(refuse("unsupported_data", "`data` must be JSON."));
    }
    let time = time(event.time, now)?;
    let data = event.data.map_or("null", RawValue::get);
    if data.len() > DATA_LEN_MAX || raw.get().len() > EVENT_LEN_MAX {
        return Err(refuse("too_long", format!("`data` is longer than {DATA_LEN_MAX} bytes.")));
    }
    strict(raw)?;
    let moment = time.as_microsecond().to_string();
    Ok(Incoming {
        key: digest(&[&source, &id]),
        payload: digest(&[&kind, &subject, &moment, &compact(data)]),
        source,
        event: raw.to_owned(),
    })
}

fn attribute(
    text: Option<String>,
    name: &'static str,
    len_max: usize,
) -> std::result::Result<String, Refusal> {
    match text {
        Some(text) if text.is_empty() => {
            Err(refuse("missing_attribute", format!("`{name}` must not be empty.")))
        }
        Some(text) if text.len() > len_max => {
            Err(refuse("too_long", format!("`{name}` is longer than {len_max} bytes.")))
        }
        Some(text) if text.chars().any(char::is_control) => {
            Err(refuse("bad_attribute", format!("`{name}` has control characters.")))
        }
        Some(text) => Ok(text),
        None => Err(refuse("missing_attribute", format!("`{name}` is required."))),
    }
}

fn time(time: Option<String>, now: Timestamp) -> std::result::Result<Timestamp, Refusal> {
    let Some(text) = time else {
        let detail = "`time` is required: when it happened, set by the producer.";
        return Err(refuse("missing_time", detail));
    };
    let time: Timestamp = text.parse().map_err(|_| {
        refuse("bad_time", "`time` must be RFC 3339, such as 2026-03-01T12:00:00Z.")
    })?;
    if time > now.checked_add(AHEAD_MAX).unwrap_or(Timestamp::MAX) {
        let detail = format!("`time` is more than 5 minutes ahead of {now}.");
        return Err(refuse("in_future", detail));
    }
    let horizon = SignedDuration::from_hours(24 * HORIZON_DAYS);
    if time < now.checked_sub(horizon).unwrap_or(Timestamp::MIN) {
        let detail = format!("The event is more than {HORIZON_DAYS} days old.");
        return Err(refuse("too_old", detail));
    }
    Ok(time)
}

/// A report is refused whole when one event in it has a key twice or is nested
/// too deeply; so such an event must not get in. Asked of the report's own reader.
fn strict(raw: &RawValue) -> std::result::Result<(), Refusal> {
    let content = format!(r#"{{"at":"1970-01-01T00:00:00Z","events":[{}]}}"#, raw.get());
    let line = ledger::Line { seq: 1, hash: Digest::sha256(b""), content };
    line.read().map(drop).map_err(|error| {
        let error = error.rfind(" at line ").map_or(&*error, |at| &error[..at]);
        refuse("unreadable", format!("The event cannot be read: {error}."))
    })
}

/// Valid JSON without the blanks between its tokens, which say nothing.
fn compact(json: &str) -> String {
    let (mut inside, mut escaped) = (false, false);
    let mut says = |letter: char| {
        let blank = !inside && letter.is_ascii_whitespace();
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = inside,
            '"' => inside = !inside,
            _ => (),
        }
        !blank
    };
    json.chars().filter(|letter| says(*letter)).collect()
}

/// SHA-256 over the parts, each with its length.
fn digest(parts: &[&str]) -> Digest {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    Digest::sha256(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn event(more: &str) -> String {
        format!(
            r#"{{"specversion":"1.0","id":"a","source":"/s","type":"run","time":"2026-03-01T11:00:00Z"{more}}}"#
        )
    }

    fn reason(body: &str) -> Option<&'static str> {
        let mut all = read(body.as_bytes(), now()).unwrap();
        all.remove(0).event.err().map(|refusal| refusal.reason)
    }

    #[test]
    fn an_event_is_kept_byte_for_byte() {
        let body = event(r#","data":{"n":123456789012345.123456, "unit":"x"}"#);
        let kept = read(body.as_bytes(), now()).unwrap().remove(0).event.unwrap();
        assert_eq!(kept.event.get(), body);
    }

    #[test]
    fn what_the_vendor_would_refuse_for_its_form_is_refused_at_once() {
        assert_eq!(reason(&event("")), None);
        assert_eq!(reason(&event(r#","data":{"n":1,"n":2}"#)), Some("unreadable"));
        let deep = format!(r#","data":{}1{}"#, "[".repeat(6), "]".repeat(6));
        assert_eq!(reason(&event(&deep)), Some("unreadable"));
        assert_eq!(reason(&event(r#","data_base64":"AA==""#)), Some("unsupported_data"));
        assert_eq!(reason(&event("").replace("11:00", "12:06")), Some("in_future"));
        assert_eq!(reason(&event("").replace("2026-03", "2025-01")), Some("too_old"));
        assert_eq!(reason(&event("").replace("\"a\"", "\"\"")), Some("missing_attribute"));
        assert_eq!(reason("[3]"), Some("unreadable"));
    }

    #[test]
    fn a_name_belongs_to_its_source_and_content_is_compared() {
        let of = |body: String| read(body.as_bytes(), now()).unwrap().remove(0).event.unwrap();
        let (one, other) = (of(event("")), of(event(r#","data":{"n":1}"#)));
        assert_eq!(one.key, other.key);
        assert_ne!(one.payload, other.payload);
        assert_ne!(one.key, of(event("").replace("/s", "/t")).key);
        let spaced = of(event(r#","data": {"n" : 1}"#));
        assert_eq!(other.payload, spaced.payload, "blanks say nothing");
        let within = of(event(r#","data":{"n":"a \" b"}"#));
        assert_ne!(within.payload, of(event(r#","data":{"n":"a\" b"}"#)).payload);
    }
}
