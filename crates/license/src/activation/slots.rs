//! How many instances hold a license at once.
//!
//! A slot is held until a moment: the end of the lease or of the file that was
//! issued. Giving it back needs the instance's signature, and even then the
//! token in its hands stays genuine until that moment; so hand-overs are free
//! only as often as there are slots. That makes the loop "activate, keep the
//! file, give back, activate elsewhere" pointless (keygen-api#442).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How many may hold a license.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Bought; `None` is unlimited.
    pub max: Option<u64>,
    /// How many more are let in and reported, in per cent of `max`, rounded down.
    pub overage_percent: u32,
}

impl Policy {
    /// No bound.
    pub const UNLIMITED: Self = Self { max: None, overage_percent: 0 };

    /// Bought and tolerated together; `None` is unlimited.
    pub fn cap(self) -> Option<u64> {
        let more = |max: u64| max.saturating_mul(u64::from(self.overage_percent)) / 100;
        self.max.map(|max| max.saturating_add(more(max)))
    }
}

/// One instance's hold on a license.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// The end of the lease or file in its hands.
    pub until: Timestamp,
    /// Whether it was given back before.
    pub returned: bool,
}

impl Hold {
    fn lives(&self, now: Timestamp) -> bool {
        now < self.until
    }
}

/// Whether one more may hold the license.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Within what was bought.
    Granted,
    /// Within what is tolerated: to be reported.
    Overage,
    /// Every slot is held.
    Full {
        /// How many hold one.
        held: u64,
        /// When the first of them ends by itself.
        free_at: Timestamp,
    },
    /// As many slots as there are were given back early already.
    Handovers {
        /// When the first of those ends by itself.
        free_at: Timestamp,
    },
}

/// Whether one more instance may hold a license that `others` hold. The holder's
/// own hold must not be among them: a renewal takes no second slot.
pub fn decide(policy: Policy, others: &[Hold], now: Timestamp) -> Decision {
    let Some(max) = policy.max else { return Decision::Granted };
    let cap = policy.cap().unwrap_or(max);
    let alive = |returned: bool| {
        others.iter().filter(move |hold| hold.returned == returned && hold.lives(now))
    };
    let first_end = |returned| alive(returned).map(|hold| hold.until).min().unwrap_or(now);
    let held = alive(false).count() as u64;
    let returned = alive(true).count() as u64;
    if held >= cap {
        return Decision::Full { held, free_at: first_end(false) };
    }
    // Tokens given back and not ended may be in use all the same: at most one a slot.
    if returned > 0 && held + returned >= cap.saturating_mul(2) {
        return Decision::Handovers { free_at: first_end(true) };
    }
    if held >= max { Decision::Overage } else { Decision::Granted }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn hold(until: i64, returned: bool) -> Hold {
        Hold { until: at(until), returned }
    }

    fn policy(max: u64, overage_percent: u32) -> Policy {
        Policy { max: Some(max), overage_percent }
    }

    #[test]
    fn a_slot_is_free_again_when_the_lease_in_it_has_ended() {
        let others = [hold(100, false)];
        let full = Decision::Full { held: 1, free_at: at(100) };
        assert_eq!(decide(policy(1, 0), &others, at(99)), full);
        assert_eq!(decide(policy(1, 0), &others, at(100)), Decision::Granted);
    }

    #[test]
    fn overage_is_let_in_and_said() {
        let others = [hold(100, false); 10];
        assert_eq!(decide(policy(10, 20), &others, at(0)), Decision::Overage);
        let others = [hold(100, false); 12];
        assert!(matches!(decide(policy(10, 20), &others, at(0)), Decision::Full { held: 12, .. }));
        assert_eq!(decide(policy(4, 20), &[hold(9, false); 3], at(0)), Decision::Granted);
        assert!(matches!(
            decide(policy(4, 20), &[hold(9, false); 4], at(0)),
            Decision::Full { .. }
        ));
    }

    #[test]
    fn a_move_to_another_machine_is_free_and_a_loop_of_moves_is_not() {
        let others = [hold(100, true)];
        assert_eq!(decide(policy(1, 0), &others, at(1)), Decision::Granted, "the first move");
        let others = [hold(100, true), hold(101, true)];
        assert_eq!(
            decide(policy(1, 0), &others, at(2)),
            Decision::Handovers { free_at: at(100) },
            "the second within one lease"
        );
        assert_eq!(decide(policy(1, 0), &others, at(100)), Decision::Granted);
    }

    proptest! {
        #[test]
        fn tokens_in_use_never_exceed_the_cap_and_those_about_never_twice_the_cap(
            max in 0u64..6, overage in 0u32..120, steps in prop::collection::vec((0u8..4, 0usize..8), 1..60),
        ) {
            let policy = policy(max, overage);
            let cap = policy.cap().unwrap();
            let mut holds: Vec<Hold> = Vec::new();
            for (second, (what, which)) in steps.into_iter().enumerate() {
                let now = at(second as i64);
                match what {
                    0 if !holds.is_empty() => {
                        let index = which % holds.len();
                        holds[index].returned = true;
                    }
                    _ => {
                        let decision = decide(policy, &holds, now);
                        if matches!(decision, Decision::Granted | Decision::Overage) {
                            holds.push(hold(second as i64 + 1 + which as i64 * 4, false));
                        }
                    }
                }
                let lives = |returned: bool| {
                    holds.iter().filter(|h| h.returned == returned && h.until > now).count() as u64
                };
                prop_assert!(lives(false) <= cap);
                prop_assert!(lives(false) + lives(true) <= cap * 2);
            }
        }
    }
}
