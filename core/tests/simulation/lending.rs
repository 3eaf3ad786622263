//! Several engines that lend each other slots, over a model of the links between their routers: words take a while, and are
//! lost when a link breaks. After every event no slot has two tasks, and at the end every task has ended once, no deputy
//! is left, and no slot is missing. Sessions get the shares that one engine with all miners gives them.

mod kept;
mod races;

use std::collections::{BTreeMap, BTreeSet};

use cortensor_router::internals::engine::{
    Blame, Demand, Deputy, Effect, Engine, EngineSettings, Event, Heir, MinerKey, MinerRules, Need, Role, SessionRules,
    Want,
};
use cortensor_router::model::{Fence, Gid, SessionId, TaskId, Timestamp};

use crate::random::Random;
use crate::setting;

/// The time of a word over a link.
const WORD: u64 = 1;
/// The time between two looks of an engine at its queue.
const LOOK: u64 = 5;
/// The time for which deputies wait.
const STANDS: u64 = 250;
/// The time within which a lent slot must be used.
const LEND: u64 = 2_000;
const SLOTS: u32 = 2;

#[derive(Debug)]
enum Word {
    Want(Need, Vec<Want>),
    Tags(Vec<(u8, u64)>),
    /// The slot, its miner, and the session for which the miner is kept.
    Loan(Fence, MinerKey, Option<SessionId>),
    Return(Fence),
    /// The slot, and the attempt of the owner.
    Use(Fence, Fence),
    /// The first token of the owner's attempt.
    First(Fence),
    Done(Fence),
    Fail(Fence),
    /// The owner's attempt on that slot is not wanted any more.
    Cancel(Fence),
    /// The miner is kept for that session.
    Kept(MinerKey, Option<SessionId>),
}

#[derive(Debug)]
enum Thing {
    Submit {
        at: usize,
        session: u64,
        tokens: u64,
    },
    /// From, to, and the number of the link over which it goes.
    Hear(usize, usize, u64, Word),
    /// The first token of an own task's attempt comes.
    First(usize, Fence),
    /// The first token of an attempt on a lent slot comes.
    FirstLent(usize, usize, Fence, Fence),
    /// A miner ends an own task of its router.
    End(usize, Fence),
    /// A miner ends a task of another router: host, owner, slot, and the owner's attempt.
    EndLent(usize, usize, Fence, Fence),
    Look(usize),
    Expire(usize, usize, u64),
    Cut(usize, usize),
}

#[derive(Default)]
struct Asked {
    /// The deputies by tasks, and the time until which they stand.
    waiting: BTreeMap<Gid, Gid>,
    until: u64,
}

struct Place {
    engine: Engine,
    asks: BTreeMap<(usize, Need), Asked>,
    /// The deputies that wait: for whom, and what.
    deputies: BTreeMap<Gid, (usize, Need, Want)>,
    /// Lent slots: the borrower, and its attempt.
    loans: BTreeMap<Fence, (usize, Option<Fence>)>,
    /// Attempts of this router at others: the host and the slot.
    borrowed: BTreeMap<Fence, (usize, Fence)>,
    /// The work of each of its miners.
    works: BTreeMap<MinerKey, BTreeSet<Fence>>,
    miner_of: BTreeMap<Fence, MinerKey>,
    told: BTreeMap<(usize, Need), (Vec<Gid>, u64)>,
    /// The sessions for which its miners are kept, as the others were told.
    kept: BTreeMap<MinerKey, Option<SessionId>>,
    /// The miners that work on the first attempts of its tasks.
    primaries: BTreeMap<Gid, MinerKey>,
}

/// The manner of a world.
#[derive(Debug, Clone, Copy, Default)]
struct Manner {
    /// Whether some attempts fail.
    fails: bool,
    /// The mean time of an attempt.
    mean: u64,
    /// Whether attempts that are slow to begin are raced.
    hedges: bool,
    /// The number of sessions that reserve a miner.
    reserve: u64,
}

