//! The table of the audit log.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, Statement, params};

use super::super::columns::{AUDIT, bound, int, json, parse};
use super::super::{Act, ActKind, AuditEntry, AuditPage, AuditQuery};
use super::connection::Failure;
use super::row::{RowError, check_whole, uint, write_row};
use crate::model::Timestamp;

/// The statements that write the log.
#[derive(Debug)]
pub(super) struct AuditTable<'db> {
    /// The number of entries that the log keeps.
    most: u64,
    insert: Statement<'db>,
    make_room: Statement<'db>,
}

impl<'db> AuditTable<'db> {
    pub(super) fn of(db: &'db Connection, most: u64) -> rusqlite::Result<Self> {
        Ok(Self {
            most,
            insert: db.prepare(&format!("INSERT INTO audit({AUDIT}, sum) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)"))?,
            make_room: db.prepare("DELETE FROM audit WHERE number <= ?1")?,
        })
    }

    /// Writes an entry under that number, and deletes the entry for which there is no room any more.
    pub(super) fn record(&mut self, number: u64, act: &Act) -> Result<(), Failure> {
        let detail = json(&act.detail)?;
        let values: [ValueRef<'_>; 6] = [
            ValueRef::Integer(int(number)),
            ValueRef::Integer(int(act.at.0)),
            act.act.as_str().into(),
            act.subject.as_str().into(),
            act.key_id.as_str().into(),
            ValueRef::Text(&detail),
        ];
        write_row(&mut self.insert, values)?;
        if number > self.most {
            self.make_room.execute([int(number - self.most)])?;
        }
        Ok(())
    }
}

/// Deletes the entries before the first one that is not older than that. Gives their number.
pub(super) fn forget(db: &Connection, before: Timestamp) -> rusqlite::Result<u64> {
    let mut delete = db.prepare_cached(
        "DELETE FROM audit WHERE number < coalesce(
             (SELECT number FROM audit WHERE at >= ?1 ORDER BY number LIMIT 1), 9223372036854775807)",
    )?;
    Ok(delete.execute([int(before.0)])? as u64)
}

/// Reads a row of [`AUDIT`] and its checksum.
pub(super) fn entry(row: &Row<'_>) -> Result<AuditEntry, RowError> {
    check_whole(row, 6)?;
    let act: ActKind =
        row.get::<_, String>(2)?.parse().map_err(|error: crate::Error| RowError::Column("act", error.to_string()))?;
    Ok(AuditEntry {
        number: uint(row, 0)?,
        act: Act {
            at: Timestamp(uint(row, 1)?),
            act,
            subject: row.get(3)?,
            key_id: row.get(4)?,
            detail: parse("detail", row.get::<_, String>(5)?.as_bytes())?,
        },
    })
}

/// Reads a page of the log, as of one moment.
pub(super) fn page(db: &Connection, query: AuditQuery) -> Result<AuditPage, RowError> {
    let transaction = db.unchecked_transaction()?;
    let act = query.act.map(ActKind::as_str);
    let total = db
        .prepare_cached("SELECT count(*) FROM audit WHERE ?1 IS NULL OR act = ?1")?
        .query_row([act], |row| uint(row, 0))?;
    let mut page = AuditPage { total, ..AuditPage::default() };
    let order = if query.after.is_some() { "ASC" } else { "DESC" };
    let mut select = db.prepare_cached(&format!(
        "SELECT {AUDIT}, sum FROM audit WHERE number > ?2 AND (?1 IS NULL OR act = ?1) ORDER BY number {order} LIMIT ?3"
    ))?;
    let mut rows = select.query(params![act, query.after.map_or(-1, bound), bound(query.limit)])?;
    while let Some(row) = rows.next()? {
        match entry(row) {
            Ok(entry) => page.entries.push(entry),
            Err(RowError::Sqlite(error)) => return Err(error.into()),
            // A damaged entry must not hide the others.
            Err(_) => page.corrupt.push(uint(row, 0)?),
        }
    }
    drop(rows);
    transaction.finish()?;
    if query.after.is_none() {
        page.entries.reverse();
        page.corrupt.reverse();
    }
    Ok(page)
}
