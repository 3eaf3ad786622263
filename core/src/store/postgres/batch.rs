//! One batch as one transaction, in two round trips: the writes, then their sums and the commit.
//!
//! The answers are known before the commit is sent. If the connection is lost with the commit, the number of the batch
//! in the row of this start tells whether it was done, and no statement is ever done twice.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::answer::Answer;
use super::link::{Link, Lost, Params};
use super::rows::{Arrays, EndRow, Utf8};
use super::seat::Seat;
use super::sql::Sql;
use super::stage::{Part, Stage, parts};
use super::sums::{Sums, UsageRows};
use super::{deeds, records, recovery, usage};
use crate::model::{Gid, SessionId, TaskId};
use crate::store::columns::int;
use crate::store::op::Op;
use crate::store::usage::UsageGroup;
use crate::store::{Accepted, Durability, Idempotency, TaskSpec, id_in_use, key_mismatch};
use crate::{Error, Result};

/// The reason why a batch was not done.
#[derive(Debug)]
pub(super) enum Failed {
    /// The server did not do it, or did not say so.
    Lost(Lost),
    /// Another router has declared this one gone.
    Deposed,
    /// This program must not write any more.
    Refused(Error),
}

impl From<tokio_postgres::Error> for Failed {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Lost(error.into())
    }
}

/// The parts of a store that its batches need.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) sql: Sql,
    pub(super) schema: String,
    pub(super) durability: Durability,
    pub(super) audit_rows: u64,
    pub(super) lease: Duration,
    pub(super) patience: Duration,
    /// The epoch of the writer, whose open tasks the reader reads.
    pub(super) epoch: AtomicI64,
    /// The greatest epoch of which this router heard by other ways than the database.
    pub(super) heard: AtomicI64,
    /// The number of writes that were ever answered.
    pub(super) answered: AtomicU64,
    /// Whether the writer stands still, as a process that was stopped, and whether it ends as one that was killed.
    #[cfg(test)]
    pub(super) asleep: std::sync::atomic::AtomicBool,
    #[cfg(test)]
    pub(super) killed: std::sync::atomic::AtomicBool,
}

impl Ground {
    /// The epoch of this start.
    pub(super) fn epoch(&self) -> i64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The statements that begin a transaction with the durability of the store, whatever the server's default is.
    fn begin(&self, durability: Durability) -> String {
        let commit = if durability == Durability::Relaxed { "off" } else { "on" };
        let patience = self.patience.as_millis();
        format!(
            "BEGIN; SET LOCAL synchronous_commit = {commit}; SET LOCAL lock_timeout = {patience}; \
             SET LOCAL idle_in_transaction_session_timeout = {}",
            self.lease.as_millis()
        )
    }
}

/// An open transaction.
pub(super) struct Batch<'a> {
    pub(super) link: &'a Link,
    pub(super) ground: &'a Ground,
    /// The seat under which the batch writes. Its changes hold for the store once the batch is committed.
    pub(super) seat: Seat,
    pub(super) usage: &'a mut UsageRows,
    pub(super) sums: Sums,
}

impl<'a> Batch<'a> {
    pub(super) fn new(link: &'a Link, ground: &'a Ground, seat: &'a Seat, usage: &'a mut UsageRows) -> Self {
        Self { link, ground, seat: seat.clone(), usage, sums: Sums::default() }
    }

    /// Does the operations. Gives their answers, which hold once the batch is committed.
    pub(super) async fn run(&mut self, ops: &[Op]) -> Result<Vec<Answer>, Failed> {
        let mut answers: Vec<Option<Answer>> = ops.iter().map(|_| None).collect();
        let parts = parts(ops, &mut answers);
        let mut parts = parts.into_iter();
        let mut next = parts.next();
        if let Some(Part::Stage(stage)) = &next {
            let ((), written) = tokio::try_join!(biased; self.begin(self.ground.durability), self.write(stage))?;
            self.settle(stage, &written, &mut answers).await?;
            next = parts.next();
        } else {
            // The epoch makes fences unique, so it must survive a power loss whatever the durability is.
            let recovers = matches!(ops.first(), Some(Op::Recover(_)));
            self.begin(if recovers { Durability::Full } else { self.ground.durability }).await?;
        }
        while let Some(part) = next {
            match part {
                Part::Stage(stage) => {
                    let written = self.write(&stage).await?;
                    self.settle(&stage, &written, &mut answers).await?;
                }
                Part::Alone(at, op) => answers[at] = Some(self.alone(op).await?),
            }
            next = parts.next();
        }
        let missing = || Answer::Done(Err(Error::internal("an operation of a batch has no answer")));
        Ok(answers.into_iter().map(|answer| answer.unwrap_or_else(missing)).collect())
    }

