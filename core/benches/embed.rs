//! Measures the cost of the facade in Rust, which is the floor for the figures of the bindings.
//!
//! `cargo bench --bench embed` prints one line of JSON, microseconds each: a completion with one and with 32 under way, and a token of a stream.
#![allow(clippy::needless_pass_by_value, reason = "a miner is given its job")]
#![allow(clippy::print_stdout)] // a program that prints its figures

use std::time::Instant;

use cortensor_router::embed::{Emit, Event, HostMiner, Job, Next, Router};

const CALLS: u32 = 20_000;
const TOKENS: u32 = 200_000;
const REQUEST: &str = r#"{"prompt":"hello","model":"tiny"}"#;

/// Answers at once, where it is offered.
struct Tiny;

impl HostMiner for Tiny {
    fn on_job(&self, job: Job) {
        let _ = job.finish(r#"{"text":"x"}"#);
    }

    fn is_quick(&self) -> bool {
        true
    }
}

fn flood(job: Job) {
    for _ in 0..TOKENS {
        match job.emit(b"tok ") {
            Ok(Emit::Ok) => {}
            Ok(Emit::Full) if job.wait_writable(None).unwrap_or(false) => {}
            _ => return,
        }
    }
    let _ = job.finish("");
}

fn micros(since: Instant, count: u32) -> f64 {
    since.elapsed().as_secs_f64() * 1e6 / f64::from(count)
}

async fn calls(router: &Router, count: u32) {
    for _ in 0..count {
        router.complete(0, REQUEST).await.expect("it answers");
    }
}

fn main() -> cortensor_router::Result<()> {
    let router = Router::open(r#"{"runtime":{"log_level":"off"}}"#, None).wait()?;
    router.add_miner(r#"{"name":"tiny","models":["tiny"],"capacity":256}"#, Tiny)?;
    router.add_miner(r#"{"name":"flood","models":["flood"]}"#, flood)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let figures = runtime.block_on(async {
        calls(&router, CALLS / 10).await;
        let start = Instant::now();
        calls(&router, CALLS).await;
        let one = micros(start, CALLS);
        let start = Instant::now();
        futures_util::future::join_all((0..32).map(|_| calls(&router, CALLS / 32))).await;
        (one, micros(start, CALLS))
    });
    let start = Instant::now();
    let task = router.submit(0, r#"{"prompt":"go","model":"flood","stream":true}"#).wait()?;
    let stream = task.stream(0)?;
    let mut count = 0;
    while let Next::Event(event) = stream.next(None)? {
        count += u32::from(matches!(event, Event::Token { .. }));
    }
    assert_eq!(count, TOKENS);
    let token = micros(start, TOKENS);
    println!(r#"{{"call_c1_us":{:.2},"call_c32_us":{:.2},"token_us":{token:.3}}}"#, figures.0, figures.1);
    router.shutdown(None)
}
