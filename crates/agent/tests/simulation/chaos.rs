//! What goes wrong, and the vendor's doings in between.

use tenure_license::activation::slots::Policy;

use super::{
    agent::{Agent, Death, names},
    world::{Event, World},
};

/// Installations in one history at most.
const AGENTS_MAX: usize = 10;
const KINDS: i64 = 15;

impl World {
    pub(super) fn chaos(&mut self) {
        if self.healed_at.is_some() {
            return;
        }
        let pause = self.rng.within(1, self.plan.lease / 8);
        self.after(pause, Event::Chaos);
        let kind = self.rng.below(KINDS);
        if self.plan.troubles >> kind & 1 == 0 {
            return;
        }
        let agent = self.rng.index(self.agents.len());
        match kind {
            0 => self.kill(agent),
            1 | 2 => self.doom(agent),
            3 | 4 => self.cut_off(agent),
            5 => self.step_clock(agent),
            6 => self.clone_disk(agent),
            7 => self.snapshot(agent),
            8 => self.roll_back(agent),
            9 => self.transfer(agent),
            10 => self.reissue(),
            11 => self.revoke(),
            12 => self.fail_replica(),
            13 => self.back_up(),
            _ => self.restore_backup(),
        }
    }

    fn kill(&mut self, agent: usize) {
        if self.agents[agent].process.is_some() {
            self.say(|_| format!("agent {agent} is killed"));
            self.agents[agent].die();
            let after = self.rng.within(1, self.plan.lease);
            self.after(after, Event::Restart { agent });
        }
    }

    /// It will die at a certain step of its next call.
    fn doom(&mut self, agent: usize) {
        let where_to =
            [Death::BeforeWriting, Death::AfterWriting, Death::AfterSending, Death::AfterAnswer];
        self.agents[agent].death = Some(self.rng.pick(&where_to));
    }

    fn cut_off(&mut self, agent: usize) {
        let length = self.rng.within(60, self.plan.lease * 2);
        let until = self.now + length;
        if self.rng.chance(200) {
            self.say(|_| format!("everybody is cut off until {until}"));
            self.agents.iter_mut().for_each(|agent| agent.cut_off_until = until);
        } else {
            self.say(|_| format!("agent {agent} is cut off until {until}"));
            self.agents[agent].cut_off_until = until;
        }
    }

    fn step_clock(&mut self, agent: usize) {
        let most = if self.rng.chance(200) { 40 * 24 * 3_600 } else { 2 * self.plan.lease };
        let step = self.rng.within(-most, most);
        self.say(|_| format!("the clock of agent {agent} is off by {step}"));
        self.agents[agent].clock.offset = step;
    }

    /// The data directory is copied while it may be in use, and started elsewhere.
    fn clone_disk(&mut self, agent: usize) {
        if self.agents.len() == AGENTS_MAX || self.rng.chance(500) {
            return;
        }
        let (after, copy) = (self.rng.within(1, self.plan.lease), self.agents.len());
        self.say(|_| format!("agent {agent} is copied as agent {copy}"));
        self.copied(agent);
        let from = &self.agents[agent];
        let twin = Agent {
            disk: from.disk.clone(),
            setup: from.setup,
            clock: from.clock,
            seen: from.seen,
            grace: from.grace,
            broken: from.broken,
            knows_revoked: from.knows_revoked,
            released_at: from.released_at,
            ..Agent::default()
        };
        self.join(twin, after);
    }

    fn copied(&mut self, agent: usize) {
        let key = self.agents[agent].disk.state.key.clone().unwrap();
        self.truth.copied.insert(key);
    }

    fn snapshot(&mut self, agent: usize) {
        let disk = self.agents[agent].disk.clone();
        self.agents[agent].snapshot = Some(disk);
    }

    /// The machine is restored from its snapshot.
    fn roll_back(&mut self, agent: usize) {
        let Some(disk) = self.agents[agent].snapshot.take() else { return };
        self.say(|_| format!("agent {agent} is rolled back"));
        self.truth.copied.extend(disk.state.key.clone());
        let one = &mut self.agents[agent];
        one.die();
        let undone = one.disk.ledger.iter().skip(disk.ledger.len()).flat_map(|line| names(line));
        self.truth.undone.extend(undone);
        one.disk = disk;
        one.floor = None;
        one.knows_revoked = false;
        one.released_at = None;
        let after = self.rng.within(1, self.plan.lease / 2);
        self.after(after, Event::Restart { agent });
    }

    /// It moves: given back here, installed elsewhere.
    fn transfer(&mut self, agent: usize) {
        if self.agents.len() == AGENTS_MAX || self.agents[agent].setup.release {
            return;
        }
        self.say(|_| format!("agent {agent} is to release"));
        self.agents[agent].setup.release = true;
        let after = self.rng.within(1, self.plan.lease / 2);
        self.install(after);
    }

    fn reissue(&mut self) {
        let max = self.rng.within(1, 5);
        let overage_percent = self.rng.pick(&[0, 0, 50]);
        let policy = Policy { max: u64::try_from(max).ok(), overage_percent };
        let supersede = self.rng.chance(500);
        if self.rng.chance(500) {
            self.server.db.lease_seconds = self.plan.lease * self.rng.within(3, 10) / 10;
        }
        self.server.reissue(policy, supersede, self.now);
        self.say(|world| format!("revision {}: {policy:?}", world.server.db.revision));
    }

    fn revoke(&mut self) {
        if self.rng.chance(300) && self.now > self.plan.horizon / 3 {
            self.say(|_| "the license is revoked".into());
            self.server.revoke(self.now, &mut self.truth);
        }
    }

    /// A replica stops: what was on its way to it is lost, and what it cached.
    fn fail_replica(&mut self) {
        let replica = self.rng.index(self.replicas.len());
        self.replicas[replica].up = false;
        self.server.forget_caches();
        let after = self.rng.within(1, self.plan.lease / 2);
        self.after(after, Event::ReplicaUp { replica });
    }

    fn back_up(&mut self) {
        self.backup = Some(self.server.db.clone());
    }

    fn restore_backup(&mut self) {
        if self.rng.chance(600)
            && let Some(db) = self.backup.take()
        {
            self.say(|_| "the database is restored from a backup".into());
            self.server.db = db;
            self.truth.restored(&self.server.db, self.now);
            // What was revoked since the backup is revoked again: that is for people to do.
            if self.truth.revoked.is_some() {
                self.server.revoke(self.now, &mut self.truth);
            }
        }
    }

    /// The end of all trouble: the network heals, who was down starts again, clocks are set.
    pub(super) fn heal(&mut self) {
        self.say(|_| "everything heals".into());
        self.healed_at = Some(self.now);
        self.replicas.iter_mut().for_each(|replica| replica.up = true);
        if self.rng.chance(500) {
            let max = Some(self.agents.len() as u64 * 3);
            self.server.db.policy = Policy { max, overage_percent: 0 };
        }
        for agent in 0..self.agents.len() {
            let one = &mut self.agents[agent];
            one.cut_off_until = 0;
            one.death = None;
            one.clock.offset = 0;
            one.clock.drift = 0;
            one.snapshot = None;
            // One more use each, so that everybody who goes on has something to tell.
            if self.agents[agent].released_at.is_none() {
                self.record(agent);
            }
            self.restart(agent);
        }
    }
}
