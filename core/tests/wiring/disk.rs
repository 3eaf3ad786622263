//! A store that outlives the router. Writes wait in a queue until the next commit, and a crash loses those that wait.
//! While the disk is full, tasks and ends are refused, and nobody knows whether they were written.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cortensor_router::internals::store::{
    Accepted, Act, ApiKey, AuditPage, AuditQuery, Deliveries, Durability, Idempotency, MemoryStore, MinerRecord,
    Pending, Purge, Recovery, SqliteStore, Store, StoreKind, TaskPage, TaskQuery, TaskSpec, UpstreamRecord, UsagePage,
    UsageQuery,
};
use cortensor_router::model::{Day, Gid, Session, SessionId, Task, TaskId, Timestamp, WebhookDelivery};
use cortensor_router::{Error, Result};
use cortensor_router_testkit::random::Random;
use parking_lot::Mutex;
use tokio::sync::mpsc;

/// The place where the rows of a world are kept from run to run.
#[derive(Clone)]
pub(crate) enum Kept {
    /// The memory of the test.
    Memory(Arc<MemoryStore>),
    /// A database, which every run opens anew.
    File(Arc<File>),
}

/// A database on the disk.
pub(crate) struct File {
    dir: PathBuf,
    /// The store of the last run. The end of a simulated host ends no process, so its store may still be open.
    last: Mutex<Option<Arc<SqliteStore>>>,
}

impl File {
    /// A database in this directory, which nobody has opened yet.
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), last: Mutex::default() }
    }

    fn open(&self) -> Result<Arc<SqliteStore>> {
        let mut last = self.last.lock();
        if let Some(last) = last.take() {
            // A store that was closed in good order says so.
            let _ = settle(last.close());
        }
        // The worlds crash no machine, so nothing needs a sync.
        let store = Arc::new(SqliteStore::open(&self.dir, Durability::Relaxed)?);
        *last = Some(Arc::clone(&store));
        Ok(store)
    }
}

/// A write, which is told whether it must fail and whether it takes effect then; and the acknowledgement of it.
type Write = Box<dyn FnOnce(&dyn Store, Failure) -> Acknowledge + Send>;
type Acknowledge = Box<dyn FnOnce() + Send>;

/// The failure of a write.
#[derive(Clone, Copy)]
enum Failure {
    None,
    /// Nothing was written.
    Refused,
    /// Everything was written, and the store reports an error.
    Unknown,
}

/// The store of one run of the router.
pub(crate) struct Disk {
    kept: Arc<dyn Store>,
    /// Whether later runs open the rows anew.
    reopens: bool,
    queue: mpsc::UnboundedSender<Write>,
}

/// Waits for an answer. The simulated clock stands still meanwhile, because the thread of the world waits too.
fn settle<T: Send>(pending: Pending<T>) -> Result<T> {
    match pending.try_ready() {
        Ok(answer) => answer,
        // A thread of an async runtime may not block on an answer itself.
        Err(pending) => std::thread::scope(|scope| scope.spawn(|| pending.wait()).join().expect("the store answers")),
    }
}

fn answered<T: Send>(pending: Pending<T>) -> Pending<T> {
    Pending::ready(settle(pending))
}

impl Disk {
    /// Opens the store over what is kept from run to run. It fails while `full` says so.
    pub(crate) fn open(kept: &Kept, full: Arc<AtomicBool>, chance: Random) -> Result<Self> {
        let (kept, reopens): (Arc<dyn Store>, bool) = match kept {
            Kept::Memory(store) => (store.clone(), false),
            Kept::File(file) => (file.open()?, true),
        };
        let (queue, waiting) = mpsc::unbounded_channel();
        tokio::spawn(commit(Arc::clone(&kept), waiting, full, chance));
        Ok(Self { kept, reopens, queue })
    }

    /// Queues a write that is not refused.
    fn write<T, F>(&self, act: F) -> Pending<T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Store) -> Pending<T> + Send + 'static,
    {
        self.queue_write(|kept, _| settle(act(kept)))
    }

    /// Queues a write that a full disk refuses.
    fn write_if_room<T, F>(&self, act: F) -> Pending<T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Store) -> Pending<T> + Send + 'static,
    {
        let full = || Error::store("the disk is full");
        self.queue_write(move |kept, failure| match failure {
            Failure::None => settle(act(kept)),
            Failure::Refused => Err(full()),
            Failure::Unknown => settle(act(kept)).and_then(|_| Err(full())),
        })
    }

    fn queue_write<T, F>(&self, act: F) -> Pending<T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Store, Failure) -> Result<T> + Send + 'static,
    {
        let (resolver, pending) = Pending::channel();
        let write: Write = Box::new(move |kept, failure| {
            let answer = act(kept, failure);
            Box::new(move || drop(resolver.send(answer)))
        });
        // Without the writer the answer is an error, as it is after a crash.
        drop(self.queue.send(write));
        pending
    }
}

