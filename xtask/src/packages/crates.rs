//! The crates as crates.io gets them.

use std::process::Command;

use crate::step::Steps;
use crate::{Outcome, environment};

/// Packs the crates as `cargo publish` does, and uploads nothing. Cargo resolves each against the packed ones before it.
/// Building them from the packed files takes minutes, because no other build has their features: [`verify`] does that.
///
/// # Errors
/// When a crate cannot be packed.
pub(super) fn pack(steps: &mut Steps) -> Outcome {
    steps.run("pack the crates", dry_run().arg("--no-verify"))
}

/// Packs the crates and builds each from its packed files.
///
/// # Errors
/// When a crate does not build without the files of the checkout.
pub(crate) fn verify(steps: &mut Steps) -> Outcome {
    steps.run("pack the crates, and build them from what was packed", &mut dry_run())
}

fn dry_run() -> Command {
    let mut publish = environment::cargo(&["publish", "--workspace", "--dry-run", "--quiet"]);
    // A developer tries this before a commit, too.
    publish.arg("--allow-dirty");
    publish
}
