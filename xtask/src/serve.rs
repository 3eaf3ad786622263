//! A router that runs during a check.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Outcome;

/// The time within which a router must be ready.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// Finds a port that is free now.
///
/// # Errors
/// When the system gives none.
pub(crate) fn free_port() -> Outcome<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| format!("no free port: {error}"))?;
    Ok(listener.local_addr().map_err(|error| error.to_string())?.port())
}

/// A running server, which ends on drop.
pub(crate) struct Server {
    child: Child,
}

impl Server {
    /// Starts `command` and waits until `/readyz` on that port answers 200.
    ///
    /// # Errors
    /// When the server ends early or is not ready in time.
    pub(crate) fn start(command: &mut Command, port: u16) -> Outcome<Self> {
        let child = command.stdin(Stdio::null()).spawn().map_err(|error| format!("{command:?}: {error}"))?;
        let mut server = Self { child };
        let started = Instant::now();
        while started.elapsed() < READY_WITHIN {
            if let Ok(Some(status)) = server.child.try_wait() {
                return Err(format!("{command:?} ended with {status} before it was ready"));
            }
            if is_ready(port) {
                return Ok(server);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("{command:?} was not ready on port {port} within {READY_WITHIN:?}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The server may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_ready(port: u16) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}
