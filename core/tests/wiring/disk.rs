//! A store that outlives the router. Writes wait in a queue until the next commit, and a crash loses those that wait.

use std::sync::Arc;
use std::time::Duration;

use cortensor_router::internals::store::{
    Accepted, ApiKey, Durability, Idempotency, MemoryStore, MinerRecord, Pending, Purge, Recovery, Store, StoreKind,
    TaskPage, TaskQuery, TaskSpec,
};
use cortensor_router::model::{Gid, Session, SessionId, Task, TaskId};
use cortensor_router_testkit::random::Random;
use tokio::sync::mpsc;

/// A write, and then the acknowledgement of it.
type Write = Box<dyn FnOnce(&MemoryStore) -> Acknowledge + Send>;
type Acknowledge = Box<dyn FnOnce() + Send>;

/// The store of one run of the router.
pub(crate) struct Disk {
    kept: Arc<MemoryStore>,
    queue: mpsc::UnboundedSender<Write>,
}

impl Disk {
    /// Opens the store over what is kept from run to run.
    pub(crate) fn open(kept: Arc<MemoryStore>, chance: Random) -> Self {
        let (queue, waiting) = mpsc::unbounded_channel();
        tokio::spawn(commit(Arc::clone(&kept), waiting, chance));
        Self { kept, queue }
    }

    fn write<T, F>(&self, act: F) -> Pending<T>
    where
        T: Send + 'static,
        F: FnOnce(&MemoryStore) -> Pending<T> + Send + 'static,
    {
        let (resolver, pending) = Pending::channel();
        let write: Write = Box::new(move |kept| {
            let answer = act(kept).try_ready().unwrap_or_else(|_| panic!("memory answers at once"));
            Box::new(move || drop(resolver.send(answer)))
        });
        // Without the writer the answer is an error, as it is after a crash.
        drop(self.queue.send(write));
        pending
    }
}

/// Commits the writes that wait, again and again. Each commit takes some time before and after its writes take effect.
async fn commit(kept: Arc<MemoryStore>, mut waiting: mpsc::UnboundedReceiver<Write>, mut chance: Random) {
    let mut writes = Vec::new();
    while waiting.recv_many(&mut writes, 100).await > 0 {
        tokio::time::sleep(Duration::from_millis(chance.below(15))).await;
        let acknowledgements: Vec<Acknowledge> = writes.drain(..).map(|write| write(&kept)).collect();
        tokio::time::sleep(Duration::from_millis(chance.below(10))).await;
        for acknowledge in acknowledgements {
            acknowledge();
        }
    }
}

impl Store for Disk {
    fn kind(&self) -> StoreKind {
        self.kept.kind()
    }

    fn durability(&self) -> Durability {
        Durability::Full
    }

    fn recover(&self) -> Pending<Recovery> {
        self.kept.recover()
    }

    fn put_session(&self, session: Session) -> Pending<()> {
        self.write(move |kept| kept.put_session(session))
    }

    fn delete_session(&self, id: SessionId) -> Pending<bool> {
        self.write(move |kept| kept.delete_session(id))
    }

    fn accept(&self, task: Arc<TaskSpec>) -> Pending<Accepted> {
        self.write(move |kept| kept.accept(task))
    }

    fn find(&self, key: Idempotency) -> Pending<Option<Accepted>> {
        self.write(move |kept| kept.find(key))
    }

    fn finish(&self, task: Arc<Task>) -> Pending<bool> {
        self.write(move |kept| kept.finish(task))
    }

    fn task(&self, session: SessionId, id: TaskId) -> Pending<Option<Task>> {
        self.kept.task(session, id)
    }

    fn task_by_gid(&self, gid: Gid) -> Pending<Option<Task>> {
        self.kept.task_by_gid(gid)
    }

    fn unfinished(&self) -> Pending<Vec<Gid>> {
        self.kept.unfinished()
    }

    fn tasks(&self, query: TaskQuery) -> Pending<TaskPage> {
        self.kept.tasks(query)
    }

    fn purge(&self, purge: Purge) -> Pending<u64> {
        self.write(move |kept| kept.purge(purge))
    }

    fn put_key(&self, key: ApiKey) -> Pending<()> {
        self.write(move |kept| kept.put_key(key))
    }

    fn keys(&self) -> Pending<Vec<ApiKey>> {
        self.kept.keys()
    }

    fn delete_key(&self, id: String) -> Pending<bool> {
        self.write(move |kept| kept.delete_key(id))
    }

    fn put_miner(&self, miner: MinerRecord) -> Pending<()> {
        self.write(move |kept| kept.put_miner(miner))
    }

    fn miners(&self) -> Pending<Vec<MinerRecord>> {
        self.kept.miners()
    }

    fn delete_miner(&self, id: String) -> Pending<bool> {
        self.write(move |kept| kept.delete_miner(id))
    }

    /// Writes everything that waits. The kept rows stay open for the next run.
    fn close(&self) -> Pending<()> {
        self.write(|_| Pending::ready(Ok(())))
    }
}
