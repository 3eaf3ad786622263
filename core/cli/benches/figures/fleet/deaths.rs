//! The time until the tasks of a router that is killed have ended elsewhere.

use std::net::SocketAddr;
use std::time::Duration;

use cortensor_router::miner::Job;
use cortensor_router::model::{Answer, MinerSpec};
use cortensor_router_testkit::Postgres;

use super::members::{ask, linked, open, spawn, until};
use super::text;
use crate::report::{Gate, Row};
use crate::{Context, Outcome};

const TASKS: u64 = 200;
/// The time of a task at a miner.
const TASK: Duration = Duration::from_secs(2);

pub(super) async fn measure(context: &Context, server: &Postgres, rows: &mut Vec<Row>) -> Outcome {
    let (dies, at) = spawn(context, server, "deaths", "dies", &[])?;
    let mut stay = Vec::new();
    for name in ["first", "second"] {
        let router = open(server, "deaths", name, |_| {}).await?;
        let work = |job: Job| {
            tokio::spawn(async move {
                for word in ["one ", "two ", "three"] {
                    tokio::time::sleep(TASK / 3).await;
                    job.emit(word);
                }
                job.finish(Answer::default());
            });
        };
        router.add_miner(MinerSpec::new(format!("worker-of-{name}"), 128), work).map_err(text)?;
        stay.push(router);
    }
    linked(&stay, 3, 2).await?;
    for number in 0..TASKS {
        submit(at, number)?;
    }
    // All are under way at the others' miners.
    tokio::time::sleep(TASK / 2).await;
    let killed = std::time::Instant::now();
    dies.kill();
    let open = "SELECT count(*) FROM deaths.task WHERE ended_at IS NULL";
    until(server, open, 0, Duration::from_mins(2)).await?;
    let took = killed.elapsed();
    let well = "SELECT count(*) FROM deaths.task WHERE \"end\" LIKE '%ok%'";
    until(server, well, TASKS, Duration::from_secs(1)).await?;
    linked(&stay, 2, 2).await?;
    for router in &stay {
        router.close().await;
    }
    let what = format!("F13 {TASKS} tasks of a router that is killed have ended elsewhere");
    let gate = Gate::AtMost(20.0 + TASK.as_secs_f64());
    let note = format!("each takes {} s, the lease is 10 s", TASK.as_secs());
    rows.push(Row::new("fleet", what, took.as_secs_f64(), "s").gate(gate).note(note));
    Ok(())
}

fn submit(at: SocketAddr, number: u64) -> Outcome {
    let body = format!(r#"{{"prompt":"task {number}","async":true,"session_id":0}}"#);
    let said = ask(at, "POST", "/api/v1/completions", &body)?;
    if said.starts_with("HTTP/1.1 20") { Ok(()) } else { Err(said) }
}
