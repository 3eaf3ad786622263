//! The visible state of a task's end while the store has not made it durable, and when it cannot.

use std::sync::Arc;

use cortensor_router::internals::store::Store;
use cortensor_router::miner::{FailClass, Failure, Job};
use cortensor_router::model::{Answer, MinerSpec, Outcome, SessionId, Task, TaskRequest, TaskState};
use cortensor_router::{Error, ErrorKind, Router, Submission, SubmitOptions};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::doubtful::{Asked, Doubtful, end};

async fn open(store: Arc<Doubtful>) -> Router {
    let answer = |job: Job| job.finish(Answer::default().text("the answer"));
    Router::builder().store(store).miner(MinerSpec::new("quick", 1), answer).open().await.unwrap()
}

/// Asserts that no part of the end is visible. The text so far is, as it is to clients that stream it.
fn assert_unseen(task: &Task) {
    assert_eq!((task.state, task.outcome), (TaskState::Precommitted, None));
    assert!(task.results.is_empty() && task.verdict.is_none(), "{task:?}");
    assert_eq!((task.ended_at, task.committed_at), (None, None));
}

#[tokio::test]
async fn an_end_is_seen_when_it_is_written_and_not_before() {
    let (store, mut asked) = Doubtful::new();
    let router = open(store.clone()).await;
    let task = router.submit(SessionId(0), TaskRequest::completion("x"), SubmitOptions::default()).await.unwrap();
    let (row, written) = end(&store, &mut asked).await;
    assert_eq!((row.state, row.outcome, row.text.as_str()), (TaskState::Ended, Some(Outcome::Ok), "the answer"));
    assert_unseen(&task.state());
    assert_unseen(&router.task(SessionId(0), task.task_id()).await.unwrap());
    assert_eq!(task.outcome(), None);

    written.send(Ok(true)).unwrap();
    assert_eq!(task.result().await.unwrap().answer.text, "the answer");
    let seen = task.state();
    assert_eq!((seen.state, seen.outcome, seen.text.as_str()), (TaskState::Ended, Some(Outcome::Ok), "the answer"));
    assert!(seen.ended_at.is_some());
}

#[tokio::test]
async fn an_answer_that_cannot_be_written_is_an_error_and_is_not_shown() {
    let (store, mut asked) = Doubtful::new();
    let router = open(store.clone()).await;
    let task = router.submit(SessionId(0), TaskRequest::completion("x"), SubmitOptions::default()).await.unwrap();
    let (_, written) = end(&store, &mut asked).await;
    written.send(Err(Error::store("the disk is full"))).unwrap();
    let error = task.result().await.unwrap_err();
    assert_eq!(error.kind(), Error::store("").kind());
    let seen = router.task(SessionId(0), task.task_id()).await.unwrap();
    assert_unseen(&seen);
    assert_eq!(seen.error.as_ref().map(Error::message), Some(error.message()));
}

/// The result of a write.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    /// The store writes and acknowledges.
    Done,
    /// The store does not write, and says so.
    Refused,
    /// The store writes but reports a failure, as after a sync whose effect is unknown.
    Unknown,
}

const FATES: [Fate; 3] = [Fate::Done, Fate::Refused, Fate::Unknown];

impl Fate {
    fn of<T>(self, write: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let refused = || Error::store("the disk is full");
        match self {
            Self::Done => write(),
            Self::Refused => Err(refused()),
            Self::Unknown => write().and_then(|_| Err(refused())),
        }
    }
}

/// The way in which a task ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Answered,
    Disputed,
    Failed,
    Cancelled,
}

const WAYS: [Way; 4] = [Way::Answered, Way::Disputed, Way::Failed, Way::Cancelled];

/// The results of one task, as its callers saw them.
struct Shown {
    task: Submission,
    accepted: Result<(), Error>,
    result: Result<String, Error>,
    cancel: Option<Result<Task, Error>>,
    looked_at: Result<Task, Error>,
}

