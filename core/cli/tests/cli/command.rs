//! Runs the command in a home directory of its own, with a time limit.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// A call that takes longer than this hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A home directory. The command sees no part of the caller's environment.
pub(crate) struct Home {
    dir: tempfile::TempDir,
}

/// The output of a command, and its exit status (-1: killed by a signal).
pub(crate) struct Said {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) status: i32,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[cfg(any(feature = "postgres", feature = "terminal"))]
    pub(crate) fn path(&self) -> &str {
        self.dir.path().to_str().unwrap()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Call {
        self.call(PathBuf::from(env!("CARGO_BIN_EXE_cortensor-router")), arguments)
    }

    /// Runs a line in a shell that has this home.
    pub(crate) fn shell(&self, line: &str) -> Said {
        self.call("sh".into(), &["-c", line]).output()
    }

    /// A call of another program, in this home.
    pub(crate) fn program(&self, program: &str, arguments: &[&str]) -> Call {
        self.call(program.into(), arguments)
    }

    fn call(&self, program: PathBuf, arguments: &[&str]) -> Call {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().env("HOME", self.dir.path()).env("RUST_BACKTRACE", "1");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Call { command }
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        self.command(arguments).output()
    }

    /// Starts a server on a free port, and waits until it can be called.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Server<'_> {
        let mut call = self.command(&["serve", "--port", "0"]);
        call.command.args(arguments);
        let mut child = Running { child: call.command.spawn().unwrap() };
        let stderr = lines(child.child.stderr.take().unwrap());
        let stdout = lines(child.child.stdout.take().unwrap());
        let mut greeting = String::new();
        let url = loop {
            let Ok(line) = stdout.recv_timeout(PATIENCE) else {
                panic!("it does not serve: {:?}", stderr.try_iter().collect::<Vec<_>>());
            };
            greeting.push_str(&line);
            greeting.push('\n');
            let json = line.starts_with('{');
            // The greeting ends with the empty line behind the facts, of which the data directory is the first.
            if json || (line.is_empty() && greeting.contains("\n  data ")) {
                let from = greeting.find("http").unwrap();
                break greeting[from..]
                    .split(|c: char| c.is_whitespace() || c == '"' || c == ',')
                    .next()
                    .unwrap()
                    .to_owned();
            }
        };
        Server { home: self, child, url, greeting, stdout, stderr }
    }
}

/// A call of the command, which has not started yet.
pub(crate) struct Call {
    command: Command,
}

impl Call {
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sends the output there instead of to the test.
    pub(crate) fn to(mut self, stdout: Stdio, stderr: Stdio) -> Self {
        self.command.stdout(stdout).stderr(stderr);
        self
    }

    pub(crate) fn output(mut self) -> Said {
        Running { child: self.command.spawn().unwrap() }.output()
    }

    pub(crate) fn with_input(mut self, text: &str) -> Said {
        let mut running = Running { child: self.command.stdin(Stdio::piped()).spawn().unwrap() };
        running.child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        running.output()
    }

    /// Starts a talk over standard input and output.
    pub(crate) fn talk(mut self) -> Talk {
        let mut child = Running { child: self.command.stdin(Stdio::piped()).spawn().unwrap() };
        let input = child.child.stdin.take();
        let output = lines(child.child.stdout.take().unwrap());
        Talk { child, input, output }
    }

    pub(crate) fn start(mut self) -> Running {
        Running { child: self.command.spawn().unwrap() }
    }
}

pub(crate) fn output_of(call: Call) -> String {
    let said = call.output();
    assert_eq!(said.status, 0, "{}", said.stderr);
    said.stdout
}

/// Repeats a call until its output is the wanted one.
pub(crate) fn until(ask: impl Fn() -> String, wanted: impl Fn(&str) -> bool) {
    let since = Instant::now();
    loop {
        let said = ask();
        if wanted(&said) {
            return;
        }
        assert!(since.elapsed() < PATIENCE, "{said}");
    }
}

