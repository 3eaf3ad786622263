//! Measures token frames through the router with 200 streams: the greatest number a second, and the delay that the
//! router adds to each frame at a low rate.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use crate::load::connect;
use crate::mock::{FLOOD_FRAMES, Mock, Mode, STAMP_MS, chat, clock};
use crate::report::{Gate, Row, median, quantile};
use crate::target::Target;
use crate::{Context, Outcome, proxies, wire};

const STREAMS: usize = 200;

pub(crate) fn measure(context: &Context, rows: &mut Vec<Row>) -> Outcome {
    let mock = Mock::start(1)?;
    let direct = Target::none(mock.address);
    let bare = proxies::bare(mock.address, true)?;
    let router = Target::router(context, "memory", "memory", Some(mock.address))?;

    let rounds = context.pick(1, 3);
    let (mut rates, mut bare_rates) = (Vec::new(), Vec::new());
    let mut cost = Duration::ZERO;
    for _ in 0..rounds {
        bare_rates.push(flood(bare.streams)?);
        let before = router.processor_time();
        rates.push(flood(router.streams)?);
        cost += router.processor_time() - before;
    }
    let cost = cost.as_secs_f64() * 1e6 / (rounds * STREAMS * FLOOD_FRAMES) as f64;
    rows.push(
        Row::new("frames", "F3 200 streams, at the most", median(rates), "frames/s")
            .beside("bare hyper", median(bare_rates))
            .gate(Gate::AtLeast(50_000.0))
            .note(format!("{cost:.1} us CPU/frame")),
    );

    let time = context.pick(Duration::from_secs(2), Duration::from_secs(5));
    let mut floor = stamped(direct.streams, time)?;
    let mut through = stamped(router.streams, time)?;
    let mut other = stamped(bare.streams, time)?;
    for (what, share, gate) in [("p50", 0.5, None), ("p99", 0.99, Some(5.0))] {
        let none = quantile(&mut floor, share);
        let added = quantile(&mut through, share) - none;
        let what = format!("F3 added latency, {STREAMS} streams x {} frames/s, {what}", 1_000 / STAMP_MS);
        let row = Row::new("frames", what, added, "ms").beside("bare hyper", quantile(&mut other, share) - none);
        rows.push(match gate {
            Some(most) => row.gate(Gate::AtMost(most)),
            None => row,
        });
    }
    Ok(())
}

fn alone() -> Outcome<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())
}

/// Reads all streams to their end. Gives the number of frames a second.
fn flood(address: SocketAddr) -> Outcome<f64> {
    alone()?.block_on(async {
        let request = wire::post(address, &chat(Mode::Flood, true));
        let from = Instant::now();
        let mut reading = JoinSet::new();
        for _ in 0..STREAMS {
            let request = request.clone();
            reading.spawn(async move {
                let mut socket = connect(address).await?;
                socket.write_all(&request).await.map_err(|error| error.to_string())?;
                let (mut frames, mut read) = (0, Vec::with_capacity(64 << 10));
                let (mut chunks, mut text) = (wire::Chunks::default(), Vec::new());
                loop {
                    read.clear();
                    if socket.read_buf(&mut read).await.map_err(|error| error.to_string())? == 0 {
                        return Err("a stream broke off".to_owned());
                    }
                    chunks.take(&read, &mut text);
                    frames += wire::count(&text, b"}\n\n");
                    if wire::find(&text, b"data: [DONE]").is_some() {
                        return Ok::<_, String>(frames);
                    }
                    // The tail may be the beginning of an end mark and is searched again; counted marks are not.
                    let tail = text.len() - text.len().min(12);
                    let tail = tail + wire::find(&text[tail..], b"}\n\n").map_or(0, |at| at + 3);
                    text.drain(..tail);
                }
            });
        }
        let mut frames = 0;
        while let Some(done) = reading.join_next().await {
            frames += done.map_err(|error| error.to_string())??;
        }
        let wanted = STREAMS * (FLOOD_FRAMES + 1);
        if frames != wanted {
            return Err(format!("{frames} frames came, not {wanted}"));
        }
        Ok(frames as f64 / from.elapsed().as_secs_f64())
    })
}

/// The milliseconds from the writing of each frame to its reading.
fn stamped(address: SocketAddr, time: Duration) -> Outcome<Vec<f64>> {
    alone()?.block_on(async {
        let request = wire::post(address, &chat(Mode::Stamped, true));
        let mut reading = JoinSet::new();
        for _ in 0..STREAMS {
            let request = request.clone();
            reading.spawn(async move {
                let mut socket = connect(address).await?;
                socket.write_all(&request).await.map_err(|error| error.to_string())?;
                let (mut read, mut text, mut millis) = (Vec::with_capacity(8 << 10), Vec::new(), Vec::new());
                let (from, mut chunks) = (Instant::now(), wire::Chunks::default());
                while from.elapsed() < time {
                    read.clear();
                    if socket.read_buf(&mut read).await.map_err(|error| error.to_string())? == 0 {
                        return Err("a stream broke off".to_owned());
                    }
                    let now = clock();
                    chunks.take(&read, &mut text);
                    while let Some((stamp, end)) = stamp(&text) {
                        text.drain(..end);
                        // The first half second lets all streams begin.
                        if from.elapsed() > Duration::from_millis(500) {
                            millis.push(now.saturating_sub(stamp) as f64 / 1e6);
                        }
                    }
                }
                Ok::<_, String>(millis)
            });
        }
        let mut all = Vec::new();
        while let Some(done) = reading.join_next().await {
            all.extend(done.map_err(|error| error.to_string())??);
        }
        if all.is_empty() { Err("no frame came".to_owned()) } else { Ok(all) }
    })
}

/// The first time stamp, `@...@`, and the position of its end.
fn stamp(bytes: &[u8]) -> Option<(u64, usize)> {
    let start = wire::find(bytes, b"@")? + 1;
    let end = start + wire::find(&bytes[start..], b"@")?;
    Some((std::str::from_utf8(&bytes[start..end]).ok()?.parse().ok()?, end + 1))
}
