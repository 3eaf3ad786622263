//! Reads the content that the last start left, and makes its unfinished tasks those of this one.

use tokio_postgres::types::Type;

use super::batch::{Batch, Failed};
use super::row;
use super::schema::named;
use super::sql::TASK;
use crate::model::{Fence, Gid, SessionId, TaskId};
use crate::store::Recovery;

/// Reads everything that a router needs to go on, in the transaction that makes it the owner of it.
///
/// A row that cannot be read is logged and stays. One damaged task must not keep the others from running.
pub(super) async fn recover(batch: &mut Batch<'_>) -> Result<Recovery, Failed> {
    let sql = |text: &str| named(text, &batch.ground.schema);
    let next = sql("WITH next AS (UPDATE $s.meta SET last_epoch = last_epoch + 1 RETURNING last_epoch)
         UPDATE $s.router SET epoch = last_epoch FROM next WHERE nonce = $1 RETURNING epoch");
    let rows = batch.link.query(&next, &[(&batch.seat.nonce, Type::TEXT)]).await?;
    batch.epoch = rows.first().map(|row| row.get(0)).ok_or(Failed::Deposed)?;
    let epoch = batch.epoch;
    // The counts of routers that are gone become one row for each session.
    let fold = sql(
        "WITH old AS (DELETE FROM $s.session_count WHERE epoch NOT IN (0, $1) RETURNING *)
         INSERT INTO $s.session_count(epoch, session_id, total, open, ended_bytes)
         SELECT 0, session_id, sum(total)::int8, sum(open)::int8, sum(ended_bytes)::int8 FROM old GROUP BY session_id
         ON CONFLICT(session_id, epoch) DO UPDATE SET total = session_count.total + excluded.total,
             open = session_count.open + excluded.open, ended_bytes = session_count.ended_bytes + excluded.ended_bytes",
    );
    batch.link.query(&fold, &[(&epoch, Type::INT8)]).await?;
    let claim = sql("UPDATE $s.task SET owner = $1, moves = least(moves + 1, 32767)::int2
         WHERE ended_at IS NULL AND owner <> $1");
    batch.link.query(&claim, &[(&epoch, Type::INT8)]).await?;

    let last =
        sql("SELECT next_session, (SELECT max(last_gid) FROM $s.router), (SELECT max(last_fence) FROM $s.router)
         FROM $s.meta");
    let rows = batch.link.query(&last, &[]).await?;
    let [next_session, gid, fence] = rows.first().map_or([0; 3], |row| [0, 1, 2].map(|at| row::uint(row, at)));
    let mut recovery = Recovery {
        epoch: epoch.cast_unsigned(),
        last_gid: Gid(gid),
        last_fence: Fence(fence),
        last_session: SessionId(next_session.saturating_sub(1)),
        ..Recovery::default()
    };
    for found in batch.link.query(&sql("SELECT id, body FROM $s.session ORDER BY id"), &[]).await? {
        match row::body(&found) {
            Ok(session) => recovery.sessions.push(session),
            Err(error) => {
                let id = SessionId(row::uint(&found, 0));
                tracing::error!(session = %id, %error, "a session of the store cannot be read");
                recovery.corrupt_sessions.push(id);
            }
        }
    }
    let ids = sql("SELECT session_id, next_id - 1 FROM $s.session_ids ORDER BY session_id");
    for found in batch.link.query(&ids, &[]).await? {
        recovery.last_task_ids.push((SessionId(row::uint(&found, 0)), TaskId(row::uint(&found, 1))));
    }
    let open = sql(&format!("SELECT {TASK} FROM $s.task WHERE ended_at IS NULL AND owner = $1 ORDER BY gid"));
    for found in batch.link.query(&open, &[(&epoch, Type::INT8)]).await? {
        match row::task(&found) {
            Ok(task) => recovery.unfinished.push(task),
            Err(error) => tracing::error!(gid = row::uint(&found, 0), %error, "a task of the store cannot be read"),
        }
    }
    Ok(recovery)
}
