//! Applies each write to the tables, and keeps the sums of a batch until its commit.
//!
//! Every write changes counters: tasks of a session, tasks in a block of ids, bytes of ended tasks. A batch adds the
//! changes up in memory and writes every counter once, in its own transaction.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, params};
use serde::Serialize;

use super::super::columns::{AcceptColumns, EndColumns, bound, end_columns, ending, int, json};
use super::super::weight::weight;
use super::super::{
    Accepted, Act, ApiKey, Idempotency, MinerRecord, Purge, Recovery, TaskSpec, UpstreamRecord, UsageCounts,
    UsageGroup, id_in_use, key_mismatch,
};
use super::connection::Failure;
use super::meta::Meta;
use super::row::{RowError, text, uint, write_row};
use super::schema::BLOCK;
use super::statements::Statements;
use super::sum::{UPPER, bytes_of, of_row};
use super::{audit, recovery, unusable};
use crate::Result as Answer;
use crate::model::{Day, Gid, NodeKind, Session, SessionId, Task, TaskId, Timestamp, WebhookDelivery, WebhookState};

/// An open transaction.
pub(super) struct Batch<'a, 'db> {
    db: &'db Connection,
    statements: &'a mut Statements<'db>,
    /// The row of `meta` as it was committed last.
    meta: &'a mut Meta,
    sums: Sums,
}

#[derive(Debug, Default)]
struct Sums {
    sessions: BTreeMap<u64, Count>,
    blocks: BTreeMap<(u64, u64), Count>,
    last_gid: u64,
    last_fence: u64,
    last_session: u64,
    ended_bytes: i64,
    epochs: u64,
    acts: u64,
    usage: BTreeMap<UsageGroup, UsageCounts>,
}

#[derive(Debug, Default)]
struct Count {
    last: u64,
    total: i64,
    open: i64,
}

impl Sums {
    fn count(&mut self, session: SessionId, id: TaskId, total: i64, open: i64) {
        for count in
            [self.sessions.entry(session.0).or_default(), self.blocks.entry((session.0, id.0 / BLOCK)).or_default()]
        {
            count.last = count.last.max(id.0);
            count.total += total;
            count.open += open;
        }
    }

    fn ended(&mut self, task: &Task, bytes: u64) {
        self.last_fence = self.last_fence.max(task.fence.0);
        self.ended_bytes += int(bytes);
        self.usage.entry(UsageGroup::of(task)).or_default().add(&UsageCounts::of(task));
    }

    /// The row of `meta` after this batch.
    fn applied_to(&self, meta: &Meta) -> Meta {
        Meta {
            epoch: meta.epoch + self.epochs,
            last_gid: meta.last_gid.max(self.last_gid),
            last_fence: meta.last_fence.max(self.last_fence),
            last_session: meta.last_session.max(self.last_session),
            last_audit: meta.last_audit + self.acts,
            ended_bytes: meta.ended_bytes + self.ended_bytes,
        }
    }
}

impl<'a, 'db> Batch<'a, 'db> {
    pub(super) fn begin(
        db: &'db Connection,
        statements: &'a mut Statements<'db>,
        meta: &'a mut Meta,
    ) -> rusqlite::Result<Self> {
        statements.begin.execute([])?;
        Ok(Self { db, statements, meta, sums: Sums::default() })
    }

    /// Writes the sums and commits. After that, all writes of the batch are durable.
    pub(super) fn commit(mut self) -> rusqlite::Result<()> {
        let meta = self.write_sums()?;
        self.statements.commit.execute([])?;
        *self.meta = meta;
        Ok(())
    }

    /// Starts a new epoch and reads everything that a router needs to go on.
    pub(super) fn recover(&mut self) -> Result<Recovery, Failure> {
        self.sums.epochs += 1;
        recovery::recover(self.db, self.sums.applied_to(self.meta)).map_err(|failure| match failure {
            Failure::Medium(error) if unusable::is_damage(&error) => unusable::connected(self.db, &error).into(),
            failure => failure,
        })
    }

