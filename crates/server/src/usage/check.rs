//! Whether one event can be recorded, and what of it each meter counts.

use std::{borrow::Cow, collections::BTreeMap};

use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;
use tenure_catalog::{Aggregation, Meter};
use tenure_core::{Quantity, SubscriptionStatus, TenantId};
use tenure_license::Digest;
use uuid::Uuid;

use super::event::{CloudEvent, Digits, Text, member};
use crate::subscriptions::entitlements::Situation;

/// Longest `id`, `type` and `subject`, in bytes.
const ATTRIBUTE_LEN_MAX: usize = 256;
/// Longest `source`, in bytes.
const SOURCE_LEN_MAX: usize = 512;
/// Longest value that a `unique` meter counts once, in bytes.
const MEMBER_LEN_MAX: usize = 256;
/// Longest value of a dimension, in bytes.
const DIMENSION_LEN_MAX: usize = 64;
/// Most digits of `sequence` and `epoch`.
const DIGITS_MAX: usize = 18;
/// Longest `data`, in bytes.
const DATA_LEN_MAX: usize = 64 * 1024;
/// How far ahead a producer's clock may be.
pub(super) const AHEAD_MAX: SignedDuration = SignedDuration::from_mins(5);
/// For how long an event may come late: as long as it would be recognised when
/// it comes twice (SPEC 12 of the design: the dedupe horizon).
pub const HORIZON_DAYS: i64 = 400;
/// A suggestion is at least this much alike.
const LIKENESS_MIN: f64 = 0.6;

/// Why an event is not recorded.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Stable: programs may compare it.
    pub(super) reason: &'static str,
    pub(super) detail: String,
}

fn refuse(reason: &'static str, detail: impl Into<String>) -> Refusal {
    Refusal { reason, detail: detail.into() }
}

/// What one meter counts of an event.
#[derive(Debug)]
pub(super) struct Reading<'a, 's> {
    pub(super) meter_id: i32,
    pub(super) meter: &'s Meter,
    pub(super) quantity: Decimal,
    pub(super) member: Option<Cow<'a, str>>,
    /// By what the meter tells its events apart; empty when it does not.
    pub(super) dimension: String,
}

/// An event that names itself well.
#[derive(Debug)]
pub(super) struct Checked<'a> {
    pub(super) id: Cow<'a, str>,
    pub(super) source: Cow<'a, str>,
    /// Epoch and number, when its producer numbers its events.
    pub(super) sequence: Option<(i64, i64)>,
    /// In whole microseconds, as stored.
    pub(super) time: Timestamp,
    /// Names the event: it counts once.
    pub(super) key: Uuid,
    /// Tells a repetition from another event under the same name.
    pub(super) payload: i64,
    /// Why it is not recorded all the same: only of numbered events, whose
    /// number is used up by that.
    pub(super) refusal: Option<Refusal>,
    /// The event that it takes back.
    pub(super) target: Option<Target<'a>>,
}

/// Names an event that was recorded before.
#[derive(Debug, Clone)]
pub(super) struct Target<'a> {
    pub(super) source: Cow<'a, str>,
    /// What its product called it, where that names it.
    pub(super) id: Option<Cow<'a, str>>,
    /// Epoch and number, if its producer numbers its events.
    pub(super) sequence: Option<(i64, i64)>,
    pub(super) key: Uuid,
}

/// Checks events of one request.
pub(super) struct Checker<'s> {
    situation: &'s Situation,
    now: Timestamp,
    oldest: Timestamp,
    /// Of a subscription that is over: what was used from here on is nobody's.
    ended: Option<Timestamp>,
    /// Reused for every hash.
    buffer: Vec<u8>,
}

impl<'s> Checker<'s> {
    pub(super) fn new(situation: &'s Situation, now: Timestamp) -> Self {
        let horizon = SignedDuration::from_hours(24 * HORIZON_DAYS);
        let oldest = now.checked_sub(horizon).unwrap_or(Timestamp::MIN);
        let of = &situation.subscription;
        let over = of.status == SubscriptionStatus::Cancelled;
        let ended = of.cancelled_at.filter(|_| over);
        Self { situation, now, oldest, ended, buffer: Vec::with_capacity(1024) }
    }

