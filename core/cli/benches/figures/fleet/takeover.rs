//! The time until ten thousand tasks that nobody owns have owners again.

use std::time::Duration;

use cortensor_router::SubmitOptions;
use cortensor_router::miner::Job;
use cortensor_router::model::{Answer, MinerSpec, SessionId, TaskRequest};
use cortensor_router_testkit::Postgres;
use parking_lot::Mutex;

use super::members::{linked, open, until};
use super::text;
use crate::report::{Gate, Row};
use crate::{Context, Outcome};

const TASKS: u64 = 10_000;
/// The tasks that wait for the database at once.
const AT_ONCE: usize = 256;

pub(super) async fn measure(context: &Context, server: &Postgres, rows: &mut Vec<Row>) -> Outcome {
    let tasks = context.pick(TASKS / 5, TASKS);
    let leaves = open(server, "takeover", "leaves", |config| config.fleet.links = false).await?;
    // Its one miner keeps its one job, so that all other tasks wait here.
    let kept: &'static Mutex<Vec<Job>> = Box::leak(Box::default());
    leaves.add_miner(MinerSpec::new("keeper", 1), |job| kept.lock().push(job)).map_err(text)?;
    let mut left = tasks;
    while left > 0 {
        let mut accepted = Vec::new();
        for _ in 0..left.min(AT_ONCE as u64) {
            let request = TaskRequest::completion(format!("{left:01024}")).timeout(3_600.0);
            let options = SubmitOptions::default().detach(true);
            accepted.push(leaves.submit(SessionId(0), request, options).await.map_err(text)?);
        }
        left -= accepted.len() as u64;
        for task in accepted {
            task.accepted().await.map_err(text)?;
        }
    }
    let mut stay = Vec::new();
    for name in ["first", "second"] {
        let router = open(server, "takeover", name, |config| config.fleet.lend = false).await?;
        let work = |job: Job| {
            job.emit("done");
            job.finish(Answer::default());
        };
        router.add_miner(MinerSpec::new("worker", 20_000), work).map_err(text)?;
        stay.push(router);
    }
    let from = std::time::Instant::now();
    while stay[0].status().fleet.members < 3 {
        if from.elapsed() > Duration::from_secs(20) {
            return Err("the routers do not see each other".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    leaves.close().await;
    kept.lock().clear();
    let unowned = "SELECT count(*) FROM takeover.task WHERE owner = 0 AND ended_at IS NULL";
    let owned = until(server, unowned, 0, Duration::from_mins(2)).await?;
    let open = "SELECT count(*) FROM takeover.task WHERE ended_at IS NULL";
    let ended = owned + until(server, open, 0, Duration::from_mins(2)).await?;
    linked(&stay, 2, 0).await?;
    for router in &stay {
        router.close().await;
    }
    let row = Row::new("fleet", format!("takeover of {tasks} orphans by 2 routers"), owned.as_secs_f64(), "s");
    rows.push(row.gate(Gate::AtMost(5.0)).note(format!("all had ended after {:.1} s", ended.as_secs_f64())));
    Ok(())
}
