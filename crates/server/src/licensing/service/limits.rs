//! How often the license service may be asked.
//!
//! Activations are few and cost a signature, so they are bounded tightly by
//! license and by address. Heartbeats and validations are cheap and many come
//! through one address (a proxy, a cluster), so their bound only stops a
//! program that runs wild.

use std::{
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
};

use axum::http::{StatusCode, header};
use governor::{DefaultKeyedRateLimiter, Quota, clock::Clock};
use tenure_core::LicenseId;

use crate::http::Problem;

/// Activations of a license that may follow each other at once.
pub(super) const LICENSE_ACTIVATIONS_BURST: u32 = 60;
/// Activations of a license a minute, on average.
pub(super) const LICENSE_ACTIVATIONS_A_MINUTE: u32 = 30;
/// Activations from an address that may follow each other at once.
pub(super) const ADDRESS_ACTIVATIONS_BURST: u32 = 600;
/// Activations from an address a minute, on average.
pub(super) const ADDRESS_ACTIVATIONS_A_MINUTE: u32 = 300;
/// Heartbeats, releases and validations from an address that may follow each other at once.
pub(super) const ADDRESS_CALLS_BURST: u32 = 100_000;
/// Heartbeats, releases and validations from an address a second, on average.
pub(super) const ADDRESS_CALLS_A_SECOND: u32 = 20_000;
/// Addresses or licenses remembered before those that did not call lately are forgotten.
const KEPT_MAX: usize = 20_000;

/// Counts calls by license and by address. Behind a proxy all share the proxy's address.
pub(crate) struct Limits {
    by_license: Bound<LicenseId>,
    activations: Bound<IpAddr>,
    calls: Bound<IpAddr>,
}

impl Default for Limits {
    fn default() -> Self {
        let minute = |each| Quota::per_minute(number(each));
        let license = minute(LICENSE_ACTIVATIONS_A_MINUTE);
        let address = minute(ADDRESS_ACTIVATIONS_A_MINUTE);
        let calls = Quota::per_second(number(ADDRESS_CALLS_A_SECOND));
        Self {
            by_license: Bound::new(license.allow_burst(number(LICENSE_ACTIVATIONS_BURST))),
            activations: Bound::new(address.allow_burst(number(ADDRESS_ACTIVATIONS_BURST))),
            calls: Bound::new(calls.allow_burst(number(ADDRESS_CALLS_BURST))),
        }
    }
}

fn number(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN)
}

impl Limits {
    /// One activation from an address.
    pub(super) fn activation_from(&self, address: Option<IpAddr>) -> Result<(), Problem> {
        address.map_or(Ok(()), |address| self.activations.take(&network(address)))
    }

    /// One activation of a license.
    pub(super) fn activation_of(&self, license: LicenseId) -> Result<(), Problem> {
        self.by_license.take(&license)
    }

    /// One call of another kind.
    pub(super) fn call_from(&self, address: Option<IpAddr>) -> Result<(), Problem> {
        address.map_or(Ok(()), |address| self.calls.take(&network(address)))
    }
}

struct Bound<K: Hash + Eq + Clone>(DefaultKeyedRateLimiter<K>);

impl<K: Hash + Eq + Clone> Bound<K> {
    fn new(quota: Quota) -> Self {
        Self(DefaultKeyedRateLimiter::keyed(quota))
    }

    fn take(&self, key: &K) -> Result<(), Problem> {
        if self.0.len() > KEPT_MAX {
            self.0.retain_recent();
            if self.0.len() > 2 * KEPT_MAX {
                return Err(too_many(1));
            }
        }
        self.0.check_key(key).map_err(|refusal| {
            let wait = refusal.wait_time_from(governor::clock::DefaultClock::default().now());
            too_many(wait.as_secs().saturating_add(1))
        })
    }
}

/// 429: come back later.
fn too_many(seconds: u64) -> Problem {
    Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too-many-requests",
        "Too many requests",
        format!("Wait {seconds} seconds, then send the same request again."),
    )
    .with_header(header::RETRY_AFTER, &seconds.to_string())
}

/// Who holds one IPv6 address holds the 2^64 beside it.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_license_may_be_activated_in_a_burst_and_then_told_when_to_come_back() {
        let limits = Limits::default();
        let license = LicenseId::new(jiff::Timestamp::UNIX_EPOCH);
        for _ in 0..LICENSE_ACTIVATIONS_BURST {
            limits.activation_of(license).expect("within the burst");
        }
        let problem = limits.activation_of(license).expect_err("past it");
        assert_eq!(problem.status, 429);
        assert!(problem.detail.contains("Wait"), "{}", problem.detail);
        limits.activation_of(LicenseId::new(jiff::Timestamp::MAX)).expect("another license");
    }

    #[test]
    fn the_hosts_of_one_ipv6_network_share_a_bound() {
        let [one, two] = ["2001:db8::1", "2001:db8::2"].map(|text| text.parse().unwrap());
        assert_eq!(network(one), network(two));
    }
}
