//! A process of the command, which can be killed, paused, and kept from writing files.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The process. Dropping it kills it.
pub(crate) struct Process(Child, String);

impl Process {
    /// Starts the command with its output and its errors in one pipe, which a shell that becomes the command joins.
    pub(crate) fn spawn(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 2>&1", env!("CARGO_BIN_EXE_cortensor-router")])
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("cortensor-router starts");
        Self(child, String::new())
    }

    /// Gives the process a name. Its output goes to a file of that name in the directory `CORTENSOR_CHAOS_LOGS`, if it is
    /// set.
    #[cfg(feature = "postgres")]
    pub(crate) fn named(mut self, name: String) -> Self {
        self.1 = name;
        self
    }

    /// The process's output, once.
    pub(crate) fn output(&mut self) -> ChildStdout {
        self.0.stdout.take().expect("its output is read once")
    }

    /// Waits until a router listens, and gives its port.
    ///
    /// # Errors
    /// The output of a process that ended before.
    pub(crate) fn listens(&mut self) -> Result<u16, String> {
        let mut lines = BufReader::new(self.output()).lines();
        let mut seen = Vec::new();
        loop {
            let Some(Ok(line)) = lines.next() else {
                return Err(format!("{}: {seen:?}", self.0.wait().expect("it ended")));
            };
            if let Some((_, after)) = line.split_once("listens on http://127.0.0.1:") {
                let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
                // Its output must be read on, so that it never blocks on a full pipe.
                let log = std::env::var_os("CORTENSOR_CHAOS_LOGS").filter(|_| !self.1.is_empty());
                let log = log.map(|dir| std::path::Path::new(&dir).join(&self.1));
                let mut log = log.and_then(|path| OpenOptions::new().create(true).append(true).open(path).ok());
                thread::spawn(move || {
                    for line in lines.map_while(Result::ok) {
                        if let Some(log) = &mut log {
                            let _ = writeln!(log, "{line}");
                        }
                    }
                });
                return Ok(digits.parse().expect("a port"));
            }
            seen.push(line);
        }
    }

    /// Asks the process to end by itself.
    pub(crate) fn terminate(&self) {
        run(&format!("kill -TERM {}", self.0.id()));
    }

    /// Waits until the process has ended by itself. `false`: it goes on after that time.
    pub(crate) fn ends_within(&mut self, time: Duration) -> bool {
        let from = Instant::now();
        while self.0.try_wait().expect("its state").is_none() {
            if from.elapsed() > time {
                return false;
            }
            thread::sleep(Duration::from_millis(20));
        }
        true
    }

    /// Pauses the process, or lets it go on.
    pub(crate) fn pause(&self, paused: bool) {
        let signal = if paused { "STOP" } else { "CONT" };
        run(&format!("kill -{signal} {}", self.0.id()));
    }

    /// Keeps the process from writing files beyond a few bytes (`RLIMIT_FSIZE`, as on a disk that is full), or lets it
    /// write again. Only the soft limit changes, so no privilege is needed.
    pub(crate) fn fill_disk(&self, full: bool) {
        let limit = if full { "4096" } else { "unlimited" };
        run(&format!("prlimit --pid {} --fsize={limit}:unlimited", self.0.id()));
    }
}

fn run(line: &str) {
    let status = Command::new("sh").args(["-c", line]).status().expect("sh starts");
    assert!(status.success(), "{line}: {status}");
}

impl Drop for Process {
    fn drop(&mut self) {
        // A process that has ended already leaves nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
