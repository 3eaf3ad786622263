//! The Python package: its wheel, the environment that it is tested in, and what is given to users.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::Steps;
use crate::{Outcome, environment, model};

/// The interpreters that a wheel is tried with, where they are there.
const INTERPRETERS: &[&str] = &["python3.10", "python3.11", "python3.12", "python3.13", "python3.14", "python3.15"];

/// The package's directory.
fn package() -> PathBuf {
    environment::root().join("bindings-python")
}

/// The environment with the package's wheel in it, built in the dev profile; gives its `bin`.
///
/// # Errors
/// When Python is absent, or something does not build or install.
pub(crate) fn installed(steps: &mut Steps) -> Outcome<PathBuf> {
    let venv = environment::target().join("python");
    let bin = environment::venv(steps, &venv, &package().join("requirements.txt"))?;
    let wheels = environment::target().join("wheels");
    let wheel = wheel(steps, &bin, &wheels, &["--profile", "dev"])?;
    install(steps, &bin, &wheel)?;
    Ok(bin)
}

/// Builds the one wheel for all Pythons into an emptied directory.
fn wheel(steps: &mut Steps, bin: &Path, out: &Path, arguments: &[&str]) -> Outcome<PathBuf> {
    let _ = fs::remove_dir_all(out);
    let mut build = maturin(bin, "build");
    build.arg("--quiet").arg("--out").arg(out).args(arguments);
    steps.run("build the Python wheel", &mut build)?;
    only(out, "whl")
}

fn maturin(bin: &Path, command: &str) -> Command {
    let mut maturin = Command::new(bin.join("maturin"));
    maturin.arg(command).arg("--manifest-path").arg(package().join("Cargo.toml"));
    maturin.current_dir(environment::root()).env("CARGO_TARGET_DIR", environment::target());
    if let Some(venv) = bin.parent() {
        maturin.env("VIRTUAL_ENV", venv);
    }
    maturin
}

/// The one file with that ending.
fn only(directory: &Path, ending: &str) -> Outcome<PathBuf> {
    let entries = fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut found = entries.filter_map(Result::ok).map(|entry| entry.path());
    found
        .find(|path| path.to_string_lossy().ends_with(&format!(".{ending}")))
        .ok_or_else(|| format!("{} holds no .{ending}", directory.display()))
}

fn install(steps: &mut Steps, bin: &Path, wheel: &Path) -> Outcome {
    let mut pip = Command::new(bin.join("pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--force-reinstall"]).arg(wheel);
    steps.run("install the Python wheel", &mut pip)
}

/// Runs its tests against the installed wheel, and checks its types.
///
/// # Errors
/// When one fails.
pub(crate) fn test(steps: &mut Steps, model: Option<&model::Model>) -> Outcome {
    let bin = installed(steps)?;
    let mut tool = |title: &str, program: &str, arguments: &[&str]| {
        let mut run = Command::new(bin.join(program));
        run.args(arguments).current_dir(package());
        if let (Some(model), "pytest") = (model, program) {
            run.envs(model.environment()).env("CORTENSOR_REQUIRE_MODEL", "1");
        }
        steps.run(title, &mut run)
    };
    let tests = tool("Python package", "pytest", &[]);
    let stubs = tool("Python stubs", "stubtest", &["cortensor_router", "--mypy-config-file", "pyproject.toml"]);
    let types = tool("Python types: mypy", "mypy", &["python", "tests", "../examples/python"]);
    let python = bin.join("python").to_string_lossy().into_owned();
    let pyright = tool("Python types: pyright", "pyright", &["--project", "pyproject.toml", "--pythonpath", &python]);
    tests.and(stubs).and(types).and(pyright)
}

/// Measures it beside the same in Rust and beside `litellm.Router`, all in one run; results go to `target/bench/python.json`.
///
/// # Errors
/// When something does not build or does not run.
pub(crate) fn bench(steps: &mut Steps, quick: bool) -> Outcome {
    let tools = environment::venv(steps, &environment::target().join("python"), &package().join("requirements.txt"))?;
    let wheel = wheel(steps, &tools, &environment::target().join("bench/wheel"), &["--release"])?;
    let venv = environment::target().join("bench-python");
    let bin = environment::venv(steps, &venv, &package().join("bench/requirements.txt"))?;
    install(steps, &bin, &wheel)?;
    let mut rust = environment::cargo(&["bench", "--quiet", "--package", "cortensor-router", "--bench", "embed"]);
    let output = rust.output().map_err(|error| format!("cargo bench: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo bench --bench embed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let mut run = Command::new(bin.join("python"));
    run.arg(package().join("bench/overhead.py")).arg("--reference").arg(String::from_utf8_lossy(&output.stdout).trim());
    run.arg("--json").arg(environment::target().join("bench/python.json"));
    // It asks its home for prices otherwise.
    run.env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
    if quick {
        run.arg("--quick");
    }
    steps.run("bench: Python", &mut run)
}

/// Builds what users get into `target/dist/python`: the wheel for all Pythons from 3.10 on, and the source; and tries both in clean
/// environments.
///
/// # Errors
/// When something does not build, or does not work once it is installed.
pub(crate) fn dist(steps: &mut Steps) -> Outcome {
    let tools = environment::venv(steps, &environment::target().join("python"), &package().join("requirements.txt"))?;
    let out = environment::target().join("dist/python");
    let wheel = wheel(steps, &tools, &out, &["--release"])?;
    steps.run("build the Python source package", maturin(&tools, "sdist").arg("--out").arg(&out))?;
    let source = only(&out, "tar.gz")?;
    let there: Vec<_> = INTERPRETERS.iter().filter(|one| environment::answers(one, &["--version"])).collect();
    if there.is_empty() {
        return Err(format!("none of {} is there to try the wheel with", INTERPRETERS.join(", ")));
    }
    for interpreter in &there {
        try_out(steps, interpreter, &wheel, "from the wheel")?;
    }
    // What pip does with the source, in the profile that is built already.
    let built = environment::target().join("dist/from-source");
    let _ = fs::remove_dir_all(&built);
    let mut pip = Command::new(tools.join("pip"));
    pip.args(["wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "--wheel-dir"]).arg(&built).arg(&source);
    pip.env("MATURIN_PEP517_ARGS", "--profile dev").env("CARGO_TARGET_DIR", environment::target());
    steps.run("build the wheel from the source package", &mut pip)?;
    try_out(steps, there[0], &only(&built, "whl")?, "from the source")?;
    println!("{}\n{}", wheel.display(), source.display());
    Ok(())
}

/// Installs a wheel into a clean environment and runs examples there.
fn try_out(steps: &mut Steps, interpreter: &str, wheel: &Path, which: &str) -> Outcome {
    let venv = environment::target().join("dist").join(format!("try-{interpreter}"));
    let _ = fs::remove_dir_all(&venv);
    let title = format!("{interpreter}: a clean environment");
    steps.run(&title, Command::new(interpreter).args(["-m", "venv"]).arg(&venv))?;
    let bin = venv.join("bin");
    install(steps, &bin, wheel)?;
    for example in ["hello", "stream", "own_miner"] {
        let mut run = Command::new(bin.join("python"));
        run.args(["-W", "error"]).arg(environment::root().join(format!("examples/python/{example}.py")));
        steps.run(&format!("{interpreter}, {which}: {example}"), run.current_dir(&venv))?;
    }
    let mut version = Command::new(bin.join("cortensor-router"));
    steps.run(&format!("{interpreter}, {which}: the command"), version.arg("--version"))
}
