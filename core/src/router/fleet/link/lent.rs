//! Slots of this router's miners that are lent to others.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::{Duration, Instant};

use super::frame::{Frame, WireHeir};
use super::heirs::Expected;
use super::identity::Hash;
use super::lent_work::LentWork;
use super::partner::{Partner, fence_of};
use crate::engine::{Deputy, Effect, Event, MinerKey, Need, Want};
use crate::miner::Miner;
use crate::model::{Fence, Gid, SessionId};
use crate::router::drive::Lent;
use crate::router::fleet::figures::LoanEnd;
use crate::router::shared::Shared;

/// The time for which deputies wait without a further word of the router that asked.
pub(super) const STANDS: Duration = Duration::from_millis(250);

/// The tasks of one lane for which a router may ask at a time.
pub(super) const MOST_WANTS: usize = 8;

/// The lanes for which one router may ask at a time. It is no setting: those beyond it come when others are served.
const MOST_LANES: usize = 256;

/// The loans of this router, and the deputies that wait for one.
#[derive(Default)]
pub(in crate::router) struct LoanBook {
    /// The deputies that wait, by their numbers in the engine.
    deputies: HashMap<Gid, Waiting>,
    asks: HashMap<Hash, BTreeMap<Need, Ask>>,
    /// The slots that are lent.
    loans: BTreeMap<u64, Loan>,
    /// The slots that attempts of other routers are about to use, and whether their requests come as they are.
    uses: HashMap<(Hash, Fence), (u64, bool)>,
}

/// A deputy that waits.
struct Waiting {
    partner: Arc<Partner>,
    need: Need,
    task: Gid,
    session: SessionId,
}

/// The tasks of a router that wait in one lane.
struct Ask {
    until: Instant,
    /// The deputies, by the tasks for which they stand.
    waiting: BTreeMap<Gid, Gid>,
}

/// A slot that is lent.
struct Loan {
    partner: Arc<Partner>,
    key: MinerKey,
    miner: Arc<dyn Miner>,
    /// The task for which it was lent.
    task: Gid,
    /// Whether the other router has begun to use it.
    is_used: bool,
    work: Option<Arc<LentWork>>,
}

impl LoanBook {
    /// The slots that are lent to that router.
    pub(super) fn lent_to(&self, certificate: &Hash) -> u64 {
        self.loans.values().filter(|loan| loan.partner.certificate == *certificate).count() as u64
    }

    /// All slots that are lent.
    pub(in crate::router) fn lent(&self) -> u64 {
        self.loans.len() as u64
    }

    /// The slot that the attempt with this fence is about to use.
    pub(super) fn slot_of(&self, certificate: &Hash, fence: Fence) -> Option<u64> {
        self.uses.get(&(*certificate, fence)).map(|(slot, _)| *slot)
    }

    /// Begins the work of that attempt on its slot, at the miner whose slot it is.
    pub(super) fn begin(
        &mut self,
        certificate: &Hash,
        fence: Fence,
        work: impl FnOnce(u64, bool) -> Arc<LentWork>,
    ) -> Option<(Arc<LentWork>, Arc<dyn Miner>)> {
        let (slot, whole) = self.uses.remove(&(*certificate, fence))?;
        let loan = self.loans.get_mut(&slot)?;
        let work = work(slot, whole);
        loan.work = Some(work.clone());
        Some((work, loan.miner.clone()))
    }

    /// The work on a slot that is lent.
    pub(super) fn work_on(&self, slot: u64) -> Option<Arc<LentWork>> {
        self.loans.get(&slot)?.work.clone()
    }

    /// Forgets a loan whose work has ended. `false`: the slot was taken back before.
    pub(super) fn end(&mut self, slot: u64) -> bool {
        self.loans.remove(&slot).is_some()
    }

    /// The time at which deputies of that router are withdrawn, if they are not asked for again.
    fn due(&self, certificate: &Hash) -> Option<Instant> {
        self.asks.get(certificate)?.values().map(|ask| ask.until).min()
    }

    /// Takes the deputies out that `ends` accepts, given their lane and the tasks for which they stand.
    fn withdraw(&mut self, certificate: &Hash, ends: impl Fn(&Need, &Ask, Gid) -> bool) -> Vec<Gid> {
        let mut gone = Vec::new();
        if let Some(asks) = self.asks.get_mut(certificate) {
            for (need, ask) in asks.iter_mut() {
                let ended: Vec<Gid> = ask.waiting.keys().copied().filter(|task| ends(need, ask, *task)).collect();
                gone.extend(ended.iter().filter_map(|task| ask.waiting.remove(task)));
            }
            asks.retain(|_, ask| !ask.waiting.is_empty());
            if asks.is_empty() {
                self.asks.remove(certificate);
            }
        }
        gone.retain(|deputy| self.deputies.remove(deputy).is_some());
        gone
    }
}

