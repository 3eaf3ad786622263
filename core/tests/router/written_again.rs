//! Ends that the store refuses at first: they are written again, or their tasks run again, without a restart.

use std::sync::Arc;
use std::time::Duration;

use cortensor_router::config::Config;
use cortensor_router::internals::store::Store;
use cortensor_router::listener::Listener;
use cortensor_router::model::{Answer, MinerSpec, Outcome, SessionId, Standing, Task, TaskId, TaskRequest, TaskState};
use cortensor_router::{Error, ErrorKind, Router, StreamEvent, SubmitOptions, TokenStream};
use cortensor_router_testkit::{Hand, dial_in};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::doubtful::{Asked, Doubtful, end};

/// Opens a router whose writes the test answers, with one miner whose jobs the test answers too.
async fn open(config: Config) -> (Router, Hand, Arc<Doubtful>, UnboundedReceiver<Asked>) {
    let (store, asked) = Doubtful::new();
    let router = Router::builder().config(config).store(store.clone()).open().await.unwrap();
    let miner = Hand::join(&router, MinerSpec::new("hand", 4));
    (router, miner, store, asked)
}

fn request() -> TaskRequest {
    TaskRequest::completion("x").stream(true)
}

fn full() -> Error {
    Error::store("the disk is full")
}

/// Refuses the next write of an end. Gives the row with that end.
async fn refuse_end(store: &Doubtful, asked: &mut UnboundedReceiver<Asked>) -> Arc<Task> {
    let (row, to) = end(store, asked).await;
    to.send(Err(full())).unwrap();
    row
}

/// Writes the next end.
async fn write_end(store: &Doubtful, asked: &mut UnboundedReceiver<Asked>) {
    refuse_until(store, asked, || true).await;
}

/// Refuses writes of ends until `enough` says so, then writes the next one.
async fn refuse_until(store: &Doubtful, asked: &mut UnboundedReceiver<Asked>, enough: impl Fn() -> bool) {
    loop {
        let (row, to) = end(store, asked).await;
        if enough() {
            return to.send(store.kept.finish(row).wait()).unwrap();
        }
        to.send(Err(full())).unwrap();
    }
}

/// Reads a stream to its end. Gives the whole text, which begins with what was `read` before, and the number of restart
/// marks.
async fn read(read: &str, mut stream: TokenStream) -> (String, u32) {
    let (mut said, mut restarts) = (read.to_owned(), 0);
    while let Some(batch) = stream.next_batch().await {
        for event in batch {
            match event {
                StreamEvent::Token { text, .. } => said.push_str(&text),
                StreamEvent::Restart { .. } => {
                    said.clear();
                    restarts += 1;
                }
                StreamEvent::End(end) => assert_eq!(end.unwrap().text(), said),
                other => panic!("{other:?}"),
            }
        }
    }
    (said, restarts)
}

