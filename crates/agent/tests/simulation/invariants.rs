//! The invariants that are looked at from outside; see `truth` for those over tokens.

use std::collections::{BTreeMap, BTreeSet};

use tenure_agent::machine::Phase;
use tenure_license::State as LicenseState;

use super::{
    agent::{Agent, names},
    license::{DAY, GRACE_DAYS, second},
    truth::{Invariant, SERVER_SKEW_MAX, Violation, ensure},
    world::World,
};

/// Within so many seconds after the last trouble everybody who can hold a lease does, besides
/// the length of two leases (those that nobody uses any more must end first) and a few
/// heartbeats: the longest pause between two attempts, thrice.
const SETTLE: i64 = 3 * 3_600 + 900;

impl World {
    /// When after the healing everything must be in order.
    pub(super) fn bound(&self) -> i64 {
        2 * self.plan.lease + 3 * self.plan.heartbeat + SETTLE
    }

    pub(super) fn check_all(&mut self) -> Result<(), Violation> {
        (0..self.agents.len()).try_for_each(|agent| self.check_one(agent))
    }

    /// One agent, as its disk is.
    pub(super) fn check_one(&mut self, agent: usize) -> Result<(), Violation> {
        self.check_floor(agent)?;
        self.check_service(agent)?;
        // A verdict costs more than all the rest of a step.
        if self.steps.is_multiple_of(8) { self.check_clock_set_back(agent) } else { Ok(()) }
    }

    fn check_floor(&mut self, agent: usize) -> Result<(), Violation> {
        let now = self.now;
        let one = &mut self.agents[agent];
        let floor = one.disk.state.floor.map(second);
        let before = one.floor;
        ensure(floor >= before, Invariant::Floor, || {
            format!("the floor of agent {agent} fell from {before:?} to {floor:?}")
        })?;
        one.floor = floor;
        let most = one.seen.max(now + SERVER_SKEW_MAX);
        ensure(floor.is_none_or(|floor| floor <= most), Invariant::Floor, || {
            format!("the floor of agent {agent} is {floor:?}, beyond anything seen ({most})")
        })
    }

    /// Who holds a valid license is served until the lease has ended; who holds a revoked one
    /// is not, once it was told, and after the lease in any case.
    fn check_service(&self, agent: usize) -> Result<(), Violation> {
        let (now, one) = (self.now, &self.agents[agent]);
        let state = &one.disk.state;
        let Some(lease) = &state.lease else {
            let unexplained = state.license.is_some() && self.truth.revoked.is_none();
            return ensure(!unexplained, Invariant::ValidIsServed, || {
                format!("agent {agent} has a license and has lost its lease")
            });
        };
        let Some(verdict) = one.judge(now) else { return Ok(()) };
        let as_of = now.max(state.floor.map_or(now, second));
        let end = second(lease.exp) + i64::from(GRACE_DAYS[one.grace]) * DAY;
        if self.truth.revoked.is_none() {
            let served = matches!(verdict, LicenseState::Active | LicenseState::Expiring);
            return ensure(served || as_of >= end, Invariant::ValidIsServed, || {
                format!("agent {agent} is {verdict:?} and its lease ends at {end}")
            });
        }
        let denied = verdict >= LicenseState::Restricted;
        ensure(denied || as_of < end, Invariant::RevokedIsDenied, || {
            format!("agent {agent} is {verdict:?} and its lease ended at {end}")
        })?;
        let told = verdict == LicenseState::Terminated || !one.knows_revoked;
        ensure(told, Invariant::RevokedIsDenied, || {
            format!("agent {agent} was told of the revocation and is {verdict:?}")
        })
    }

    fn check_clock_set_back(&mut self, agent: usize) -> Result<(), Violation> {
        let back = self.rng.within(1, 3 * self.plan.lease);
        let one = &self.agents[agent];
        let local = one.clock.read(self.now);
        // What was looked at is the floor; a clock that was not read yet proves nothing.
        if one.disk.state.floor.is_none_or(|floor| second(floor) < local) {
            return Ok(());
        }
        let (here, before) = (one.judge(local), one.judge(local - back));
        ensure(before >= here, Invariant::ClockSetBack, || {
            format!("agent {agent} is {here:?} at {local} and {before:?} {back} s earlier")
        })
    }

