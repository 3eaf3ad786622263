//! What the C tests want of the system.

use std::process::Command;

use crate::step::Steps;
use crate::{Outcome, environment};

/// Programs, how they are asked whether they are there, and Debian's package.
const TOOLS: &[(&str, &str)] = &[
    ("cc", "build-essential"),
    ("c++", "build-essential"),
    ("cmake", "cmake"),
    ("pkg-config", "pkg-config"),
    ("valgrind", "valgrind"),
    ("nm", "binutils"),
];

/// Installs what is absent where that is allowed.
///
/// # Errors
/// When something is absent and cannot be installed; the message names it.
pub(super) fn installed(steps: &mut Steps) -> Outcome {
    let absent = || -> Vec<&str> {
        TOOLS
            .iter()
            .filter(|(program, _)| !environment::answers(program, &["--version"]))
            .map(|(_, package)| *package)
            .collect()
    };
    let missing = absent();
    if missing.is_empty() {
        return Ok(());
    }
    if is_root() && environment::answers("apt-get", &["--version"]) {
        steps.run("apt-get update", Command::new("apt-get").args(["update", "-q"]))?;
        let mut install = Command::new("apt-get");
        install.args(["install", "-q", "-y", "--no-install-recommends"]).args(&missing);
        steps.run("install what the C tests want", install.env("DEBIAN_FRONTEND", "noninteractive"))?;
    }
    let missing = absent();
    if missing.is_empty() { Ok(()) } else { Err(format!("the C tests want {} (Debian's names)", missing.join(", "))) }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}
