//! A slot for an instance: the decision, under the lock of its license.

use axum::http::header;
use jiff::Timestamp;
use serde_json::json;
use tenure_api::licensing::Warning;
use tenure_core::InstanceId;
use tenure_license::activation::slots::{Decision, Policy, decide};
use tenure_tenancy::TenantTx;

use super::{proof::warning, standing::Standing};
use crate::{
    App,
    call::Call,
    http::Problem,
    licensing::instances::{self, db},
    trail::{self, Change},
};

/// What became of the wish for a slot.
pub(in crate::licensing) enum Slot {
    /// There is one.
    Granted,
    /// There is one beyond what was bought.
    Overage {
        /// Slots held with it.
        held: u64,
        /// Slots bought.
        max: u64,
    },
    /// There is none.
    Full(Full),
}

/// No slot is free.
pub(in crate::licensing) struct Full {
    sentence: String,
    free_at: Timestamp,
}

pub(super) fn policy(standing: &Standing) -> Policy {
    let percent = standing.situation.catalog.product.license.overage_percent;
    instances::policy(standing.claims(), percent)
}

/// Whether one more instance may hold the license; `except` is the one that asks, where it is
/// known. The license must be locked.
pub(in crate::licensing) async fn find(
    tx: &mut TenantTx,
    standing: &Standing,
    except: Option<InstanceId>,
    now: Timestamp,
) -> Result<Slot, Problem> {
    let policy = policy(standing);
    let Some(max) = policy.max else { return Ok(Slot::Granted) };
    let others = db::holds(tx, standing.license.id, except, now).await?;
    let held = others.iter().filter(|hold| !hold.returned).count() as u64;
    Ok(match decide(policy, &others, now) {
        Decision::Granted => Slot::Granted,
        Decision::Overage => Slot::Overage { held: held + 1, max },
        Decision::Full { held, free_at } => Slot::Full(Full {
            sentence: format!("Every slot of this license is held: {held}/{max}."),
            free_at,
        }),
        Decision::Handovers { free_at } => Slot::Full(Full {
            sentence: format!(
                "{held}/{max} slots are held, but too many were given back whose tokens have not ended."
            ),
            free_at,
        }),
    })
}

/// As [`find`], refusing where there is none. Slots held with it and slots bought, where it is
/// beyond what was bought.
pub(in crate::licensing) async fn take(
    tx: &mut TenantTx,
    standing: &Standing,
    except: Option<InstanceId>,
    now: Timestamp,
) -> Result<Option<(u64, u64)>, Problem> {
    match find(tx, standing, except, now).await? {
        Slot::Granted => Ok(None),
        Slot::Overage { held, max } => Ok(Some((held, max))),
        Slot::Full(full) => Err(full.problem(now)),
    }
}

impl Full {
    /// For people.
    pub(super) fn message(&self) -> String {
        format!(
            "{} The first is free at {}. Release an instance, or ask the vendor for more.",
            self.sentence, self.free_at
        )
    }

    /// 409, with the time to come back.
    pub(super) fn problem(&self, now: Timestamp) -> Problem {
        let wait = self.free_at.duration_since(now).as_secs().max(1);
        Problem::conflict("no-free-slot", self.message())
            .with_header(header::RETRY_AFTER, &wait.to_string())
    }
}

/// Writes into the trail that an instance holds a slot beyond what was bought, and says so.
pub(in crate::licensing) async fn overage(
    app: &App,
    tx: &mut TenantTx,
    call: &Call,
    standing: &Standing,
    instance: InstanceId,
    (held, max): (u64, u64),
) -> Result<Warning, Problem> {
    let told = json!({ "license_id": standing.license.id, "held": held, "max": max });
    let change = Change::created("instance.overage", instance, &told);
    trail::record(app, tx, call, change).await?;
    let message = format!(
        "{held} instances hold a license for {max}. The vendor is told; nothing is blocked."
    );
    Ok(warning("instances_overage", message))
}
