//! What people read. Pure: the same facts give the same text.

use jiff::{Timestamp, tz::TimeZone};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Value, json};
use tenure_license::{State, enforcement::Action};

use crate::{
    machine::Phase,
    store::{LedgerRow, Sent, Unreported},
    view::{Notice, UNLICENSED, View},
};

/// Messages that the screen shows; `--json` has them all.
const SENT_SHOWN: usize = 10;

/// Everything that `status` knows.
#[derive(Debug)]
pub struct Status {
    /// When it was looked.
    pub now: Timestamp,
    /// Whether an agent holds the data directory.
    pub running: bool,
    /// Id of the product.
    pub product: String,
    /// The license service.
    pub server: Option<String>,
    /// When it answered last.
    pub contact: Option<Timestamp>,
    /// The usage ledger.
    pub ledger: Option<LedgerRow>,
    /// What is not counted yet.
    pub unreported: Unreported,
    /// Bytes of the database.
    pub used_bytes: u64,
    /// Bytes that it may have.
    pub used_bytes_max: u64,
    /// What people should know.
    pub notices: Vec<Notice>,
    /// What is held.
    pub view: View,
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let state = &self.view.state;
        let verdict = self.view.verdict(self.now);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("now", &self.now)?;
        map.serialize_entry("running", &self.running)?;
        map.serialize_entry("product", &self.product)?;
        map.serialize_entry("state", self.view.word(self.now))?;
        map.serialize_entry("reason", &verdict.as_ref().map(|v| v.reason))?;
        map.serialize_entry("until", &verdict.as_ref().and_then(|v| v.until))?;
        map.serialize_entry("clock_suspect", &verdict.is_some_and(|v| v.clock_suspect))?;
        map.serialize_entry("notices", &self.notices)?;
        map.serialize_entry("phase", &state.phase)?;
        map.serialize_entry("instance", &state.instance)?;
        map.serialize_entry("key", &state.key)?;
        map.serialize_entry("claims", &self.view.license.as_ref().map(|l| l.claims()))?;
        map.serialize_entry("lease_until", &state.lease.as_ref().map(|lease| lease.exp))?;
        map.serialize_entry("server", &self.server)?;
        map.serialize_entry("last_contact", &self.contact)?;
        map.serialize_entry("floor", &state.floor)?;
        map.serialize_entry("ledger", &ledger_json(self))?;
        map.end()
    }
}

fn ledger_json(status: &Status) -> Value {
    let row = status.ledger.as_ref();
    json!({
        "written_through": row.and_then(|row| row.head).map_or(0, |head| head.seq),
        "counted_through": row.and_then(|row| row.counted).map_or(0, |head| head.seq),
        "unreported": status.unreported,
        "used_bytes": status.used_bytes,
        "used_bytes_max": status.used_bytes_max,
    })
}

/// The screen of `tenure-agent status`.
pub fn render(status: &Status) -> String {
    let mut rows: Vec<(&str, String)> = Vec::new();
    license_rows(status, &mut rows);
    contact_rows(status, &mut rows);
    usage_rows(status, &mut rows);
    let mut text = table(&rows);
    for notice in &status.notices {
        text.push_str(&format!("\n\n{} ({})", notice.message, notice.code));
    }
    text
}

fn license_rows(status: &Status, rows: &mut Vec<(&'static str, String)>) {
    let view = &status.view;
    rows.push(("Product", status.product.clone()));
    let Some((license, verdict)) = view.license.as_ref().zip(view.verdict(status.now)) else {
        rows.push(("State", format!("{UNLICENSED}: nothing new is granted")));
        return;
    };
    let claims = license.claims();
    let mode = claims.model;
    let mode = serde_json::to_value(mode).ok().and_then(|v| v.as_str().map(str::to_owned));
    rows.push(("License", format!("{}, revision {}", claims.license, claims.revision)));
    rows.push(("Customer", claims.customer.name.clone()));
    rows.push(("Plan", format!("{} ({})", claims.entitlements.tier, mode.unwrap_or_default())));
    let action = claims.enforcement().action(verdict.state);
    rows.push((
        "State",
        format!(
            "{} ({}): {}",
            verdict.state.word(),
            verdict.reason.code(),
            means(verdict.state, action)
        ),
    ));
    let until = match verdict.until {
        None => "it stays so".to_owned(),
        Some(at) => {
            let then = view.verdict(at);
            let then = then.map(|then| format!("{} ({})", then.state.word(), then.reason.code()));
            format!(
                "{}; unless something changes, then {}",
                when(at, status.now),
                then.unwrap_or_default()
            )
        }
    };
    rows.push(("Until", until));
    rows.push(("Expires", when(claims.exp, status.now)));
}

/// What a state means for the product, by the license's own table.
const fn means(state: State, action: Action) -> &'static str {
    match (state, action) {
        (State::Active, _) | (_, Action::Allow) => "everything works",
        (_, Action::Warn) => "everything works; a notice is shown",
        (_, Action::Banner) => "everything works; a banner is shown",
        (_, Action::BlockNew) => "new work is refused, what runs goes on",
        (_, Action::Block) => "all work is refused; nothing is ended",
    }
}

