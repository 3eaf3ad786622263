//! The place where the blocks of the pages run: a scratch directory and a running router.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::block::{Block, Fate};
use super::shell::{self, Piece};
use super::syntax;
use crate::serve::{self, Server};
use crate::step::Steps;
use crate::{Outcome, environment, node, python};

/// The ports that the pages show; free ports take their places.
const SHOWN_PORTS: [&str; 3] = ["5010", "5011", "5012"];
/// The seconds that one block may take.
const BLOCK_TIMEOUT: &str = "120";
/// The directory that stays when all others of a page go.
const MODULES: &str = "node_modules";
/// The output that is shown of a block, in bytes.
const SHOWN: usize = 1_500;

/// A scratch directory, the programs that blocks call, and the running router.
pub(super) struct Stage {
    directory: PathBuf,
    scratch: PathBuf,
    path: String,
    router: PathBuf,
    /// The Python of the client tests, and that with the package.
    clients: PathBuf,
    package: PathBuf,
    ports: [u16; SHOWN_PORTS.len()],
    server: Option<Server>,
    /// The assignments of the page's earlier blocks.
    names: String,
}

impl Stage {
    /// Builds what the blocks need.
    ///
    /// # Errors
    /// When something does not build or install.
    pub(super) fn new(steps: &mut Steps) -> Outcome<Self> {
        let router = environment::router(steps)?;
        let package = python::installed(steps)?;
        let clients = environment::python(steps)?;
        let modules = environment::clients().join("node");
        environment::node(steps, &modules)?;
        node::addon(steps)?;
        let directory = environment::target().join("pages");
        let scratch = environment::target().join("pages-parsed");
        let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
        for place in [&directory, &scratch] {
            let _ = fs::remove_dir_all(place);
            fs::create_dir_all(place).map_err(failed)?;
        }
        node_modules(&modules.join(MODULES), &directory.join(MODULES)).map_err(failed)?;
        let programs = router.parent().map(|parent| parent.display().to_string()).unwrap_or_default();
        let path = format!("{programs}:{}:{}", package.display(), std::env::var("PATH").unwrap_or_default());
        let ports = [serve::free_port()?, serve::free_port()?, serve::free_port()?];
        let (clients, package) = (clients.join("python"), package.join("python"));
        Ok(Self { directory, scratch, path, router, clients, package, ports, server: None, names: String::new() })
    }

