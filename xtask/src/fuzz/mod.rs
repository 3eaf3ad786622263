//! Gives readers of the router inputs that nobody should send; `core/fuzz` has the targets.

mod coverage;
mod seeded;
mod sweep;

use std::fs;

use crate::step::Steps;
use crate::{Outcome, environment};

/// The choices of a run.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The only target; all targets if it is absent.
    pub(crate) target: Option<String>,
    /// The time for all targets together, in seconds.
    pub(crate) seconds: u32,
    /// The seed of the inputs; a new one if it is absent.
    pub(crate) seed: Option<u64>,
}

/// Runs the targets with inputs that a seed decides.
///
/// # Errors
/// When an input breaks a rule.
pub(crate) fn seeded(steps: &mut Steps, plan: &Plan) -> Outcome {
    seeded::run(steps, plan)
}

/// Runs the targets with inputs that libFuzzer chooses by their coverage. Where the toolchain cannot build such programs,
/// it says so and runs the targets with inputs that a seed decides.
///
/// # Errors
/// When an input breaks a rule, or the programs do not build.
pub(crate) fn with_coverage(steps: &mut Steps, plan: &Plan) -> Outcome {
    let targets = selected(plan.target.as_deref())?;
    match coverage::tool(steps) {
        Ok(tool) => coverage::run(steps, &tool, &targets, plan),
        Err(why) => {
            steps.skip("fuzz by coverage", &format!("{why}; the inputs are those of a seed instead"));
            seeded::run(steps, plan)
        }
    }
}

/// Counts the steps of the targets for inputs of growing sizes.
///
/// # Errors
/// When the steps of a target grow faster than its inputs.
pub(crate) fn sweep(steps: &mut Steps, target: Option<&str>) -> Outcome {
    sweep::run(steps, &selected(target)?)
}

/// The target of that name, or all of them. Each has a directory of inputs.
fn selected(name: Option<&str>) -> Outcome<Vec<String>> {
    let corpus = environment::root().join("core/fuzz/corpus");
    let entries = fs::read_dir(&corpus).map_err(|error| format!("{}: {error}", corpus.display()))?;
    let mut all: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    all.sort();
    match name {
        None => Ok(all),
        Some(name) if all.iter().any(|known| known == name) => Ok(vec![name.to_owned()]),
        Some(name) => Err(format!("there is no target {name}: the targets are {}", all.join(", "))),
    }
}
