//! Sessions, keys and miners, the audit log, and deletions: operations that are done one by one.

use std::num::NonZeroU64;

use serde::Serialize;
use tokio_postgres::types::Type;

use super::batch::{Batch, Failed};
use super::link::Params;
use super::rows::Utf8;
use super::schema::named;
use crate::Result;
use crate::model::{Day, Gid, NodeKind, Session, SessionId, Task, Timestamp, WebhookDelivery, WebhookState};
use crate::store::columns::{bound, int, json};
use crate::store::op::Audited;
use crate::store::{Act, ApiKey, MinerRecord, Purge, UpstreamRecord};

/// The result of an operation whose record may not be encodable.
type Encoded<T> = Result<Result<T>, Failed>;

/// Encodes a record, or ends the function with the error as the operation's answer.
macro_rules! encoded {
    ($json:expr) => {
        match $json {
            Ok(json) => json,
            Err(error) => return Ok(Err(error)),
        }
    };
}

impl Batch<'_> {
    pub(super) fn sql(&self, text: &str) -> String {
        named(text, &self.ground.schema)
    }

    /// Writes an act into the audit log, if there is one, and deletes the entry for which there is no room any more.
    pub(super) async fn record(&self, act: Option<&Act>) -> Encoded<()> {
        let Some(act) = act else { return Ok(Ok(())) };
        let (detail, at) = (encoded!(json(&act.detail)), int(act.at.0));
        let insert = self.sql(
            "WITH next AS (UPDATE $s.meta SET last_audit = last_audit + 1 RETURNING last_audit)
             INSERT INTO $s.audit(number, at, act, subject, key_id, detail)
             SELECT last_audit, $1, $2, $3, $4, $5 FROM next",
        );
        let params: Params<'_> = &[
            (&at, Type::INT8),
            (&act.act.as_str(), Type::TEXT),
            (&act.subject, Type::TEXT),
            (&act.key_id, Type::TEXT),
            (&Utf8(&detail), Type::TEXT),
        ];
        let most = bound(self.ground.audit_rows);
        let room = self.sql("DELETE FROM $s.audit WHERE number <= (SELECT last_audit FROM $s.meta) - $1");
        self.link.query(&insert, params).await?;
        self.link.query(&room, &[(&most, Type::INT8)]).await?;
        Ok(Ok(()))
    }

    /// Writes a record as JSON under its id, and the act if there is one.
    async fn put_body<T: Serialize + Sync>(&self, table: &str, id: &str, record: &T, act: Option<&Act>) -> Encoded<()> {
        let body = encoded!(json(record));
        let put = self.sql(&format!(
            "INSERT INTO $s.{table}(id, body) VALUES($1, $2) ON CONFLICT(id) DO UPDATE SET body = excluded.body,
                 changed = pg_current_xact_id()"
        ));
        self.link.query(&put, &[(&id, Type::TEXT), (&Utf8(&body), Type::TEXT)]).await?;
        self.record(act).await
    }

    /// Deletes a row by its id, and records the act if there was one.
    async fn delete(&self, table: &str, audited: &Audited<String>) -> Encoded<bool> {
        let (id, act) = &**audited;
        let sql = self.sql(&format!("DELETE FROM $s.{table} WHERE id = $1 RETURNING 1"));
        let found = !self.link.query(&sql, &[(id, Type::TEXT)]).await?.is_empty();
        encoded!(self.record(act.as_ref().filter(|_| found)).await?);
        if found {
            self.note_deletion(table, id).await?;
        }
        Ok(Ok(found))
    }

    /// Notes a deletion, so that other routers learn of it.
    async fn note_deletion(&self, kind: &str, id: &str) -> Result<(), Failed> {
        let note = self.sql(
            "INSERT INTO $s.deleted(kind, id) VALUES($1, $2) ON CONFLICT(kind, id) DO UPDATE SET
                 at = clock_timestamp(), changed = pg_current_xact_id()",
        );
        self.link.query(&note, &[(&kind, Type::TEXT), (&id, Type::TEXT)]).await?;
        Ok(())
    }
}

pub(super) async fn put_session(batch: &Batch<'_>, audited: &Audited<Session>) -> Encoded<()> {
    let (session, act) = &**audited;
    let (id, body) = (int(session.id.0), encoded!(json(session)));
    let put = batch.sql(
        "INSERT INTO $s.session(id, sid, body) VALUES($1, $2, $3) ON CONFLICT(id) DO UPDATE SET
             sid = excluded.sid, body = excluded.body, version = session.version + 1, changed = pg_current_xact_id()",
    );
    let next = batch.sql("UPDATE $s.meta SET next_session = $1 + 1 WHERE next_session <= $1");
    batch.link.query(&put, &[(&id, Type::INT8), (&session.sid, Type::TEXT), (&Utf8(&body), Type::TEXT)]).await?;
    batch.link.query(&next, &[(&id, Type::INT8)]).await?;
    batch.record(act.as_ref()).await
}

