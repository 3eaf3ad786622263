//! Applies each write to the tables, and keeps sums until the commit of a batch.
//!
//! Counters (tasks a session, tasks a block of ids, bytes that ended) change with every write. A batch adds
//! them up in memory and writes every counter once, in the same transaction.

use std::collections::BTreeMap;

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, params};

use super::super::weight::weight;
use super::super::{Accepted, ApiKey, Idempotency, MinerRecord, Purge, TaskSpec, id_in_use, key_mismatch};
use super::connection::Failure;
use super::row::{end_columns, ending, int, json, uint};
use super::schema::BLOCK;
use super::sum::{AcceptColumns, EndColumns, UPPER};
use crate::Result as Answer;
use crate::model::{Gid, Session, SessionId, Task, TaskId};

/// A transaction under way.
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

/// The columns of an accept, for its checksum.
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

    /// Writes the sums and commits: what came before is durable then.
    pub(super) fn commit(mut self) -> rusqlite::Result<()> {
        self.write_sums()?;
        self.db.prepare_cached("COMMIT")?.execute([]).map(drop)
    }

    /// Writes a task; with its end at once where that is in the same batch already.
    pub(super) fn accept(&mut self, new: &TaskSpec, end: Option<&Task>) -> Result<Accepted, Failure> {
        let inserted = match end {
            None => self.insert_open(new)?,
            Some(task) => self.insert_ended(new, task)?,
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

    fn insert_open(&self, new: &TaskSpec) -> Result<rusqlite::Result<usize>, Failure> {
        let request = json(&*new.request)?;
        let key = new.idempotency.as_ref();
        let end = EndColumns {
            created_at: int(new.created_at.0),
            deadline: int(new.deadline.0),
            request: request.as_bytes(),
            ..EndColumns::default()
        };
        let mut insert = self.db.prepare_cached(
            "INSERT INTO task(gid, session_id, id, band, created_at, deadline, sum, idem_scope, idem_key, idem_fp, request)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT(idem_scope, idem_key) WHERE idem_key IS NOT NULL DO NOTHING",
        )?;
        Ok(insert.execute(params![
            int(new.gid.0),
            int(new.session_id.0),
            int(new.id.0),
            new.band,
            end.created_at,
            end.deadline,
            accept_columns(new).half() | end.half(int(new.gid.0)),
            key.map(|key| &key.scope),
            key.map(|key| &key.key),
            key.map(|key| &key.fingerprint[..]),
            request
        ]))
    }

    fn insert_ended(&mut self, new: &TaskSpec, task: &Task) -> Result<rusqlite::Result<usize>, Failure> {
        let request = json(&*task.request)?;
        let ending = ending(task)?;
        let key = new.idempotency.as_ref();
        let bytes = weight(task);
        let end = end_columns(task, bytes, &request, &ending);
        let mut insert = self.db.prepare_cached(
            "INSERT INTO task(gid, session_id, id, band, sum, idem_scope, idem_key, idem_fp, bytes, attempts, fence,
                 created_at, started_at, first_token_at, precommitted_at, committed_at, ended_at, deadline,
                 assigned_miners, request, \"end\", text, raw)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
                 ?22, ?23)
             ON CONFLICT(idem_scope, idem_key) WHERE idem_key IS NOT NULL DO NOTHING",
        )?;
        let inserted = insert.execute(params![
            int(new.gid.0),
            int(new.session_id.0),
            int(new.id.0),
            new.band,
            accept_columns(new).half() | end.half(int(new.gid.0)),
            key.map(|key| &key.scope),
            key.map(|key| &key.key),
            key.map(|key| &key.fingerprint[..]),
            end.bytes,
            end.attempts,
            end.fence,
            end.created_at,
            end.started_at,
            end.first_token_at,
            end.precommitted_at,
            end.committed_at,
            end.ended_at,
            end.deadline,
            ending.assigned_miners,
            request,
            ending.end,
            task.text.as_str(),
            ending.raw
        ]);
        if matches!(inserted, Ok(1)) {
            self.sums.ended(task, bytes);
        }
        Ok(inserted)
    }

    /// The task that has the new one's idempotency key.
    fn existing(&self, new: &TaskSpec) -> Result<Option<Accepted>, Failure> {
        match &new.idempotency {
            Some(key) => Ok(find(self.db, key)?.transpose()?),
            None => Ok(None),
        }
    }

    /// Writes the end of a task that has none yet.
    pub(super) fn finish(&mut self, task: &Task) -> Result<bool, Failure> {
        let request = json(&*task.request)?;
        let ending = ending(task)?;
        let bytes = weight(task);
        let end = end_columns(task, bytes, &request, &ending);
        let mut update = self.db.prepare_cached(
            "UPDATE task SET sum = (sum & ?4) | ?5, bytes = ?6, attempts = ?7, fence = ?8, created_at = ?9,
                 started_at = ?10, first_token_at = ?11, precommitted_at = ?12, committed_at = ?13, ended_at = ?14,
                 deadline = ?15, assigned_miners = ?16, request = ?17, \"end\" = ?18, text = ?19, raw = ?20
             WHERE gid = ?1 AND session_id = ?2 AND id = ?3 AND ended_at IS NULL",
        )?;
        let changed = update.execute(params![
            int(task.gid.0),
            int(task.session_id.0),
            int(task.id.0),
            UPPER,
            end.half(int(task.gid.0)),
            end.bytes,
            end.attempts,
            end.fence,
            end.created_at,
            end.started_at,
            end.first_token_at,
            end.precommitted_at,
            end.committed_at,
            end.ended_at,
            end.deadline,
            ending.assigned_miners,
            request,
            ending.end,
            task.text.as_str(),
            ending.raw
        ])?;
        if changed == 0 {
            return Ok(false);
        }
        self.sums.count(task.session_id, task.id, 0, -1);
        self.sums.ended(task, bytes);
        Ok(true)
    }

    /// Deletes the oldest ended tasks that are over age or over the budget.
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

    pub(super) fn put_session(&self, session: &Session) -> Result<(), Failure> {
        self.db
            .prepare_cached("INSERT INTO session VALUES(?1, ?2) ON CONFLICT DO UPDATE SET body = excluded.body")?
            .execute(params![int(session.id.0), json(session)?])?;
        Ok(())
    }

    pub(super) fn put_key(&self, key: &ApiKey) -> Result<(), Failure> {
        self.db
            .prepare_cached("INSERT INTO api_token VALUES(?1, ?2) ON CONFLICT DO UPDATE SET body = excluded.body")?
            .execute(params![key.id, json(key)?])?;
        Ok(())
    }

    pub(super) fn delete_key(&self, id: &str) -> Result<bool, Failure> {
        Ok(self.db.prepare_cached("DELETE FROM api_token WHERE id = ?1")?.execute([id])? > 0)
    }

    pub(super) fn put_miner(&self, miner: &MinerRecord) -> Result<(), Failure> {
        self.db
            .prepare_cached(
                "INSERT INTO miner VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO UPDATE SET
                     name = excluded.name, public_key = excluded.public_key, kind = excluded.kind,
                     owner = excluded.owner, models = excluded.models, reputation = excluded.reputation,
                     created_at = excluded.created_at, last_seen = excluded.last_seen, revoked = excluded.revoked",
            )?
            .execute(params![
                miner.id,
                miner.name,
                miner.public_key,
                miner.kind,
                miner.owner,
                json(&miner.models)?,
                miner.reputation,
                int(miner.created_at),
                int(miner.last_seen),
                miner.revoked
            ])?;
        Ok(())
    }

    pub(super) fn delete_miner(&self, id: &str) -> Result<bool, Failure> {
        Ok(self.db.prepare_cached("DELETE FROM miner WHERE id = ?1")?.execute([id])? > 0)
    }

    fn write_sums(&mut self) -> rusqlite::Result<()> {
        let sums = std::mem::take(&mut self.sums);
        if sums.sessions.is_empty() {
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
                     ended_bytes = ended_bytes + ?3",
            )?
            .execute(params![int(sums.last_gid), int(sums.last_fence), sums.ended_bytes])?;
        Ok(())
    }
}

/// The task of that key; the inner error: the key was used for another request.
pub(super) fn find(db: &Connection, key: &Idempotency) -> rusqlite::Result<Option<Answer<Accepted>>> {
    let mut select =
        db.prepare_cached("SELECT gid, session_id, id, idem_fp FROM task WHERE idem_scope = ?1 AND idem_key = ?2")?;
    select
        .query_row(params![key.scope, key.key], |row| {
            let same = row.get_ref(3)?.as_blob().is_ok_and(|used| used == key.fingerprint);
            let existing = Accepted::Existing {
                gid: Gid(uint(row, 0)?),
                session_id: SessionId(uint(row, 1)?),
                id: TaskId(uint(row, 2)?),
            };
            Ok(if same { Ok(existing) } else { Err(key_mismatch()) })
        })
        .optional()
}
