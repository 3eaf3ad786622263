//! The beat of a member: it renews its lease, sees who is there, and reads what the others changed.
//!
//! Changes are found by the transactions that made them. A beat reads every row whose transaction is not older than the
//! oldest one that ran at the beat before, so that none is missed that was committed late; some are read twice.

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::batch::{Batch, Failed};
use super::deeds::ORPHANED;
use super::link::Params;
use super::row::{self, RowError};
use super::schema::{NEWEST, newer};
use super::settle::settle;
use crate::model::{Gid, SessionId, Timestamp};
use crate::store::columns::MINER;
use crate::store::{Beat, Changes, Member, MemberState, Reach};

/// The routers whose leases have run out. Nobody is declared gone by a router whose own lease had run out a short while
/// ago: the database was away then, and the others come back as this one did.
const LAPSED: &str = "SELECT epoch FROM $s.router WHERE state IN ('up', 'drain') AND lease_until < clock_timestamp()
     AND EXISTS(SELECT FROM $s.router WHERE epoch = $1
         AND steady_since < clock_timestamp() - $2 * interval '1 ms')";

/// The routers that have been gone for long and are not settled.
const UNSETTLED: &str = "SELECT epoch FROM $s.router WHERE state = 'gone' AND NOT settled
     AND gone_at < clock_timestamp() - interval '60 s'";

/// Does a beat.
pub(super) async fn beat(batch: &mut Batch<'_>, counts: bool) -> Result<Beat, Failed> {
    let (link, epoch) = (batch.link, batch.seat.epoch);
    let lease = batch.ground.lease.as_millis() as i64;
    let nonce: Params<'_> = &[(&batch.seat.nonce, Type::TEXT), (&lease, Type::INT8)];
    let own: Params<'_> = &[(&epoch, Type::INT8), (&lease, Type::INT8)];
    let state = batch.sql(
        "SELECT pg_snapshot_xmin(pg_current_snapshot())::text, (extract(epoch FROM clock_timestamp()) * 1000)::int8,
             min_version, schema_version FROM $s.meta",
    );
    let chores = batch.sql(&format!(
        "SELECT EXISTS({LAPSED}), EXISTS({UNSETTLED}),
             EXISTS(SELECT FROM $s.task WHERE owner = 0 AND ended_at IS NULL)
                OR EXISTS(SELECT FROM $s.router r WHERE {ORPHANED}
                    AND EXISTS(SELECT FROM $s.task t WHERE t.owner = r.epoch AND t.ended_at IS NULL)),
             EXISTS(SELECT FROM $s.outbox WHERE owner = 0 AND pending)
                OR EXISTS(SELECT FROM $s.router r WHERE {ORPHANED}
                    AND EXISTS(SELECT FROM $s.outbox o WHERE o.owner = r.epoch AND o.pending))"
    ));
    let (renewed, state, chores) = tokio::try_join!(
        biased;
        link.query(&batch.ground.sql.beat, nonce),
        link.query(&state, &[]),
        link.query(&chores, own)
    )?;
    let (Some(_), Some(state), Some(chores)) = (renewed.first(), state.first(), chores.first()) else {
        return Err(Failed::Deposed);
    };
    let (xmin, oldest, version): (&str, i32, i32) = (state.get(0), state.get(2), state.get(3));
    if oldest > NEWEST {
        return Err(Failed::Refused(newer(&batch.ground.schema, version)));
    }
    let mut beat = Beat {
        now: Timestamp(row::uint(state, 1)),
        epoch: epoch.cast_unsigned(),
        orphans: chores.get(2),
        unsent: chores.get(3),
        lost_ids: std::mem::take(&mut batch.seat.lost_ids),
        replaced: std::mem::take(&mut batch.seat.replaced),
        anew: std::mem::take(&mut batch.seat.anew),
        ..Beat::default()
    };
    if chores.get(0) || chores.get(1) {
        beat.swept = sweep(batch, own).await?;
    }
    beat.changes = changes(batch, xmin).await?;
    let members = batch.sql(
        "SELECT epoch, name, state, version, (extract(epoch FROM started_at) * 1000)::int8,
             (extract(epoch FROM lease_until - clock_timestamp()) * 1000)::int8, address, certificate
         FROM $s.router WHERE state IN ('up', 'drain') ORDER BY epoch",
    );
    let cancels = batch.sql(
        "SELECT c.gid FROM $s.cancel_request c JOIN $s.task t ON t.gid = c.gid
         WHERE t.owner = $1 AND t.ended_at IS NULL",
    );
    let (members, cancels) = tokio::try_join!(biased; link.query(&members, &[]), link.query(&cancels, &own[..1]))?;
    beat.members = members.iter().map(member).collect();
    beat.cancels = cancels.iter().map(|row| Gid(row::uint(row, 0))).collect();
    if counts {
        let sql = batch.sql(
            "SELECT session_id, sum(taken)::int8, greatest(sum(open), 0)::int8 FROM $s.session_count
             WHERE epoch <> $1 GROUP BY session_id",
        );
        let rows = link.query(&sql, &[(&epoch, Type::INT8)]).await?;
        let count = |row: &Row| (SessionId(row::uint(row, 0)), row::uint(row, 1), row::uint(row, 2));
        beat.counts = Some(rows.iter().map(count).collect());
    }
    batch.seat.seen = Some(xmin.to_owned());
    Ok(beat)
}

