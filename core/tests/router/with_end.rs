//! Whole answers whose callers know no id before the end: the store gets such a task together with its end, and nobody
//! can tell the difference.

use std::sync::Arc;
use std::time::Duration;

use cortensor_router::internals::store::{Resolver, Store, TaskSpec};
use cortensor_router::model::{
    Answer, Completion, MinerSpec, Outcome, SessionId, StoreKind, Task, TaskRequest, TaskState,
};
use cortensor_router::{Error, ErrorKind, Router, SubmitOptions};
use cortensor_router_testkit::Hand;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;

use crate::doubtful::{Asked, Doubtful};

const SESSION: SessionId = SessionId(0);

struct World {
    router: Router,
    miner: Hand,
    store: Arc<Doubtful>,
    asked: UnboundedReceiver<Asked>,
}

/// Opens a router whose writes to its file the test answers, with one miner whose jobs the test answers too.
async fn open() -> World {
    let (store, asked) = Doubtful::of(StoreKind::Sqlite);
    let router = Router::builder().store(store.clone()).open().await.unwrap();
    let miner = Hand::join(&router, MinerSpec::new("hand", 4));
    World { router, miner, store, asked }
}

impl World {
    fn complete(&self) -> JoinHandle<Result<Completion, Error>> {
        let router = self.router.clone();
        tokio::spawn(async move { router.complete("x").await })
    }

    async fn answer(&mut self) {
        self.miner.wait().await.finish(Answer::default().text("the answer"));
    }

    /// The next write, which must be one of a task with its end.
    async fn recorded(&mut self) -> (Arc<TaskSpec>, Arc<Task>, Resolver<bool>) {
        match self.asked.recv().await.unwrap() {
            Asked::Record(new, end, to) => (new, end, to),
            Asked::Accept(..) | Asked::Finish(..) => panic!("the task and its end are one write"),
        }
    }

    async fn record(&mut self) {
        let (new, end, to) = self.recorded().await;
        to.send(self.store.kept.record(new, end).wait()).unwrap();
    }

    /// The task as a later router finds it.
    async fn later(&self, task: &TaskSpec) -> Option<Task> {
        let router = Router::builder().store(self.store.kept.clone()).open().await.unwrap();
        let found = router.task(task.session_id, task.id).await.ok();
        router.close().await;
        found
    }
}

#[tokio::test]
async fn the_task_is_written_once_and_its_answer_shown_after_that() {
    let mut world = open().await;
    let call = world.complete();
    world.answer().await;
    let (new, end, to) = world.recorded().await;
    assert_eq!((end.state, end.outcome, end.text.as_str()), (TaskState::Ended, Some(Outcome::Ok), "the answer"));
    assert_eq!((end.gid, end.session_id, end.id), (new.gid, new.session_id, new.id));
    tokio::task::yield_now().await;
    assert!(!call.is_finished(), "the answer is shown before it is written");
    to.send(world.store.kept.record(new.clone(), end).wait()).unwrap();
    assert_eq!(call.await.unwrap().unwrap().text(), "the answer");
    assert_eq!(world.router.task(SESSION, new.id).await.unwrap().text, "the answer");
    assert_eq!(world.later(&new).await.unwrap().text, "the answer");
}

#[tokio::test]
async fn a_call_that_is_dropped_is_written_as_cancelled() {
    let mut world = open().await;
    let call = world.complete();
    let job = world.miner.wait().await;
    call.abort();
    let (new, end, to) = world.recorded().await;
    job.cancelled().await;
    assert_eq!(end.outcome, Some(Outcome::Cancelled));
    to.send(world.store.kept.record(new.clone(), end).wait()).unwrap();
    assert_eq!(world.later(&new).await.unwrap().outcome, Some(Outcome::Cancelled));
}

