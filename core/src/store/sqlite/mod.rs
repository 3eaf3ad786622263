//! Tasks in a file: one `SQLite` database in the data directory, in write-ahead mode, with group commit.
//!
//! ```text
//! calls ── queue ──▶ writer thread ── BEGIN, up to 512 operations, COMMIT (sync) ──▶ answers ──▶ checkpoint
//!       └─ queue ──▶ 2 reader threads, read-only connections, behind the writes that were asked for before
//! ```
//!
//! | file | what it holds |
//! |---|---|
//! | `router.db`, `-wal`, `-shm` | the database, its log and its index; mode 0600 |
//! | `router.lock` | the OS lock, with the holder's pid and URL as JSON; the directory itself is locked too |
//!
//! If one of these files is removed or replaced under the store, the store refuses every write, because the next start
//! would not find it. With full durability it checks them before it acknowledges a batch, else at most 50 ms earlier.
//!
//! The space of deleted tasks is reused; the file does not shrink. Caches are freed when the store is idle.
//!
//! A partial index finds unfinished tasks, counters find pages (see `reader`), and an index on the time of their end
//! finds tasks to delete. One row holds a request, its end and its idempotency key, so that they are written and
//! deleted together.

mod audit;
mod batch;
mod commit;
mod connection;
mod files;
mod integrity;
mod lock;
mod log;
mod meta;
mod op;
mod options;
mod place;
mod queue;
mod reader;
mod recovery;
mod row;
mod schema;
mod statements;
mod sum;
mod unusable;
mod upgrade;
mod usage;
mod writer;

#[cfg(test)]
#[cfg(unix)]
mod faults;
#[cfg(test)]
mod killed;
#[cfg(test)]
#[cfg(unix)]
mod moved;
#[cfg(test)]
mod rot;

use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;

pub use integrity::{Integrity, check_integrity};
pub use lock::{Holder, holder};

use self::files::Files;
use self::lock::Lock;
use self::log::Log;
use self::meta::Meta;
use self::op::Op;
pub use self::options::SqliteOptions;
use self::queue::{Progress, Queue, Refused};
use self::reader::{Read, Reader, Want};
use self::schema::MIGRATIONS;
use self::writer::{Connect, Refusing, Writer};
use super::{
    Accepted, Act, ApiKey, AuditPage, AuditQuery, Durability, Idempotency, MinerRecord, Pending, Purge, Recovery,
    Resolver, Store, TaskPage, TaskQuery, TaskSpec, UsagePage, UsageQuery, check_times, closed,
};
use crate::model::{Day, Gid, Session, SessionId, StoreKind, Task, TaskId, Timestamp};
use crate::{Error, ErrorKind, Result};

/// A store in a file. Only one process at a time can use a data directory.
///
/// Dropping the store writes what is outstanding and blocks for that long; [`close`](Store::close) does not block.
#[derive(Debug)]
pub struct SqliteStore {
    options: SqliteOptions,
    durability: Durability,
    writes: Arc<Queue<Op>>,
    reads: Arc<Queue<Read>>,
    lock: Arc<Mutex<Option<Lock>>>,
    refusing: Refusing,
    writer: Option<JoinHandle<()>>,
}

impl SqliteStore {
    /// Opens the data directory, and creates or migrates it if needed. Blocks.
    ///
    /// # Errors
    /// `Conflict` if another process holds the directory or a newer version of the router wrote it; `InvalidArgument`
    /// for [`Durability::Memory`]; `Internal` with the code `store_corrupt` if the database is damaged; `Unavailable` if
    /// the directory or the medium cannot be used.
    pub fn open(dir: &Path, durability: Durability) -> Result<Self> {
        Self::open_with(dir, durability, SqliteOptions::default())
    }

