//! Builds the Python package: its wheel and its source package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::package;
use crate::step::Steps;
use crate::{Outcome, environment};

/// Builds the one wheel for all Pythons into an emptied directory.
pub(super) fn wheel(steps: &mut Steps, bin: &Path, out: &Path, arguments: &[&str]) -> Outcome<PathBuf> {
    let _ = fs::remove_dir_all(out);
    let mut build = maturin(bin, "build");
    build.arg("--quiet").arg("--out").arg(out).args(arguments);
    steps.run("build the Python wheel", &mut build)?;
    only(out, "whl")
}

/// Builds the source package into a directory.
pub(super) fn source_package(steps: &mut Steps, bin: &Path, out: &Path) -> Outcome<PathBuf> {
    let mut build = maturin(bin, "sdist");
    build.arg("--out").arg(out);
    steps.run("build the Python source package", &mut build)?;
    only(out, "tar.gz")
}

/// The directory in which the tests unpack the source package.
pub(super) fn source() -> PathBuf {
    environment::target().join("python-source")
}

/// Builds the source package and unpacks it into [`source`].
pub(super) fn unpacked(steps: &mut Steps, bin: &Path) -> Outcome<PathBuf> {
    let packed = environment::target().join("python-source-package");
    let _ = fs::remove_dir_all(&packed);
    let archive = source_package(steps, bin, &packed)?;
    let fresh = packed.join("unpacked");
    fs::create_dir_all(&fresh).map_err(|error| format!("{}: {error}", fresh.display()))?;
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(archive).args(["--strip-components", "1", "-C"]).arg(&fresh);
    steps.run("unpack it", &mut tar)?;
    let source = source();
    renew(&fresh, &source).map_err(|error| format!("{}: {error}", source.display()))?;
    Ok(source)
}

/// Makes `old` equal to `fresh`. An unchanged file keeps its time, and a changed one gets the present time. Cargo then
/// builds only the changed parts.
fn renew(fresh: &Path, old: &Path) -> std::io::Result<()> {
    fs::create_dir_all(old)?;
    for entry in fs::read_dir(old)? {
        let entry = entry?;
        if !fresh.join(entry.file_name()).exists() {
            if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
        }
    }
    for entry in fs::read_dir(fresh)? {
        let entry = entry?;
        let (from, to) = (entry.path(), old.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            renew(&from, &to)?;
            continue;
        }
        let text = fs::read(from)?;
        if !fs::read(&to).is_ok_and(|there| there == text) {
            fs::write(to, text)?;
        }
    }
    Ok(())
}

/// Builds a wheel from the source package with pip, unpacked or not, in the dev profile, into an emptied directory.
pub(super) fn wheel_of_source(
    steps: &mut Steps,
    bin: &Path,
    source: &Path,
    out: &Path,
    arguments: &[&str],
) -> Outcome<PathBuf> {
    let _ = fs::remove_dir_all(out);
    let mut pip = of_the_environment(bin, "pip");
    pip.args(["wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "--wheel-dir"]).arg(out);
    pip.args(arguments).arg(source).env("MATURIN_PEP517_ARGS", "--profile dev");
    steps.run("build the wheel from the source package", &mut pip)?;
    only(out, "whl")
}

fn maturin(bin: &Path, command: &str) -> Command {
    let mut maturin = of_the_environment(bin, "maturin");
    maturin.arg(command).arg("--manifest-path").arg(package().join("Cargo.toml")).current_dir(environment::root());
    maturin
}

/// A program of the environment that may call cargo.
fn of_the_environment(bin: &Path, program: &str) -> Command {
    let mut command = Command::new(bin.join(program));
    environment::without_cargo(&mut command);
    command.env("CARGO_TARGET_DIR", environment::target());
    // The build backend calls the first maturin on the path.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(bin.to_path_buf()).chain(std::env::split_paths(&path));
    command.env("PATH", std::env::join_paths(path).unwrap_or_default());
    if let Some(venv) = bin.parent() {
        command.env("VIRTUAL_ENV", venv);
    }
    command
}

/// The only file with that ending.
pub(super) fn only(directory: &Path, ending: &str) -> Outcome<PathBuf> {
    let entries = fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut found = entries.filter_map(Result::ok).map(|entry| entry.path());
    found
        .find(|path| path.to_string_lossy().ends_with(&format!(".{ending}")))
        .ok_or_else(|| format!("{} holds no .{ending}", directory.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_changed_keeps_its_time() {
        let directory = tempfile::tempdir().unwrap();
        let (fresh, old) = (directory.path().join("fresh"), directory.path().join("old"));
        for (path, text) in [
            ("fresh/a/same", "1"),
            ("fresh/a/new", "2"),
            ("fresh/changed", "3"),
            ("old/a/same", "1"),
            ("old/changed", "0"),
            ("old/gone/x", "4"),
        ] {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        for path in ["a/same", "changed"] {
            fs::File::options().write(true).open(old.join(path)).unwrap().set_modified(long_ago).unwrap();
        }
        renew(&fresh, &old).unwrap();
        let time = |path: &str| fs::metadata(old.join(path)).unwrap().modified().unwrap();
        assert_eq!(time("a/same"), long_ago);
        assert!(time("changed") > long_ago);
        assert_eq!(fs::read(old.join("changed")).unwrap(), b"3");
        assert_eq!(fs::read(old.join("a/new")).unwrap(), b"2");
        assert!(!old.join("gone").exists());
    }
}
