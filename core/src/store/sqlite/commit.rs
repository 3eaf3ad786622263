//! Applies a batch of operations as one transaction.

use std::sync::Arc;

use rusqlite::Connection;

use super::super::op::{Op, Reply};
use super::super::{Accepted, Durability};
use super::batch::Batch;
use super::connection::{Failure, set_sync};
use super::meta::Meta;
use super::statements::Statements;
#[cfg(feature = "postgres")]
use crate::Error;
use crate::id_map::IdMap;
use crate::model::Task;

/// Applies the operations in one transaction. On success every operation is taken and has a reply.
pub(super) fn transact<'db>(
    db: &'db Connection,
    statements: &mut Statements<'db>,
    meta: &mut Meta,
    durability: Durability,
    ops: &mut [Option<Op>],
    replies: &mut Vec<Reply>,
) -> rusqlite::Result<()> {
    // The epoch makes fences unique, so it must survive a power loss whatever the durability is.
    let synced = matches!(ops.first(), Some(Some(Op::Recover(_)))) && durability != Durability::Full;
    if synced {
        set_sync(db, Durability::Full)?;
    }
    let answer = within(db, statements, meta, ops, replies);
    if answer.is_err() && !db.is_autocommit() {
        // The writer gives the connection up after this in any case.
        let _ = db.execute_batch("ROLLBACK");
    }
    if synced {
        set_sync(db, durability)?;
    }
    answer
}

fn within<'db>(
    db: &'db Connection,
    statements: &mut Statements<'db>,
    meta: &mut Meta,
    ops: &mut [Option<Op>],
    replies: &mut Vec<Reply>,
) -> rusqlite::Result<()> {
    let ends = ends_of_accepts(ops);
    let mut batch = Batch::begin(db, statements, meta)?;
    for at in 0..ops.len() {
        let Some(op) = ops[at].take() else { continue };
        let end = ends.get(&at).copied();
        let finish = end.and_then(|end| match &ops[end] {
            Some(Op::Finish(task, _)) => Some(Arc::clone(task)),
            _ => None,
        });
        let new = match settle(&mut batch, op, finish.as_deref(), replies) {
            Ok(new) => new,
            Err((op, error)) => {
                ops[at] = Some(op);
                return Err(error);
            }
        };
        if new && let Some(Op::Finish(_, to)) = end.and_then(|end| ops[end].take()) {
            replies.push(Reply::Changed(to, Ok(true)));
        }
    }
    batch.commit()
}

/// Maps the position of an accept to the position of its task's end, if the batch contains both. Both become one row
/// that is written once.
fn ends_of_accepts(ops: &[Option<Op>]) -> IdMap<usize, usize> {
    let mut accepts = IdMap::default();
    let mut ends = IdMap::default();
    for (at, op) in ops.iter().enumerate() {
        match op {
            Some(Op::Accept(new, _)) => {
                accepts.entry(new.gid).or_insert((at, new.session_id, new.id));
            }
            Some(Op::Finish(task, _)) => {
                if let Some((accept, session, id)) = accepts.get(&task.gid)
                    && (*session, *id) == (task.session_id, task.id)
                {
                    ends.entry(*accept).or_insert(at);
                }
            }
            // It ends the task before a later end, which must find that.
            Some(Op::Record(new, ..)) => drop(accepts.remove(&new.gid)),
            _ => {}
        }
    }
    ends
}

