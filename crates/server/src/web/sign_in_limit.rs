//! How often a network address may try to sign in.

use std::net::{IpAddr, Ipv6Addr};

use governor::{DefaultKeyedRateLimiter, Quota, clock::Clock};

/// Attempts that may follow each other at once.
const ATTEMPTS_BURST: u32 = 10;
/// Attempts a minute, on average.
const ATTEMPTS_A_MINUTE: u32 = 5;
/// Addresses remembered before those that have not tried lately are forgotten.
const ADDRESSES_KEPT: usize = 10_000;

/// Counts attempts by address. Behind a proxy all of them share the proxy's.
pub(super) struct SignInLimit(DefaultKeyedRateLimiter<IpAddr>);

impl Default for SignInLimit {
    fn default() -> Self {
        let number = |n| std::num::NonZeroU32::new(n).unwrap_or(std::num::NonZeroU32::MIN);
        let quota =
            Quota::per_minute(number(ATTEMPTS_A_MINUTE)).allow_burst(number(ATTEMPTS_BURST));
        Self(DefaultKeyedRateLimiter::keyed(quota))
    }
}

impl SignInLimit {
    /// Takes one attempt, or says for how many seconds to wait.
    pub(super) fn attempt(&self, address: IpAddr) -> Result<(), u64> {
        if self.0.len() > ADDRESSES_KEPT {
            self.0.retain_recent();
        }
        self.0.check_key(&network(address)).map_err(|refusal| {
            let wait = refusal.wait_time_from(governor::clock::DefaultClock::default().now());
            wait.as_secs().saturating_add(1)
        })
    }
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
