//! The service as its clients see it: an address that answers requests over connections that may break at any byte.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::answer::{Answer, Reply};
use super::router::TOKEN;

/// The time after which the test gives up waiting.
const PATIENCE: Duration = Duration::from_secs(30);
/// The time for which a client waits for more bytes of an answer.
const SILENCE: Duration = Duration::from_secs(4);

/// One router, or several that share their tasks.
pub(crate) trait Service: Sync {
    /// The address for the next request.
    fn address(&self) -> SocketAddr;

    /// Whether tasks are open.
    fn is_busy(&self) -> bool;

    /// The state of the service in words, for a report of what went wrong.
    fn state(&self) -> String {
        String::new()
    }

    /// Whether the present faults excuse that the service does not know a task.
    fn may_forget(&self) -> bool {
        false
    }

    /// Sends a request. Gives `None` if the answer was not complete, so nothing was acknowledged.
    fn call(&self, method: &str, path: &str, key: Option<&str>, body: Option<&Value>) -> Option<Reply> {
        let key = key.map(|key| ("Idempotency-Key", key));
        self.ask(method, path, key.as_slice(), body)?.whole()
    }

    /// Sends a request and reads the head of the answer. Gives `None` if the head was not complete.
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Option<Answer> {
        let mut stream = TcpStream::connect_timeout(&self.address(), SILENCE).ok()?;
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
    fn get(&self, path: &str) -> Value {
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
