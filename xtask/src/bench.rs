//! Measuring: the benchmark programs of the core, with nginx beside them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::Steps;
use crate::{Outcome, environment};

/// Where Debian puts it; it is not on everybody's path.
const NGINX: &str = "/usr/sbin/nginx";

/// Runs those figures, or all; results go to `target/bench/results.json`.
///
/// # Errors
/// When it does not build, or a figure could not be measured. A gate that is missed is told, and is no error.
pub(crate) fn run(steps: &mut Steps, figures: &[String], quick: bool, traces: Option<&Path>) -> Outcome {
    // The policy is measured in a world of its own, without a network.
    let nginx = if figures == ["policy"] { Ok(NGINX.into()) } else { nginx(steps) };
    let results = environment::target().join("bench/results.json");
    if let Some(dir) = results.parent() {
        fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    }
    // As many files as the system lets us open: thousands of streams have two connections each.
    let mut run = Command::new("sh");
    run.args(["-c", "ulimit -n \"$(ulimit -Hn)\"; exec \"$@\"", "sh"]);
    let cargo = environment::cargo(&["bench", "--package", "cortensor-router-cli", "--bench", "figures", "--"]);
    run.arg(cargo.get_program()).args(cargo.get_args()).current_dir(environment::root());
    run.args(figures).arg("--json").arg(&results);
    if quick {
        run.arg("--quick");
    }
    if let Some(dir) = traces {
        let dir = dir.canonicalize().map_err(|error| format!("--traces {}: {error}", dir.display()))?;
        run.arg("--traces").arg(dir);
    }
    match nginx {
        Ok(path) => {
            run.arg("--nginx").arg(path);
        }
        Err(why) => steps.skip("nginx as a reference", &why),
    }
    let outcome = steps.run("bench", &mut run);
    println!("results: {}", results.display());
    outcome
}

/// nginx, installed where that is possible.
fn nginx(steps: &mut Steps) -> Outcome<PathBuf> {
    for path in [NGINX, "nginx"] {
        if environment::answers(path, &["-v"]) {
            return Ok(path.into());
        }
    }
    environment::apt_install(steps, &["nginx"])?;
    Ok(NGINX.into())
}

/// What `embed` costs in Rust, as JSON: what the bindings are compared with.
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
