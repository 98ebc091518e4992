//! What people are told: what is so, the date, what to do.

use jiff::{Timestamp, tz::TimeZone};

use super::Reason;
use crate::{LicenseClaims, claims::DeploymentModel};

/// The notice for a state, `None` when there is nothing to say. `clock` is what
/// a suspect clock says.
pub(super) fn text(
    claims: &LicenseClaims,
    reason: Reason,
    until: Option<Timestamp>,
    clock: Option<Timestamp>,
) -> Option<String> {
    let state = about_state(claims, reason, until);
    let clock = clock.map(|says| {
        format!(
            "This machine's clock says {}, which is earlier than a moment known to have passed. \
             Set the clock; until then license time stands still.",
            day(says)
        )
    });
    match (state, clock) {
        (Some(state), Some(clock)) => Some(format!("{state} {clock}")),
        (state, clock) => state.or(clock),
    }
}

fn about_state(claims: &LicenseClaims, reason: Reason, until: Option<Timestamp>) -> Option<String> {
    let name = format!("The {} license of {}", claims.product, claims.customer.name);
    let end = day(claims.exp);
    let renew = how_to_renew(claims.model);
    let until = until.map(day).unwrap_or_else(|| "further notice".into());
    Some(match reason {
        Reason::Valid => return None,
        Reason::ExpiresSoon => {
            format!("{name} ends on {end}. Everything keeps working until then. {renew}")
        }
        Reason::ExpiredFull => {
            format!("{name} ended on {end}. Everything keeps working until {until}. {renew}")
        }
        Reason::ExpiredRestricted => format!(
            "{name} ended on {end}. New work is blocked; what runs goes on until {until}. {renew}"
        ),
        Reason::Expired => format!("{name} ended on {end} and its grace time is over. {renew}"),
        Reason::NotYetValid => {
            format!(
                "{name} begins on {}. Until then, use the license before it.",
                day(claims.starts())
            )
        }
        Reason::PhoneHomeOverdue => format!(
            "{name} has been out of contact with the vendor for longer than the {} days allowed. \
             New work is blocked; what runs goes on until {until}. Restore the connection to the \
             license service, or ask the vendor for an offline license.",
            claims.offline_grace_period_days
        ),
        Reason::Superseded => format!(
            "{name}, revision {}, was replaced by a newer one. New work is blocked; what runs goes \
             on until {until}. Install the newer license; it can be fetched from the customer portal.",
            claims.revision
        ),
        Reason::Revoked => {
            format!("{name} was revoked by the vendor. Contact the vendor to learn why.")
        }
    })
}

fn how_to_renew(model: DeploymentModel) -> &'static str {
    match model {
        DeploymentModel::AirGapped => {
            "Ask the vendor for a new .lic file and install it; no connection is needed."
        }
        _ => "Renew it in the customer portal, or ask the vendor.",
    }
}

fn day(at: Timestamp) -> String {
    format!("{} (UTC)", at.to_zoned(TimeZone::UTC).date())
}
