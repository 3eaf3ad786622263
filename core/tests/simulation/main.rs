//! The real engine in a seeded world of clients, miners and a store that crashes, with its invariants checked after every event.
//!
//! `SIM_SEEDS=N` sets how many worlds are run, `SIM_SEED=S` runs the one world S and prints its events. A world repeats exactly from its seed.

#![allow(clippy::print_stderr)] // a replayed world tells what happens in it

mod fairness;
mod random;
mod world;

use world::{World, WorldReport};

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

#[test]
fn no_world_breaks_an_invariant() {
    if let Some(seed) = setting("SIM_SEED") {
        let report = World::new(seed, None, true).run().unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
        println!("{report:?}");
        return;
    }
    let seeds = setting("SIM_SEEDS").unwrap_or(2_000);
    let mut total = WorldReport::default();
    for seed in 0..seeds {
        let report = World::new(seed, None, false)
            .run()
            .unwrap_or_else(|broken| panic!("seed {seed}: {broken}\nreplay with SIM_SEED={seed}"));
        total.add(&report);
    }
    println!("{seeds} worlds: {total:?}");
    // A world in which a fault never happens says nothing about it.
    for (name, seen) in total.coverage() {
        assert!(seen >= seeds / 20, "{name} happened only {seen} times in {seeds} worlds");
    }
}

#[cfg(feature = "planted-bugs")]
#[test]
fn every_planted_bug_is_found() {
    use cortensor_router::engine::PlantedBug;
    let bugs = [
        PlantedBug::IgnoreFence,
        PlantedBug::DropRequeue,
        PlantedBug::DoubleCredit,
        PlantedBug::ReuseFence,
        PlantedBug::ForgetCancel,
        PlantedBug::ShowBeforeCommit,
        PlantedBug::SameMinerTwice,
        PlantedBug::ForgetDeadline,
    ];
    for bug in bugs {
        let found =
            (0..2_000).find_map(|seed| World::new(seed, Some(bug), false).run().err().map(|broken| (seed, broken)));
        let (seed, broken) = found.unwrap_or_else(|| panic!("{bug:?} was not found in 2000 worlds"));
        println!("{bug:?}: seed {seed}: {broken}");
    }
    assert!(fairness::worst_lead(Some(PlantedBug::UnfairTags)) > 2.0, "UnfairTags was not found");
}
