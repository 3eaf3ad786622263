//! The packages over `core/uniffi`: the library, the code that UniFFI writes for each language, and what the languages
//! share.

pub(crate) mod kotlin;
pub(crate) mod ruby;
pub(crate) mod swift;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::Steps;
use crate::{Outcome, environment, portable, programs};

/// The directory of the crate.
pub(crate) fn package() -> PathBuf {
    environment::root().join("core/uniffi")
}

/// The file name of the library.
pub(crate) fn library() -> String {
    format!("{}cortensor_router_uniffi{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
}

/// Builds the library and the program that writes the languages' code, in the dev profile. Gives their directory.
fn built(steps: &mut Steps) -> Outcome<PathBuf> {
    steps.run("build the library for UniFFI's languages", &mut programs::all())?;
    Ok(environment::target().join("debug"))
}

/// Builds the library in the profile `bench` as well, and gives its directory. Makes the directory of the figures, too.
fn released(steps: &mut Steps) -> Outcome<PathBuf> {
    built(steps)?;
    let mut build = environment::cargo(&["build", "--profile", "bench", "--package", "cortensor-router-uniffi"]);
    steps.run("build the library for UniFFI's languages (bench)", &mut build)?;
    fs::create_dir_all(environment::target().join("bench")).map_err(|error| format!("target/bench: {error}"))?;
    Ok(environment::target().join("release"))
}

/// Builds the library for users as well, and gives its directory.
fn ported(steps: &mut Steps) -> Outcome<PathBuf> {
    built(steps)?;
    portable::build(steps, "cortensor-router-uniffi", "", &library())
}

/// Writes the code of one language into an emptied directory of `target/uniffi`, and gives that directory. The library of
/// the dev profile, which every build here makes first, says what to write: that for users has no symbols.
fn generated(steps: &mut Steps, language: &str) -> Outcome<PathBuf> {
    let out = environment::target().join("uniffi").join(language);
    let _ = fs::remove_dir_all(&out);
    fs::create_dir_all(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    let program = format!("cortensor-router-bindgen{}", std::env::consts::EXE_SUFFIX);
    let mut bindgen = Command::new(environment::target().join("debug").join(program));
    bindgen.arg(language).arg(environment::target().join("debug").join(library())).arg(&out).arg(package());
    steps.run(&format!("write the code for {language}"), &mut bindgen)?;
    Ok(out)
}

/// Copies the library in `built` without what only debuggers read, which is most of it in the dev profile. Where the
/// system has no program for that, it copies all.
fn install_library(steps: &mut Steps, built: &Path, to: &Path) -> Outcome {
    let from = built.join(library());
    if !cfg!(target_os = "linux") || !environment::answers("strip", &["--version"]) {
        return environment::install(&from, to);
    }
    let _ = fs::remove_file(to);
    let mut strip = Command::new("strip");
    strip.arg("--strip-debug").arg("-o").arg(to).arg(&from);
    steps.run("copy the library without what debuggers read", &mut strip)
}
