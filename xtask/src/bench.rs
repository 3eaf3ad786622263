//! Runs the benchmark programs of the core, with nginx beside them.

mod against;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::step::Steps;
use crate::{Outcome, environment};

/// The path of Debian's nginx, which the benchmark uses.
const NGINX: &str = "/usr/sbin/nginx";

/// The choice of figures and how they are measured.
pub(crate) struct Plan {
    /// The figures; empty: all of them.
    pub(crate) figures: Vec<String>,
    /// Whether rounds are short.
    pub(crate) quick: bool,
    /// The directory of the public traces that `policy` plays.
    pub(crate) traces: Option<PathBuf>,
}

impl Plan {
    /// The command that measures, with the greatest number of open files that the system allows: each of thousands of
    /// streams has two connections.
    fn command(&self, cargo: &Command) -> Command {
        let mut run = environment::with_open_files(cargo);
        run.args(&self.figures);
        if self.quick {
            run.arg("--quick");
        }
        if let Some(dir) = &self.traces {
            run.arg("--traces").arg(dir);
        }
        run
    }
}

/// Measures the figures of `plan`, here alone or also at another revision. Results go to `target/bench/results.json`.
///
/// # Errors
/// When it does not build, or a figure could not be measured. A missed gate is reported, but is not an error.
pub(crate) fn run(steps: &mut Steps, mut plan: Plan, against: Option<&str>, rounds: u32) -> Outcome {
    if let Some(dir) = &mut plan.traces {
        *dir = dir.canonicalize().map_err(|error| format!("--traces {}: {error}", dir.display()))?;
    }
    let out = environment::target().join("bench");
    fs::create_dir_all(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    // The policy is measured in a simulated world, without a network.
    if plan.figures != ["policy"]
        && let Err(why) = nginx(steps)
    {
        steps.skip("nginx as a reference", &why);
    }
    if let Some(revision) = against {
        return against::run(steps, &plan, revision, rounds);
    }
    let results = out.join("results.json");
    let cargo = environment::cargo(&["bench", "--package", "cortensor-router-cli", "--bench", "figures", "--"]);
    let mut run = plan.command(&cargo);
    run.current_dir(environment::root()).arg("--json").arg(&results);
    let outcome = steps.run("bench", &mut run);
    println!("results: {}", results.display());
    outcome
}

/// Installs nginx if it is absent and that is possible.
fn nginx(steps: &mut Steps) -> Outcome {
    if environment::answers(NGINX, &["-v"]) { Ok(()) } else { environment::apt_install(steps, &["nginx"]) }
}

/// Measures the cost of `embed` in Rust, as JSON. The figures of the bindings are compared with it.
///
/// # Errors
/// When the benchmark does not build or fails.
pub(crate) fn reference() -> Outcome<String> {
    let mut rust = environment::cargo(&["bench", "--quiet", "--package", "cortensor-router", "--bench", "embed"]);
    let output = rust.output().map_err(|error| format!("cargo bench: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo bench --bench embed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
