//! Builds what users get of this platform: optimised as far as possible, and on Linux for old systems too.

use std::fs;
use std::path::PathBuf;

use crate::step::Steps;
use crate::{Outcome, environment};

/// The newest glibc that a program for users may need: the one that Node.js 20 needs itself, of the year 2018.
const GLIBC: (u32, u32) = (2, 28);

/// Builds `file` of a package with those features in the profile `dist`. Gives the directory in which it lies. On Linux
/// it is linked with zig, which knows the symbols of every glibc: this machine's own linker would require a glibc as
/// new as its own.
///
/// # Errors
/// When it does not build, or needs a newer glibc.
pub(crate) fn build(steps: &mut Steps, package: &str, features: &str, file: &str) -> Outcome<PathBuf> {
    let selected = ["--profile", "dist", "--package", package, "--features", features];
    if !cfg!(all(target_os = "linux", target_env = "gnu")) {
        steps.run(&format!("build {package} (dist)"), environment::cargo(&["build"]).args(selected))?;
        return Ok(environment::target().join("dist"));
    }
    let tools = environment::root().join("xtask/zig.txt");
    let zig = environment::venv(steps, &environment::target().join("zig"), &tools)?;
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let versioned = format!("{target}.{}.{}", GLIBC.0, GLIBC.1);
    let mut build = environment::cargo(&["zigbuild", "--target", &versioned]);
    build.args(selected);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(zig).chain(std::env::split_paths(&path)));
    build.env("PATH", path.map_err(|error| format!("PATH: {error}"))?);
    steps.run(&format!("build {package} (dist, with zig)"), &mut build)?;
    let directory = environment::target().join(target).join("dist");
    steps.check(&format!("the glibc that {file} needs"), || {
        let program = directory.join(file);
        let bytes = fs::read(&program).map_err(|error| format!("{}: {error}", program.display()))?;
        let (major, minor) = glibc(&bytes).ok_or("it names no version of glibc")?;
        let told = format!("glibc {major}.{minor} is needed, {}.{} is allowed", GLIBC.0, GLIBC.1);
        if (major, minor) <= GLIBC { Ok(told) } else { Err(told) }
    })?;
    Ok(directory)
}

/// The newest glibc whose symbols a program needs. The names of the versions are in the program as text.
fn glibc(program: &[u8]) -> Option<(u32, u32)> {
    const MARK: &[u8] = b"\0GLIBC_";
    let version = |at: usize| {
        let text = program[at..].split(|byte| *byte == 0).next().and_then(|text| std::str::from_utf8(text).ok())?;
        let (major, rest) = text.split_once('.')?;
        Some((major.parse().ok()?, rest.split('.').next()?.parse().ok()?))
    };
    let found = program.windows(MARK.len()).enumerate().filter(|(_, bytes)| *bytes == MARK);
    found.filter_map(|(at, _)| version(at + MARK.len())).max()
}

#[cfg(test)]
mod tests {
    use super::glibc;

    #[test]
    fn the_newest_glibc_of_a_library_is_found() {
        assert_eq!(glibc(b"\0GLIBC_2.2.5\0malloc\0GLIBC_2.28\0GLIBC_2.17\0GLIBC_PRIVATE\0"), Some((2, 28)));
        assert_eq!(glibc(b"no version"), None);
    }
}
