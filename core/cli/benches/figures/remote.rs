//! Measures miners that dial in: a thousand idle ones, the time of their reconnection, the fate of a task whose miner
//! is lost, and the cost of the socket for each token.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cortensor_router::config::{Config, DEFAULT_DEV_TOKEN, ListenConfig, MinersConfig};
use cortensor_router::listener::Listener;
use cortensor_router::miner::client::{MinerClient, MinerClientConfig};
use cortensor_router::miner::{Chunk, Emit, Job};
use cortensor_router::model::{Answer, MinerSpec, SessionId, TaskRequest};
use cortensor_router::{Router, StreamEvent, Submission, SubmitOptions};
use cortensor_router_testkit::Proxy;
use cortensor_router_testkit::proxy::Faults;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::report::{Gate, Row, median, quantile};
use crate::target::Target;
use crate::{Context, Outcome, runtime};

const MINERS: usize = 1_000;
/// The time after which an event counts as missing.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) fn measure(context: &Context, rows: &mut Vec<Row>) -> Outcome {
    idle(context, rows)?;
    runtime()?.block_on(storm(rows))?;
    runtime()?.block_on(lost(context, rows))?;
    runtime()?.block_on(tokens(context, rows))
}

fn text(error: &cortensor_router::Error) -> String {
    error.to_string()
}

fn client(address: SocketAddr, name: String, capacity: u32) -> MinerClientConfig {
    MinerClientConfig::default()
        .routers([format!("ws://{address}")])
        .name(name)
        .capacity(capacity)
        .token(DEFAULT_DEV_TOKEN.to_owned())
}

fn dial(config: MinerClientConfig, miner: impl Fn(Job) + Send + Sync + 'static) -> Outcome<MinerClient> {
    MinerClient::start(config, miner).map_err(|error| text(&error))
}

fn fleet(address: SocketAddr) -> Outcome<Vec<MinerClient>> {
    (0..MINERS).map(|n| dial(client(address, format!("idle-{n}"), 1), |job: Job| job.reject("idle"))).collect()
}