    /// Writes a task, together with its end if the batch contains the end already.
    pub(super) fn accept(&mut self, new: &TaskSpec, end: Option<&Task>) -> Result<Accepted, Failure> {
        let inserted = match end {
            None => {
                let request = json(&*new.request)?;
                self.statements.accept(new, &EndColumns::open(new, &request), false)
            }
            Some(task) => {
                let (request, ending, bytes) = (json(&*task.request)?, ending(task)?, weight(task));
                let inserted = self.statements.accept(new, &end_columns(task, bytes, &request, &ending), true);
                if matches!(inserted, Ok(1)) {
                    self.sums.ended(task, bytes);
                    self.post(task)?;
                }
                inserted
            }
        };
        match inserted {
            Ok(1) => {
                self.sums.count(new.session_id, new.id, 1, i64::from(end.is_none()));
                self.sums.last_gid = self.sums.last_gid.max(new.gid.0);
                return Ok(Accepted::New);
            }
            Ok(_) => {}
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {}
            Err(error) => return Err(error.into()),
        }
        self.existing(new)?.ok_or_else(|| id_in_use(new).into())
    }

    /// Finds the task that used the idempotency key of the new one before.
    fn existing(&self, new: &TaskSpec) -> Result<Option<Accepted>, Failure> {
        match &new.idempotency {
            Some(key) => Ok(find(self.db, key)?.transpose()?),
            None => Ok(None),
        }
    }

    /// Writes the end of a task that has not ended yet.
    pub(super) fn finish(&mut self, task: &Task) -> Result<bool, Failure> {
        let request = json(&*task.request)?;
        let ending = ending(task)?;
        let bytes = weight(task);
        let end = end_columns(task, bytes, &request, &ending);
        let changed = self.statements.finish(task, &end)?;
        if changed == 0 {
            return Ok(false);
        }
        self.sums.count(task.session_id, task.id, 0, -1);
        self.sums.ended(task, bytes);
        self.post(task)?;
        Ok(true)
    }

    /// Deletes the oldest ended tasks that are beyond the age or the budget.
    pub(super) fn purge(&mut self, purge: Purge) -> Result<u64, Failure> {
        let mut total = self.meta.ended_bytes;
        let mut gone = 0;
        let mut select = self.db.prepare_cached(
            "SELECT gid, session_id, id, bytes, ended_at FROM task INDEXED BY task_ended
             WHERE ended_at IS NOT NULL ORDER BY ended_at, gid LIMIT ?1",
        )?;
        let mut due = Vec::new();
        let mut rows = select.query([bound(purge.limit)])?;
        while let Some(row) = rows.next()? {
            let over_budget = purge.max_bytes != 0 && total > bound(purge.max_bytes);
            if uint(row, 4)? >= purge.ended_before.0 && !over_budget {
                break;
            }
            let bytes: i64 = row.get(3)?;
            total -= bytes;
            due.push((uint(row, 0)?, SessionId(uint(row, 1)?), TaskId(uint(row, 2)?), bytes));
        }
        drop(rows);
        for (gid, session, id, bytes) in due {
            self.delete_ended(gid, session, id, bytes)?;
            gone += 1;
        }
        Ok(gone)
    }

    /// Deletes a task that has ended. Gives `false` if there is none, or it has not ended.
    pub(super) fn delete_task(&mut self, gid: Gid) -> Result<bool, Failure> {
        let mut select =
            self.db.prepare_cached("SELECT session_id, id, bytes FROM task WHERE gid = ?1 AND ended_at IS NOT NULL")?;
        let found = select
            .query_row([int(gid.0)], |row| Ok((SessionId(uint(row, 0)?), TaskId(uint(row, 1)?), row.get(2)?)))
            .optional()?;
        let Some((session, id, bytes)) = found else { return Ok(false) };
        self.delete_ended(gid.0, session, id, bytes)?;
        Ok(true)
    }

    fn delete_ended(&mut self, gid: u64, session: SessionId, id: TaskId, bytes: i64) -> Result<(), Failure> {
        self.db.prepare_cached("DELETE FROM task WHERE gid = ?1")?.execute([int(gid)])?;
        self.db.prepare_cached("DELETE FROM outbox WHERE gid = ?1")?.execute([int(gid)])?;
        self.sums.count(session, id, -1, 0);
        self.sums.ended_bytes -= bytes;
        Ok(())
    }

    /// Deletes the usage of days before that one.
    pub(super) fn forget_usage(&mut self, before: Day) -> Result<u64, Failure> {
        let gone = self.db.prepare_cached("DELETE FROM usage WHERE day < ?1")?.execute([int(before.number())])?;
        self.statements.usage.changed();
        Ok(gone as u64)
    }

