//! Checks the dependencies of the product: their number, and the rules of `deny.toml`.

use std::collections::BTreeSet;
use std::process::Command;

use crate::step::Steps;
use crate::{Outcome, environment};

/// The default build has fewer crates than this.
const MOST_CRATES: usize = 250;

/// The checks of cargo-deny that every lint runs. Its fourth check, the advisories, needs the network.
const CHECKS: &[&str] = &["check", "--hide-inclusion-graph", "bans", "licenses", "sources"];

/// Counts the crates of the default build.
///
/// # Errors
/// When there are too many.
pub(crate) fn count() -> Outcome<String> {
    let mut tree = environment::cargo(&["tree", "--locked", "--prefix", "none", "--format", "{p}"]);
    tree.args(["--package", "cortensor-router-cli", "--edges", "normal,build"]);
    let output = tree.output().map_err(|error| format!("cargo tree: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo tree: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let crates: BTreeSet<_> = text.lines().map(|line| line.split(" (").next().unwrap_or(line)).collect();
    if crates.len() >= MOST_CRATES {
        return Err(format!("the default build has {} crates; it must stay under {MOST_CRATES}", crates.len()));
    }
    Ok(format!("{} crates in the default build (fewer than {MOST_CRATES})", crates.len()))
}

/// Checks licences, banned crates and sources with the pinned cargo-deny, or with the installed one if the pinned one
/// does not run.
///
/// # Errors
/// When a rule is broken, or no cargo-deny can be found.
pub(crate) fn rules(steps: &mut Steps) -> Outcome {
    let mut deny = cargo_deny(steps)?;
    steps.run("licences, banned crates and sources", deny.arg("--all-features").args(CHECKS))
}

/// Looks the dependencies up in the advisory database. Where it cannot be reached and `if_reachable` is set,
/// the step counts as skipped.
///
/// # Errors
/// When an advisory concerns a dependency, or the database cannot be reached.
pub(crate) fn advisories(steps: &mut Steps, if_reachable: bool) -> Outcome {
    const TITLE: &str = "advisories";
    let mut deny = cargo_deny(steps)?;
    deny.args(["--all-features", "check", "--hide-inclusion-graph", "advisories"]);
    let output = deny.output().map_err(|error| format!("cargo-deny: {error}"))?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    if told.contains("failed to fetch advisory database") && if_reachable {
        steps.skip(TITLE, "the advisory database cannot be reached from here; nothing was looked up");
        return Ok(());
    }
    steps.check(TITLE, || if output.status.success() { Ok("no advisory is open".into()) } else { Err(told) })
}

fn cargo_deny(steps: &mut Steps) -> Outcome<Command> {
    let requirements = environment::root().join("xtask/requirements.txt");
    match environment::venv(steps, &environment::target().join("lint"), &requirements) {
        Ok(bin) => {
            let mut deny = Command::new(bin.join("cargo-deny"));
            deny.current_dir(environment::root());
            environment::without_cargo(&mut deny);
            Ok(deny)
        }
        Err(_) if environment::answers("cargo", &["deny", "--version"]) => Ok(environment::cargo(&["deny"])),
        Err(error) => Err(format!("{error}\ninstall it by hand then: cargo install --locked cargo-deny")),
    }
}
