//! Counts the instructions and the allocations of one request, with valgrind, and holds them against a record.
//!
//! Times differ from run to run by more than a change costs; these counts differ by less than a percent. They are those
//! of the profile `bench`, of one connection and of the memory store. They are not times: a hash that a processor has an
//! instruction for counts here as it is written out.

mod mock;
mod profile;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Sender;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use self::profile::Cost;
use crate::serve::free_port;
use crate::step::Steps;
use crate::{Outcome, environment};

/// The file of the recorded counts.
const RECORD: &str = "xtask/instructions.toml";

/// The counts that the design asks for: the figure, its instructions, its allocations.
/// A figure above its goal is reported; the record alone decides whether the command fails.
const GOALS: [(&str, f64, f64); 2] = [("whole_answer", 50_000.0, 30.0), ("paced_frame", 8_000.0, f64::INFINITY)];

/// The most instructions that an answer or a stream of another API may cost beside the same of a chat. The command
/// fails above it.
const BESIDE_CHAT: f64 = 1.3;

/// The figure of a whole answer, and of a short stream.
const WHOLE: &str = "whole_answer";
const STREAM: &str = "stream_of_20_pieces";

/// The share by which a count may exceed its record.
const SLACK: f64 = 0.05;

/// The number of requests before the counted ones: they open connections and fill pools.
const WARM: usize = 200;

/// The number of requests that are counted.
const COUNTED: usize = 400;

/// The pieces of the short stream, and of the long one. The difference between both is what a piece costs.
const PIECES: [usize; 2] = [20, 120];

/// The streams whose pieces come one by one: as many before the counted ones, and as many that are counted.
const PACED: usize = 10;

/// The time within which the router must be up. Under valgrind it is fifty times as slow.
const START: Duration = Duration::from_mins(3);

/// The counts of one figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Figure {
    /// Instructions of the router in user space.
    instructions: f64,
    /// Calls of the allocator that ask for memory.
    allocations: f64,
}

/// Counts, and compares with the record; with `renew`, writes the record instead. Builds the program if none is given.
///
/// # Errors
/// When the command does not build or does not answer, or a count is above its record.
pub(crate) fn run(steps: &mut Steps, renew: bool, program: Option<PathBuf>) -> Outcome {
    let is_there = || {
        environment::answers("valgrind", &["--version"]) && environment::answers("callgrind_control", &["--version"])
    };
    if !is_there() && environment::apt_install(steps, &["valgrind"]).is_err() {
        steps.skip("instructions", "valgrind is not installed (Debian: apt-get install valgrind)");
        return Ok(());
    }
    let program = match program {
        Some(program) => program,
        None => built(steps)?,
    };
    let out = environment::target().join("instructions");
    steps.check("instructions", || {
        let found = measured(&program, &out)?;
        if renew {
            let text = toml::to_string(&found).map_err(|error| error.to_string())?;
            fs::write(environment::root().join(RECORD), HEAD.to_owned() + &text)
                .map_err(|error| format!("{RECORD}: {error}"))?;
        }
        let text = environment::read(&environment::root().join(RECORD))?;
        let recorded = toml::from_str(&text).map_err(|error| format!("{RECORD}: {error}"))?;
        let told = compared(&found, &recorded).map(|text| text + &beside_goals(&found))?;
        beside_chat(&found).map(|text| told + &text)
    })
}

/// Builds the program that is counted. It lacks what no counted request meets, so that it is built sooner.
fn built(steps: &mut Steps) -> Outcome<PathBuf> {
    let build = ["build", "--profile", "bench", "--package", "cortensor-router-cli"];
    steps.run("build cortensor-router", &mut environment::cargo(&build))?;
    Ok(environment::target().join("release/cortensor-router"))
}

const HEAD: &str = "\
# The instructions and allocations of one request, which `cargo xtask instructions` holds its counts against. A count may
# exceed its record by 5 %. `cargo xtask instructions --renew` writes this file.

";

