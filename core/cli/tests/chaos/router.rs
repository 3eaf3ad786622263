//! The router as a process that can be killed and started again on its data.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use super::clock::Clock;
use super::links::Links;
use super::process::Process;
use super::service::Service;

pub(crate) const TOKEN: &str = "default-dev-token";

/// Short times, so that many time-outs happen; and as many attempts as a task needs, because every task must succeed.
pub(crate) const SETTINGS: [&str; 10] = [
    "miners.ping_ms=200",
    "miners.dead_ms=1000",
    "miners.grace_ms=1000",
    "dispatch.accept_timeout_ms=1000",
    "dispatch.progress_timeout_ms=1500",
    "dispatch.max_attempts=1000",
    "dispatch.retry_base_ms=20",
    "dispatch.retry_floor_per_sec=1000",
    "dispatch.breaker_open_ms=100",
    "dispatch.no_miner_grace_ms=60000",
];

/// The router, with its present process if one runs.
pub(crate) struct Router<'a> {
    data: PathBuf,
    links: &'a Links,
    clock: Option<&'a Clock>,
    running: Mutex<Option<Process>>,
}

impl<'a> Router<'a> {
    /// Makes a router on that data, with those links. It is not started yet.
    pub(crate) fn new(data: &Path, links: &'a Links, clock: Option<&'a Clock>) -> Self {
        Self { data: data.join("router"), links, clock, running: Mutex::new(None) }
    }

    fn spawn(&self) -> Process {
        let upstream = format!("http://{}/v1", self.links.upstream.address);
        let data = self.data.to_str().expect("a path in UTF-8");
        let mut arguments = vec!["serve", "--port", "0", "--upstream", &upstream, "--data-dir", data];
        arguments.extend(SETTINGS.iter().flat_map(|setting| ["--set", setting]));
        let environment = self.clock.map(Clock::environment);
        Process::spawn(&arguments, environment.as_ref().map_or(&[], |environment| &environment[..]))
    }

    /// Starts the router, and waits until it listens.
    pub(crate) fn start(&self) {
        let mut process = self.spawn();
        let port = process.listens().unwrap_or_else(|seen| panic!("cortensor-router does not listen: {seen}"));
        *self.running.lock() = Some(process);
        self.links.aim(port);
    }

    /// Whether a process runs.
    pub(crate) fn runs(&self) -> bool {
        self.running.lock().is_some()
    }

    /// Kills the running process with SIGKILL.
    pub(crate) fn kill(&self) {
        *self.running.lock() = None;
    }

    /// Starts the router and kills it soon, possibly during its recovery.
    pub(crate) fn start_and_kill_within(&self, time: Duration) {
        let _killed = self.spawn();
        thread::sleep(time);
    }

    /// Pauses the running process, or lets it go on.
    pub(crate) fn pause(&self, paused: bool) {
        self.running.lock().iter().for_each(|process| process.pause(paused));
    }

    /// Keeps the running process from writing files, or lets it write again.
    pub(crate) fn fill_disk(&self, full: bool) {
        self.running.lock().iter().for_each(|process| process.fill_disk(full));
    }
}

impl Service for Router<'_> {
    fn address(&self) -> SocketAddr {
        self.links.clients.address
    }

    fn is_busy(&self) -> bool {
        let status = self.get("/api/v1/status");
        status["queued_tasks"] != 0 || status["running_tasks"] != 0
    }
}