/// Applies one operation. Gives `Ok(true)` for the accept of a new task, and `Err` when the medium failed.
fn settle(
    batch: &mut Batch<'_, '_>,
    op: Op,
    end: Option<&Task>,
    replies: &mut Vec<Reply>,
) -> Result<bool, (Op, rusqlite::Error)> {
    macro_rules! answered {
        ($result:expr, $op:expr) => {
            match $result {
                Ok(value) => Ok(value),
                Err(Failure::Refused(error)) => Err(error),
                Err(Failure::Medium(error)) => return Err(($op, error)),
            }
        };
    }
    let mut new = false;
    let reply = match op {
        Op::Accept(task, to) => {
            let answer = answered!(batch.accept(&task, end), Op::Accept(task, to));
            new = matches!(answer, Ok(Accepted::New));
            Reply::Accepted(to, answer)
        }
        Op::Finish(task, to) => {
            let answer = answered!(batch.finish(&task), Op::Finish(task, to));
            Reply::Changed(to, answer)
        }
        Op::Record(task, end, to) => {
            let answer = match batch.accept(&task, Some(&end)) {
                Ok(Accepted::New) => Ok(true),
                // The store has the task: an earlier write succeeded although it reported an error.
                Ok(Accepted::Existing { .. }) | Err(Failure::Refused(_)) => {
                    answered!(batch.finish(&end), Op::Record(task, end, to))
                }
                Err(Failure::Medium(error)) => return Err((Op::Record(task, end, to), error)),
            };
            Reply::Changed(to, answer)
        }
        Op::PutSession(audited, to) => {
            let (session, act) = &*audited;
            let answer = answered!(batch.put_session(session, act.as_ref()), Op::PutSession(audited, to));
            Reply::Done(to, answer)
        }
        Op::DeleteSession(id, to) => {
            let answer = answered!(batch.delete_session(id), Op::DeleteSession(id, to));
            Reply::Changed(to, answer)
        }
        Op::PutKey(audited, to) => {
            let (key, act) = &*audited;
            let answer = answered!(batch.put_key(key, act.as_ref()), Op::PutKey(audited, to));
            Reply::Done(to, answer)
        }
        Op::DeleteKey(audited, to) => {
            let (id, act) = &*audited;
            let answer = answered!(batch.delete_key(id, act.as_ref()), Op::DeleteKey(audited, to));
            Reply::Changed(to, answer)
        }
        Op::PutMiner(audited, to) => {
            let (miner, act) = &*audited;
            let answer = answered!(batch.put_miner(miner, act.as_ref()), Op::PutMiner(audited, to));
            Reply::Done(to, answer)
        }
        Op::DeleteMiner(audited, to) => {
            let (id, act) = &*audited;
            let answer = answered!(batch.delete_miner(id, act.as_ref()), Op::DeleteMiner(audited, to));
            Reply::Changed(to, answer)
        }
        Op::PutUpstream(audited, to) => {
            let (upstream, act) = &*audited;
            let answer = answered!(batch.put_upstream(upstream, act.as_ref()), Op::PutUpstream(audited, to));
            Reply::Done(to, answer)
        }
        Op::DeleteUpstream(audited, to) => {
            let (name, act) = &*audited;
            let answer = answered!(batch.delete_upstream(name, act.as_ref()), Op::DeleteUpstream(audited, to));
            Reply::Changed(to, answer)
        }
        Op::PutDelivery(put, to) => {
            let (gid, delivery) = &*put;
            let answer = answered!(batch.put_delivery(*gid, delivery), Op::PutDelivery(put, to));
            Reply::Changed(to, answer)
        }
        Op::Note(act, to) => {
            let answer = answered!(batch.note(&act), Op::Note(act, to));
            Reply::Done(to, answer)
        }
        Op::Purge(purge, to) => {
            let answer = answered!(batch.purge(purge), Op::Purge(purge, to));
            Reply::Purged(to, answer)
        }
        Op::DeleteTask(gid, to) => {
            let answer = answered!(batch.delete_task(gid), Op::DeleteTask(gid, to));
            Reply::Changed(to, answer)
        }
        Op::ForgetUsage(before, to) => {
            let answer = answered!(batch.forget_usage(before), Op::ForgetUsage(before, to));
            Reply::Purged(to, answer)
        }
        Op::ForgetAudit(before, to) => {
            let answer = answered!(batch.forget_audit(before), Op::ForgetAudit(before, to));
            Reply::Purged(to, answer)
        }
        Op::Recover(to) => {
            let answer = answered!(batch.recover(), Op::Recover(to));
            Reply::Recovered(to, answer)
        }
        #[cfg(feature = "postgres")]
        op @ Op::Fleet(_) => {
            op.fail(Error::internal("no fleet shares a file"));
            return Ok(false);
        }
        // A close is never part of a batch; it is answered all the same.
        Op::Close(to) => Reply::Done(to, Ok(())),
    };
    replies.push(reply);
    Ok(new)
}
