//! The Debian package: the command as a service of systemd.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{COMPLETIONS, NAME, PAGES, VERSION, deploy, manual, place, place_command, said};
use crate::step::Steps;
use crate::{Outcome, environment};

/// How well the package is compressed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Squeeze {
    /// For users.
    Well,
    /// For a test.
    Quickly,
}

/// Files that stay as the administrator changed them: the source, the place, the rights.
const SETTINGS: &[(&str, &str, u32)] = &[
    ("config.toml", "etc/cortensor-router/config.toml", 0o644),
    ("environment", "etc/default/cortensor-router", 0o600),
];

/// Builds the package into `out`. Gives its path.
///
/// # Errors
/// When the command does not run, or dpkg-deb is absent or fails.
pub(super) fn pack(steps: &mut Steps, command: &Path, squeeze: Squeeze, out: &Path) -> Outcome<PathBuf> {
    let tree = out.join("debian");
    let _ = fs::remove_dir_all(&tree);
    lay_out(command, &tree)?;
    let package = out.join(format!("{NAME}_{VERSION}_{}.deb", architecture()?));
    let mut build = Command::new("dpkg-deb");
    build.args(match squeeze {
        Squeeze::Well => ["-Zxz", "-z6"],
        Squeeze::Quickly => ["-Zgzip", "-z1"],
    });
    build.args(["--root-owner-group", "--build"]).arg(&tree).arg(&package);
    steps.run("build the Debian package", &mut build)?;
    fs::remove_dir_all(&tree).map_err(|error| format!("{}: {error}", tree.display()))?;
    Ok(package)
}

/// The name that Debian has for this machine's kind.
fn architecture() -> Outcome<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        other => Err(format!("no Debian package is made for {other}")),
    }
}

fn lay_out(command: &Path, tree: &Path) -> Outcome {
    let text = |name: &str| environment::read(&deploy().join("debian").join(name));
    let size = place_command(command, tree, "usr/bin/cortensor-router")?.div_ceil(1024);
    place(tree, "lib/systemd/system/cortensor-router.service", text("cortensor-router.service")?, 0o644)?;
    for (name, path, mode) in SETTINGS {
        place(tree, path, text(name)?, *mode)?;
    }
    for page in PAGES {
        let page_text = environment::read(&environment::root().join(page))?;
        place(tree, &format!("usr/share/doc/{NAME}/{page}"), page_text, 0o644)?;
    }
    manual(command, &tree.join("usr/share/man/man1"))?;
    let copyright = environment::read(&environment::root().join("LICENSE"))?;
    place(tree, &format!("usr/share/doc/{NAME}/copyright"), copyright, 0o644)?;
    for (shell, path) in COMPLETIONS {
        place(tree, &format!("usr/{path}"), said(command, &["completions", shell])?, 0o644)?;
    }
    place(tree, "DEBIAN/control", control(size)?, 0o644)?;
    let settings: Vec<_> = SETTINGS.iter().map(|(_, path, _)| format!("/{path}\n")).collect();
    place(tree, "DEBIAN/conffiles", settings.concat(), 0o644)?;
    for script in ["postinst", "prerm", "postrm"] {
        place(tree, &format!("DEBIAN/{script}"), text(script)?, 0o755)?;
    }
    Ok(())
}

/// The description that dpkg reads. The size is in KiB.
fn control(size: usize) -> Outcome<String> {
    Ok(format!(
        "Package: {NAME}\nVersion: {VERSION}\nArchitecture: {}\nMaintainer: The cortensor-router developers\n\
         Section: net\nPriority: optional\nInstalled-Size: {size}\nDepends: libc6 (>= 2.28), libgcc-s1\n\
         Recommends: ca-certificates\nDescription: router for AI inference\n \
         It takes prompts by the APIs of OpenAI, Anthropic and Cortensor, keeps every accepted\n \
         one in a file, and shares model servers fairly between those who ask.\n",
        architecture()?
    ))
}