    /// Deletes the entries of the audit log before the first one that is not older than that.
    pub(super) fn forget_audit(&self, before: Timestamp) -> Result<u64, Failure> {
        Ok(audit::forget(self.db, before)?)
    }

    /// Writes an act into the audit log, if there is one.
    fn record(&mut self, act: Option<&Act>) -> Result<(), Failure> {
        let Some(act) = act else { return Ok(()) };
        self.sums.acts += 1;
        self.statements.audit.record(self.meta.last_audit + self.sums.acts, act)
    }

    /// Writes a record as JSON under its id, and the act if there is one.
    fn put_body(
        &mut self,
        table: &str,
        id: ValueRef<'_>,
        record: &impl Serialize,
        act: Option<&Act>,
    ) -> Result<(), Failure> {
        let body = json(record)?;
        let mut insert = self.db.prepare_cached(&format!(
            "INSERT INTO {table}(id, body, sum) VALUES(?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET body = excluded.body, sum = excluded.sum"
        ))?;
        write_row(&mut insert, [id, ValueRef::Text(&body)])?;
        self.record(act)
    }

    /// Deletes a row by its id, and records the act if there was one.
    fn delete_by_id(&mut self, table: &str, id: &str, act: Option<&Act>) -> Result<bool, Failure> {
        let found = self.db.prepare_cached(&format!("DELETE FROM {table} WHERE id = ?1"))?.execute([id])? > 0;
        self.record(act.filter(|_| found))?;
        Ok(found)
    }

    pub(super) fn put_session(&mut self, session: &Session, act: Option<&Act>) -> Result<(), Failure> {
        self.sums.last_session = self.sums.last_session.max(session.id.0);
        self.put_body("session", ValueRef::Integer(int(session.id.0)), session, act)
    }

    /// Deletes a session that has no tasks, with its counters. Gives `false` if it has some.
    pub(super) fn delete_session(&self, id: SessionId) -> Result<bool, Failure> {
        let id = [int(id.0)];
        if self.db.prepare_cached("SELECT 1 FROM task WHERE session_id = ?1 LIMIT 1")?.exists(id)? {
            return Ok(false);
        }
        self.db.prepare_cached("DELETE FROM session WHERE id = ?1")?.execute(id)?;
        self.db.prepare_cached("DELETE FROM session_count WHERE session_id = ?1")?.execute(id)?;
        self.db.prepare_cached("DELETE FROM task_count WHERE session_id = ?1")?.execute(id)?;
        Ok(true)
    }

    pub(super) fn put_key(&mut self, key: &ApiKey, act: Option<&Act>) -> Result<(), Failure> {
        self.put_body("api_token", key.id.as_str().into(), key, act)
    }

    pub(super) fn delete_key(&mut self, id: &str, act: Option<&Act>) -> Result<bool, Failure> {
        self.delete_by_id("api_token", id, act)
    }

    pub(super) fn put_miner(&mut self, miner: &MinerRecord, act: Option<&Act>) -> Result<(), Failure> {
        let models = json(&miner.models)?;
        let values: [ValueRef<'_>; 10] = [
            miner.id.as_str().into(),
            miner.name.as_str().into(),
            miner.public_key.as_deref().unwrap_or_default().into(),
            miner.kind.map_or("", NodeKind::as_str).into(),
            miner.owner.as_deref().unwrap_or_default().into(),
            ValueRef::Text(&models),
            ValueRef::Real(miner.reputation),
            ValueRef::Integer(int(miner.created_at)),
            ValueRef::Integer(int(miner.last_seen.map_or(0, NonZeroU64::get))),
            ValueRef::Integer(miner.revoked.into()),
        ];
        let mut insert = self.db.prepare_cached(
            "INSERT INTO miner(id, name, public_key, kind, owner, models, reputation, created_at, last_seen, revoked, sum)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO UPDATE SET
                 name = excluded.name, public_key = excluded.public_key, kind = excluded.kind,
                 owner = excluded.owner, models = excluded.models, reputation = excluded.reputation,
                 created_at = excluded.created_at, last_seen = excluded.last_seen, revoked = excluded.revoked,
                 sum = excluded.sum",
        )?;
        write_row(&mut insert, values)?;
        drop(insert);
        self.record(act)
    }

