//! A line with everything that it is made of, computed again.

use jiff::tz::TimeZone;

use super::Fact;
use crate::{
    billing::{
        evidence::{
            Explanation,
            model::{ExplainedEvent, ExplainedUsage, ExplainedWindow},
        },
        invoices::{told::Told, words as told},
    },
    web::words,
};

/// Windows that are shown; those that do not agree are shown in any case.
const WINDOWS_SHOWN: usize = 100;

/// A window of usage.
pub(in crate::web) struct WindowRow {
    pub(in crate::web) time: String,
    pub(in crate::web) quantity: String,
    pub(in crate::web) events: String,
    pub(in crate::web) digest: String,
    pub(in crate::web) agrees: bool,
}

/// A single event.
pub(in crate::web) struct EventRow {
    pub(in crate::web) time: String,
    pub(in crate::web) datetime: String,
    pub(in crate::web) id: String,
    pub(in crate::web) source: String,
    pub(in crate::web) quantity: String,
    /// What tells it apart from others of its meter.
    pub(in crate::web) details: String,
    pub(in crate::web) hash: String,
}

/// The usage behind a line.
pub(in crate::web) struct UsageView {
    pub(in crate::web) meter: String,
    pub(in crate::web) how: String,
    pub(in crate::web) windows: Vec<WindowRow>,
    /// Windows that are not shown: all of them agree.
    pub(in crate::web) more_windows: String,
    pub(in crate::web) events: Vec<EventRow>,
    pub(in crate::web) next: Option<String>,
    pub(in crate::web) paged: bool,
}

/// The view model.
pub(in crate::web) struct Explained {
    pub(in crate::web) heading: String,
    pub(in crate::web) description: String,
    pub(in crate::web) kind: Option<&'static str>,
    pub(in crate::web) corrects: Option<(String, String)>,
    pub(in crate::web) agrees: bool,
    pub(in crate::web) verdict: String,
    pub(in crate::web) facts: Vec<Fact>,
    /// Of the version of the product file, its number.
    pub(in crate::web) version: Option<(String, i32)>,
    pub(in crate::web) arithmetic: String,
    pub(in crate::web) stated: String,
    pub(in crate::web) computed: String,
    pub(in crate::web) digest: String,
    pub(in crate::web) usage: Option<UsageView>,
}

impl Explained {
    /// `base` is what the paths of the reader's invoices begin with; `paged` when this
    /// is not the first page of events.
    pub(in crate::web) fn new(
        told: &Told,
        explanation: Explanation,
        base: &str,
        paged: bool,
    ) -> Self {
        let line =
            told.invoice.lines.iter().find(|line| {
                usize::try_from(line.line).is_ok_and(|number| number == explanation.line)
            });
        let cites = explanation.cites.as_ref();
        let path = cites.map(|cite| format!("{base}/{}/lines/{}", cite.invoice_id, cite.line));
        let events = line.map_or(0, |line| line.events);
        let version = told.versions.get(&explanation.version).copied();
        Self {
            heading: format!("Line {}", explanation.line),
            kind: line.and_then(told::kind),
            corrects: line.and_then(|line| told::corrects(line, told)).zip(path),
            agrees: explanation.agrees,
            verdict: verdict(&explanation, events),
            facts: facts(&explanation, told, events),
            version: version.map(|number| (told.invoice.summary.product.clone(), number)),
            arithmetic: explanation.arithmetic,
            stated: explanation.amount.display(),
            computed: explanation
                .computed
                .map_or_else(|| "no such line".to_owned(), |money| money.display()),
            digest: line.map(|line| line.digest.clone()).unwrap_or_default(),
            usage: explanation.usage.map(|usage| usage_view(usage, &told.zone, paged)),
            description: explanation.description,
        }
    }
}

/// What recomputing found, in a sentence.
fn verdict(explanation: &Explanation, events: i64) -> String {
    let of = match &explanation.usage {
        Some(_) => format!("its prices and {}", words::counted(events, "single event")),
        None => "its prices".to_owned(),
    };
    if explanation.agrees {
        return format!("Computed again just now from {of}: what the invoice states.");
    }
    let windows = explanation.usage.iter().flat_map(|usage| &usage.windows);
    let wrong = windows.filter(|window| !window.agrees).count() as u64;
    let mut found = Vec::new();
    if wrong > 0 {
        found.push(format!(
            "The single events of {} do not come to the totals that the invoice was computed with.",
            words::counted(wrong, "window")
        ));
        found.extend(explanation.usage.as_ref().and_then(|usage| usage.gone.clone()));
    }
    match explanation.computed {
        Some(amount) if amount == explanation.amount => {}
        Some(amount) => found.push(format!(
            "It computes to {}, the invoice states {}.",
            amount.display(),
            explanation.amount.display()
        )),
        None => found.push("The terms on record come to no such line.".to_owned()),
    }
    if found.is_empty() {
        found.push("The amount is the same, but how it comes about is not.".to_owned());
    }
    found.join(" ")
}

fn facts(explanation: &Explanation, told: &Told, events: i64) -> Vec<Fact> {
    let time = told::period(explanation.from, explanation.to, &told.zone);
    let mut facts = vec![
        Fact::new("Charge", explanation.charge.clone()),
        Fact::new("Plan", explanation.plan.clone()),
        Fact::new("For the time", time),
    ];
    if let Some(usage) = &explanation.usage {
        facts.push(
            Fact::new("Meter", usage.meter.clone()).note(usage.aggregation.replace('_', " ")),
        );
        facts.push(Fact::new("Events", words::number(events)));
    }
    let cutoff = Fact::new("Cut-off", format!("generation {}", explanation.cutoff));
    facts.push(cutoff.note("later usage is not counted"));
    facts
}

fn usage_view(usage: ExplainedUsage, zone: &TimeZone, paged: bool) -> UsageView {
    let all = usage.windows.len();
    let shown: Vec<&ExplainedWindow> = match all > WINDOWS_SHOWN {
        true => {
            let first = usage.windows.iter().take(WINDOWS_SHOWN);
            first
                .chain(usage.windows.iter().skip(WINDOWS_SHOWN).filter(|one| !one.agrees))
                .collect()
        }
        false => usage.windows.iter().collect(),
    };
    let more = (all - shown.len()) as u64;
    UsageView {
        more_windows: match more {
            0 => String::new(),
            more => format!("{} more, all of which agree", words::counted(more, "window")),
        },
        windows: shown.into_iter().map(|one| window(one, zone)).collect(),
        events: usage.events.into_iter().map(|one| event(one, zone)).collect(),
        meter: usage.meter,
        how: usage.aggregation.replace('_', " "),
        next: usage.next_cursor,
        paged,
    }
}

fn window(window: &ExplainedWindow, zone: &TimeZone) -> WindowRow {
    WindowRow {
        time: told::period(window.start, window.end, zone),
        quantity: words::number(window.quantity),
        events: words::number(window.events),
        digest: window.digest.clone(),
        agrees: window.agrees,
    }
}

fn event(event: ExplainedEvent, zone: &TimeZone) -> EventRow {
    let member = event.member.map(|member| format!("member {member}"));
    let dimensions = event.dimensions.into_iter().map(|(name, value)| format!("{name} {value}"));
    let details: Vec<String> = member.into_iter().chain(dimensions).collect();
    EventRow {
        time: event.time.to_zoned(zone.clone()).strftime("%-d %b %Y, %H:%M:%S").to_string(),
        datetime: event.time.to_string(),
        id: event.id,
        source: event.source,
        quantity: words::number(event.quantity),
        details: details.join(", "),
        hash: event.hash,
    }
}
