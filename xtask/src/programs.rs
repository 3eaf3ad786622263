//! Builds programs of the workspace, so that each crate is compiled once for everything that the project runs.
//!
//! Cargo compiles a dependency once for each set of its features, and a set depends on what is selected: the whole
//! workspace, or some of it, with or without what the tests depend on. Every command here therefore selects the whole
//! workspace and [`SAME_FEATURES`], as a run of all tests does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Outcome, environment};

/// The tests that bring in what the tests of the library and of the C ABI depend on.
const SAME_FEATURES: &[&str] = &["--test", "docs", "--test", "header"];

/// A command of cargo for the whole workspace, with the features of all tests.
pub(crate) fn cargo(command: &str, arguments: &[&str]) -> Command {
    let mut cargo = environment::cargo(&[command, "--workspace"]);
    cargo.args(SAME_FEATURES).args(arguments);
    cargo
}

/// A command that builds all programs, libraries and examples of the workspace.
pub(crate) fn all() -> Command {
    cargo("build", &["--lib", "--bins", "--examples"])
}

/// A program that was built.
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    /// The directory of its package.
    pub(crate) directory: PathBuf,
}

impl Program {
    /// Runs it as cargo would.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.current_dir(&self.directory).env("CARGO_MANIFEST_DIR", &self.directory);
        command
    }
}

/// Runs a cargo that builds in that checkout. Gives the programs that it builds by their names.
///
/// # Errors
/// When something does not build; the message is the compiler's.
pub(crate) fn build(cargo: &mut Command, checkout: &Path) -> Outcome<BTreeMap<String, Program>> {
    cargo.arg("--message-format=json").current_dir(checkout);
    cargo.env("CARGO_TARGET_DIR", environment::target()).stderr(Stdio::inherit());
    let output = cargo.output().map_err(|error| format!("cargo: {error}"))?;
    let (mut programs, mut errors) = (BTreeMap::new(), String::new());
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(message) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        let text = |pointer: &str| message.pointer(pointer).and_then(serde_json::Value::as_str);
        if text("/message/level") == Some("error") {
            errors.push_str(text("/message/rendered").unwrap_or_default());
        }
        if let (Some(path), Some(name), Some(manifest)) =
            (text("/executable"), text("/target/name"), text("/manifest_path"))
        {
            let directory = Path::new(manifest).parent().unwrap_or(checkout).to_path_buf();
            programs.insert(name.to_owned(), Program { path: path.into(), directory });
        }
    }
    if output.status.success() { Ok(programs) } else { Err(format!("{} does not build\n{errors}", checkout.display())) }
}
