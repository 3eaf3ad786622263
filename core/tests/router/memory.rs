//! The data that the router holds for its callers: bounded in bytes, counted exactly, and given back.

use std::num::NonZeroU64;
use std::sync::Arc;

use cortensor_router::config::Durability;
use cortensor_router::config::LimitsConfig;
use cortensor_router::miner::{Emit, FailClass, Failure, Job};
use cortensor_router::model::{Answer, MinerSpec, Retention, SessionSpec, TaskRequest};
use cortensor_router::{Config, ErrorKind, Router, StreamEvent, SubmitOptions};
use parking_lot::Mutex;
use proptest::prelude::*;

use super::{DEFAULT, on_disk};

const KIB: u64 = 1 << 10;

fn bounded(limits: LimitsConfig) -> Config {
    Config::default().limits(limits)
}

/// The number of bytes that the router counts.
fn held(router: &Router) -> u64 {
    let text = router.metrics_text();
    let line = text.lines().find_map(|line| line.strip_prefix("cortensor_held_bytes ")).unwrap();
    line.parse().unwrap()
}

/// A miner that keeps its jobs until the test ends them.
fn keeper(router: &Router) -> Arc<Mutex<Vec<Job>>> {
    keeper_called(router, "keeper")
}

fn keeper_called(router: &Router, name: &str) -> Arc<Mutex<Vec<Job>>> {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let jobs = kept.clone();
    router.add_miner(MinerSpec::new(name, 1_000), move |job: Job| jobs.lock().push(job)).unwrap();
    kept
}

fn prompt(bytes: u64) -> TaskRequest {
    TaskRequest::completion("x".repeat(bytes as usize))
}

#[tokio::test]
async fn work_that_does_not_fit_is_refused_until_other_work_ends() {
    let limits = LimitsConfig::default().max_memory_bytes(NonZeroU64::new(1_024 * KIB));
    let router = Router::open(bounded(limits)).await.unwrap();
    let kept = keeper(&router);
    let mut tasks = Vec::new();
    let refused = loop {
        match router.submit(DEFAULT, prompt(100 * KIB), SubmitOptions::default()).await {
            Ok(task) => tasks.push(task),
            Err(error) => break error,
        }
        assert!(tasks.len() < 100, "the bound is met");
    };
    assert_eq!(tasks.len(), 8, "seven eighths of 1 MiB");
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Overloaded, "memory_full"));
    assert!(refused.details().retry_after_ms.is_some());
    assert!(refused.message().contains("limits.max_memory_bytes"), "{refused}");

    // A small task still fits, and a task that ends makes room: ended tasks are dropped when new ones need their place.
    router.submit(DEFAULT, prompt(KIB), SubmitOptions::default().detach(true)).await.unwrap();
    kept.lock().remove(0).finish(Answer::default().text("done"));
    tasks.remove(0).result().await.unwrap();
    router.submit(DEFAULT, prompt(100 * KIB), SubmitOptions::default().detach(true)).await.unwrap();
    router.close().await;
}

#[tokio::test]
async fn an_answer_that_outgrows_the_router_fails_and_nothing_else_does() {
    let limits = LimitsConfig::default().max_memory_bytes(NonZeroU64::new(512 * KIB));
    let mut config = bounded(limits);
    config.dispatch.max_attempts = 1;
    let router = Router::open(config).await.unwrap();
    let kept = keeper(&router);
    let large = router.submit(DEFAULT, prompt(1), SubmitOptions::default()).await.unwrap();
    let small = router.submit(DEFAULT, prompt(1), SubmitOptions::default()).await.unwrap();
    let mut jobs = std::mem::take(&mut *kept.lock());
    let (second, first) = (jobs.pop().unwrap(), jobs.pop().unwrap());
    let piece = "y".repeat(16 << 10);
    let taken = (0..1_000).take_while(|_| first.emit(piece.clone()) != Emit::Cancelled).count();
    assert!((16..=32).contains(&taken), "{taken} pieces of 16 KiB");
    let error = large.result().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded, "{error}");
    assert!(error.message().contains("limits.max_memory_bytes"), "{error}");
    second.finish(Answer::default().text("fine"));
    assert_eq!(small.result().await.unwrap().answer.text, "fine");
    router.close().await;
}

#[tokio::test]
async fn every_answer_under_way_counts_and_a_void_one_no_more() {
    let router =
        Router::open(bounded(LimitsConfig::default().max_memory_bytes(NonZeroU64::new(4_096 * KIB)))).await.unwrap();
    let kept = keeper(&router);
    let others = keeper_called(&router, "other");
    let request = prompt(1).stream(true).max_miners(2);
    let task = router.submit(DEFAULT, request, SubmitOptions::default()).await.unwrap();
    let (one, other) = (kept.lock().remove(0), others.lock().remove(0));
    let before = held(&router);
    for (job, bytes) in [(&one, 200 * KIB), (&other, 400 * KIB)] {
        assert_eq!(job.emit("y".repeat(200 << 10)), Emit::Ok);
        assert!(held(&router) >= before + bytes, "{} bytes are held", held(&router) - before);
    }
    // One of the two is streamed. It is lost, and the other miner has the task already.
    let (streamed, aside) = if one.info().stream { (one, other) } else { (other, one) };
    streamed.fail(Failure::new(FailClass::Invalid, "no"));
    let left = held(&router) - before;
    assert!((200 * KIB..300 * KIB).contains(&left), "{left} bytes are held after the text is void");
    aside.finish(Answer::default());
    assert_eq!(task.result().await.unwrap().text().len(), 200 << 10);
    router.close().await;
}

