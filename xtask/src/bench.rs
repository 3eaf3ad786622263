//! Runs the benchmark programs of the core, with nginx and haproxy beside them.

mod against;
pub(crate) mod page;
mod peers;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::step::Steps;
use crate::{Outcome, environment};

/// The proxies of Debian that are measured beside the product, and their paths.
const PROXIES: [(&str, &str); 2] = [("nginx", "/usr/sbin/nginx"), ("haproxy", "/usr/sbin/haproxy")];

/// The choice of figures and how they are measured.
pub(crate) struct Plan {
    /// The figures; empty: all of them.
    pub(crate) figures: Vec<String>,
    /// Whether rounds are short.
    pub(crate) quick: bool,
    /// The directory of the public traces that `policy` plays.
    pub(crate) traces: Option<PathBuf>,
    /// Whether other routers for inference are measured, too.
    pub(crate) peers: bool,
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
    // The policy is measured in a simulated world, without a network, and the fleet beside its database.
    for (name, path) in PROXIES.into_iter().filter(|_| plan.figures != ["policy"] && plan.figures != ["fleet"]) {
        if !environment::answers(path, &["-v"])
            && let Err(why) = environment::apt_install(steps, &[name])
        {
            steps.skip(&format!("{name} as a reference"), &why);
        }
    }
    if let Some(revision) = against {
        return against::run(steps, &plan, revision, rounds);
    }
    // The fleet's figures stand beside the others, which a whole run gives.
    let is_fleet = plan.figures == ["fleet"];
    if is_fleet {
        environment::postgres(steps)?;
    }
    let results = out.join(if is_fleet { "fleet.json" } else { "results.json" });
    if plan.peers && !plan.figures.is_empty() && !plan.figures.iter().any(|figure| figure == "peers") {
        plan.figures.push("peers".to_owned());
    }
    let cargo = environment::cargo(&[
        "bench",
        "--package",
        "cortensor-router-cli",
        "--features",
        "full",
        "--bench",
        "figures",
        "--",
    ]);
    let mut run = plan.command(&cargo);
    run.current_dir(environment::root()).arg("--json").arg(&results);
    // Only a whole run draws the curves of the page.
    run.arg("--drawings").arg(if plan.quick { out } else { environment::root().join(page::DRAWINGS) });
    if plan.peers {
        run.arg("--peers").arg(peers::installed(steps)?);
    }
    let outcome = steps.run("bench", &mut run);
    println!("results: {}", results.display());
    outcome
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
