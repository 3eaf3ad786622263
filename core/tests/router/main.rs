//! The router as a Rust program uses it: submit, stream, cancel, retry, keys, restart.

#![allow(clippy::unwrap_used)] // a test fails by panicking

mod borrowed;
mod close;
mod closed;
mod doubtful;
mod links;
mod memory;
mod session_quota;
mod unwritten;
mod with_end;
mod written_again;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cortensor_router::TaskQuery;
use cortensor_router::config::Durability;
use cortensor_router::config::StorageConfig;
use cortensor_router::internals::store::{MemoryStore, Store as _};
use cortensor_router::miner::{FailClass, Failure, Job};
use cortensor_router::model::{
    Answer, MinerSpec, Outcome, Session, SessionId, SessionPatch, SessionSpec, Standing, TaskRequest, TaskState,
    Timestamp,
};
use cortensor_router::{Config, ErrorKind, Router, SessionFilter, StreamEvent, SubmitOptions};

const DEFAULT: SessionId = SessionId(0);

fn words(job: Job) {
    for word in job.prompt().split_inclusive(' ') {
        job.emit(word);
    }
    job.finish(Answer::default());
}

async fn open() -> Router {
    Router::open(Config::default()).await.unwrap()
}

fn on_disk(dir: &std::path::Path) -> Config {
    Config::default().storage(StorageConfig::default().data_dir(Some(dir.to_owned())).durability(Durability::Full))
}

#[tokio::test]
async fn tokens_come_in_order_and_add_up_to_the_result() {
    let router = open().await;
    router.add_miner(MinerSpec::new("words", 2), words).unwrap();
    let request = TaskRequest::completion("one two three").stream(true);
    let task = router.submit(DEFAULT, request, SubmitOptions::default()).await.unwrap();
    task.accepted().await.unwrap();
    let mut stream = task.stream();
    let (mut text, mut seqs, mut ends) = (String::new(), Vec::new(), 0);
    while let Some(batch) = stream.next_batch().await {
        for event in batch {
            match event {
                StreamEvent::Token { seq, text: piece, .. } => {
                    seqs.push(seq);
                    text.push_str(&piece);
                }
                StreamEvent::End(end) => {
                    ends += 1;
                    assert_eq!(end.unwrap().answer.text, "one two three");
                }
                other => panic!("nothing else comes here: {other:?}"),
            }
        }
    }
    assert_eq!((text.as_str(), seqs.as_slice(), ends), ("one two three", &[1, 2, 3][..], 1));
    let mut resumed = task.stream_after(2);
    let batch = resumed.next_batch().await.unwrap();
    assert!(matches!(&batch[0], StreamEvent::Token { seq: 3, text, .. } if text == "three"));
    let stored = router.task(DEFAULT, task.task_id()).await.unwrap();
    assert_eq!(
        (stored.state, stored.outcome, stored.text.as_str()),
        (TaskState::Ended, Some(Outcome::Ok), "one two three")
    );
    router.close().await;
}

#[tokio::test]
async fn a_stream_gives_event_by_event_and_batches_go_on_where_it_is() {
    use futures_util::StreamExt as _;
    let router = open().await;
    router.add_miner(MinerSpec::new("words", 2), words).unwrap();
    let request = TaskRequest::completion("one two three").stream(true);
    let task = router.submit(DEFAULT, request, SubmitOptions::default()).await.unwrap();
    assert_eq!(task.result().await.unwrap().text(), "one two three");
    let mut stream = task.stream();
    assert!(matches!(stream.next().await, Some(StreamEvent::Token { seq: 1, text, .. }) if text == "one "));
    assert_eq!(stream.last_seq(), 1, "the pieces behind it are not given yet");
    let batch = stream.next_batch().await.unwrap();
    assert!(matches!(
        &batch[..],
        [StreamEvent::Token { seq: 2, .. }, StreamEvent::Token { seq: 3, .. }, StreamEvent::End(Ok(_))]
    ));
    assert_eq!(stream.last_seq(), 3);
    assert!(stream.next().await.is_none() && stream.next_batch().await.is_none());
    router.close().await;
}

#[tokio::test]
async fn a_prompt_alone_is_completed_in_a_session_of_the_routers_choice() {
    let router = Router::open(Config::default().completion_sessions(vec![1])).await.unwrap();
    router.add_miner(MinerSpec::new("words", 2), words).unwrap();
    let answer = router.complete("one two").await.unwrap();
    assert_eq!((answer.text(), answer.session_id), ("one two", SessionId(1)));
    router.close().await;
}