/// Runs a task whose writes have these fates; `late` means that the answer to the accept comes after the answer to the
/// end.
async fn run(
    store: &Arc<Doubtful>,
    asked: &mut UnboundedReceiver<Asked>,
    way: Way,
    fates: [Fate; 2],
    late: bool,
) -> Shown {
    let miner = move |name: &'static str| {
        move |job: Job| match way {
            Way::Answered => job.finish(Answer::default().text("the answer")),
            Way::Disputed => job.finish(Answer::default().text(format!("{name} says so"))),
            Way::Failed => job.fail(Failure::new(FailClass::Invalid, "that is no request")),
            Way::Cancelled => drop(tokio::spawn(async move { job.cancelled().await })),
        }
    };
    let opened = Router::builder().store(store.clone()).miner(MinerSpec::new("a", 1), miner("a"));
    let router = opened.miner(MinerSpec::new("b", 1), miner("b")).open().await.unwrap();
    let several = (way == Way::Disputed).then_some(2);
    let mut request = TaskRequest::completion("x");
    request.max_miners = several;
    let task = router.submit(SessionId(0), request, SubmitOptions::default()).await.unwrap();
    let id = task.task_id();
    let cancel = (way == Way::Cancelled).then(|| {
        let router = router.clone();
        tokio::spawn(async move { router.cancel(SessionId(0), id).await })
    });
    let mut accept = None;
    let mut ends = 0;
    while ends == 0 {
        match asked.recv().await.unwrap() {
            Asked::Accept(new, to) => {
                let answer = fates[0].of(|| store.kept.accept(new).wait());
                if late {
                    accept = Some((answer, to));
                } else {
                    to.send(answer).unwrap();
                }
            }
            Asked::Record(..) => panic!("every task here is written before its end"),
            Asked::Finish(end, to) => {
                to.send(fates[1].of(|| store.kept.finish(end).wait())).unwrap();
                ends += 1;
            }
        }
    }
    if let Some((answer, to)) = accept {
        // Tasks that the end woke run first.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        to.send(answer).unwrap();
    }
    let result = task.result().await.map(|completion| String::from(completion.answer.text));
    let accepted = task.accepted().await;
    let cancel = match cancel {
        Some(cancel) => Some(cancel.await.unwrap()),
        None => None,
    };
    let looked_at = router.task(SessionId(0), id).await;
    tokio::select! {
        () = router.close() => {}
        () = answer(store, asked, fates[1]) => {}
    }
    Shown { task, accepted, result, cancel, looked_at }
}

/// Answers every write in this way.
async fn answer(store: &Doubtful, asked: &mut UnboundedReceiver<Asked>, fate: Fate) {
    while let Some(asked) = asked.recv().await {
        // The router may have stopped waiting.
        match asked {
            Asked::Accept(new, to) => drop(to.send(fate.of(|| store.kept.accept(new).wait()))),
            Asked::Finish(end, to) => drop(to.send(fate.of(|| store.kept.finish(end).wait()))),
            Asked::Record(new, end, to) => drop(to.send(fate.of(|| store.kept.record(new, end).wait()))),
        }
    }
}

#[tokio::test]
async fn whatever_was_shown_is_there_after_reopening() {
    for way in WAYS {
        for (accept, end, late) in
            FATES.iter().flat_map(|a| FATES.iter().flat_map(|e| [(*a, *e, false), (*a, *e, true)]))
        {
            let world = format!("{way:?}, accept {accept:?}, end {end:?}, accept's answer last: {late}");
            let (store, mut asked) = Doubtful::new();
            let shown = run(&store, &mut asked, way, [accept, end], late).await;
            let router = Router::builder().store(store.kept.clone()).open().await.unwrap();
            let kept = router.task(SessionId(0), shown.task.task_id()).await.ok();
            let outcome = kept.as_ref().and_then(|task| task.outcome);
            if shown.accepted.is_ok() {
                assert!(kept.is_some(), "{world}: the task was acknowledged");
            }
            match &shown.result {
                Ok(text) => {
                    assert!(matches!(outcome, Some(Outcome::Ok | Outcome::Disputed)), "{world}: {outcome:?}");
                    assert_eq!(kept.as_ref().map(|task| task.text.as_str()), Some(text.as_str()), "{world}");
                }
                Err(error) if error.code() == "store_unavailable" => {}
                Err(error) => {
                    let expected =
                        if error.kind() == ErrorKind::Cancelled { Outcome::Cancelled } else { Outcome::Failed };
                    assert_eq!(outcome, Some(expected), "{world}: {error}");
                }
            }
            if let Some(Ok(task)) = &shown.cancel {
                assert_eq!((task.outcome, outcome), (Some(Outcome::Cancelled), Some(Outcome::Cancelled)), "{world}");
            }
            if let Some(seen) = shown.looked_at.as_ref().ok().and_then(|task| task.outcome) {
                assert_eq!(outcome, Some(seen), "{world}");
            }
            if let Some(seen) = shown.task.outcome() {
                assert_eq!(outcome, Some(seen), "{world}");
            }
            // If the store does both writes, nothing of the task may be lost.
            if (accept, end) == (Fate::Done, Fate::Done) {
                assert!(shown.accepted.is_ok(), "{world}");
                assert_eq!(shown.result.is_ok(), matches!(way, Way::Answered | Way::Disputed), "{world}");
                assert!(shown.cancel.is_none_or(|cancel| cancel.is_ok()), "{world}");
            }
            router.close().await;
        }
    }
}
