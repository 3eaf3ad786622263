//! The archive: the command, its completions, its manual, its pages and its bill of materials in one folder.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{COMPLETIONS, NAME, PAGES, VERSION, deploy, manual, place, place_command, said};
use crate::step::Steps;
use crate::{Outcome, environment};

/// Packs the archive into `out`, and the Containerfile beside it with the archive under the name that it reads.
///
/// # Errors
/// When the command does not run, or tar fails.
pub(super) fn pack(steps: &mut Steps, command: &Path, bill: Option<&Path>, out: &Path) -> Outcome {
    let system = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    let folder = format!("{NAME}-{VERSION}-{system}");
    let tree = out.join("tree");
    lay_out(command, bill, &tree.join(&folder))?;
    let archive = format!("{folder}.tar.gz");
    let mut tar = Command::new("tar");
    tar.args(["--create", "--gzip", "--owner=0", "--group=0", "--sort=name", "--file"]).arg(out.join(&archive));
    steps.run("pack the archive", tar.arg("--directory").arg(&tree).arg(&folder))?;
    let finish = || {
        fs::remove_dir_all(&tree)?;
        fs::copy(out.join(&archive), out.join(format!("{NAME}.tar.gz")))?;
        fs::copy(deploy().join("container/Containerfile"), out.join("Containerfile"))
    };
    finish().map(drop).map_err(|error| format!("{}: {error}", out.display()))
}

fn lay_out(command: &Path, bill: Option<&Path>, folder: &Path) -> Outcome {
    place_command(command, folder, NAME)?;
    for page in PAGES {
        place(folder, page, environment::read(&environment::root().join(page))?, 0o644)?;
    }
    for (shell, path) in COMPLETIONS {
        let name = path.rsplit('/').next().unwrap_or(path);
        let script = said(command, &["completions", shell])?;
        place(folder, &format!("completions/{shell}/{name}"), script, 0o644)?;
    }
    manual(command, &folder.join("man/man1"))?;
    if let Some(bill) = bill {
        place(folder, "sbom.cdx.json", environment::read(bill)?, 0o644)?;
    }
    Ok(())
}