    /// The event, with its readings appended to `readings`; when it is refused,
    /// `readings` is as before.
    pub(super) fn check<'a>(
        &mut self,
        mut event: CloudEvent<'a>,
        readings: &mut Vec<Reading<'a, 's>>,
    ) -> Result<Checked<'a>, Refusal> {
        let version = event.specversion.as_ref().map(|text| &*text.0);
        if version != Some("1.0") {
            let detail = "`specversion` must be \"1.0\".";
            return Err(refuse("unsupported_specversion", detail));
        }
        let id = attribute(event.id.take(), "id", ATTRIBUTE_LEN_MAX)?;
        let source = attribute(event.source.take(), "source", SOURCE_LEN_MAX)?;
        let sequence = sequence(&event)?;
        let before = readings.len();
        let content = self.content(event, readings);
        let key = match sequence {
            Some((epoch, number)) => self.number(&source, epoch, number),
            None => self.key(&source, &id),
        };
        match content {
            Ok(Content { time, payload, target }) => {
                let payload = payload.hash(&mut self.buffer, sequence.map(|_| &*id));
                Ok(Checked { id, source, sequence, time, key, payload, refusal: None, target })
            }
            Err(refusal) => {
                readings.truncate(before);
                if sequence.is_none() {
                    return Err(refusal);
                }
                let refusal = Some(refusal);
                let time = self.now;
                let (payload, target) = (0, None);
                Ok(Checked { id, source, sequence, time, key, payload, refusal, target })
            }
        }
    }

    /// When it happened, and what it says.
    fn content<'a>(
        &mut self,
        event: CloudEvent<'a>,
        readings: &mut Vec<Reading<'a, 's>>,
    ) -> Result<Content<'a>, Refusal> {
        let kind = attribute(event.kind, "type", ATTRIBUTE_LEN_MAX)?;
        let subject = match event.subject {
            Some(text) => Some(attribute(Some(text), "subject", ATTRIBUTE_LEN_MAX)?),
            None => None,
        };
        let content = event.datacontenttype.as_ref().map_or("application/json", |text| &text.0);
        if event.data_base64.is_some() || !content.contains("json") {
            return Err(refuse("unsupported_data", "`data` must be JSON."));
        }
        let time = self.time(event.time)?;
        let data = event.data.filter(|data| data.get() != "null");
        if data.is_some_and(|data| data.get().len() > DATA_LEN_MAX) {
            let detail = format!("`data` is longer than {DATA_LEN_MAX} bytes.");
            return Err(refuse("too_long", detail));
        }
        let subscription = self.situation.subscription.id.uuid();
        let mut content = Content { time, payload: Payload::default(), target: None };
        match &*kind {
            VOID => content.target = Some(self.void(parsed(data, VOID)?)?),
            AMEND => {
                let amend: AmendData<'a> = parsed(data, AMEND)?;
                content.target = Some(self.void(amend.void)?);
                content.time = self.time(amend.event.time)?;
                self.before_end(content.time)?;
                let kind = attribute(amend.event.kind, "type", ATTRIBUTE_LEN_MAX)?;
                self.read(&kind, amend.event.data, readings)?;
            }
            _ => {
                self.before_end(time)?;
                self.read(&kind, data, readings)?;
            }
        }
        content.payload = Payload { subscription, kind, subject, time: Some(time), data };
        Ok(content)
    }

    /// The event that is to be taken back.
    fn void<'a>(&mut self, data: VoidData<'a>) -> Result<Target<'a>, Refusal> {
        let source = attribute(Some(data.source), "data.source", SOURCE_LEN_MAX)?;
        let (id, sequence, key) = match (data.id, data.sequence) {
            (Some(id), None) => {
                let id = attribute(Some(id), "data.id", ATTRIBUTE_LEN_MAX)?;
                let key = self.key(&source, &id);
                (Some(id), None, key)
            }
            (None, Some(Digits(number))) => {
                let number = whole(&number, "sequence", 1)?;
                let epoch = data.epoch.map_or(Ok(0), |Digits(epoch)| whole(&epoch, "epoch", 0))?;
                (None, Some((epoch, number)), self.number(&source, epoch, number))
            }
            _ => {
                let detail = "Name the event by `source` and either `id` or, if its producer \
                              numbers its events, `sequence` (and `epoch`).";
                return Err(refuse("bad_data", detail));
            }
        };
        Ok(Target { source, id, sequence, key })
    }

    fn time(&self, time: Option<Text<'_>>) -> Result<Timestamp, Refusal> {
        let Some(Text(text)) = time else {
            let detail = "`time` is required: when it happened, set by the producer.";
            return Err(refuse("missing_time", detail));
        };
        let time: Timestamp = text.parse().map_err(|_| {
            refuse("bad_time", "`time` must be RFC 3339, such as 2026-03-01T12:00:00Z.")
        })?;
        let time = Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time);
        let ahead = self.now.checked_add(AHEAD_MAX).unwrap_or(Timestamp::MAX);
        if time > ahead {
            let detail = format!("`time` is more than 5 minutes ahead of {}.", self.now);
            return Err(refuse("in_future", detail));
        }
        if time < self.oldest {
            let detail = format!(
                "The event is more than {HORIZON_DAYS} days old; older usage can no longer be \
                 told from a repetition. Contact {}.",
                self.situation.catalog.product.sales_contact
            );
            return Err(refuse("too_old", detail));
        }
        let start = self.situation.subscription.anchor;
        if time < start {
            let detail = format!("The subscription began at {start}; the event is older.");
            return Err(refuse("before_subscription", detail));
        }
        Ok(time)
    }

    /// Late usage of a subscription that is over is settled; later usage is not its own. (What
    /// takes an event back may be said at any time.)
    fn before_end(&self, time: Timestamp) -> Result<(), Refusal> {
        match self.ended.filter(|ended| *ended <= time) {
            None => Ok(()),
            Some(ended) => {
                let detail = format!(
                    "The subscription ended at {ended} and takes no usage of later times. \
                     Contact {}.",
                    self.situation.catalog.product.sales_contact
                );
                Err(refuse("after_subscription", detail))
            }
        }
    }

    /// What each meter of the type counts.
    fn read<'a>(
        &self,
        kind: &str,
        data: Option<&'a RawValue>,
        readings: &mut Vec<Reading<'a, 's>>,
    ) -> Result<(), Refusal> {
        let mut known = false;
        for meter in &self.situation.catalog.product.meters {
            if meter.event_type != kind {
                continue;
            }
            known = true;
            if !selects(meter, data)? {
                continue;
            }
            let number = self.situation.catalog.meters.get(&meter.id);
            let meter_id = *number.ok_or_else(|| {
                refuse("unknown_type", format!("The meter `{}` is not known here.", meter.id))
            })?;
            let (quantity, member) = reading(meter, data)?;
            let dimension = dimension(meter, data)?;
            readings.push(Reading { meter_id, meter, quantity, member, dimension });
        }
        if known { Ok(()) } else { Err(self.unknown(kind)) }
    }

    fn unknown(&self, kind: &str) -> Refusal {
        let product = &self.situation.catalog.product;
        let mut known: Vec<&str> = product.meters.iter().map(|m| m.event_type.as_str()).collect();
        known.sort_unstable();
        known.dedup();
        let like = |name: &&str| strsim::normalized_damerau_levenshtein(kind, name);
        let nearest = known.iter().copied().max_by(|a, b| like(a).total_cmp(&like(b)));
        let hint = match nearest.filter(|name| like(name) >= LIKENESS_MIN) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("there are: {}.", known.join(", ")),
        };
        let detail = format!("No meter of {} counts `{kind}`; {hint}", product.name);
        refuse("unknown_type", detail)
    }

    fn key(&mut self, source: &str, id: &str) -> Uuid {
        let tenant = self.situation.tenant.id;
        name_of_id(&mut self.buffer, tenant, source, id)
    }

    fn number(&mut self, source: &str, epoch: i64, number: i64) -> Uuid {
        let tenant = self.situation.tenant.id;
        name_of_number(&mut self.buffer, tenant, source, epoch, number)
    }
}

