//! Runs every target for a while that every test run can afford, and compares the allocations for growing inputs.
//!
//! | variable | meaning |
//! |---|---|
//! | `FUZZ_TARGET` | the only target |
//! | `FUZZ_SEED` | the seed of the changes; else the same one in every run |
//! | `FUZZ_SECONDS` | the time for all targets together, in place of a number of inputs |

use std::time::Duration;

use cortensor_router_fuzz::{Plan, TARGETS, Target, allocations, run, target};
use cortensor_router_testkit::setting;

/// The seed if `FUZZ_SEED` does not say another one.
const SEED: u64 = 1;

/// The number of inputs for each target if `FUZZ_SECONDS` does not say a time.
const INPUTS: u64 = 3_000;

fn targets() -> Vec<&'static Target> {
    match std::env::var("FUZZ_TARGET") {
        Ok(name) => vec![target(&name)],
        Err(_) => TARGETS.iter().collect(),
    }
}

#[test]
fn no_input_breaks_a_rule() {
    let (targets, seed) = (targets(), setting("FUZZ_SEED").unwrap_or(SEED));
    let each = |seconds: f64| Plan::Time(Duration::from_secs_f64(seconds / targets.len() as f64));
    let plan = setting("FUZZ_SECONDS").map_or(Plan::Inputs(INPUTS), each);
    for target in targets {
        let count = run(target, seed, plan);
        println!("fuzz: {}: {count} inputs with seed {seed}", target.name);
    }
}

#[test]
fn the_allocations_grow_as_the_input_does() {
    let all = targets().into_iter().flat_map(|target| target.shapes.iter().map(move |shape| (target, *shape)));
    let faster: Vec<String> = all.filter_map(|(target, shape)| allocations(target, shape).err()).collect();
    assert!(faster.is_empty(), "{}", faster.join("\n"));
}