    /// Writes the sums and commits.
    pub(super) async fn commit(self, number: u64) -> Result<(), Failed> {
        let (lease, number) = (self.ground.lease.as_millis() as i64, int(number));
        let (gid, fence) = (int(self.sums.last_gid), int(self.sums.last_fence));
        let params: Params<'_> = &[
            (&self.seat.nonce, Type::TEXT),
            (&lease, Type::INT8),
            (&number, Type::INT8),
            (&gid, Type::INT8),
            (&fence, Type::INT8),
        ];
        let note = self.link.query(&self.ground.sql.note, params);
        let sums = self.sums.write(self.link, &self.ground.sql, self.seat.epoch);
        tokio::try_join!(biased; note, sums, self.link.run("COMMIT"))?;
        Ok(())
    }

    async fn begin(&self, durability: Durability) -> Result<(), Failed> {
        let begin = self.ground.begin(durability);
        let nonce: Params<'_> = &[(&self.seat.nonce, Type::TEXT)];
        let ((), locked) = tokio::try_join!(
            biased;
            self.link.run(&begin),
            self.link.query(&self.ground.sql.lock, nonce)
        )?;
        let is_up = locked.first().is_some_and(|row| row.get::<_, &str>(2) != "gone");
        if is_up { Ok(()) } else { Err(Failed::Deposed) }
    }

    /// Asks for the rows of a stage. Gives the numbers of the tasks that each of its statements wrote.
    async fn write(&self, stage: &Stage<'_>) -> Result<[BTreeSet<i64>; 3], Failed> {
        let (new, whole) = (Arrays::of_new(&stage.new), Arrays::of_whole(&stage.whole));
        let ends = Arrays::of_ends(stage.ends.iter().map(|(_, end)| end));
        let sql = &self.ground.sql;
        let (new, whole, ends) = tokio::try_join!(
            biased;
            self.each(&sql.accept, &new, stage.new.len()),
            self.each(&sql.accept_ended, &whole, stage.whole.len()),
            self.each(&sql.finish, &ends, stage.ends.len())
        )?;
        Ok([new, whole, ends])
    }

    /// Does a statement for many tasks. Gives the numbers of those that it wrote.
    async fn each(&self, sql: &str, arrays: &Arrays<'_>, count: usize) -> Result<BTreeSet<i64>, Failed> {
        if count == 0 {
            return Ok(BTreeSet::new());
        }
        let rows = self.link.query(sql, &arrays.params(&self.seat.epoch)).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Counts what a stage wrote, and finds the answers for what it did not write.
    async fn settle(
        &mut self,
        stage: &Stage<'_>,
        [new, whole, ends]: &[BTreeSet<i64>; 3],
        answers: &mut [Option<Answer>],
    ) -> Result<(), Failed> {
        for (at, row) in &stage.new {
            let accepted = if new.contains(&int(row.new.gid.0)) {
                self.sums.accepted(row.new.gid.0, row.new.session_id, row.new.id, false);
                Ok(Accepted::New)
            } else {
                self.existing(row.new).await?
            };
            answers[*at] = Some(Answer::Accepted(accepted));
        }
        for row in &stage.whole {
            let is_new = whole.contains(&int(row.new.gid.0));
            if is_new {
                self.sums.accepted(row.new.gid.0, row.new.session_id, row.new.id, true);
                self.ended(&row.end).await?;
            }
            if let Some(accept) = row.accept {
                let accepted = if is_new { Ok(Accepted::New) } else { self.existing(row.new).await? };
                answers[accept] = Some(Answer::Accepted(accepted));
            }
            // The store may have the task: an earlier write succeeded although it reported an error.
            let is_ended = is_new || self.finish(&self.ground.sql.finish, &row.end).await?;
            answers[row.finish] = Some(Answer::Changed(Ok(is_ended)));
        }
        for (at, end) in &stage.ends {
            let is_ended = ends.contains(&int(end.task.gid.0));
            if is_ended {
                self.sums.closed(end.task.session_id);
                self.ended(end).await?;
            }
            answers[*at] = Some(Answer::Changed(Ok(is_ended)));
        }
        Ok(())
    }

    /// Writes the end of one task with that statement.
    pub(super) async fn finish(&mut self, sql: &str, end: &EndRow<'_>) -> Result<bool, Failed> {
        let arrays = Arrays::of_ends(std::iter::once(end));
        let is_ended = !self.each(sql, &arrays, 1).await?.is_empty();
        if is_ended {
            self.sums.closed(end.task.session_id);
            self.ended(end).await?;
        }
        Ok(is_ended)
    }

    /// Counts the usage of a task that has ended in this batch.
    async fn ended(&mut self, end: &EndRow<'_>) -> Result<(), Failed> {
        let group = UsageGroup::of(end.task);
        if !self.usage.knows(group.day) {
            self.usage.learn(group.day, usage::rows_of(self.link, &self.ground.schema, group.day).await?);
        }
        let group = self.usage.place(group);
        self.sums.ended(end.task, end.bytes, group);
        records::post(self, end.task).await
    }

    /// The answer for a task whose number, id or key is in use.
    async fn existing(&self, new: &TaskSpec) -> Result<Result<Accepted>, Failed> {
        let found = match &new.idempotency {
            Some(key) => find(self.link, &self.ground.sql, key).await?,
            None => None,
        };
        Ok(found.unwrap_or_else(|| Err(id_in_use(new))))
    }

    /// Does an operation that no other one joins.
    async fn alone(&mut self, op: &Op) -> Result<Answer, Failed> {
        Ok(match op {
            Op::PutSession(audited, _) => Answer::Done(records::put_session(self, audited).await?),
            Op::DeleteSession(id, _) => Answer::Changed(records::delete_session(self, *id).await.map(Ok)?),
            Op::PutKey(audited, _) => Answer::Done(records::put_key(self, audited).await?),
            Op::DeleteKey(audited, _) => Answer::Changed(records::delete_key(self, audited).await?),
            Op::PutMiner(audited, _) => Answer::Done(records::put_miner(self, audited).await?),
            Op::DeleteMiner(audited, _) => Answer::Changed(records::delete_miner(self, audited).await?),
            Op::PutUpstream(audited, _) => Answer::Done(records::put_upstream(self, audited).await?),
            Op::DeleteUpstream(audited, _) => Answer::Changed(records::delete_upstream(self, audited).await?),
            Op::PutDelivery(put, _) => Answer::Changed(records::put_delivery(self, put.0, &put.1).await?),
            Op::Note(act, _) => Answer::Done(records::note(self, act).await?),
            Op::Purge(purge, _) => Answer::Counted(records::purge(self, *purge).await.map(Ok)?),
            Op::DeleteTask(gid, _) => Answer::Changed(records::delete_task(self, *gid).await.map(Ok)?),
            Op::ForgetUsage(before, _) => Answer::Counted(records::forget_usage(self, *before).await.map(Ok)?),
            Op::ForgetAudit(before, _) => Answer::Counted(records::forget_audit(self, *before).await.map(Ok)?),
            Op::Fleet(deed) => Answer::Told(deeds::done(self, deed).await?),
            Op::Recover(_) => Answer::Recovered(Box::new(recovery::recover(self).await.map(Ok)?)),
            Op::Accept(..) | Op::Finish(..) | Op::Record(..) | Op::Close(..) => {
                Answer::failed(op, Error::internal("an operation of the store is in the wrong place"))
            }
        })
    }
}

