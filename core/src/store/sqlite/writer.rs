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
use super::super::figures::Commits;
use super::super::front::Refusing;
use super::super::op::{Op, Reply};
use super::super::queue::{AbandonOnDrop, Queue, Taken};
use super::commit::transact;
use super::files::Files;
use super::lock::Lock;
use super::log::{Log, checkpoint};
use super::meta::Meta;
use super::options::SqliteOptions;
use super::progress::Progress;
use super::statements::Statements;
use crate::{Error, Result};

/// The time without operations after which the log is written back.
const IDLE: Duration = Duration::from_millis(500);

/// The time for which a check of the files is valid. Within it, files are not checked before a batch. This is how long
/// a relaxed store may take to notice that a file was removed or replaced.
const LOOKED: Duration = Duration::from_millis(50);

/// Opens the connection that writes.
pub(super) type Connect = Box<dyn Fn() -> rusqlite::Result<Connection> + Send>;

/// The state of the writer, which stays on its thread.
pub(super) struct Writer {
    pub(super) options: SqliteOptions,
    pub(super) durability: Durability,
    pub(super) connect: Connect,
    pub(super) files: Arc<Files>,
    /// The time of the last check of the files.
    pub(super) checked: Instant,
    pub(super) refusing: Refusing,
    pub(super) commits: Commits,
    pub(super) log: Log,
    pub(super) queue: Arc<Queue<Op>>,
    pub(super) progress: Arc<Progress>,
    pub(super) lock: Arc<Mutex<Option<Lock>>>,
    /// The threads that read; they end when their queue is closed.
    pub(super) readers: Vec<JoinHandle<()>>,
}

/// The thread's next step.
enum Next {
    /// The writer works with this connection, first on these operations.
    Work(Connection, Vec<Op>),
    /// The writer has no connection, because the medium failed.
    Wait,
    /// The writer ends, and answers this operation last.
    Close(Op),
    /// The writer ends, because no caller is left to be answered.
    End,
}

/// A batch that was not written.
enum Failed {
    /// A file is not the one that was opened.
    Moved(Error),
    /// The medium failed, and the connection must be given up.
    Medium(Error),
}