impl Shared {
    pub(super) fn book(&self) -> Option<&Mutex<LoanBook>> {
        self.links().map(|links| &links.book)
    }

    /// Lets the first tasks of another router's lane stand in line here, in place of those that it named before.
    pub(super) fn take_wants(self: &Arc<Self>, partner: &Arc<Partner>, need: &Need, mut wants: Vec<Want>) {
        let Some(book) = self.book() else { return };
        if !self.lends() {
            wants.clear();
        }
        wants.truncate(MOST_WANTS);
        let (gone, new) = {
            let mut book = book.lock();
            let is_wanted = |task: Gid| wants.iter().any(|want| want.gid == task);
            let gone = book.withdraw(&partner.certificate, |lane, _, task| lane == need && !is_wanted(task));
            let is_offered = |book: &LoanBook, task: Gid| {
                book.loans
                    .values()
                    .any(|loan| !loan.is_used && loan.task == task && loan.partner.certificate == partner.certificate)
            };
            if let Some(ask) = book.asks.get_mut(&partner.certificate).and_then(|asks| asks.get_mut(need)) {
                ask.until = Instant::now() + STANDS;
            }
            let is_there = |book: &LoanBook, task: Gid| {
                let ask = book.asks.get(&partner.certificate).and_then(|asks| asks.get(need));
                ask.is_some_and(|ask| ask.waiting.contains_key(&task))
            };
            wants.retain(|want| !is_there(&book, want.gid) && !is_offered(&book, want.gid));
            let lanes = book.asks.get(&partner.certificate).map_or(0, BTreeMap::len);
            (gone, if lanes < MOST_LANES { wants } else { Vec::new() })
        };
        self.end_deputies(gone);
        for want in new {
            self.deputy(book, partner, need, want);
        }
    }

    fn deputy(self: &Arc<Self>, book: &Mutex<LoanBook>, partner: &Arc<Partner>, need: &Need, want: Want) {
        let now = self.clock.now();
        let deeds = {
            let mut core = self.core.lock();
            let (task, session) = (want.gid, want.session);
            let effects = core.engine.step(Event::Deputy(Box::new(Deputy { need: need.clone(), want })), now);
            if let Some(Effect::Stands { gid }) = effects.first() {
                // Before anybody else can see that its turn has come.
                let mut book = book.lock();
                book.deputies.insert(*gid, Waiting { partner: partner.clone(), need: need.clone(), task, session });
                let asks = book.asks.entry(partner.certificate).or_default();
                let until = Instant::now() + STANDS;
                let ask = asks.entry(need.clone()).or_insert_with(|| Ask { until, waiting: BTreeMap::new() });
                ask.waiting.insert(task, *gid);
            }
            self.apply(&mut core, effects, now)
        };
        self.perform(deeds);
    }

    fn end_deputies(self: &Arc<Self>, gone: Vec<Gid>) {
        for gid in gone {
            self.step(Event::Moved(gid));
        }
    }

    /// Withdraws the deputies of a router that are not asked for any more. Returns the time of the next ones.
    pub(super) fn expire(self: &Arc<Self>, partner: &Partner, now: Instant) -> Option<Instant> {
        let book = self.book()?;
        let (gone, next) = {
            let mut book = book.lock();
            if book.due(&partner.certificate)? > now {
                return book.due(&partner.certificate);
            }
            let gone = book.withdraw(&partner.certificate, |_, ask, _| ask.until <= now);
            (gone, book.due(&partner.certificate))
        };
        self.end_deputies(gone);
        next
    }

