//! How pages say things: dates, numbers, states, names.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rust_decimal::Decimal;
use tenure_catalog::{Model, rating::words};
use tenure_core::Money;

/// The zone of that name; UTC where the machine does not know it.
pub(super) fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

/// `22 Nov 2026`
pub(super) fn date(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%-d %b %Y").to_string()
}

/// `22 Nov 2026, 14:05`
pub(super) fn date_time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%-d %b %Y, %H:%M").to_string()
}

/// `in 8 days`, `2 hours ago`
pub(super) fn distance(at: Timestamp, now: Timestamp) -> String {
    let apart = now.duration_since(at);
    let seconds = apart.as_secs().unsigned_abs();
    let (many, unit) = match seconds {
        0..60 => return "just now".to_owned(),
        60..3_600 => (seconds / 60, "minute"),
        3_600..86_400 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let text = counted(many, unit);
    if apart > SignedDuration::ZERO { format!("{text} ago") } else { format!("in {text}") }
}

/// `1 tenant`, `1,200 tenants`
pub(super) fn counted(many: impl Into<Decimal>, unit: &str) -> String {
    words::counted(many.into(), unit)
}

/// `1,034,000.5`
pub(super) fn number(value: impl Into<Decimal>) -> String {
    words::number(value.into())
}

/// A total of what may be several currencies.
pub(super) fn total(amounts: &[Money]) -> String {
    match amounts {
        [] => "–".to_owned(),
        all => all.iter().map(|money| money.display()).collect::<Vec<_>>().join(" + "),
    }
}

/// `Self-hosted`
pub(super) fn model(model: Model) -> &'static str {
    match model {
        Model::Managed => "Managed",
        Model::Byoi => "BYOI",
        Model::SelfHosted => "Self-hosted",
        Model::AirGapped => "Air-gapped",
    }
}

/// `past_due` becomes `Past due`.
pub(super) fn title(word: &str) -> String {
    let spaced = word.replace('_', " ");
    let mut chars = spaced.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}", chars.as_str())
}

/// `subscription.past_due` becomes `Subscription past due`, `api_key.created` `API key created`.
pub(super) fn action(action: &str) -> String {
    title(&action.replace('.', " ")).replace("Api key", "API key")
}

/// `staff:admin` becomes `admin, staff`; ids stay.
pub(super) fn actor(actor: &str) -> String {
    match actor.split_once(':') {
        Some(("staff", name)) => format!("{name}, staff"),
        _ if actor == "system" => "the server".to_owned(),
        _ if actor.starts_with("ins_") => "the instance".to_owned(),
        _ if actor.starts_with("lic_") => "customer, with the license key".to_owned(),
        _ => actor.to_owned(),
    }
}

/// The colour of a state: a class of the style sheet.
pub(super) fn tone(status: &str) -> &'static str {
    match status {
        "active" | "ready" => "ok",
        "trial" => "info",
        "past_due" | "pending" => "warn",
        "suspended" => "bad",
        _ => "",
    }
}

/// The two letters of a product's mark.
pub(super) fn monogram(name: &str) -> String {
    let parts: Vec<&str> = name.split_whitespace().collect();
    let capitals = |text: &str| text.chars().filter(char::is_ascii_uppercase).take(2).collect();
    let letters: String = match parts.as_slice() {
        [one] | [one, ..] if one.chars().filter(char::is_ascii_uppercase).count() > 1 => {
            capitals(one)
        }
        [one] => one.chars().take(2).collect(),
        many => many.iter().filter_map(|part| part.chars().next()).take(2).collect(),
    };
    letters.to_uppercase()
}

/// The beginning of a long id.
pub(super) fn short(id: &str) -> String {
    id.chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_tell_products_apart() {
        let names = ["Agent Governance", "Meeting Minutes", "Dyocense", "KG RCA", "IncidentFox"];
        let marks = names.map(monogram);
        assert_eq!(marks, ["AG", "MM", "DY", "KG", "IF"]);
    }

    #[test]
    fn words_of_the_api_become_sentences() {
        assert_eq!(title("past_due"), "Past due");
        assert_eq!(action("api_key.created"), "API key created");
    }
}
