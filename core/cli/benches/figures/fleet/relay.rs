//! Tasks that all run at another router than the one that was asked: the time to the first token, and that of each further
//! one on its way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cortensor_router::miner::Job;
use cortensor_router::model::{Answer, MinerSpec, SessionId, TaskRequest};
use cortensor_router::{Router, StreamEvent, SubmitOptions};
use cortensor_router_testkit::Postgres;
use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::members::{linked, open};
use super::text;
use crate::report::{Gate, Row, quantile};
use crate::{Context, Outcome};

const ROUTERS: usize = 3;
/// Tasks a second, a little more than the gate wants.
const RATE: u64 = 1_050;
const PIECES: u64 = 8;
const PAUSE: Duration = Duration::from_millis(5);

#[derive(Default)]
struct Times {
    /// The milliseconds from a submit to its first token.
    first: Vec<f64>,
    /// The milliseconds of the other tokens from the miner to the reader.
    relay: Vec<f64>,
    failed: u64,
}

pub(super) async fn measure(context: &Context, server: &Postgres, raw: f64, rows: &mut Vec<Row>) -> Outcome {
    let base = Instant::now();
    let mut routers = Vec::new();
    for at in 0..ROUTERS {
        let router = open(server, "relay", &format!("router-{at}"), |_| {}).await?;
        let spec = MinerSpec::new(format!("miner-{at}"), 4_096).models([format!("model-{at}")]);
        router.add_miner(spec, move |job| drop(tokio::spawn(work(job, base)))).map_err(text)?;
        routers.push(router);
    }
    linked(&routers, ROUTERS as u64, ROUTERS as u64).await?;
    drop(run(&routers, base, Duration::from_secs(1)).await);
    let time = Duration::from_secs(context.pick(4, 20));
    let from = Instant::now();
    let mut times = run(&routers, base, time).await;
    let rate = times.first.len() as f64 / from.elapsed().as_secs_f64();
    for router in &routers {
        router.close().await;
    }
    if times.failed > 0 {
        return Err(format!("{} tasks failed", times.failed));
    }
    let mut row = |what: &str, value: f64, unit, gate: Option<Gate>| {
        let row = Row::new("fleet", what, value, unit);
        rows.push(gate.into_iter().fold(row, Row::gate));
    };
    row("F12 first token at another router, p50", quantile(&mut times.first, 0.5), "ms", None);
    row("F12 first token at another router, p99", quantile(&mut times.first, 0.99), "ms", Some(Gate::AtMost(100.0)));
    row("F12 relay of a token, p50", quantile(&mut times.relay, 0.5), "ms", Some(Gate::AtMost(25.0)));
    row("F12 relay of a token, p99", quantile(&mut times.relay, 0.99), "ms", None);
    let row = Row::new("fleet", "F12 tasks a second, all at another router", rate, "tasks/s");
    rows.push(row.beside("raw commits/s", raw).gate(Gate::AtLeast(1_000.0)));
    Ok(())
}

/// Gives the time as the text of each piece.
async fn work(job: Job, base: Instant) {
    for _ in 0..PIECES {
        job.emit(format!("{} ", base.elapsed().as_micros()));
        tokio::time::sleep(PAUSE).await;
    }
    job.finish(Answer::default());
}

/// Submits at that rate for that time, whatever becomes of the tasks, and reads all of them to their ends.
async fn run(routers: &[Router], base: Instant, time: Duration) -> Times {
    let times: Arc<Mutex<Times>> = Arc::default();
    let begun = tokio::time::Instant::now();
    let mut running = JoinSet::new();
    for number in 0..RATE * time.as_secs() {
        let due = begun + Duration::from_micros(number * 1_000_000 / RATE);
        tokio::time::sleep_until(due).await;
        let at = number as usize % ROUTERS;
        let (router, times) = (routers[at].clone(), times.clone());
        let model = format!("model-{}", (at + 1) % ROUTERS);
        running.spawn(async move {
            if read(&router, model, due.into_std(), base, &times).await.is_none() {
                times.lock().failed += 1;
            }
        });
    }
    while running.join_next().await.is_some() {}
    std::mem::take(&mut times.lock())
}

async fn read(router: &Router, model: String, due: Instant, base: Instant, times: &Mutex<Times>) -> Option<()> {
    let prompt = format!("{:01024}", 0);
    let request = TaskRequest::completion(prompt).model(model).stream(true);
    let task = router.submit(SessionId(0), request, SubmitOptions::default()).await.ok()?;
    let mut stream = task.stream();
    let mut seen = 0;
    while let Some(events) = stream.next_batch().await {
        let now = base.elapsed().as_micros() as f64;
        for event in events {
            match event {
                StreamEvent::Token { text, .. } => {
                    for piece in text.split_whitespace() {
                        let given: f64 = piece.parse().ok()?;
                        let mut times = times.lock();
                        if seen == 0 {
                            times.first.push(due.elapsed().as_secs_f64() * 1e3);
                        } else {
                            times.relay.push((now - given).max(0.0) / 1e3);
                        }
                        seen += 1;
                    }
                }
                StreamEvent::End(end) => {
                    end.ok()?;
                    return (seen == PIECES).then_some(());
                }
                _ => return None,
            }
        }
    }
    None
}