fn member(row: &Row) -> Member {
    let state = if row.get::<_, &str>(2) == "drain" { MemberState::Draining } else { MemberState::Up };
    let certificate = row.get::<_, Option<&[u8]>>(7).and_then(|hash| hash.try_into().ok());
    Member {
        epoch: row::uint(row, 0),
        name: row.get(1),
        state,
        version: row.get(3),
        started_at: Timestamp(row::uint(row, 4)),
        lease_left_ms: row.get(5),
        reach: certificate.map(|certificate| Reach { address: row.get(6), certificate }),
    }
}

/// Declares routers gone whose leases have run out, and settles one that has been gone for long. Gives the names of the
/// former. A router whose transaction has its row lives. `own`: the parameters of [`LAPSED`].
async fn sweep(batch: &Batch<'_>, own: Params<'_>) -> Result<Vec<String>, Failed> {
    let lock = batch.sql("SELECT last_epoch FROM $s.meta FOR UPDATE");
    let sweep = batch.sql(&format!(
        "UPDATE $s.router SET state = 'gone', gone_at = clock_timestamp()
         WHERE epoch IN ({LAPSED} FOR UPDATE SKIP LOCKED) RETURNING name"
    ));
    let unsettled = batch.sql(&format!("{UNSETTLED} ORDER BY epoch DESC LIMIT 1"));
    let (_, swept, unsettled) = tokio::try_join!(
        biased;
        batch.link.query(&lock, &[]),
        batch.link.query(&sweep, own),
        batch.link.query(&unsettled, &[])
    )?;
    if let Some(row) = unsettled.first() {
        settle(batch.link, &batch.ground.schema, row.get(0)).await?;
    }
    Ok(swept.iter().map(|row| row.get(0)).collect())
}

/// Reads what changed since the beat before, or everything if that is not known. `xmin` is the oldest transaction that
/// runs; one that is older than that of the beat before belongs to another server, which may have lost commits.
async fn changes(batch: &Batch<'_>, xmin: &str) -> Result<Changes, Failed> {
    let number = |text: &str| text.parse::<u64>().unwrap_or_default();
    let since = batch.seat.seen.as_deref().filter(|seen| number(seen) <= number(xmin));
    let since_param: Params<'_> = match &since {
        Some(since) => &[(since, Type::TEXT)],
        None => &[],
    };
    let newer = if since.is_some() { "WHERE changed >= $1::text::xid8" } else { "" };
    let sql = |table: &str, columns: &str| batch.sql(&format!("SELECT {columns} FROM $s.{table} {newer} ORDER BY 1"));
    let (sessions, keys) = (sql("session", "id::text, body"), sql("api_token", "id, body"));
    let (miners, deleted) = (sql("miner", MINER), sql("deleted", "kind, id"));
    let upstreams = batch.sql(&format!("SELECT 1 FROM $s.upstream {newer} LIMIT 1"));
    let link = batch.link;
    let (sessions, keys, miners, upstreams, deleted) = tokio::try_join!(
        biased;
        link.query(&sessions, since_param),
        link.query(&keys, since_param),
        link.query(&miners, since_param),
        link.query(&upstreams, since_param),
        link.query(&deleted, since_param)
    )?;
    let mut changes = Changes {
        whole: since.is_none(),
        sessions: readable(&sessions, row::body, "session"),
        keys: readable(&keys, row::body, "key"),
        miners: readable(&miners, row::miner, "miner"),
        upstreams: since.is_none() || !upstreams.is_empty(),
        ..Changes::default()
    };
    for row in &deleted {
        let id: String = row.get(1);
        match row.get(0) {
            "session" => changes.gone_sessions.extend(id.parse().ok().map(SessionId)),
            "api_token" => changes.gone_keys.push(id),
            "upstream" => changes.upstreams = true,
            "task" => changes.gone_tasks.extend(id.parse().ok().map(Gid)),
            _ => changes.gone_miners.push(id),
        }
    }
    Ok(changes)
}

/// The rows that can be read. The others stay as they were.
fn readable<T>(rows: &[Row], read: fn(&Row) -> Result<T, RowError>, kind: &str) -> Vec<T> {
    let each = rows.iter().filter_map(|row| match read(row) {
        Ok(value) => Some(value),
        Err(error) => {
            tracing::error!(id = row.get::<_, &str>(0), %error, "a {kind} of the store cannot be read");
            None
        }
    });
    each.collect()
}
