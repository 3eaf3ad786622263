//! The Python package: its test environment, its tests, and its cost.

mod build;
mod dist;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::Steps;
use crate::{Outcome, bench, environment, model};

pub(crate) use dist::dist;

/// The description of a Python without a GIL, which pyo3 reads if no such Python is installed.
const FREE_THREADED: &str =
    "implementation=CPython\nversion=3.14\nshared=true\npointer_width=64\nbuild_flags=Py_GIL_DISABLED\n";

/// The directory of the package.
fn package() -> PathBuf {
    environment::root().join("bindings-python")
}

/// The environment of the tests. Gives its `bin` directory.
fn tools(steps: &mut Steps) -> Outcome<PathBuf> {
    environment::venv(steps, &environment::target().join("python"), &package().join("requirements.txt"))
}

/// Makes the environment of the tests with the package in it, which pip builds from the source package in the dev
/// profile. Gives its `bin` directory.
///
/// # Errors
/// When Python is absent, or something does not build or install.
pub(crate) fn installed(steps: &mut Steps) -> Outcome<PathBuf> {
    let bin = tools(steps)?;
    let wheel = dev_wheel(steps, &bin)?;
    install(steps, &bin, &wheel)?;
    Ok(bin)
}

fn dev_wheel(steps: &mut Steps, bin: &Path) -> Outcome<PathBuf> {
    let source = build::unpacked(steps, bin)?;
    build::wheel_of_source(steps, bin, &source, &environment::target().join("wheels"), &["--no-build-isolation"])
}

fn install(steps: &mut Steps, bin: &Path, wheel: &Path) -> Outcome {
    let mut pip = Command::new(bin.join("pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--force-reinstall"]).arg(wheel);
    steps.run("install the Python wheel", &mut pip)
}

/// Tests the installed wheel, checks its types, tries it in a clean environment, and compiles it for a Python without a
/// GIL.
///
/// # Errors
/// When one fails.
pub(crate) fn test(steps: &mut Steps, model: Option<&model::Model>) -> Outcome {
    let bin = tools(steps)?;
    let wheel = dev_wheel(steps, &bin)?;
    install(steps, &bin, &wheel)?;
    let free_threaded = free_threaded(steps);
    let clean = dist::try_out(steps, Path::new("python3"), &wheel, "from the source package");
    let tests = pytest(steps, &bin, model, &[]);
    let mut tool = |title: &str, program: &str, arguments: &[&str]| {
        steps.run(title, Command::new(bin.join(program)).args(arguments).current_dir(package()))
    };
    let stubs = ["cortensor_router", "--mypy-config-file", "pyproject.toml"];
    let stubs = [&stubs[..], &["--allowlist", "tests/stubtest-allowlist.txt"]].concat();
    let stubs = tool("Python stubs", "stubtest", &stubs);
    let types = tool("Python types: mypy", "mypy", &["python", "tests", "../examples/python"]);
    let python = bin.join("python").to_string_lossy().into_owned();
    let pyright = tool("Python types: pyright", "pyright", &["--project", "pyproject.toml", "--pythonpath", &python]);
    free_threaded.and(clean).and(tests).and(stubs).and(types).and(pyright)
}

/// Runs the package's tests on the installation in that environment.
fn pytest(steps: &mut Steps, bin: &Path, model: Option<&model::Model>, environment: &[(&str, &str)]) -> Outcome {
    let mut run = Command::new(bin.join("pytest"));
    run.current_dir(package()).envs(environment.iter().copied());
    if let Some(model) = model {
        run.envs(model.environment()).env("CORTENSOR_REQUIRE_MODEL", "1");
    }
    steps.run("Python package", &mut run)
}

/// Compiles the package for a Python without a GIL. pyo3 cannot use the stable ABI there, because such an interpreter
/// has none.
fn free_threaded(steps: &mut Steps) -> Outcome {
    let description = environment::target().join("python-free-threaded.txt");
    fs::write(&description, FREE_THREADED).map_err(|error| format!("{}: {error}", description.display()))?;
    let mut cargo =
        environment::cargo(&["build", "--quiet", "--package", "cortensor-router-python", "--manifest-path"]);
    cargo.arg(build::source().join("Cargo.toml"));
    cargo.env("CARGO_TARGET_DIR", environment::target()).env("PYO3_CONFIG_FILE", description);
    // As in maturin, the interpreter that loads the library provides the symbols.
    cargo.env("PYO3_BUILD_EXTENSION_MODULE", "1");
    steps.run("Python package: a Python without a GIL", &mut cargo)
}

/// Measures the package beside equal work in Rust and beside `litellm.Router`, all in one run. Results go to
/// `target/bench/python.json`.
///
/// # Errors
/// When something does not build or does not run.
pub(crate) fn bench(steps: &mut Steps, quick: bool) -> Outcome {
    let tools = tools(steps)?;
    let wheel = build::wheel(steps, &tools, &environment::target().join("bench/wheel"), &["--profile", "bench"])?;
    let venv = environment::target().join("bench-python");
    let bin = environment::venv(steps, &venv, &package().join("bench/requirements.txt"))?;
    install(steps, &bin, &wheel)?;
    let mut run = Command::new(bin.join("python"));
    run.arg(package().join("bench/overhead.py")).arg("--reference").arg(bench::reference()?);
    run.arg("--json").arg(environment::target().join("bench/python.json"));
    // Without this, litellm asks its maker's server for prices.
    run.env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
    if quick {
        run.arg("--quick");
    }
    steps.run("bench: Python", &mut run)
}