    /// Lends the slot that a deputy got.
    pub(in crate::router) fn lend(self: &Arc<Self>, gid: Gid, slot: Lent, miner: Arc<dyn Miner>) {
        let Lent { miner: key, fence, kept } = slot;
        let Some(book) = self.book() else { return };
        let found = {
            let mut book = book.lock();
            let found = book.deputies.remove(&gid);
            if let Some(Waiting { partner, need, task, .. }) = &found {
                if let Some(asks) = book.asks.get_mut(&partner.certificate) {
                    if let Some(ask) = asks.get_mut(need) {
                        ask.waiting.remove(task);
                    }
                    asks.retain(|_, ask| !ask.waiting.is_empty());
                }
                let (partner, task) = (partner.clone(), *task);
                book.loans.insert(fence.0, Loan { partner, key, miner, task, is_used: false, work: None });
            }
            found
        };
        // It may have been withdrawn meanwhile.
        let Some(Waiting { partner, task, session, .. }) = found else { return self.step(Event::Reject(fence)) };
        let only = kept.then_some(session);
        let has_gone = partner.post(&Frame::Loan { slot: fence.0, miner: key.0, gid: task, only });
        if !has_gone && book.lock().loans.remove(&fence.0).is_some() {
            self.step(Event::Reject(fence));
        }
    }

    /// Notes that the engine has taken a lent slot back: it was not used in time, or its miner is gone.
    pub(in crate::router) fn loan_lapsed(&self, fence: Fence) {
        let Some(book) = self.book() else { return };
        let Some(loan) = book.lock().loans.remove(&fence.0) else { return };
        self.count_loan("lent", if loan.is_used { LoanEnd::Used } else { LoanEnd::Lapsed });
        if let Some(work) = loan.work {
            work.give_up("the miner is gone");
        }
    }

    /// Notes that the other router uses a slot for the attempt with that fence.
    pub(super) fn slot_used(
        self: &Arc<Self>,
        partner: &Partner,
        (slot, whole): (u64, bool),
        fence: Fence,
        heir: Option<WireHeir>,
    ) {
        let Some(book) = self.book() else { return };
        let miner = {
            let mut book = book.lock();
            let free = |loan: &&mut Loan| !loan.is_used && loan.partner.certificate == partner.certificate;
            let Some(loan) = book.loans.get_mut(&slot).filter(free) else { return };
            loan.is_used = true;
            let miner = loan.key;
            book.uses.insert((partner.certificate, fence), (slot, whole));
            miner
        };
        if let Some(WireHeir { gid, base }) = heir {
            let since = Instant::now();
            partner.expect(fence, Expected { gid, base, slot, miner, since });
        }
        self.step(Event::Accept(fence_of(slot)));
    }

    /// Takes a slot back that the other router does not use.
    pub(super) fn slot_returned(self: &Arc<Self>, partner: &Partner, slot: u64) {
        let Some(book) = self.book() else { return };
        {
            let mut book = book.lock();
            let is_theirs = |loan: &Loan| loan.work.is_none() && loan.partner.certificate == partner.certificate;
            if !book.loans.get(&slot).is_some_and(is_theirs) {
                return;
            }
            book.loans.remove(&slot);
            book.uses.retain(|_, (used, _)| *used != slot);
        }
        self.count_loan("lent", LoanEnd::Returned);
        self.step(Event::Reject(fence_of(slot)));
    }

    /// Takes the slots back on which a router whose link has ended does not work, and lets none of its tasks wait.
    pub(super) fn take_back_unused(self: &Arc<Self>, partner: &Partner) {
        self.take_back(partner, |loan| loan.work.is_none());
    }

    /// Takes all slots back that a router has.
    pub(super) fn take_back_all(self: &Arc<Self>, partner: &Partner) {
        self.take_back(partner, |_| true);
    }

    fn take_back(self: &Arc<Self>, partner: &Partner, which: impl Fn(&Loan) -> bool) {
        let Some(book) = self.book() else { return };
        let (gone, lost) = {
            let mut book = book.lock();
            let gone = book.withdraw(&partner.certificate, |_, _, _| true);
            book.uses.retain(|(certificate, _), _| *certificate != partner.certificate);
            // Another partner of the same router may be there by now.
            let is_lost = |loan: &Loan| std::ptr::eq(&raw const *loan.partner, partner) && which(loan);
            let slots: Vec<u64> = book.loans.iter().filter(|(_, loan)| is_lost(loan)).map(|(slot, _)| *slot).collect();
            let lost: Vec<(u64, Loan)> =
                slots.into_iter().filter_map(|slot| Some((slot, book.loans.remove(&slot)?))).collect();
            (gone, lost)
        };
        self.end_deputies(gone);
        for (slot, loan) in lost {
            self.count_loan("lent", LoanEnd::Lapsed);
            if let Some(work) = loan.work {
                work.give_up("the router that borrowed the miner is gone");
            }
            self.step(Event::Reject(fence_of(slot)));
        }
    }
}