#[tokio::test]
async fn a_close_writes_the_call_as_cancelled() {
    let mut world = open().await;
    let call = world.complete();
    let _job = world.miner.wait().await;
    let router = world.router.clone();
    let closing = tokio::spawn(async move { router.close().await });
    let (new, end, to) = world.recorded().await;
    to.send(world.store.kept.record(new.clone(), end).wait()).unwrap();
    closing.await.unwrap();
    assert_eq!(call.await.unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(world.later(&new).await.unwrap().outcome, Some(Outcome::Cancelled));
}

/// Somebody knows the ids: a miner has them, and so has who reads the log.
#[tokio::test]
async fn whoever_asks_for_the_task_meanwhile_has_it_written_first() {
    for way in ["task", "attach", "cancel"] {
        let mut world = open().await;
        let call = world.complete();
        let job = world.miner.wait().await;
        let (router, id) = (world.router.clone(), job.info().task_id);
        let asking = tokio::spawn(async move {
            match way {
                "task" => router.task(SESSION, id).await.map(|task| (task.state, task.outcome)),
                "attach" => router.attach(SESSION, id).await.map(|task| (task.state().state, None)),
                _ => router.cancel(SESSION, id).await.map(|task| (task.state, task.outcome)),
            }
        });
        if way == "cancel" {
            world.record().await;
            assert_eq!(asking.await.unwrap().unwrap(), (TaskState::Ended, Some(Outcome::Cancelled)));
            assert_eq!(call.await.unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
            continue;
        }
        let Some(Asked::Accept(new, to)) = world.asked.recv().await else { panic!("{way}: no accept") };
        tokio::task::yield_now().await;
        assert!(!asking.is_finished(), "{way}: the task is shown before it is written");
        to.send(world.store.kept.accept(new).wait()).unwrap();
        let (state, outcome) = asking.await.unwrap().unwrap();
        assert!(state != TaskState::Ended && outcome.is_none(), "{way}: {state:?}, {outcome:?}");
        job.finish(Answer::default().text("the answer"));
        let Some(Asked::Finish(end, to)) = world.asked.recv().await else { panic!("{way}: no end") };
        to.send(world.store.kept.finish(end).wait()).unwrap();
        assert_eq!(call.await.unwrap().unwrap().text(), "the answer", "{way}");
    }
}

/// The store refuses the write, or does not know what became of it. The caller is told so, and so is whoever asks for
/// the task; then the store works again.
#[tokio::test(start_paused = true)]
async fn a_task_that_the_store_refuses_is_written_with_its_end_later() {
    for written in [false, true] {
        let mut world = open().await;
        let call = world.complete();
        world.answer().await;
        let (new, end, to) = world.recorded().await;
        if written {
            world.store.kept.record(new.clone(), end).wait().unwrap();
        }
        to.send(Err(Error::store("the disk is full"))).unwrap();
        let error = call.await.unwrap().unwrap_err();
        assert_eq!((error.code(), error.details().task_id), ("store_unavailable", None));
        assert_eq!(world.router.task(SESSION, new.id).await.unwrap_err().code(), "store_unavailable");
        world.record().await;
        while world.router.task(SESSION, new.id).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(world.router.task(SESSION, new.id).await.unwrap().text, "the answer");
        assert!(world.miner.is_idle(), "the work was done once");
        assert_eq!(world.later(&new).await.unwrap().text, "the answer");
    }
}

/// The store has the task and reports an error for it, and takes its end.
#[tokio::test]
async fn a_task_that_was_doubted_and_ended_well_shows_its_end() {
    let (store, mut asked) = Doubtful::of(StoreKind::Sqlite);
    let router = Router::builder().store(store.clone()).open().await.unwrap();
    let mut miner = Hand::join(&router, MinerSpec::new("hand", 4));
    let options = SubmitOptions::default().detach(true);
    let request = TaskRequest::completion("x").stream(true);
    let task = router.submit(SESSION, request, options).await.unwrap();
    let mut stream = task.stream();
    let Some(Asked::Accept(new, accepted)) = asked.recv().await else { panic!("the task is written first") };
    store.kept.accept(new.clone()).wait().unwrap();
    miner.wait().await.finish(Answer::default().text("the answer"));
    let Some(Asked::Finish(end, ended)) = asked.recv().await else { panic!("the end is written") };
    let written = store.kept.finish(end).wait();
    accepted.send(Err(Error::new(ErrorKind::Unavailable, "the disk failed"))).unwrap();
    assert_eq!(task.result().await.unwrap_err().kind(), ErrorKind::Unavailable);
    ended.send(written).unwrap();
    assert!(router.drain(Duration::from_secs(5)).await);
    let shown = router.task(SESSION, new.id).await.unwrap();
    assert_eq!((shown.text.as_str(), shown.error), ("the answer", None));
    assert_eq!(task.result().await.unwrap().text(), "the answer");
    while let Some(batch) = stream.next_batch().await {
        drop(batch);
    }
    router.close().await;
}
