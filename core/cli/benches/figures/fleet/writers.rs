//! Tasks that are accepted and end durably in a second, with one, three and ten routers on one database, and with one router
//! on a file.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cortensor_router::config::{Config, Durability};
use cortensor_router::internals::store::SqliteStore;
use cortensor_router::model::{Answer, MinerSpec, SessionId, TaskRequest};
use cortensor_router::{Router, SubmitOptions};
use cortensor_router_testkit::Postgres;
use tokio::task::JoinSet;

use super::members::open;
use super::text;
use crate::report::{Row, quantile};
use crate::{Context, Outcome};

/// The submitters of all routers together.
const SUBMITTERS: usize = 128;

/// The tasks a second, and the waits until each was acknowledged.
struct Rates {
    tasks: f64,
    accepts_ms: Vec<f64>,
}

pub(super) async fn measure(context: &Context, server: &Postgres, rows: &mut Vec<Row>) -> Outcome {
    let time = Duration::from_secs(context.pick(2, 6));
    let store = SqliteStore::open(&context.fresh_dir("writers")?, Durability::Full).map_err(text)?;
    let alone = Router::builder().config(Config::default()).store(Arc::new(store)).open().await.map_err(text)?;
    let mut sqlite = run(&[alone], time).await?;
    for count in [1, 3, 10] {
        let mut routers = Vec::new();
        for at in 0..count {
            let schema = format!("writers_{count}");
            // Each serves its own tasks.
            let change = |config: &mut Config| config.fleet.links = false;
            routers.push(open(server, &schema, &format!("router-{at}"), change).await?);
        }
        let mut rates = run(&routers, time).await?;
        let what = match count {
            1 => "tasks accepted and ended durably, 1 router".to_owned(),
            more => format!("the same, {more} routers"),
        };
        let row = Row::new("fleet", what, rates.tasks, "tasks/s");
        rows.push(if count == 1 { row.beside("SQLite", sqlite.tasks) } else { row });
        let row =
            Row::new("fleet", format!("accept p99, {count} routers"), quantile(&mut rates.accepts_ms, 0.99), "ms");
        let reference = quantile(&mut sqlite.accepts_ms, 0.99);
        rows.push(if count == 1 { row.beside("SQLite", reference) } else { row });
    }
    Ok(())
}

/// Lets each submitter submit again as soon as its task has ended, and closes the routers.
async fn run(routers: &[Router], time: Duration) -> Outcome<Rates> {
    for router in routers {
        let spec = MinerSpec::new("at-once", 4_096);
        let work = |job: cortensor_router::miner::Job| {
            job.emit("x".repeat(512));
            job.finish(Answer::default());
        };
        router.add_miner(spec, work).map_err(text)?;
    }
    let until = Instant::now() + time;
    let mut running = JoinSet::new();
    for number in 0..SUBMITTERS {
        let router = routers[number % routers.len()].clone();
        running.spawn(async move {
            let mut waits = Vec::new();
            while Instant::now() < until {
                let request = TaskRequest::completion(format!("{number:01024}"));
                let from = Instant::now();
                let options = SubmitOptions::default().detach(true);
                let task = router.submit(SessionId(0), request, options).await.map_err(text)?;
                task.accepted().await.map_err(text)?;
                waits.push(from.elapsed().as_secs_f64() * 1e3);
                task.result().await.map_err(text)?;
            }
            Outcome::Ok(waits)
        });
    }
    let from = Instant::now();
    let mut accepts_ms = Vec::new();
    while let Some(done) = running.join_next().await {
        accepts_ms.extend(done.map_err(text)??);
    }
    let tasks = accepts_ms.len() as f64 / from.elapsed().as_secs_f64();
    for router in routers {
        router.close().await;
    }
    Ok(Rates { tasks, accepts_ms })
}