#[tokio::test]
async fn a_failed_attempt_goes_to_another_miner() {
    let router = open().await;
    router
        .add_miner(MinerSpec::new("broken", 1), |job: Job| job.fail(Failure::new(FailClass::Internal, "no")))
        .unwrap();
    router.add_miner(MinerSpec::new("words", 1), words).unwrap();
    for _ in 0..4 {
        let task = router.submit(DEFAULT, TaskRequest::completion("hi"), SubmitOptions::default()).await.unwrap();
        assert_eq!(task.result().await.unwrap().answer.text, "hi");
    }
    router.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_every_miner_fails_says_the_last_ones_words() {
    let router = open().await;
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    router
        .add_miner(MinerSpec::new("broken", 1), move |job: Job| {
            count.fetch_add(1, Ordering::Relaxed);
            job.fail(Failure::new(FailClass::Internal, "out of memory"));
        })
        .unwrap();
    let task = router.submit(DEFAULT, TaskRequest::completion("hi"), SubmitOptions::default()).await.unwrap();
    let error = task.result().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MinerFailed);
    assert!(error.message().contains("out of memory"), "{error}");
    assert_eq!(error.details().task_id, Some(task.task_id()));
    assert_eq!(calls.load(Ordering::Relaxed), 3);
    router.close().await;
}

