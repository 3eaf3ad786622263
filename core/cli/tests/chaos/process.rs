//! A process of the command, which can be killed, paused, and kept from writing files.

use std::process::{Child, ChildStdout, Command, Stdio};

/// The process. Dropping it kills it.
pub(crate) struct Process(Child);

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
        Self(child)
    }

    /// The process's output, once.
    pub(crate) fn output(&mut self) -> ChildStdout {
        self.0.stdout.take().expect("its output is read once")
    }

    /// Waits for the process's end, which came by itself.
    pub(crate) fn ended(&mut self) -> std::process::ExitStatus {
        self.0.wait().expect("it ended")
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
