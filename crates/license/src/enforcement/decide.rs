//! The answers. Their codes and words are the same in every SDK; the golden
//! vectors hold them to it.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tenure_core::Quantity;

use super::Action;
use crate::{
    LicenseClaims, State, Verdict,
    claims::{Limit, Over, Per},
};

/// HTTP "Payment Required": more can be bought.
const PAYMENT_REQUIRED: u16 = 402;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Something that was begun before, reading included.
    Running,
    /// Something new: a run, a team, an upgrade.
    New,
}

/// The answer to a question of the product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Whether to go on.
    pub allowed: bool,
    /// HTTP status to answer with: 200, 402 or 403.
    pub status: u16,
    /// Stable: `ok`, `license_<reason>`, `feature_missing`, `limit_reached`,
    /// `quota_exceeded`, `limit_near`.
    pub code: String,
    /// To be shown to people; none when there is nothing to say.
    pub message: Option<String>,
    /// Whether it belongs on every page.
    pub banner: bool,
}

impl Decision {
    fn ok() -> Self {
        Self { allowed: true, status: 200, code: "ok".into(), message: None, banner: false }
    }

    fn refused(status: u16, code: impl Into<String>, message: String) -> Self {
        Self { allowed: false, status, code: code.into(), message: Some(message), banner: false }
    }

    fn told(code: &str, message: String) -> Self {
        Self { code: code.into(), message: Some(message), ..Self::ok() }
    }
}

/// Whether work of a kind may go on in the state of the license.
pub fn work(claims: &LicenseClaims, verdict: &Verdict, work: Work) -> Decision {
    if verdict.state == State::Active {
        return Decision { message: verdict.notice.clone(), ..Decision::ok() };
    }
    let action = claims.enforcement().action(verdict.state);
    let refused = match work {
        Work::New => action >= Action::BlockNew,
        Work::Running => action >= Action::Block,
    };
    Decision {
        allowed: !refused,
        status: if refused { PAYMENT_REQUIRED } else { 200 },
        code: format!("license_{}", verdict.reason.code()),
        message: verdict.notice.clone().filter(|_| action > Action::Allow),
        banner: action >= Action::Banner,
    }
}

/// Whether a feature may be used: granted, and new work not refused.
pub fn feature(claims: &LicenseClaims, verdict: &Verdict, feature: &str) -> Decision {
    if !claims.has_feature(feature) {
        let plan = &claims.entitlements.tier;
        let message = format!(
            "`{feature}` is not part of the plan {plan}.{}",
            ask(claims, " To add it, contact ")
        );
        let status = claims.enforcement().missing(feature);
        return Decision::refused(status, "feature_missing", message);
    }
    work(claims, verdict, Work::New)
}

/// Whether `more` fits on top of `used`, for a limit by its id. A limit that the
/// license does not name grants nothing.
pub fn limit(
    claims: &LicenseClaims,
    verdict: &Verdict,
    id: &str,
    used: Quantity,
    more: Quantity,
) -> Decision {
    let state = work(claims, verdict, Work::New);
    if !state.allowed {
        return state;
    }
    let Some(limit) = claims.limit(id) else {
        let message = format!("The license has no limit `{id}`, so none of it is granted.");
        return Decision::refused(PAYMENT_REQUIRED, "limit_reached", message);
    };
    let Some(max) = limit.max else { return state };
    // Two quantities of 15 digits cannot overflow a decimal.
    let total = used.value() + more.value();
    if total > max.value() {
        return past(claims, limit, id, used, max);
    }
    match reached(limit, total, max.value()) {
        Some(percent) => Decision {
            banner: state.banner,
            ..Decision::told("limit_near", near(limit, id, total, max, percent))
        },
        None => state,
    }
}

fn past(
    claims: &LicenseClaims,
    limit: &Limit,
    id: &str,
    used: Quantity,
    max: Quantity,
) -> Decision {
    let (code, what) = match limit.per {
        None => ("limit_reached", format!("{} limit reached", title(unit(limit, id)))),
        Some(per) => ("quota_exceeded", format!("{} quota exceeded", calendar(per))),
    };
    let sentence = format!("{what}: {}/{}", used.value().normalize(), max.value().normalize());
    match limit.over {
        Over::Block => {
            let upgrade = ask(claims, " To raise it, contact ");
            Decision::refused(PAYMENT_REQUIRED, code, format!("{sentence}.{upgrade}"))
        }
        Over::Warn => Decision::told(code, format!("{sentence}.")),
        Over::Charge => Decision::told(code, format!("{sentence}. More is charged.")),
        Over::TrueUp => {
            Decision::told(code, format!("{sentence}. More is settled at the end of the year."))
        }
    }
}

/// The highest warning threshold that `total` has reached.
fn reached(limit: &Limit, total: Decimal, max: Decimal) -> Option<u32> {
    let at = |percent: &&u32| total * Decimal::ONE_HUNDRED >= max * Decimal::from(**percent);
    limit.warn_at.iter().filter(at).max().copied()
}

fn near(limit: &Limit, id: &str, total: Decimal, max: Quantity, percent: u32) -> String {
    let what = match limit.per {
        None => format!("{} limit", title(unit(limit, id))),
        Some(per) => format!("{} quota", calendar(per)),
    };
    format!("{what}: {}/{} ({percent}% reached).", total.normalize(), max.value().normalize())
}

fn unit<'a>(limit: &'a Limit, id: &'a str) -> &'a str {
    limit.unit.as_deref().unwrap_or(id)
}

/// With a capital letter, as it begins a sentence.
fn title(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

const fn calendar(per: Per) -> &'static str {
    match per {
        Per::Day => "Daily",
        Per::Month => "Monthly",
        Per::Year => "Yearly",
    }
}

fn ask(claims: &LicenseClaims, prompt: &str) -> String {
    match &claims.sales_contact {
        Some(contact) => format!("{prompt}{contact}."),
        None => format!("{prompt}the vendor."),
    }
}