/// Describes every count beside its record.
///
/// # Errors
/// The description, if a count is above its record, or a figure has none.
fn compared(found: &BTreeMap<String, Figure>, recorded: &BTreeMap<String, Figure>) -> Outcome<String> {
    let (mut text, mut is_worse) = (String::new(), false);
    for (name, figure) in found {
        let Some(record) = recorded.get(name) else {
            return Err(format!("{RECORD} has no figure {name}: cargo xtask instructions --renew"));
        };
        for (what, count, record) in [
            ("instructions", figure.instructions, record.instructions),
            ("allocations", figure.allocations, record.allocations),
        ] {
            let ratio = count / record.max(1.0);
            let verdict = match () {
                () if ratio > 1.0 + SLACK => "TOO MANY",
                () if ratio < 1.0 - SLACK => "fewer: cargo xtask instructions --renew keeps it so",
                () => "ok",
            };
            is_worse |= ratio > 1.0 + SLACK;
            let percent = (ratio - 1.0) * 100.0;
            let _ = writeln!(text, "{name}: {count:.1} {what}, recorded {record:.1} ({percent:+.1} %): {verdict}");
        }
    }
    let text = text.trim_end().to_owned();
    if is_worse { Err(text) } else { Ok(text) }
}

/// Describes the counts beside the design's goals.
fn beside_goals(found: &BTreeMap<String, Figure>) -> String {
    let mut text = String::new();
    for (name, instructions, allocations) in GOALS {
        let Some(figure) = found.get(name) else { continue };
        for (what, count, goal) in
            [("instructions", figure.instructions, instructions), ("allocations", figure.allocations, allocations)]
        {
            if goal.is_finite() {
                let verdict = if count <= goal { "reached" } else { "not reached" };
                let _ = write!(text, "\n{name}: {count:.1} {what}, goal {goal:.0}: {verdict}");
            }
        }
    }
    text
}

/// Describes the counts of the other APIs beside those of a chat.
///
/// # Errors
/// The description, if one of them costs too much.
fn beside_chat(found: &BTreeMap<String, Figure>) -> Outcome<String> {
    let (mut text, mut is_worse) = (String::new(), false);
    for api in [Api::Messages, Api::Responses] {
        for chat in [WHOLE, STREAM] {
            let name = api.figure(chat);
            let (Some(figure), Some(beside)) = (found.get(&name), found.get(chat)) else { continue };
            let ratio = figure.instructions / beside.instructions.max(1.0);
            is_worse |= ratio > BESIDE_CHAT;
            let verdict = if ratio <= BESIDE_CHAT { "ok" } else { "TOO MANY" };
            let _ = write!(text, "\n{name}: {ratio:.2} x {chat}, at most {BESIDE_CHAT} x: {verdict}");
        }
    }
    if is_worse { Err(text.trim_start().to_owned()) } else { Ok(text) }
}

/// Starts the router under valgrind beside an upstream, and counts.
fn measured(program: &Path, out: &Path) -> Outcome<BTreeMap<String, Figure>> {
    let failed = |error: std::io::Error| format!("{}: {error}", out.display());
    let _ = fs::remove_dir_all(out);
    fs::create_dir_all(out.join("data")).map_err(failed)?;
    let (upstream, next) = mock::start().map_err(failed)?;
    let router = Router::start(program, out, upstream, next)?;
    let whole = router.cost(&Api::Chat.request(None), WARM, COUNTED)?;
    let stream = |pieces| Api::Chat.request(Some(Pieces::AtOnce(pieces)));
    let [short, long] = PIECES.map(|pieces| router.cost(&stream(pieces), WARM, COUNTED));
    let (short, long) = (short?, long?);
    let piece = one_piece(short, long);
    let paced = |pieces| Api::Chat.request(Some(Pieces::OneByOne(pieces)));
    let [few, many] = PIECES.map(|pieces| router.cost(&paced(pieces), PACED, PACED));
    let mut named = vec![
        (WHOLE.to_owned(), whole),
        (STREAM.to_owned(), short),
        ("piece_of_a_stream".to_owned(), piece),
        ("paced_frame".to_owned(), one_piece(few?, many?)),
    ];
    for api in [Api::Messages, Api::Responses] {
        for (figure, pieces) in [(WHOLE, None), (STREAM, Some(Pieces::AtOnce(PIECES[0])))] {
            named.push((api.figure(figure), router.cost(&api.request(pieces), WARM, COUNTED)?));
        }
    }
    Ok(named.into_iter().collect())
}

/// The cost of a piece, from those of a short stream and of a long one.
fn one_piece(short: Figure, long: Figure) -> Figure {
    let pieces = (PIECES[1] - PIECES[0]) as f64;
    Figure {
        instructions: (long.instructions - short.instructions) / pieces,
        allocations: (long.allocations - short.allocations) / pieces,
    }
}

