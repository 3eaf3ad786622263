//! Reads the content that the last epoch left.

use rusqlite::Connection;

use super::super::Recovery;
use super::connection::Failure;
use super::row::{self, RowError, uint};
use crate::model::{Fence, Gid, SessionId, TaskId};

/// Starts a new epoch and reads everything that a router needs to go on.
///
/// A row that cannot be read is logged and stays in the file. One damaged task must not keep the others from running,
/// and `check_integrity` names it.
pub(super) fn recover(db: &Connection) -> Result<Recovery, Failure> {
    db.execute("UPDATE meta SET epoch = epoch + 1", [])?;
    let mut recovery = db.query_row("SELECT epoch, last_gid, last_fence, last_session FROM meta", [], |row| {
        Ok(Recovery {
            epoch: uint(row, 0)?,
            last_gid: Gid(uint(row, 1)?),
            last_fence: Fence(uint(row, 2)?),
            last_session: SessionId(uint(row, 3)?),
            ..Recovery::default()
        })
    })?;

    let mut select = db.prepare(&format!("SELECT {}, sum FROM session ORDER BY id", row::SESSION))?;
    let mut rows = select.query([])?;
    while let Some(found) = rows.next()? {
        match row::session(found) {
            Ok(session) => recovery.sessions.push(session),
            Err(RowError::Sqlite(error)) => return Err(error.into()),
            Err(error) => {
                let id = SessionId(uint(found, 0)?);
                tracing::error!(session = %id, %error, "a session of the store cannot be read");
                recovery.corrupt_sessions.push(id);
            }
        }
    }

    let mut select = db.prepare("SELECT session_id, last_task_id FROM session_count ORDER BY session_id")?;
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
