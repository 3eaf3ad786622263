//! A load generator. Each of its connections sends a request again as soon as its answer is complete.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

use crate::report::quantile;
use crate::{Outcome, wire};

/// The load: the requests to send, and the number of connections.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) path: &'static str,
    /// The bodies of the requests. Each connection sends them in turn, and begins at a place of its own.
    pub(crate) bodies: Vec<String>,
    pub(crate) connections: usize,
    /// The number of `data:` events in a complete answer; 0 for an answer in one piece.
    pub(crate) events: usize,
}

/// The answers of a load.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    pub(crate) answers: u64,
    pub(crate) seconds: f64,
    /// The latency of each answer, in milliseconds.
    latencies: Vec<f64>,
}

impl Sample {
    pub(crate) fn rate(&self) -> f64 {
        self.answers as f64 / self.seconds
    }

    /// The latency below which that share of the answers lies, in microseconds.
    pub(crate) fn latency_us(&mut self, share: f64) -> f64 {
        quantile(&mut self.latencies, share) * 1e3
    }

    /// Adds the answers of another round.
    pub(crate) fn add(&mut self, other: Self) {
        self.answers += other.answers;
        self.seconds += other.seconds;
        self.latencies.extend(other.latencies);
    }
}

impl Load {
    /// Sends for that time, after a warm-up of a tenth of it.
    ///
    /// # Errors
    /// When an answer is wrong, because a figure over wrong answers has no meaning.
    pub(crate) fn run(&self, time: Duration) -> Outcome<Sample> {
        let threads = if self.connections >= 8 { 2 } else { 1 };
        let start = Arc::new(Barrier::new(threads));
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let (load, start) = (self.clone(), Arc::clone(&start));
                let connections = self.connections / threads + usize::from(thread < self.connections % threads);
                std::thread::spawn(move || load.work(connections, time, &start))
            })
            .collect();
        let mut all = Sample::default();
        for worker in workers {
            let sample = worker.join().map_err(|_| "the load generator panicked".to_owned())??;
            all.answers += sample.answers;
            all.seconds = all.seconds.max(sample.seconds);
            all.latencies.extend(sample.latencies);
        }
        Ok(all)
    }

    fn work(&self, connections: usize, time: Duration, start: &Barrier) -> Outcome<Sample> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        runtime.block_on(async {
            let requests: Arc<[Bytes]> =
                self.bodies.iter().map(|body| wire::post_to(self.address, self.path, body)).collect();
            let mut sockets = Vec::with_capacity(connections);
            for _ in 0..connections {
                sockets.push(connect(self.address).await?);
            }
            start.wait();
            let from = Instant::now() + time / 10;
            let until = from + time;
            let mut running = JoinSet::new();
            for (number, socket) in sockets.into_iter().enumerate() {
                // A large odd step visits the requests in no order that a cache could follow.
                let turns = (0_u64..).map(move |turn| (turn, turn.wrapping_mul(7_919) as usize + number * 104_729));
                running.spawn(repeat(socket, requests.clone(), turns, self.events, from, until));
            }
            let mut all = Sample { seconds: time.as_secs_f64(), ..Sample::default() };
            while let Some(done) = running.join_next().await {
                let latencies = done.map_err(|error| error.to_string())??;
                all.answers += latencies.len() as u64;
                all.latencies.extend(latencies);
            }
            Ok(all)
        })
    }
}

