//! Settles a start of a router that is gone: the ids that it did not use go back, and the counts under its
//! epoch are added to epoch 0.

use tokio_postgres::types::Type;

use super::link::{Link, Params};
use super::schema::named;
use super::sql::added_usage;
use crate::store::usage::UsageCounts;

/// Settles what an epoch left. The caller's transaction has the lock on `meta`, so that nobody else does it.
///
/// The router must not come back under that epoch, because others get its ids.
pub(super) async fn settle(link: &Link, schema: &str, epoch: i64) -> Result<(), tokio_postgres::Error> {
    let of: Params<'_> = &[(&epoch, Type::INT8)];
    let ids = named(
        "UPDATE $s.session_ids i SET given = i.given - c.granted + c.taken,
             next_id = CASE WHEN i.next_id = c.block_end THEN greatest(c.next_id, c.block_first) ELSE i.next_id END
         FROM $s.session_count c WHERE c.epoch = $1 AND c.session_id = i.session_id",
        schema,
    );
    let counts = named(
        "WITH old AS (DELETE FROM $s.session_count WHERE epoch = $1 RETURNING *)
         INSERT INTO $s.session_count(epoch, session_id, total, open, ended_bytes, taken)
         SELECT 0, session_id, total, open, ended_bytes, taken FROM old ORDER BY session_id
         ON CONFLICT(session_id, epoch) DO UPDATE SET total = session_count.total + excluded.total,
             open = session_count.open + excluded.open, ended_bytes = session_count.ended_bytes + excluded.ended_bytes,
             taken = session_count.taken + excluded.taken",
        schema,
    );
    let names = UsageCounts::NAMES.join(", ");
    let usage = named(
        &format!(
            "WITH old AS (DELETE FROM $s.usage WHERE epoch = $1 RETURNING *)
             INSERT INTO $s.usage(epoch, day, key_id, session_id, model, miner, {names})
             SELECT 0, day, key_id, session_id, model, miner, {names} FROM old
             ORDER BY day, key_id, session_id, model, miner
             {}",
            added_usage()
        ),
        schema,
    );
    let done = named("UPDATE $s.router SET settled = true WHERE epoch = $1", schema);
    tokio::try_join!(biased; link.query(&ids, of), link.query(&counts, of), link.query(&usage, of), link.query(&done, of))?;
    Ok(())
}
