//! Slices: a part of what is left of a quota, handed to an instance that uses it
//! without asking again.
//!
//! A slice is a reservation. While it is held, its part is taken from what is
//! left for everybody else; usage that the instance reports moves from the slice
//! to what is used, in the transaction that records the events. So what is
//! recorded and what is held never come to more than a limit that blocks, as
//! long as instances report within [`TELL_SECONDS`] of a slice's end. What comes
//! later is recorded all the same: it happened.
//!
//! Owns: how large a slice is, how long it lasts, who may have one. Refuses:
//! (429) what is not left, and instances that may hold no lease.

use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use tenure_api::{
    quota::ReservationStatus,
    slices::{Slice, Sliced},
};
use tenure_catalog::resolve;
use tenure_core::{InstanceId, LicenseId, Quantity, TenantId};
use tenure_license::{
    Environment,
    instance::{self, SliceAsked, SliceRequest},
};
use tenure_tenancy::TenantTx;

use super::{
    Limited, count,
    db::{self, Held, Quick},
    expiry,
    limited::retry_after,
    slices_db::{self, Kept},
};
use crate::{
    App, deployments,
    http::Problem,
    licensing::{
        instances::{self, Instance, InstanceStatus},
        service::{
            activate::refuse_withheld,
            standing::{self, Standing},
        },
    },
    subscriptions::not_resolved,
};

/// A slice is used for so long at most, in seconds: what an instance that died holds is free then.
pub const SLICE_SECONDS: i64 = 60 * 60;
/// For how long after its end a slice stays held, in seconds, so that its usage can be told.
pub const TELL_SECONDS: i64 = 15 * 60;
/// A slice is this part of what is left, so that something is left for the next instance.
const SHARES: Decimal = Decimal::from_parts(4, 0, 0, false, 0);
/// Longest name of a slice, in bytes.
pub const ID_LEN_MAX: usize = 64;
/// Slices given back in one request.
pub const BACK_MAX: usize = 100;
/// The source of reservations that are slices; no event has it.
const SOURCE: &str = "urn:tenure:slice";
/// Tries to take a part: once as things stand, once after parts that ran out were given back.
const TRIES_MAX: usize = 2;

/// How much of what is left an instance gets that needs so much: a share of it in whole units,
/// or just what it needs. `None`: too little is left.
pub(crate) fn share(left: Decimal, needed: Decimal) -> Option<Decimal> {
    (needed <= left).then(|| (left / SHARES).floor().max(needed))
}

/// Takes slices back and hands one out, as an instance asks in a statement that it signed.
///
/// # Errors
/// 429 where too little is left, 404 for an unknown instance, 409 for one that holds no lease,
/// 403 where access is withheld.
pub async fn exchange(app: &App, statement: &str) -> Result<Sliced, Problem> {
    let request = instance::verify::<SliceRequest>(statement).map_err(|error| {
        let title = "The request cannot be read";
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "slice-request-refused",
            title,
            format!("{error}. Sign every request anew."),
        )
    })?;
    let request = request.into_claims();
    check(&request)?;
    let (tenant, license) = holder(app, &request).await?;
    give_back(app, tenant, &request).await?;
    let Some(asked) = &request.ask else { return Ok(Sliced { slice: None }) };
    let standing = standing::read(app, tenant, license).await?;
    let standing = standing.ok_or_else(|| Problem::not_found("license"))?;
    if standing.is_revoked() {
        return Err(Problem::forbidden("The license is revoked."));
    }
    refuse_withheld(&standing, app.now())?;
    let slice = hand_out(app, tenant, &standing, request.instance, asked).await?;
    Ok(Sliced { slice: Some(slice) })
}