impl Load {
    /// Sends that many requests a second at fixed times, on the connections in turn, for that time. A latency counts
    /// from the time at which its request was to be sent, so that a target that falls behind cannot hide it.
    ///
    /// # Errors
    /// When an answer is wrong.
    pub(crate) fn on_schedule(&self, rate: f64, time: Duration) -> Outcome<Sample> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let interval = Duration::from_secs_f64(1.0 / rate.max(1.0));
        runtime.block_on(async {
            let body = self.bodies.first().map_or("", String::as_str);
            let request: Bytes = wire::post_to(self.address, self.path, body);
            let (mut running, mut turns) = (JoinSet::new(), Vec::with_capacity(self.connections));
            for _ in 0..self.connections {
                let (turn, due) = unbounded_channel();
                running.spawn(scheduled(connect(self.address).await?, request.clone(), due));
                turns.push(turn);
            }
            // The runtime's timers are exact to a millisecond only; a thread's sleep is exact enough.
            std::thread::spawn(move || {
                let (mut due, until) = (Instant::now(), Instant::now() + time);
                for turn in (0..turns.len()).cycle() {
                    due += interval;
                    if due > until {
                        return;
                    }
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    // A connection that failed reports it at the end.
                    let _ = turns[turn].send(due);
                }
            });
            let mut all = Sample { seconds: time.as_secs_f64(), ..Sample::default() };
            while let Some(done) = running.join_next().await {
                let latencies = done.map_err(|error| error.to_string())??;
                all.answers += latencies.len() as u64;
                all.latencies.extend(latencies);
            }
            Ok(all)
        })
    }
}

/// Sends a request for each time that comes in. Gives the latencies.
async fn scheduled(mut socket: TcpStream, request: Bytes, mut times: UnboundedReceiver<Instant>) -> Outcome<Vec<f64>> {
    let (mut latencies, mut answer) = (Vec::with_capacity(4_096), Vec::with_capacity(4 << 10));
    while let Some(due) = times.recv().await {
        answer.clear();
        exchange(&mut socket, &request, &mut answer).await?;
        if !wire::is_ok(&answer) {
            return Err(format!("a wrong answer: {}", String::from_utf8_lossy(&answer)));
        }
        latencies.push(due.elapsed().as_secs_f64() * 1e3);
    }
    Ok(latencies)
}

/// Opens a connection that sends its data without delay.
pub(crate) async fn connect(address: SocketAddr) -> Outcome<TcpStream> {
    let socket = TcpStream::connect(address).await.map_err(|error| format!("{address}: {error}"))?;
    socket.set_nodelay(true).map_err(|error| error.to_string())?;
    Ok(socket)
}

/// Sends and reads until the time is up. Gives the latency of every answer that began and ended within it.
async fn repeat(
    mut socket: TcpStream,
    requests: Arc<[Bytes]>,
    turns: impl Iterator<Item = (u64, usize)>,
    events: usize,
    from: Instant,
    until: Instant,
) -> Outcome<Vec<f64>> {
    let mut latencies = Vec::with_capacity(4_096);
    let mut answer = Vec::with_capacity(16 << 10);
    for (turn, place) in turns {
        let sent = Instant::now();
        if sent >= until {
            break;
        }
        answer.clear();
        exchange(&mut socket, &requests[place % requests.len()], &mut answer).await?;
        let now = Instant::now();
        // Only every 16th answer is counted: counting all would cost the machine as much as a proxy does.
        let counted = events == 0 || !turn.is_multiple_of(16) || wire::count(&wire::body(&answer), b"data: ") == events;
        if !wire::is_ok(&answer) || !counted {
            return Err(format!("a wrong answer: {}", String::from_utf8_lossy(&answer)));
        }
        if sent >= from && now <= until {
            latencies.push((now - sent).as_secs_f64() * 1e3);
        }
    }
    Ok(latencies)
}

/// Sends a request and reads the complete answer.
pub(crate) async fn exchange(socket: &mut TcpStream, request: &[u8], answer: &mut Vec<u8>) -> Outcome {
    socket.write_all(request).await.map_err(|error| format!("a request could not be sent: {error}"))?;
    loop {
        match socket.read_buf(answer).await {
            Ok(0) => return Err(format!("the answer broke off: {}", String::from_utf8_lossy(answer))),
            Ok(_) if wire::is_whole(answer) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(format!("an answer could not be read: {error}")),
        }
    }
}
