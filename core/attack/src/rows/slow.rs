//! Thousands of clients that send or read very slowly, beside an honest one.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cortensor_router_testkit::machine::open_files;
use serde_json::json;
use socket2::{Domain, Socket, Type};

use crate::Outcome;
use crate::http::{Ask, connect};
use crate::report::{Tally, control};
use crate::target::{ADMIN, Command, Target};

/// The number of slow clients, a third of each kind.
const SOCKETS: usize = 5_000;

/// Descriptors that this program and the router need for other things.
const SPARE: usize = 500;

/// The honest client's requests, idle and under attack.
const SUBMITS: usize = 300;

/// The time within which each honest request must have its answer.
const HUNG: Duration = Duration::from_secs(10);

/// The time within which the burst of opening all slow clients must be over.
const SETTLED: Duration = Duration::from_mins(1);

/// The resident memory that the router may have under attack.
const MEMORY: u64 = 512 << 20;

/// The floor of the report's comparison: below it the ratio of two times says nothing.
const FLOOR: Duration = Duration::from_millis(20);

pub(super) fn run(command: &Command) -> Outcome<Tally> {
    let mut target = command.guarded("echo = true\n[storage]\ndurability = \"relaxed\"\n")?;
    let mut tally = Tally::default();
    let idle = honest(&target, SUBMITS, &mut Tally::default())?;
    let before = target.resident()?;
    let count = SOCKETS.min(open_files().unwrap_or(usize::MAX).saturating_sub(SPARE));
    let mut sockets = Vec::with_capacity(count);
    for number in 0..count {
        sockets.push(Slow::open(target.address, number % 3)?);
    }
    // Opening all of them at once is a burst of honest work, most of it the answers of the slow readers. The row is about
    // what follows.
    let opened = Instant::now();
    while !target.is_well() && opened.elapsed() < SETTLED {}
    tally.note(format!("the burst of opening was over after {:.1?}", opened.elapsed()));
    let stop = AtomicBool::new(false);
    let (busy, peak, renewed) = std::thread::scope(|scope| {
        let (stop, place) = (&stop, target.address);
        let dripping = scope.spawn(move || drip(sockets, place, stop));
        let mut measured = honest(&target, SUBMITS, &mut tally);
        let mut peak = target.resident().unwrap_or(0);
        // The attack goes on for long enough that the time limits of the router end the first sockets.
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(12) && measured.is_ok() {
            measured = honest(&target, SUBMITS / 10, &mut tally).and(measured);
            peak = peak.max(target.resident().unwrap_or(0));
        }
        stop.store(true, Ordering::SeqCst);
        (measured, peak, dripping.join().unwrap_or(0))
    });
    let busy = busy?;
    tally.must(peak > 0 && peak < MEMORY, || format!("the router takes {} MiB", peak >> 20));
    tally.must(target.is_well(), || format!("the router is gone: {}", target.log()));
    control(renewed > 0, || "the router ended none of the slow connections".to_owned())?;
    let within = busy <= 2 * idle + FLOOR;
    tally.note(format!(
        "{count} sockets; p99 of honest submits: idle {idle:.1?}, attacked {busy:.1?}, which is {} the bound of twice \
         the idle figure plus {FLOOR:?} (reported, not a gate)",
        if within { "within" } else { "beyond" }
    ));
    tally.note(format!(
        "resident memory: {} MiB before, {} MiB under attack, bound {} MiB; the router ended {renewed} slow connections",
        before >> 20,
        peak >> 20,
        MEMORY >> 20
    ));
    Ok(tally)
}

/// Submits so many prompts one after the other. Gives the p99 of their times.
fn honest(target: &Target, count: usize, tally: &mut Tally) -> Outcome<Duration> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let started = Instant::now();
        let answer = target.send(Ask::post("/api/v1/completions", &json!({"prompt": "honest"})).token(ADMIN));
        let time = started.elapsed();
        tally.must(answer.as_ref().is_ok_and(|answer| answer.status == 200) && time < HUNG, || {
            format!("an honest request after {time:?}: {:?}", answer.map(|answer| answer.told()))
        });
        times.push(time);
    }
    times.sort();
    times.get(count * 99 / 100).copied().ok_or_else(|| "no honest requests".to_owned())
}

/// A slow client.
struct Slow {
    stream: TcpStream,
    kind: usize,
}

impl Slow {
    fn open(address: SocketAddr, kind: usize) -> Outcome<Self> {
        let mut stream = if kind == 2 { narrow(address)? } else { connect(address)? };
        let token = format!("Authorization: Bearer {ADMIN}\r\n");
        let start = match kind {
            // A head that never ends.
            0 => "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: ".to_owned(),
            // A body that never ends.
            1 => format!(
                "POST /api/v1/completions HTTP/1.1\r\nHost: localhost\r\n{token}Content-Type: application/json\r\n\
                 Content-Length: 100000\r\n\r\n{{\"prompt\":\""
            ),
            // Answers that nobody reads.
            _ => "GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(4),
        };
        stream.write_all(start.as_bytes()).map_err(|error| format!("a slow client cannot write: {error}"))?;
        stream.set_nonblocking(true).map_err(|error| error.to_string())?;
        Ok(Self { stream, kind })
    }
}

/// A connection whose system takes hardly any bytes on behalf of its reader.
fn narrow(address: SocketAddr) -> Outcome<TcpStream> {
    let open = || -> std::io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_recv_buffer_size(4_096)?;
        socket.connect(&address.into())?;
        Ok(socket.into())
    };
    open().map_err(|error| format!("a slow reader cannot connect: {error}"))
}

/// Sends one byte on each connection again and again, and opens those anew that the router has ended. Gives their number.
fn drip(mut sockets: Vec<Slow>, address: SocketAddr, stop: &AtomicBool) -> usize {
    let mut renewed = 0;
    while !stop.load(Ordering::SeqCst) {
        for slow in &mut sockets {
            if stop.load(Ordering::SeqCst) {
                break;
            }
            if slow.kind == 2 {
                continue;
            }
            let gone = match slow.stream.write(b"a") {
                Ok(_) => false,
                Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
            };
            if gone && let Ok(new) = Slow::open(address, slow.kind) {
                *slow = new;
                renewed += 1;
            }
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    renewed
}
