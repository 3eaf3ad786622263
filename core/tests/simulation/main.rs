//! The real engine in a seeded world of clients, miners and a store that crashes, with its invariants checked after every event.
//!
//! `SIM_SEEDS` sets how many worlds are run and `SIM_SEED` the first of them; `SIM_SEED` alone runs the one world and tells
//! its events. A world repeats exactly from its seed. `cargo xtask sim` sets both.
#![allow(clippy::unwrap_used, reason = "what a test does not expect fails it")]
#![allow(clippy::print_stderr)] // a replayed world tells what happens in it

mod admission;
mod clients;
mod effects;
mod fairness;
mod miners;
mod people;
mod random;
mod reader;
mod redundancy;
mod report;
mod trace_files;
// A benchmark has no tests of its own: its reading of traces is tested here.
#[allow(dead_code)]
#[path = "../../cli/benches/figures/policy/traces.rs"]
mod traces;
#[allow(dead_code)]
#[path = "../../cli/benches/figures/policy/workload.rs"]
mod workload;
mod world;

use report::WorldReport;
use world::World;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

#[test]
fn no_world_breaks_an_invariant() {
    let first = setting("SIM_SEED").unwrap_or(0);
    let seeds = match (setting("SIM_SEEDS"), setting("SIM_SEED")) {
        (Some(seeds), _) => seeds,
        (None, Some(_)) => 1,
        (None, None) => 1_000,
    };
    let loud = seeds == 1;
    // Worlds do not know of each other, so each processor runs its own share of them.
    let threads = if loud { 1 } else { std::thread::available_parallelism().map_or(1, |n| n.get() as u64) };
    let share = |thread: u64| {
        let mut total = WorldReport::default();
        for seed in (first + thread..first + seeds).step_by(threads as usize) {
            let report = World::new(seed, None, loud).run().unwrap_or_else(|broken| {
                panic!("seed {seed}: {broken}\nreplay it with: cargo xtask sim --seed {seed}")
            });
            total.add(&report);
        }
        total
    };
    let mut total = WorldReport::default();
    std::thread::scope(|scope| {
        let shares: Vec<_> = (0..threads).map(|thread| scope.spawn(move || share(thread))).collect();
        for share in shares {
            total.add(&share.join().unwrap_or_else(|broken| std::panic::resume_unwind(broken)));
        }
    });
    println!("sim: {seeds} worlds from seed {first} on: {total:?}");
    // A world in which a fault never happens says nothing about it; a hundred worlds should have met each.
    for (name, seen) in total.coverage() {
        assert!(seeds < 100 || seen >= seeds / 50, "{name} happened only {seen} times in {seeds} worlds");
    }
}

#[test]
fn a_world_repeats_exactly_from_its_seed() {
    let run = |seed| format!("{:?}", World::new(seed, None, false).run());
    let first: Vec<_> = (0..20).map(run).collect();
    let again: Vec<_> = (0..20).map(run).collect();
    assert_eq!(first, again);
    assert_ne!(first[0], first[1]);
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
        PlantedBug::ContinueFromNothing,
        PlantedBug::KeepBothHedges,
        PlantedBug::SilentPick,
        PlantedBug::IgnoreReservation,
        PlantedBug::IgnoreMaxMiners,
        PlantedBug::ForgetIdentity,
        PlantedBug::KeepLiar,
        PlantedBug::IgnoreOwner,
        PlantedBug::ShowUnwritten,
        PlantedBug::ReuseNumbers,
    ];
    for bug in bugs {
        let found =
            (0..2_000).find_map(|seed| World::new(seed, Some(bug), false).run().err().map(|broken| (seed, broken)));
        let (seed, broken) = found.unwrap_or_else(|| panic!("{bug:?} was not found in 2000 worlds"));
        let again = World::new(seed, Some(bug), false).run().err();
        assert_eq!(again.as_deref(), Some(broken.as_str()), "seed {seed} does not fail as it did");
        println!("{bug:?}: seed {seed}: {broken}");
    }
    assert!(fairness::worst_lead(Some(PlantedBug::UnfairTags)) > 2.0, "UnfairTags was not found");
    println!("sim: all {} planted bugs were found", bugs.len() + 1);
}
