//! Does the operations of a member, each in the transaction of a batch.

use tokio_postgres::types::Type;

use super::batch::{Batch, Failed};
use super::deed::{Deed, Told};
use super::link::{Link, Params};
use super::row;
use super::rows::{EndRow, Utf8};
use super::schema::named;
use super::sql::TASK;
use super::{beat, records};
use crate::Result;
use crate::model::{Gid, Session, SessionId, Task, TaskId, WebhookDelivery};
use crate::store::columns::{bound, int, json};
use crate::store::op::Audited;
use crate::store::{ClaimWish, Claimed, IdBlock, IdsWish};

/// Does one operation. The inner error means that it was refused.
pub(super) async fn done(batch: &mut Batch<'_>, deed: &Deed) -> Result<Result<Told>, Failed> {
    Ok(Ok(match deed {
        Deed::Beat { counts, .. } => Told::Beat(Box::new(beat::beat(batch, *counts).await?)),
        Deed::Ids(wish, _) => Told::Ids(ids(batch, *wish).await?),
        Deed::SessionId(_) => Told::SessionId(session_id(batch).await?),
        Deed::Claim(wish, _) => Told::Claimed(Box::new(claim(batch, wish).await?)),
        Deed::Release(gids, _) => Told::Released(release(batch, gids).await?),
        Deed::EndAgain(end, _) => return end_with(&batch.ground.sql.end_again, batch, end).await,
        Deed::EndOrphan(end, _) => return end_with(&batch.ground.sql.end_orphan, batch, end).await,
        Deed::ClaimDeliveries(limit, _) => Told::Deliveries(claim_deliveries(batch, *limit).await?),
        Deed::Reach(reach, _) => {
            let note = batch.sql("UPDATE $s.router SET address = $2, certificate = $3 WHERE nonce = $1");
            let certificate: &[u8] = &reach.certificate;
            let params: Params<'_> =
                &[(&batch.seat.nonce, Type::TEXT), (&reach.address, Type::TEXT), (&certificate, Type::BYTEA)];
            batch.link.query(&note, params).await?;
            batch.seat.reach = Some(reach.clone());
            Told::Done
        }
        Deed::Retire(_) => {
            let drain = batch.sql("UPDATE $s.router SET state = 'drain' WHERE nonce = $1 AND state = 'up'");
            batch.link.query(&drain, &[(&batch.seat.nonce, Type::TEXT)]).await?;
            Told::Done
        }
        Deed::AskCancel(gid, _) => {
            let ask = batch.sql(
                "INSERT INTO $s.cancel_request(gid) VALUES($1) ON CONFLICT(gid) DO UPDATE SET at = clock_timestamp()",
            );
            batch.link.query(&ask, &[(&int(gid.0), Type::INT8)]).await?;
            Told::Done
        }
        Deed::ChangeSession(audited, version, _) => {
            return Ok(change_session(batch, audited, *version).await?.map(Told::Changed));
        }
        Deed::MergeMiner(miner, before, _) => {
            return Ok(records::merge_miner(batch, miner, Some(*before)).await?.map(|()| Told::Done));
        }
    }))
}

/// Ends a task with that statement.
async fn end_with(sql: &str, batch: &mut Batch<'_>, end: &Task) -> Result<Result<Told>, Failed> {
    Ok(match EndRow::of(end) {
        Ok(end) => Ok(Told::Changed(batch.finish(sql, &end).await?)),
        Err(error) => Err(error),
    })
}

