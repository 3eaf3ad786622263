//! The operations of a member of a fleet, and their answers.

use std::sync::Arc;

use crate::model::{Gid, Session, SessionId, Task, WebhookDelivery};
use crate::store::op::Audited;
use crate::store::{Beat, ClaimWish, Claimed, IdBlock, IdsWish, MinerRecord, Reach, Resolver};
use crate::{Error, Result};

/// One operation.
#[derive(Debug)]
pub(in crate::store) enum Deed {
    Beat { counts: bool, to: Resolver<Beat> },
    Ids(IdsWish, Resolver<IdBlock>),
    SessionId(Resolver<SessionId>),
    Claim(ClaimWish, Resolver<Claimed>),
    Release(Vec<Gid>, Resolver<Vec<Gid>>),
    EndAgain(Arc<Task>, Resolver<bool>),
    EndOrphan(Arc<Task>, Resolver<bool>),
    ClaimDeliveries(u64, Resolver<Vec<(Gid, WebhookDelivery)>>),
    Reach(Reach, Resolver<()>),
    Retire(Resolver<()>),
    AskCancel(Gid, Resolver<()>),
    ChangeSession(Audited<Session>, u64, Resolver<bool>),
    MergeMiner(MinerRecord, f64, Resolver<()>),
}

/// The answer to one.
#[derive(Debug)]
pub(super) enum Told {
    Beat(Box<Beat>),
    Ids(IdBlock),
    SessionId(SessionId),
    Claimed(Box<Claimed>),
    Released(Vec<Gid>),
    Deliveries(Vec<(Gid, WebhookDelivery)>),
    Changed(bool),
    Done,
}

impl Deed {
    /// Whether it needs a batch of its own, because it may touch many rows.
    pub(in crate::store) fn is_long(&self) -> bool {
        matches!(self, Self::Claim(..) | Self::Release(..) | Self::ClaimDeliveries(..))
    }

    /// Answers that it was not done.
    pub(in crate::store) fn fail(self, error: Error) {
        // The callers may have gone.
        match self {
            Self::Beat { to, .. } => drop(to.send(Err(error))),
            Self::Ids(_, to) => drop(to.send(Err(error))),
            Self::SessionId(to) => drop(to.send(Err(error))),
            Self::Claim(_, to) => drop(to.send(Err(error))),
            Self::Release(_, to) => drop(to.send(Err(error))),
            Self::ClaimDeliveries(_, to) => drop(to.send(Err(error))),
            Self::Reach(_, to) | Self::Retire(to) | Self::AskCancel(_, to) | Self::MergeMiner(_, _, to) => {
                drop(to.send(Err(error)));
            }
            Self::ChangeSession(_, _, to) | Self::EndAgain(_, to) | Self::EndOrphan(_, to) => drop(to.send(Err(error))),
        }
    }

    /// Sends the answer to the caller, who may have gone.
    pub(super) fn tell(self, told: Result<Told>) {
        let told = match told {
            Ok(told) => told,
            Err(error) => return self.fail(error),
        };
        match (self, told) {
            (Self::Beat { to, .. }, Told::Beat(beat)) => drop(to.send(Ok(*beat))),
            (Self::Ids(_, to), Told::Ids(block)) => drop(to.send(Ok(block))),
            (Self::SessionId(to), Told::SessionId(id)) => drop(to.send(Ok(id))),
            (Self::Claim(_, to), Told::Claimed(claimed)) => drop(to.send(Ok(*claimed))),
            (Self::Release(_, to), Told::Released(gids)) => drop(to.send(Ok(gids))),
            (Self::ClaimDeliveries(_, to), Told::Deliveries(claimed)) => drop(to.send(Ok(claimed))),
            (Self::ChangeSession(_, _, to) | Self::EndAgain(_, to) | Self::EndOrphan(_, to), Told::Changed(done)) => {
                drop(to.send(Ok(done)));
            }
            (
                Self::Reach(_, to) | Self::Retire(to) | Self::AskCancel(_, to) | Self::MergeMiner(_, _, to),
                Told::Done,
            ) => drop(to.send(Ok(()))),
            (deed, told) => deed.fail(Error::internal(format!("{told:?} is no answer to this operation of a member"))),
        }
    }
}