/// Finds the task of that key. The inner error means that the key was used for another request.
pub(super) async fn find(
    link: &Link,
    sql: &Sql,
    key: &Idempotency,
) -> Result<Option<Result<Accepted>>, tokio_postgres::Error> {
    let (scope, name) = (Utf8(key.scope.as_bytes()), Utf8(key.key.as_bytes()));
    let rows = link.query(&sql.by_key, &[(&scope, Type::TEXT), (&name, Type::TEXT)]).await?;
    let found = |row: &Row| {
        if row.get::<_, Option<&[u8]>>(3) != Some(&key.fingerprint[..]) {
            return Err(key_mismatch());
        }
        let [gid, session, id] = [0, 1, 2].map(|at| row.get::<_, i64>(at).cast_unsigned());
        Ok(Accepted::Existing { gid: Gid(gid), session_id: SessionId(session), id: TaskId(id) })
    };
    Ok(rows.first().map(found))
}

/// Whether that batch of the start with that secret was committed. Waits for a transaction that may still be under way.
pub(super) async fn was_committed(link: &Link, ground: &Ground, nonce: &str, number: u64) -> Result<bool, Failed> {
    let begin = ground.begin(ground.durability);
    let nonce: Params<'_> = &[(&nonce, Type::TEXT)];
    let ((), locked, ()) = tokio::try_join!(
        biased;
        link.run(&begin),
        link.query(&ground.sql.lock, nonce),
        link.run("ROLLBACK")
    )?;
    Ok(locked.first().is_some_and(|row| row.get::<_, i64>(1) >= int(number)))
}
