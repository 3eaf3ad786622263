//! The only thread that writes. It takes all operations that gathered during the last commit, writes them in one
//! transaction, and answers after the commit.
//!
//! An error of the medium fails the whole batch: every operation in it gets the error, and none is acknowledged. The
//! connection is given up, because the state of the disk is unknown after a failed sync. The next batch opens a new
//! connection.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rusqlite::Connection;

use super::super::Durability;
use super::commit::transact;
use super::connection;
use super::files::Files;
use super::lock::Lock;
use super::op::{Op, Reply};
use super::options::SqliteOptions;
use super::queue::{Progress, Queue, Taken};
use crate::{Error, Result};

/// The time without operations after which the log is written back.
const IDLE: Duration = Duration::from_millis(500);

/// If the log has grown to this many times `checkpoint_pages`, the writer waits for readers to let it start over ...
const RESTART: u64 = 16;
/// ... for this long ...
const RESTART_WAIT: Duration = Duration::from_millis(50);
/// ... and not more often than this, because a reader may read the whole file.
const RESTART_PAUSE: Duration = Duration::from_secs(5);

/// The time for which a check of the files is valid. Within it, files are checked only after a batch, not before it.
const LOOKED: Duration = Duration::from_millis(50);

/// The reason why the store refuses writes now; `None` while it accepts them.
pub(super) type Refusing = Arc<Mutex<Option<Error>>>;

/// Opens the connection that writes.
pub(super) type Connect = Box<dyn Fn() -> rusqlite::Result<Connection> + Send>;

/// The state of the writer, which stays on its thread.
pub(super) struct Writer {
    pub(super) options: SqliteOptions,
    pub(super) durability: Durability,
    pub(super) connect: Connect,
    /// The connection; `None` after a failure of the medium.
    pub(super) db: Option<Connection>,
    pub(super) files: Arc<Files>,
    /// The time of the last check of the files.
    pub(super) checked: Instant,
    pub(super) refusing: Refusing,
    /// The time of the last wait for readers.
    pub(super) restarted: Option<Instant>,
    pub(super) queue: Arc<Queue<Op>>,
    pub(super) progress: Arc<Progress>,
    pub(super) lock: Arc<Mutex<Option<Lock>>>,
    /// The threads that read; they end when their queue is closed.
    pub(super) readers: Vec<JoinHandle<()>>,
}

/// Closes the queue and the count on drop, so that no caller waits for ever however the thread ends.
struct AbandonOnDrop(Arc<Queue<Op>>, Arc<Progress>);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.abandon();
        self.1.end();
    }
}

impl Writer {
    /// Runs until the store is closed.
    pub(super) fn run(mut self) {
        let _abandon = AbandonOnDrop(Arc::clone(&self.queue), Arc::clone(&self.progress));
        let mut log_waits = false;
        loop {
            let (most, most_bytes) = (self.options.batch_ops, self.options.batch_bytes);
            let (mut bytes, mut alone) = (0, false);
            let patience = if log_waits { self.options.watch.min(IDLE) } else { self.options.watch };
            let taken = self.queue.take(Some(patience), |count, next: &Op| {
                bytes += next.weight();
                alone |= next.is_alone();
                !alone && count < most && bytes <= most_bytes
            });
            match taken {
                Taken::Idle => {
                    if std::mem::take(&mut log_waits) {
                        self.checkpoint("PASSIVE");
                        self.give_back_memory();
                    }
                    self.look_after();
                }
                Taken::Closed => return,
                Taken::Items(mut ops) => {
                    let count = ops.len() as u64;
                    if let [Op::Close(_)] = ops[..] {
                        self.close(ops.pop());
                        return;
                    }
                    self.write(ops);
                    self.progress.add(count);
                    log_waits = self.care_for_log();
                }
            }
        }
    }

    /// Writes a batch and answers its operations.
    fn write(&mut self, ops: Vec<Op>) {
        let mut ops: Vec<Option<Op>> = ops.into_iter().map(Some).collect();
        let mut replies = Vec::with_capacity(ops.len());
        match self.commit(&mut ops, &mut replies) {
            Ok(()) => {
                self.well();
                replies.into_iter().for_each(Reply::send);
            }
            Err(error) => {
                self.ill(&error);
                for reply in replies {
                    reply.fail(error.clone());
                }
                ops.into_iter().flatten().for_each(|op| op.fail(error.clone()));
            }
        }
    }