/// The pieces of a stream: how many, and whether each waits until the one before it has come through.
#[derive(Debug, Clone, Copy)]
enum Pieces {
    AtOnce(usize),
    OneByOne(usize),
}

/// The API of a request. The upstream is asked for a chat by all of them.
#[derive(Debug, Clone, Copy)]
enum Api {
    Chat,
    Messages,
    Responses,
}

/// A request, as far as it differs from others.
struct Request {
    path: &'static str,
    body: String,
}

impl Api {
    /// The name of a figure of this API.
    fn figure(self, name: &str) -> String {
        match self {
            Self::Chat => name.to_owned(),
            Self::Messages => format!("{name}_by_messages"),
            Self::Responses => format!("{name}_by_responses"),
        }
    }

    /// A request for a whole answer, or for a stream.
    fn request(self, pieces: Option<Pieces>) -> Request {
        let (path, limit, input) = match self {
            Self::Chat => ("/v1/chat/completions", "max_tokens", "messages"),
            Self::Messages => ("/v1/messages", "max_tokens", "messages"),
            Self::Responses => ("/v1/responses", "max_output_tokens", "input"),
        };
        let how = match pieces {
            // A message must have a limit.
            None if matches!(self, Self::Messages) => format!("\"{limit}\":64,"),
            None => String::new(),
            Some(Pieces::AtOnce(pieces)) => format!("\"stream\":true,\"{limit}\":{pieces},"),
            Some(Pieces::OneByOne(pieces)) => {
                format!("\"stream\":true,\"user\":\"paced\",\"{limit}\":{pieces},")
            }
        };
        Request { path, body: format!(r#"{{{how}"{input}":[{{"role":"user","content":"hi there"}}]}}"#) }
    }
}

/// A router under valgrind. It ends with this value.
struct Router {
    process: Child,
    address: SocketAddr,
    profile: PathBuf,
    /// Lets the upstream send the next piece.
    next: Sender<()>,
}

impl Drop for Router {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Router {
    fn start(program: &Path, out: &Path, upstream: SocketAddr, next: Sender<()>) -> Outcome<Self> {
        let failed = |error: std::io::Error| format!("valgrind: {error}");
        let port = free_port()?;
        let profile = out.join("profile");
        let log = fs::File::create(out.join("log")).map_err(failed)?;
        let mut command = Command::new("valgrind");
        command
            .args(["--tool=callgrind", "--separate-threads=no", "--compress-strings=no"])
            .arg(format!("--callgrind-out-file={}", profile.display()))
            .arg(program)
            .args(["serve", "--port", &port.to_string(), "--durability", "memory", "--log", "off"])
            .args(["--upstream", &format!("http://{upstream}/v1")])
            .arg("--data-dir")
            .arg(out.join("data"))
            .env("CORTENSOR_LISTEN_THREADS", "1")
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log)
            .stdin(Stdio::null());
        let process = command.spawn().map_err(failed)?;
        let mut router = Self { process, address: (Ipv4Addr::LOCALHOST, port).into(), profile, next };
        let began = Instant::now();
        while router.ask(&Api::Chat.request(None), 1).is_err() {
            if began.elapsed() > START || !matches!(router.process.try_wait(), Ok(None)) {
                return Err(format!("the router did not answer under valgrind: see {}", out.join("log").display()));
            }
            sleep(Duration::from_millis(300));
        }
        Ok(router)
    }

    /// The cost of one such request, of so many after some others.
    fn cost(&self, request: &Request, warm: usize, counted: usize) -> Outcome<Figure> {
        self.ask(request, warm).map_err(|error| format!("a request failed: {error}"))?;
        self.control("--zero")?;
        self.ask(request, counted).map_err(|error| format!("a request failed: {error}"))?;
        self.control("--dump")?;
        let Cost { instructions, allocations } = self.newest()?;
        let each = |count: u64| count as f64 / counted as f64;
        Ok(Figure { instructions: each(instructions), allocations: each(allocations) })
    }

    fn control(&self, order: &str) -> Outcome {
        let mut command = Command::new("callgrind_control");
        let ended = command.arg(order).arg(self.process.id().to_string()).output();
        match ended {
            Ok(ended) if ended.status.success() => Ok(()),
            Ok(ended) => Err(format!("callgrind_control {order}: {}", String::from_utf8_lossy(&ended.stderr))),
            Err(error) => Err(format!("callgrind_control {order}: {error}")),
        }
    }

    /// Reads the profile that was dumped last, and removes it.
    fn newest(&self) -> Outcome<Cost> {
        let parts = (1..).map(|part| self.profile.with_extension(part.to_string()));
        let newest = parts.take_while(|part| part.exists()).last();
        let newest = newest.ok_or_else(|| format!("{}: valgrind wrote no profile", self.profile.display()))?;
        let text = environment::read(&newest)?;
        profile::cost(&text).ok_or_else(|| format!("{}: this is no profile of callgrind", newest.display()))
    }

    /// Asks that many times over one connection.
    fn ask(&self, Request { path, body }: &Request, times: usize) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_mins(1)))?;
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer default-dev-token\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        let mut reader = BufReader::new(stream.try_clone()?);
        for _ in 0..times {
            stream.write_all(request.as_bytes())?;
            // The upstream listens as long as this process lives.
            read_answer(&mut reader, || _ = self.next.send(()))?;
        }
        Ok(())
    }
}