    /// Ends the router and what a block left running, and empties the directory, before the next page.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub(super) fn clear(&mut self) -> Outcome {
        self.server = None;
        self.names.clear();
        let failed = |error: std::io::Error| format!("{}: {error}", self.directory.display());
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|end| end == "pid") {
                // Most have ended by themselves.
                let _ = Command::new("kill").arg(environment::read(&path)?.trim()).stderr(Stdio::null()).status();
            }
            if path.is_dir() && !path.ends_with(MODULES) {
                fs::remove_dir_all(&path).map_err(failed)?;
            } else if path.is_file() {
                fs::remove_file(&path).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Does with a block what its mark says.
    ///
    /// # Errors
    /// When it fails.
    pub(super) fn run(&mut self, steps: &mut Steps, title: &str, block: &Block) -> Outcome {
        let mut text = block.text.clone();
        for (shown, port) in SHOWN_PORTS.iter().zip(self.ports) {
            text = text.replace(shown, &port.to_string());
        }
        match &block.fate {
            Fate::Parsed(why) => match syntax::check(&self.clients, &self.scratch, &block.language, &text) {
                Some(checked) => steps.check(&format!("{title} (not run: {why})"), || checked),
                None => Ok(()),
            },
            Fate::File(name) => {
                let written = fs::write(self.directory.join(name), &text).map_err(|error| format!("{name}: {error}"));
                steps.check(&format!("{title} ({name})"), || written.map(|()| "written".to_owned()))
            }
            Fate::Run => self.play(steps, title, &block.language, &text),
        }
    }

    fn play(&mut self, steps: &mut Steps, title: &str, language: &str, text: &str) -> Outcome {
        match language {
            "sh" | "bash" | "shell" | "console" => {
                for piece in shell::pieces(text, language == "console") {
                    match piece {
                        Piece::Serve(arguments) => {
                            steps.check(&format!("{title} (left running)"), || self.serve(&arguments))?;
                        }
                        Piece::Script(script) if shell::is_assignments(&script) => self.names.push_str(&script),
                        Piece::Script(script) => {
                            self.with_server()?;
                            let script = format!("{}{script}", self.names);
                            let mut bash = self.program(Path::new("bash"), &["-euo", "pipefail", "-c", &script]);
                            steps.check(title, || without_error(&mut bash))?;
                        }
                    }
                }
                Ok(())
            }
            "python" | "py" => {
                let python = if text.contains("cortensor_router") { &self.package } else { &self.clients };
                self.script(steps, title, &python.clone(), "snippet.py", text)
            }
            "js" | "javascript" | "mjs" => self.script(steps, title, Path::new("node"), "snippet.mjs", text),
            "toml" => {
                fs::write(self.directory.join("snippet.toml"), text).map_err(|error| format!("{title}: {error}"))?;
                let mut check = self.program(&self.router, &["config", "check", "--config", "snippet.toml"]);
                // The variables that a configuration names hold its secrets.
                let names = text.split("_env = \"").skip(1).filter_map(|rest| rest.split('"').next());
                check.envs(names.map(|name| (name, "a-secret-of-the-reader")));
                steps.run(title, &mut check)
            }
            _ => match syntax::check(&self.clients, &self.scratch, language, text) {
                Some(checked) => steps.check(title, || checked),
                // Rust blocks run with the documentation tests, C and C++ with the suite `c`; the others are no code.
                None => Ok(()),
            },
        }
    }

    fn script(&mut self, steps: &mut Steps, title: &str, program: &Path, name: &str, text: &str) -> Outcome {
        self.with_server()?;
        fs::write(self.directory.join(name), text).map_err(|error| format!("{name}: {error}"))?;
        steps.run(title, &mut self.program(program, &[name]))
    }

    /// Starts a router without options, for blocks that a page shows before the one that starts it.
    fn with_server(&mut self) -> Outcome {
        if self.server.is_none() {
            self.serve(&[])?;
        }
        Ok(())
    }

    fn serve(&mut self, arguments: &[String]) -> Outcome<String> {
        self.server = None;
        let mut command = self.command("bash");
        // With `exec`, the ended process is the router itself; `eval` reads quotes and variables.
        let words = arguments.join(" ");
        let names = &self.names;
        command.args(["-c", &format!("{names}eval exec '\"$ROUTER\"' {}", single_quoted(&format!("serve {words}")))]);
        command.env("ROUTER", &self.router).stdout(Stdio::null());
        self.server = Some(Server::start(&mut command, self.ports[0])?);
        Ok(format!("cortensor-router serve {words}: ready"))
    }

    /// A program with a time limit.
    fn program(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = self.command("timeout");
        command.arg(BLOCK_TIMEOUT).arg(program).args(arguments);
        command
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.directory)
            .env("PATH", &self.path)
            .env("XDG_DATA_HOME", self.directory.join("data"))
            .env("XDG_CONFIG_HOME", self.directory.join("config"))
            .env("ROUTER_REST_BIND_PORT", self.ports[0].to_string())
            .env("CORTENSOR_URL", format!("http://127.0.0.1:{}", self.ports[0]));
        command
    }
}

/// Runs the commands of a block. They must succeed, and no answer of the router among their output may be an error.
fn without_error(command: &mut Command) -> Outcome<String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    // A response of the Responses API has a member `error`, which is null.
    let is_error = said.replace("\"error\":null", "").contains("\"error\"");
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    if is_error || !output.status.success() {
        return Err(format!("{}\n{said}", output.status));
    }
    let end = (0..=SHOWN.min(said.len())).rev().find(|at| said.is_char_boundary(*at)).unwrap_or(0);
    said.truncate(end);
    Ok(said)
}

/// Links the modules that JavaScript may import: the packages of the client tests, and the project's own.
fn node_modules(clients: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(clients)? {
        let entry = entry?;
        std::os::unix::fs::symlink(entry.path(), to.join(entry.file_name()))?;
    }
    std::os::unix::fs::symlink(node::package(), to.join("cortensor-router"))
}

fn single_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_in_the_output_fails_a_block_that_succeeds() {
        let said = |script: &str| without_error(Command::new("bash").args(["-euc", script]));
        assert_eq!(said("echo fine").unwrap(), "fine\n");
        assert!(said("echo '{\"error\":null}'").is_ok());
        assert!(said("echo '{\"error\":\"no miner\"}'").unwrap_err().contains("no miner"));
        assert!(said("echo why >&2; false").unwrap_err().contains("why"));
    }
}
