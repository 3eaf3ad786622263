//! The router as a process that can be killed and started again on its data.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use serde_json::Value;

const TOKEN: &str = "default-dev-token";
/// The time after which the test gives up waiting.
const PATIENCE: Duration = Duration::from_secs(30);

/// The router, with its present process if one runs.
pub(crate) struct Router {
    data: PathBuf,
    upstream: u16,
    running: Mutex<Option<Running>>,
    started: Condvar,
}

struct Running {
    child: Child,
    port: u16,
}

/// A complete answer.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Value,
}

impl Router {
    /// Makes a router on that data, with an upstream on that port. It is not started yet.
    pub(crate) fn new(data: &Path, upstream: u16) -> Self {
        Self { data: data.to_owned(), upstream, running: Mutex::new(None), started: Condvar::new() }
    }

    fn spawn(&self) -> Child {
        Command::new(env!("CARGO_BIN_EXE_cortensor-router"))
            .args(["serve", "--port", "0", "--upstream", &format!("http://127.0.0.1:{}/v1", self.upstream)])
            .arg("--data-dir")
            .arg(&self.data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("cortensor-router starts")
    }

    /// Starts the router, and waits until it listens.
    pub(crate) fn start(&self) {
        let mut child = self.spawn();
        let mut lines = BufReader::new(child.stdout.take().expect("its output is read")).lines();
        let mut seen = Vec::new();
        let port = loop {
            let Some(Ok(line)) = lines.next() else {
                let status = child.wait().expect("it ended");
                panic!("cortensor-router ended with {status} before it listened: {seen:?}");
            };
            if let Some((_, after)) = line.split_once("listens on http://127.0.0.1:") {
                let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
                break digits.parse().expect("a port");
            }
            seen.push(line);
        };
        // Its output must be read on, so that it never blocks on a full pipe.
        thread::spawn(move || lines.for_each(drop));
        *self.running.lock() = Some(Running { child, port });
        self.started.notify_all();
    }

    /// Kills the running process with SIGKILL.
    pub(crate) fn kill(&self) {
        if let Some(mut running) = self.running.lock().take() {
            running.child.kill().expect("it can be killed");
            running.child.wait().expect("it ends");
        }
    }

    /// Starts the router and kills it soon, possibly during its recovery.
    pub(crate) fn start_and_kill_within(&self, time: Duration) {
        let mut child = self.spawn();
        thread::sleep(time);
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    }

    /// Sends a request to the running process, and waits for its start if none runs. Gives `None` if the answer was not
    /// complete, so nothing was acknowledged.
    pub(crate) fn call(&self, method: &str, path: &str, key: Option<&str>, body: Option<&Value>) -> Option<Reply> {
        let port = {
            let mut running = self.running.lock();
            let waited = self.started.wait_while_for(&mut running, |now| now.is_none(), PATIENCE);
            assert!(!waited.timed_out(), "the router was not started again within {PATIENCE:?}");
            running.as_ref()?.port
        };
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let key = key.map(|key| format!("Idempotency-Key: {key}\r\n")).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n{key}\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = Vec::new();
        let asked = Instant::now();
        let read = stream.read_to_end(&mut answer);
        assert!(asked.elapsed() < PATIENCE, "{method} {path}: no answer within {PATIENCE:?}");
        read.ok()?;
        whole(&answer)
    }

    /// Sends a GET that must be answered with 200.
    pub(crate) fn get(&self, path: &str) -> Value {
        let reply = self.call("GET", path, None, None).unwrap_or_else(|| panic!("{path}: no answer"));
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        reply.body
    }
}

/// The answer, if it is complete.
fn whole(answer: &[u8]) -> Option<Reply> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let body = &answer[end + 4..];
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    })?;
    if body.len() != length {
        return None;
    }
    Some(Reply { status, body: serde_json::from_slice(body).ok()? })
}

impl Drop for Router {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.get_mut().take() {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }
}
