//! Tries the packages on this machine: in copies of its file system, and without a daemon or a cluster.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{archive, crates, debian, deploy};
use crate::step::Steps;
use crate::{Outcome, environment, serve};

/// The packages of Debian that render the chart: Go, and the functions that Helm's templates have.
const GO: &[&str] = &["golang-go", "golang-github-masterminds-sprig-dev"];

/// Where Debian puts the source of Go's libraries.
const GOPATH: &str = "/usr/share/gocode";

/// Builds the packages of the dev profile's command, and tries each; packs the crates.
///
/// # Errors
/// When one does not work as its users expect.
pub(crate) fn test(steps: &mut Steps) -> Outcome {
    let out = environment::target().join("packages");
    let _ = std::fs::remove_dir_all(&out);
    std::fs::create_dir_all(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    let command = stripped(steps, &out)?;
    let installed = match namespaces() {
        Ok(()) => system(steps, &command, &out),
        Err(why) => {
            steps.skip("the Debian package and the image", &why);
            Ok(())
        }
    };
    installed.and(manifests(steps, &out)).and(crates::pack(steps))
}

/// The command without what debuggers read of it, which is most of its bytes.
fn stripped(steps: &mut Steps, out: &Path) -> Outcome<PathBuf> {
    let router = environment::router(steps)?;
    let command = out.join(super::NAME);
    steps.run("strip the command", Command::new("strip").arg("-o").arg(&command).arg(router))?;
    Ok(command)
}

/// Whether this user may make a copy of the file system that takes all writes.
fn namespaces() -> Outcome {
    let trial = "d=$(mktemp -d) && mount -t tmpfs tmpfs $d && mkdir $d/u $d/w $d/a && \
                 mount -t overlay overlay -o lowerdir=/,upperdir=$d/u,workdir=$d/w $d/a";
    let output = unshare().args(["sh", "-c", trial]).output().map_err(|error| format!("unshare: {error}"))?;
    let dpkg = environment::answers("dpkg-deb", &["--version"]);
    match (output.status.success(), dpkg) {
        (true, true) => Ok(()),
        (true, false) => Err("dpkg-deb is absent".to_owned()),
        (false, _) => Err(format!("no overlay here: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

/// A program in a mount namespace of its own.
fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private"]);
    command
}

fn system(steps: &mut Steps, command: &Path, out: &Path) -> Outcome {
    let scripts = environment::root().join("xtask/src/packages");
    let package = debian::pack(steps, command, debian::Squeeze::Quickly, out)?;
    let port = serve::free_port()?.to_string();
    let mut install = unshare();
    install.arg("sh").arg(scripts.join("installed.sh")).arg(&package).arg(&port);
    let installed = steps.run("install, run, upgrade and purge the Debian package", &mut install);
    let context = out.join("command");
    std::fs::create_dir_all(&context).map_err(|error| format!("{}: {error}", context.display()))?;
    archive::pack(steps, command, None, &context)?;
    let port = serve::free_port()?.to_string();
    let mut image = unshare();
    image.arg("sh").arg(scripts.join("image.sh")).arg(context.join("Containerfile")).arg(&context).arg(&port);
    installed.and(steps.run("carry the Containerfile out", &mut image))
}

fn manifests(steps: &mut Steps, out: &Path) -> Outcome {
    let scripts = environment::root().join("xtask/src/packages");
    if !(environment::answers("go", &["version"])
        && Path::new(GOPATH).join("src/github.com/Masterminds/sprig").exists())
        && let Err(why) = environment::apt_install(steps, GO)
    {
        steps.skip("the chart", &why);
        return Ok(());
    }
    let renderer = out.join("render");
    let mut go = Command::new("go");
    go.args(["build", "-o"]).arg(&renderer).arg(scripts.join("render.go"));
    go.env("GO111MODULE", "off").env("GOPATH", GOPATH).env("GOCACHE", environment::target().join("go"));
    steps.run("build what renders the chart", go.env("GOFLAGS", ""))?;
    let bin = environment::venv(steps, &environment::target().join("manifests"), &scripts.join("requirements.txt"))?;
    let mut check = Command::new(bin.join("python"));
    check.arg(scripts.join("manifests.py")).arg(deploy()).arg(renderer);
    steps.run("the compose file and the chart", &mut check)
}