/// What names an event of the key lane: the first 16 bytes of SHA-256 over the
/// length-prefixed (tenant, source, id).
pub(super) fn name_of_id(buffer: &mut Vec<u8>, tenant: TenantId, source: &str, id: &str) -> Uuid {
    name(buffer, tenant, &[source.as_bytes(), id.as_bytes()])
}

/// What names an event of the numbered lane: as with an id, of (tenant, source,
/// epoch, number); one part more, so it is never the name of an id.
pub(super) fn name_of_number(
    buffer: &mut Vec<u8>,
    tenant: TenantId,
    source: &str,
    epoch: i64,
    number: i64,
) -> Uuid {
    name(buffer, tenant, &[source.as_bytes(), &epoch.to_be_bytes(), &number.to_be_bytes()])
}

fn name(buffer: &mut Vec<u8>, tenant: TenantId, parts: &[&[u8]]) -> Uuid {
    buffer.clear();
    put(buffer, tenant.uuid().as_bytes());
    for part in parts {
        put(buffer, part);
    }
    let digest = Digest::sha256(buffer);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_bytes()[..16]);
    Uuid::from_bytes(bytes)
}

fn put(buffer: &mut Vec<u8>, bytes: &[u8]) {
    buffer.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
    buffer.extend_from_slice(bytes);
}

