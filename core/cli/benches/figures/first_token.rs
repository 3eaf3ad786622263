//! Measures the time from the submit to the first token at the caller, on an idle router with a miner that answers at
//! once: within one program, and over HTTP.

use std::sync::Arc;
use std::time::Instant;

use cortensor_router::config::{Config, Durability};
use cortensor_router::internals::store::{MemoryStore, SqliteStore, Store};
use cortensor_router::miner::Job;
use cortensor_router::model::{Answer, MinerSpec, SessionId, TaskRequest};
use cortensor_router::{Router, StreamEvent, SubmitOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::load::connect;
use crate::report::{Gate, Row, quantile};
use crate::target::Target;
use crate::{Context, Outcome, runtime, wire};

/// A streamed chat that the built-in echo answers.
pub(crate) const ECHO: &str = r#"{"messages":[{"role":"user","content":"Good morning"}],"stream":true}"#;

pub(crate) fn measure(context: &Context, rows: &mut Vec<Row>) -> Outcome {
    let count = context.pick(300, 2_000);
    for (durability, name, most) in [(Durability::Full, "full", 2.0), (Durability::Memory, "memory", 1.0)] {
        let mut within = runtime()?.block_on(in_process(context, durability, count))?;
        push(rows, "in-process", name, most, &mut within);
        let target = Target::router(context, "router", name, None)?;
        let mut over = runtime()?.block_on(over_http(&target, count))?;
        push(rows, "over HTTP", name, most, &mut over);
    }
    Ok(())
}

fn push(rows: &mut Vec<Row>, place: &str, durability: &str, most: f64, millis: &mut [f64]) {
    let last = quantile(millis, 0.99);
    let row = Row::new("first-token", format!("F2 {place}, {durability}, p50"), quantile(millis, 0.5), "ms");
    rows.push(row.gate(Gate::AtMost(most)).note(format!("p99 {last:.2} ms")));
}

async fn in_process(context: &Context, durability: Durability, count: usize) -> Outcome<Vec<f64>> {
    let text = |error: cortensor_router::Error| error.to_string();
    let store: Arc<dyn Store> = match durability {
        Durability::Memory => Arc::new(MemoryStore::new(64 << 20)),
        _ => Arc::new(SqliteStore::open(&context.fresh_dir("first")?, durability).map_err(text)?),
    };
    let router = Router::builder().config(Config::default()).store(store).open().await.map_err(text)?;
    let miner = |job: Job| {
        job.emit("Good");
        job.emit(" morning");
        job.finish(Answer::default());
    };
    router.add_miner(MinerSpec::new("prompt", 8), miner).map_err(text)?;
    let mut millis = Vec::with_capacity(count);
    for _ in 0..count {
        let request = TaskRequest::completion("Good morning").stream(true);
        let from = Instant::now();
        let task = router.submit(SessionId(0), request, SubmitOptions::default()).await.map_err(text)?;
        // A correct caller waits for this: it shows nothing before the task is durable.
        task.accepted().await.map_err(text)?;
        let first = task.stream().next_batch().await;
        millis.push(from.elapsed().as_secs_f64() * 1e3);
        if !matches!(first.as_deref(), Some([StreamEvent::Token { .. }, ..])) {
            return Err(format!("no token came first: {first:?}"));
        }
        task.result().await.map_err(text)?;
    }
    router.close().await;
    Ok(millis)
}

async fn over_http(target: &Target, count: usize) -> Outcome<Vec<f64>> {
    let request = wire::post(target.address, ECHO);
    let mut socket = connect(target.address).await?;
    let mut millis = Vec::with_capacity(count);
    let mut answer = Vec::with_capacity(16 << 10);
    for _ in 0..count {
        answer.clear();
        let from = Instant::now();
        socket.write_all(&request).await.map_err(|error| error.to_string())?;
        let mut first = None;
        while !wire::is_whole(&answer) {
            if socket.read_buf(&mut answer).await.map_err(|error| error.to_string())? == 0 {
                return Err("the stream broke off".to_owned());
            }
            if first.is_none() && wire::find(&answer, b"\"content\":\"echo").is_some() {
                first = Some(from.elapsed());
            }
        }
        let first = first.ok_or_else(|| format!("no token came: {}", String::from_utf8_lossy(&answer)))?;
        millis.push(first.as_secs_f64() * 1e3);
    }
    Ok(millis)
}
