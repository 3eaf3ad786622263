//! One direction of a connection: reads on one side, and writes on the other side when it is time.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::State;
use super::faults::{Faults, Way};
use crate::random::Random;

/// The size in bytes of a read.
const READ: usize = 16 << 10;
/// The number of reads that may be under way; then the reader waits, and with it the sender.
const UNDER_WAY: usize = 64;

/// Both ends of the connection must see a reset.
pub(super) struct Reset;

/// Passes bytes on until the sender ends or a fault ends the direction.
pub(super) async fn pump(
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    way: fn(&Faults) -> &Way,
    watch: watch::Receiver<State>,
    random: Random,
) -> Result<(), Reset> {
    let (sender, receiver) = mpsc::channel(UNDER_WAY);
    let reading = read(from, sender, way, watch.clone(), random);
    let writing = write(to, receiver, way, watch);
    tokio::pin!(reading);
    tokio::pin!(writing);
    // A direction that was closed early reads no more.
    tokio::select! {
        ended = &mut writing => ended,
        read = &mut reading => match read {
            Ok(()) => writing.await,
            Err(reset) => Err(reset),
        },
    }
}

/// Reads, and notes for each piece when it is due at the other side.
async fn read(
    mut from: ReadHalf<'_>,
    pieces: mpsc::Sender<(Instant, Vec<u8>)>,
    way: fn(&Faults) -> &Way,
    watch: watch::Receiver<State>,
    mut random: Random,
) -> Result<(), Reset> {
    let mut last = Instant::now();
    let mut piece = vec![0; READ];
    loop {
        let count = from.read(&mut piece).await.map_err(|_| Reset)?;
        if count == 0 {
            return Ok(());
        }
        let delay = {
            let state = watch.borrow();
            let Way { latency, jitter, .. } = way(&state.faults);
            *latency + Duration::from_micros(random.below(jitter.as_micros() as u64 + 1))
        };
        last = last.max(Instant::now() + delay);
        if pieces.send((last, piece[..count].to_vec())).await.is_err() {
            return Ok(());
        }
    }
}

/// Writes each piece when it is due.
async fn write(
    mut to: WriteHalf<'_>,
    mut pieces: mpsc::Receiver<(Instant, Vec<u8>)>,
    way: fn(&Faults) -> &Way,
    mut watch: watch::Receiver<State>,
) -> Result<(), Reset> {
    let mut passed = 0;
    while let Some((due, piece)) = pieces.recv().await {
        sleep_until(due).await;
        let mut rest = &piece[..];
        while !rest.is_empty() {
            let state = watch.wait_for(|state| !way(&state.faults).held).await;
            let now = state.map(|state| way(&state.faults).clone()).map_err(|_| Reset)?;
            let room = now.end().map_or(usize::MAX, |end| end.saturating_sub(passed) as usize);
            // A slow direction passes what fits into 10 ms.
            let pace = now.bytes_per_sec.map_or(usize::MAX, |rate| (rate as usize / 100).max(1));
            let size = rest.len().min(now.slice.unwrap_or(usize::MAX)).min(room).min(pace);
            let (bytes, after) = rest.split_at(size);
            to.write_all(bytes).await.map_err(|_| Reset)?;
            (passed, rest) = (passed + size as u64, after);
            if now.reset_after.is_some_and(|end| passed >= end) {
                return Err(Reset);
            }
            if now.close_after.is_some_and(|end| passed >= end) {
                return to.shutdown().await.map_err(|_| Reset);
            }
            match now.bytes_per_sec {
                Some(rate) => sleep(Duration::from_secs_f64(size as f64 / f64::from(rate))).await,
                None if now.slice.is_some() => tokio::task::yield_now().await,
                None => {}
            }
        }
    }
    to.shutdown().await.map_err(|_| Reset)
}