    /// Commits a batch to the file that the next start will open.
    fn commit(&mut self, ops: &mut [Option<Op>], replies: &mut Vec<Reply>) -> Result<()> {
        if self.checked.elapsed() > LOOKED {
            self.check_files()?;
        }
        let durability = self.durability;
        if let Err(error) = self.connected().and_then(|db| transact(db, durability, ops, replies)) {
            self.db = None;
            return Err(Error::store(error));
        }
        self.files.know_log();
        // The file may have been removed meanwhile, and its data with it.
        self.check_files()
    }

    fn check_files(&mut self) -> Result<()> {
        self.checked = Instant::now();
        self.files.check()
    }

    /// Notes that the store can write.
    fn well(&mut self) {
        if self.refusing.lock().take().is_some() {
            tracing::info!("the store writes again");
        }
    }

    /// Notes that the store cannot write.
    fn ill(&mut self, error: &Error) {
        if self.refusing.lock().replace(error.clone()).is_none() {
            tracing::error!(%error, "the store cannot write; nothing is acknowledged");
            // If only the log is gone, this writes acknowledged data into the database.
            self.checkpoint("PASSIVE");
        }
    }

    /// Runs while there is nothing to write. Checks that the files are there, and after a failure whether the store can
    /// write again.
    fn look_after(&mut self) {
        if let Err(error) = self.check_files() {
            return self.ill(&error);
        }
        if self.refusing.lock().is_none() {
            return;
        }
        let tried =
            self.connected().and_then(|db| db.execute_batch("BEGIN IMMEDIATE; UPDATE meta SET epoch = epoch; COMMIT"));
        match tried {
            Ok(()) => {
                self.files.know_log();
                self.well();
            }
            Err(error) => {
                self.db = None;
                self.ill(&Error::store(error));
            }
        }
    }

    fn connected(&mut self) -> rusqlite::Result<&Connection> {
        let db = if let Some(db) = self.db.take() {
            db
        } else {
            self.files.forget_log();
            let db = (self.connect)()?;
            // On a full disk the log may take the last room. Once it is written back, its space can be used again.
            let _ = checkpoint(&db, "PASSIVE");
            db
        };
        Ok(self.db.insert(db))
    }

    /// Writes the log back when it is long enough. Gives whether a part of it still waits.
    fn care_for_log(&mut self) -> bool {
        let Some((log, waiting)) = self.checkpoint("NOOP") else { return false };
        if waiting < self.options.checkpoint_pages {
            return waiting > 0;
        }
        let overgrown = log >= self.options.checkpoint_pages.saturating_mul(RESTART);
        if overgrown && self.restarted.is_none_or(|at| at.elapsed() >= RESTART_PAUSE) {
            self.restarted = Some(Instant::now());
            self.patience(RESTART_WAIT);
            let left = self.checkpoint("RESTART");
            self.patience(connection::BUSY);
            return left.is_some_and(|(_, waiting)| waiting > 0);
        }
        self.checkpoint("PASSIVE").is_some_and(|(_, waiting)| waiting > 0)
    }

    fn patience(&self, wait: Duration) {
        if let Some(Err(error)) = self.db.as_ref().map(|db| db.busy_timeout(wait)) {
            tracing::debug!(%error, "how long the store waits for others was not set");
        }
    }

    /// Writes the log back in that mode. Gives the pages in the log, and the number of them that still wait.
    fn checkpoint(&mut self, mode: &str) -> Option<(u64, u64)> {
        match checkpoint(self.db.as_ref()?, mode) {
            Ok(pages) => Some(pages),
            Err(error) => {
                tracing::error!(%error, "the store's log cannot be written back; the store goes on with a new connection");
                self.db = None;
                None
            }
        }
    }

    /// Frees the cache, because an idle router must be small.
    fn give_back_memory(&self) {
        if let Some(Err(error)) = self.db.as_ref().map(Connection::release_memory) {
            tracing::debug!(%error, "the store's cache was not given back");
        }
    }

    fn close(mut self, op: Option<Op>) {
        for reader in self.readers.drain(..) {
            // A reader that panicked has reported that itself.
            let _ = reader.join();
        }
        self.checkpoint("TRUNCATE");
        self.db = None;
        *self.lock.lock() = None;
        self.progress.end();
        if let Some(Op::Close(to)) = op {
            Reply::Done(to, Ok(())).send();
        }
    }
}

/// Writes the log back in that mode. Gives the pages in the log, and the number of them that still wait.
fn checkpoint(db: &Connection, mode: &str) -> rusqlite::Result<(u64, u64)> {
    let mut statement = db.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?;
    statement.query_row([], |row| {
        let (log, back): (i64, i64) = (row.get(1)?, row.get(2)?);
        Ok((log.max(0).cast_unsigned(), (log - back).max(0).cast_unsigned()))
    })
}
