//! The runs that take too long for CI, one after the other.

use crate::step::Steps;
use crate::{Outcome, fuzz, planted, suites};

/// The number of worlds of the simulator.
const WORLDS: u64 = 50_000;

/// The number of worlds with simulated networks.
const WIRING_WORLDS: u64 = 5_000;

/// The time for all fuzz targets together, in seconds: one minute for each.
const FUZZ_SECONDS: u32 = 12 * 60;

/// The number of cycles of the chaos run.
const CYCLES: u32 = 600;

/// The number of sequences that each test of the model of the stores plays.
const SEQUENCES: u32 = 2_000;

/// Runs everything with new seeds. A part that fails does not keep the next one from running. The summary has the time
/// of each part.
///
/// # Errors
/// When a part failed.
pub(crate) fn run(steps: &mut Steps) -> Outcome {
    let seed = suites::new_seed();
    println!("nightly: all seeds begin with {seed}");
    let plan = fuzz::Plan { target: None, seconds: FUZZ_SECONDS, seed: Some(seed) };
    let outcomes = [
        suites::sim(steps, Some(WORLDS), Some(seed), None),
        planted::run(steps, &[], None),
        suites::wiring(steps, Some(WIRING_WORLDS), Some(seed)),
        suites::stores(steps, SEQUENCES),
        fuzz::sweep(steps, None),
        fuzz::with_coverage(steps, &plan),
        suites::chaos(steps, CYCLES, Some(seed)),
    ];
    let failures: Vec<String> = outcomes.into_iter().filter_map(Result::err).collect();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}