fn check(request: &SliceRequest) -> Result<(), Problem> {
    let asked = request.ask.iter().map(|asked| &asked.slice);
    let mut names = asked.chain(request.back.iter().map(|back| &back.slice));
    let named = |name: &String| {
        (1..=ID_LEN_MAX).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if !names.all(named) {
        let detail = format!("A slice's name has 1 to {ID_LEN_MAX} letters, digits and hyphens.");
        return Err(Problem::bad_request(detail));
    }
    if request.back.len() > BACK_MAX {
        return Err(Problem::bad_request(format!("Give back at most {BACK_MAX} slices at once.")));
    }
    match &request.ask {
        Some(asked) if asked.needed.value() <= Decimal::ZERO => {
            Err(Problem::bad_request("`needed` is more than zero."))
        }
        _ => Ok(()),
    }
}

/// Whose instance it is, by the key that is registered for it.
async fn holder(app: &App, request: &SliceRequest) -> Result<(TenantId, LicenseId), Problem> {
    let unknown = || Problem::not_found("instance: no activation of this key is known");
    let mut tx = app.db().auth().await?;
    let known = instances::db::known(&mut tx, request.instance).await?;
    tx.commit().await?;
    let known = known.ok_or_else(unknown)?;
    let mine = known.public_key == Some(request.key) && known.license == request.license;
    mine.then_some((known.tenant, known.license)).ok_or_else(unknown)
}

async fn give_back(app: &App, tenant: TenantId, request: &SliceRequest) -> Result<(), Problem> {
    if request.back.is_empty() {
        return Ok(());
    }
    let mut tx = app.db().tenant(tenant).await?;
    let mut names: Vec<(&str, Decimal)> =
        request.back.iter().map(|back| (&*back.slice, back.used.value())).collect();
    names.sort_unstable();
    for (name, used) in names {
        slices_db::give_back(&mut tx, request.instance, name, used, app.now()).await?;
    }
    tx.commit().await?;
    Ok(())
}

async fn hand_out(
    app: &App,
    tenant: TenantId,
    standing: &Standing,
    id: InstanceId,
    asked: &SliceAsked,
) -> Result<Slice, Problem> {
    let now = app.now();
    let situation = &*standing.situation;
    let entitlements =
        resolve(&situation.catalog.product, &situation.terms, now).map_err(not_resolved)?;
    let limited = Limited::find(situation, &entitlements, &asked.meter)?;
    let window = limited.window(situation, now)?;
    let subscription = situation.subscription.id;
    for attempt in 0..TRIES_MAX {
        let mut tx = app.db().tenant(tenant).await?;
        let instance = instances::db::lock(&mut tx, id).await?;
        let instance = instance.ok_or_else(|| Problem::not_found("instance"))?;
        let ends_at = ends_at(&instance, window.end, now)?;
        let environment = environment(&mut tx, &instance).await?;
        if attempt > 0 {
            expiry::expire_own(&mut tx, now).await?;
        }
        if let Some(kept) =
            slices_db::find(&mut tx, subscription, environment, &asked.slice).await?
        {
            let counter =
                count::current(&mut tx, situation, environment, &limited, kept.window, now).await?;
            return again(&limited, id, asked, &kept, limited.told(kept.window, &counter), now);
        }
        let counter = count::locked(&mut tx, situation, environment, &limited, window, now).await?;
        let needed = asked.needed.value();
        let limit = limited.raw().filter(|_| super::blocks(&limited));
        let part = match limit {
            Some(limit) => share(limit - counter.used - counter.reserved, needed),
            None => Some(needed),
        };
        let Some(quantity) = part else {
            if attempt + 1 < TRIES_MAX {
                continue;
            }
            tx.commit().await?;
            let quota = limited.told(window, &counter);
            return Err(retry_after(limited.exceeded(situation, &quota), now, window.end));
        };
        let expires_at = ends_at.checked_add(SignedDuration::from_secs(TELL_SECONDS));
        let held = Held {
            id: asked.slice.clone(),
            source: SOURCE.to_owned(),
            meter_id: limited.meter_id,
            window,
            quantity,
            status: ReservationStatus::Held,
            expires_at: expires_at.map_err(Problem::internal)?,
            committed: None,
        };
        let terms_at = situation.subscription.updated_at;
        let taken =
            db::take(&mut tx, subscription, environment, terms_at, &held, limit, now).await?;
        let Quick::Held { used, reserved } = taken else { continue };
        slices_db::belongs(&mut tx, subscription, environment, &held.id, id).await?;
        tx.commit().await?;
        let quota = limited.told(window, &db::Counter { used, reserved, ..counter });
        return slice(&limited, asked, quantity, ends_at, quota, now);
    }
    Err(Problem::unavailable("The quota changes at this moment. Nothing was held; try again."))
}

/// Until when it may be used: not beyond the window, nor beyond what proves that the instance
/// may run.
fn ends_at(
    instance: &Instance,
    window_end: Timestamp,
    now: Timestamp,
) -> Result<Timestamp, Problem> {
    let live = instance.status == InstanceStatus::Active && instance.held_until > now;
    if !live {
        let detail =
            "The instance holds no lease, so it gets no part of a quota. Activate it again.";
        return Err(Problem::conflict("no-lease", detail));
    }
    let longest = now.checked_add(SignedDuration::from_secs(SLICE_SECONDS));
    Ok(longest.map_err(Problem::internal)?.min(window_end).min(instance.held_until))
}

/// Whether what the instance uses is real.
async fn environment(tx: &mut TenantTx, instance: &Instance) -> Result<Environment, Problem> {
    let Some(id) = instance.deployment_id else { return Ok(Environment::Live) };
    let place = deployments::db::find(tx, id).await?;
    Ok(place.map_or(Environment::Live, |place| place.environment))
}

/// The slice of that name, as it was handed out.
fn again(
    limited: &Limited<'_>,
    id: InstanceId,
    asked: &SliceAsked,
    kept: &Kept,
    quota: tenure_api::quota::Quota,
    now: Timestamp,
) -> Result<Slice, Problem> {
    if kept.instance != Some(id) || kept.meter_id != limited.meter_id {
        let detail =
            format!("`{}` is another reservation; give a new slice a new name.", asked.slice);
        return Err(Problem::conflict("slice-reused", detail));
    }
    let tell = SignedDuration::from_secs(TELL_SECONDS);
    let ends_at = kept.expires_at.checked_sub(tell).map_err(Problem::internal)?;
    if !kept.held || ends_at <= now {
        let detail = format!("The slice `{}` has ended; ask for another one.", asked.slice);
        return Err(Problem::conflict("slice-ended", detail));
    }
    slice(limited, asked, kept.quantity + kept.spent, ends_at, quota, now)
}

fn slice(
    limited: &Limited<'_>,
    asked: &SliceAsked,
    quantity: Decimal,
    ends_at: Timestamp,
    quota: tenure_api::quota::Quota,
    now: Timestamp,
) -> Result<Slice, Problem> {
    let seconds = ends_at.duration_since(now).as_secs().max(0);
    Ok(Slice {
        id: asked.slice.clone(),
        meter: limited.meter.id.clone(),
        quantity: Quantity::new(quantity.normalize()).map_err(Problem::internal)?,
        ends_in_seconds: u32::try_from(seconds).map_err(Problem::internal)?,
        quota,
    })
}

/// What a report says was used of slices, by name. They are locked before anything is recorded.
pub(crate) struct Spent(Vec<(String, Decimal)>);

impl Spent {
    /// Locks the slices of an instance.
    pub(crate) async fn lock(
        tx: &mut TenantTx,
        instance: InstanceId,
        taken: impl Iterator<Item = (String, Decimal)>,
    ) -> Result<Self, Problem> {
        let mut sums = std::collections::BTreeMap::<String, Decimal>::new();
        for (slice, quantity) in taken {
            *sums.entry(slice).or_default() += quantity;
        }
        let names: Vec<&str> = sums.keys().map(String::as_str).collect();
        if !names.is_empty() {
            slices_db::lock(tx, instance, &names).await?;
        }
        Ok(Self(sums.into_iter().collect()))
    }

    /// Frees what was used: it is recorded now.
    pub(crate) async fn settle(
        self,
        tx: &mut TenantTx,
        instance: InstanceId,
    ) -> Result<(), Problem> {
        for (slice, quantity) in self.0 {
            slices_db::spend(tx, instance, &slice, quantity).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_share_is_never_more_than_what_is_left_nor_less_than_what_is_needed(
            left in 0i64..1_000_000, needed in 1i64..2_000, scale in 0u32..3,
        ) {
            let (left, needed) = (Decimal::new(left, scale), Decimal::new(needed, scale));
            match share(left, needed) {
                Some(part) => prop_assert!(part >= needed && part <= left),
                None => prop_assert!(needed > left),
            }
        }
    }

    #[test]
    fn something_is_left_for_the_next_instance() {
        let of = |left: u32, needed: u32| share(left.into(), needed.into());
        assert_eq!(of(1_000, 1), Some(250.into()));
        assert_eq!(of(3, 1), Some(1.into()));
        assert_eq!(of(3, 3), Some(3.into()));
        assert_eq!(of(0, 1), None);
    }
}
