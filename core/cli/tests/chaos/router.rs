//! The router as a process that can be killed and started again on its data.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::Value;

use super::answer::{Answer, Reply};
use super::clock::Clock;
use super::links::Links;
use super::process::Process;

pub(crate) const TOKEN: &str = "default-dev-token";
/// The time after which the test gives up waiting.
const PATIENCE: Duration = Duration::from_secs(30);
/// The time for which a client waits for more bytes of an answer.
const SILENCE: Duration = Duration::from_secs(4);

/// Short times, so that many time-outs happen; and as many attempts as a task needs, because every task must succeed.
const SETTINGS: [&str; 10] = [
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
        let mut lines = BufReader::new(process.output()).lines();
        let mut seen = Vec::new();
        let port = loop {
            let Some(Ok(line)) = lines.next() else {
                panic!("cortensor-router ended with {} before it listened: {seen:?}", process.ended());
            };
            if let Some((_, after)) = line.split_once("listens on http://127.0.0.1:") {
                let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
                break digits.parse().expect("a port");
            }
            seen.push(line);
        };
        // Its output must be read on, so that it never blocks on a full pipe.
        thread::spawn(move || lines.for_each(drop));
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

    /// Sends a request. Gives `None` if the answer was not complete, so nothing was acknowledged.
    pub(crate) fn call(&self, method: &str, path: &str, key: Option<&str>, body: Option<&Value>) -> Option<Reply> {
        let key = key.map(|key| ("Idempotency-Key", key));
        self.ask(method, path, key.as_slice(), body)?.whole()
    }

    /// Sends a request and reads the head of the answer. Gives `None` if the head was not complete.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Option<Answer> {
        let mut stream = TcpStream::connect_timeout(&self.links.clients.address, SILENCE).ok()?;
        stream.set_read_timeout(Some(SILENCE)).ok()?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let headers = headers.iter().fold(String::new(), |all, (name, value)| all + name + ": " + value + "\r\n");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n{headers}\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).ok()?;
        Answer::read(stream)
    }

    /// Sends a GET until it is answered with 200.
    pub(crate) fn get(&self, path: &str) -> Value {
        let asked = Instant::now();
        loop {
            match self.call("GET", path, None, None) {
                Some(reply) if reply.status == 200 => return reply.body,
                last => assert!(asked.elapsed() < PATIENCE, "{path}: not answered within {PATIENCE:?}: {last:?}"),
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}