fn contact_rows(status: &Status, rows: &mut Vec<(&'static str, String)>) {
    let state = &status.view.state;
    rows.push(("Agent", if status.running { "running" } else { "not running" }.into()));
    let instance = state.instance.map_or_else(|| "not named yet".to_owned(), |id| id.to_string());
    let slot = match state.phase {
        Phase::Fresh => "never activated",
        Phase::Active if state.lease.is_some() => "holds a slot",
        Phase::Active => "holds a slot by file",
        Phase::Quarantined => "a copy was seen; goes on as an instance of its own",
        Phase::Released => "gave its slot back; finished",
    };
    rows.push(("Instance", format!("{instance} ({slot})")));
    rows.push(("Key", state.key.clone().unwrap_or_default()));
    let lease = state.lease.as_ref().map(|lease| when(lease.exp, status.now));
    rows.push(("Lease", lease.unwrap_or_else(|| "none".into())));
    rows.push((
        "Server",
        status.server.clone().unwrap_or_else(|| "none: no network is used".into()),
    ));
    if status.server.is_some() {
        let contact = status.contact.map(|at| when(at, status.now));
        rows.push(("Contact", contact.unwrap_or_else(|| "never".into())));
    }
    let floor = state.floor.map_or_else(|| "none".to_owned(), moment);
    let clock = match state.floor {
        Some(floor) if status.now < floor => "the clock lags it",
        _ => "the clock agrees",
    };
    rows.push(("Floor", format!("{floor}; {clock}")));
}

fn usage_rows(status: &Status, rows: &mut Vec<(&'static str, String)>) {
    let row = status.ledger.as_ref();
    let head = row.and_then(|row| row.head).map_or(0, |head| head.seq);
    let counted = row.and_then(|row| row.counted).map_or(0, |head| head.seq);
    rows.push(("Ledger", format!("{head} entries, {counted} counted by the vendor")));
    let waits = &status.unreported;
    if waits.events > 0 {
        let since = waits.since.map(|at| format!(" since {}", moment(at))).unwrap_or_default();
        rows.push(("Waiting", format!("{} events{since}", waits.events)));
    }
    let percent = status.used_bytes * 100 / status.used_bytes_max.max(1);
    rows.push((
        "Spool",
        format!("{} of {} bytes ({percent}%)", status.used_bytes, status.used_bytes_max),
    ));
}

/// The screen of `tenure-agent report list`.
pub(super) fn reports(answer: &Value) -> String {
    let text = |name: &str| match &answer[name] {
        Value::String(text) => text.clone(),
        Value::Null => "none".into(),
        other => other.to_string(),
    };
    table(&[
        ("Written", format!("through entry {}", text("written_through"))),
        ("Counted", format!("through entry {}", text("counted_through"))),
        ("Receipt", text("receipt")),
        ("Held", format!("entries after {}", text("held_after"))),
        ("Unreported", format!("{} events", answer["unreported"]["events"])),
    ])
}

/// The screen of `tenure-agent sends`.
pub fn sends(server: &str, sent: &[Sent]) -> String {
    let mut text = String::from(
        "Messages go to the license service and nowhere else:\n  \
         activate   the license key, name and ids of this place, the product's version; once\n  \
         heartbeat  counts (teams, users, runs), the license's revision, the version; every few minutes\n  \
         report     the usage events that the product recorded, as it recorded them\n  \
         release    that this installation has stopped; once\n\
         Each is signed by this instance's key. Nothing else is sent.\n\n",
    );
    if server.is_empty() {
        text.push_str("No license service is configured, so nothing is sent at all.\n");
    } else {
        text.push_str(&format!("License service: {server}\n"));
    }
    if sent.is_empty() {
        text.push_str("Nothing was sent so far.");
        return text;
    }
    text.push_str("\nThe last messages, the newest first:");
    for message in sent.iter().take(SENT_SHOWN) {
        let Sent { at, what, bytes, outcome, body, .. } = message;
        text.push_str(&format!("\n  {}  {what}, {bytes} bytes: {outcome}", moment(*at)));
        if what != "report" {
            text.push_str(&format!("\n    {body}"));
        }
    }
    if sent.len() > SENT_SHOWN {
        text.push_str(&format!("\n  and {} before them (--json)", sent.len() - SENT_SHOWN));
    }
    text
}

fn table(rows: &[(&str, String)]) -> String {
    let widest = rows.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
    let line = |(label, value): &(&str, String)| format!("{label:widest$}  {value}");
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn moment(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A moment and how far it is.
fn when(at: Timestamp, now: Timestamp) -> String {
    let seconds = at.as_second() - now.as_second();
    let span = span(seconds.unsigned_abs());
    let distance = if seconds >= 0 { format!("in {span}") } else { format!("{span} ago") };
    format!("{} ({distance})", moment(at))
}

fn span(seconds: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let (count, unit) = if seconds < MINUTE {
        return "less than a minute".into();
    } else if seconds < HOUR {
        (seconds / MINUTE, "minute")
    } else if seconds < DAY {
        (seconds / HOUR, "hour")
    } else {
        (seconds / DAY, "day")
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}
