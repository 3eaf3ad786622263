//! What the writer is asked for, and the answers that it holds back until they are durable.

use std::sync::Arc;

use super::super::weight::{request_weight, weight};
use super::super::{Accepted, ApiKey, NewTask, Purge, Recovery, Resolver};
use crate::model::{Session, Task};
use crate::{Error, Result};

/// One write.
#[derive(Debug)]
pub(super) enum Op {
    Accept(Box<NewTask>, Resolver<Accepted>),
    Finish(Arc<Task>, Resolver<bool>),
    PutSession(Box<Session>, Resolver<()>),
    PutKey(Box<ApiKey>, Resolver<()>),
    DeleteKey(String, Resolver<bool>),
    Purge(Purge, Resolver<u64>),
    Recover(Resolver<Recovery>),
    Close(Resolver<()>),
}

impl Op {
    /// Whether it makes a batch of its own, because it looks at what the others of a batch would change.
    pub(super) fn is_alone(&self) -> bool {
        matches!(self, Self::Purge(..) | Self::Recover(..) | Self::Close(..))
    }

    /// Bytes that it writes, roughly.
    pub(super) fn weight(&self) -> u64 {
        match self {
            Self::Accept(new, _) => request_weight(&new.request),
            Self::Finish(task, _) => weight(task),
            _ => 0,
        }
    }

    /// Answers that it was not done.
    pub(super) fn fail(self, error: Error) {
        match self {
            Self::Accept(_, to) => Reply::Accept(to, Err(error)),
            Self::Finish(_, to) => Reply::Finish(to, Err(error)),
            Self::PutSession(_, to) | Self::PutKey(_, to) | Self::Close(to) => Reply::Done(to, Err(error)),
            Self::DeleteKey(_, to) => Reply::Finish(to, Err(error)),
            Self::Purge(_, to) => Reply::Purge(to, Err(error)),
            Self::Recover(to) => Reply::Recover(to, Err(error)),
        }
        .send();
    }
}

/// An answer that is sent after the commit.
#[derive(Debug)]
pub(super) enum Reply {
    Accept(Resolver<Accepted>, Result<Accepted>),
    Finish(Resolver<bool>, Result<bool>),
    Done(Resolver<()>, Result<()>),
    Purge(Resolver<u64>, Result<u64>),
    Recover(Resolver<Recovery>, Result<Recovery>),
}

impl Reply {
    /// Sends the answer. Nobody may be waiting for it any more.
    pub(super) fn send(self) {
        match self {
            Self::Accept(to, answer) => drop(to.send(answer)),
            Self::Finish(to, answer) => drop(to.send(answer)),
            Self::Done(to, answer) => drop(to.send(answer)),
            Self::Purge(to, answer) => drop(to.send(answer)),
            Self::Recover(to, answer) => drop(to.send(answer)),
        }
    }

    /// Sends that it was not done after all, because the commit failed. Refusals change too: they may rest on a
    /// batch mate that was rolled back.
    pub(super) fn fail(self, error: Error) {
        match self {
            Self::Accept(to, _) => Self::Accept(to, Err(error)),
            Self::Finish(to, _) => Self::Finish(to, Err(error)),
            Self::Done(to, _) => Self::Done(to, Err(error)),
            Self::Purge(to, _) => Self::Purge(to, Err(error)),
            Self::Recover(to, _) => Self::Recover(to, Err(error)),
        }
        .send();
    }
}
