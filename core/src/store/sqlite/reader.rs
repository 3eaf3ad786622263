//! The threads that read, so that a long page never delays a commit.
//!
//! A read waits until every write that was requested before it is settled, so a caller sees its own writes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Rows, params};

use super::super::columns::{MINER, bound, int};
use super::super::queue::{AbandonOnDrop, Queue, Taken};
use super::super::want::{Read, Want};
use super::super::{ApiKey, Deliveries, MinerRecord, Resolver, TaskPage, TaskQuery, UpstreamRecord, Wanted};
use super::audit;
use super::batch::find;
use super::connection;
use super::files::Files;
use super::progress::Progress;
use super::row::{self, COLUMNS, RowError};
use super::schema::BLOCK;
use super::usage;
use crate::Result;
use crate::model::{Gid, SessionId, Task, TaskId, WebhookDelivery};

/// The time after which an unused connection is closed, so that an idle router is small.
const IDLE: Duration = Duration::from_secs(10);

/// The state of a reader, which stays on its thread.
pub(super) struct Reader {
    pub(super) path: PathBuf,
    pub(super) busy: Duration,
    pub(super) files: Arc<Files>,
    pub(super) queue: Arc<Queue<Read>>,
    pub(super) progress: Arc<Progress>,
}

impl Reader {
    /// Reads until the queue is closed.
    pub(super) fn run(self) {
        let _abandon = AbandonOnDrop(Arc::clone(&self.queue));
        let mut db = None;
        loop {
            match self.queue.take(db.is_some().then_some(IDLE), |_, _| false) {
                Taken::Items(reads) => {
                    for read in reads {
                        self.progress.wait(read.after);
                        if !self.answer(&mut db, read.want) {
                            db = None;
                        }
                    }
                }
                Taken::Idle => db = None,
                Taken::Closed => return,
            }
        }
    }

    fn connect(&self) -> Result<Connection, RowError> {
        self.files.check_database().map_err(RowError::Moved)?;
        connection::reader(&self.path, self.busy).map_err(RowError::from)
    }

    /// Answers a read. Gives `false` if the connection may be the cause of a failure.
    fn answer(&self, db: &mut Option<Connection>, want: Want) -> bool {
        let connected = match db.take() {
            Some(db) => Ok(db),
            None => self.connect(),
        };
        let connected = connected.map(|connection| &*db.insert(connection));
        match want {
            Want::Task(session, id, to) => {
                send(to, connected.and_then(|db| by_id(db, session, id)), Some((session, id)))
            }
            Want::ByGid(gid, to) => send(to, connected.and_then(|db| by_gid(db, gid)), None),
            Want::Key(key, to) => {
                let found = connected.and_then(|db| Ok(find(db, &key)?));
                match found {
                    Ok(found) => {
                        let _ = to.send(found.transpose());
                        true
                    }
                    Err(error) => send(to, Err(error), None),
                }
            }
            Want::Unfinished(to) => send(to, connected.and_then(unfinished), None),
            Want::Page(query, to) => send(to, connected.and_then(|db| page(db, &query)), None),
            Want::Keys(to) => send(to, connected.and_then(keys), None),
            Want::Miners(to) => send(to, connected.and_then(miners), None),
            Want::Upstreams(to) => send(to, connected.and_then(upstreams), None),
            Want::Deliveries(of, to) => send(to, connected.and_then(|db| deliveries(db, &of)), None),
            Want::Usage(query, to) => send(to, connected.and_then(|db| usage::page(db, &query)), None),
            Want::Audit(query, to) => send(to, connected.and_then(|db| audit::page(db, query)), None),
            // No fleet shares a file; the caller hears that nobody answers.
            #[cfg(feature = "postgres")]
            Want::Placed(..) | Want::Orphans(..) | Want::Known(..) | Want::Session(..) | Want::ApiKey(..) => true,
        }
    }
}

/// Sends the answer to a read. `ids` name the task that the read was for; `None` if it was for many.
fn send<T>(to: Resolver<T>, answer: Result<T, RowError>, ids: Option<(SessionId, TaskId)>) -> bool {
    let well = !matches!(answer, Err(RowError::Sqlite(_)));
    let answer = answer.map_err(|error| error.told(ids));
    // The caller may have gone.
    let _ = to.send(answer);
    well
}

