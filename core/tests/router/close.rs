//! The close of a router: detached tasks stay unfinished in their store and run at the next start, whatever their miners
//! do meanwhile, and no miner gets another task.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cortensor_router::miner::{FailClass, Failure, Job};
use cortensor_router::model::{Answer, MinerSpec, OnFailure, TaskId, TaskRequest, TaskState};
use cortensor_router::{Config, ErrorKind, Router, StreamEvent, SubmitOptions};

use super::{DEFAULT, on_disk, words};

/// A miner that says a word, and fails as a model server does whose request is aborted. It counts its jobs.
fn aborts(jobs: &Arc<AtomicUsize>) -> impl Fn(Job) + Send + Sync + 'static {
    let jobs = jobs.clone();
    move |job| {
        jobs.fetch_add(1, Ordering::Relaxed);
        job.emit("half ");
        tokio::spawn(async move {
            job.cancelled().await;
            job.fail(Failure::new(FailClass::Cancelled, "the request was aborted"));
        });
    }
}

/// Submits that many detached tasks. Returns their ids.
async fn detached(router: &Router, tasks: usize) -> Vec<TaskId> {
    let mut ids = Vec::new();
    for number in 0..tasks {
        let request = TaskRequest::completion(format!("whole {number}")).stream(true).on_failure(OnFailure::Fail);
        let task = router.submit(DEFAULT, request, SubmitOptions::default().detach(true)).await.unwrap();
        task.accepted().await.unwrap();
        ids.push(task.task_id());
    }
    ids
}

/// Opens the router again and checks that each of these tasks runs from the beginning.
async fn run_again(config: Config, ids: &[TaskId]) {
    let router = Router::open(config).await.unwrap();
    for id in ids {
        let task = router.task(DEFAULT, *id).await.unwrap();
        assert_eq!((task.state, task.outcome, task.error), (TaskState::Queued, None, None), "task {id}");
    }
    router.add_miner(MinerSpec::new("words", 64), words).unwrap();
    for id in ids {
        let end = router.attach(DEFAULT, *id).await.unwrap().result().await.unwrap();
        assert!(end.text().starts_with("whole "), "task {id}: {:?}", end.text());
    }
    router.close().await;
}

#[tokio::test]
async fn a_detached_task_that_a_reader_has_seen_runs_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = on_disk(dir.path());
    config.dispatch.max_attempts = 1;
    let router = Router::open(config.clone()).await.unwrap();
    router.add_miner(MinerSpec::new("aborts", 1), aborts(&Arc::default())).unwrap();
    let ids = detached(&router, 1).await;
    let mut stream = router.attach(DEFAULT, ids[0]).await.unwrap().stream();
    let batch = stream.next_batch().await.unwrap();
    assert!(matches!(&batch[..], [StreamEvent::Token { text, .. }] if text == "half "), "{batch:?}");
    router.close().await;
    let batch = stream.next_batch().await.unwrap();
    assert!(matches!(&batch[..], [StreamEvent::End(Err(end))] if end.kind() == ErrorKind::Closed), "{batch:?}");
    drop(router);
    run_again(config, &ids).await;
}

#[tokio::test]
async fn more_detached_tasks_run_again_than_the_budget_of_retries_has_room_for() {
    let dir = tempfile::tempdir().unwrap();
    let config = on_disk(dir.path());
    let router = Router::open(config.clone()).await.unwrap();
    let jobs = Arc::default();
    for name in ["a", "b", "c"] {
        router.add_miner(MinerSpec::new(name, 20), aborts(&jobs)).unwrap();
    }
    let ids = detached(&router, 60).await;
    assert_eq!(jobs.load(Ordering::Relaxed), 60);
    router.close().await;
    assert_eq!(jobs.load(Ordering::Relaxed), 60, "nothing is tried again during the close");
    drop(router);
    run_again(config, &ids).await;
}

#[tokio::test]
async fn no_task_that_waits_goes_to_a_miner_that_the_close_frees() {
    for keeps in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let config = if keeps { on_disk(dir.path()) } else { Config::default() };
        let router = Router::open(config).await.unwrap();
        let jobs = Arc::default();
        router.add_miner(MinerSpec::new("aborts", 1), aborts(&jobs)).unwrap();
        let mut callers = Vec::new();
        for id in detached(&router, 20).await {
            callers.push(router.attach(DEFAULT, id).await.unwrap());
        }
        router.close().await;
        assert_eq!(jobs.load(Ordering::Relaxed), 1, "one slot, and one task was offered");
        for caller in callers {
            // A store in memory keeps no task for a next start.
            let told = if keeps { ErrorKind::Closed } else { ErrorKind::Cancelled };
            assert_eq!(caller.result().await.unwrap_err().kind(), told);
        }
    }
}

#[tokio::test]
async fn an_answer_that_comes_during_the_close_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let config = on_disk(dir.path());
    let router = Router::open(config.clone()).await.unwrap();
    let finishes = |job: Job| {
        tokio::spawn(async move {
            job.cancelled().await;
            job.finish(Answer::default().text("too late"));
        });
    };
    router.add_miner(MinerSpec::new("late", 4), finishes).unwrap();
    let ids = detached(&router, 4).await;
    router.close().await;
    drop(router);
    run_again(config, &ids).await;
}
