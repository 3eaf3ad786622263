//! The statements of the busy paths. Each names the schema, because a pooler may give the search path of another client.

use super::schema::named;
use crate::model::MAX_JSON_INTEGER;
use crate::store::usage::UsageCounts;

/// The columns of a task, in the order in which [`row`](super::row) reads them.
pub(super) const TASK: &str = "gid, session_id, id, band::int8, bytes, attempts, fence, created_at, started_at, \
     first_token_at, precommitted_at, committed_at, ended_at, deadline, key_id, idem_scope, idem_key, idem_fp, \
     assigned_miners, request, \"end\", text, raw";

/// The number of these columns.
pub(super) const TASK_COLUMNS: usize = 23;

/// The columns of a task's end, in the order in which [`rows`](super::rows) gives them.
const END: &str = "bytes, attempts, fence, started_at, first_token_at, precommitted_at, committed_at, ended_at, \
     assigned_miners, request, \"end\", text, raw";

/// The renewal of a lease. A lease that had run out was not held without a gap.
const LEASE: &str = "steady_since = CASE WHEN lease_until < clock_timestamp() THEN clock_timestamp() ELSE steady_since END, \
     lease_until = clock_timestamp() + $2 * interval '1 ms'";

/// The end of a statement that writes rows of usage: a row that is there already is added to.
pub(super) fn added_usage() -> String {
    let sums =
        UsageCounts::NAMES.map(|name| format!("{name} = least(usage.{name} + excluded.{name}, {MAX_JSON_INTEGER})"));
    format!("ON CONFLICT(day, key_id, session_id, model, miner, epoch) DO UPDATE SET {}", sums.join(", "))
}

/// The condition of tasks that no router has. A router whose lease ran out may still end its tasks until it is declared
/// gone, and a transaction that claims one meanwhile is waited for.
const ORPHAN: &str = "AND (t.owner = 0 OR t.owner IN (SELECT r.epoch FROM $s.router r WHERE r.state = 'gone'))";

/// A statement that writes ends of tasks that have none, together with a further column and its value, if the tasks are so.
fn ending(column: &str, value: &str, are_so: &str) -> String {
    format!(
        "UPDATE $s.task t SET ({column}created_at, deadline, {END}) = ROW({value}u.created_at, u.deadline, {})
         FROM unnest($2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[], $8::int8[], $9::int8[],
             $10::int8[], $11::int8[], $12::int8[], $13::int8[], $14::int8[], $15::text[], $16::text[], $17::text[],
             $18::bytea[], $19::bytea[])
         AS u(gid, session_id, id, created_at, deadline, {END})
         WHERE t.gid = u.gid AND t.session_id = u.session_id AND t.id = u.id {are_so} AND t.ended_at IS NULL
         RETURNING t.gid",
        END.split(", ").map(|column| format!("u.{column}")).collect::<Vec<_>>().join(", ")
    )
}

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)*) => {
        /// The statements for one schema.
        #[derive(Debug)]
        pub(super) struct Sql {
            $($(#[$doc])* pub(super) $name: String,)*
        }

        impl Sql {
            pub(super) fn of(schema: &str) -> Self {
                Self { $($name: named(&String::from($sql), schema),)* }
            }
        }
    };
}

statements! {
    /// Locks the row of this start, so that no other router can take over before the end of the transaction.
    lock = "SELECT epoch, batch, state FROM $s.router WHERE nonce = $1 FOR UPDATE";
    /// Renews the lease.
    beat = format!("UPDATE $s.router SET {LEASE} WHERE nonce = $1 AND state <> 'gone' RETURNING epoch");
    /// Renews the lease at the end of a transaction, and notes what the transaction did.
    note = format!(
        "UPDATE $s.router SET {LEASE}, batch = $3, last_gid = greatest(last_gid, $4),
             last_fence = greatest(last_fence, $5) WHERE nonce = $1"
    );
    /// Writes tasks that have not ended.
    accept = "INSERT INTO $s.task(owner, gid, session_id, id, band, created_at, deadline, key_id, idem_scope, idem_key,
                  idem_fp, request)
              SELECT $1, gid, session_id, id, band, created_at, deadline, key_id, idem_scope, idem_key, idem_fp, request
              FROM unnest($2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[], $8::text[], $9::text[],
                  $10::text[], $11::bytea[], $12::text[])
              AS u(gid, session_id, id, band, created_at, deadline, key_id, idem_scope, idem_key, idem_fp, request)
              ON CONFLICT DO NOTHING RETURNING gid";
    /// Writes tasks together with their ends.
    accept_ended = format!(
        "INSERT INTO $s.task(owner, gid, session_id, id, band, created_at, deadline, key_id, idem_scope, idem_key,
             idem_fp, {END})
         SELECT $1, gid, session_id, id, band, created_at, deadline, key_id, idem_scope, idem_key, idem_fp, {END}
         FROM unnest($2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[], $8::text[], $9::text[],
             $10::text[], $11::bytea[], $12::int8[], $13::int8[], $14::int8[], $15::int8[], $16::int8[], $17::int8[],
             $18::int8[], $19::int8[], $20::text[], $21::text[], $22::text[], $23::bytea[], $24::bytea[])
         AS u(gid, session_id, id, band, created_at, deadline, key_id, idem_scope, idem_key, idem_fp, {END})
         ON CONFLICT DO NOTHING RETURNING gid"
    );
    /// Writes the ends of tasks that this start owns and that have not ended.
    finish = ending("", "", "AND t.owner = $1");
    /// Writes ends again that the database has lost, whoever owns the tasks now. This start becomes their owner.
    end_again = ending("owner, ", "$1, ", "");
    /// Writes ends of tasks that nobody owns, or whose owners were declared gone. This start becomes their owner.
    end_orphan = ending("owner, ", "$1, ", ORPHAN);
    /// Finds the task of an idempotency key.
    by_key = "SELECT gid, session_id, id, idem_fp FROM $s.task WHERE idem_scope = $1 AND idem_key = $2";
    /// Adds to the counts of sessions.
    count = "INSERT INTO $s.session_count(epoch, session_id, total, open, ended_bytes, taken, next_id)
             SELECT $1, * FROM unnest($2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[])
             ON CONFLICT(session_id, epoch) DO UPDATE SET total = session_count.total + excluded.total,
                 open = session_count.open + excluded.open, ended_bytes = session_count.ended_bytes + excluded.ended_bytes,
                 taken = session_count.taken + excluded.taken, next_id = greatest(session_count.next_id, excluded.next_id)";
    /// Notes ids that were not given out in blocks. Those that were are noted already, and their row stays unlocked,
    /// because every router would wait for it.
    ids = "INSERT INTO $s.session_ids(session_id, next_id)
           SELECT * FROM unnest($1::int8[], $2::int8[]) AS u(session_id, next_id)
           WHERE NOT EXISTS (SELECT FROM $s.session_ids i WHERE i.session_id = u.session_id AND i.next_id >= u.next_id)
           ON CONFLICT(session_id) DO UPDATE SET next_id = greatest(session_ids.next_id, excluded.next_id)";
    /// Adds to rows of usage, and makes those that are new.
    usage = {
        let names = UsageCounts::NAMES.join(", ");
        let arrays = (7..7 + UsageCounts::NAMES.len()).map(|at| format!("${at}::int8[]")).collect::<Vec<_>>().join(", ");
        format!(
            "INSERT INTO $s.usage(epoch, day, key_id, session_id, model, miner, {names})
             SELECT $1, * FROM unnest($2::int8[], $3::text[], $4::int8[], $5::text[], $6::text[], {arrays})
             {}",
            added_usage()
        )
    };
}
