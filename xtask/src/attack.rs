//! The attacks on the real command; `core/attack` is the program that makes them.

use std::process::Command;

use crate::step::Steps;
use crate::{Outcome, environment};

/// Builds the command and the attacks, and runs those rows of the report, or all.
///
/// # Errors
/// When an attack succeeds, or a row does not run to its end.
pub(crate) fn run(steps: &mut Steps, rows: &[String]) -> Outcome {
    let router = environment::router(steps)?;
    let program = router.with_file_name(format!("cortensor-router-attack{}", std::env::consts::EXE_SUFFIX));
    // Thousands of slow clients need as many descriptors as the system allows, here and in the router.
    let mut attack = Command::new(program);
    steps.run("attacks", &mut environment::with_open_files(attack.arg(router).args(rows)))
}
