//! What is seen of an end while the store has not written it down, and when it cannot.

use std::sync::Arc;

use cortensor_router::miner::Job;
use cortensor_router::model::{Answer, Gid, MinerSpec, Outcome, Session, SessionId, Task, TaskId};
use cortensor_router::model::{TaskRequest, TaskState};
use cortensor_router::store::{
    Accepted, ApiKey, Durability, MemoryStore, MinerRecord, NewTask, Pending, Purge, Recovery, Resolver, Store,
    TaskPage, TaskQuery,
};
use cortensor_router::{Error, Router, SubmitOptions};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// An end that waits to be written, and the word that it is.
type End = (Arc<Task>, Resolver<bool>);

/// A store whose ends are written when the test says so.
struct Held {
    inner: MemoryStore,
    ends: UnboundedSender<End>,
}

impl Held {
    fn new() -> (Arc<Self>, UnboundedReceiver<End>) {
        let (ends, asked) = unbounded_channel();
        (Arc::new(Self { inner: MemoryStore::new(0), ends }), asked)
    }
}

impl Store for Held {
    fn name(&self) -> &'static str {
        "held"
    }
    fn durability(&self) -> Durability {
        self.inner.durability()
    }
    fn recover(&self) -> Pending<Recovery> {
        self.inner.recover()
    }
    fn put_session(&self, session: Session) -> Pending<()> {
        self.inner.put_session(session)
    }
    fn accept(&self, task: NewTask) -> Pending<Accepted> {
        self.inner.accept(task)
    }
    fn finish(&self, task: Arc<Task>) -> Pending<bool> {
        let (resolver, pending) = Pending::channel();
        self.ends.send((task, resolver)).unwrap();
        pending
    }
    fn task(&self, session: SessionId, id: TaskId) -> Pending<Option<Task>> {
        self.inner.task(session, id)
    }
    fn task_by_gid(&self, gid: Gid) -> Pending<Option<Task>> {
        self.inner.task_by_gid(gid)
    }
    fn tasks(&self, query: TaskQuery) -> Pending<TaskPage> {
        self.inner.tasks(query)
    }
    fn purge(&self, purge: Purge) -> Pending<u64> {
        self.inner.purge(purge)
    }
    fn put_key(&self, key: ApiKey) -> Pending<()> {
        self.inner.put_key(key)
    }
    fn keys(&self) -> Pending<Vec<ApiKey>> {
        self.inner.keys()
    }
    fn delete_key(&self, id: String) -> Pending<bool> {
        self.inner.delete_key(id)
    }
    fn put_miner(&self, miner: MinerRecord) -> Pending<()> {
        self.inner.put_miner(miner)
    }
    fn miners(&self) -> Pending<Vec<MinerRecord>> {
        self.inner.miners()
    }
    fn delete_miner(&self, id: String) -> Pending<bool> {
        self.inner.delete_miner(id)
    }
    fn close(&self) -> Pending<()> {
        self.inner.close()
    }
}

async fn open(store: Arc<Held>) -> Router {
    let answer = |job: Job| job.finish(Answer { text: "the answer".into(), ..Answer::default() });
    Router::builder().store(store).miner(MinerSpec::new("quick", 1), answer).open().await.unwrap()
}

/// That nothing of the end is seen; the text so far is, as it is by those who stream it.
fn assert_unseen(task: &Task) {
    assert_eq!((task.state, task.outcome), (TaskState::Precommitted, None));
    assert!(task.results.is_empty() && task.verdict.is_none(), "{task:?}");
    assert_eq!((task.ended_at.0, task.committed_at.0), (0, 0));
}

#[tokio::test]
async fn an_end_is_seen_when_it_is_written_and_not_before() {
    let (store, mut ends) = Held::new();
    let router = open(store).await;
    let task = router.submit(SessionId(0), TaskRequest::completion("x"), SubmitOptions::default()).await.unwrap();
    let (row, written) = ends.recv().await.unwrap();
    assert_eq!((row.state, row.outcome, row.text.as_str()), (TaskState::Ended, Some(Outcome::Ok), "the answer"));
    assert_unseen(&task.state().await);
    assert_unseen(&router.task(SessionId(0), task.task_id()).await.unwrap());
    assert_eq!(task.outcome(), None);

    written.send(Ok(true)).unwrap();
    assert_eq!(task.result().await.unwrap().answer.text, "the answer");
    let seen = router.task(SessionId(0), task.task_id()).await.unwrap();
    assert_eq!((seen.state, seen.outcome, seen.text.as_str()), (TaskState::Ended, Some(Outcome::Ok), "the answer"));
    assert!(seen.ended_at.0 > 0);
}

#[tokio::test]
async fn an_answer_that_cannot_be_written_is_an_error_and_is_not_shown() {
    let (store, mut ends) = Held::new();
    let router = open(store).await;
    let task = router.submit(SessionId(0), TaskRequest::completion("x"), SubmitOptions::default()).await.unwrap();
    let (_, written) = ends.recv().await.unwrap();
    written.send(Err(Error::store("the disk is full"))).unwrap();
    let error = task.result().await.unwrap_err();
    assert_eq!(error.kind(), Error::store("").kind());
    let seen = router.task(SessionId(0), task.task_id()).await.unwrap();
    assert_unseen(&seen);
    assert_eq!(seen.failure.as_deref(), Some(error.message()));
}