/// The type of an event that takes another back.
const VOID: &str = "tenure.void";
/// The type of an event that puts another in the place of one.
const AMEND: &str = "tenure.amend";

/// The data of [`VOID`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VoidData<'a> {
    #[serde(borrow)]
    source: Text<'a>,
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    epoch: Option<Digits<'a>>,
    #[serde(borrow, default)]
    sequence: Option<Digits<'a>>,
}

/// The data of [`AMEND`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AmendData<'a> {
    #[serde(borrow)]
    void: VoidData<'a>,
    #[serde(borrow)]
    event: Instead<'a>,
}

/// What stands in the place of an event. Its name is that of the amendment.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Instead<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    time: Option<Text<'a>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

fn parsed<'a, T: Deserialize<'a>>(data: Option<&'a RawValue>, kind: &str) -> Result<T, Refusal> {
    serde_json::from_str(data.map_or("null", RawValue::get)).map_err(|error| {
        let text = error.to_string();
        let text = text.rfind(" at line ").map_or(&*text, |at| &text[..at]);
        refuse("bad_data", format!("The data of {kind} cannot be read: {text}."))
    })
}

/// What an event that can be recorded holds.
struct Content<'a> {
    /// When what its meters count happened.
    time: Timestamp,
    payload: Payload<'a>,
    target: Option<Target<'a>>,
}

/// What an event says.
#[derive(Default)]
struct Payload<'a> {
    subscription: Uuid,
    kind: Cow<'a, str>,
    subject: Option<Cow<'a, str>>,
    time: Option<Timestamp>,
    data: Option<&'a RawValue>,
}

impl Payload<'_> {
    /// First 8 bytes of SHA-256 over it, and over its id where its name is a
    /// number. Blanks between the tokens of `data` say nothing.
    fn hash(&self, buffer: &mut Vec<u8>, id: Option<&str>) -> i64 {
        buffer.clear();
        put(buffer, self.subscription.as_bytes());
        put(buffer, self.kind.as_bytes());
        put(buffer, self.subject.as_deref().unwrap_or_default().as_bytes());
        let time = self.time.unwrap_or_default();
        buffer.extend_from_slice(&time.as_microsecond().to_be_bytes());
        if let Some(id) = id {
            put(buffer, id.as_bytes());
        }
        if let Some(data) = self.data {
            compact(data.get(), buffer);
        }
        let digest = Digest::sha256(buffer);
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&digest.as_bytes()[..8]);
        i64::from_be_bytes(bytes)
    }
}

/// A whole number from `from`.
fn whole(text: &str, name: &str, from: i64) -> Result<i64, Refusal> {
    let plain = text.len() <= DIGITS_MAX && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = text.parse::<i64>().ok().filter(|value| plain && *value >= from);
    value.ok_or_else(|| {
        let detail = format!("`{name}` must be a whole number from {from}, as a text.");
        refuse("bad_sequence", detail)
    })
}

/// Epoch and number of an event whose producer numbers its events.
fn sequence(event: &CloudEvent<'_>) -> Result<Option<(i64, i64)>, Refusal> {
    let counts = event.sequencetype.as_ref().is_some_and(|text| text.0 == "Integer");
    let Some(Digits(number)) = event.sequence.as_ref().filter(|_| counts) else { return Ok(None) };
    let number = whole(number, "sequence", 1)?;
    let epoch = match &event.epoch {
        Some(Digits(epoch)) => whole(epoch, "epoch", 0)?,
        None => 0,
    };
    Ok(Some((epoch, number)))
}

/// Valid JSON without the blanks between its tokens.
fn compact(json: &str, into: &mut Vec<u8>) {
    let (mut inside, mut escaped) = (false, false);
    for byte in json.bytes() {
        if !inside && byte.is_ascii_whitespace() {
            continue;
        }
        into.push(byte);
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            _ => {}
        }
    }
}

