//! The tools and libraries that the C tests need on the system.

use crate::step::Steps;
use crate::{Outcome, environment};

/// Programs, each with the Debian package that contains it.
const TOOLS: &[(&str, &str)] = &[
    ("cc", "build-essential"),
    ("c++", "build-essential"),
    ("cmake", "cmake"),
    ("pkg-config", "pkg-config"),
    ("valgrind", "valgrind"),
    ("nm", "binutils"),
];
/// Libraries by their names in pkg-config, each with its Debian package. The conformance runner reads JSON with one.
const LIBRARIES: &[(&str, &str)] = &[("jansson", "libjansson-dev")];

/// Installs absent tools where that is allowed.
///
/// # Errors
/// When a tool is absent and cannot be installed; the message names it.
pub(super) fn installed(steps: &mut Steps) -> Outcome {
    let absent = || {
        let programs = TOOLS.iter().filter(|(program, _)| !environment::answers(program, &["--version"]));
        let libraries =
            LIBRARIES.iter().filter(|(library, _)| !environment::answers("pkg-config", &["--exists", library]));
        programs.chain(libraries).map(|(_, package)| *package).collect()
    };
    environment::present(steps, "C", absent)
}