fn by_id(db: &Connection, session: SessionId, id: TaskId) -> Result<Option<Task>, RowError> {
    let mut select = db.prepare_cached(&format!("SELECT {COLUMNS} FROM task WHERE session_id = ?1 AND id = ?2"))?;
    let mut rows = select.query([int(session.0), int(id.0)])?;
    rows.next()?.map(|found| row::task(found).map(|(task, _)| task)).transpose()
}

fn by_gid(db: &Connection, gid: Gid) -> Result<Option<Task>, RowError> {
    let mut select = db.prepare_cached(&format!("SELECT {COLUMNS} FROM task WHERE gid = ?1"))?;
    let mut rows = select.query([int(gid.0)])?;
    rows.next()?.map(|found| row::task(found).map(|(task, _)| task)).transpose()
}

fn unfinished(db: &Connection) -> Result<Vec<Gid>, RowError> {
    let mut select = db.prepare_cached("SELECT gid FROM task INDEXED BY task_open WHERE ended_at IS NULL")?;
    let found = select.query_map([], |row| row::uint(row, 0).map(Gid))?;
    // The index is in the order of the sessions.
    let mut gids = found.collect::<rusqlite::Result<Vec<Gid>>>()?;
    gids.sort_unstable();
    Ok(gids)
}

fn miners(db: &Connection) -> Result<Vec<MinerRecord>, RowError> {
    all(db, &format!("SELECT {MINER}, sum FROM miner ORDER BY id"), row::miner, "miner")
}

fn keys(db: &Connection) -> Result<Vec<ApiKey>, RowError> {
    all(db, &format!("SELECT {}, sum FROM api_token ORDER BY id", row::KEY), row::record, "key")
}

fn upstreams(db: &Connection) -> Result<Vec<UpstreamRecord>, RowError> {
    all(db, &format!("SELECT {}, sum FROM upstream ORDER BY id", row::KEY), row::record, "managed upstream")
}

fn deliveries(db: &Connection, of: &Deliveries) -> Result<Vec<(Gid, WebhookDelivery)>, RowError> {
    match of {
        Deliveries::Pending => {
            let sql = format!("SELECT {}, sum FROM outbox WHERE pending = 1 ORDER BY gid", row::OUTBOX);
            all(db, &sql, row::delivery, "delivery of a webhook")
        }
        Deliveries::Of(gids) => {
            let mut select = db.prepare_cached(&format!("SELECT {}, sum FROM outbox WHERE gid = ?1", row::OUTBOX))?;
            let mut out = Vec::new();
            for gid in gids {
                let mut rows = select.query([int(gid.0)])?;
                match rows.next()?.map(row::delivery) {
                    Some(Ok(found)) => out.push(found),
                    Some(Err(RowError::Sqlite(error))) => return Err(error.into()),
                    // A damaged delivery must not hide its task.
                    Some(Err(error)) => tracing::error!(%gid, %error, "the delivery of a webhook cannot be read"),
                    None => {}
                }
            }
            Ok(out)
        }
    }
}

