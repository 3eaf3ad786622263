//! The directories of the checkout, and the Python and Node environments of the client tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::step::Steps;
use crate::{Outcome, programs};

/// The root directory of the checkout.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// The directory of the clients' tests.
pub(crate) fn clients() -> PathBuf {
    root().join("core/tests/clients")
}

/// The directory in which cargo builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The directory that outlives `target/`: the product's name below `$XDG_CACHE_HOME` or `~/.cache`.
///
/// # Errors
/// When neither the cache nor the home directory is known.
pub(crate) fn cache() -> Outcome<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("cortensor-router"))
        .ok_or_else(|| "set HOME or XDG_CACHE_HOME: the model is kept there".into())
}

/// Copies a file over another. A process that has the old one loaded keeps it.
///
/// # Errors
/// When it cannot be copied; the message names both.
pub(crate) fn install(from: &Path, to: &Path) -> Outcome {
    let _ = fs::remove_file(to);
    fs::copy(from, to).map(drop).map_err(|error| format!("{} to {}: {error}", from.display(), to.display()))
}

/// Gives a large file a second name, or copies it where the file system has no second names. A file that stood there is
/// removed first: a copy over it would change the file under its other names, too.
///
/// # Errors
/// When neither can be done.
pub(crate) fn link(from: &Path, to: &Path) -> std::io::Result<()> {
    let _ = fs::remove_file(to);
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(drop))
}

/// A command of the cargo that runs this program.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    without_cargo(&mut command);
    command
}

/// The platform that this machine builds for, as Rust names it.
///
/// # Errors
/// When cargo does not tell.
pub(crate) fn host() -> Outcome<String> {
    let output = cargo(&["-vV"]).output().map_err(|error| format!("cargo: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| format!("`cargo -vV` names no host: {text}"))
}

/// Removes variables that `cargo run` sets for this program. Build scripts that read them would run again, with
/// everything that depends on them, whenever the variables come and go.
pub(crate) fn without_cargo(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|start| name.to_string_lossy().starts_with(start)) {
            command.env_remove(name);
        }
    }
}

/// Wraps a command so that it may open as many files as the system allows. Its directory is not taken over.
pub(crate) fn with_open_files(command: &Command) -> Command {
    let mut run = Command::new("sh");
    run.args(["-c", "ulimit -n \"$(ulimit -Hn)\"; exec \"$@\"", "sh"]);
    run.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => run.env(name, value),
            None => run.env_remove(name),
        };
    }
    run
}

/// Whether a program is installed and succeeds with these arguments.
pub(crate) fn answers(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

/// Builds the `cortensor-router` command and the other programs beside it. Gives its path.
///
/// # Errors
/// When it does not build.
pub(crate) fn router(steps: &mut Steps) -> Outcome<PathBuf> {
    steps.run("build cortensor-router", &mut programs::all())?;
    Ok(target().join("debug").join(format!("cortensor-router{}", std::env::consts::EXE_SUFFIX)))
}

/// Makes or renews the Python environment in `target/venv`. Gives its `bin` directory.
///
/// # Errors
/// When Python is absent or a package does not install.
pub(crate) fn python(steps: &mut Steps) -> Outcome<PathBuf> {
    venv(steps, &target().join("venv"), &clients().join("python/requirements.txt"))
}

/// Makes a Python environment with the packages of a requirements file, or renews it if the file changed. Gives its
/// `bin` directory.
///
/// # Errors
/// When Python is absent or a package does not install.
pub(crate) fn venv(steps: &mut Steps, venv: &Path, requirements: &Path) -> Outcome<PathBuf> {
    // The scripts of an environment name the place of its installation, so a copy elsewhere does not work.
    let wanted = format!("# {}\n{}", venv.display(), read(requirements)?);
    let stamp = venv.join("installed.txt");
    let bin = venv.join("bin");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(bin);
    }
    let title = format!("make {}", venv.strip_prefix(root()).unwrap_or(venv).display());
    steps.run(&title, Command::new("python3").args(["-m", "venv", "--clear"]).arg(venv)).map_err(|error| {
        format!("{error}\nPython 3.10 or newer with its venv module is needed (Debian: apt-get install python3-venv)")
    })?;
    let mut install = Command::new(bin.join("pip"));
    // Most modules are never loaded; Python compiles the others when they are.
    install.args(["install", "--quiet", "--no-compile", "--disable-pip-version-check", "--requirement"]);
    install.arg(requirements);
    steps.run("install what the requirements name", &mut install)?;
    fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))?;
    Ok(bin)
}

/// Installs the packages of one Node directory, as its lock file lists them.
///
/// # Errors
/// When npm is absent or a package does not install.
pub(crate) fn node(steps: &mut Steps, directory: &Path) -> Outcome {
    let wanted = read(&directory.join("package-lock.json"))?;
    let stamp = directory.join("node_modules/.installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let name = directory.strip_prefix(root()).unwrap_or(directory).display().to_string();
    let mut install = Command::new("npm");
    install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]).current_dir(directory);
    steps.run(&format!("npm ci in {name}"), &mut install).map_err(|error| {
        format!("{error}\nNode.js 20 or newer with npm is needed (Debian: apt-get install nodejs npm)")
    })?;
    fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))
}

/// Installs those of Debian's packages that `absent` names, if it names any, and then looks again. `whose` says in the
/// message which tests want them.
///
/// # Errors
/// When they cannot be installed, or do not help; the message names them.
pub(crate) fn present(steps: &mut Steps, whose: &str, absent: impl Fn() -> Vec<&'static str>) -> Outcome {
    let missing = absent();
    if missing.is_empty() {
        return Ok(());
    }
    apt_install(steps, &missing)?;
    let missing = absent();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!("the {whose} tests want {} (Debian's names)", missing.join(", ")))
    }
}

/// Installs some of Debian's packages, if this is Debian and the user may install.
///
/// # Errors
/// When they cannot be installed; the message says how to install them.
pub(crate) fn apt_install(steps: &mut Steps, packages: &[&str]) -> Outcome {
    /// Whether this process has refreshed the list of the packages. It is held as long as an apt-get runs: a second one would
    /// end at once.
    static REFRESHED: Mutex<bool> = Mutex::new(false);
    let mut is_refreshed = REFRESHED.lock().unwrap_or_else(PoisonError::into_inner);
    let names = packages.join(" ");
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    if !root || !answers("apt-get", &["--version"]) {
        return Err(format!("not installed: {names} (Debian: apt-get install {names})"));
    }
    let mut install = Command::new("apt-get");
    install.args(["install", "-q", "-y", "--no-install-recommends"]).args(packages);
    // Only the program is wanted: a service that comes with it must not be started.
    install.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
    if !*is_refreshed {
        steps.run("refresh the packages", Command::new("apt-get").args(["update", "-q"]))?;
        *is_refreshed = true;
    }
    steps.run(&format!("install {names}"), &mut install)
}

/// Finds the servers of the tests of PostgreSQL, or installs them where that is possible.
///
/// # Errors
/// When they cannot be installed; the message says how to install them.
pub(crate) fn postgres(steps: &mut Steps) -> Outcome {
    let has_server = |version: fs::DirEntry| version.path().join("bin/postgres").exists();
    let server = fs::read_dir("/usr/lib/postgresql").is_ok_and(|mut found| found.any(|dir| dir.is_ok_and(has_server)));
    if server && Path::new("/usr/sbin/pgbouncer").exists() {
        return Ok(());
    }
    apt_install(steps, &["postgresql", "pgbouncer"])
}

/// Reads the text of a file.
///
/// # Errors
/// When the file cannot be read; the message names it.
pub(crate) fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}
