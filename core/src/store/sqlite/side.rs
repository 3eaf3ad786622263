//! A data directory as one side of a copy.
//!
//! The target's journal is one of the old kind, which holds only pages that were there before. A write-ahead log would
//! grow to the size of the whole copy. If the process dies, the next connection takes the journal back.

use std::path::Path;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row};

use super::connection;
use super::lock::Lock;
use super::meta::Meta;
use super::options::SqliteOptions;
use super::place::{self, FILE};
use super::schema::{self, BLOCK, MIGRATIONS};
use super::sum::of_row;
use super::unusable;
use crate::store::copy::{CopyCounters, CopyKind, Found, PAGE_BYTES, PAGE_ROWS, Side, Value, task_columns};
use crate::store::{Durability, damaged_thing};
use crate::{Error, Result};

/// A data directory that no other process uses, in a transaction.
#[derive(Debug)]
pub(in crate::store) struct SqliteSide {
    // Dropped before the lock is given up.
    db: Connection,
    _lock: Lock,
}

impl SqliteSide {
    /// Opens a directory. A target is created if it does not exist.
    ///
    /// # Errors
    /// Those of [`SqliteStore::open`](super::SqliteStore::open); `NotFound` if there is no source.
    pub(in crate::store) fn open(dir: &Path, options: &SqliteOptions, is_target: bool) -> Result<Self> {
        let dir = &std::path::absolute(dir)
            .map_err(|e| Error::invalid("storage.data_dir", format!("{} is no directory: {e}", dir.display())))?;
        let path = dir.join(FILE);
        if !is_target && std::fs::metadata(&path).map_or(0, |file| file.len()) == 0 {
            let words = format!("there is no store in {}: it has no {FILE} with a content", dir.display());
            return Err(Error::not_found(words).with_param("storage.data_dir"));
        }
        connection::check_library(rusqlite::version_number())?;
        place::create_dir(dir).map_err(|e| unusable::place(dir, &e))?;
        let lock = Lock::take(dir)?;
        place::prepare(dir).map_err(|e| unusable::place(&path, &e))?;
        let unusable = |e: rusqlite::Error| unusable::database(&path, &e);
        let mut db = connection::writer(&path, Durability::Full, options).map_err(unusable)?;
        schema::migrate(&mut db, MIGRATIONS)?;
        Meta::read(&db)?;
        if is_target {
            db.pragma_update(None, "journal_mode", "DELETE").map_err(unusable)?;
        }
        db.execute_batch(if is_target { "BEGIN IMMEDIATE" } else { "BEGIN" }).map_err(unusable)?;
        Ok(Self { db, _lock: lock })
    }

    fn told(&self, error: &rusqlite::Error) -> Error {
        unusable::connected(&self.db, error)
    }

    fn run(&self, sql: &str) -> Result<()> {
        self.db.execute_batch(sql).map_err(|error| self.told(&error))
    }