pub(crate) struct Lending {
    random: Random,
    now: u64,
    due: BTreeMap<(u64, u64), Thing>,
    next: u64,
    places: Vec<Place>,
    /// The number of each link. A cut makes it a new one.
    links: BTreeMap<(usize, usize), u64>,
    open: BTreeMap<(usize, Gid), (u64, u64)>,
    ended: u64,
    served: BTreeMap<u64, u64>,
    manner: Manner,
    loans: u64,
    returns: u64,
    /// The loans of slots of miners that are kept for the borrower's session.
    kept_loans: u64,
    /// The races that miners of other routers ran, and those that they won.
    races: (u64, u64),
    /// The races that run at other routers, by the fences of their attempts.
    racing: BTreeSet<Fence>,
}

/// The owners of the miners: some are their own.
const OWNERS: [&str; 3] = ["", "one", "other"];

fn owner_of(miner: MinerKey) -> &'static str {
    OWNERS[miner.0 as usize % OWNERS.len()]
}

fn key(host: usize, miner: u32) -> MinerKey {
    MinerKey(host as u32 * 100 + miner + 1)
}

impl Lending {
    fn new(seed: u64, routers: usize, miners: &[u32], manner: Manner) -> Self {
        let settings = |at: usize| EngineSettings {
            epoch: at as u64 + 1,
            first_gid: Gid((at as u64 + 1) << 33),
            lend_ms: LEND,
            retry_base_ms: 10,
            max_attempts: 1_000,
            retry_floor_per_sec: 1e6,
            breaker_failures: 1_000_000,
            hedge: manner.hedges,
            hedge_budget: 0.5,
            max_reserved: 0.5,
            ..EngineSettings::default()
        };
        let places = (0..routers).map(|at| Place {
            engine: Engine::new(settings(at)),
            asks: BTreeMap::new(),
            deputies: BTreeMap::new(),
            loans: BTreeMap::new(),
            borrowed: BTreeMap::new(),
            works: BTreeMap::new(),
            miner_of: BTreeMap::new(),
            told: BTreeMap::new(),
            kept: BTreeMap::new(),
            primaries: BTreeMap::new(),
        });
        let mut lending = Self {
            random: Random::new(seed),
            now: 1_000,
            due: BTreeMap::new(),
            next: 0,
            places: places.collect(),
            links: BTreeMap::new(),
            open: BTreeMap::new(),
            ended: 0,
            served: BTreeMap::new(),
            manner,
            loans: 0,
            returns: 0,
            kept_loans: 0,
            races: (0, 0),
            racing: BTreeSet::new(),
        };
        for at in 0..routers {
            for session in 0..60 {
                let reserve = u32::from(session < manner.reserve);
                let rules = SessionRules { weight: 1, open: true, reserve, reserve_ms: 400, ..SessionRules::default() };
                lending.step(at, Event::Session(SessionId(session), rules));
            }
            for (host, count) in miners.iter().enumerate() {
                for miner in 0..*count {
                    let rules = MinerRules {
                        identity: format!("{host}/{miner}").into(),
                        capacity: SLOTS,
                        weight: 1,
                        owner: if manner.hedges { owner_of(key(host, miner)).into() } else { "".into() },
                        auto_accept: host == at,
                        host: if host == at { 0 } else { host as u32 + 1 },
                        ..MinerRules::default()
                    };
                    lending.step(at, Event::MinerUp(key(host, miner), rules));
                }
            }
            lending.after(LOOK, Thing::Look(at));
        }
        lending
    }

    fn after(&mut self, wait: u64, thing: Thing) {
        self.next += 1;
        self.due.insert((self.now + wait, self.next), thing);
    }

    fn say(&mut self, from: usize, to: usize, word: Word) {
        let link = *self.links.entry((from.min(to), from.max(to))).or_default();
        self.after(WORD, Thing::Hear(from, to, link, word));
    }

    fn service(&mut self) -> u64 {
        // Exponential, in whole milliseconds.
        let draw = self.random.range(1, 1_000_000) as f64 / 1_000_000.0;
        (self.manner.mean as f64 * -draw.ln()) as u64 + 1
    }

