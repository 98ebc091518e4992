//! The state of a license in words: why, what it does to the product, and when
//! it changes next.

use jiff::{Timestamp, tz::TimeZone};
use tenure_license::{Reason, State, enforcement::Action};

use crate::{licensing::Look, web::words};

/// How a license stands.
pub(in crate::web) struct Standing {
    /// Of the badge.
    pub(in crate::web) word: &'static str,
    pub(in crate::web) tone: &'static str,
    /// Why, in two or three words.
    pub(in crate::web) reason: &'static str,
    /// What is so, with dates, and what to do.
    pub(in crate::web) text: String,
    /// What the product does about it.
    pub(in crate::web) effect: &'static str,
    /// When the state changes next if nothing is done.
    pub(in crate::web) next: Option<String>,
    /// Whether the page says it aloud.
    pub(in crate::web) loud: bool,
}

/// How a license stands now.
pub(in crate::web) fn standing(look: &Look, now: Timestamp, zone: &TimeZone) -> Standing {
    let Some(verdict) = &look.verdict else {
        return Standing {
            word: "Not signed here",
            tone: "warn",
            reason: "Signed by another installation",
            text: "The newest revision came with the tenant from another installation, whose keys \
                   are not known here. Renew the license to sign it with this product's key."
                .to_owned(),
            effect: "Installations go on with the revision they hold.",
            next: None,
            loud: true,
        };
    };
    let (word, tone) = word(verdict.state);
    let ends = words::date(look.detail.license.expires_at, zone);
    let valid = || format!("It is in force until {ends}.");
    let until = verdict.until.filter(|until| *until > now);
    Standing {
        word,
        tone,
        reason: reason(verdict.reason),
        text: verdict.notice.clone().unwrap_or_else(valid),
        effect: effect(look.claims.enforcement().action(verdict.state)),
        next: until
            .map(|at| format!("{}, {}", words::date_time(at, zone), words::distance(at, now))),
        loud: verdict.state != State::Active,
    }
}

/// The badge of a state.
pub(in crate::web) fn word(state: State) -> (&'static str, &'static str) {
    match state {
        State::Active => ("Active", "ok"),
        State::Expiring => ("Expiring", "warn"),
        State::Grace => ("Grace", "warn"),
        State::Restricted => ("Restricted", "bad"),
        State::Terminated => ("Terminated", "bad"),
    }
}

fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Valid => "In force",
        Reason::ExpiresSoon => "Ends soon",
        Reason::ExpiredFull => "Ended, with full function for a while",
        Reason::ExpiredRestricted => "Ended",
        Reason::Expired => "Ended for good",
        Reason::NotYetValid => "Has not begun",
        Reason::PhoneHomeOverdue => "Out of contact for too long",
        Reason::Superseded => "Replaced",
        Reason::Revoked => "Revoked",
        _ => "",
    }
}

fn effect(action: Action) -> &'static str {
    match action {
        Action::Allow => "Everything works.",
        Action::Warn => "Everything works; the product says so in its log.",
        Action::Banner => "Everything works; the product shows a banner.",
        Action::BlockNew => "New work is refused, what runs goes on; the product shows a banner.",
        Action::Block => "All work is refused, no process is ended; the product shows a banner.",
    }
}