#[tokio::test]
async fn dropping_the_submission_stops_the_miner() {
    let router = open().await;
    let (jobs, mut taken) = tokio::sync::mpsc::unbounded_channel::<Job>();
    router.add_miner(MinerSpec::new("slow", 1), move |job: Job| jobs.send(job).unwrap()).unwrap();
    let task = router.submit(DEFAULT, TaskRequest::completion("hi"), SubmitOptions::default()).await.unwrap();
    let id = task.task_id();
    let job = taken.recv().await.unwrap();
    assert!(!job.is_cancelled());
    drop(task);
    tokio::time::timeout(Duration::from_secs(5), job.cancelled()).await.unwrap();
    let ended = router.attach(DEFAULT, id).await.unwrap().result().await.unwrap_err();
    assert_eq!(ended.kind(), ErrorKind::Cancelled);
    router.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_past_its_deadline_times_out_with_its_ids() {
    let router = open().await;
    let (jobs, mut taken) = tokio::sync::mpsc::unbounded_channel::<Job>();
    router.add_miner(MinerSpec::new("slow", 1), move |job: Job| jobs.send(job).unwrap()).unwrap();
    let request = TaskRequest::completion("hi").timeout(2.0);
    let task = router.submit(DEFAULT, request, SubmitOptions::default()).await.unwrap();
    let error = task.result().await.unwrap_err();
    assert_eq!((error.kind(), error.details().session_id), (ErrorKind::Timeout, Some(DEFAULT)));
    assert!(taken.recv().await.unwrap().is_cancelled());
    router.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_moved_changes_no_time_that_a_miner_has_left() {
    let router = open().await;
    let (jobs, mut taken) = tokio::sync::mpsc::unbounded_channel::<Job>();
    router.add_miner(MinerSpec::new("slow", 1), move |job: Job| jobs.send(job).unwrap()).unwrap();
    // The router's clock is an hour ahead of the system's now, as if somebody had set that one back.
    tokio::time::advance(Duration::from_hours(1)).await;
    let request = TaskRequest::completion("hi").timeout(10.0);
    let _task = router.submit(DEFAULT, request, SubmitOptions::default()).await.unwrap();
    let deadline = taken.recv().await.unwrap().info().deadline;
    let left = deadline.since(Timestamp::wall_clock());
    assert!((8_000..=10_000).contains(&left), "{left} ms are left");
    router.close().await;
}

#[tokio::test]
async fn the_same_key_joins_the_same_task_and_another_request_is_refused() {
    let router = open().await;
    router.add_miner(MinerSpec::new("words", 4), words).unwrap();
    let options = SubmitOptions::default().idempotency_key("k").scope("test");
    let first = router.submit(DEFAULT, TaskRequest::completion("a b"), options.clone()).await.unwrap();
    assert_eq!(first.result().await.unwrap().answer.text, "a b");
    let again = router.submit(DEFAULT, TaskRequest::completion("a b"), options.clone()).await.unwrap();
    assert!(again.joined());
    assert_eq!(again.gid(), first.gid());
    assert_eq!(again.result().await.unwrap().answer.text, "a b");
    let other = router.submit(DEFAULT, TaskRequest::completion("c"), options).await.unwrap_err();
    assert_eq!(other.kind(), ErrorKind::IdempotencyMismatch);
    router.close().await;
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_with_a_reason() {
    let router = open().await;
    let submit = |request| router.submit(DEFAULT, request, SubmitOptions::default());
    let error = submit(TaskRequest::completion("hi")).await.unwrap().result().await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, "no_miner"));
    router.add_miner(MinerSpec::new("words", 1).models(["tiny"]), words).unwrap();
    let error = submit(TaskRequest::completion("hi").model("huge")).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::NotFound, "model_not_found"));
    let error = submit(TaskRequest::completion("hi").timeout(-1.0)).await.unwrap_err();
    assert_eq!(error.details().param.as_deref(), Some("timeout"));
    let session = router.create_session(SessionSpec::default().name("s")).await.unwrap();
    router.close_session(session.id).await.unwrap();
    let error = router.submit(session.id, TaskRequest::completion("hi"), SubmitOptions::default()).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, "session_closed"));
    router.close().await;
    let error = router.submit(DEFAULT, TaskRequest::completion("hi"), SubmitOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn accepted_tasks_and_results_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let router = Router::open(on_disk(dir.path())).await.unwrap();
    router.add_miner(MinerSpec::new("first", 1).models(["a"]), words).unwrap();
    router.add_miner(MinerSpec::new("never", 1).models(["b"]), |job: Job| std::mem::forget(job)).unwrap();
    let session = router.create_session(SessionSpec::default().name("kept")).await.unwrap();
    let detach = SubmitOptions::default().detach(true);
    let done = TaskRequest::completion("done before").model("a");
    let done = router.submit(session.id, done, detach.clone()).await.unwrap();
    assert_eq!(done.result().await.unwrap().answer.text, "done before");
    let open = TaskRequest::completion("done after").model("b");
    let open = router.submit(session.id, open, detach).await.unwrap();
    open.accepted().await.unwrap();
    let (done_id, open_id, gid_before) = (done.task_id(), open.task_id(), open.gid());
    drop((done, open));
    router.close().await;
    drop(router);

    let router = Router::open(on_disk(dir.path())).await.unwrap();
    router.add_miner(MinerSpec::new("second", 1), words).unwrap();
    let again = router.attach(session.id, open_id).await.unwrap();
    assert_eq!(again.gid(), gid_before);
    assert_eq!(again.result().await.unwrap().answer.text, "done after");
    let kept = router.attach(session.id, done_id).await.unwrap().result().await.unwrap();
    assert_eq!(kept.answer.text, "done before");
    let page = router.tasks(TaskQuery { session_id: session.id, limit: 10, ..TaskQuery::default() }).await.unwrap();
    assert_eq!((page.total, page.tasks.len()), (2, 2));
    let next = router.submit(session.id, TaskRequest::completion("x"), SubmitOptions::default()).await.unwrap();
    assert_eq!(next.task_id().0, open_id.0 + 1);
    next.result().await.unwrap();
    router.close().await;
}

#[tokio::test]
async fn max_miners_is_the_most_and_not_a_demand() {
    let router = open().await;
    for (there, name) in [(1, "a"), (2, "b"), (3, "c")] {
        router.add_miner(MinerSpec::new(name, 4), words).unwrap();
        for most in [1, 2, 5, 15, u32::MAX] {
            let request = TaskRequest::completion("same words").max_miners(most);
            let task = router.submit(DEFAULT, request, SubmitOptions::default()).await.unwrap();
            let completion = task.result().await.unwrap();
            let wanted = most.min(there);
            let answers = completion.alternatives.len().max(1);
            assert_eq!(answers, wanted as usize, "at most {most} of {there}");
            let record = router.task(DEFAULT, task.task_id()).await.unwrap();
            assert_eq!(record.request.max_miners, Some(wanted), "a restart asks for no more");
            if wanted > 1 {
                assert_eq!(completion.verdict.unwrap().verdict, Standing::Agreed, "of those that were asked");
            }
        }
    }
    let none = TaskRequest::completion("x").max_miners(0);
    let error = router.submit(DEFAULT, none, SubmitOptions::default()).await.unwrap_err();
    assert_eq!(error.details().param.as_deref(), Some("max_miners"));
    let spec = SessionSpec::default().name("four").redundant(4);
    let session = router.create_session(spec).await.unwrap();
    let error = router.submit(session.id, TaskRequest::completion("x"), SubmitOptions::default()).await.unwrap_err();
    assert_eq!(error.code(), "too_few_miners", "a session's redundant is a demand");
    router.close().await;
}

