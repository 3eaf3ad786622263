//! The real engine in a seeded world of clients, miners and a store that crashes, with its invariants checked after
//! every event.
//!
//! `SIM_SEEDS` is the number of worlds and `SIM_SEED` the first of them. `SIM_SEED` alone runs that world and prints
//! its events; with `SIM_SHRINK`, a small part of it that fails alike. `SIM_EFFECTS` names a file for the fingerprint of
//! every world's effects. A world repeats exactly from its seed. `cargo xtask sim` sets them.
#![allow(clippy::unwrap_used, reason = "what a test does not expect fails it")]
#![allow(clippy::print_stderr)] // a replayed world tells what happens in it

mod admission;
mod answers;
mod borrowed;
mod clients;
mod close;
mod dial;
mod door;
mod effects;
mod fairness;
mod faults;
mod fleet;
mod happening;
mod heirs;
mod hellos;
mod invariants;
mod lending;
mod loans;
mod mesh;
mod miners;
mod network;
mod passed;
mod people;
mod process;
mod reader;
mod redundancy;
mod report;
mod seats;
mod sessions;
mod shrink;
mod skew;
mod trace;
mod unwritten;
mod wild;
mod work;
mod world;

use cortensor_router_testkit::random;
use cortensor_router_testkit::setting;
use report::WorldReport;
use world::World;

/// Runs worlds. Gives the counts of all of them, and the fingerprint of each.
fn run(first: u64, seeds: u64, loud: bool) -> (WorldReport, Vec<(u64, u64)>) {
    // Worlds are independent, so each processor runs its own share of them.
    let threads = if loud { 1 } else { std::thread::available_parallelism().map_or(1, |n| n.get() as u64) };
    let share = |thread: u64| {
        let mut total = WorldReport::default();
        let mut worlds = Vec::new();
        for seed in (first + thread..first + seeds).step_by(threads as usize) {
            let (report, fingerprint) = World::new(seed, loud).run().unwrap_or_else(|broken| {
                panic!("seed {seed}: {broken}\nreplay it with: cargo xtask sim --seed {seed}")
            });
            total.add(&report);
            worlds.push((seed, fingerprint));
        }
        (total, worlds)
    };
    let mut total = WorldReport::default();
    let mut worlds = Vec::new();
    std::thread::scope(|scope| {
        let shares: Vec<_> = (0..threads).map(|thread| scope.spawn(move || share(thread))).collect();
        for share in shares {
            let (report, more) = share.join().unwrap_or_else(|broken| std::panic::resume_unwind(broken));
            total.add(&report);
            worlds.extend(more);
        }
    });
    worlds.sort_unstable();
    (total, worlds)
}

#[test]
fn no_world_breaks_an_invariant() {
    let first = setting("SIM_SEED").unwrap_or(0);
    let seeds = match (setting("SIM_SEEDS"), setting::<u64>("SIM_SEED")) {
        (Some(seeds), _) => seeds,
        (None, Some(_)) => 1,
        (None, None) => 1_000,
    };
    if std::env::var_os("SIM_SHRINK").is_some() {
        if let Some(broken) = shrink::shrunk(first) {
            panic!("seed {first}: {broken}");
        }
        println!("sim: the world {first} breaks no invariant");
        return;
    }
    let loud = seeds == 1;
    let (total, worlds) = run(first, seeds, loud);
    println!("sim: {seeds} worlds from seed {first} on: {total:?}");
    println!("\n{:>9}  class of faults", "seen");
    for (class, seen) in total.faults() {
        println!("{seen:>9}  {class}");
    }
    println!("sim: the fingerprint of all their effects is {:016x}", trace::combined(&worlds));
    if let Some(file) = std::env::var_os("SIM_EFFECTS") {
        std::fs::write(file, trace::written(&worlds)).expect("the file of SIM_EFFECTS can be written");
    }
    // A world in which a fault never happens says nothing about that fault. A hundred worlds must have met each fault.
    for (name, seen) in total.coverage() {
        assert!(seeds < 100 || seen >= seeds / 50, "{name} happened only {seen} times in {seeds} worlds");
    }
    for (class, seen) in total.faults() {
        assert!(seeds < 100 || seen >= seeds / 100, "{class}: this fault came only {seen} times in {seeds} worlds");
    }
}

/// The recorded fingerprints.
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/simulation/effects.txt");
/// The number of worlds whose fingerprints are recorded.
const KEPT_WORLDS: u64 = 300;

/// Compares the effects of these worlds with recorded fingerprints. A change that is meant to alter the engine's
/// behaviour updates them with `UPDATE_EFFECTS=1`, and its commit says so.
#[test]
fn the_effects_of_worlds_are_those_that_are_kept() {
    let (_, worlds) = run(0, KEPT_WORLDS, false);
    let now = trace::written(&worlds);
    if std::env::var_os("UPDATE_EFFECTS").is_some() {
        std::fs::write(KEPT, &now).unwrap();
    }
    let kept = std::fs::read_to_string(KEPT).unwrap();
    let differ = kept.lines().zip(now.lines()).find(|(kept, now)| kept != now);
    assert!(
        kept == now,
        "the engine does something else than before; the first world that differs, before and now: {differ:?}. \
         If that is meant, run this test with UPDATE_EFFECTS=1"
    );
}

#[test]
fn a_world_repeats_exactly_from_its_seed() {
    let run = |seed| format!("{:?}", World::new(seed, false).run());
    let first: Vec<_> = (0..20).map(run).collect();
    let again: Vec<_> = (0..20).map(run).collect();
    assert_eq!(first, again);
    assert_ne!(first[0], first[1]);
}
