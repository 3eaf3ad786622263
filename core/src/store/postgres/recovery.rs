//! Reads the content that the last start left, and makes its unfinished tasks those of this one.

use tokio_postgres::types::Type;

use super::batch::{Batch, Failed};
use super::row;
use super::schema::named;
use super::settle::settle;
use super::sql::TASK;
use crate::model::{Fence, Gid, SessionId, TaskId, Timestamp};
use crate::store::Recovery;

/// Reads everything that a router needs to go on, in the transaction that makes it the owner of it.
///
/// A row that cannot be read is logged and stays. One damaged task must not keep the others from running.
pub(super) async fn recover(batch: &mut Batch<'_>) -> Result<Recovery, Failed> {
    let schema = &batch.ground.schema;
    let sql = |text: &str| named(text, schema);
    let old = batch.seat.epoch;
    batch.link.query(&sql("SELECT last_epoch FROM $s.meta FOR UPDATE"), &[]).await?;
    if batch.seat.has_recovered {
        let next = sql("WITH next AS (UPDATE $s.meta SET last_epoch = last_epoch + 1 RETURNING last_epoch)
             UPDATE $s.router SET epoch = last_epoch FROM next WHERE nonce = $1 RETURNING epoch");
        let rows = batch.link.query(&next, &[(&batch.seat.nonce, Type::TEXT)]).await?;
        batch.seat.epoch = rows.first().map(|row| row.get(0)).ok_or(Failed::Deposed)?;
        settle(batch.link, schema, old).await?;
    }
    batch.seat.has_recovered = true;
    batch.usage.changed();
    let epoch = batch.seat.epoch;
    // The changes from here on come with the beats.
    let seen =
        "SELECT pg_snapshot_xmin(pg_current_snapshot())::text, (extract(epoch FROM clock_timestamp()) * 1000)::int8";
    let rows = batch.link.query(seen, &[]).await?;
    let now = rows.first().map(|row| row::uint(row, 1));
    batch.seat.seen = rows.first().map(|row| row.get(0));
    // Nobody can come back under an epoch of this name, because the name is taken.
    let gone = sql("SELECT epoch FROM $s.router WHERE state = 'gone' AND NOT settled
         AND (name = $1 OR gone_at < clock_timestamp() - interval '60 s') ORDER BY epoch DESC");
    for row in batch.link.query(&gone, &[(&batch.seat.name, Type::TEXT)]).await? {
        settle(batch.link, schema, row.get(0)).await?;
    }
    // Alone, the router takes everything over at once. Otherwise it claims its share, as the others do.
    let claim = sql("UPDATE $s.task SET owner = $1, moves = least(moves + (owner NOT IN (0, $2))::int, 32767)::int2
         WHERE ended_at IS NULL AND owner <> $1 AND (owner = $2
             OR NOT EXISTS(SELECT FROM $s.router WHERE state IN ('up', 'drain') AND epoch <> $1))");
    batch.link.query(&claim, &[(&epoch, Type::INT8), (&old, Type::INT8)]).await?;
    let posts = sql("UPDATE $s.outbox SET owner = $1 WHERE pending AND owner <> $1 AND (owner = $2
             OR NOT EXISTS(SELECT FROM $s.router WHERE state IN ('up', 'drain') AND epoch <> $1))");
    batch.link.query(&posts, &[(&epoch, Type::INT8), (&old, Type::INT8)]).await?;

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
        now: now.map(Timestamp),
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
    let open =
        sql(&format!("SELECT {TASK}, moves::int8 FROM $s.task WHERE ended_at IS NULL AND owner = $1 ORDER BY gid"));
    let rows = batch.link.query(&open, &[(&epoch, Type::INT8)]).await?;
    (recovery.unfinished, recovery.quarantined) = row::open_tasks(&rows);
    Ok(recovery)
}