    /// At the end, when everything has healed.
    pub(super) fn check_end(&mut self) -> Result<(), Violation> {
        self.check_all()?;
        self.check_copies()?;
        self.check_usage()?;
        self.check_leases()
    }

    /// Copies have parted: no two installations use one key.
    fn check_copies(&self) -> Result<(), Violation> {
        let mut users: BTreeMap<u64, usize> = BTreeMap::new();
        for (index, agent) in self.agents.iter().enumerate() {
            let stopped = agent.disk.state.phase == Phase::Released;
            if stopped || agent.disk.state.instance.is_none() {
                continue;
            }
            let key = agent.disk.key;
            let other = users.insert(key, index);
            ensure(other.is_none(), Invariant::CopiesPart, || {
                format!("agents {other:?} and {index} both go on with key {key}")
            })?;
        }
        Ok(())
    }

    /// Every use is counted once: of everybody who has a name with the vendor, all of it.
    fn check_usage(&self) -> Result<(), Violation> {
        let db = &self.server.db;
        for (index, agent) in self.agents.iter().enumerate() {
            // Who has gone cannot tell again what a restored database forgot; a copy that was
            // stopped before it became an instance of its own leaves its ledger to people.
            let key = agent.disk.state.key.as_ref();
            let copied = key.is_some_and(|key| self.truth.copied.contains(key));
            let gone = agent.released_at.is_some() && (self.truth.restored.is_some() || copied);
            if agent.disk.state.instance.is_none() || gone {
                continue;
            }
            let mut events = agent.disk.ledger.iter().flat_map(|line| names(line));
            let lost = events.find(|name| !db.counted.contains_key(name));
            ensure(lost.is_none(), Invariant::UsageLost, || {
                format!("{lost:?} of agent {index} was never counted")
            })?;
        }
        self.check_evidence()?;
        let once: u64 = db.counted.keys().map(|name| self.truth.recorded[name]).sum();
        ensure(db.sum == once, Invariant::UsageCountedTwice, || {
            format!("{} is billed, {once} was recorded", db.sum)
        })
    }

    /// What was recorded is counted, or still on a disk, unless people turned either back.
    fn check_evidence(&self) -> Result<(), Violation> {
        if self.truth.restored.is_some() {
            return Ok(());
        }
        let disks = self.agents.iter().flat_map(|agent| &agent.disk.ledger);
        let kept: BTreeSet<String> = disks.flat_map(|line| names(line)).collect();
        let lost = self.truth.recorded.keys().find(|name| {
            let counted = self.server.db.counted.contains_key(*name);
            !counted && !kept.contains(*name) && !self.truth.undone.contains(*name)
        });
        ensure(lost.is_none(), Invariant::UsageLost, || format!("{lost:?} is nowhere"))
    }

    /// Everybody who can hold a lease does.
    fn check_leases(&self) -> Result<(), Violation> {
        if self.truth.revoked.is_some() {
            return Ok(());
        }
        let wanting = self.agents.iter().filter(|agent| !agent.setup.release).count() as u64;
        let leased = self
            .agents
            .iter()
            .filter(|agent| !agent.setup.release && agent.leased(self.now))
            .count() as u64;
        let stopped = self
            .agents
            .iter()
            .position(|agent| !agent.setup.release && agent.disk.state.phase == Phase::Released);
        ensure(stopped.is_none(), Invariant::Liveness, || {
            format!("agent {stopped:?} has stopped and was not to")
        })?;
        let cap = self.server.db.policy.cap().unwrap_or(u64::MAX);
        ensure(leased >= wanting.min(cap), Invariant::Liveness, || {
            format!("{leased} hold a lease, {wanting} want one, {cap} may")
        })?;
        let stopped = |agent: &Agent| agent.disk.state.phase == Phase::Released;
        let gone = self.agents.iter().all(|agent| !agent.setup.release || stopped(agent));
        ensure(gone, Invariant::Liveness, || "somebody cannot give its slot back".into())
    }
}
