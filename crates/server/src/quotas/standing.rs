//! How a quantity stands against a limit: one rule for summaries, quotas and notices.

use rust_decimal::Decimal;
use tenure_api::usage::Standing;
use tenure_catalog::{Over, entitlements::LimitNow};

/// Per cent at which people are told where the product file does not say (SPEC 6).
const TOLD_AT: [u32; 2] = [80, 100];

/// `used`, in the meter's unit, against `limit`.
pub(crate) fn standing(limit: &LimitNow, used: Decimal) -> Standing {
    let Some(included) = limit.included.map(|included| included.value()) else {
        return Standing::Ok;
    };
    // The next unit would not be allowed: that is when a product has to stop.
    if used >= included {
        return if limit.over == Over::Block { Standing::Blocked } else { Standing::Over };
    }
    let reached = percent(used, included).unwrap_or(0);
    match thresholds(limit).iter().any(|at| reached >= u64::from(*at)) {
        true => Standing::Warning,
        false => Standing::Ok,
    }
}

/// Per cent at which people are told, rising.
pub(crate) fn thresholds(limit: &LimitNow) -> Vec<u32> {
    let mut all = if limit.warn_at.is_empty() { TOLD_AT.to_vec() } else { limit.warn_at.clone() };
    all.sort_unstable();
    all
}

/// Whole per cent of the limit, rounded down; of a limit of nothing, none.
pub(crate) fn percent(used: Decimal, included: Decimal) -> Option<u64> {
    let share = used.checked_mul(Decimal::ONE_HUNDRED)?.checked_div(included)?;
    u64::try_from(share.trunc()).ok()
}