    fn read_page(&self, kind: CopyKind, after: Option<&[Value]>) -> rusqlite::Result<Vec<Found>> {
        let names = kind.names();
        let (behind, order) = kind.behind(after.is_some(), '?');
        let sql = if kind == CopyKind::TaskIds {
            // A counter that the disk damaged must not lead to ids that are in use.
            format!(
                "SELECT session_id, max(last_task_id, coalesce(
                     (SELECT max(id) FROM task WHERE task.session_id = session_count.session_id), 0))
                 FROM session_count {behind} {order}"
            )
        } else {
            format!("SELECT {names}, sum FROM {} {behind} {order}", kind.table())
        };
        let mut select = self.db.prepare_cached(&sql)?;
        for (at, value) in (1..).zip(after.unwrap_or_default()) {
            select.raw_bind_parameter(at, ToSqlOutput::Borrowed(value.as_sqlite()))?;
        }
        let mut rows = select.raw_query();
        let (mut page, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let found = read(kind, row)?;
            bytes += found.values.iter().map(Value::weight).sum::<usize>();
            page.push(found);
            if bytes >= PAGE_BYTES || page.len() >= PAGE_ROWS {
                break;
            }
        }
        Ok(page)
    }

    fn write_rows(&self, kind: CopyKind, rows: &[Vec<Value>]) -> rusqlite::Result<()> {
        let columns = kind.columns().len();
        let marks = (1..=columns + 1).map(|at| format!("?{at}")).collect::<Vec<_>>().join(", ");
        let sql = if kind == CopyKind::TaskIds {
            "INSERT INTO session_count(session_id, last_task_id, total, open) VALUES(?1, ?2, 0, 0)".to_owned()
        } else {
            format!("INSERT INTO {}({}, sum) VALUES({marks})", kind.table(), kind.names())
        };
        let mut insert = self.db.prepare_cached(&sql)?;
        for values in rows {
            for (at, value) in (1..).zip(values) {
                insert.raw_bind_parameter(at, ToSqlOutput::Borrowed(value.as_sqlite()))?;
            }
            if kind != CopyKind::TaskIds {
                insert.raw_bind_parameter(columns + 1, sum_of(kind, values))?;
            }
            insert.raw_execute()?;
        }
        insert.clear_bindings();
        Ok(())
    }

    fn write_sums(&self, counters: CopyCounters) -> rusqlite::Result<()> {
        self.db.execute_batch(&format!(
            "INSERT INTO session_count SELECT session_id, max(id), count(*), sum(ended_at IS NULL) FROM task
                 WHERE true GROUP BY session_id ON CONFLICT DO UPDATE SET
                 last_task_id = max(last_task_id, excluded.last_task_id), total = excluded.total, open = excluded.open;
             INSERT INTO task_count SELECT session_id, id / {BLOCK}, count(*), sum(ended_at IS NULL) FROM task
                 GROUP BY session_id, id / {BLOCK}"
        ))?;
        let bytes = "SELECT coalesce(sum(bytes), 0) FROM task WHERE ended_at IS NOT NULL";
        let meta = Meta {
            epoch: counters.epoch,
            last_gid: counters.last_gid,
            last_fence: counters.last_fence,
            last_session: counters.last_session,
            last_audit: counters.last_audit,
            ended_bytes: self.db.query_row(bytes, [], |row| row.get(0))?,
        };
        meta.write(&mut self.db.prepare(Meta::UPDATE)?)
    }
}

impl Side for SqliteSide {
    fn counters(&self) -> Result<CopyCounters> {
        let meta = Meta::read(&self.db)?;
        Ok(CopyCounters {
            epoch: meta.epoch,
            last_gid: meta.last_gid,
            last_fence: meta.last_fence,
            last_session: meta.last_session,
            last_audit: meta.last_audit,
        })
    }

    fn count(&self, kind: CopyKind) -> Result<u64> {
        let sql = format!("SELECT count(*) FROM {}", kind.table());
        self.db.query_row(&sql, [], |row| super::row::uint(row, 0)).map_err(|error| self.told(&error))
    }

    fn page(&self, kind: CopyKind, after: Option<&[Value]>) -> Result<Vec<Found>> {
        self.read_page(kind, after)
            .map_err(|error| if unusable::is_damage(&error) { damaged_thing("", &error) } else { self.told(&error) })
    }

    fn refusal(&self, _: CopyKind, _: &[Value]) -> Option<String> {
        None
    }

    fn clear(&self) -> Result<()> {
        self.run("DELETE FROM session; DELETE FROM session_count; DELETE FROM task_count")
    }

    fn write(&self, kind: CopyKind, rows: &[Vec<Value>]) -> Result<()> {
        self.write_rows(kind, rows).map_err(|error| self.told(&error))
    }

    fn finish(&self, counters: CopyCounters) -> Result<CopyCounters> {
        self.write_sums(counters).map_err(|error| self.told(&error))?;
        Ok(counters)
    }

    fn commit(&self) -> Result<()> {
        self.run("COMMIT")?;
        self.db.pragma_update(None, "journal_mode", "WAL").map_err(|error| self.told(&error))
    }
}

fn read(kind: CopyKind, row: &Row<'_>) -> rusqlite::Result<Found> {
    let columns = kind.columns().len();
    let mut values = Vec::with_capacity(columns);
    for at in 0..columns {
        values.push(match row.get_ref(at)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => Value::Int(number),
            ValueRef::Real(number) => Value::Real(number),
            ValueRef::Text(text) => Value::Text(text.to_vec()),
            ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
        });
    }
    // The counters of ids have no sum.
    let is_whole = kind == CopyKind::TaskIds || row.get_ref(columns)? == ValueRef::Integer(sum_of(kind, &values));
    let fault = (!is_whole).then(|| "its checksum is not that of what was written".to_owned());
    Ok(Found { values, fault })
}

/// The checksum of a row, which covers all columns.
fn sum_of(kind: CopyKind, values: &[Value]) -> i64 {
    match task_columns(values).filter(|_| kind == CopyKind::Tasks) {
        Some((accept, end)) => accept.half() | end.half(accept.gid),
        None => of_row(values.iter().map(Value::as_sqlite)),
    }
}