/// Deletes a session that has no tasks, with its counts. Gives `false` if it has some.
pub(super) async fn delete_session(batch: &Batch<'_>, id: SessionId) -> Result<bool, Failed> {
    let id = int(id.0);
    let any = batch.sql("SELECT 1 FROM $s.task WHERE session_id = $1 LIMIT 1");
    if !batch.link.query(&any, &[(&id, Type::INT8)]).await?.is_empty() {
        return Ok(false);
    }
    for (table, column) in [("session", "id"), ("session_ids", "session_id"), ("session_count", "session_id")] {
        let delete = batch.sql(&format!("DELETE FROM $s.{table} WHERE {column} = $1"));
        batch.link.query(&delete, &[(&id, Type::INT8)]).await?;
    }
    batch.note_deletion("session", &id.to_string()).await?;
    Ok(true)
}

pub(super) async fn put_key(batch: &Batch<'_>, audited: &Audited<ApiKey>) -> Encoded<()> {
    let (key, act) = &**audited;
    batch.put_body("api_token", &key.id, key, act.as_ref()).await
}

pub(super) async fn delete_key(batch: &Batch<'_>, audited: &Audited<String>) -> Encoded<bool> {
    batch.delete("api_token", audited).await
}

pub(super) async fn put_miner(batch: &Batch<'_>, audited: &Audited<MinerRecord>) -> Encoded<()> {
    let (miner, act) = &**audited;
    encoded!(merge_miner(batch, miner, None).await?);
    batch.record(act.as_ref()).await
}

/// Writes the record of a miner. With the reputation `before` this router changed it, what another router wrote meanwhile
/// of its reputation, its last connection and its revocation stays.
pub(super) async fn merge_miner(batch: &Batch<'_>, miner: &MinerRecord, before: Option<f64>) -> Encoded<()> {
    let models = encoded!(json(&miner.models));
    let put = batch.sql(
        "INSERT INTO $s.miner(id, name, public_key, kind, owner, models, reputation, created_at, last_seen, revoked)
         VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT(id) DO UPDATE SET
             name = excluded.name, public_key = excluded.public_key, kind = excluded.kind, owner = excluded.owner,
             models = excluded.models, created_at = excluded.created_at,
             reputation = CASE WHEN $11 IS NULL THEN excluded.reputation
                 ELSE least(1, greatest(0, miner.reputation + (excluded.reputation - $11))) END,
             last_seen = CASE WHEN $11 IS NULL THEN excluded.last_seen
                 ELSE greatest(miner.last_seen, excluded.last_seen) END,
             revoked = excluded.revoked OR $11 IS NOT NULL AND miner.revoked,
             changed = pg_current_xact_id()",
    );
    // In these columns an empty text stands for none, and 0 for never.
    let params: Params<'_> = &[
        (&miner.id, Type::TEXT),
        (&miner.name, Type::TEXT),
        (&miner.public_key.as_deref().unwrap_or_default(), Type::TEXT),
        (&miner.kind.map_or("", NodeKind::as_str), Type::TEXT),
        (&miner.owner.as_deref().unwrap_or_default(), Type::TEXT),
        (&Utf8(&models), Type::TEXT),
        (&miner.reputation, Type::FLOAT8),
        (&int(miner.created_at), Type::INT8),
        (&int(miner.last_seen.map_or(0, NonZeroU64::get)), Type::INT8),
        (&miner.revoked, Type::BOOL),
        (&before, Type::FLOAT8),
    ];
    batch.link.query(&put, params).await?;
    Ok(Ok(()))
}

pub(super) async fn delete_miner(batch: &Batch<'_>, audited: &Audited<String>) -> Encoded<bool> {
    batch.delete("miner", audited).await
}

pub(super) async fn put_upstream(batch: &Batch<'_>, audited: &Audited<UpstreamRecord>) -> Encoded<()> {
    let (upstream, act) = &**audited;
    batch.put_body("upstream", upstream.name(), upstream, act.as_ref()).await
}

pub(super) async fn delete_upstream(batch: &Batch<'_>, audited: &Audited<String>) -> Encoded<bool> {
    batch.delete("upstream", audited).await
}

pub(super) async fn note(batch: &Batch<'_>, act: &Act) -> Encoded<()> {
    batch.record(Some(act)).await
}

/// Writes the delivery of a task that has ended, if it has a webhook.
pub(super) async fn post(batch: &Batch<'_>, task: &Task) -> Result<(), Failed> {
    let Some(delivery) = &task.webhook else { return Ok(()) };
    let insert = "INSERT INTO $s.outbox(gid, body, pending, owner) VALUES($1, $2, $3, $4)
         ON CONFLICT(gid) DO UPDATE SET body = excluded.body, pending = excluded.pending, owner = excluded.owner
         RETURNING 1";
    // The record has texts and numbers alone, which JSON can always hold.
    write_delivery(batch, insert, task.gid, delivery).await.map(drop)
}

