//! A deterministic simulation of agents, clocks, networks and the license service.
//!
//! A seed gives one history: installations start, crash, move and are copied; clocks are
//! wrong; messages are lost, doubled, late and out of order; the vendor renews, revokes and
//! shrinks; servers stop and are restored from backups. Then everything heals. The agents are
//! `tenure_agent::machine`, the server decides with `tenure_license::activation`; what is
//! simulated is everything around the two. docs/licensing.md lists the invariants.
//!
//! ```text
//! TENURE_SIMULATION_SEEDS=20000 cargo test -p tenure-agent --test simulation
//! TENURE_SIMULATION_SEED=1234 TENURE_SIMULATION_SEEDS=1 cargo test -p tenure-agent --test simulation
//! ```

#![allow(clippy::unwrap_used, reason = "a test")]

mod agent;
mod broken;
mod chaos;
mod invariants;
mod license;
mod rng;
mod server;
mod truth;
mod world;

use std::thread;

use broken::Broken;
use truth::{Invariant, Violation};
use world::World;

/// Seeds of a run without other wishes.
const SEEDS: u64 = 2_000;
/// Seeds within which a broken rule must be noticed.
const SEEDS_TO_NOTICE: u64 = 2_000;

fn number(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "a test is configured where it runs")]
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not `{text}`")))
}

fn run(seed: u64, broken: Option<Broken>) -> Result<World, Violation> {
    let mut world = World::new(seed, broken, false);
    world.run().map(|()| world)
}

/// Runs a failing seed again, with its last steps, and says how to replay it.
fn explain(seed: u64) -> String {
    let mut world = World::new(seed, None, true);
    let violation = world.run().expect_err("a seed has one history");
    format!(
        "seed {seed}: {violation}\n{}\nthe last steps:\n{}\nreplay it with\n  \
         TENURE_SIMULATION_SEED={seed} TENURE_SIMULATION_SEEDS=1 \
         cargo test -p tenure-agent --test simulation every_invariant",
        world.describe(),
        world.trace(),
    )
}

/// What a stretch of seeds led to.
#[derive(Debug, Default)]
struct Tally {
    steps: u64,
    leases: u64,
    forks: u64,
    events: u64,
    failed: Option<u64>,
}

fn tally(seeds: impl Iterator<Item = u64>) -> Tally {
    let mut tally = Tally::default();
    for seed in seeds {
        match run(seed, None) {
            Ok(world) => {
                tally.steps += world.steps;
                tally.leases += world.truth.grants;
                tally.forks += world.truth.forks;
                tally.events += world.truth.recorded.len() as u64;
            }
            Err(_) => return Tally { failed: Some(seed), ..tally },
        }
    }
    tally
}

/// Each history is one thread's; several histories run side by side.
#[test]
fn every_invariant_holds_in_every_history() {
    let first = number("TENURE_SIMULATION_SEED").unwrap_or(1);
    let seeds = number("TENURE_SIMULATION_SEEDS").unwrap_or(SEEDS);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let tallies: Vec<Tally> = thread::scope(|scope| {
        let of = |worker| move || tally((first + worker as u64..first + seeds).step_by(workers));
        let running: Vec<_> = (0..workers).map(|worker| scope.spawn(of(worker))).collect();
        running.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    if let Some(seed) = tallies.iter().filter_map(|tally| tally.failed).min() {
        panic!("{}", explain(seed));
    }
    let sum = |of: fn(&Tally) -> u64| tallies.iter().map(of).sum::<u64>();
    println!(
        "{seeds} seeds: {} steps, {} leases, {} forks, {} events",
        sum(|tally| tally.steps),
        sum(|tally| tally.leases),
        sum(|tally| tally.forks),
        sum(|tally| tally.events),
    );
}

#[test]
fn a_seed_gives_one_history() {
    let trace = || {
        let mut world = World::new(7, None, true);
        world.run().unwrap();
        (world.steps, world.trace())
    };
    assert_eq!(trace(), trace());
}

/// Some seed shows that the rule is broken, by one of those invariants.
fn noticed(broken: Broken, by: &[Invariant]) {
    let found = (1..=SEEDS_TO_NOTICE).find_map(|seed| Some((seed, run(seed, Some(broken)).err()?)));
    let (seed, found) = found.unwrap_or_else(|| panic!("{broken:?} was not noticed"));
    assert!(by.contains(&found.of), "seed {seed}: {found}");
}

#[test]
fn the_simulation_notices_a_server_that_forgets_returned_tokens() {
    noticed(Broken::ServerForgetsReturnedTokens, &[Invariant::TokensAbout]);
}

#[test]
fn the_simulation_notices_a_server_that_renews_without_counting() {
    noticed(Broken::ServerRenewsWithoutCounting, &[Invariant::LiveLeases]);
}

#[test]
fn the_simulation_notices_a_server_that_sees_no_forks() {
    noticed(Broken::ServerSeesNoForks, &[Invariant::CopiesPart, Invariant::Liveness]);
}

#[test]
fn the_simulation_notices_a_ledger_without_dedupe() {
    noticed(Broken::ServerCountsTwice, &[Invariant::UsageCountedTwice]);
}

#[test]
fn the_simulation_notices_a_server_that_believes_the_numbers_of_a_copy() {
    noticed(Broken::ServerBelievesCopiedNumbers, &[Invariant::UsageLost]);
}

#[test]
fn the_simulation_notices_a_server_that_ignores_gaps() {
    noticed(Broken::ServerIgnoresGaps, &[Invariant::UsageLost]);
}

#[test]
fn the_simulation_notices_a_slot_that_is_free_before_its_longest_lease_ends() {
    noticed(Broken::ServerHoldsForTheNewestLease, &[Invariant::LiveLeases]);
}

#[test]
fn the_simulation_notices_a_server_that_refuses_the_revoked_without_a_list() {
    noticed(Broken::ServerJustRefusesTheRevoked, &[Invariant::RevokedIsDenied]);
}

#[test]
fn the_simulation_notices_lists_that_are_numbered_afresh_after_a_restore() {
    noticed(Broken::ServerNumbersListsAfresh, &[Invariant::RevokedIsDenied]);
}

#[test]
fn the_simulation_notices_an_agent_that_sends_before_it_has_written() {
    noticed(Broken::AgentSendsBeforeWriting, &[Invariant::NoFalseFork]);
}

#[test]
fn the_simulation_notices_an_agent_that_follows_its_clock() {
    noticed(Broken::AgentFollowsItsClock, &[Invariant::Floor]);
}

#[test]
fn the_simulation_notices_an_agent_that_takes_silence_for_an_end() {
    noticed(Broken::AgentDropsItsLeaseOnSilence, &[Invariant::ValidIsServed]);
}

#[test]
fn the_simulation_notices_an_agent_that_ignores_revocations() {
    noticed(Broken::AgentIgnoresRevocations, &[Invariant::RevokedIsDenied]);
}

#[test]
fn the_simulation_notices_an_agent_that_keeps_a_copied_key() {
    noticed(Broken::AgentKeepsACopiedKey, &[Invariant::CopiesPart]);
}

#[test]
fn the_simulation_notices_an_agent_that_gives_up() {
    noticed(
        Broken::AgentGivesUp,
        &[Invariant::Liveness, Invariant::CopiesPart, Invariant::UsageLost],
    );
}

#[test]
fn the_simulation_notices_an_agent_that_drops_its_ledger() {
    noticed(Broken::AgentDropsItsLedger, &[Invariant::UsageLost]);
}