    /// The time to the first token of an attempt that takes so long. A few are slow to begin.
    fn first_after(&mut self, wait: u64) -> u64 {
        if self.random.chance(30) { wait } else { wait.min(1 + wait / 4) }
    }

    fn step(&mut self, at: usize, event: Event) -> Vec<Effect> {
        let effects = self.places[at].engine.step(event, Timestamp(self.now));
        self.act(at, &effects);
        effects
    }

    fn act(&mut self, at: usize, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Offer { gid, miner, fence, role } => {
                    let is_foreign = Self::is_foreign(at, *miner);
                    match role {
                        Role::Hedge if is_foreign => self.raced(at, *gid, *miner, *fence),
                        Role::Hedge => {}
                        _ => drop(self.places[at].primaries.insert(*gid, *miner)),
                    }
                    if is_foreign {
                        continue;
                    }
                    self.begin(at, *miner, *fence);
                    let wait = self.service();
                    if self.manner.hedges {
                        let first = self.first_after(wait);
                        self.after(first, Thing::First(at, *fence));
                    }
                    self.after(wait, Thing::End(at, *fence));
                }
                Effect::Lend { gid, miner, fence, kept } => {
                    let found = self.places[at].deputies.remove(gid);
                    let Some((owner, need, want)) = found else {
                        self.step(at, Event::Reject(*fence));
                        continue;
                    };
                    if let Some(ask) = self.places[at].asks.get_mut(&(owner, need)) {
                        ask.waiting.remove(&want.gid);
                    }
                    let only = self.lent(at, *miner, *kept, &want);
                    self.loans += 1;
                    self.places[at].loans.insert(*fence, (owner, None));
                    self.places[at].miner_of.insert(*fence, *miner);
                    self.say(at, owner, Word::Loan(*fence, *miner, only));
                }
                Effect::Stop { fence, .. } if self.places[at].loans.remove(fence).is_some() => self.free(at, *fence),
                Effect::Stop { fence, .. } => {
                    self.free(at, *fence);
                    self.racing.remove(fence);
                    if let Some((host, slot)) = self.places[at].borrowed.remove(fence) {
                        self.say(at, host, Word::Cancel(slot));
                    }
                }
                Effect::Finish { gid, .. } => {
                    let (session, cost) = self.open.remove(&(at, *gid)).expect("it ends once");
                    *self.served.entry(session).or_default() += cost;
                    self.ended += 1;
                    self.places[at].primaries.remove(gid);
                    self.step(at, Event::Committed(*gid));
                }
                _ => {}
            }
        }
    }

    fn is_foreign(at: usize, miner: MinerKey) -> bool {
        (miner.0 - 1) / 100 != at as u32
    }

    fn begin(&mut self, at: usize, miner: MinerKey, fence: Fence) {
        let place = &mut self.places[at];
        let works = place.works.entry(miner).or_default();
        works.insert(fence);
        assert!(works.len() <= SLOTS as usize, "miner {miner:?} has {works:?} at {}", self.now);
        place.miner_of.insert(fence, miner);
    }

    fn free(&mut self, at: usize, fence: Fence) {
        let place = &mut self.places[at];
        if let Some(miner) = place.miner_of.remove(&fence)
            && let Some(works) = place.works.get_mut(&miner)
        {
            works.remove(&fence);
        }
    }

    fn happen(&mut self, thing: Thing) {
        match thing {
            Thing::Submit { at, session, tokens } => {
                let task = Demand {
                    session: SessionId(session),
                    prompt_tokens: 1,
                    max_tokens: tokens,
                    bytes: 1,
                    streaming: self.manner.hedges,
                    ..Demand::default()
                };
                let effects = self.places[at].engine.step(Event::Submit(Box::new(task)), Timestamp(self.now));
                let Some(Effect::Admitted { gid, .. }) = effects.first() else { panic!("{effects:?}") };
                self.open.insert((at, *gid), (session, tokens));
                self.act(at, &effects);
            }
            Thing::Hear(from, to, link, word) => {
                if self.links.get(&(from.min(to), from.max(to))).copied().unwrap_or_default() == link {
                    self.hear(from, to, word);
                }
            }
            Thing::First(at, fence) => drop(self.step(at, Event::Progress { fence, first: true, shown: true })),
            Thing::FirstLent(host, owner, slot, fence) => {
                if self.places[host].loans.get(&slot) == Some(&(owner, Some(fence))) {
                    self.say(host, owner, Word::First(fence));
                }
            }
            Thing::End(at, fence) => {
                self.free(at, fence);
                if self.manner.fails && self.random.chance(5) {
                    self.step(at, Event::Fail { fence, blame: Blame::Nobody });
                } else {
                    self.step(at, Event::Done { fence, tokens: 1 });
                }
            }
            Thing::EndLent(host, owner, slot, fence) => {
                // The slot may have been taken back.
                if self.places[host].loans.get(&slot) != Some(&(owner, Some(fence))) {
                    return;
                }
                self.places[host].loans.remove(&slot);
                self.free(host, slot);
                let fails = self.manner.fails && self.random.chance(5);
                self.say(host, owner, if fails { Word::Fail(fence) } else { Word::Done(fence) });
                self.step(host, Event::Done { fence: slot, tokens: 1 });
            }
            Thing::Look(at) => self.look(at),
            Thing::Expire(at, owner, when) => {
                let due: Vec<Need> = {
                    let asks = self.places[at].asks.iter();
                    asks.filter(|((who, _), ask)| *who == owner && ask.until <= when)
                        .map(|((_, need), _)| need.clone())
                        .collect()
                };
                for need in due {
                    self.replace(at, owner, &need, Vec::new());
                }
            }
            Thing::Cut(one, other) => self.cut(one, other),
        }
    }

    fn look(&mut self, at: usize) {
        let wanted = self.places[at].engine.wanted(8);
        let now = self.now;
        for host in (0..self.places.len()).filter(|host| *host != at) {
            for lane in &wanted {
                let gids: Vec<Gid> = lane.wants.iter().map(|want| want.gid).collect();
                let told = self.places[at].told.get(&(host, lane.need.clone()));
                if told.is_none_or(|(tasks, when)| *tasks != gids || now - when > STANDS / 2) {
                    self.places[at].told.insert((host, lane.need.clone()), (gids, now));
                    self.say(at, host, Word::Want(lane.need.clone(), lane.wants.clone()));
                }
            }
            let over: Vec<Need> = {
                let told = self.places[at].told.keys().filter(|(who, _)| *who == host);
                told.filter(|(_, need)| wanted.iter().all(|lane| lane.need != *need))
                    .map(|(_, need)| need.clone())
                    .collect()
            };
            for need in over {
                self.places[at].told.remove(&(host, need.clone()));
                self.say(at, host, Word::Want(need, Vec::new()));
            }
            if now % 1_000 < LOOK {
                let tags = self.places[at].engine.tags();
                self.say(at, host, Word::Tags(tags));
            }
        }
        self.tell_kept(at);
        self.step(at, Event::Tick);
        self.after(LOOK, Thing::Look(at));
    }

    /// Replaces the deputies of a router in one lane.
    fn replace(&mut self, at: usize, owner: usize, need: &Need, wants: Vec<Want>) {
        let lane = (owner, need.clone());
        let ask = self.places[at].asks.entry(lane.clone()).or_default();
        ask.until = self.now + STANDS;
        let gone: Vec<Gid> =
            ask.waiting.keys().copied().filter(|task| wants.iter().all(|want| want.gid != *task)).collect();
        let gone: Vec<Gid> = gone.iter().filter_map(|task| ask.waiting.remove(task)).collect();
        let new: Vec<Want> = wants.into_iter().filter(|want| !ask.waiting.contains_key(&want.gid)).collect();
        for gid in gone {
            self.places[at].deputies.remove(&gid);
            self.step(at, Event::Moved(gid));
        }
        for want in new {
            let task = want.gid;
            let deputy = Deputy { need: need.clone(), want: want.clone() };
            let effects = self.places[at].engine.step(Event::Deputy(Box::new(deputy)), Timestamp(self.now));
            let Some(Effect::Stands { gid }) = effects.first() else { panic!("{effects:?}") };
            self.places[at].deputies.insert(*gid, (owner, need.clone(), want));
            self.places[at].asks.entry(lane.clone()).or_default().waiting.insert(task, *gid);
            self.act(at, &effects);
        }
        self.after(STANDS + 1, Thing::Expire(at, owner, self.now + STANDS));
    }

    fn hear(&mut self, from: usize, to: usize, word: Word) {
        match word {
            Word::Want(need, wants) => self.replace(to, from, &need, wants),
            Word::Tags(tags) => {
                for (band, tag) in tags {
                    self.step(to, Event::ServedElsewhere { band, tag });
                }
            }
            Word::Loan(slot, miner, only) => {
                let effects = self.step(to, Event::Borrow { miner, only });
                let used = effects.iter().find_map(|effect| match effect {
                    Effect::Offer { miner: to, fence, gid, .. } if *to == miner => Some((*fence, *gid)),
                    _ => None,
                });
                if let Some((fence, gid)) = used {
                    let (session, _) = self.open[&(to, gid)];
                    assert!(
                        only.is_none_or(|only| only == SessionId(session)),
                        "session {session} got a slot of {only:?}"
                    );
                    self.places[to].borrowed.insert(fence, (from, slot));
                    self.say(to, from, Word::Use(slot, fence));
                } else {
                    self.returns += 1;
                    self.say(to, from, Word::Return(slot));
                }
            }
            Word::Return(slot) => {
                if self.places[to].loans.remove(&slot).is_some() {
                    self.places[to].miner_of.remove(&slot);
                    self.step(to, Event::Reject(slot));
                }
            }
            Word::Use(slot, fence) => match self.places[to].loans.get_mut(&slot) {
                Some(loan) if loan.1.is_none() => {
                    loan.1 = Some(fence);
                    let miner = self.places[to].miner_of[&slot];
                    self.begin(to, miner, slot);
                    self.step(to, Event::Accept(slot));
                    let wait = self.service();
                    if self.manner.hedges {
                        let first = self.first_after(wait);
                        self.after(first, Thing::FirstLent(to, from, slot, fence));
                    }
                    self.after(wait, Thing::EndLent(to, from, slot, fence));
                }
                // It lapsed.
                _ => self.say(to, from, Word::Fail(fence)),
            },
            Word::First(fence) => {
                if self.places[to].borrowed.contains_key(&fence) {
                    self.step(to, Event::Progress { fence, first: true, shown: true });
                    // The one that begins first goes on.
                    self.races.1 += u64::from(self.racing.remove(&fence));
                }
            }
            Word::Cancel(slot) => {
                if self.places[to].loans.remove(&slot).is_some() {
                    self.free(to, slot);
                    self.step(to, Event::Reject(slot));
                }
            }
            Word::Kept(miner, session) => drop(self.step(to, Event::KeptElsewhere(miner, session))),
            Word::Done(fence) => {
                if self.places[to].borrowed.remove(&fence).is_some() {
                    self.step(to, Event::Done { fence, tokens: 1 });
                }
            }
            Word::Fail(fence) => {
                if self.places[to].borrowed.remove(&fence).is_some() {
                    self.step(to, Event::Fail { fence, blame: Blame::Nobody });
                }
            }
        }
    }

    /// Breaks the link of two routers: what is under way over it is lost, and each side gives up what the other has.
    fn cut(&mut self, one: usize, other: usize) {
        *self.links.entry((one.min(other), one.max(other))).or_default() += 1;
        for (at, peer) in [(one, other), (other, one)] {
            self.places[at].told.retain(|(host, _), _| *host != peer);
            let lanes: Vec<Need> =
                self.places[at].asks.keys().filter(|(who, _)| *who == peer).map(|(_, need)| need.clone()).collect();
            for need in lanes {
                self.replace(at, peer, &need, Vec::new());
            }
            let lent: Vec<Fence> =
                self.places[at].loans.iter().filter(|(_, loan)| loan.0 == peer).map(|(slot, _)| *slot).collect();
            for slot in lent {
                self.places[at].loans.remove(&slot);
                self.free(at, slot);
                self.step(at, Event::Reject(slot));
            }
            let lost: Vec<Fence> =
                self.places[at].borrowed.iter().filter(|(_, to)| to.0 == peer).map(|(fence, _)| *fence).collect();
            for fence in lost {
                self.places[at].borrowed.remove(&fence);
                self.step(at, Event::Fail { fence, blame: Blame::Nobody });
            }
        }
    }

    /// Lets everything happen until that time.
    fn run(&mut self, until: u64, checks: bool) {
        while let Some(entry) = self.due.first_entry()
            && entry.key().0 <= until
        {
            let checks = checks && !matches!(entry.get(), Thing::Look(_));
            let ((at, _), thing) = entry.remove_entry();
            self.now = at;
            self.happen(thing);
            if checks {
                for (number, place) in self.places.iter().enumerate() {
                    place.engine.check().unwrap_or_else(|why| panic!("engine {number} at {at}: {why}"));
                    let lent: BTreeSet<Fence> = place.engine.lent().into_iter().collect();
                    let known: BTreeSet<Fence> = place.loans.keys().copied().collect();
                    assert_eq!(lent, known, "the loans of engine {number} at {at}");
                }
            }
        }
    }
}