/// Writes what became of a delivery. Gives `false` if there is none of that task, or another router has it.
pub(super) async fn put_delivery(batch: &Batch<'_>, gid: Gid, delivery: &WebhookDelivery) -> Encoded<bool> {
    let update = "UPDATE $s.outbox SET body = $2, pending = $3 WHERE gid = $1 AND owner = $4 RETURNING 1";
    write_delivery(batch, update, gid, delivery).await
}

async fn write_delivery(batch: &Batch<'_>, sql: &str, gid: Gid, delivery: &WebhookDelivery) -> Encoded<bool> {
    let body = encoded!(json(delivery));
    let params: Params<'_> = &[
        (&int(gid.0), Type::INT8),
        (&Utf8(&body), Type::TEXT),
        (&(delivery.state == WebhookState::Pending), Type::BOOL),
        (&batch.seat.epoch, Type::INT8),
    ];
    Ok(Ok(!batch.link.query(&batch.sql(sql), params).await?.is_empty()))
}

/// Deletes the oldest ended tasks that are beyond the age or the budget.
pub(super) async fn purge(batch: &mut Batch<'_>, purge: Purge) -> Result<u64, Failed> {
    let total = batch.sql("SELECT coalesce(sum(ended_bytes), 0)::int8 FROM $s.session_count");
    let oldest = batch.sql(
        "SELECT gid, bytes, ended_at FROM $s.task WHERE ended_at IS NOT NULL ORDER BY ended_at, gid LIMIT $1
         FOR UPDATE SKIP LOCKED",
    );
    let rows = batch.link.query(&total, &[]).await?;
    let mut total: i64 = rows.first().map_or(0, |row| row.get(0));
    let mut due: Vec<i64> = Vec::new();
    for row in batch.link.query(&oldest, &[(&bound(purge.limit), Type::INT8)]).await? {
        let over_budget = purge.max_bytes != 0 && total > bound(purge.max_bytes);
        if row.get::<_, i64>(2).cast_unsigned() >= purge.ended_before.0 && !over_budget {
            break;
        }
        total -= row.get::<_, i64>(1);
        due.push(row.get(0));
    }
    delete_ended(batch, &due).await
}

/// Deletes a task that has ended. Gives `false` if there is none, or it has not ended.
pub(super) async fn delete_task(batch: &mut Batch<'_>, gid: Gid) -> Result<bool, Failed> {
    let is_deleted = delete_ended(batch, &[int(gid.0)]).await? > 0;
    if is_deleted {
        // Its owner may still have it in memory, and must not write it again.
        batch.note_deletion("task", &gid.to_string()).await?;
    }
    Ok(is_deleted)
}

async fn delete_ended(batch: &mut Batch<'_>, gids: &[i64]) -> Result<u64, Failed> {
    if gids.is_empty() {
        return Ok(0);
    }
    let delete =
        batch.sql("DELETE FROM $s.task WHERE gid = ANY($1) AND ended_at IS NOT NULL RETURNING session_id, bytes");
    let rows = batch.link.query(&delete, &[(&gids, Type::INT8_ARRAY)]).await?;
    for row in &rows {
        batch.sums.deleted(SessionId(row.get::<_, i64>(0).cast_unsigned()), row.get(1));
    }
    Ok(rows.len() as u64)
}

/// Deletes the usage of days before that one. The rows that the members have for the same use count as one.
pub(super) async fn forget_usage(batch: &mut Batch<'_>, before: Day) -> Result<u64, Failed> {
    let delete = batch.sql(
        "WITH gone AS (DELETE FROM $s.usage WHERE day < $1 RETURNING day, key_id, session_id, model, miner)
         SELECT DISTINCT day, key_id, session_id, model, miner FROM gone",
    );
    let gone = batch.link.query(&delete, &[(&int(before.number()), Type::INT8)]).await?;
    batch.usage.changed();
    Ok(gone.len() as u64)
}

/// Deletes the entries of the audit log before the first one that is not older than that.
pub(super) async fn forget_audit(batch: &Batch<'_>, before: Timestamp) -> Result<u64, Failed> {
    let delete = batch.sql(
        "DELETE FROM $s.audit WHERE number < coalesce(
             (SELECT number FROM $s.audit WHERE at >= $1 ORDER BY number LIMIT 1), 9223372036854775807) RETURNING 1",
    );
    let count = batch.link.query(&delete, &[(&int(before.0), Type::INT8)]).await?.len() as u64;
    // Notes that every router has read, or that nobody waits for any more.
    let old = batch.sql(
        "WITH old AS (DELETE FROM $s.deleted WHERE at < clock_timestamp() - interval '1 hour')
         DELETE FROM $s.cancel_request r WHERE at < clock_timestamp() - interval '1 hour'",
    );
    batch.link.query(&old, &[]).await?;
    Ok(count)
}
