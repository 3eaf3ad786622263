//! The calls of a member, as operations of the writer and reads of the reader.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::PostgresStore;
use super::deed::Deed;
use crate::model::{Gid, Session, SessionId, Task, WebhookDelivery};
use crate::store::op::Op;
use crate::store::want::Want;
use crate::store::{
    Act, ApiKey, Beat, ClaimWish, Claimed, Fleet, IdBlock, IdsWish, MinerRecord, Pending, Placed, Reach, Resolver,
    SessionName,
};

impl PostgresStore {
    fn ask<T>(&self, deed: impl FnOnce(Resolver<T>) -> Deed) -> Pending<T> {
        self.front.write_sure(|to| Op::Fleet(Box::new(deed(to))))
    }
}

impl Fleet for PostgresStore {
    fn beat(&self, counts: bool) -> Pending<Beat> {
        self.ask(|to| Deed::Beat { counts, to })
    }

    fn ids(&self, wish: IdsWish) -> Pending<IdBlock> {
        self.ask(|to| Deed::Ids(wish, to))
    }

    fn session_id(&self) -> Pending<SessionId> {
        self.ask(Deed::SessionId)
    }

    fn orphans(&self, wish: ClaimWish) -> Pending<Vec<Task>> {
        self.front.read(|to| Want::Orphans(Box::new(wish), to))
    }

    fn known(&self, gids: Vec<Gid>) -> Pending<Vec<(Gid, bool)>> {
        self.front.read(|to| Want::Known(gids, to))
    }

    fn end_again(&self, end: Arc<Task>) -> Pending<bool> {
        self.ask(|to| Deed::EndAgain(end, to))
    }

    fn end_orphan(&self, end: Arc<Task>) -> Pending<bool> {
        self.ask(|to| Deed::EndOrphan(end, to))
    }

    fn heard(&self, epoch: u64) {
        self.ground.heard.fetch_max(epoch.cast_signed(), Ordering::AcqRel);
    }

    fn claim(&self, wish: ClaimWish) -> Pending<Claimed> {
        self.ask(|to| Deed::Claim(wish, to))
    }

    fn release(&self, gids: Vec<Gid>) -> Pending<Vec<Gid>> {
        self.ask(|to| Deed::Release(gids, to))
    }

    fn claim_deliveries(&self, limit: u64) -> Pending<Vec<(Gid, WebhookDelivery)>> {
        self.ask(|to| Deed::ClaimDeliveries(limit, to))
    }

    fn reach(&self, reach: Reach) -> Pending<()> {
        self.ask(|to| Deed::Reach(reach, to))
    }

    fn retire(&self) -> Pending<()> {
        self.ask(Deed::Retire)
    }

    fn ask_cancel(&self, gid: Gid) -> Pending<()> {
        self.ask(|to| Deed::AskCancel(gid, to))
    }

    fn place(&self, gid: Gid) -> Pending<Option<Placed>> {
        self.front.read(|to| Want::Placed(gid, to))
    }

    fn session(&self, name: SessionName) -> Pending<Option<(Session, u64)>> {
        self.front.read(|to| Want::Session(name, to))
    }

    fn change_session(&self, session: Session, version: u64, act: Option<Act>) -> Pending<bool> {
        self.ask(|to| Deed::ChangeSession(Box::new((session, act)), version, to))
    }

    fn key(&self, id: String) -> Pending<Option<ApiKey>> {
        self.front.read(|to| Want::ApiKey(id, to))
    }

    fn merge_miner(&self, miner: MinerRecord, before: f64) -> Pending<()> {
        self.ask(|to| Deed::MergeMiner(miner, before, to))
    }
}