#[test]
fn no_slot_is_used_twice_and_no_loan_or_task_is_lost() {
    let seeds = setting("LENDING_SEEDS").unwrap_or(20);
    let first = setting("LENDING_SEED").unwrap_or(0);
    let (mut loans, mut returns) = (0, 0);
    for seed in first..first + seeds {
        let mut random = Random::new(seed);
        let routers = random.range(2, 4) as usize;
        let miners: Vec<u32> = (0..routers).map(|at| if at == 0 { 1 } else { random.below(3) as u32 }).collect();
        let manner = Manner { fails: true, mean: 40, hedges: seed % 4 == 1, reserve: (seed / 2) % 2 * 2 };
        let mut lending = Lending::new(seed, routers, &miners, manner);
        let mut tasks = 0;
        for _ in 0..random.range(20, 120) {
            let (at, session) = (random.below(routers as u64) as usize, random.below(6));
            lending.after(random.below(1_500), Thing::Submit { at, session, tokens: random.range(1, 400) });
            tasks += 1;
        }
        for _ in 0..random.below(6) {
            let (one, other) = (random.below(routers as u64) as usize, random.below(routers as u64) as usize);
            if one != other {
                lending.after(random.below(1_500), Thing::Cut(one, other));
            }
        }
        lending.run(12_000, true);
        assert_eq!((lending.ended, lending.open.len()), (tasks, 0), "world {seed}");
        for (at, place) in lending.places.iter().enumerate() {
            let free = place.engine.free_slots();
            assert_eq!((place.engine.deputies(), place.loans.len(), place.borrowed.len()), (0, 0, 0), "world {seed}");
            assert_eq!(free, u64::from(miners[at] * SLOTS), "world {seed}: slots of router {at}");
        }
        loans += lending.loans;
        returns += lending.returns;
    }
    println!("lending: {seeds} worlds, {loans} loans, of which {returns} were given back");
    assert!(seeds < 20 || (loans > 250 && returns > 20), "{loans} loans and {returns} returns say nothing");
}

