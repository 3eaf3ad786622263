//! Measures the router's resident memory: idle, with thousands of open streams, and after their end.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use cortensor_router_testkit::machine::open_files;

use crate::load::connect;
use crate::mock::{Mock, Mode, chat};
use crate::report::{Gate, Row};
use crate::target::Target;
use crate::{Context, Outcome, wire};

const STREAMS: usize = 5_000;
/// The file descriptors that this process uses for each stream: one of the client and one of the mock.
const EACH: usize = 2;

pub(crate) fn measure(context: &Context, rows: &mut Vec<Row>) -> Outcome {
    let streams = STREAMS.min(open_files().unwrap_or(1_024).saturating_sub(500) / EACH);
    for (durability, gated) in [("memory", true), ("full", false)] {
        let mock = Mock::start(1)?;
        let router = Target::router(context, "router", durability, Some(mock.address))?;
        std::thread::sleep(Duration::from_secs(1));
        let idle = router.resident_kib();
        let row = Row::new("memory", format!("idle, {durability}"), idle / 1_024.0, "MiB");
        rows.push(row.gate(Gate::AtMost(15.0)));
        if !gated {
            continue;
        }
        let open = open_streams(&router, &mock, streams)?;
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
    Ok(())
}

/// Streams whose first frame has arrived. They end on drop.
struct Open {
    // The runtime's reactor holds the sockets.
    _runtime: tokio::runtime::Runtime,
    _sockets: Vec<tokio::net::TcpStream>,
}

fn open_streams(router: &Target, mock: &Mock, count: usize) -> Outcome<Open> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let sockets = runtime.block_on(async {
        let request = wire::post(router.streams, &chat(Mode::Held, true));
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
    Ok(Open { _runtime: runtime, _sockets: sockets })
}
