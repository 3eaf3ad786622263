//! Applies each write to the tables, and keeps the sums of a batch until its commit.
//!
//! Every write changes counters: tasks of a session, tasks in a block of ids, bytes of ended tasks. A batch adds the
//! changes up in memory and writes every counter once, in its own transaction.

use std::collections::BTreeMap;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Statement, params};

use super::super::weight::weight;
use super::super::{Accepted, ApiKey, Idempotency, MinerRecord, Purge, TaskSpec, id_in_use, key_mismatch};
use super::connection::Failure;
use super::row::{RowError, end_columns, ending, int, json, uint};
use super::schema::BLOCK;
use super::sum::{AcceptColumns, EndColumns, UPPER, bytes_of, of_row};
use crate::Result as Answer;
use crate::model::{Gid, Session, SessionId, Task, TaskId};

/// An open transaction.
pub(super) struct Batch<'a> {
    db: &'a Connection,
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
    }
}

/// The columns of an accepted task that its checksum covers.
fn accept_columns(new: &TaskSpec) -> AcceptColumns<'_> {
    let key = new.idempotency.as_ref();
    AcceptColumns {
        gid: int(new.gid.0),
        session_id: int(new.session_id.0),
        id: int(new.id.0),
        band: i64::from(new.band),
        idem_scope: key.map(|key| key.scope.as_bytes()),
        idem_key: key.map(|key| key.key.as_bytes()),
        idem_fp: key.map(|key| &key.fingerprint[..]),
    }
}

impl<'a> Batch<'a> {
    pub(super) fn begin(db: &'a Connection) -> rusqlite::Result<Self> {
        db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(Self { db, sums: Sums::default() })
    }

    /// Writes the sums and commits. After that, all writes of the batch are durable.
    pub(super) fn commit(mut self) -> rusqlite::Result<()> {
        self.write_sums()?;
        self.db.prepare_cached("COMMIT")?.execute([]).map(drop)
    }

