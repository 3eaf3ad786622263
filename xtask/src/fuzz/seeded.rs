//! Inputs that a seed decides, in the tests of `core/fuzz`.

use super::Plan;
use crate::step::Steps;
use crate::{Outcome, suites};

/// Runs the targets, or one of them. The inputs of a seed are always the same.
///
/// # Errors
/// When an input breaks a rule.
pub(super) fn run(steps: &mut Steps, plan: &Plan) -> Outcome {
    let Plan { target, seconds, seed } = plan;
    let seed = seed.unwrap_or_else(suites::new_seed);
    let mut run = suites::test_of(steps, "fuzz", "no_input_breaks_a_rule")?;
    run.env("FUZZ_SECONDS", seconds.to_string()).env("FUZZ_SEED", seed.to_string());
    if let Some(target) = target {
        run.env("FUZZ_TARGET", target);
    }
    let name = target.as_deref().unwrap_or("all targets");
    steps.run(&format!("fuzz: {name}, {seconds} s, seed {seed}"), &mut run)
}