#[tokio::test]
async fn a_session_1_of_an_older_store_is_kept_as_it_is() {
    let store = Arc::new(MemoryStore::new(0));
    let spec = SessionSpec::default().name("mine").weight(7).validated().unwrap();
    let old = Session::new(SessionId(1), "0xab".into(), spec, Timestamp(0));
    store.put_session(old, None).await.unwrap();
    let router = Router::builder().store(store).open().await.unwrap();
    let kept = router.session(SessionId(1)).unwrap();
    assert_eq!((kept.spec.name.as_str(), kept.spec.weight, kept.sid.as_str()), ("mine", 7, "0xab"));
    let (listed, count) = router.sessions(&SessionFilter::default());
    assert_eq!((listed[0].id, count), (SessionId(1), 1), "session 0 is not used yet");
    let next = router.create_session(SessionSpec::default().name("next")).await.unwrap();
    assert_eq!(next.id, SessionId(2));
    router.close().await;
}

#[tokio::test]
async fn several_miners_answer_where_several_are_wanted() {
    let router = open().await;
    for name in ["a", "b", "c"] {
        router.add_miner(MinerSpec::new(name, 1), words).unwrap();
    }
    let request = TaskRequest::completion("same words").max_miners(3);
    let task = router.submit(DEFAULT, request, SubmitOptions::default()).await.unwrap();
    let completion = task.result().await.unwrap();
    let mut miners: Vec<_> = completion.alternatives.iter().map(|(miner, _)| miner.clone()).collect();
    miners.dedup();
    assert_eq!(miners.len(), 3);
    assert_eq!(completion.verdict.unwrap().verdict, Standing::Agreed);
    router.close().await;
}

#[tokio::test]
async fn a_long_queue_behind_a_miner_that_answers_inline_does_not_overflow_the_stack() {
    let router = open().await;
    let handle = router.add_miner(MinerSpec::new("words", 1), words).unwrap();
    handle.set_up(false);
    let mut tasks = Vec::new();
    for _ in 0..5_000 {
        tasks.push(router.submit(DEFAULT, TaskRequest::completion("x"), SubmitOptions::default()).await.unwrap());
    }
    handle.set_up(true);
    for task in tasks {
        assert_eq!(task.result().await.unwrap().answer.text, "x");
    }
    router.close().await;
}

#[tokio::test]
async fn changes_of_a_session_do_not_undo_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let router = Router::open(on_disk(dir.path())).await.unwrap();
    let spec = SessionSpec::default().name("before");
    let id = router.create_session(spec).await.unwrap().id;
    let patch = SessionPatch::default().name(Some("after".into()));
    let (closed, renamed) = tokio::join!(router.close_session(id), router.update_session(id, patch));
    closed.unwrap();
    renamed.unwrap();
    // A change that is not awaited is done too, in memory and in the store.
    {
        let change = router.update_session(id, SessionPatch::default().priority(Some(1)));
        tokio::pin!(change);
        tokio::select! {
            biased;
            _ = &mut change => panic!("it is in the store before anybody asked"),
            () = std::future::ready(()) => {}
        }
    }
    router.close().await;
    let in_memory = router.session(id).unwrap();
    let router = Router::open(on_disk(dir.path())).await.unwrap();
    let session = router.session(id).unwrap();
    for session in [in_memory, session] {
        assert_eq!((session.spec.name.as_str(), session.active, session.spec.priority), ("after", false, 1));
    }
    router.close().await;
}

/// A miner may hold on to these after it has answered: they must not wait for a change that cannot come.
#[tokio::test]
async fn waits_of_a_job_end_with_its_task() {
    let router = open().await;
    let (give, mut taken) = tokio::sync::mpsc::unbounded_channel();
    router
        .add_miner(MinerSpec::new("one", 1), move |job: Job| {
            give.send((job.cancelled(), job.writable())).unwrap();
            job.emit("done");
            job.finish(Answer::default());
        })
        .unwrap();
    assert_eq!(router.complete("hi").await.unwrap().text(), "done");
    let (cancelled, writable) = taken.recv().await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), async { tokio::join!(cancelled, writable) }).await.unwrap();
    router.close().await;
}