async fn until(what: &str, holds: impl Fn() -> bool) -> Outcome {
    let from = Instant::now();
    while !holds() {
        if from.elapsed() > PATIENCE {
            return Err(format!("{what}: not within {} s", PATIENCE.as_secs()));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

/// Figure F14: the cost of a thousand idle miners to a router in a process of its own.
fn idle(context: &Context, rows: &mut Vec<Row>) -> Outcome {
    let router = Target::router(context, "router", "memory", None)?;
    std::thread::sleep(Duration::from_secs(1));
    let before = router.resident_kib();
    let runtime = runtime()?;
    let miners = runtime.block_on(async {
        let miners = fleet(router.address)?;
        until("a thousand miners connect", || miners.iter().all(|miner| miner.stats().connected)).await?;
        Ok::<_, String>(miners)
    })?;
    std::thread::sleep(Duration::from_secs(2));
    // The time covers at least two rounds of pings.
    let time = context.pick(Duration::from_secs(20), Duration::from_secs(40));
    let spent = router.processor_time();
    std::thread::sleep(time);
    let share = (router.processor_time() - spent).as_secs_f64() / time.as_secs_f64();
    let resident = router.resident_kib();
    rows.push(
        Row::new("remote", format!("F14 {MINERS} idle miners, resident"), resident / 1_024.0, "MiB")
            .gate(Gate::AtMost(64.0))
            .note(format!("{:.1} KiB a miner", (resident - before) / MINERS as f64)),
    );
    rows.push(
        Row::new("remote", format!("F14 {MINERS} idle miners, of one processor"), share * 100.0, "%")
            .gate(Gate::AtMost(2.0)),
    );
    drop(miners);
    Ok(())
}

struct Served {
    router: Router,
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

async fn serve(miners: MinersConfig, port: u16) -> Outcome<Served> {
    let mut config = Config::default().miners(miners);
    config.dispatch.no_miner_grace_ms = 60_000;
    let router = Router::open(config).await.map_err(|error| text(&error))?;
    let listen = ListenConfig::default().port(port);
    let listener = Listener::bind(router.clone(), listen).await.map_err(|error| text(&error))?;
    let address = listener.local_addr();
    let (stop, stopped) = oneshot::channel::<()>();
    drop(tokio::spawn(listener.run(async {
        let _ = stopped.await;
    })));
    Ok(Served { router, address, _stop: stop })
}

fn active(router: &Router) -> usize {
    router.miners().iter().filter(|miner| miner.active).count()
}

/// The reconnect storm: a router with a thousand miners ends and comes back at once.
async fn storm(rows: &mut Vec<Row>) -> Outcome {
    let served = serve(MinersConfig::default(), 0).await?;
    let port = served.address.port();
    let miners = fleet(served.address)?;
    until("a thousand miners connect", || active(&served.router) == MINERS).await?;
    let router = served.router.clone();
    drop(served);
    router.close().await;
    let from = Instant::now();
    let again = serve(MinersConfig::default(), port).await?;
    until("a thousand miners are back", || active(&again.router) == MINERS).await?;
    rows.push(
        Row::new("remote", format!("F14 reconnect storm, the last of {MINERS}"), from.elapsed().as_secs_f64(), "s")
            .gate(Gate::AtMost(10.0))
            .note("router and miners in one process"),
    );
    drop(miners);
    again.router.close().await;
    Ok(())
}

/// The way in which the connection between a miner and its router is lost.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Loss {
    /// The connection is closed on both sides.
    Cut,
    /// No data passes, and neither side is notified.
    Mute,
}

/// Figure F6: from the loss of a miner to the offer of its task to another miner.
async fn lost(context: &Context, rows: &mut Vec<Row>) -> Outcome {
    let count = context.pick(3, 10);
    let settings = MinersConfig::default().grace_ms(500).ping_ms(500).dead_ms(2_000);
    for (how, wait, gate) in [
        (Loss::Cut, settings.grace_ms, Gate::AtMost(100.0)),
        // The miner's last frame may have come one ping interval before the connection went mute.
        (Loss::Mute, settings.dead_ms, Gate::AtMost(1_000.0)),
    ] {
        let mut millis = Vec::with_capacity(count);
        for _ in 0..count {
            let served = serve(settings.clone(), 0).await?;
            let proxy = Proxy::to(served.address).await;
            let (taken, mut takes) = mpsc::unbounded_channel();
            let hold = move |job: Job| {
                let _ = taken.send(job);
            };
            let doomed = dial(client(proxy.address, "doomed".into(), 1), hold)?;
            until("the first miner connects", || active(&served.router) == 1).await?;
            let task = submit(&served.router, false).await?;
            let held = takes.recv().await.ok_or("the first miner got nothing")?;
            let (offered, mut offers) = mpsc::unbounded_channel();
            let heir = dial(client(served.address, "heir".into(), 1), move |job: Job| {
                let _ = offered.send(Instant::now());
                job.finish(Answer::default().text("done"));
            })?;
            until("the second miner connects", || active(&served.router) == 2).await?;
            let from = Instant::now();
            match how {
                Loss::Cut => proxy.cut(),
                Loss::Mute => proxy.set(Faults::black_hole()),
            }
            let at = offers.recv().await.ok_or("the second miner got nothing")?;
            millis.push((at - from).as_secs_f64() * 1e3 - wait as f64);
            task.result().await.map_err(|error| text(&error))?;
            drop((held, doomed, heir));
            served.router.close().await;
        }
        let (what, after) = match how {
            Loss::Mute => ("silent", "miners.dead_ms"),
            Loss::Cut => ("connection cut", "miners.grace_ms"),
        };
        let middle = quantile(&mut millis, 0.5);
        rows.push(
            Row::new(
                "remote",
                format!("F6 {what}: requeue after {after}, the slowest of {count}"),
                quantile(&mut millis, 1.0),
                "ms",
            )
            .gate(gate)
            .note(format!("p50 {middle:.1} ms")),
        );
    }
    Ok(())
}

async fn submit(router: &Router, stream: bool) -> Outcome<Submission> {
    let request = TaskRequest::completion("x").stream(stream).timeout(120.0);
    router.submit(SessionId(0), request, SubmitOptions::default()).await.map_err(|error| text(&error))
}

const STREAMS: usize = 50;
const PIECES: usize = 4_000;
/// A piece in a frame of its own. Pieces that pass on OpenAI's JSON are never joined.
const RAW: &[u8] = br#"{"choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}]}"#;

/// Emits pieces as fast as they are accepted.
fn flood(job: Job) {
    drop(tokio::spawn(async move {
        for _ in 0..PIECES {
            let chunk = Chunk::from("word ").with_raw(RAW);
            match job.emit(chunk) {
                Emit::Full => job.writable().await,
                Emit::Cancelled => return,
                _ => {}
            }
        }
        job.finish(Answer::default());
    }));
}

/// Emits one piece and ends the answer.
fn word(job: Job) {
    job.emit("word");
    job.finish(Answer::default());
}

/// Measures the pieces a second through the socket and the delay that it adds to the first piece, beside the same miner
/// within the process.
async fn tokens(context: &Context, rows: &mut Vec<Row>) -> Outcome {
    let rounds = context.pick(1, 3);
    let (mut near, mut far) = (Vec::new(), Vec::new());
    let (mut near_first, mut far_first) = (Vec::new(), Vec::new());
    let quick = Arc::new(AtomicBool::new(false));
    let miner = || {
        let quick = Arc::clone(&quick);
        move |job: Job| if quick.load(Ordering::Relaxed) { word(job) } else { flood(job) }
    };
    let local = serve(MinersConfig::default(), 0).await?;
    local.router.add_miner(MinerSpec::new("local", STREAMS as u32), miner()).map_err(|error| text(&error))?;
    let remote = serve(MinersConfig::default(), 0).await?;
    let dialled = dial(client(remote.address, "remote".into(), STREAMS as u32), miner())?;
    until("the miner connects", || active(&remote.router) == 1).await?;
    for _ in 0..rounds {
        quick.store(false, Ordering::Relaxed);
        near.push(rate(&local.router).await?);
        far.push(rate(&remote.router).await?);
        quick.store(true, Ordering::Relaxed);
        for _ in 0..context.pick(300, 1_000) {
            near_first.push(first(&local.router).await?);
            far_first.push(first(&remote.router).await?);
        }
    }
    rows.push(
        Row::new("remote", format!("frames through a remote miner, {STREAMS} streams"), median(far), "frames/s")
            .beside("the same miner in the process", median(near))
            .note("router, miner and reader in one process"),
    );
    for (what, share) in [("p50", 0.5), ("p99", 0.99)] {
        let (local, remote) = (quantile(&mut near_first, share), quantile(&mut far_first, share));
        rows.push(
            Row::new("remote", format!("first token, added by the socket, {what}"), remote - local, "ms")
                .note(format!("{remote:.2} ms in all")),
        );
    }
    drop(dialled);
    Ok(())
}

/// Reads all streams to their end. Gives the number of frames a second.
async fn rate(router: &Router) -> Outcome<f64> {
    let (from, frames) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let mut reading = JoinSet::new();
    for _ in 0..STREAMS {
        let (task, frames) = (submit(router, true).await?, Arc::clone(&frames));
        reading.spawn(async move {
            let mut stream = task.stream();
            while let Some(batch) = stream.next_batch().await {
                for event in batch {
                    match event {
                        StreamEvent::Token { .. } => drop(frames.fetch_add(1, Ordering::Relaxed)),
                        StreamEvent::End(end) => drop(end.map_err(|error| text(&error))?),
                        other => return Err(format!("{other:?}")),
                    }
                }
            }
            Ok(())
        });
    }
    while let Some(done) = reading.join_next().await {
        done.map_err(|error| error.to_string())??;
    }
    let (frames, wanted) = (frames.load(Ordering::Relaxed), (STREAMS * PIECES) as u64);
    if frames != wanted {
        return Err(format!("{frames} frames came, not {wanted}"));
    }
    Ok(frames as f64 / from.elapsed().as_secs_f64())
}

/// The milliseconds from the submit to the first piece.
async fn first(router: &Router) -> Outcome<f64> {
    let from = Instant::now();
    let task = submit(router, true).await?;
    let batch = task.stream().next_batch().await;
    if !matches!(batch.as_deref(), Some([StreamEvent::Token { .. }, ..])) {
        return Err(format!("no piece came first: {batch:?}"));
    }
    Ok(from.elapsed().as_secs_f64() * 1e3)
}
