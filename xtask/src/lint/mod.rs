//! Runs the checks that do not need a running product.

mod blocks;
mod dependencies;
mod interface;
mod links;
mod pages;
mod prose;
mod summary;
mod unsafety;
mod versions;

pub(crate) use dependencies::advisories;
pub(crate) use pages::list;
pub(crate) use summary::listed;

use std::process::Command;

use crate::step::Steps;
use crate::turn::Turn;
use crate::{Outcome, environment, generate, node};

/// Runs every check; of the lints with few features those of `turn`. A check that fails does not keep the next one from
/// running.
///
/// # Errors
/// When one failed.
pub(crate) fn run(steps: &mut Steps, turn: Turn) -> Outcome {
    let outcomes = [
        steps.run("format", &mut environment::cargo(&["fmt", "--all", "--check"])),
        steps.run(
            "clippy",
            &mut environment::cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--all-features",
                "--quiet",
                "--",
                "-D",
                "warnings",
            ]),
        ),
        with_few_features(steps, turn),
        steps.check("what users see", interface::check),
        steps.check("one version everywhere", || versions::check(&environment::root())),
        steps.check("Markdown pages", || pages::check(&environment::root())),
        steps.check("the book has every page", || summary::check(&environment::root())),
        steps.check("blocks of the pages", || blocks::check(&environment::root())),
        steps.check("first words of sentences", || prose::check(&environment::root())),
        steps.check("number of dependencies", dependencies::count),
        dependencies::rules(steps),
        steps.check("unsafe code of dependencies", unsafety::check),
        generate::check(steps),
        python(steps),
        javascript(steps),
    ];
    let failures: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// Lints the library without features and with each feature that stands alone, and the command as a checkout builds it.
/// Code that only another feature needs is dead there.
pub(crate) fn with_few_features(steps: &mut Steps, turn: Turn) -> Outcome {
    let library = |features| {
        let arguments = ["--package", "cortensor-router", "--lib", "--no-default-features", "--features", features];
        (format!("clippy, features {features:?}"), arguments.to_vec())
    };
    // Only the packages have all of the command.
    let plain = ("clippy, the plain command".to_owned(), vec!["--package", "cortensor-router-cli"]);
    let selections = [library(""), library("miner-client"), library("listener"), plain];
    let mut outcome = Ok(());
    for (title, selection) in turn.of(selections) {
        let mut clippy = environment::cargo(&["clippy", "--quiet"]);
        clippy.args(selection).args(["--", "-D", "warnings"]);
        outcome = outcome.and(steps.run(&title, &mut clippy));
    }
    outcome
}

/// Checks the Python tests: format, lints, types.
fn python(steps: &mut Steps) -> Outcome {
    let bin = environment::python(steps)?;
    let directory = environment::clients().join("python");
    let mut tool = |title: &str, program: &str, arguments: &[&str]| {
        steps.run(title, Command::new(bin.join(program)).args(arguments).current_dir(&directory))
    };
    let format = tool("ruff format", "ruff", &["format", "--check", "."]);
    let lint = tool("ruff", "ruff", &["check", "."]);
    let types = tool("mypy --strict", "mypy", &["--strict", "."]);
    let package = environment::root().join("bindings-python");
    let mut tool = |title: &str, arguments: &[&str]| {
        steps.run(title, Command::new(bin.join("ruff")).args(arguments).current_dir(&package))
    };
    // The package's types are checked with its tests, which have it installed.
    let package_format =
        tool("ruff format, Python package", &["format", "--check", ".", "../examples/python", "../examples/fleet"]);
    let package_lint = tool("ruff, Python package", &["check", "."]);
    format.and(lint).and(types).and(package_format).and(package_lint)
}

/// Lints the Node tests. One of their directories has the linter for both.
fn javascript(steps: &mut Steps) -> Outcome {
    let clients = environment::clients();
    environment::node(steps, &clients.join("node"))?;
    let mut eslint = Command::new(clients.join("node/node_modules/.bin/eslint"));
    eslint.args(["--max-warnings", "0", "--config", "node/eslint.config.mjs", "node", "cortensor"]);
    let clients = steps.run("eslint", eslint.current_dir(&clients));
    clients.and(node::lint(steps))
}