#[tokio::test]
async fn ended_tasks_are_kept_by_their_bytes_and_their_results_stay() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = on_disk(dir.path());
    config.storage.durability = Durability::Relaxed;
    config.limits.recent_bytes = 1_024 * KIB;
    let router = Router::open(config).await.unwrap();
    router
        .add_miner(MinerSpec::new("long", 1), |job: Job| {
            for _ in 0..10 {
                job.emit("z".repeat(10 << 10));
            }
            job.finish(Answer::default());
        })
        .unwrap();
    let mut ids = Vec::new();
    for _ in 0..40 {
        let task = router.submit(DEFAULT, prompt(100 * KIB), SubmitOptions::default()).await.unwrap();
        ids.push(task.task_id());
        task.result().await.unwrap();
    }
    assert!(held(&router) <= 1_024 * KIB, "{} bytes are held", held(&router));
    assert!(held(&router) >= 512 * KIB, "there is room for several: {}", held(&router));
    // The newest task is in memory piece by piece; the first one comes from the store, in one piece.
    for (id, pieces) in [(ids[39], 10), (ids[0], 1)] {
        let task = router.attach(DEFAULT, id).await.unwrap();
        let (mut stream, mut tokens) = (task.stream(), 0);
        while let Some(batch) = stream.next_batch().await {
            tokens += batch.iter().filter(|event| matches!(event, StreamEvent::Token { .. })).count();
        }
        assert_eq!(tokens, pieces, "task {id}");
        assert_eq!(task.result().await.unwrap().answer.text.len(), 100 << 10);
    }
    router.close().await;
}

#[tokio::test]
async fn a_task_stays_only_if_the_store_has_less_of_it() {
    let router = Router::open(Config::default()).await.unwrap();
    for (model, pieces) in [("one", 1), ("two", 2), ("none", 0)] {
        let answer = move |job: Job| {
            for _ in 0..pieces {
                job.emit("word ");
            }
            job.finish(if pieces == 0 { Answer::default().text("word") } else { Answer::default() });
        };
        router.add_miner(MinerSpec::new(model, 1).models([model]), answer).unwrap();
    }
    let kept = keeper(&router);
    let spec = SessionSpec::default().name("short").retention(Retention::Result);
    let short = router.create_session(spec).await.unwrap().id;
    let (plain, once) = (SubmitOptions::default(), SubmitOptions::default().idempotency_key("once"));
    for (what, session, model, options, is_read, stays) in [
        ("a whole answer", DEFAULT, "none", &plain, false, false),
        ("one piece", DEFAULT, "one", &plain, false, false),
        ("two pieces", DEFAULT, "two", &plain, false, true),
        ("one piece that was read", DEFAULT, "later", &plain, true, true),
        ("an answer under a key", DEFAULT, "none", &once, false, true),
        ("a session that keeps less", short, "none", &plain, false, true),
    ] {
        let before = held(&router);
        let request = TaskRequest::completion("say").model(model);
        let task = router.submit(session, request, options.clone()).await.unwrap();
        if is_read {
            let (mut stream, job) = (task.stream(), kept.lock().pop().unwrap());
            job.emit("word ");
            stream.next_batch().await.unwrap();
            job.finish(Answer::default());
            while stream.next_batch().await.is_some() {}
        }
        let (id, said) = (task.task_id(), task.result().await.unwrap());
        drop(task);
        assert_eq!(held(&router) > before, stays, "{what}");
        // Whether memory or store gives it, a reader gets the same text and the same end.
        let again = router.attach(session, id).await.unwrap();
        let (mut stream, mut text) = (again.stream(), String::new());
        while let Some(batch) = stream.next_batch().await {
            for event in batch {
                match event {
                    StreamEvent::Token { text: piece, .. } => text += &piece,
                    StreamEvent::End(end) => assert_eq!(end.unwrap().answer.usage, said.answer.usage, "{what}"),
                    other => panic!("{what}: {other:?}"),
                }
            }
        }
        assert_eq!((text.as_str(), again.state().text.as_str()), (said.text(), said.text()), "{what}");
    }
    router.close().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However tasks end, no byte is held when none is left.
    #[test]
    fn all_that_was_held_is_given_back(ends in prop::collection::vec((0_u8..5, 1_u64..20_000, 0_usize..20_000), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let limits = LimitsConfig::default().recent_tasks(0).max_memory_bytes(NonZeroU64::new(256 * KIB));
            let mut config = bounded(limits);
            config.dispatch.max_attempts = 1;
            let router = Router::open(config).await.unwrap();
            let kept = keeper(&router);
            let mut tasks = Vec::new();
            for (end, asked, said) in ends {
                let Ok(task) = router.submit(DEFAULT, prompt(asked), SubmitOptions::default()).await else {
                    // The oldest task makes room.
                    tasks.drain(..).for_each(|task: cortensor_router::Submission| task.cancel());
                    kept.lock().clear();
                    continue;
                };
                tasks.push(task);
                let task = tasks.last().unwrap();
                // The miner rests after many failures.
                let Some(job) = kept.lock().pop() else { continue };
                job.emit("w".repeat(said));
                match end {
                    0 => job.finish(Answer::default()),
                    1 => drop(job),
                    2 => task.cancel(),
                    3 => kept.lock().push(job),
                    _ => task.detach(),
                }
                // The piece that does not fit is still held when it is refused.
                assert!(held(&router) <= 256 * KIB + 20_000, "{}", held(&router));
            }
            tasks.iter().for_each(cortensor_router::Submission::cancel);
            kept.lock().clear();
            for task in &tasks {
                let _ = task.result().await;
            }
            drop(tasks);
            assert_eq!(held(&router), 0);
            router.close().await;
        });
    }
}
