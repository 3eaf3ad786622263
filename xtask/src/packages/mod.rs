//! The packages of the command: an archive, a Debian package, and what runs it in containers and clusters.

mod archive;
mod crates;
mod debian;
#[cfg(test)]
mod release;
mod trial;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::Steps;
use crate::{Outcome, environment, portable, sbom};

pub(crate) use crates::verify as verify_crates;
pub(crate) use trial::test;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The command's name, and that of its packages.
const NAME: &str = "cortensor-router";

/// The shells that have completions: the shell, and the path of its script below `/usr`.
const COMPLETIONS: &[(&str, &str)] = &[
    ("bash", "share/bash-completion/completions/cortensor-router"),
    ("zsh", "share/zsh/vendor-completions/_cortensor-router"),
    ("fish", "share/fish/vendor_completions.d/cortensor-router.fish"),
];

/// Writes the manual pages of all commands below a directory.
fn manual(command: &Path, directory: &Path) -> Outcome {
    said(command, &["man", "--dir", &directory.to_string_lossy()]).map(drop)
}

/// Pages that every package has.
const PAGES: &[&str] = &["README.md", "CHANGELOG.md", "LICENSE", "LICENSE-APACHE", "LICENSE-MIT"];

/// Where the files of deployments lie in the checkout.
fn deploy() -> PathBuf {
    environment::root().join("examples/deploy")
}

/// Builds the packages of the command for users into `target/dist/command`, with the sums of all files.
///
/// # Errors
/// When it does not build or pack.
pub(crate) fn dist(steps: &mut Steps) -> Outcome {
    let directory = portable::build(steps, "cortensor-router-cli", "full", NAME)?;
    let out = environment::target().join("dist/command");
    let _ = fs::remove_dir_all(&out);
    fs::create_dir_all(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    let bill = out.join("sbom.cdx.json");
    sbom::write(steps, "core/cli", &bill)?;
    let command = directory.join(NAME);
    archive::pack(steps, &command, Some(&bill), &out)?;
    debian::pack(steps, &command, debian::Squeeze::Well, &out)?;
    let mut names: Vec<_> = listed(&out)?.into_iter().filter_map(|path| Some(path.file_name()?.to_owned())).collect();
    names.sort();
    let mut sums = Command::new("sha256sum");
    let output = sums.args(names).current_dir(&out).output().map_err(|error| format!("sha256sum: {error}"))?;
    if !output.status.success() {
        return Err(format!("sha256sum: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let file = out.join("SHA256SUMS");
    fs::write(&file, output.stdout).map_err(|error| format!("{}: {error}", file.display()))
}

/// The files of a directory.
fn listed(directory: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    Ok(entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| path.is_file()).collect())
}

/// Writes a file and the directories above it, with its rights.
fn place(tree: &Path, path: &str, bytes: impl AsRef<[u8]>, mode: u32) -> Outcome {
    use std::os::unix::fs::PermissionsExt as _;
    let file = tree.join(path);
    let failed = |error: std::io::Error| format!("{}: {error}", file.display());
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    fs::write(&file, bytes).map_err(failed)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).map_err(failed)
}

/// Writes the built command itself to a place. Gives its size in bytes.
fn place_command(command: &Path, tree: &Path, path: &str) -> Outcome<usize> {
    let program = fs::read(command).map_err(|error| format!("{}: {error}", command.display()))?;
    place(tree, path, &program, 0o755)?;
    Ok(program.len())
}

/// The output of the command with these arguments.
fn said(command: &Path, arguments: &[&str]) -> Outcome<Vec<u8>> {
    let output = Command::new(command).args(arguments).output();
    let output = output.map_err(|error| format!("{}: {error}", command.display()))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)))
    }
}