/// Gives ids to a session. Of the tasks that are left of a bound, a block has a quarter, so that other routers find some.
async fn ids(batch: &Batch<'_>, wish: IdsWish) -> Result<IdBlock, Failed> {
    let (session, first) = (int(wish.session.0), int(wish.first.0));
    let make = batch.sql("INSERT INTO $s.session_ids(session_id, next_id) VALUES($1, $2) ON CONFLICT DO NOTHING");
    let lock = batch.sql("SELECT next_id, given FROM $s.session_ids WHERE session_id = $1 FOR UPDATE");
    let of: Params<'_> = &[(&session, Type::INT8), (&first, Type::INT8)];
    let (_, rows) = tokio::try_join!(biased; batch.link.query(&make, of), batch.link.query(&lock, &of[..1]))?;
    let (next, given) = rows.first().map_or((wish.first.0, 0), |row| (row::uint(row, 0), row.get::<_, i64>(1)));
    let count = wish.most.map_or(wish.count, |most| {
        let left = most.saturating_sub(u64::try_from(given).unwrap_or_default());
        wish.count.min(left.div_ceil(4))
    });
    let block = IdBlock { first: TaskId(next), end: TaskId(next.saturating_add(count)) };
    if block.is_empty() {
        return Ok(block);
    }
    let (start, end, count) = (int(block.first.0), int(block.end.0), bound(count));
    let take = batch.sql("UPDATE $s.session_ids SET next_id = $2, given = given + $3 WHERE session_id = $1");
    let note = batch.sql(
        "INSERT INTO $s.session_count(epoch, session_id, total, open, ended_bytes, granted, block_first, block_end)
         VALUES($1, $2, 0, 0, 0, $3, $4, $5)
         ON CONFLICT(session_id, epoch) DO UPDATE SET granted = session_count.granted + $3, block_end = $5,
             block_first = CASE WHEN session_count.block_end = $4 THEN session_count.block_first ELSE $4 END",
    );
    let noted: Params<'_> = &[
        (&batch.seat.epoch, Type::INT8),
        (&session, Type::INT8),
        (&count, Type::INT8),
        (&start, Type::INT8),
        (&end, Type::INT8),
    ];
    let taken: Params<'_> = &[(&session, Type::INT8), (&end, Type::INT8), (&count, Type::INT8)];
    tokio::try_join!(biased; batch.link.query(&take, taken), batch.link.query(&note, noted))?;
    Ok(block)
}

async fn session_id(batch: &Batch<'_>) -> Result<SessionId, Failed> {
    let next = batch.sql("UPDATE $s.meta SET next_session = next_session + 1 RETURNING next_session - 1");
    let rows = batch.link.query(&next, &[]).await?;
    Ok(SessionId(rows.first().map_or(0, |row| row::uint(row, 0))))
}

async fn claim(batch: &Batch<'_>, wish: &ClaimWish) -> Result<Claimed, Failed> {
    // The number comes first, because a router that joins again locks the same row before its tasks.
    let number = batch.sql("UPDATE $s.meta SET last_epoch = last_epoch + 1 RETURNING last_epoch");
    let run = batch.link.query(&number, &[]).await?.first().map_or(0, |row| row::uint(row, 0));
    let claim = batch.sql(&format!(
        "WITH picked AS MATERIALIZED (
             SELECT t.gid AS number FROM $s.task t WHERE {}
             ORDER BY t.created_at, t.gid LIMIT $1 FOR UPDATE OF t SKIP LOCKED)
         UPDATE $s.task SET owner = $5, moves = least(moves + (owner <> 0)::int, 32767)::int2
         FROM picked WHERE gid = number RETURNING {TASK}, moves::int8",
        orphaned(wish)
    ));
    let [except, among] = wanted(wish);
    let params: Params<'_> = &[
        (&bound(wish.limit), Type::INT8),
        (&except, Type::INT8_ARRAY),
        (&wish.only_expired, Type::BOOL),
        (&among, Type::INT8_ARRAY),
        (&batch.seat.epoch, Type::INT8),
    ];
    let rows = batch.link.query(&claim, params).await?;
    if rows.is_empty() {
        let back = batch.sql("UPDATE $s.meta SET last_epoch = last_epoch - 1");
        batch.link.query(&back, &[]).await?;
    }
    let (mut tasks, quarantined) = row::open_tasks(&rows);
    tasks.sort_by_key(|(task, _)| (task.created_at, task.gid));
    Ok(Claimed { tasks, quarantined, run })
}