/// The tokens that each session was served while all had work: 40 sessions at the first router, one at the second, and
/// miners at all of them.
fn shares(routers: usize, miners: &[u32]) -> (u64, u64) {
    let mut lending = Lending::new(7, routers, miners, Manner { mean: 400, ..Manner::default() });
    for session in 0..40 {
        for _ in 0..60 {
            lending.after(session, Thing::Submit { at: 0, session, tokens: 100 });
        }
    }
    for _ in 0..600 {
        lending.after(50, Thing::Submit { at: routers.min(2) - 1, session: 50, tokens: 100 });
    }
    lending.run(16_000, false);
    let (one, all): (u64, u64) = (lending.served.get(&50).copied().unwrap_or(0), lending.served.values().sum());
    (one / 100, all / 100)
}

#[test]
fn sessions_get_the_shares_that_one_queue_gives_them() {
    let (central, all) = shares(1, &[24]);
    let (lent, all_lent) = shares(3, &[8, 8, 8]);
    println!("one queue: {central} of {all}; three routers: {lent} of {all_lent}");
    let share = |one: u64, all: u64| one as f64 / all as f64;
    // The sessions at the first router have forty shares. The one at the second has one, and what its own router's miners
    // gave it before it had heard of the others.
    assert!(share(lent, all_lent) < share(central, all) + 0.03, "{lent} of {all_lent}, not {central} of {all}");
    assert!(share(lent, all_lent) > share(central, all) - 0.01, "{lent} of {all_lent}, not {central} of {all}");
    assert!(all_lent as f64 > 0.95 * all as f64, "{all_lent} were served, not {all}");
}

