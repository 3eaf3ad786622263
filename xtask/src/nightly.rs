//! The runs that take too long for CI, one after the other.

use std::process::Command;

use crate::step::Steps;
use crate::turn::Turn;
use crate::{Outcome, fuzz, lint, packages, planted, suites};

/// The number of worlds of the simulator.
const WORLDS: u64 = 50_000;

/// The number of worlds with simulated networks.
const WIRING_WORLDS: u64 = 5_000;

/// The time for all fuzz targets together, in seconds: one minute for each.
const FUZZ_SECONDS: u32 = 12 * 60;

/// The number of cycles of the chaos run.
const CYCLES: u32 = 600;

/// The number of times that each fault of a fleet comes.
const FLEET_ROUNDS: u32 = 10;

/// The number of sequences that each test of the model of the stores plays.
const SEQUENCES: u32 = 2_000;

/// How many programs of each language end in mid-stream.
const ENDS: &str = "60";

/// Runs the suites of the languages that end fewer programs in CI, or run some of them under valgrind by turns.
fn languages(steps: &mut Steps) -> Outcome {
    let this = std::env::current_exe().map_err(|error| format!("the path of this program: {error}"))?;
    let mut run = Command::new(this);
    run.args(["test", "c", "go", "java", "ruby", "kotlin"]).env("CORTENSOR_EVERY_TURN", "1");
    run.envs(["GO", "JAVA", "RUBY", "KOTLIN"].map(|language| (format!("CORTENSOR_{language}_EXIT_RUNS"), ENDS)));
    steps.run(&format!("languages, with {ENDS} ends in mid-stream each"), &mut run)
}

/// Lets every operation of the store's medium fail with each durability.
fn failures(steps: &mut Steps) -> Outcome {
    let mut run = suites::test_of(steps, "failures", "")?;
    steps.run("failing media: every place", run.env("CORTENSOR_EVERY_FAILURE", "1"))
}

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
        failures(steps),
        fuzz::sweep(steps, None),
        fuzz::with_coverage(steps, &plan),
        suites::chaos(steps, CYCLES, Some(seed)),
        suites::chaos_of_fleet(steps, FLEET_ROUNDS, None, Some(seed)),
        languages(steps),
        lint::with_few_features(steps, Turn::All),
        packages::verify_crates(steps),
    ];
    let failures: Vec<String> = outcomes.into_iter().filter_map(Result::err).collect();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}