/// The condition of tasks `t` that may be claimed. Its parameters 2 to 4 are those that are not wanted, whether only those
/// whose deadline is over are, and those that are wanted alone.
fn orphaned(wish: &ClaimWish) -> String {
    // Whoever has the work on them so far need not wait.
    let gone = if wish.at_once { "r.state = 'gone'" } else { ORPHANED };
    let among = if wish.among.is_empty() { "$4::int8[] IS NOT NULL" } else { "t.gid = ANY($4)" };
    format!(
        "t.ended_at IS NULL AND t.gid <> ALL($2) AND {among}
             AND (NOT $3 OR t.deadline < (extract(epoch FROM clock_timestamp()) * 1000)::int8)
             AND (t.owner = 0 OR t.owner IN (SELECT r.epoch FROM $s.router r WHERE {gone}))"
    )
}

/// The tasks that are not wanted, and those that are wanted alone.
fn wanted(wish: &ClaimWish) -> [Vec<i64>; 2] {
    [&wish.except, &wish.among].map(|gids| gids.iter().map(|gid| int(gid.0)).collect())
}

/// Reads the tasks that a claim would take.
pub(super) async fn orphans(link: &Link, schema: &str, wish: &ClaimWish) -> Result<Vec<Task>, tokio_postgres::Error> {
    let sql = format!(
        "SELECT {TASK}, moves::int8 FROM $s.task t WHERE {} ORDER BY t.created_at, t.gid LIMIT $1",
        orphaned(wish)
    );
    let [except, among] = wanted(wish);
    let params: Params<'_> = &[
        (&bound(wish.limit), Type::INT8),
        (&except, Type::INT8_ARRAY),
        (&wish.only_expired, Type::BOOL),
        (&among, Type::INT8_ARRAY),
    ];
    let rows = link.query(&named(&sql, schema), params).await?;
    let (tasks, quarantined) = row::open_tasks(&rows);
    Ok(tasks.into_iter().map(|(task, _)| task).chain(quarantined).collect())
}

/// The routers whose tasks may be claimed.
pub(super) const ORPHANED: &str = "r.state = 'gone' AND r.gone_at < clock_timestamp() - interval '2 s'";

async fn release(batch: &Batch<'_>, gids: &[Gid]) -> Result<Vec<Gid>, Failed> {
    let gids: Vec<i64> = gids.iter().map(|gid| int(gid.0)).collect();
    let release =
        batch.sql("UPDATE $s.task SET owner = 0 WHERE gid = ANY($2) AND owner = $1 AND ended_at IS NULL RETURNING gid");
    let params: Params<'_> = &[(&batch.seat.epoch, Type::INT8), (&gids, Type::INT8_ARRAY)];
    Ok(batch.link.query(&release, params).await?.iter().map(|row| Gid(row::uint(row, 0))).collect())
}

async fn claim_deliveries(batch: &Batch<'_>, limit: u64) -> Result<Vec<(Gid, WebhookDelivery)>, Failed> {
    let claim = batch.sql(&format!(
        "WITH picked AS MATERIALIZED (
             SELECT o.gid AS number FROM $s.outbox o WHERE o.pending
                 AND (o.owner = 0 OR o.owner IN (SELECT r.epoch FROM $s.router r WHERE {ORPHANED}))
             ORDER BY o.gid LIMIT $2 FOR UPDATE OF o SKIP LOCKED)
         UPDATE $s.outbox SET owner = $1 FROM picked WHERE gid = number RETURNING gid, body"
    ));
    let params: Params<'_> = &[(&batch.seat.epoch, Type::INT8), (&bound(limit), Type::INT8)];
    Ok(row::deliveries(&batch.link.query(&claim, params).await?))
}

async fn change_session(batch: &Batch<'_>, audited: &Audited<Session>, version: u64) -> Result<Result<bool>, Failed> {
    let (session, act) = &**audited;
    let body = match json(session) {
        Ok(body) => body,
        Err(error) => return Ok(Err(error)),
    };
    let change = batch.sql(
        "UPDATE $s.session SET sid = $3, body = $4, version = version + 1, changed = pg_current_xact_id()
         WHERE id = $1 AND version = $2 RETURNING 1",
    );
    let params: Params<'_> = &[
        (&int(session.id.0), Type::INT8),
        (&int(version), Type::INT8),
        (&session.sid, Type::TEXT),
        (&Utf8(&body), Type::TEXT),
    ];
    if batch.link.query(&change, params).await?.is_empty() {
        return Ok(Ok(false));
    }
    Ok(batch.record(act.as_ref()).await?.map(|()| true))
}