/// Reads an answer to its end. Calls `next` after each chunk.
fn read_answer(reader: &mut BufReader<TcpStream>, next: impl Fn()) -> std::io::Result<()> {
    let wrong = |what: &str| std::io::Error::other(what.to_owned());
    let (mut line, mut length, mut is_first) = (String::new(), None, true);
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err(wrong("the router hung up"));
        }
        let head = line.trim_end().to_ascii_lowercase();
        if std::mem::take(&mut is_first) && !head.starts_with("http/1.1 200") {
            return Err(wrong(&head));
        }
        if let Some(value) = head.strip_prefix("content-length:") {
            length = value.trim().parse().ok();
        }
        if head.is_empty() {
            break;
        }
    }
    let mut body = Vec::new();
    if let Some(length) = length {
        return reader.take(length).read_to_end(&mut body).map(|_| ());
    }
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let length = u64::from_str_radix(line.trim(), 16).map_err(|_| wrong("a chunk without a length"))?;
        // The line break belongs to the chunk.
        reader.by_ref().take(length + 2).read_to_end(&mut body)?;
        if length == 0 {
            return Ok(());
        }
        next();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(instructions: f64, allocations: f64) -> BTreeMap<String, Figure> {
        [("a".to_owned(), Figure { instructions, allocations })].into()
    }

    #[test]
    fn more_than_the_record_and_its_slack_is_an_error() {
        let record = figures(1_000.0, 100.0);
        for (instructions, allocations, is_ok) in
            [(1_000.0, 100.0, true), (1_049.0, 104.0, true), (1_060.0, 100.0, false), (900.0, 106.0, false)]
        {
            let told = compared(&figures(instructions, allocations), &record);
            assert_eq!(told.is_ok(), is_ok, "{told:?}");
        }
        assert!(compared(&figures(900.0, 90.0), &record).unwrap().contains("--renew"));
        assert!(compared(&figures(1.0, 1.0), &BTreeMap::new()).unwrap_err().contains("has no figure a"));
    }

    #[test]
    fn another_api_that_costs_too_much_is_an_error() {
        let found = |responses: f64| {
            let figure = |instructions| Figure { instructions, allocations: 0.0 };
            BTreeMap::from([(WHOLE.to_owned(), figure(100.0)), (Api::Responses.figure(WHOLE), figure(responses))])
        };
        assert!(beside_chat(&found(130.0)).unwrap().contains("1.30 x"));
        assert!(beside_chat(&found(131.0)).unwrap_err().contains("TOO MANY"));
    }

    #[test]
    fn the_record_is_whole() {
        let text = fs::read_to_string(environment::root().join(RECORD)).unwrap();
        let recorded: BTreeMap<String, Figure> = toml::from_str(&text).unwrap();
        let names: Vec<&str> = recorded.keys().map(String::as_str).collect();
        let wanted = [
            "paced_frame",
            "piece_of_a_stream",
            "stream_of_20_pieces",
            "stream_of_20_pieces_by_messages",
            "stream_of_20_pieces_by_responses",
            "whole_answer",
            "whole_answer_by_messages",
            "whole_answer_by_responses",
        ];
        assert_eq!(names, wanted);
    }
}
