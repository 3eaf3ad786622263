//! The one thread that writes: it takes whatever has gathered while the last commit was under way, writes it in
//! one transaction, and answers after the commit (opportunistic group commit).
//!
//! An error of the medium fails the whole batch: every operation in it is answered with it, nothing is
//! acknowledged. The connection counts as poisoned then (after a failed sync nobody knows what the disk has) and
//! the next batch opens a new one.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::Connection;

use super::super::Durability;
use super::batch::Batch;
use super::connection::{Failure, set_sync};
use super::lock::Lock;
use super::op::{Op, Reply};
use super::queue::{Progress, Queue, Taken};
use super::{SqliteOptions, recovery};
use crate::{Error, Result};

/// A log that waits to be written back is written back when nothing comes for this long.
const IDLE: Duration = Duration::from_millis(500);

/// When the log has grown to so many times `checkpoint_pages` the writer waits for readers to start it over.
const RESTART: u64 = 16;

/// Opens the connection that writes.
pub(super) type Connect = Box<dyn Fn() -> rusqlite::Result<Connection> + Send>;

/// The writer's state; lives on its thread.
pub(super) struct Writer {
    pub(super) options: SqliteOptions,
    pub(super) durability: Durability,
    pub(super) connect: Connect,
    /// `None` after a failure of the medium.
    pub(super) db: Option<Connection>,
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
        let mode = if log >= self.options.checkpoint_pages.saturating_mul(RESTART) { "RESTART" } else { "PASSIVE" };
        self.checkpoint(mode).is_some_and(|(_, waiting)| waiting > 0)
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

/// Does the operations in one transaction. On success all are taken and their replies are there.
fn transact(
    db: &Connection,
    durability: Durability,
    ops: &mut [Option<Op>],
    replies: &mut Vec<Reply>,
) -> rusqlite::Result<()> {
    // The epoch is what makes fences unique: it must not be lost with the power, whatever the durability.
    let synced = matches!(ops.first(), Some(Some(Op::Recover(_)))) && durability != Durability::Full;
    if synced {
        set_sync(db, Durability::Full)?;
    }
    let answer = within(db, ops, replies);
    if answer.is_err() && !db.is_autocommit() {
        // The connection is given up after this anyway.
        let _ = db.execute_batch("ROLLBACK");
    }
    if synced {
        set_sync(db, durability)?;
    }
    answer
}

fn within(db: &Connection, ops: &mut [Option<Op>], replies: &mut Vec<Reply>) -> rusqlite::Result<()> {
    let ends = ends_of_accepts(ops);
    let mut batch = Batch::begin(db)?;
    for at in 0..ops.len() {
        let Some(op) = ops[at].take() else { continue };
        let end = ends.get(&at).copied();
        let finish = end.and_then(|end| match &ops[end] {
            Some(Op::Finish(task, _)) => Some(Arc::clone(task)),
            _ => None,
        });
        let new = match settle(&mut batch, db, op, finish.as_deref(), replies) {
            Ok(new) => new,
            Err((op, error)) => {
                ops[at] = Some(op);
                return Err(error);
            }
        };
        if new && let Some(Op::Finish(_, to)) = end.and_then(|end| ops[end].take()) {
            replies.push(Reply::Changed(to, Ok(true)));
        }
    }
    batch.commit()
}

/// Where in the batch the end of a task lies whose accept is in it too: both become one row written once.
fn ends_of_accepts(ops: &[Option<Op>]) -> HashMap<usize, usize> {
    let mut accepts = HashMap::new();
    let mut ends = HashMap::new();
    for (at, op) in ops.iter().enumerate() {
        match op {
            Some(Op::Accept(new, _)) => {
                accepts.entry(new.gid).or_insert((at, new.session_id, new.id));
            }
            Some(Op::Finish(task, _)) => {
                if let Some((accept, session, id)) = accepts.get(&task.gid)
                    && (*session, *id) == (task.session_id, task.id)
                {
                    ends.entry(*accept).or_insert(at);
                }
            }
            _ => {}
        }
    }
    ends
}

/// Does one operation. `Ok(true)`: it was the accept of a new task. `Err`: the medium failed.
fn settle(
    batch: &mut Batch<'_>,
    db: &Connection,
    op: Op,
    end: Option<&crate::model::Task>,
    replies: &mut Vec<Reply>,
) -> Result<bool, (Op, rusqlite::Error)> {
    macro_rules! answered {
        ($result:expr, $op:expr) => {
            match $result {
                Ok(value) => Ok(value),
                Err(Failure::Refused(error)) => Err(error),
                Err(Failure::Medium(error)) => return Err(($op, error)),
            }
        };
    }
    let mut new = false;
    let reply = match op {
        Op::Accept(task, to) => {
            let answer = answered!(batch.accept(&task, end), Op::Accept(task, to));
            new = matches!(answer, Ok(super::super::Accepted::New));
            Reply::Accepted(to, answer)
        }
        Op::Finish(task, to) => {
            let answer = answered!(batch.finish(&task), Op::Finish(task, to));
            Reply::Changed(to, answer)
        }
        Op::PutSession(session, to) => {
            let answer = answered!(batch.put_session(&session), Op::PutSession(session, to));
            Reply::Done(to, answer)
        }
        Op::PutKey(key, to) => {
            let answer = answered!(batch.put_key(&key), Op::PutKey(key, to));
            Reply::Done(to, answer)
        }
        Op::DeleteKey(id, to) => {
            let answer = answered!(batch.delete_key(&id), Op::DeleteKey(id, to));
            Reply::Changed(to, answer)
        }
        Op::Purge(purge, to) => {
            let answer = answered!(batch.purge(purge), Op::Purge(purge, to));
            Reply::Purged(to, answer)
        }
        Op::Recover(to) => {
            let answer = answered!(recovery::recover(db), Op::Recover(to));
            Reply::Recovered(to, answer)
        }
        // It comes alone and never gets here; answered all the same.
        Op::Close(to) => Reply::Done(to, Ok(())),
    };
    replies.push(reply);
    Ok(new)
}
