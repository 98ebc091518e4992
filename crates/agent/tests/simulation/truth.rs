//! What really happened, recorded apart from what the server and the agents believe, and the
//! invariants over it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use tenure_core::InstanceId;

use super::server::Db;

/// How far the clocks of the servers may differ from the true time, in seconds.
pub(crate) const SERVER_SKEW_MAX: i64 = 2;

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Which.
    pub(crate) of: Invariant,
    /// What was seen.
    pub(crate) seen: String,
}

/// What must hold in every history. docs/licensing.md says the same in sentences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invariant {
    /// Live leases never exceed what was bought and tolerated.
    LiveLeases,
    /// Tokens about never exceed twice that.
    TokensAbout,
    /// No usage is lost.
    UsageLost,
    /// No usage is counted twice.
    UsageCountedTwice,
    /// Nobody with a valid license is denied before the lease ends.
    ValidIsServed,
    /// A revoked license is denied.
    RevokedIsDenied,
    /// The floor never falls, and never rises past what was seen.
    Floor,
    /// A clock that is set back improves nothing.
    ClockSetBack,
    /// Copies become instances of their own.
    CopiesPart,
    /// Nobody is taken for a copy who is none.
    NoFalseFork,
    /// Who can hold a lease does, within the bound.
    Liveness,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.of, self.seen)
    }
}

/// Fails with a sentence unless the condition holds.
pub(crate) fn ensure(
    holds: bool,
    of: Invariant,
    seen: impl FnOnce() -> String,
) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation { of, seen: seen() }) }
}

#[derive(Debug, Clone, Copy)]
struct Token {
    until: i64,
    returned: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Truth {
    tokens: BTreeMap<InstanceId, Token>,
    /// Keys that were on a disk when it was copied.
    pub(crate) copied: BTreeSet<String>,
    /// When the license was revoked first.
    pub(crate) revoked: Option<i64>,
    /// Amount of every event that was ever recorded.
    pub(crate) recorded: BTreeMap<String, u64>,
    /// Events that a machine forgot when it was rolled back.
    pub(crate) undone: BTreeSet<String>,
    /// When the database was restored last.
    pub(crate) restored: Option<i64>,
    /// Forks that were found.
    pub(crate) forks: u64,
    pub(crate) grants: u64,
}

impl Truth {
    /// A lease was signed. The policy in force now bounds what is about now.
    pub(crate) fn granted(
        &mut self,
        instance: InstanceId,
        until: i64,
        now: i64,
        cap: Option<u64>,
    ) -> Result<(), Violation> {
        self.grants += 1;
        let before = self.tokens.get(&instance).map_or(until, |token| token.until);
        self.tokens.insert(instance, Token { until: until.max(before), returned: false });
        let Some(cap) = cap else { return Ok(()) };
        let surely = now + 2 * SERVER_SKEW_MAX;
        self.tokens.retain(|_, token| token.until > surely);
        let held = self.tokens.values().filter(|token| !token.returned).count() as u64;
        let about = self.tokens.len() as u64;
        ensure(held <= cap, Invariant::LiveLeases, || {
            format!("{held} live leases, {cap} allowed")
        })?;
        ensure(about <= cap * 2, Invariant::TokensAbout, || {
            format!("{about} tokens about, {} allowed", cap * 2)
        })
    }

    pub(crate) fn returned(&mut self, instance: InstanceId) {
        if let Some(token) = self.tokens.get_mut(&instance) {
            token.returned = true;
        }
    }

    /// Two histories under one key: there must have been two.
    pub(crate) fn forked(&mut self, key: &str) -> Result<(), Violation> {
        self.forks += 1;
        ensure(self.copied.contains(key), Invariant::NoFalseFork, || {
            format!("{key} was taken for a copy and never was copied")
        })
    }

    /// The database is an older one: it cannot answer for what it has forgotten.
    pub(crate) fn restored(&mut self, db: &Db, now: i64) {
        self.restored = Some(now);
        self.tokens = db
            .rows
            .values()
            .map(|row| (row.instance, Token { until: row.until, returned: row.returned }))
            .collect();
    }
}