    /// Writes a task, together with its end if the batch contains the end already.
    pub(super) fn accept(&mut self, new: &TaskSpec, end: Option<&Task>) -> Result<Accepted, Failure> {
        let inserted = match end {
            None => {
                let request = json(&*new.request)?;
                let open = EndColumns {
                    created_at: int(new.created_at.0),
                    deadline: int(new.deadline.0),
                    request: request.as_bytes(),
                    ..EndColumns::default()
                };
                self.insert(new, &open)
            }
            Some(task) => {
                let (request, ending, bytes) = (json(&*task.request)?, ending(task)?, weight(task));
                let inserted = self.insert(new, &end_columns(task, bytes, &request, &ending));
                if matches!(inserted, Ok(1)) {
                    self.sums.ended(task, bytes);
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

    fn insert(&self, new: &TaskSpec, end: &EndColumns<'_>) -> rusqlite::Result<usize> {
        let mut insert = self.db.prepare_cached(
            "INSERT INTO task(bytes, attempts, fence, created_at, started_at, first_token_at, precommitted_at,
                 committed_at, ended_at, deadline, assigned_miners, request, \"end\", text, raw,
                 gid, session_id, id, band, sum, idem_scope, idem_key, idem_fp)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
                 ?22, ?23)
             ON CONFLICT(idem_scope, idem_key) WHERE idem_key IS NOT NULL DO NOTHING",
        )?;
        let accept = accept_columns(new);
        bind_end(&mut insert, end)?;
        let sum = accept.half() | end.half(accept.gid);
        for (at, number) in (16..).zip([accept.gid, accept.session_id, accept.id, accept.band, sum]) {
            insert.raw_bind_parameter(at, number)?;
        }
        insert.raw_bind_parameter(21, text(accept.idem_scope))?;
        insert.raw_bind_parameter(22, text(accept.idem_key))?;
        insert.raw_bind_parameter(23, accept.idem_fp)?;
        insert.raw_execute()
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
        let mut update = self.db.prepare_cached(
            "UPDATE task SET bytes = ?1, attempts = ?2, fence = ?3, created_at = ?4, started_at = ?5,
                 first_token_at = ?6, precommitted_at = ?7, committed_at = ?8, ended_at = ?9, deadline = ?10,
                 assigned_miners = ?11, request = ?12, \"end\" = ?13, text = ?14, raw = ?15, sum = (sum & ?16) | ?17
             WHERE gid = ?18 AND session_id = ?19 AND id = ?20 AND ended_at IS NULL",
        )?;
        bind_end(&mut update, &end)?;
        let ids = [int(task.gid.0), int(task.session_id.0), int(task.id.0)];
        for (at, number) in (16..).zip([UPPER, end.half(ids[0])].into_iter().chain(ids)) {
            update.raw_bind_parameter(at, number)?;
        }
        let changed = update.raw_execute()?;
        if changed == 0 {
            return Ok(false);
        }
        self.sums.count(task.session_id, task.id, 0, -1);
        self.sums.ended(task, bytes);
        Ok(true)
    }

    /// Deletes the oldest ended tasks that are beyond the age or the budget.
    pub(super) fn purge(&mut self, purge: Purge) -> Result<u64, Failure> {
        let mut total: i64 = self.db.query_row("SELECT ended_bytes FROM meta", [], |row| row.get(0))?;
        let mut gone = 0;
        let mut select = self.db.prepare_cached(
            "SELECT gid, session_id, id, bytes, ended_at FROM task INDEXED BY task_ended
             WHERE ended_at IS NOT NULL ORDER BY ended_at, gid LIMIT ?1",
        )?;
        let mut due = Vec::new();
        let mut rows = select.query([i64::try_from(purge.limit).unwrap_or(i64::MAX)])?;
        while let Some(row) = rows.next()? {
            let over_budget = purge.max_bytes != 0 && total > i64::try_from(purge.max_bytes).unwrap_or(i64::MAX);
            if uint(row, 4)? >= purge.ended_before.0 && !over_budget {
                break;
            }
            let bytes: i64 = row.get(3)?;
            total -= bytes;
            due.push((uint(row, 0)?, SessionId(uint(row, 1)?), TaskId(uint(row, 2)?), bytes));
        }
        drop(rows);
        let mut delete = self.db.prepare_cached("DELETE FROM task WHERE gid = ?1")?;
        for (gid, session, id, bytes) in due {
            delete.execute([int(gid)])?;
            self.sums.count(session, id, -1, 0);
            self.sums.ended_bytes -= bytes;
            gone += 1;
        }
        Ok(gone)
    }

    pub(super) fn put_session(&mut self, session: &Session) -> Result<(), Failure> {
        let (id, body) = (int(session.id.0), json(session)?);
        self.sums.last_session = self.sums.last_session.max(session.id.0);
        self.db
            .prepare_cached(
                "INSERT INTO session(id, body, sum) VALUES(?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET body = excluded.body, sum = excluded.sum",
            )?
            .execute(params![id, body, of_row([ValueRef::Integer(id), body.as_str().into()])])?;
        Ok(())
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

    pub(super) fn put_key(&self, key: &ApiKey) -> Result<(), Failure> {
        let body = json(key)?;
        self.db
            .prepare_cached(
                "INSERT INTO api_token(id, body, sum) VALUES(?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET body = excluded.body, sum = excluded.sum",
            )?
            .execute(params![key.id, body, of_row([key.id.as_str().into(), body.as_str().into()])])?;
        Ok(())
    }

    pub(super) fn delete_key(&self, id: &str) -> Result<bool, Failure> {
        Ok(self.db.prepare_cached("DELETE FROM api_token WHERE id = ?1")?.execute([id])? > 0)
    }

    pub(super) fn put_miner(&self, miner: &MinerRecord) -> Result<(), Failure> {
        let models = json(&miner.models)?;
        let values: [ValueRef<'_>; 10] = [
            miner.id.as_str().into(),
            miner.name.as_str().into(),
            miner.public_key.as_str().into(),
            miner.kind.as_str().into(),
            miner.owner.as_str().into(),
            models.as_str().into(),
            ValueRef::Real(miner.reputation),
            ValueRef::Integer(int(miner.created_at)),
            ValueRef::Integer(int(miner.last_seen)),
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
        for (at, value) in (1..).zip(values) {
            insert.raw_bind_parameter(at, ToSqlOutput::Borrowed(value))?;
        }
        insert.raw_bind_parameter(11, of_row(values))?;
        insert.raw_execute()?;
        Ok(())
    }

    pub(super) fn delete_miner(&self, id: &str) -> Result<bool, Failure> {
        Ok(self.db.prepare_cached("DELETE FROM miner WHERE id = ?1")?.execute([id])? > 0)
    }

    fn write_sums(&mut self) -> rusqlite::Result<()> {
        let sums = std::mem::take(&mut self.sums);
        if sums.sessions.is_empty() && sums.last_session == 0 {
            return Ok(());
        }
        let mut session = self.db.prepare_cached(
            "INSERT INTO session_count VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET
                 last_task_id = max(last_task_id, excluded.last_task_id),
                 total = total + excluded.total, open = open + excluded.open",
        )?;
        for (id, count) in &sums.sessions {
            session.execute(params![int(*id), int(count.last), count.total, count.open])?;
        }
        let mut block = self.db.prepare_cached(
            "INSERT INTO task_count VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET
                 total = total + excluded.total, open = open + excluded.open",
        )?;
        let mut empty =
            self.db.prepare_cached("DELETE FROM task_count WHERE session_id = ?1 AND block = ?2 AND total = 0")?;
        for ((id, number), count) in &sums.blocks {
            block.execute(params![int(*id), int(*number), count.total, count.open])?;
            if count.total < 0 {
                empty.execute(params![int(*id), int(*number)])?;
            }
        }
        self.db
            .prepare_cached(
                "UPDATE meta SET last_gid = max(last_gid, ?1), last_fence = max(last_fence, ?2),
                     last_session = max(last_session, ?3), ended_bytes = ended_bytes + ?4",
            )?
            .execute(params![int(sums.last_gid), int(sums.last_fence), int(sums.last_session), sums.ended_bytes])?;
        Ok(())
    }
}

/// Binds the columns of an end to the first 15 parameters.
fn bind_end(statement: &mut Statement<'_>, end: &EndColumns<'_>) -> rusqlite::Result<()> {
    let numbers = [
        end.bytes,
        end.attempts,
        end.fence,
        end.created_at,
        end.started_at,
        end.first_token_at,
        end.precommitted_at,
        end.committed_at,
    ];
    for (at, number) in (1..).zip(numbers) {
        statement.raw_bind_parameter(at, number)?;
    }
    statement.raw_bind_parameter(9, end.ended_at)?;
    statement.raw_bind_parameter(10, end.deadline)?;
    for (at, value) in (11..).zip([end.assigned_miners, Some(end.request), end.end, end.text]) {
        statement.raw_bind_parameter(at, text(value))?;
    }
    statement.raw_bind_parameter(15, end.raw)
}

/// Bytes as a text value, or `NULL` if there are none.
fn text(bytes: Option<&[u8]>) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(bytes.map_or(ValueRef::Null, ValueRef::Text))
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
