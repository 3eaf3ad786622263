//! Drives programs that wait for input or signals, as their users do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::step::Tail;

/// The number of clients that hang up on the server.
const CLIENTS: usize = 5;

const PATIENCE: Duration = Duration::from_mins(2);
/// SIGPIPE's bit among the ignored and the caught signals of `/proc/*/status`.
const SIGPIPE_BIT: u64 = 1 << 12;

/// A program with the lines that it prints.
pub(super) struct Running {
    child: Child,
    lines: Receiver<String>,
    /// The thread that reads stderr. It gives the last lines once stderr is closed.
    complaints: Option<JoinHandle<Tail>>,
}

/// Starts a program and drives it. After a failure the error contains the last lines of its stderr.
///
/// # Errors
/// When it does not start, and the errors of `drive`.
pub(super) fn driven(command: Command, drive: fn(&mut Running) -> Outcome<String>) -> Outcome<String> {
    let mut running = Running::start(command)?;
    drive(&mut running).map_err(|error| format!("{error}{}", running.last_output()))
}

impl Running {
    fn start(mut command: Command) -> Outcome<Self> {
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| format!("{command:?}: {error}"))?;
        let (tell, lines) = channel();
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    println!("    {line}");
                    if tell.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        let complaints = child.stderr.take().map(|stderr| {
            std::thread::spawn(move || {
                let tail = Tail::default();
                tail.pass_on(stderr, std::io::stderr(), |_| ());
                tail
            })
        });
        Ok(Self { child, lines, complaints })
    }

    /// Ends the program and gives its last text on stderr.
    fn last_output(&mut self) -> String {
        self.end();
        self.complaints
            .take()
            .and_then(|reading| reading.join().ok())
            .map(|tail| tail.output_tail())
            .unwrap_or_default()
    }

    fn end(&mut self) {
        // The program may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Reads on to the next line that starts with `start`. Gives the rest of that line.
    fn line(&self, start: &str) -> Outcome<String> {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).map_err(|_| format!("it never said {start:?}"))?;
            if let Some(rest) = line.strip_prefix(start) {
                return Ok(rest.to_owned());
            }
        }
    }

    /// Whether SIGPIPE ends the program, as it does by default.
    fn has_default_sigpipe(&self) -> Outcome<bool> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        let mask = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            u64::from_str_radix(line.trim(), 16).ok()
        };
        let (Some(ignored), Some(caught)) = (mask("SigIgn:"), mask("SigCgt:")) else {
            return Err(format!("{path} names no signals"));
        };
        Ok((ignored | caught) & SIGPIPE_BIT == 0)
    }

    fn interrupt(&mut self) -> Outcome {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &pid]).status().map_err(|error| format!("kill: {error}"))?;
        if !sent.success() {
            return Err("it was gone before it was interrupted".into());
        }
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().map_err(|error| error.to_string())? {
                return if status.success() { Ok(()) } else { Err(format!("it ended with {status}")) };
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err("it did not end after SIGINT".into())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Lets clients of the serving program hang up in mid-stream. The program must live on, SIGPIPE must still be at its
/// default, and SIGINT must end the program with success.
///
/// # Errors
/// When one of these conditions does not hold.
pub(super) fn hang_up_and_end(server: &mut Running) -> Outcome<String> {
    let address = server.line("listening on http://")?;
    // Valgrind catches every signal itself and passes it on, so the masks mean nothing there.
    let plain = server.has_default_sigpipe()?;
    for _ in 0..CLIENTS {
        let mut client = connect(&address)?;
        let body = r#"{"prompt": "x", "stream": true}"#;
        send(
            &mut client,
            &format!(
                "POST /api/v1/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer default-dev-token\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
        )?;
        // The client hangs up after the first piece. Before that, the miner may not have begun.
        let mut seen = String::new();
        let mut part = [0; 4096];
        while !seen.contains("tick") {
            let read = client.read(&mut part).map_err(|error| format!("the stream: {error}"))?;
            if read == 0 {
                return Err(format!("no stream: {seen}"));
            }
            seen.push_str(&String::from_utf8_lossy(&part[..read]));
        }
        if !seen.starts_with("HTTP/1.1 200") {
            return Err(format!("no stream: {seen}"));
        }
        // Unread data is left, so closing now resets the connection while the server writes.
        drop(client);
        server.line("the client hung up")?;
    }
    let mut client = connect(&address)?;
    send(&mut client, "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    client.read_to_string(&mut answer).map_err(|error| format!("readyz: {error}"))?;
    if !answer.starts_with("HTTP/1.1 200") {
        return Err(format!("it is not ready after its clients hung up: {answer}"));
    }
    if plain && !server.has_default_sigpipe()? {
        return Err("the library changed what SIGPIPE does".into());
    }
    server.interrupt()?;
    Ok(format!(
        "{CLIENTS} clients hung up in mid-stream, it lives{}; SIGINT ends it",
        if plain { " with SIGPIPE at its default" } else { "" }
    ))
}

/// Sends SIGINT while a task runs. The task must end well, and so must the program.
///
/// # Errors
/// When one of them does not.
pub(super) fn interrupt(program: &mut Running) -> Outcome<String> {
    program.line("working")?;
    program.interrupt()?;
    let ended = program.line("the task ended: ")?;
    if ended.contains(&".".repeat(50)) {
        Ok("the task that ran had its whole answer".into())
    } else {
        Err(format!("the task was cut off: {ended}"))
    }
}

fn connect(address: &str) -> Outcome<TcpStream> {
    let stream = TcpStream::connect(address).map_err(|error| format!("{address}: {error}"))?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
    Ok(stream)
}

fn send(stream: &mut TcpStream, request: &str) -> Outcome {
    stream.write_all(request.as_bytes()).map_err(|error| format!("the request: {error}"))
}
