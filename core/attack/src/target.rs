//! A router under attack: the real command with a data directory of its own.

use std::borrow::Borrow;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use cortensor_router_testkit::machine;
use tempfile::TempDir;

use crate::Outcome;
use crate::http::{Answer, Ask};

/// The token of the configuration that [`Command::guarded`] sets. Its scopes are `submit`, `read` and `admin`.
pub(crate) const ADMIN: &str = "attack-admin-4f1d0c7be2a95836";

/// The time within which a router must be ready, or must refuse to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// The command `cortensor-router`.
#[derive(Debug)]
pub(crate) struct Command {
    program: PathBuf,
}

/// A running router, which ends on drop.
#[derive(Debug)]
pub(crate) struct Target {
    child: Child,
    /// The address of the listener.
    pub(crate) address: SocketAddr,
    directory: TempDir,
}

/// The end of a command.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit status; `None`: the command was still running after the time limit.
    pub(crate) status: Option<i32>,
    /// Everything that it printed.
    pub(crate) output: String,
}

impl Command {
    pub(crate) fn new(program: PathBuf) -> Self {
        Self { program }
    }

    /// Starts a router that has a token of its own, [`ADMIN`], and answers with an echo. `settings` are lines of TOML
    /// for the configuration file.
    ///
    /// # Errors
    /// When the router is not ready in time.
    pub(crate) fn guarded(&self, settings: &str) -> Outcome<Target> {
        self.guarded_with(settings, &[], &[])
    }

    /// Starts such a router with those arguments and variables.
    ///
    /// # Errors
    /// When the router is not ready in time.
    pub(crate) fn guarded_with(
        &self,
        settings: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Outcome<Target> {
        let settings = format!("{settings}\n[[listen.token]]\nname = \"root\"\nvalue = \"{ADMIN}\"\n");
        self.serve(&settings, arguments, variables)
    }

    /// Starts a router with that configuration file, those arguments and those variables.
    ///
    /// # Errors
    /// When the router is not ready in time.
    pub(crate) fn serve(&self, settings: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Outcome<Target> {
        let directory = directory()?;
        let address = machine::free_address().map_err(|error| format!("no free port: {error}"))?;
        let config = directory.path().join("config.toml");
        fs::write(&config, settings).map_err(|error| format!("{}: {error}", config.display()))?;
        let mut command = self.bare();
        command.arg("serve").arg("--config").arg(&config).arg("--data-dir").arg(directory.path().join("data"));
        command.args(["--port", &address.port().to_string()]).args(arguments).envs(variables.iter().copied());
        let child = spawn(&mut command, &directory.path().join("log"))?;
        let mut target = Target { child, address, directory };
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if let Ok(Some(status)) = target.child.try_wait() {
                return Err(format!("the router ended with {status}: {}", target.log()));
            }
            if Ask::get("/readyz").send(address).is_ok_and(|answer| answer.status == 200) {
                return Ok(target);
            }
            sleep(Duration::from_millis(20));
        }
        Err(format!("the router was not ready within {PATIENCE:?}: {}", target.log()))
    }

    /// Runs the command with those arguments and variables, in a data directory that is removed afterwards, until it
    /// ends or `limit` has passed.
    ///
    /// # Errors
    /// When the command does not start.
    pub(crate) fn run(&self, arguments: &[&str], variables: &[(&str, &str)], limit: Duration) -> Outcome<Ended> {
        let directory = directory()?;
        let path = directory.path().join("output");
        let mut command = self.bare();
        command.args(arguments).envs(variables.iter().copied()).env("CORTENSOR_STORAGE_DATA_DIR", directory.path());
        let mut child = spawn(&mut command, &path)?;
        let started = Instant::now();
        let mut status = None;
        while status.is_none() && started.elapsed() < limit {
            status = child.try_wait().map_err(|error| error.to_string())?;
            sleep(Duration::from_millis(10));
        }
        let _ = child.kill();
        let _ = child.wait();
        Ok(Ended { status: status.map(|status| status.code().unwrap_or(-1)), output: text(&path) })
    }

    /// The command without the settings of the environment in which the attacks run.
    fn bare(&self) -> std::process::Command {
        let mut command = std::process::Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["CORTENSOR_", "API_", "ROUTER_", "LLM_", "WS_"].iter().any(|start| text.starts_with(start)) {
                command.env_remove(&name);
            }
        }
        command.env("CORTENSOR_CONFIG", "").env("NO_COLOR", "1");
        command
    }
}

impl Target {
    /// Everything that the router has logged and printed.
    pub(crate) fn log(&self) -> String {
        text(&self.directory.path().join("log"))
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The configuration file.
    pub(crate) fn config(&self) -> PathBuf {
        self.directory.path().join("config.toml")
    }

    /// The resident memory in bytes.
    ///
    /// # Errors
    /// When the system does not tell.
    pub(crate) fn resident(&self) -> Outcome<u64> {
        let kib = machine::resident_kib(self.child.id());
        kib.map(|count| count * 1_024).ok_or_else(|| "the router's memory is not known".to_owned())
    }

    /// Whether the router runs and answers.
    pub(crate) fn is_well(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
            && Ask::get("/healthz").send(self.address).is_ok_and(|answer| answer.status == 200)
    }

    /// Sends a request as the administrator; its answer must be a success.
    ///
    /// # Errors
    /// When it is not.
    pub(crate) fn admin(&self, ask: Ask) -> Outcome<serde_json::Value> {
        let shown = ask.shown();
        let answer = ask.token(ADMIN).send(self.address)?;
        if !answer.is_success() {
            return Err(format!("control: {shown} as the administrator: {}", answer.told()));
        }
        Ok(answer.json())
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When no answer comes.
    pub(crate) fn send(&self, ask: impl Borrow<Ask>) -> Outcome<Answer> {
        ask.borrow().send(self.address)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // The router may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory below the directory in which cargo builds.
fn directory() -> Outcome<TempDir> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let place = program.parent().map_or_else(std::env::temp_dir, Path::to_path_buf);
    tempfile::Builder::new().prefix("attack-").tempdir_in(place).map_err(|error| format!("data directory: {error}"))
}

/// Starts a command whose output and errors go to that file.
fn spawn(command: &mut std::process::Command, output: &Path) -> Outcome<Child> {
    let failed = |error: std::io::Error| format!("{}: {error}", output.display());
    let errors = File::create(output).map_err(failed)?;
    let output = errors.try_clone().map_err(failed)?;
    let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn();
    child.map_err(|error| format!("{}: {error}", command.get_program().display()))
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}
