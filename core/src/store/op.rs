//! The operations of a store's writer, and the answers that it holds back until they are durable.

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "postgres")]
use super::postgres::Deed;
use super::queue::{Queue, Taken};
use super::weight::{request_weight, weight};
use super::{Accepted, Act, ApiKey, MinerRecord, Purge, Recovery, Resolver, TaskSpec, UpstreamRecord};
use crate::model::{Day, Gid, Session, SessionId, Task, Timestamp, WebhookDelivery};
use crate::{Error, Result};

/// A record, or its id, with the act that the audit log records together with the write.
pub(super) type Audited<T> = Box<(T, Option<Act>)>;

/// One write.
#[derive(Debug)]
pub(super) enum Op {
    Accept(Arc<TaskSpec>, Resolver<Accepted>),
    Finish(Arc<Task>, Resolver<bool>),
    /// A task together with its end.
    Record(Arc<TaskSpec>, Arc<Task>, Resolver<bool>),
    PutSession(Audited<Session>, Resolver<()>),
    DeleteSession(SessionId, Resolver<bool>),
    PutKey(Audited<ApiKey>, Resolver<()>),
    DeleteKey(Audited<String>, Resolver<bool>),
    PutMiner(Audited<MinerRecord>, Resolver<()>),
    DeleteMiner(Audited<String>, Resolver<bool>),
    PutUpstream(Audited<UpstreamRecord>, Resolver<()>),
    DeleteUpstream(Audited<String>, Resolver<bool>),
    PutDelivery(Box<(Gid, WebhookDelivery)>, Resolver<bool>),
    /// An act that changes nothing else.
    Note(Box<Act>, Resolver<()>),
    Purge(Purge, Resolver<u64>),
    DeleteTask(Gid, Resolver<bool>),
    ForgetUsage(Day, Resolver<u64>),
    ForgetAudit(Timestamp, Resolver<u64>),
    Recover(Resolver<Recovery>),
    /// An operation of a member of a fleet.
    #[cfg(feature = "postgres")]
    Fleet(Box<Deed>),
    Close(Resolver<()>),
}

impl Op {
    /// Whether the operation needs a batch of its own, because it reads rows that other operations of a batch would
    /// change.
    pub(super) fn is_alone(&self) -> bool {
        #[cfg(feature = "postgres")]
        if let Self::Fleet(deed) = self {
            return deed.is_long();
        }
        matches!(
            self,
            Self::Purge(..) | Self::DeleteTask(..) | Self::ForgetUsage(..) | Self::Recover(..) | Self::Close(..)
        )
    }

    /// The approximate number of bytes that the operation writes.
    pub(super) fn weight(&self) -> u64 {
        match self {
            Self::Accept(new, _) => request_weight(&new.request),
            Self::Finish(task, _) | Self::Record(_, task, _) => weight(task),
            _ => 0,
        }
    }

    /// Answers that the operation was not done.
    pub(super) fn fail(self, error: Error) {
        match self {
            Self::Accept(_, to) => Reply::Accepted(to, Err(error)),
            Self::Finish(_, to)
            | Self::Record(_, _, to)
            | Self::DeleteTask(_, to)
            | Self::DeleteSession(_, to)
            | Self::DeleteKey(_, to)
            | Self::DeleteMiner(_, to)
            | Self::DeleteUpstream(_, to)
            | Self::PutDelivery(_, to) => Reply::Changed(to, Err(error)),
            Self::PutSession(_, to)
            | Self::PutKey(_, to)
            | Self::PutMiner(_, to)
            | Self::PutUpstream(_, to)
            | Self::Note(_, to)
            | Self::Close(to) => Reply::Done(to, Err(error)),
            Self::Purge(_, to) | Self::ForgetUsage(_, to) | Self::ForgetAudit(_, to) => Reply::Purged(to, Err(error)),
            Self::Recover(to) => Reply::Recovered(to, Err(error)),
            #[cfg(feature = "postgres")]
            Self::Fleet(deed) => return deed.fail(error),
        }
        .send();
    }
}

impl Queue<Op> {
    /// Waits for operations, then takes those of one batch: up to `most` that write up to `most_bytes`, or one that needs
    /// a batch of its own. The first one is always taken.
    pub(super) fn take_batch(&self, patience: Duration, most: usize, most_bytes: u64) -> Taken<Op> {
        let (mut bytes, mut alone) = (0, false);
        self.take(Some(patience), |count, next| {
            bytes += next.weight();
            alone |= next.is_alone();
            !alone && count < most && bytes <= most_bytes
        })
    }
}

/// An answer that is sent after the commit.
#[derive(Debug)]
pub(super) enum Reply {
    Accepted(Resolver<Accepted>, Result<Accepted>),
    Changed(Resolver<bool>, Result<bool>),
    Done(Resolver<()>, Result<()>),
    Purged(Resolver<u64>, Result<u64>),
    Recovered(Resolver<Recovery>, Result<Recovery>),
}

impl Reply {
    /// Sends the answer. The caller may have gone.
    pub(super) fn send(self) {
        match self {
            Self::Accepted(to, answer) => drop(to.send(answer)),
            Self::Changed(to, answer) => drop(to.send(answer)),
            Self::Done(to, answer) => drop(to.send(answer)),
            Self::Purged(to, answer) => drop(to.send(answer)),
            Self::Recovered(to, answer) => drop(to.send(answer)),
        }
    }

    /// Answers that the operation was not done, because the commit failed. A refusal becomes this error too, because it
    /// may rest on an operation of the batch that was rolled back.
    pub(super) fn fail(self, error: Error) {
        match self {
            Self::Accepted(to, _) => Self::Accepted(to, Err(error)),
            Self::Changed(to, _) => Self::Changed(to, Err(error)),
            Self::Done(to, _) => Self::Done(to, Err(error)),
            Self::Purged(to, _) => Self::Purged(to, Err(error)),
            Self::Recovered(to, _) => Self::Recovered(to, Err(error)),
        }
        .send();
    }
}