/// Commits the writes that wait, again and again. Each commit takes some time before and after its writes take effect.
async fn commit(
    kept: Arc<dyn Store>,
    mut waiting: mpsc::UnboundedReceiver<Write>,
    full: Arc<AtomicBool>,
    mut chance: Random,
) {
    let mut writes = Vec::new();
    while waiting.recv_many(&mut writes, 100).await > 0 {
        tokio::time::sleep(Duration::from_millis(chance.below(15))).await;
        let failure = match full.load(Ordering::SeqCst) {
            false => Failure::None,
            true if chance.chance(50) => Failure::Refused,
            true => Failure::Unknown,
        };
        let acknowledgements: Vec<Acknowledge> = writes.drain(..).map(|write| write(&*kept, failure)).collect();
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
        answered(self.kept.recover())
    }

    fn put_session(&self, session: Session, act: Option<Act>) -> Pending<()> {
        self.write(move |kept| kept.put_session(session, act))
    }

    fn delete_session(&self, id: SessionId) -> Pending<bool> {
        self.write(move |kept| kept.delete_session(id))
    }

    fn accept(&self, task: Arc<TaskSpec>) -> Pending<Accepted> {
        self.write_if_room(move |kept| kept.accept(task))
    }

    fn find(&self, key: Idempotency) -> Pending<Option<Accepted>> {
        self.write(move |kept| kept.find(key))
    }

    fn finish(&self, task: Arc<Task>) -> Pending<bool> {
        self.write_if_room(move |kept| kept.finish(task))
    }

    fn task(&self, session: SessionId, id: TaskId) -> Pending<Option<Task>> {
        answered(self.kept.task(session, id))
    }

    fn task_by_gid(&self, gid: Gid) -> Pending<Option<Task>> {
        answered(self.kept.task_by_gid(gid))
    }

    fn unfinished(&self) -> Pending<Vec<Gid>> {
        answered(self.kept.unfinished())
    }

    fn tasks(&self, query: TaskQuery) -> Pending<TaskPage> {
        answered(self.kept.tasks(query))
    }

    fn purge(&self, purge: Purge) -> Pending<u64> {
        self.write(move |kept| kept.purge(purge))
    }

    fn delete_task(&self, gid: Gid) -> Pending<bool> {
        self.write(move |kept| kept.delete_task(gid))
    }
    fn usage(&self, query: UsageQuery) -> Pending<UsagePage> {
        answered(self.kept.usage(query))
    }

    fn forget_usage(&self, before: Day) -> Pending<u64> {
        self.write(move |kept| kept.forget_usage(before))
    }

    fn put_key(&self, key: ApiKey, act: Option<Act>) -> Pending<()> {
        self.write(move |kept| kept.put_key(key, act))
    }

    fn keys(&self) -> Pending<Vec<ApiKey>> {
        answered(self.kept.keys())
    }

    fn delete_key(&self, id: String, act: Option<Act>) -> Pending<bool> {
        self.write(move |kept| kept.delete_key(id, act))
    }

    fn put_miner(&self, miner: MinerRecord, act: Option<Act>) -> Pending<()> {
        self.write(move |kept| kept.put_miner(miner, act))
    }

    fn miners(&self) -> Pending<Vec<MinerRecord>> {
        answered(self.kept.miners())
    }

    fn delete_miner(&self, id: String, act: Option<Act>) -> Pending<bool> {
        self.write(move |kept| kept.delete_miner(id, act))
    }

    fn put_upstream(&self, upstream: UpstreamRecord, act: Option<Act>) -> Pending<()> {
        self.write(move |kept| kept.put_upstream(upstream, act))
    }

    fn upstreams(&self) -> Pending<Vec<UpstreamRecord>> {
        answered(self.kept.upstreams())
    }

    fn delete_upstream(&self, name: String, act: Option<Act>) -> Pending<bool> {
        self.write(move |kept| kept.delete_upstream(name, act))
    }

    fn deliveries(&self, of: Deliveries) -> Pending<Vec<(Gid, WebhookDelivery)>> {
        answered(self.kept.deliveries(of))
    }

    fn put_delivery(&self, gid: Gid, delivery: WebhookDelivery) -> Pending<bool> {
        self.write(move |kept| kept.put_delivery(gid, delivery))
    }

    fn note(&self, act: Act) -> Pending<()> {
        self.write(move |kept| kept.note(act))
    }

    fn audit(&self, query: AuditQuery) -> Pending<AuditPage> {
        answered(self.kept.audit(query))
    }

    fn forget_audit(&self, before: Timestamp) -> Pending<u64> {
        self.write(move |kept| kept.forget_audit(before))
    }

    /// Writes everything that waits. Rows in memory stay open for the next run.
    fn close(&self) -> Pending<()> {
        let reopens = self.reopens;
        self.write(move |kept| if reopens { kept.close() } else { Pending::ready(Ok(())) })
    }
}
