//! What happens around the end of a license. Travels inside the signed claims.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Longest time in a policy, in seconds: ten years.
pub const POLICY_SECONDS_MAX: u32 = 10 * 366 * DAY_SECONDS;
const DAY_SECONDS: u32 = 24 * 60 * 60;

/// Times around `exp`, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpiryPolicy {
    /// Notices begin so long before the end.
    pub warn_before_seconds: u32,
    /// Full function ends so long after the end.
    pub full_until_seconds: u32,
    /// Everything ends so long after the end; at least `full_until_seconds`.
    pub restricted_until_seconds: u32,
}

impl ExpiryPolicy {
    /// Warning 14 days before; full for 7 days after; restricted until day 30 (SPEC 12).
    pub const PRESET: Self = Self::days(14, 7, 30);
    /// Warning 14 days before; full for 7 days after; then nothing (SPEC 12).
    pub const STRICT: Self = Self::days(14, 7, 7);

    const fn days(warn_before: u32, full_until: u32, restricted_until: u32) -> Self {
        Self {
            warn_before_seconds: warn_before * DAY_SECONDS,
            full_until_seconds: full_until * DAY_SECONDS,
            restricted_until_seconds: restricted_until * DAY_SECONDS,
        }
    }

    pub(crate) fn check(self) -> Result<(), String> {
        let longest = self.warn_before_seconds.max(self.restricted_until_seconds);
        if longest > POLICY_SECONDS_MAX {
            return Err(format!("expiry_policy has a time above {POLICY_SECONDS_MAX} seconds"));
        }
        if self.full_until_seconds > self.restricted_until_seconds {
            return Err("expiry_policy: full_until lies after restricted_until".into());
        }
        Ok(())
    }

    /// When notices begin.
    pub fn warns_from(self, exp: Timestamp) -> Timestamp {
        shift(exp, -i64::from(self.warn_before_seconds))
    }

    /// When full function ends.
    pub fn full_until(self, exp: Timestamp) -> Timestamp {
        shift(exp, i64::from(self.full_until_seconds))
    }

    /// When everything ends.
    pub fn restricted_until(self, exp: Timestamp) -> Timestamp {
        shift(exp, i64::from(self.restricted_until_seconds))
    }
}

impl Default for ExpiryPolicy {
    fn default() -> Self {
        Self::PRESET
    }
}

/// `at` moved by seconds; stays within what a timestamp can say.
pub(super) fn shift(at: Timestamp, seconds: i64) -> Timestamp {
    let moved = at.as_second().saturating_add(seconds);
    let bounded = moved.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    Timestamp::from_second(bounded).unwrap_or(at)
}