#[tokio::test(start_paused = true)]
async fn a_refused_end_is_written_again_and_shown_then() {
    let (router, mut miner, store, mut asked) = open(Config::default()).await;
    let task = router.submit(SessionId(0), request(), SubmitOptions::default()).await.unwrap();
    let (id, mut stream) = (task.task_id(), task.stream());
    let job = miner.wait().await;
    job.emit("the ");
    let Some(StreamEvent::Token { seq, .. }) = stream.next_batch().await.unwrap().pop() else { panic!("no token") };
    job.emit("answer");
    job.finish(Answer::default());
    let first = refuse_end(&store, &mut asked).await;
    assert_eq!(task.result().await.unwrap_err().code(), "store_unavailable");
    assert_eq!(task.outcome(), None);
    // A cancellation that comes meanwhile is not confirmed, and the deadline changes nothing.
    let cancel = tokio::spawn({
        let router = router.clone();
        async move { router.cancel(SessionId(0), id).await }
    });
    assert_eq!(cancel.await.unwrap().unwrap_err().code(), "store_unavailable");
    let opened = tokio::time::Instant::now();
    refuse_until(&store, &mut asked, || opened.elapsed() > Duration::from_secs(200)).await;
    let again = router.attach(SessionId(0), id).await.unwrap();
    while again.outcome().is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(again.result().await.unwrap().answer.text, "the answer");
    assert_eq!(task.outcome(), Some(Outcome::Ok));
    let seen = router.task(SessionId(0), id).await.unwrap();
    assert_eq!((seen.state, seen.text.as_str(), &seen.error), (TaskState::Ended, "the answer", &None));
    assert_eq!(seen.ended_at, first.ended_at, "the end that was written is the first one");
    assert_eq!(read("the ", again.stream_after(seq)).await, ("the answer".into(), 0));
    assert_eq!(router.cancel(SessionId(0), id).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert!(miner.is_idle(), "the work was done once");
    router.close().await;
}

#[tokio::test(start_paused = true)]
async fn an_end_that_was_written_although_the_store_reported_an_error_is_shown() {
    let (router, mut miner, store, mut asked) = open(Config::default()).await;
    let task = router.submit(SessionId(0), request(), SubmitOptions::default()).await.unwrap();
    miner.wait().await.finish(Answer::default().text("the answer"));
    let (row, written) = end(&store, &mut asked).await;
    assert!(store.kept.finish(row).wait().unwrap());
    written.send(Err(full())).unwrap();
    task.result().await.unwrap_err();
    write_end(&store, &mut asked).await;
    while task.outcome().is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(task.result().await.unwrap().answer.text, "the answer");
    router.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_end_cannot_be_kept_runs_again_without_a_restart() {
    let mut config = Config::default();
    config.limits.recent_bytes = 1;
    let (router, mut miner, store, mut asked) = open(config).await;
    let task = router.submit(SessionId(0), request(), SubmitOptions::default().detach(true)).await.unwrap();
    let (id, mut stream) = (task.task_id(), task.stream());
    let job = miner.wait().await;
    let fence = job.info().fence;
    job.emit("first ");
    let Some(StreamEvent::Token { seq, .. }) = stream.next_batch().await.unwrap().pop() else { panic!("no token") };
    job.finish(Answer::default());
    refuse_end(&store, &mut asked).await;
    assert_eq!(task.result().await.unwrap_err().code(), "store_unavailable");
    let waiting = router.attach(SessionId(0), id).await.unwrap_err();
    assert_eq!((waiting.code(), waiting.details().task_id), ("store_unavailable", Some(id)));
    assert_eq!(router.cancel(SessionId(0), id).await.unwrap_err().code(), "store_unavailable");

    let job = miner.wait().await;
    assert!(job.info().fence > fence && job.info().task_id == id, "{:?}", job.info());
    job.emit("second ");
    job.emit("run");
    job.finish(Answer::default());
    let again = router.attach(SessionId(0), id).await.unwrap();
    write_end(&store, &mut asked).await;
    assert_eq!(again.result().await.unwrap().answer.text, "second run");
    // No reader takes pieces of both runs for one text.
    assert_eq!(read("first ", again.stream_after(seq)).await, ("second run".into(), 1));
    router.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_verdict_on_a_lost_run_says_nothing_about_the_next_one() {
    let mut config = Config::default();
    config.limits.recent_bytes = 1;
    config.dispatch.verdict_timeout_ms = 3_600_000;
    let (router, mut one, store, mut asked) = open(config).await;
    let mut two = Hand::join(&router, MinerSpec::new("two", 1));
    let mut vectors = Hand::join(&router, MinerSpec::new("vectors", 2).models(["embed"]).embeddings(true));
    let how = serde_json::from_str(r#"{"match":"embedding","match_model":"embed"}"#).unwrap();
    let request = TaskRequest::completion("x").max_miners(2).validation(how);
    let task = router.submit(SessionId(0), request, SubmitOptions::default().detach(true)).await.unwrap();
    let id = task.task_id();
    one.wait().await.finish(Answer::default().text("a"));
    two.wait().await.finish(Answer::default().text("b"));
    let first = vectors.wait().await;
    let cancel = tokio::spawn({
        let router = router.clone();
        async move { router.cancel(SessionId(0), id).await }
    });
    refuse_end(&store, &mut asked).await;
    assert_eq!(cancel.await.unwrap().unwrap_err().code(), "store_unavailable");

    one.wait().await.finish(Answer::default().text("c"));
    two.wait().await.finish(Answer::default().text("d"));
    let second = vectors.wait().await;
    let again = router.attach(SessionId(0), id).await.unwrap();
    first.finish(Answer::default().text("[[1,0],[0,1]]"));
    while !router.metrics_text().contains("verdict=\"disputed\"} 1") {
        tokio::task::yield_now().await;
    }
    second.finish(Answer::default().text("[[1,0],[1,0]]"));
    write_end(&store, &mut asked).await;
    let verdict = again.result().await.unwrap().verdict.unwrap();
    assert_eq!((verdict.verdict, again.outcome()), (Standing::Agreed, Some(Outcome::Ok)));
    router.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_keyed_task_that_was_accepted_although_the_store_reported_an_error_runs() {
    let (router, mut miner, store, mut asked) = open(Config::default()).await;
    let submit = || {
        let (router, options) = (router.clone(), SubmitOptions::default().idempotency_key("once"));
        tokio::spawn(async move { router.submit(SessionId(0), request(), options).await })
    };
    let first = submit();
    let Some(Asked::Accept(new, accepted)) = asked.recv().await else { panic!("no accept") };
    store.kept.accept(new).wait().unwrap();
    accepted.send(Err(full())).unwrap();
    assert_eq!(first.await.unwrap().unwrap_err().code(), "store_unavailable");
    miner.wait().await.finish(Answer::default().text("the answer"));
    write_end(&store, &mut asked).await;
    let again = submit();
    let Some(Asked::Accept(new, accepted)) = asked.recv().await else { panic!("no accept") };
    accepted.send(store.kept.accept(new).wait()).unwrap();
    let joined = again.await.unwrap().unwrap();
    assert!(joined.joined());
    assert_eq!(joined.result().await.unwrap().answer.text, "the answer");
    router.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_refused_ends_as_long_as_it_may() {
    let (router, mut miner, store, mut asked) = open(Config::default()).await;
    let task = router.submit(SessionId(0), request(), SubmitOptions::default()).await.unwrap();
    miner.wait().await.finish(Answer::default().text("the answer"));
    refuse_end(&store, &mut asked).await;
    task.result().await.unwrap_err();
    let drained = tokio::select! {
        drained = router.drain(Duration::from_secs(5)) => drained,
        () = refuse_until(&store, &mut asked, || false) => unreachable!("it refuses for ever"),
    };
    assert!(!drained);
    let works_at = tokio::time::Instant::now() + Duration::from_secs(3);
    let refusing = refuse_until(&store, &mut asked, || tokio::time::Instant::now() > works_at);
    let (drained, ()) = tokio::join!(router.drain(Duration::from_mins(1)), refusing);
    assert!(drained);
    assert_eq!(task.outcome(), Some(Outcome::Ok));
    router.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_close_writes_refused_ends_once_more_and_the_next_start_runs_the_others() {
    for works in [true, false] {
        let (router, mut miner, store, mut asked) = open(Config::default()).await;
        let task = router.submit(SessionId(0), request(), SubmitOptions::default()).await.unwrap();
        miner.wait().await.finish(Answer::default().text("the answer"));
        refuse_end(&store, &mut asked).await;
        task.result().await.unwrap_err();
        tokio::select! {
            () = router.close() => {}
            () = async { loop { refuse_until(&store, &mut asked, || works).await } } => {}
        }
        assert_eq!(task.outcome().is_some(), works);
        let router = Router::builder().store(store.kept.clone()).open().await.unwrap();
        let kept = router.task(SessionId(0), task.task_id()).await.unwrap();
        assert_eq!(kept.outcome, works.then_some(Outcome::Ok));
        if !works {
            let again = Hand::join(&router, MinerSpec::new("hand", 1)).wait().await;
            assert_eq!(again.info().task_id, TaskId(1));
        }
        router.close().await;
    }
}

/// A miner is told what is stored, also if the store refuses the end at first.
#[tokio::test]
async fn a_miner_is_told_the_fate_of_its_answer_once_the_store_has_decided_it() {
    let (store, mut asked) = Doubtful::new();
    let router = Router::builder().store(store.clone()).open().await.unwrap();
    let listener = Listener::bind(router.clone(), router.config().listen.clone().port(0)).await.unwrap();
    let address = listener.local_addr();
    tokio::spawn(listener.run(std::future::pending()));
    let (mut miner, _) = dial_in::Hand::welcomed(address, dial_in::hello()).await;
    let task = router.submit(SessionId(0), request(), SubmitOptions::default()).await.unwrap();
    let (attempt, fence, _) = miner.take().await;
    miner.send(dial_in::tokens(attempt, fence, 1, 0, "hi")).await;
    miner.send(dial_in::done(attempt, fence, 1, "hi")).await;
    refuse_end(&store, &mut asked).await;
    task.result().await.unwrap_err();
    write_end(&store, &mut asked).await;
    let told = miner.expect("final").await;
    assert_eq!((&told["attempt"], &told["result"]), (&attempt.into(), &"committed".into()), "{told}");
    assert_eq!(task.result().await.unwrap().answer.text, "hi");
    router.close().await;
}
