//! Lifecycles: which state may follow which.
//!
//! Owns: the states of tenants and subscriptions, their words, and the legal
//! transitions. Refuses: everything not listed; a terminal state has no way out.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A transition that is not legal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a {what} that is {from} cannot become {to}; it can become {}", .allowed.join(" or "))]
pub struct IllegalTransition {
    /// `tenant` or `subscription`.
    pub what: &'static str,
    /// The present state.
    pub from: &'static str,
    /// The state asked for.
    pub to: &'static str,
    /// What would be legal; `nothing else` for a terminal state.
    pub allowed: Vec<&'static str>,
}

/// The text is no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a {what} status: {}", .known.join(", "))]
pub struct UnknownStatus {
    what: &'static str,
    given: String,
    known: Vec<&'static str>,
}

macro_rules! lifecycle {
    ($(#[$doc:meta])* $name:ident, $what:literal {
        $($(#[$vdoc:meta])* $state:ident = $word:literal => [$($next:ident),*];)+
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $state,)+ }

        impl $name {
            /// Every state.
            pub const ALL: &'static [Self] = &[$(Self::$state,)+];

            /// The word of API, database and pages.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$state => $word,)+ }
            }

            /// The states that may follow.
            pub const fn next(self) -> &'static [Self] {
                match self { $(Self::$state => &[$(Self::$next,)*],)+ }
            }

            /// `to`, if it may follow.
            pub fn become_(self, to: Self) -> Result<Self, IllegalTransition> {
                if self.next().contains(&to) {
                    return Ok(to);
                }
                let mut allowed: Vec<_> = self.next().iter().map(|state| state.word()).collect();
                if allowed.is_empty() {
                    allowed.push("nothing else");
                }
                Err(IllegalTransition { what: $what, from: self.word(), to: to.word(), allowed })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }

        impl FromStr for $name {
            type Err = UnknownStatus;
            fn from_str(text: &str) -> Result<Self, UnknownStatus> {
                Self::ALL.iter().copied().find(|state| state.word() == text).ok_or_else(|| {
                    UnknownStatus {
                        what: $what,
                        given: text.chars().take(40).collect(),
                        known: Self::ALL.iter().map(|state| state.word()).collect(),
                    }
                })
            }
        }
    };
}

lifecycle! {
    /// The states of a tenant.
    TenantStatus, "tenant" {
        /// In use.
        Active = "active" => [Suspended, Cancelled];
        /// Access is withheld; nothing is lost.
        Suspended = "suspended" => [Active, Cancelled];
        /// Left; may be deleted.
        Cancelled = "cancelled" => [Deleted];
        /// Erased; what must be kept by law is all that remains.
        Deleted = "deleted" => [];
    }
}

lifecycle! {
    /// The states of a subscription.
    SubscriptionStatus, "subscription" {
        /// Free, until a date.
        Trial = "trial" => [Active, Cancelled];
        /// In use and paid for.
        Active = "active" => [PastDue, Suspended, Cancelled];
        /// A payment failed; still in use.
        PastDue = "past_due" => [Active, Suspended, Cancelled];
        /// Access is withheld; nothing is lost.
        Suspended = "suspended" => [Active, Cancelled];
        /// Ended.
        Cancelled = "cancelled" => [];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancelled_subscriptions_stay_cancelled() {
        for to in SubscriptionStatus::ALL {
            assert!(SubscriptionStatus::Cancelled.become_(*to).is_err());
        }
    }

    #[test]
    fn a_refusal_says_what_would_be_legal() {
        let error = SubscriptionStatus::Trial.become_(SubscriptionStatus::PastDue).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a subscription that is trial cannot become past_due; it can become active or cancelled"
        );
    }

    #[test]
    fn every_state_but_the_first_can_be_reached() {
        for state in SubscriptionStatus::ALL {
            let reached = SubscriptionStatus::ALL.iter().any(|from| from.next().contains(state));
            assert!(reached || *state == SubscriptionStatus::Trial, "{state}");
        }
    }

    #[test]
    fn words_read_back() {
        for state in TenantStatus::ALL {
            assert_eq!(state.word().parse::<TenantStatus>().unwrap(), *state);
        }
    }
}
