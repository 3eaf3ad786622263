//! Measures the cost of a long history: a start with 100 000 queued tasks, and tasks beside a million ended ones.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use cortensor_router::TaskQuery;
use cortensor_router::config::{Config, Durability};
use cortensor_router::internals::store::{SqliteStore, Store, TaskSpec};
use cortensor_router::miner::Job;
use cortensor_router::model::{
    Answer, Fence, Gid, MinerResult, MinerSpec, Outcome as Ending, SessionId, Task, TaskId, TaskRequest, TaskState,
    Timestamp, Usage,
};
use cortensor_router::{Router, SubmitOptions};

use crate::report::{Gate, Row, median, quantile};
use crate::{Context, Outcome, runtime};

const QUEUED: u64 = 100_000;
/// The number of writes that may be outstanding while a history is made.
const AHEAD: usize = 4_096;

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn now() -> Timestamp {
    Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64))
}

pub(crate) async fn open(dir: &Path, durability: Durability) -> Outcome<Router> {
    let store = SqliteStore::open(dir, durability).map_err(text)?;
    Router::builder().config(Config::default()).store(Arc::new(store)).open().await.map_err(text)
}

/// Fills a data directory with `count` tasks, ended or not.
pub(crate) async fn fill(dir: &Path, count: u64, ended: bool) -> Outcome {
    // The router makes session 0. All else is written to the store directly, which is much faster than through the
    // router.
    open(dir, Durability::Relaxed).await?.close().await;
    let store = SqliteStore::open(dir, Durability::Relaxed).map_err(text)?;
    store.recover().await.map_err(text)?;
    let (start, mut accepting, mut finishing) = (now(), VecDeque::new(), VecDeque::new());
    for number in 1..=count {
        let new = TaskSpec {
            gid: Gid(number),
            session_id: SessionId(0),
            id: TaskId(number),
            request: Arc::new(TaskRequest::completion(format!("Say the number {number} in words."))),
            created_at: start,
            deadline: start.plus(3_600_000),
            ..TaskSpec::default()
        };
        let end = ended.then(|| Arc::new(end_of(&new)));
        accepting.push_back(store.accept(Arc::new(new)));
        finishing.extend(end.map(|end| store.finish(end)));
        if accepting.len() >= AHEAD {
            for pending in accepting.drain(..AHEAD / 2) {
                pending.await.map_err(text)?;
            }
            for pending in finishing.drain(..finishing.len() / 2) {
                pending.await.map_err(text)?;
            }
        }
    }
    for pending in accepting {
        pending.await.map_err(text)?;
    }
    for pending in finishing {
        if !pending.await.map_err(text)? {
            return Err("a task had ended already".to_owned());
        }
    }
    store.close().await.map_err(text)
}

fn end_of(new: &TaskSpec) -> Task {
    let words = "one hundred and something";
    let answer = Answer::default().text(words).usage(Usage::new(8, 4));
    Task::default()
        .gid(new.gid)
        .id(new.id)
        .session_id(new.session_id)
        .request(Arc::clone(&new.request))
        .state(TaskState::Ended)
        .outcome(Some(Ending::Ok))
        .created_at(new.created_at)
        .ended_at(Some(new.created_at.plus(1_000)))
        .deadline(new.deadline)
        .text(words.into())
        .results(vec![MinerResult::default().miner("0xa".into()).answer(answer).hash("ab".into())])
        .attempts(1)
        .fence(Fence(new.gid.0))
}

/// Measures a start that finds a long queue.
pub(crate) fn recovery(context: &Context, rows: &mut Vec<Row>) -> Outcome {
    let dir = context.fresh_dir("recovery")?;
    let runtime = runtime()?;
    runtime.block_on(fill(&dir, QUEUED, false))?;
    let mut seconds = Vec::new();
    for _ in 0..3 {
        runtime.block_on(async {
            let from = Instant::now();
            let router = open(&dir, Durability::Full).await?;
            seconds.push(from.elapsed().as_secs_f64());
            let query = TaskQuery { state: Some(TaskState::Queued), limit: 1, ..TaskQuery::default() };
            let (queued, stored) = (router.status().queued_tasks, router.tasks(query).await.map_err(text)?.total);
            if (queued, stored) != (QUEUED, QUEUED) {
                return Err(format!("{queued} tasks wait and {stored} are stored after a start that had {QUEUED}"));
            }
            router.close().await;
            Ok(())
        })?;
    }
    rows.push(Row::new("recovery", "F16 100 000 queued tasks", median(seconds), "s").gate(Gate::AtMost(2.0)));
    Ok(())
}

/// Measures tasks with a history beside tasks without one.
pub(crate) fn history(context: &Context, rows: &mut Vec<Row>) -> Outcome {
    let count = context.pick(100_000, 1_000_000);
    let (long, none) = (context.fresh_dir("history")?, context.fresh_dir("none")?);
    let runtime = runtime()?;
    runtime.block_on(fill(&long, count, true))?;
    let tasks = context.pick(500, 2_000);
    let (mut beside, mut without) = (Vec::new(), Vec::new());
    let started = runtime.block_on(async {
        let from = Instant::now();
        let old = open(&long, Durability::Full).await?;
        let started = from.elapsed().as_secs_f64();
        let new = open(&none, Durability::Full).await?;
        for router in [&old, &new] {
            let miner = |job: Job| job.finish(Answer::default().text("ok"));
            router.add_miner(MinerSpec::new("prompt", 8), miner).map_err(text)?;
        }
        // The two routers take turns task by task, so that other use of the disk affects both.
        for _ in 0..tasks {
            beside.push(run(&old).await?);
            without.push(run(&new).await?);
        }
        old.close().await;
        new.close().await;
        Ok::<_, String>(started)
    })?;
    let name = format!("{} ended tasks", if count == 1_000_000 { "1 000 000" } else { "100 000" });
    for (what, share, gate) in [("p50", 0.5, Some(1.25)), ("p99", 0.99, None)] {
        let row = Row::new("history", format!("task beside {name}, {what}"), quantile(&mut beside, share), "ms")
            .beside("without", quantile(&mut without, share));
        rows.push(match gate {
            Some(most) => row.gate(Gate::RatioAtMost(most)),
            None => row,
        });
    }
    rows.push(Row::new("history", format!("start with {name}"), started, "s"));
    Ok(())
}

/// The milliseconds that a task takes.
pub(crate) async fn run(router: &Router) -> Outcome<f64> {
    let from = Instant::now();
    let task = router.submit(SessionId(0), TaskRequest::completion("again"), SubmitOptions::default()).await;
    task.map_err(text)?.result().await.map_err(text)?;
    Ok(from.elapsed().as_secs_f64() * 1e3)
}
