//! The one thread that writes: it takes whatever has gathered while the last commit was under way, writes it in
//! one transaction, and answers after the commit (opportunistic group commit).
//!
//! An error of the medium fails the whole batch: every operation in it is answered with it, nothing is
//! acknowledged. The connection counts as poisoned then (after a failed sync nobody knows what the disk has) and
//! the next batch opens a new one.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rusqlite::Connection;

use super::super::Durability;
use super::commit::transact;
use super::lock::Lock;
use super::op::{Op, Reply};
use super::queue::{Progress, Queue, Taken};
use super::{SqliteOptions, connection};
use crate::Error;

/// A log that waits to be written back is written back when nothing comes for this long.
const IDLE: Duration = Duration::from_millis(500);

/// When the log has grown to so many times `checkpoint_pages` the writer waits for readers to start it over ...
const RESTART: u64 = 16;
/// ... for this long ...
const RESTART_WAIT: Duration = Duration::from_millis(50);
/// ... and not more often than this: somebody may read the whole file.
const RESTART_PAUSE: Duration = Duration::from_secs(5);

/// Opens the connection that writes.
pub(super) type Connect = Box<dyn Fn() -> rusqlite::Result<Connection> + Send>;

/// The writer's state; lives on its thread.
pub(super) struct Writer {
    pub(super) options: SqliteOptions,
    pub(super) durability: Durability,
    pub(super) connect: Connect,
    /// `None` after a failure of the medium.
    pub(super) db: Option<Connection>,
    /// When it last waited for readers to start the log over.
    pub(super) restarted: Option<Instant>,
    pub(super) queue: Arc<Queue<Op>>,
    pub(super) progress: Arc<Progress>,
    pub(super) lock: Arc<Mutex<Option<Lock>>>,
    /// They end when their queue is closed.
    pub(super) readers: Vec<JoinHandle<()>>,
}

/// However the thread ends, nobody waits for it for ever.
struct LastWords(Arc<Queue<Op>>, Arc<Progress>);

impl Drop for LastWords {
    fn drop(&mut self) {
        self.0.abandon();
        self.1.end();
    }
}

impl Writer {
    /// Works until it is closed.
    pub(super) fn run(mut self) {
        let _last_words = LastWords(Arc::clone(&self.queue), Arc::clone(&self.progress));
        let mut log_waits = false;
        loop {
            let (most, most_bytes) = (self.options.batch_ops, self.options.batch_bytes);
            let (mut bytes, mut alone) = (0, false);
            let taken = self.queue.take(log_waits.then_some(IDLE), |count, next: &Op| {
                bytes += next.weight();
                alone |= next.is_alone();
                !alone && count < most && bytes <= most_bytes
            });
            match taken {
                Taken::Idle => {
                    self.checkpoint("PASSIVE");
                    self.give_back_memory();
                    log_waits = false;
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

    /// Writes a batch and answers.
    fn write(&mut self, ops: Vec<Op>) {
        let was_well = self.db.is_some();
        let mut ops: Vec<Option<Op>> = ops.into_iter().map(Some).collect();
        let mut replies = Vec::with_capacity(ops.len());
        let durability = self.durability;
        let done = match self.connected() {
            Ok(db) => transact(db, durability, &mut ops, &mut replies),
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => {
                if !was_well {
                    tracing::info!("the store writes again");
                }
                replies.into_iter().for_each(Reply::send);
            }
            Err(error) => {
                if was_well {
                    tracing::error!(%error, "the store cannot write; nothing of this batch is acknowledged");
                }
                self.db = None;
                let error = Error::store(error);
                for reply in replies {
                    reply.fail(error.clone());
                }
                ops.into_iter().flatten().for_each(|op| op.fail(error.clone()));
            }
        }
    }

    fn connected(&mut self) -> rusqlite::Result<&Connection> {
        let db = if let Some(db) = self.db.take() {
            db
        } else {
            let db = (self.connect)()?;
            // On a full disk the log may be what takes the room: written back it can be used again.
            let _ = checkpoint(&db, "PASSIVE");
            db
        };
        Ok(self.db.insert(db))
    }

    /// Writes the log back when it is long enough. Whether some of it still waits.
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

    /// Pages in the log, and how many of them wait to be written back.
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

    /// A router that idles is to be small.
    fn give_back_memory(&self) {
        if let Some(Err(error)) = self.db.as_ref().map(Connection::release_memory) {
            tracing::debug!(%error, "the store's cache was not given back");
        }
    }

    fn close(mut self, op: Option<Op>) {
        for reader in self.readers.drain(..) {
            // A reader that panicked has said so on its own.
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

/// Pages in the log, and how many of them wait to be written back.
fn checkpoint(db: &Connection, mode: &str) -> rusqlite::Result<(u64, u64)> {
    let mut statement = db.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?;
    statement.query_row([], |row| {
        let (log, back): (i64, i64) = (row.get(1)?, row.get(2)?);
        Ok((log.max(0).cast_unsigned(), (log - back).max(0).cast_unsigned()))
    })
}
