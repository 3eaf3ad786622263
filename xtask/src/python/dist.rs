//! Builds the Python packages for users, and tries them in clean environments.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{build, install, package, pytest};
use crate::step::Steps;
use crate::{Outcome, environment, model, pages};

/// The interpreters that a wheel is tried with, if they are installed.
const INTERPRETERS: &[&str] = &["python3.10", "python3.11", "python3.12", "python3.13", "python3.14", "python3.15"];

/// The oldest glibc that the wheel must load on, in the form of its tag.
const PLATFORM: &str = "manylinux_2_28";

/// Builds the packages for users into `target/dist/python`: the wheel for all Pythons from 3.10 on, and the source
/// package. Tries both in clean environments.
///
/// # Errors
/// When a package does not build, or does not work once it is installed.
pub(crate) fn dist(steps: &mut Steps) -> Outcome {
    let target = environment::target().join("dist");
    let tools = environment::venv(steps, &target.join("python-tools"), &package().join("dist/requirements.txt"))?;
    let out = target.join("python");
    // Zig links against that glibc. Maturin refuses the wheel if it needs a newer one after all.
    let portable = ["--profile", "dist", "--zig", "--compatibility", PLATFORM, "--auditwheel", "check"];
    let wheel = build::wheel(steps, &tools, &out, if cfg!(target_os = "linux") { &portable } else { &portable[..2] })?;
    if cfg!(target_os = "linux") {
        steps.check("the wheel's platform", || platform(&wheel))?;
    }
    let source = build::source_package(steps, &tools, &out)?;
    let mut index = Command::new(tools.join("twine"));
    steps.run("what the package index wants", index.args(["check", "--strict"]).args([&wheel, &source]))?;

    let there = interpreters();
    let first =
        there.first().ok_or_else(|| format!("none of {} is there to try the wheel with", INTERPRETERS.join(", ")))?;
    for interpreter in &there {
        try_out(steps, interpreter, &wheel, "from the wheel")?;
    }
    let tests = environment::venv(steps, &target.join("python-tests"), &package().join("requirements.txt"))?;
    install(steps, &tests, &wheel)?;
    pytest(steps, &tests, model::present()?.as_ref(), &[("CORTENSOR_PYTHON_EXIT_RUNS", "200")])?;

    // The wheel is built from the archive and pip's downloads alone, in the profile that is built already.
    let built = build::wheel_of_source(steps, &tools, &source, &target.join("from-source"), &[])?;
    try_out(steps, first, &built, "from the source package")?;
    println!("{}\n{}", wheel.display(), source.display());
    Ok(())
}

/// The wheel's tag, which maturin's audit confirms.
fn platform(wheel: &Path) -> Outcome<String> {
    let name = wheel.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if name.contains("-cp310-abi3-") && name.contains(PLATFORM) {
        Ok(name)
    } else {
        Err(format!("{name} is not for every Python from 3.10 on and {PLATFORM}"))
    }
}

/// The installed interpreters: those on the path, and those of pyenv.
fn interpreters() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".pyenv"));
    let pyenv = std::env::var_os("PYENV_ROOT").map(PathBuf::from).or(home);
    let versions = pyenv.and_then(|root| fs::read_dir(root.join("versions")).ok());
    let bins: Vec<_> = versions.into_iter().flatten().flatten().map(|version| version.path().join("bin")).collect();
    let places =
        |name: &'static str| std::iter::once(PathBuf::from(name)).chain(bins.iter().map(move |bin| bin.join(name)));
    let answers = |place: &PathBuf| environment::answers(&place.to_string_lossy(), &["--version"]);
    INTERPRETERS.iter().filter_map(|name| places(name).find(answers)).collect()
}

/// Installs a wheel into a clean environment, and runs the README, the examples and the command there.
pub(super) fn try_out(steps: &mut Steps, interpreter: &Path, wheel: &Path, which: &str) -> Outcome {
    let name = interpreter.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let venv = environment::target().join("dist").join(format!("try-{name}"));
    let _ = fs::remove_dir_all(&venv);
    let title = format!("{name}: a clean environment");
    steps.run(&title, Command::new(interpreter).args(["-m", "venv"]).arg(&venv))?;
    let bin = venv.join("bin");
    install(steps, &bin, wheel)?;
    let mut programs = Vec::new();
    for example in ["hello", "stream", "own_miner"] {
        programs.push((example.to_owned(), environment::root().join(format!("examples/python/{example}.py"))));
    }
    let readme = environment::read(&package().join("README.md"))?;
    let runs = |block: &&pages::Block| block.language == "python" && block.fate == pages::Fate::Run;
    for block in pages::blocks_of_package(&readme).iter().filter(runs) {
        let path = venv.join(format!("readme_{}.py", block.line));
        fs::write(&path, &block.text).map_err(|error| format!("{}: {error}", path.display()))?;
        programs.push((format!("README.md:{}", block.line), path));
    }
    for (title, program) in programs {
        let mut run = Command::new(bin.join("python"));
        run.args(["-W", "error"]).arg(program).current_dir(&venv);
        steps.run(&format!("{name}, {which}: {title}"), &mut run)?;
    }
    let mut module = Command::new(bin.join("python"));
    module.args(["-m", "cortensor_router", "--help"]).current_dir(&venv);
    steps.run(&format!("{name}, {which}: the module"), &mut module)?;
    let mut command = Command::new(bin.join("cortensor-router"));
    steps.run(&format!("{name}, {which}: the command"), command.arg("--version"))
}