/// The word for a task of session 1.
fn want_of(gid: Gid) -> Want {
    Want {
        gid,
        band: 0,
        tag: 1,
        session: SessionId(1),
        prompt_tokens: 1,
        max_tokens: 1,
        prefix: Box::default(),
        continues: false,
        races: false,
        apart: Vec::new(),
        hosts: Vec::new(),
    }
}

/// A task is inherited on the slot that was lent: the slot stays taken, the deputy goes, and the attempt counts under its old
/// fence. It is the same if the work was done meanwhile, or if the miner is gone.
#[test]
fn a_task_is_inherited_on_the_slot_that_was_lent() {
    for (is_done, is_gone) in [(false, false), (true, false), (true, true)] {
        let mut engine = Engine::new(EngineSettings {
            epoch: 9,
            first_gid: Gid(9 << 33),
            lend_ms: LEND,
            ..EngineSettings::default()
        });
        let (miner, owners, gid) = (MinerKey(1), Fence((3 << 33) | 5), Gid((3 << 33) | 7));
        let mut at = 1_000;
        let mut step = |engine: &mut Engine, event: Event| {
            at += 1;
            let effects = engine.step(event, Timestamp(at));
            assert_eq!(engine.check(), Ok(()));
            effects
        };
        step(
            &mut engine,
            Event::Session(SessionId(1), SessionRules { weight: 1, open: true, ..SessionRules::default() }),
        );
        let rules =
            MinerRules { identity: "m".into(), capacity: 1, weight: 1, auto_accept: true, ..MinerRules::default() };
        step(&mut engine, Event::MinerUp(miner, rules));
        let want = want_of(gid);
        let lent = step(&mut engine, Event::Deputy(Box::new(Deputy { need: Need::default(), want })));
        let slot = lent.iter().find_map(|effect| match effect {
            Effect::Lend { fence, .. } => Some(*fence),
            _ => None,
        });
        let slot = slot.unwrap();
        step(&mut engine, Event::Accept(slot));
        assert_eq!((engine.free_slots(), engine.deputies(), engine.unfinished()), (0, 1, 0));
        if is_done {
            step(&mut engine, Event::Done { fence: slot, tokens: 3 });
            assert_eq!((engine.free_slots(), engine.deputies()), (1, 0));
        }
        if is_gone {
            step(&mut engine, Event::MinerGone(miner));
        }
        let demand = Demand { session: SessionId(1), deadline: Timestamp(1 << 40), required: 1, ..Demand::default() };
        let heir = Heir { gid, id: TaskId(4), demand: Box::new(demand), fence: owners, slot, miner, begun: true };
        step(&mut engine, Event::Inherit(Box::new(heir)));
        assert_eq!((engine.deputies(), engine.unfinished(), engine.queued()), (0, 1, u64::from(is_gone)));
        assert_eq!(engine.is_sole(owners), !is_gone);
        if is_gone {
            continue;
        }
        assert_eq!(engine.free_slots(), 0);
        let ended = step(&mut engine, Event::Done { fence: owners, tokens: 3 });
        assert!(ended.iter().any(|effect| matches!(effect, Effect::Finish { gid: of, .. } if *of == gid)), "{ended:?}");
        step(&mut engine, Event::Committed(gid));
        assert_eq!((engine.free_slots(), engine.unfinished()), (1, 0));
    }
}