/// Waits until something is so.
pub(crate) fn until_true(words: &str, is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE, "it never comes: {words}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Runs a line in a shell, as a user would.
pub(crate) fn shell(line: &str) -> String {
    let mut command = Command::new("sh");
    command.args(["-c", line]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let said = Running { child: command.spawn().unwrap() }.output();
    assert_eq!(said.status, 0, "{line}: {}", said.stderr);
    said.stdout
}

/// A process with which a test talks line by line, in JSON.
pub(crate) struct Talk {
    child: Running,
    input: Option<ChildStdin>,
    output: Receiver<String>,
}

impl Talk {
    pub(crate) fn say(&mut self, message: &serde_json::Value) {
        writeln!(self.input.as_mut().unwrap(), "{message}").unwrap();
    }

    pub(crate) fn hear(&self) -> serde_json::Value {
        serde_json::from_str(&self.output.recv_timeout(PATIENCE).expect("it says something")).unwrap()
    }

    /// Closes its standard input, and gives its exit status.
    pub(crate) fn end(mut self) -> i32 {
        self.input = None;
        self.child.wait().unwrap_or(-1)
    }
}

/// A process, which is killed on drop.
pub(crate) struct Running {
    child: Child,
}

impl Running {
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Reads the first line of its output.
    pub(crate) fn first_line(&mut self) -> String {
        let mut stdout = self.child.stdout.take().unwrap();
        let (mut line, mut byte) = (Vec::new(), [0]);
        while stdout.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
            line.push(byte[0]);
        }
        self.child.stdout = Some(stdout);
        String::from_utf8(line).unwrap()
    }

    pub(crate) fn output(mut self) -> Said {
        let stdout = read_all(self.child.stdout.take().unwrap());
        let stderr = read_all(self.child.stderr.take().unwrap());
        let status = self.wait().unwrap_or(-1);
        Said { stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap(), status }
    }

    pub(crate) fn wait(&mut self) -> Option<i32> {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(since.elapsed() < PATIENCE, "the command does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that can be called.
pub(crate) struct Server<'a> {
    home: &'a Home,
    child: Running,
    pub(crate) url: String,
    pub(crate) greeting: String,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Server<'_> {
    pub(crate) fn pid(&self) -> u32 {
        self.child.child.id()
    }

    /// The address of the server, for example `127.0.0.1:40123`.
    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// Runs a command as a client of the server.
    pub(crate) fn client(&self, arguments: &[&str]) -> Said {
        self.home.command(arguments).env("CORTENSOR_URL", &self.url).output()
    }

    pub(crate) fn signal(&self, name: &str) {
        self.child.signal(name);
    }

    pub(crate) fn wait_for_stdout(&self, wanted: &str) {
        wait_for(&self.stdout, wanted);
    }

    pub(crate) fn wait_for_stderr(&self, wanted: &str) {
        wait_for(&self.stderr, wanted);
    }

    pub(crate) fn wait(mut self) -> Option<i32> {
        self.child.wait()
    }

    /// All lines that the server prints from now until its end.
    pub(crate) fn rest(mut self) -> String {
        self.child.wait();
        self.stdout.iter().chain(self.stderr.iter()).fold(String::new(), |text, line| text + &line + "\n")
    }

    /// Sends a signal repeatedly, because signals that arrive together with the first one count as one.
    pub(crate) fn signal_until_end(mut self, name: &str) -> Option<i32> {
        let since = Instant::now();
        while self.child.child.try_wait().unwrap().is_none() {
            assert!(since.elapsed() < PATIENCE, "the server does not end");
            self.signal(name);
            thread::sleep(Duration::from_millis(20));
        }
        self.child.wait()
    }

    pub(crate) fn terminate(self) -> Option<i32> {
        self.signal("TERM");
        self.wait()
    }
}

fn wait_for(lines: &Receiver<String>, wanted: &str) {
    let mut seen = Vec::new();
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) if line.contains(wanted) => return,
            Ok(line) => seen.push(line),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => panic!("no {wanted:?} in {seen:?}"),
        }
    }
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

fn read_all(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        let _ = from.read_to_string(&mut text);
        text
    })
}
