//! The row of `meta`: the numbers that must never be given out twice, and the bytes of ended tasks.
//!
//! Ids and fences rest on this row, so it has a checksum, and a store whose row is damaged does not open. The writer is
//! the only one that changes the row. It therefore keeps a copy of it and writes whole rows.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Statement};

use super::super::columns::int;
use super::super::damaged_thing;
use super::row::uint;
use super::sum::of_row;
use super::unusable;
use crate::Result;

/// The values of the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) epoch: u64,
    pub(super) last_gid: u64,
    pub(super) last_fence: u64,
    pub(super) last_session: u64,
    pub(super) last_audit: u64,
    pub(super) ended_bytes: i64,
}

impl Meta {
    /// The statement that [`write`](Self::write) executes.
    pub(super) const UPDATE: &str = "UPDATE meta SET epoch = ?1, last_gid = ?2, last_fence = ?3, last_session = ?4,
         last_audit = ?5, ended_bytes = ?6, sum = ?7";

    /// Reads the row.
    ///
    /// # Errors
    /// `Internal` with the code `store_corrupt` if its checksum is wrong; a store error if it cannot be read.
    pub(super) fn read(db: &Connection) -> Result<Self> {
        let (meta, sum) = Self::unchecked(db).map_err(|error| unusable::connected(db, &error))?;
        if sum == Some(meta.sum()) {
            return Ok(meta);
        }
        Err(damaged_thing(" of the ids that were given out", &"the checksum of its row `meta` is wrong"))
    }

    /// Gives the row its checksum.
    pub(super) fn seal(db: &Connection) -> rusqlite::Result<()> {
        let (meta, _) = Self::unchecked(db)?;
        meta.write(&mut db.prepare(Self::UPDATE)?)
    }

    fn unchecked(db: &Connection) -> rusqlite::Result<(Self, Option<i64>)> {
        let sql = "SELECT epoch, last_gid, last_fence, last_session, last_audit, ended_bytes, sum FROM meta";
        db.query_row(sql, [], |row| {
            let meta = Self {
                epoch: uint(row, 0)?,
                last_gid: uint(row, 1)?,
                last_fence: uint(row, 2)?,
                last_session: uint(row, 3)?,
                last_audit: uint(row, 4)?,
                ended_bytes: row.get(5)?,
            };
            Ok((meta, row.get(6)?))
        })
    }

    /// Writes the row with its checksum by the statement [`UPDATE`](Self::UPDATE).
    pub(super) fn write(&self, update: &mut Statement<'_>) -> rusqlite::Result<()> {
        for (at, value) in (1..).zip(self.values().into_iter().chain([self.sum()])) {
            update.raw_bind_parameter(at, value)?;
        }
        update.raw_execute().map(drop)
    }

    fn values(&self) -> [i64; 6] {
        let [epoch, gid, fence] = [self.epoch, self.last_gid, self.last_fence].map(int);
        [epoch, gid, fence, int(self.last_session), int(self.last_audit), self.ended_bytes]
    }

    fn sum(&self) -> i64 {
        of_row(self.values().map(ValueRef::Integer))
    }
}
