//! Inputs that libFuzzer chooses: it keeps those that reach new code, and changes them further.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Plan;
use crate::step::Steps;
use crate::{Outcome, environment};

/// The version of cargo-fuzz that is installed below `target/` if none is there.
const VERSION: &str = "0.13.2";

/// The package with the programs, below the root of the checkout.
const PACKAGE: &str = "core/fuzz/coverage";

/// The greatest length of an input, in bytes. Faults of readers show in short inputs, which run faster.
const LONGEST: &str = "4096";

/// The seconds after which one input counts as hung.
const PATIENCE: &str = "10";

/// Finds cargo-fuzz, or installs it.
///
/// # Errors
/// The reason why this machine cannot build programs for libFuzzer.
pub(super) fn tool(steps: &mut Steps) -> Outcome<PathBuf> {
    if !environment::answers("c++", &["--version"]) {
        return Err("libFuzzer wants a C++ compiler (Debian: apt-get install build-essential)".to_owned());
    }
    let home = environment::target().join("tools");
    fs::create_dir_all(&home).map_err(|error| format!("{}: {error}", home.display()))?;
    if !counts_coverage(&home.join("probe.o")) {
        return Err("this compiler cannot count the coverage of programs".to_owned());
    }
    let tool = home.join("bin/cargo-fuzz");
    if !tool.exists() {
        let mut install = environment::cargo(&["install", "cargo-fuzz", "--version", VERSION, "--locked", "--quiet"]);
        install.arg("--root").arg(&home).env("CARGO_TARGET_DIR", home.join("build"));
        steps.run("install cargo-fuzz", &mut install)?;
        // The files that were built on the way are of no further use.
        let _ = fs::remove_dir_all(home.join("build"));
    }
    Ok(tool)
}

/// Whether the compiler has LLVM's pass that counts coverage. It compiles an empty program to that file.
fn counts_coverage(object: &Path) -> bool {
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["--crate-type", "lib", "--crate-name", "probe", "--emit", "obj", "-o"]).arg(object);
    rustc.args(["-Cpasses=sancov-module", "-Cllvm-args=-sanitizer-coverage-level=4", "/dev/null"]);
    rustc.output().is_ok_and(|output| output.status.success())
}

/// Builds the programs and runs those of the targets.
///
/// # Errors
/// When a program does not build, or an input breaks a rule.
pub(super) fn run(steps: &mut Steps, tool: &Path, targets: &[String], plan: &Plan) -> Outcome {
    let root = environment::root();
    let (package, target) = (root.join(PACKAGE), environment::target().join("fuzz"));
    // The programs are built of the versions that the workspace has locked; cargo adds libFuzzer's.
    fs::copy(root.join("Cargo.lock"), package.join("Cargo.lock")).map_err(|error| format!("Cargo.lock: {error}"))?;
    let host = environment::host()?;
    let mut build = environment::cargo(&[]);
    // The routine that finds faults of memory is left out: the readers have no unsafe code.
    build.args(["fuzz", "build", "--sanitizer", "none", "--target", &host, "--fuzz-dir"]).arg(&package);
    build.arg("--target-dir").arg(&target).env("PATH", with_tool(tool)?);
    steps.run("fuzz: build for libFuzzer", &mut build)?;
    let seconds = (plan.seconds / u32::try_from(targets.len()).unwrap_or(1).max(1)).max(1);
    let mut failures = Vec::new();
    for name in targets {
        let found = target.join("corpus").join(name);
        let artifacts = root.join("core/fuzz/artifacts").join(name);
        for directory in [&found, &artifacts] {
            fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        }
        let mut run = Command::new(target.join(&host).join("release").join(name));
        // libFuzzer writes new inputs to the first directory.
        run.arg(&found).arg(root.join("core/fuzz/corpus").join(name));
        run.args([format!("-artifact_prefix={}/", artifacts.display()), format!("-max_total_time={seconds}")]);
        run.args([format!("-max_len={LONGEST}"), format!("-timeout={PATIENCE}"), "-print_final_stats=1".to_owned()]);
        if let Some(seed) = plan.seed {
            // libFuzzer takes 0 for none, and numbers of 32 bits.
            run.arg(format!("-seed={}", (seed & u64::from(u32::MAX)).max(1)));
        }
        let ended = steps.run(&format!("fuzz by coverage: {name}, {seconds} s"), &mut run);
        failures.extend(ended.err().map(|why| {
            format!("{why}\nThe input lies in {}; `cargo xtask fuzz {name}` makes it shorter", artifacts.display())
        }));
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// The search path of programs, with the directory of the tool before all others.
fn with_tool(tool: &Path) -> Outcome<std::ffi::OsString> {
    let own = tool.parent().map(Path::to_path_buf);
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(own.into_iter().chain(std::env::split_paths(&path))).map_err(|error| format!("PATH: {error}"))
}
