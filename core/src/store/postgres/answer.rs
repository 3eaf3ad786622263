//! The answers of a batch, which are known before its commit and sent after it.

use super::deed::Told;
use crate::store::op::{Op, Reply};
use crate::store::{Accepted, Recovery};
use crate::{Error, Result};

/// The answer to one operation.
#[derive(Debug)]
pub(super) enum Answer {
    Accepted(Result<Accepted>),
    Changed(Result<bool>),
    Done(Result<()>),
    Counted(Result<u64>),
    Recovered(Box<Result<Recovery>>),
    Told(Result<Told>),
}

impl Answer {
    /// The answer that the operation was refused.
    pub(super) fn failed(op: &Op, error: Error) -> Self {
        match op {
            Op::Accept(..) => Self::Accepted(Err(error)),
            Op::Finish(..)
            | Op::Record(..)
            | Op::DeleteTask(..)
            | Op::DeleteSession(..)
            | Op::DeleteKey(..)
            | Op::DeleteMiner(..)
            | Op::DeleteUpstream(..)
            | Op::PutDelivery(..) => Self::Changed(Err(error)),
            Op::PutSession(..)
            | Op::PutKey(..)
            | Op::PutMiner(..)
            | Op::PutUpstream(..)
            | Op::Note(..)
            | Op::Close(..) => Self::Done(Err(error)),
            Op::Purge(..) | Op::ForgetUsage(..) | Op::ForgetAudit(..) => Self::Counted(Err(error)),
            Op::Recover(..) => Self::Recovered(Box::new(Err(error))),
            Op::Fleet(..) => Self::Told(Err(error)),
        }
    }

    /// Sends the answer to the caller of the operation.
    pub(super) fn send(self, op: Op) {
        match (op, self) {
            (Op::Accept(_, to), Self::Accepted(answer)) => Reply::Accepted(to, answer).send(),
            (
                Op::Finish(_, to)
                | Op::Record(_, _, to)
                | Op::DeleteTask(_, to)
                | Op::DeleteSession(_, to)
                | Op::DeleteKey(_, to)
                | Op::DeleteMiner(_, to)
                | Op::DeleteUpstream(_, to)
                | Op::PutDelivery(_, to),
                Self::Changed(answer),
            ) => Reply::Changed(to, answer).send(),
            (
                Op::PutSession(_, to)
                | Op::PutKey(_, to)
                | Op::PutMiner(_, to)
                | Op::PutUpstream(_, to)
                | Op::Note(_, to)
                | Op::Close(to),
                Self::Done(answer),
            ) => Reply::Done(to, answer).send(),
            (Op::Purge(_, to) | Op::ForgetUsage(_, to) | Op::ForgetAudit(_, to), Self::Counted(answer)) => {
                Reply::Purged(to, answer).send();
            }
            (Op::Recover(to), Self::Recovered(answer)) => Reply::Recovered(to, *answer).send(),
            (Op::Fleet(deed), Self::Told(told)) => deed.tell(told),
            (op, answer) => op.fail(Error::internal(format!("{answer:?} is no answer to this operation of the store"))),
        }
    }
}
