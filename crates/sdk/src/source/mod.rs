//! Where a license comes from while the product runs: an agent beside it, or the vendor's server.
//!
//! What they answer is a [`Grant`] of tokens, which are verified by whoever uses them. Fields
//! outside a signature are used only where they make the answer stricter.

mod agent;
mod server;

use std::time::Duration;

use jiff::Timestamp;
use tenure_api::usage::Event;
use tenure_license::state::Revocation;

pub(crate) use agent::AGENT_ADDRESS;
pub use agent::Agent;
pub use server::Server;

use crate::Error;

/// Tokens, yet to be verified, and what was said beside them.
#[derive(Debug, Clone, Default)]
pub struct Grant {
    /// The license.
    pub license: Option<String>,
    /// The lease.
    pub lease: Option<String>,
    /// The revocation list.
    pub revocations: Option<String>,
    /// Since when the license is held. Unsigned.
    pub held_since: Option<Timestamp>,
    /// The latest moment that the other side knows to have passed. Unsigned.
    pub floor: Option<Timestamp>,
    /// What the server says of the license. Unsigned.
    pub taken_back: Revocation,
}

/// Who is asked.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Agent(Agent),
    Server(Server),
}

impl Source {
    pub(crate) const fn refresh_every(&self) -> Duration {
        match self {
            Self::Agent(_) => Duration::from_secs(60),
            Self::Server(_) => Duration::from_secs(60 * 60),
        }
    }

    /// Whether it holds leases, so that staying out of contact can be judged.
    pub(crate) const fn follows_contact(&self) -> bool {
        matches!(self, Self::Agent(_))
    }

    pub(crate) const fn takes_usage(&self) -> bool {
        match self {
            Self::Agent(_) => true,
            Self::Server(server) => server.takes_usage(),
        }
    }

    /// `held`: the token that is held, with its revision.
    pub(crate) async fn fetch(
        &self,
        held: Option<(&str, u64)>,
        now: Timestamp,
    ) -> Result<Grant, Error> {
        match self {
            Self::Agent(agent) => agent.license().await,
            Self::Server(server) => server.fetch(held, now).await,
        }
    }

    /// The events that were not taken, each with why.
    pub(crate) async fn send_usage(&self, events: &[Event]) -> Result<Vec<String>, Error> {
        match self {
            Self::Agent(agent) => agent.send_usage(events).await,
            Self::Server(server) => server.send_usage(events).await,
        }
    }
}