    /// Opens the data directory with bounds other than the defaults.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(dir: &Path, durability: Durability, options: SqliteOptions) -> Result<Self> {
        // The directory is opened again after a failure, and the host may have changed its working directory by then.
        let dir = &std::path::absolute(dir)
            .map_err(|e| Error::invalid("storage.data_dir", format!("{} is no directory: {e}", dir.display())))?;
        let connect = {
            let (path, options) = (dir.join(place::FILE), options.clone());
            Box::new(move || connection::writer(&path, durability, &options))
        };
        Self::start(dir, durability, options, connect)
    }

    fn start(dir: &Path, durability: Durability, options: SqliteOptions, connect: Connect) -> Result<Self> {
        if durability == Durability::Memory {
            return Err(Error::invalid(
                "storage.durability",
                "a store in a file is `full` or `relaxed`; for `memory` leave storage.data_dir out",
            ));
        }
        connection::check_library(rusqlite::version_number())?;
        place::create_dir(dir).map_err(|e| unusable::place(dir, &e))?;
        // The lock is taken before the database is touched: otherwise another store of this process would lose its
        // locks on it.
        let lock = Lock::take(dir)?;
        let path = dir.join(place::FILE);
        place::prepare(dir).map_err(|e| unusable::place(&path, &e))?;
        let files = Arc::new(Files::of(dir).map_err(|e| unusable::place(&path, &e))?);
        let mut db = connect().map_err(|e| unusable::database(&path, &e))?;
        schema::migrate(&mut db, MIGRATIONS)?;
        Meta::read(&db)?;

        let lock = Arc::new(Mutex::new(Some(lock)));
        let writes = Arc::new(Queue::new());
        let reads = Arc::new(Queue::new());
        let progress = Arc::new(Progress::default());
        let refusing = Refusing::default();
        let mut store = Self { durability, writes, reads, lock, refusing, writer: None, options };
        let mut readers = Vec::new();
        for _ in 0..store.options.readers.max(1) {
            let reader = Reader {
                path: path.clone(),
                busy: store.options.busy,
                files: Arc::clone(&files),
                queue: Arc::clone(&store.reads),
                progress: Arc::clone(&progress),
            };
            readers.push(spawn("router-store-r", move || reader.run())?);
        }
        let state = Writer {
            options: store.options.clone(),
            durability,
            connect,
            files,
            checked: std::time::Instant::now(),
            refusing: Arc::clone(&store.refusing),
            log: Log::new(&store.options),
            queue: Arc::clone(&store.writes),
            progress,
            lock: Arc::clone(&store.lock),
            readers,
        };
        store.writer = Some(spawn("router-store-w", move || state.run(db))?);
        Ok(store)
    }

    /// Tells other processes the URL at which this one listens; see [`holder`].
    ///
    /// # Errors
    /// When the lock file cannot be written, or the store is closed.
    pub fn announce(&self, url: &str) -> Result<()> {
        self.lock.lock().as_mut().map_or_else(|| Err(closed()), |lock| lock.announce(url))
    }

    fn write<T>(&self, bound: usize, op: impl FnOnce(Resolver<T>) -> Op) -> Pending<T> {
        let (resolver, pending) = Pending::channel();
        match self.writes.put(op(resolver), bound) {
            Ok(()) => pending,
            Err(refused) => Pending::ready(Err(refusal(refused))),
        }
    }

    /// Queues a write that tasks depend on. It is refused much later than new work.
    fn write_sure<T>(&self, op: impl FnOnce(Resolver<T>) -> Op) -> Pending<T> {
        self.write(self.options.max_waiting_writes.saturating_mul(4), op)
    }

    fn read<T>(&self, want: impl FnOnce(Resolver<T>) -> Want) -> Pending<T> {
        let (resolver, pending) = Pending::channel();
        let read = Read { after: self.writes.count(), want: want(resolver) };
        match self.reads.put(read, self.options.max_waiting_reads) {
            Ok(()) => pending,
            Err(refused) => Pending::ready(Err(refusal(refused))),
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|e| Error::store(format!("a thread cannot be started: {e}")))
}

fn refusal(refused: Refused) -> Error {
    match refused {
        Refused::Closed => closed(),
        Refused::Full => Error::new(ErrorKind::Overloaded, "the disk does not keep up with the writes: retry later")
            .with_code("store_overloaded")
            .with_retry_after_ms(1_000),
    }
}

impl Store for SqliteStore {
    fn kind(&self) -> StoreKind {
        StoreKind::Sqlite
    }

    fn durability(&self) -> Durability {
        self.durability
    }

    fn recover(&self) -> Pending<Recovery> {
        self.write_sure(Op::Recover)
    }

    fn put_session(&self, session: Session, act: Option<Act>) -> Pending<()> {
        self.write_sure(|to| Op::PutSession(Box::new((session, act)), to))
    }