fn attribute<'a>(
    given: Option<Text<'a>>,
    name: &'static str,
    len_max: usize,
) -> Result<Cow<'a, str>, Refusal> {
    let Some(Text(text)) = given.filter(|text| !text.0.is_empty()) else {
        return Err(refuse("missing_attribute", format!("`{name}` is required.")));
    };
    plain(text, name, len_max)
}

/// A text within its limit, without what no database and no terminal takes.
fn plain<'a>(text: Cow<'a, str>, name: &str, len_max: usize) -> Result<Cow<'a, str>, Refusal> {
    if text.len() > len_max {
        return Err(refuse("too_long", format!("`{name}` is longer than {len_max} bytes.")));
    }
    if text.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(refuse("bad_text", format!("`{name}` has control characters.")));
    }
    Ok(text)
}

/// A member of `data` as a text; nothing when it is absent, or no text, number or flag.
fn text_of<'a>(data: Option<&'a RawValue>, field: &str) -> Result<Option<Cow<'a, str>>, Refusal> {
    let Some(data) = data else { return Ok(None) };
    let found = member(data, field).map_err(|detail| refuse("bad_data", detail))?;
    let Some(raw) = found.filter(|raw| !raw.get().starts_with(['{', '[', 'n'])) else {
        return Ok(None);
    };
    if raw.get().starts_with('"') {
        let text: Text<'a> = serde_json::from_str(raw.get())
            .map_err(|_| refuse("bad_data", format!("`data.{field}` is no text.")))?;
        return Ok(Some(text.0));
    }
    Ok(Some(Cow::Borrowed(raw.get())))
}

/// Whether a meter counts an event with this data.
fn selects(meter: &Meter, data: Option<&RawValue>) -> Result<bool, Refusal> {
    for (field, texts) in &meter.only {
        let found = text_of(data, field)?;
        if !found.is_some_and(|found| texts.iter().any(|text| *text == found)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// By what a meter tells the event apart: the dimensions that it has, as JSON.
fn dimension(meter: &Meter, data: Option<&RawValue>) -> Result<String, Refusal> {
    let mut found = BTreeMap::new();
    for field in &meter.dimensions {
        if let Some(text) = text_of(data, field)? {
            found.insert(field, plain(text, field, DIMENSION_LEN_MAX)?);
        }
    }
    if found.is_empty() {
        return Ok(String::new());
    }
    serde_json::to_string(&found)
        .map_err(|_| refuse("bad_data", "The dimensions cannot be written down."))
}

/// The value that a meter reads of an event's data.
fn reading<'a>(
    meter: &Meter,
    data: Option<&'a RawValue>,
) -> Result<(Decimal, Option<Cow<'a, str>>), Refusal> {
    let Some(field) = meter.aggregation.field() else { return Ok((Decimal::ONE, None)) };
    let missing = || refuse("missing_field", format!("`data.{field}` is required."));
    let found = member(data.ok_or_else(missing)?, field);
    let raw = found.map_err(|detail| refuse("bad_data", detail))?.ok_or_else(missing)?;
    let text: Cow<'a, str> = if raw.get().starts_with('"') {
        let text: Text<'a> = serde_json::from_str(raw.get())
            .map_err(|_| refuse("bad_data", format!("`data.{field}` is no text.")))?;
        text.0
    } else {
        Cow::Borrowed(raw.get())
    };
    if matches!(meter.aggregation, Aggregation::Unique { .. }) {
        if text.is_empty() || text.starts_with(['{', '[']) || matches!(raw.get(), "null") {
            let detail = format!("`data.{field}` must be a text or a number.");
            return Err(refuse("bad_value", detail));
        }
        let member = plain(text, field, MEMBER_LEN_MAX)?;
        return Ok((Decimal::ONE, Some(member)));
    }
    let quantity: Quantity = text
        .parse()
        .map_err(|error| refuse("bad_quantity", format!("`data.{field}`: {error}.")))?;
    Ok((quantity.value(), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_between_tokens_say_nothing_and_blanks_in_texts_do() {
        let compacted = |json: &str| {
            let mut bytes = Vec::new();
            compact(json, &mut bytes);
            String::from_utf8(bytes).unwrap()
        };
        assert_eq!(compacted("{ \"a b\" :\n [1, 2] }"), r#"{"a b":[1,2]}"#);
        assert_eq!(compacted(r#"{"a": "\" x"}"#), r#"{"a":"\" x"}"#);
    }
}