/// Reads all rows that can be read. A damaged row is logged and left out, so that its key or miner is refused.
fn all<T>(
    db: &Connection,
    sql: &str,
    read: fn(&rusqlite::Row<'_>) -> Result<T, RowError>,
    kind: &str,
) -> Result<Vec<T>, RowError> {
    let mut select = db.prepare_cached(sql)?;
    let mut rows = select.query([])?;
    let mut out = Vec::new();
    while let Some(found) = rows.next()? {
        match read(found) {
            Ok(value) => out.push(value),
            Err(RowError::Sqlite(error)) => return Err(error.into()),
            Err(error) => {
                let id = row::id_text(found.get_ref(0)?);
                tracing::error!(id, %error, "a {kind} of the store cannot be read and is refused");
            }
        }
    }
    Ok(out)
}

/// Reads a page of a session, as of one moment.
///
/// The counters give the number of tasks and the block of ids in which the page begins. The cost is therefore that of
/// the page, plus one row for every 1024 ids before it, however many tasks the session has.
fn page(db: &Connection, query: &TaskQuery) -> Result<TaskPage, RowError> {
    let transaction = db.unchecked_transaction()?;
    let page = match &query.key_id {
        None => page_of_all(db, query)?,
        Some(key) => page_of_key(db, query, key)?,
    };
    transaction.finish()?;
    Ok(page)
}

/// Reads a page of a key's tasks. It looks at every task of the session: an index of keys would cost each new task more
/// than the few who ask this save.
fn page_of_key(db: &Connection, query: &TaskQuery, key: &str) -> Result<TaskPage, RowError> {
    let filter = Wanted::from(query.state).condition();
    let of_key = format!("FROM task INDEXED BY task_by_session WHERE session_id = ?1 AND key_id = ?2 {filter}");
    let session = int(query.session_id.0);
    let total = db
        .prepare_cached(&format!("SELECT count(*) {of_key}"))?
        .query_row(params![session, key], |row| row::uint(row, 0))?;
    let wanted_rows = query.start.rows(query.limit, total);
    let mut select = db.prepare_cached(&format!("SELECT {COLUMNS} {of_key} ORDER BY id LIMIT ?3 OFFSET ?4"))?;
    let (limit, offset) = (bound(wanted_rows.end - wanted_rows.start), bound(wanted_rows.start));
    let mut page = TaskPage { total, ..TaskPage::default() };
    fill(&mut page, select.query(params![session, key, limit, offset])?)?;
    Ok(page)
}

/// Reads a page of all of a session's tasks.
fn page_of_all(db: &Connection, query: &TaskQuery) -> Result<TaskPage, RowError> {
    let wanted = Wanted::from(query.state);
    let session = int(query.session_id.0);
    let mut counts = db.prepare_cached("SELECT total, open FROM session_count WHERE session_id = ?1")?;
    let total = counts
        .query_row([session], |row| Ok(wanted.of(row::uint(row, 0)?, row::uint(row, 1)?)))
        .optional()?
        .unwrap_or_default();
    let mut page = TaskPage { total, ..TaskPage::default() };
    let wanted_rows = query.start.rows(query.limit, total);
    if wanted_rows.is_empty() {
        return Ok(page);
    }
    let (first, skip) = start(db, wanted, session, wanted_rows.start)?;
    let filter = wanted.condition();
    let index = if wanted == Wanted::Open { "task_open" } else { "task_by_session" };
    let mut select = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM task INDEXED BY {index} WHERE session_id = ?1 AND id >= ?2 {filter}
         ORDER BY id LIMIT ?3 OFFSET ?4"
    ))?;
    let limit = bound(wanted_rows.end - wanted_rows.start);
    fill(&mut page, select.query([session, first, limit, int(skip)])?)?;
    Ok(page)
}

/// Adds tasks to a page.
fn fill(page: &mut TaskPage, mut rows: Rows<'_>) -> Result<(), RowError> {
    while let Some(found) = rows.next()? {
        match row::task(found) {
            Ok((task, _)) => page.tasks.push(task),
            Err(RowError::Sqlite(error)) => return Err(error.into()),
            // A damaged task must not hide the others.
            Err(_) => page.corrupt.push(TaskId(row::uint(found, 2)?)),
        }
    }
    Ok(())
}

/// The first id of the block in which the page begins, and the number of its tasks that come before the page.
fn start(db: &Connection, wanted: Wanted, session: i64, offset: u64) -> rusqlite::Result<(i64, u64)> {
    let mut blocks =
        db.prepare_cached("SELECT block, total, open FROM task_count WHERE session_id = ?1 ORDER BY block")?;
    let mut rows = blocks.query([session])?;
    let mut before = offset;
    while let Some(found) = rows.next()? {
        let count = wanted.of(row::uint(found, 1)?, row::uint(found, 2)?);
        if count > before {
            return Ok((int(row::uint(found, 0)? * BLOCK), before));
        }
        before -= count;
    }
    // The counters disagree with each other. Reading from the first id is slow but correct.
    Ok((0, offset))
}