    fn delete_session(&self, id: SessionId) -> Pending<bool> {
        self.write_sure(|to| Op::DeleteSession(id, to))
    }

    fn accept(&self, task: Arc<TaskSpec>) -> Pending<Accepted> {
        self.write(self.options.max_waiting_writes, |to| Op::Accept(task, to))
    }

    fn find(&self, key: Idempotency) -> Pending<Option<Accepted>> {
        self.read(|to| Want::Key(key, to))
    }

    fn finish(&self, task: Arc<Task>) -> Pending<bool> {
        if let Err(refused) = check_times(&task) {
            return Pending::ready(Err(refused));
        }
        self.write_sure(|to| Op::Finish(task, to))
    }

    fn record(&self, task: Arc<TaskSpec>, end: Arc<Task>) -> Pending<bool> {
        if let Err(refused) = check_times(&end) {
            return Pending::ready(Err(refused));
        }
        self.write_sure(|to| Op::Record(task, end, to))
    }

    fn task(&self, session: SessionId, id: TaskId) -> Pending<Option<Task>> {
        self.read(|to| Want::Task(session, id, to))
    }

    fn task_by_gid(&self, gid: Gid) -> Pending<Option<Task>> {
        self.read(|to| Want::ByGid(gid, to))
    }

    fn unfinished(&self) -> Pending<Vec<Gid>> {
        self.read(Want::Unfinished)
    }

    fn tasks(&self, query: TaskQuery) -> Pending<TaskPage> {
        self.read(|to| Want::Page(query, to))
    }

    /// One call is one transaction. A limit of some hundreds keeps the commits of other calls short.
    fn purge(&self, purge: Purge) -> Pending<u64> {
        self.write_sure(|to| Op::Purge(purge, to))
    }

    fn delete_task(&self, gid: Gid) -> Pending<bool> {
        self.write_sure(|to| Op::DeleteTask(gid, to))
    }

    fn usage(&self, query: UsageQuery) -> Pending<UsagePage> {
        self.read(|to| Want::Usage(Box::new(query), to))
    }

    fn forget_usage(&self, before: Day) -> Pending<u64> {
        self.write_sure(|to| Op::ForgetUsage(before, to))
    }

    fn put_key(&self, key: ApiKey, act: Option<Act>) -> Pending<()> {
        self.write_sure(|to| Op::PutKey(Box::new((key, act)), to))
    }

    fn keys(&self) -> Pending<Vec<ApiKey>> {
        self.read(Want::Keys)
    }

    fn delete_key(&self, id: String, act: Option<Act>) -> Pending<bool> {
        self.write_sure(|to| Op::DeleteKey(Box::new((id, act)), to))
    }

    fn put_miner(&self, miner: MinerRecord, act: Option<Act>) -> Pending<()> {
        self.write_sure(|to| Op::PutMiner(Box::new((miner, act)), to))
    }

    fn miners(&self) -> Pending<Vec<MinerRecord>> {
        self.read(Want::Miners)
    }

    fn delete_miner(&self, id: String, act: Option<Act>) -> Pending<bool> {
        self.write_sure(|to| Op::DeleteMiner(Box::new((id, act)), to))
    }

    fn audit(&self, query: AuditQuery) -> Pending<AuditPage> {
        self.read(|to| Want::Audit(query, to))
    }

    fn forget_audit(&self, before: Timestamp) -> Pending<u64> {
        self.write_sure(|to| Op::ForgetAudit(before, to))
    }

    fn announce(&self, url: &str) -> Result<()> {
        Self::announce(self, url)
    }

    fn check(&self) -> Result<()> {
        self.refusing.lock().clone().map_or(Ok(()), Err)
    }

    fn close(&self) -> Pending<()> {
        // The readers are closed first: a read never waits for a write behind the last one.
        self.reads.close();
        let (resolver, pending) = Pending::channel();
        match self.writes.put_last(Op::Close(resolver)) {
            Ok(()) => pending,
            Err(refused) => Pending::ready(Err(refusal(refused))),
        }
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        drop(self.close());
        if let Some(writer) = self.writer.take() {
            // The panic hook has reported a panic of that thread.
            let _ = writer.join();
        }
    }
}
