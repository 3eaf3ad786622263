//! Measures the time from a caller's hang-up to the end of the work at the upstream: in a stream, while a whole answer
//! is awaited, and before the first token of a stream.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::load::connect;
use crate::mock::{Mock, Mode, chat};
use crate::report::{Gate, Row, quantile};
use crate::target::Target;
use crate::{Context, Outcome, wire};

/// The time after which an event counts as missing.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn measure(context: &Context, rows: &mut Vec<Row>) -> Outcome {
    let mock = Mock::start(1)?;
    let router = Target::router(context, "router", "memory", Some(mock.address))?;
    let count = context.pick(30, 200);
    for (what, mode, stream) in [
        ("in a stream", Mode::Held, true),
        ("before a whole answer", Mode::Silent, false),
        ("before the first token", Mode::Silent, true),
    ] {
        let mut millis = Vec::with_capacity(count);
        for _ in 0..count {
            mock.forget();
            millis.push(once(&mock, &router, mode, stream)?);
        }
        let middle = quantile(&mut millis, 0.5);
        let worst = quantile(&mut millis, 1.0);
        rows.push(
            Row::new("hang-up", format!("{what}, the slowest of {count}"), worst, "ms")
                .gate(Gate::AtMost(25.0))
                .note(format!("p50 {middle:.2} ms")),
        );
    }
    Ok(())
}

fn once(mock: &Mock, router: &Target, mode: Mode, stream: bool) -> Outcome<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let request = wire::post(router.address, &chat(mode, stream));
    let left = runtime.block_on(async {
        let mut socket = connect(router.address).await?;
        socket.write_all(&request).await.map_err(|error| error.to_string())?;
        if mode == Mode::Held {
            let mut answer = Vec::with_capacity(1_024);
            while wire::find(&answer, b"word0").is_none() {
                if socket.read_buf(&mut answer).await.map_err(|error| error.to_string())? == 0 {
                    return Err(format!("no stream: {}", String::from_utf8_lossy(&answer)));
                }
            }
        } else {
            mock.arrivals.recv_timeout(PATIENCE).map_err(|_| "the request did not reach the upstream".to_owned())?;
        }
        let left = Instant::now();
        drop(socket);
        Ok::<_, String>(left)
    })?;
    let ended = mock.hang_ups.recv_timeout(PATIENCE).map_err(|_| "the upstream went on working".to_owned())?;
    Ok(ended.saturating_duration_since(left).as_secs_f64() * 1e3)
}
