//! Reads the content that the last epoch left.

use rusqlite::Connection;

use super::super::Recovery;
use super::connection::Failure;
use super::meta::Meta;
use super::row::{self, RowError, uint};
use crate::model::{Fence, Gid, SessionId, TaskId};

/// Reads everything that a router needs to go on, given the row of `meta` of the new epoch.
///
/// A row that cannot be read is logged and stays in the file. One damaged task must not keep the others from running,
/// and `check_integrity` names it.
pub(super) fn recover(db: &Connection, meta: Meta) -> Result<Recovery, Failure> {
    let mut recovery = Recovery {
        epoch: meta.epoch,
        last_gid: Gid(meta.last_gid),
        last_fence: Fence(meta.last_fence),
        last_session: SessionId(meta.last_session),
        ..Recovery::default()
    };

    let mut select = db.prepare(&format!("SELECT {}, sum FROM session ORDER BY id", row::SESSION))?;
    let mut rows = select.query([])?;
    while let Some(found) = rows.next()? {
        match row::record(found) {
            Ok(session) => recovery.sessions.push(session),
            Err(RowError::Sqlite(error)) => return Err(error.into()),
            Err(error) => {
                let id = SessionId(uint(found, 0)?);
                tracing::error!(session = %id, %error, "a session of the store cannot be read");
                recovery.corrupt_sessions.push(id);
            }
        }
    }

    let mut select = db.prepare(
        // A counter that the disk damaged must not lead to ids that are in use.
        "SELECT session_id, max(last_task_id, coalesce(
             (SELECT max(id) FROM task WHERE task.session_id = session_count.session_id), 0))
         FROM session_count ORDER BY session_id",
    )?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        recovery.last_task_ids.push((SessionId(uint(row, 0)?), TaskId(uint(row, 1)?)));
    }

    // The small index finds the open tasks; their rows are then read in order, oldest first.
    let mut select = db.prepare(&format!(
        "SELECT {} FROM task WHERE gid IN (SELECT gid FROM task INDEXED BY task_open WHERE ended_at IS NULL)
         ORDER BY gid",
        row::COLUMNS
    ))?;
    let mut rows = select.query([])?;
    while let Some(found) = rows.next()? {
        match row::task(found) {
            Ok(task) => recovery.unfinished.push(task),
            Err(RowError::Sqlite(error)) => return Err(error.into()),
            Err(error) => tracing::error!(gid = uint(found, 0)?, %error, "a task of the store cannot be read"),
        }
    }
    Ok(recovery)
}
