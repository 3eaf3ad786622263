//! The process of a model server, which the tests of [`servers`](crate::servers) let a router start.
//!
//! The tests' own program is that process: it runs the test below, and a variable tells what it shall do. It is steered by
//! files in a directory, so that a test needs no time to decide anything.

use std::io::{BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::request::Request;

/// The variable that makes a process a model server: the port, the directory, its name, and what it does.
const VARIABLE: &str = "MODEL_SERVER";

/// The test that the process runs.
const TEST: &str = "model_server::the_process_of_a_model_server";

/// The time between two looks at a file.
const AGAIN: Duration = Duration::from_millis(2);

/// The process itself. Where the variable is not set, there is nothing to do.
#[test]
fn the_process_of_a_model_server() {
    let Ok(told) = std::env::var(VARIABLE) else { return };
    let words: Vec<&str> = told.split(' ').collect();
    let [port, dir, name, mode] = words[..] else { panic!("{told}") };
    println!("{name} says hello");
    let own = PathBuf::from(dir).join(format!("{name}.{}", std::process::id()));
    std::fs::write(own, port).unwrap();
    note_others(Path::new(dir), name);
    match mode {
        "dies" => {
            println!("{name} has no weights");
            std::process::exit(3);
        }
        "stubborn" => ignore_the_end(),
        _ => {}
    }
    let server = Process { dir: dir.into(), name: name.into(), sick: mode == "sick" };
    let listener = TcpListener::bind(("127.0.0.1", port.parse().unwrap())).unwrap();
    for stream in listener.incoming().map_while(Result::ok) {
        let server = server.clone();
        thread::spawn(move || server.serve(stream));
    }
}

/// Makes a file for each other server that runs at the same time.
fn note_others(dir: &Path, name: &str) {
    for file in std::fs::read_dir(dir).unwrap().filter_map(|file| file.unwrap().file_name().into_string().ok()) {
        if let Some((other, process)) = file.split_once('.')
            && other != name
            && process.parse().is_ok_and(lives)
        {
            std::fs::write(dir.join(format!("{name}.with.{other}.{process}")), "").unwrap();
        }
    }
}

/// Lets SIGTERM pass unheeded.
fn ignore_the_end() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let ignored = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
    // The handler stays for the life of the process.
    std::mem::forget(ignored);
}

#[derive(Clone)]
struct Process {
    dir: PathBuf,
    name: String,
    /// Whether it never gets ready.
    sick: bool,
}

impl Process {
    /// Waits until the test has made that file.
    fn wait_for(&self, name: &str) {
        while !self.dir.join(name).exists() {
            thread::sleep(AGAIN);
        }
    }

    fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let mut stream = stream;
        loop {
            let request = Request::read(&mut reader)?;
            let (status, body) = match request.head.lines().next()? {
                line if line.starts_with("get /health") => {
                    let ready = !self.sick && !self.dir.join(format!("{}.holds", self.name)).exists();
                    (if ready { "200 OK" } else { "503 Service Unavailable" }, "{}".to_owned())
                }
                line if line.starts_with("get /v1/models") => {
                    ("200 OK", format!(r#"{{"object":"list","data":[{{"id":"{}"}}]}}"#, self.name))
                }
                line if line.starts_with("post") => {
                    self.answer(&mut stream, &request.body)?;
                    continue;
                }
                _ => ("404 Not Found", "{}".to_owned()),
            };
            let length = body.len();
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}").ok()?;
        }
    }

    /// Answers a chat: `hold FILE` ends when the test makes the file, `die` ends the process in the middle.
    fn answer(&self, stream: &mut TcpStream, body: &str) -> Option<()> {
        let body: serde_json::Value = serde_json::from_str(body).ok()?;
        let prompt = body["messages"][0]["content"].as_str()?.to_owned();
        let name = &self.name;
        let piece = |text: &str| {
            let chunk = serde_json::json!({"model": name, "choices": [{"index": 0, "delta": {"content": text}}]});
            format!("data: {chunk}\n\n")
        };
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n").ok()?;
        write!(stream, "{}", piece(&format!("{name}: "))).ok()?;
        stream.flush().ok()?;
        if let Some(file) = prompt.strip_prefix("hold ") {
            std::fs::write(self.dir.join(format!("{file}.begun")), "").ok()?;
            self.wait_for(file);
        } else if prompt == "die" {
            std::process::exit(4);
        }
        let end = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
        write!(stream, "{}data: {end}\n\ndata: [DONE]\n\n", piece(&prompt)).ok()?;
        stream.shutdown(std::net::Shutdown::Both).ok()
    }
}

/// The directory with which a test steers its servers.
pub(crate) struct Desk(tempfile::TempDir);

impl Desk {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// The `[[upstream]]` of a server, with further lines.
    pub(crate) fn upstream(&self, name: &str, mode: &str, fields: &str) -> String {
        let program = std::env::current_exe().unwrap().display().to_string();
        let told = format!("{{port}} {} {name} {mode}", self.0.path().display());
        // SIGTERM is enough for all but the stubborn.
        let stop = if fields.contains("stop_timeout_ms") { "" } else { "stop_timeout_ms = 60000\n" };
        format!(
            "[[upstream]]\nname = {name:?}\ncommand = ['{program}', '--exact', '{TEST}', '--nocapture']\n\
             env = {{ {VARIABLE} = {told:?} }}\n{stop}{fields}\n"
        )
    }

    /// The flags of a server without a file.
    pub(crate) fn line(&self, name: &str) -> String {
        let program = std::env::current_exe().unwrap().display().to_string();
        let told = format!("{{port}} {} {name} plain", self.0.path().display());
        format!("env {VARIABLE}='{told}' '{program}' --exact {TEST} --nocapture")
    }

    pub(crate) fn make(&self, file: &str) {
        std::fs::write(self.0.path().join(file), "").unwrap();
    }

    pub(crate) fn remove(&self, file: &str) {
        std::fs::remove_file(self.0.path().join(file)).unwrap();
    }

    /// The processes that were ever started under that name, in no order.
    pub(crate) fn processes(&self, name: &str) -> Vec<u32> {
        let prefix = format!("{name}.");
        let files =
            std::fs::read_dir(self.0.path()).unwrap().filter_map(|file| file.unwrap().file_name().into_string().ok());
        files.filter_map(|file| file.strip_prefix(&prefix)?.parse().ok()).collect()
    }

    /// Waits until the server has begun the answer that it holds.
    pub(crate) fn wait_for_begun(&self, file: &str) {
        crate::command::until_true(&format!("{file} begins"), || self.0.path().join(format!("{file}.begun")).exists());
    }
}

/// Whether a process is there.
pub(crate) fn lives(process: u32) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(process.to_string()).join("stat"));
    // A process that has ended and was not waited for has the state Z.
    stat.is_ok_and(|stat| stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X'])))
}

/// The process that started a process.
pub(crate) fn parent(process: u32) -> u32 {
    let stat = std::fs::read_to_string(Path::new("/proc").join(process.to_string()).join("stat")).unwrap();
    let (_, rest) = stat.rsplit_once(')').unwrap();
    rest.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Sends a signal to a process.
pub(crate) fn signal(process: u32, name: &str) {
    let kill = std::process::Command::new("kill").args(["-s", name, &process.to_string()]).status();
    assert!(kill.unwrap().success());
}
