//! Measures what the router takes: resident memory when idle, with thousands of open streams, after their end, and
//! after a million requests; and the size of the program.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use cortensor_router_testkit::machine::open_files;

use crate::compare::Shape;
use crate::load::connect;
use crate::mock::{Mock, Mode, chat};
use crate::report::{Gate, Row};
use crate::target::Target;
use crate::{Context, Outcome, wire};

const STREAMS: usize = 5_000;
/// The file descriptors that this process uses for each stream: one of the client and one of the mock.
const EACH: usize = 2;

/// The number of streams that this process may have open.
pub(crate) fn most_streams() -> usize {
    STREAMS.min(open_files().unwrap_or(1_024).saturating_sub(500) / EACH)
}

pub(crate) fn measure(context: &Context, rows: &mut Vec<Row>) -> Outcome {
    let streams = most_streams();
    for (durability, gated) in [("memory", true), ("full", false)] {
        let mock = Mock::start(1)?;
        let router = Target::router(context, "router", durability, Some(mock.address))?;
        std::thread::sleep(Duration::from_secs(1));
        let idle = router.resident_kib();
        let row = Row::new("memory", format!("idle, {durability}"), idle / 1_024.0, "MiB");
        rows.push(if gated { row.gate(Gate::AtMost(12.0)) } else { row });
        if !gated {
            continue;
        }
        let open = open_streams(&router, &mock, streams, Mode::Held)?;
        let each = (router.resident_kib() - idle) / streams as f64;
        rows.push(
            Row::new("memory", format!("a stream of {streams}"), each, "KiB")
                .gate(Gate::AtMost(12.0))
                .note("the client's and the upstream's connection"),
        );
        drop(open);
        let started = Instant::now();
        let mut hung_up = 0;
        while hung_up < streams {
            let left = Duration::from_secs(30).saturating_sub(started.elapsed());
            mock.hang_ups.recv_timeout(left).map_err(|_| {
                format!("{hung_up} of {streams} streams ended at the upstream after their callers went")
            })?;
            hung_up += 1;
        }
        let all = started.elapsed().as_secs_f64();
        std::thread::sleep(Duration::from_secs(2));
        rows.push(
            Row::new("memory", "after the streams", router.resident_kib() / 1_024.0, "MiB")
                .beside("idle", idle / 1_024.0)
                .note(format!("{streams} hang-ups were through in {all:.2} s")),
        );
    }
    after_requests(context, rows)?;
    program(context, rows)
}

/// The resident memory of a router with default settings after many requests.
fn after_requests(context: &Context, rows: &mut Vec<Row>) -> Outcome {
    let wanted = context.pick(200_000, 1_000_000);
    let mock = Mock::start(2)?;
    let router = Target::router(context, "router", "memory", Some(mock.address))?;
    let (mut done, mut most) = (0, 0.0_f64);
    while done < wanted {
        done += Shape::whole(128).on(&router).run(Duration::from_secs(2))?.answers;
        most = most.max(router.resident_kib() / 1_024.0);
    }
    let what = format!("after {} 000 requests", wanted / 1_000);
    let row = Row::new("memory", what, router.resident_kib() / 1_024.0, "MiB").gate(Gate::AtMost(90.0));
    rows.push(row.note(format!("at the most {most:.1} MiB")));
    Ok(())
}

/// The size of the program without its symbols.
fn program(context: &Context, rows: &mut Vec<Row>) -> Outcome {
    let stripped = context.scratch().join("stripped");
    let done = std::process::Command::new("strip").arg("-o").arg(&stripped).arg(&context.router).status();
    if !done.is_ok_and(|status| status.success()) {
        eprintln!("the size of the program is left out: there is no `strip` (Debian: binutils)");
        return Ok(());
    }
    let bytes = std::fs::metadata(&stripped).map_err(|error| format!("{}: {error}", stripped.display()))?.len();
    let row = Row::new("memory", "the program, stripped", bytes as f64 / 1e6, "MB");
    rows.push(row.gate(Gate::AtMost(14.0)));
    Ok(())
}

/// Streams whose first frame has arrived. They end on drop.
pub(crate) struct Open {
    // The runtime's reactor holds the sockets.
    runtime: tokio::runtime::Runtime,
    sockets: Vec<tokio::net::TcpStream>,
}

impl Open {
    /// Reads all streams for that time. Gives the number of frames.
    pub(crate) fn read_for(&mut self, time: Duration) -> Outcome<usize> {
        let sockets = std::mem::take(&mut self.sockets);
        let until = tokio::time::Instant::now() + time;
        let (frames, sockets) = self.runtime.block_on(async {
            let mut reading = JoinSet::new();
            for mut socket in sockets {
                reading.spawn(async move {
                    let (mut frames, mut read) = (0, Vec::with_capacity(1_024));
                    while let Ok(some) = tokio::time::timeout_at(until, socket.read_buf(&mut read)).await {
                        if some.map_err(|error| error.to_string())? == 0 {
                            return Err("a stream broke off".to_owned());
                        }
                        // A mark that two reads share is not counted; frames are written whole, so that this is rare.
                        frames += wire::count(&read, b"}\n\n");
                        read.clear();
                    }
                    Ok((frames, socket))
                });
            }
            let (mut all, mut sockets) = (0, Vec::with_capacity(reading.len()));
            while let Some(done) = reading.join_next().await {
                let (frames, socket) = done.map_err(|error| error.to_string())??;
                all += frames;
                sockets.push(socket);
            }
            Ok::<_, String>((all, sockets))
        })?;
        self.sockets = sockets;
        Ok(frames)
    }
}

/// Opens that many streams of this form, and awaits the first frame of each.
pub(crate) fn open_streams(router: &Target, mock: &Mock, count: usize, mode: Mode) -> Outcome<Open> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let sockets = runtime.block_on(async {
        let request = wire::post(router.streams, &chat(mode, true));
        let mut sockets = Vec::with_capacity(count);
        // Connections open in groups, because connections that a full backlog refuses would blur the figure.
        while sockets.len() < count {
            let mut group = Vec::new();
            for _ in 0..(count - sockets.len()).min(50) {
                let mut socket = connect(router.streams).await?;
                socket.write_all(&request).await.map_err(|error| error.to_string())?;
                group.push(socket);
            }
            for socket in &mut group {
                let mut answer = Vec::with_capacity(1_024);
                while wire::find(&answer, b"word0").is_none() {
                    if socket.read_buf(&mut answer).await.map_err(|error| error.to_string())? == 0 {
                        return Err(format!("no stream: {}", String::from_utf8_lossy(&answer)));
                    }
                }
            }
            sockets.append(&mut group);
        }
        Ok(sockets)
    })?;
    mock.forget();
    Ok(Open { runtime, sockets })
}
