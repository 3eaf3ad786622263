//! Runs README.md and the tutorial as tests: every command and snippet, in order, against a real router.
//!
//! Shell blocks run in bash. A command that starts `cortensor-router serve` keeps running for the blocks after it.
//! Python blocks run in the environment of the Python package, and JavaScript blocks in that of the client tests. JSON
//! and TOML must parse, and Rust blocks are documentation tests of the crate. A block after the comment `<!-- not run:
//! why -->` is left out, and the log says why. Commands that build are left out too, as is `cargo xtask`, because it
//! runs this. Each page begins with an empty data directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::serve::{self, Server};
use crate::step::Steps;
use crate::{Outcome, environment, node, python};

/// The pages whose blocks run.
const PAGES: &[&str] = &["README.md", "docs/tutorials/http.md"];
/// The port that the pages show; a free port takes its place.
const SHOWN_PORT: &str = "5010";
/// The seconds that one block may take.
const BLOCK_TIMEOUT: &str = "120";

/// A fenced block.
#[derive(Debug, PartialEq)]
pub(crate) struct Block {
    pub(crate) line: usize,
    pub(crate) language: String,
    pub(crate) text: String,
    /// The reason why the block is not run, if it is not.
    left_out: Option<String>,
}

/// Runs every block of the pages.
///
/// # Errors
/// When one fails.
pub(crate) fn run(steps: &mut Steps) -> Outcome {
    let mut stage = Stage::new(steps)?;
    let mut failures = Vec::new();
    for page in PAGES {
        stage.clear()?;
        for block in &blocks(&environment::read(&environment::root().join(page))?) {
            let title = format!("{page}:{} {}", block.line, block.language);
            match &block.left_out {
                Some(why) => steps.skip(&title, why),
                None => failures.extend(stage.run(steps, &title, block).err()),
            }
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// The place where the blocks run: a scratch directory and the running router.
struct Stage {
    directory: PathBuf,
    path: String,
    router: PathBuf,
    port: u16,
    server: Option<Server>,
}

impl Stage {
    fn new(steps: &mut Steps) -> Outcome<Self> {
        let router = environment::router(steps)?;
        let python = python::installed(steps)?;
        let clients = environment::clients().join("node");
        environment::node(steps, &clients)?;
        node::addon(steps)?;
        let directory = environment::target().join("readme");
        let _ = fs::remove_dir_all(&directory);
        let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
        fs::create_dir_all(&directory).map_err(failed)?;
        node_modules(&clients.join("node_modules"), &directory.join("node_modules")).map_err(failed)?;
        let programs = router.parent().map(|parent| parent.display().to_string()).unwrap_or_default();
        let path = format!("{programs}:{}:{}", python.display(), std::env::var("PATH").unwrap_or_default());
        Ok(Self { directory, path, router, port: serve::free_port()?, server: None })
    }

    /// Ends the router and deletes its data, before the next page.
    fn clear(&mut self) -> Outcome {
        self.server = None;
        for kept in ["data", "config"].map(|name| self.directory.join(name)) {
            if kept.exists() {
                fs::remove_dir_all(&kept).map_err(|error| format!("{}: {error}", kept.display()))?;
            }
        }
        Ok(())
    }

    fn run(&mut self, steps: &mut Steps, title: &str, block: &Block) -> Outcome {
        let text = block.text.replace(SHOWN_PORT, &self.port.to_string());
        match block.language.as_str() {
            "sh" | "bash" | "shell" | "console" => {
                for piece in pieces(&text, block.language == "console") {
                    match piece {
                        Piece::Serve(arguments) => {
                            steps.check(&format!("{title} (left running)"), || self.serve(&arguments))?;
                        }
                        Piece::Script(script) => {
                            self.with_server()?;
                            steps.run(title, &mut self.program("bash", &["-euo", "pipefail", "-c", &script]))?;
                        }
                    }
                }
                Ok(())
            }
            "python" | "py" => self.script(steps, title, "python", "snippet.py", &text),
            "js" | "javascript" | "mjs" => self.script(steps, title, "node", "snippet.mjs", &text),
            "json" => self.script(steps, title, "python", "snippet.py", &parsing("json", &text)),
            "toml" => self.script(steps, title, "python", "snippet.py", &parsing("tomllib", &text)),
            // Rust blocks run with the documentation tests, C and C++ with the suite `c`; the others are not code.
            _ => Ok(()),
        }
    }

    fn script(&mut self, steps: &mut Steps, title: &str, program: &str, name: &str, text: &str) -> Outcome {
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
        command.args(["-c", &format!("eval exec '\"$ROUTER\"' {}", single_quoted(&format!("serve {words}")))]);
        command.env("ROUTER", &self.router).stdout(Stdio::null());
        self.server = Some(Server::start(&mut command, self.port)?);
        Ok(format!("cortensor-router serve {words}: ready"))
    }

    /// A program with a time limit.
    fn program(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = self.command("timeout");
        command.args([BLOCK_TIMEOUT, program]).args(arguments);
        command
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.directory)
            .env("PATH", &self.path)
            .env("XDG_DATA_HOME", self.directory.join("data"))
            .env("XDG_CONFIG_HOME", self.directory.join("config"))
            .env("ROUTER_REST_BIND_PORT", self.port.to_string());
        command
    }
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

/// A Python program that fails if `text` does not parse.
fn parsing(module: &str, text: &str) -> String {
    format!("import {module}\n{module}.loads({text:?})\n")
}

fn single_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A part of a shell block.
#[derive(Debug, PartialEq)]
enum Piece {
    /// The arguments after `serve`: the router is started and keeps running.
    Serve(Vec<String>),
    /// Commands that end.
    Script(String),
}

/// Divides a shell block at the commands that start the router.
fn pieces(text: &str, console: bool) -> Vec<Piece> {
    let text = text.replace("\\\n", " ");
    let lines = text.lines().filter_map(|line| if console { line.strip_prefix("$ ") } else { Some(line) });
    let (mut pieces, mut script) = (Vec::new(), String::new());
    let flush = |script: &mut String, pieces: &mut Vec<Piece>| {
        if script.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')) {
            pieces.push(Piece::Script(std::mem::take(script)));
        }
        script.clear();
    };
    for line in lines {
        if let Some(arguments) = serve_arguments(line) {
            flush(&mut script, &mut pieces);
            pieces.push(Piece::Serve(arguments));
        } else if !["cargo build", "cargo xtask"].iter().any(|start| line.trim_start().starts_with(start)) {
            // The router is built already, and this run is the test.
            script.push_str(line);
            script.push('\n');
        }
    }
    flush(&mut script, &mut pieces);
    pieces
}

/// The arguments after `serve`, if the line starts the router.
fn serve_arguments(line: &str) -> Option<Vec<String>> {
    let line = line.split(" #").next().unwrap_or(line).trim().trim_end_matches('&').trim_end();
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words.iter().position(|word| *word == "serve")?;
    let before = &words[..at];
    let is_router = before.last().is_some_and(|word| word.ends_with("cortensor-router"));
    let is_cargo = before.starts_with(&["cargo", "run"]) && before.last() == Some(&"--");
    (is_router || is_cargo).then(|| words[at + 1..].iter().map(|word| (*word).to_owned()).collect())
}

/// The fenced blocks of a Markdown text.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut left_out = None;
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let trimmed = line.trim();
        if let Some(info) = trimmed.strip_prefix("```") {
            let fence_indent = line.len() - line.trim_start().len();
            let mut body = String::new();
            for (_, inner) in lines.by_ref() {
                if inner.trim() == "```" {
                    break;
                }
                body.push_str(inner.get(fence_indent..).unwrap_or(inner.trim_start()));
                body.push('\n');
            }
            let language = info.split([',', ' ', '{']).next().unwrap_or_default().to_owned();
            blocks.push(Block { line: index + 1, language, text: body, left_out: left_out.take() });
        } else if let Some(why) = trimmed.strip_prefix("<!-- not run: ").and_then(|why| why.strip_suffix("-->")) {
            left_out = Some(why.trim().to_owned());
        } else if !trimmed.is_empty() {
            left_out = None;
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_with_their_language_line_and_reason() {
        let text = "# T\n```bash\na\n\nb\n```\n<!-- not run: needs a GPU -->\n\n  ```python\n  x\n    y\n  ```\n\n```\nplain\n```\n";
        let found = blocks(text);
        assert_eq!(
            found.iter().map(|b| (b.line, b.language.as_str())).collect::<Vec<_>>(),
            [(2, "bash"), (9, "python"), (14, "")]
        );
        assert_eq!(found[0].text, "a\n\nb\n");
        assert_eq!(found[1].text, "x\n  y\n");
        assert_eq!(found[1].left_out.as_deref(), Some("needs a GPU"));
        assert_eq!(found[2].left_out, None);
    }

    #[test]
    fn a_shell_block_is_cut_where_the_router_starts() {
        let text = "cargo build --release\ncargo run --release -- serve --upstream \\\n  http://h/v1 & # it stays\n# then\ncurl x\n";
        let serve = vec!["--upstream".to_owned(), "http://h/v1".to_owned()];
        assert_eq!(pieces(text, false), [Piece::Serve(serve), Piece::Script("# then\ncurl x\n".into())]);
        assert_eq!(
            pieces("$ ./target/release/cortensor-router serve\nlistening\n$ curl y\n{}\n", true),
            [Piece::Serve(vec![]), Piece::Script("curl y\n".into())]
        );
        assert_eq!(pieces("cargo run -- serve # a router\ncargo xtask test # this\n", false), [Piece::Serve(vec![])]);
        assert_eq!(pieces("docker run image serve\n", false), [Piece::Script("docker run image serve\n".into())]);
    }
}