/// Ends the count however the thread ends, so that no reader waits for ever.
struct EndOnDrop(Arc<Progress>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Writer {
    /// Runs until the store is closed.
    pub(super) fn run(mut self, db: Connection) {
        // Dropped last: once the queue takes nothing more, nothing is left to wait for.
        let _end = EndOnDrop(Arc::clone(&self.progress));
        let _abandon = AbandonOnDrop(Arc::clone(&self.queue));
        let mut next = Next::Work(db, Vec::new());
        loop {
            next = match next {
                Next::Work(db, ops) => self.work(db, ops),
                Next::Wait => self.wait(),
                Next::Close(op) => return self.close(op),
                Next::End => return,
            };
        }
    }

    /// Takes the operations of the next batch.
    fn take(&self, log_waits: bool) -> Taken<Op> {
        let patience = if log_waits { self.options.watch.min(IDLE) } else { self.options.watch };
        self.queue.take_batch(patience, self.options.batch_ops, self.options.batch_bytes)
    }

    /// Works with a connection until it is lost or the store is closed.
    fn work(&mut self, mut db: Connection, ops: Vec<Op>) -> Next {
        let mut statements = match self.log.watch(&mut db).and_then(|()| Statements::of(&db, &self.options)) {
            Ok(statements) => statements,
            Err(error) => {
                self.refuse(ops, &Error::store(error));
                return Next::Wait;
            }
        };
        let mut meta = match Meta::read(&db) {
            Ok(meta) => meta,
            Err(error) => {
                self.refuse(ops, &error);
                return Next::Wait;
            }
        };
        let mut log_waits = false;
        let mut taken = if ops.is_empty() { Taken::Idle } else { Taken::Items(ops) };
        loop {
            match taken {
                Taken::Idle => {
                    if std::mem::take(&mut log_waits) {
                        if checkpoint(&db, "PASSIVE").is_err() {
                            return self.give_up();
                        }
                        give_back_memory(&db);
                    }
                    if !self.look_after(&db) {
                        return self.give_up();
                    }
                }
                Taken::Closed => return Next::End,
                Taken::Items(ops) => match closing(ops) {
                    Ok(op) => {
                        self.end_readers();
                        let _ = checkpoint(&db, "TRUNCATE");
                        return Next::Close(op);
                    }
                    Err(ops) => {
                        if !self.write(&db, &mut statements, &mut meta, ops) {
                            return self.give_up();
                        }
                        match self.log.care(&db) {
                            Ok(waits) => log_waits = waits,
                            Err(_) => return self.give_up(),
                        }
                    }
                },
            }
            taken = self.take(log_waits);
        }
    }

    /// Waits without a connection until there is a reason to open one, and opens it.
    fn wait(&mut self) -> Next {
        loop {
            let ops = match self.take(false) {
                Taken::Idle => Vec::new(),
                Taken::Closed => return Next::End,
                Taken::Items(ops) => match closing(ops) {
                    Ok(op) => return Next::Close(op),
                    Err(ops) => ops,
                },
            };
            let is_wanted = !ops.is_empty() || self.refusing.reason().is_some();
            let opened = self.check_files().and_then(|()| is_wanted.then(|| self.open()).transpose());
            match opened {
                Ok(None) => {}
                Ok(Some(db)) => return Next::Work(db, ops),
                Err(error) => self.refuse(ops, &error),
            }
        }
    }

    /// Gives up the connection, which is still open. `SQLite` may remove the log when it closes; a log that is gone
    /// before that was removed by another program, and the files stay refused.
    fn give_up(&self) -> Next {
        if self.files.check().is_ok() {
            self.files.forget_log();
        }
        Next::Wait
    }

    fn open(&self) -> Result<Connection> {
        let db = (self.connect)().map_err(Error::store)?;
        // On a full disk the log may take the last room. Once it is written back, its space can be used again.
        let _ = checkpoint(&db, "PASSIVE");
        Ok(db)
    }

    /// Writes a batch and answers its operations. `false`: the connection must be given up.
    fn write<'db>(
        &mut self,
        db: &'db Connection,
        statements: &mut Statements<'db>,
        meta: &mut Meta,
        ops: Vec<Op>,
    ) -> bool {
        let count = ops.len() as u64;
        let mut ops: Vec<Option<Op>> = ops.into_iter().map(Some).collect();
        let mut replies = Vec::with_capacity(ops.len());
        let failed = self.commit(db, statements, meta, &mut ops, &mut replies).err();
        let is_sound = !matches!(failed, Some(Failed::Medium(_)));
        match failed {
            None => {
                self.refusing.well();
                replies.into_iter().for_each(Reply::send);
            }
            Some(Failed::Moved(error) | Failed::Medium(error)) => {
                self.ill(&error, is_sound.then_some(db));
                for reply in replies {
                    reply.fail(error.clone());
                }
                ops.into_iter().flatten().for_each(|op| op.fail(error.clone()));
            }
        }
        self.progress.add(count);
        is_sound
    }

    /// Commits a batch to the file that the next start will open.
    fn commit<'db>(
        &mut self,
        db: &'db Connection,
        statements: &mut Statements<'db>,
        meta: &mut Meta,
        ops: &mut [Option<Op>],
        replies: &mut Vec<Reply>,
    ) -> Result<(), Failed> {
        if self.checked.elapsed() > LOOKED {
            self.check_files().map_err(Failed::Moved)?;
        }
        let begun = Instant::now();
        transact(db, statements, meta, self.durability, ops, replies)
            .map_err(|error| Failed::Medium(Error::store(error)))?;
        self.commits.done(ops.len(), begun.elapsed());
        self.files.know_log();
        // The file may have been removed meanwhile, and its data with it. A check has four system calls, more than a
        // small commit that does not wait for the disk; a relaxed store makes do with the checks before its batches.
        match self.durability {
            Durability::Relaxed | Durability::Memory => Ok(()),
            // `Full`; a level that this store does not know gets its strictest care.
            _ => self.check_files().map_err(Failed::Moved),
        }
    }

    fn check_files(&mut self) -> Result<()> {
        self.checked = Instant::now();
        self.files.check()
    }

    /// Answers that operations were not done, because the store cannot write.
    fn refuse(&self, ops: Vec<Op>, error: &Error) {
        self.ill(error, None);
        let count = ops.len() as u64;
        for op in ops {
            op.fail(error.clone());
        }
        self.progress.add(count);
    }

    /// Notes that the store cannot write; `db`: although its connection is sound.
    fn ill(&self, error: &Error, db: Option<&Connection>) {
        if self.refusing.ill(error)
            && let Some(db) = db
        {
            // If only the log is gone, this writes acknowledged data into the database.
            let _ = checkpoint(db, "PASSIVE");
        }
    }

    /// Runs while there is nothing to write. Checks that the files are there, and after a failure whether the store can
    /// write again. `false`: the connection must be given up.
    fn look_after(&mut self, db: &Connection) -> bool {
        if let Err(error) = self.check_files() {
            self.ill(&error, Some(db));
            return true;
        }
        if self.refusing.reason().is_none() {
            return true;
        }
        match db.execute_batch("BEGIN IMMEDIATE; UPDATE meta SET epoch = epoch; COMMIT") {
            Ok(()) => {
                self.files.know_log();
                self.refusing.well();
                true
            }
            Err(error) => {
                self.ill(&Error::store(error), None);
                false
            }
        }
    }

    fn end_readers(&mut self) {
        for reader in self.readers.drain(..) {
            // A reader that panicked has reported that itself.
            let _ = reader.join();
        }
    }

    fn close(mut self, op: Op) {
        self.end_readers();
        *self.lock.lock() = None;
        self.progress.end();
        if let Op::Close(to) = op {
            Reply::Done(to, Ok(())).send();
        }
    }
}

/// The operation that closes the store, or the others.
fn closing(mut ops: Vec<Op>) -> Result<Op, Vec<Op>> {
    match ops.pop() {
        Some(op @ Op::Close(_)) => Ok(op),
        Some(op) => {
            ops.push(op);
            Err(ops)
        }
        None => Err(ops),
    }
}

/// Frees the cache, because an idle router must be small.
fn give_back_memory(db: &Connection) {
    if let Err(error) = db.release_memory() {
        tracing::debug!(%error, "the store's cache was not given back");
    }
}