    pub(super) fn delete_miner(&mut self, id: &str, act: Option<&Act>) -> Result<bool, Failure> {
        self.delete_by_id("miner", id, act)
    }

    pub(super) fn put_upstream(&mut self, upstream: &UpstreamRecord, act: Option<&Act>) -> Result<(), Failure> {
        self.put_body("upstream", upstream.name().into(), upstream, act)
    }

    pub(super) fn delete_upstream(&mut self, name: &str, act: Option<&Act>) -> Result<bool, Failure> {
        self.delete_by_id("upstream", name, act)
    }

    pub(super) fn note(&mut self, act: &Act) -> Result<(), Failure> {
        self.record(Some(act))
    }

    /// Writes the delivery of a task that has ended, if it has a webhook.
    fn post(&self, task: &Task) -> Result<(), Failure> {
        let Some(delivery) = &task.webhook else { return Ok(()) };
        let sql = "INSERT OR REPLACE INTO outbox(body, pending, sum, gid) VALUES(?1, ?2, ?3, ?4)";
        self.write_delivery(sql, task.gid, delivery).map(drop)
    }

    /// Writes what became of a delivery. Gives `false` if there is none of that task.
    pub(super) fn put_delivery(&self, gid: Gid, delivery: &WebhookDelivery) -> Result<bool, Failure> {
        let sql = "UPDATE outbox SET body = ?1, pending = ?2, sum = ?3 WHERE gid = ?4";
        Ok(self.write_delivery(sql, gid, delivery)? > 0)
    }

    fn write_delivery(&self, sql: &str, gid: Gid, delivery: &WebhookDelivery) -> Result<usize, Failure> {
        let (gid, body, pending) = (int(gid.0), json(delivery)?, delivery.state == WebhookState::Pending);
        let sum = of_row([ValueRef::Integer(gid), ValueRef::Text(&body), ValueRef::Integer(pending.into())]);
        Ok(self.db.prepare_cached(sql)?.execute(params![text(Some(&body)), pending, sum, gid])?)
    }

    /// Writes every counter that changed. Gives the row of `meta` as it is now.
    fn write_sums(&mut self) -> rusqlite::Result<Meta> {
        let mut sums = std::mem::take(&mut self.sums);
        for (id, count) in &sums.sessions {
            let values = params![int(*id), int(count.last), count.total, count.open];
            self.statements.session_count.execute(values)?;
        }
        for ((id, number), count) in &sums.blocks {
            self.statements.block_count.execute(params![int(*id), int(*number), count.total, count.open])?;
            if count.total < 0 {
                self.statements.empty_block.execute(params![int(*id), int(*number)])?;
            }
        }
        for (group, counts) in std::mem::take(&mut sums.usage) {
            self.statements.usage.count(group, &counts)?;
        }
        let meta = sums.applied_to(self.meta);
        if meta != *self.meta {
            meta.write(&mut self.statements.meta)?;
        }
        Ok(meta)
    }
}

/// Finds the task of that key. The inner error means that the key was used for another request, or that its row is
/// damaged.
pub(super) fn find(db: &Connection, key: &Idempotency) -> rusqlite::Result<Option<Answer<Accepted>>> {
    let mut select = db.prepare_cached(
        "SELECT gid, session_id, id, band, idem_scope, idem_key, idem_fp, sum FROM task
         WHERE idem_scope = ?1 AND idem_key = ?2",
    )?;
    select
        .query_row(params![key.scope, key.key], |row| {
            let bytes = |column| row.get_ref(column).map(bytes_of);
            let accept = AcceptColumns {
                gid: row.get(0)?,
                session_id: row.get(1)?,
                id: row.get(2)?,
                band: row.get(3)?,
                idem_scope: bytes(4)?,
                idem_key: bytes(5)?,
                idem_fp: bytes(6)?,
            };
            let (session_id, id) = (SessionId(uint(row, 1)?), TaskId(uint(row, 2)?));
            if row.get::<_, Option<i64>>(7)?.map(|sum| sum & UPPER) != Some(accept.half()) {
                return Ok(Err(RowError::Sum.told(Some((session_id, id)))));
            }
            if accept.idem_fp != Some(&key.fingerprint[..]) {
                return Ok(Err(key_mismatch()));
            }
            Ok(Ok(Accepted::Existing { gid: Gid(uint(row, 0)?), session_id, id }))
        })
        .optional()
}
