//! Standard error: remarks, final messages and logs, in one form. The command goes on whether they are read or not.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};

use crate::colors;

/// The form of everything that the command writes to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Sentences for people.
    Text,
    /// JSON lines like those of the log (`--log-format json`).
    Lines,
    /// JSON for the caller of a command with `--json`.
    Json,
}

/// The form for the whole process, because panics and final messages can come from any thread.
static FORM: AtomicU8 = AtomicU8::new(0);

impl Form {
    /// Sets the form for everything that is written from now on.
    pub(crate) fn choose(self) {
        FORM.store(self as u8, Ordering::Relaxed);
        if self == Self::Lines {
            std::panic::set_hook(Box::new(|panic| line("ERROR", &panic.to_string(), &[])));
        }
    }

    fn chosen() -> Self {
        match FORM.load(Ordering::Relaxed) {
            0 => Self::Text,
            1 => Self::Lines,
            _ => Self::Json,
        }
    }

    /// The form that the arguments ask for. They are not checked yet, so that an error in them is written in that form
    /// too.
    pub(crate) fn of_arguments(arguments: &[std::ffi::OsString]) -> Self {
        let own = |argument: &&std::ffi::OsString| argument.as_os_str() != "--";
        let words: Vec<_> = arguments.iter().take_while(own).map(|argument| argument.to_string_lossy()).collect();
        let lines = words.iter().any(|word| word == "--log-format=json")
            || words.windows(2).any(|pair| pair[0] == "--log-format" && pair[1] == "json");
        let logs = words.get(1).is_some_and(|command| matches!(&**command, "serve" | "miner" | "mcp"));
        let by_environment = std::env::var_os("CORTENSOR_LOG_FORMAT").is_some_and(|form| form == "json");
        let asked = words.iter().any(|word| word.starts_with("--log-format"));
        match () {
            () if lines || (logs && by_environment && !asked) => Self::Lines,
            () if words.iter().skip(1).any(|word| word == "--json") => Self::Json,
            () => Self::Text,
        }
    }
}

/// Writes the reason why the command ends.
pub(crate) fn error(message: &str, code: Option<&str>, status: u8) {
    match Form::chosen() {
        Form::Text => {
            let word = colors::styled("error:", colors::ERROR, colors::on_stderr());
            write(&format!("{word} {}\n", message.trim_end().replace('\n', " ")));
        }
        Form::Lines => line("ERROR", message, &[("code", json!(code)), ("exit_status", json!(status))]),
        Form::Json => {
            let value = json!({"error": message, "message": message, "code": code, "exit_status": status});
            write(&format!("{value}\n"));
        }
    }
}

/// Writes a remark beside the result.
pub(crate) fn remark(message: &str) {
    match Form::chosen() {
        Form::Text => write(&format!("{message}\n")),
        Form::Lines => line("INFO", message, &[]),
        Form::Json => write(&format!("{}\n", json!({"remark": message}))),
    }
}

/// Makes a line in the form of the log.
fn line(level: &str, message: &str, more: &[(&str, Value)]) {
    let mut time = String::new();
    let _ = SystemTime.format_time(&mut Writer::new(&mut time));
    let mut value =
        json!({"timestamp": time, "level": level, "message": message.trim(), "target": "cortensor_router_cli"});
    for (name, member) in more.iter().filter(|(_, member)| !member.is_null()) {
        value[*name] = member.clone();
    }
    write(&format!("{value}\n"));
}

fn write(text: &str) {
    // The line is written in one piece, so that lines of several threads do not mix.
    let _ = Log.write_all(text.as_bytes());
}

/// A message to the thread that writes.
enum Piece {
    Text(Vec<u8>),
    /// A request to answer when everything before it is written.
    Flush(SyncSender<()>),
}

/// The greatest number of lines that wait. If they are not read, only lines are delayed.
const WAITING: usize = 4_096;

/// The time limit for writing the last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

static SINK: OnceLock<SyncSender<Piece>> = OnceLock::new();

/// Starts a thread that writes, so that a reader that does not read delays no other thread.
pub(crate) fn write_apart() {
    let (sink, pieces) = sync_channel(WAITING);
    let write = move || {
        for piece in pieces {
            match piece {
                Piece::Text(bytes) => drop(io::stderr().lock().write_all(&bytes)),
                Piece::Flush(done) => drop(done.try_send(())),
            }
        }
    };
    // Without that thread, each thread writes its own lines.
    if std::thread::Builder::new().name("cortensor-router-log".to_owned()).spawn(write).is_ok() {
        let _ = SINK.set(sink);
    }
}

/// Waits until everything is written, at most for a second.
pub(crate) fn flush() {
    let Some(sink) = SINK.get() else { return };
    let (done, written) = sync_channel(1);
    let since = Instant::now();
    while sink.try_send(Piece::Flush(done.clone())).is_err() {
        if since.elapsed() > LAST_LINES {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = written.recv_timeout(LAST_LINES);
}

/// The writer of the log. A reader that has gone away or a full disk loses lines and has no other effect.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match SINK.get() {
            // If too many lines wait already, this one is lost: work never waits for a reader of logs.
            Some(sink) => drop(sink.try_send(Piece::Text(bytes.to_vec()))),
            None => drop(io::stderr().lock().write_all(bytes)),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
