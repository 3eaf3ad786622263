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
mod options;
mod place;
mod progress;
mod reader;
mod recovery;
mod row;
mod schema;
mod side;
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
pub use self::options::SqliteOptions;
use self::progress::Progress;
use self::reader::Reader;
use self::schema::MIGRATIONS;
pub(super) use self::side::SqliteSide;
use self::writer::{Connect, Writer};
use super::front::{Front, Fronted};
use super::{Durability, StoreKind, closed};
use crate::{Error, Result};

/// A store in a file. Only one process at a time can use a data directory.
///
/// Dropping the store writes what is outstanding and blocks for that long; [`close`](super::Store::close) does not
/// block.
#[derive(Debug)]
pub struct SqliteStore {
    options: SqliteOptions,
    durability: Durability,
    front: Front,
    progress: Arc<Progress>,
    lock: Arc<Mutex<Option<Lock>>>,
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
        let progress = Arc::new(Progress::default());
        let front = Front::new(options.max_waiting_writes, options.max_waiting_reads, "disk");
        let mut store = Self { durability, front, progress: Arc::clone(&progress), lock, writer: None, options };
        let mut readers = Vec::new();
        for _ in 0..store.options.readers.max(1) {
            let reader = Reader {
                path: path.clone(),
                busy: store.options.busy,
                files: Arc::clone(&files),
                queue: Arc::clone(&store.front.reads),
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
            refusing: store.front.refusing.clone(),
            commits: store.front.commits.clone(),
            log: Log::new(&store.options),
            queue: Arc::clone(&store.front.writes),
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
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|e| Error::store(format!("a thread cannot be started: {e}")))
}

impl Fronted for SqliteStore {
    const KIND: StoreKind = StoreKind::Sqlite;

    fn front(&self) -> &Front {
        &self.front
    }

    fn durability(&self) -> Durability {
        self.durability
    }

    fn answered(&self) -> u64 {
        self.progress.count()
    }

    fn announce(&self, url: &str) -> Result<()> {
        Self::announce(self, url)
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        drop(self.front.close());
        if let Some(writer) = self.writer.take() {
            // The panic hook has reported a panic of that thread.
            let _ = writer.join();
        }
    }
}
