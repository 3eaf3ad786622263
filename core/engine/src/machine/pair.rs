//! The two sides of a choice: a waiting task and a free miner, each with all that the scores of its pairs need. Both are
//! looked up once for each choice, not once for each pair.

use smallvec::SmallVec;

use crate::fit::Fit;
use crate::free::CANDIDATES;
use crate::lane::Tag;
use crate::miner::MinerEntry;
use crate::prefix::Matches;
use crate::rank::Rank;
use crate::rules::MinerKey;
use crate::session::SessionEntry;
use crate::task::TaskEntry;
use cortensor_router_model::Gid;

/// A waiting task.
pub(super) struct Asking<'a> {
    tag: Tag,
    gid: Gid,
    task: &'a TaskEntry,
    /// Whether no miner has had it, so that any miner may have it that may have tasks of the lane.
    new: bool,
    session: Option<&'a SessionEntry>,
    /// The miners that have read some of its prompt.
    read: Matches,
}

impl<'a> Asking<'a> {
    /// A task with its tag in the window, and the miners that have read some of its prompt.
    pub(super) fn new(
        tag: Tag,
        gid: Gid,
        task: &'a TaskEntry,
        session: Option<&'a SessionEntry>,
        read: Matches,
    ) -> Self {
        Self { tag, gid, task, new: task.is_new(), session, read }
    }

    pub(super) fn tag(&self) -> Tag {
        self.tag
    }

    pub(super) fn gid(&self) -> Gid {
        self.gid
    }

    pub(super) fn task(&self) -> &'a TaskEntry {
        self.task
    }

    /// Whether no miner has had it, so that any miner may have it that may have tasks of the lane.
    pub(super) fn is_new(&self) -> bool {
        self.new
    }

    /// The miners that may know its prompt: the session's last one, and those that have read some of the prompt.
    pub(super) fn familiar(&self) -> impl Iterator<Item = MinerKey> {
        let last = self.session.and_then(SessionEntry::last_miner);
        last.into_iter().chain(self.read.iter().map(|(key, _)| *key))
    }

    /// The number of tokens that its answer is likely to have; 0 while unknown.
    pub(super) fn expected_tokens(&self) -> f64 {
        self.session.map_or(0.0, |session| session.expected_tokens(self.task.demand().max_tokens))
    }

    /// The session's last miner, which has the best chance to know the prompt if no miner is known to have read any of
    /// it.
    pub(super) fn sticky(&self) -> Option<MinerKey> {
        if self.read.is_empty() {
            self.session.filter(|session| session.rules().affinity).and_then(SessionEntry::last_miner)
        } else {
            None
        }
    }
}

/// The miners that one choice looks at.
pub(super) type Miners<'a> = SmallVec<[&'a MinerEntry; 2 * CANDIDATES]>;

/// The free ones among them that may have tasks of the lane.
pub(super) type Bidders<'a> = SmallVec<[Bidding<'a>; 2 * CANDIDATES]>;

/// A free miner that may have tasks of the lane, with its part of the scores.
pub(super) struct Bidding<'a> {
    key: MinerKey,
    miner: &'a MinerEntry,
    fit: Fit,
    rank: Rank,
    speed: f64,
    load: f64,
    doubt: f64,
    kept: f64,
}

impl<'a> Bidding<'a> {
    pub(super) fn new(miner: &'a MinerEntry, fit: Fit) -> Self {
        Self {
            key: miner.key(),
            miner,
            fit,
            rank: miner.rank(),
            // A miner that was never measured counts as fast, so that it gets measured.
            speed: 4.0,
            load: 3.0 * miner.load(),
            // A miner whose answers are doubted comes after trusted ones; a miner that is kept for the session comes
            // before them.
            doubt: 8.0 * (miner.reputation() - 1.0),
            kept: 12.0 * f64::from(u8::from(miner.reserved().is_some())),
        }
    }

    pub(super) fn miner(&self) -> &'a MinerEntry {
        self.miner
    }

    /// How well it suits the model of the lane's tasks.
    pub(super) fn fit(&self) -> Fit {
        self.fit
    }

    /// Its place in the order among free miners.
    pub(super) fn rank(&self) -> Rank {
        self.rank
    }

    /// Computes the score of its speed beside that of the fastest miner. Small differences are noise: similar miners
    /// must go on taking turns.
    pub(super) fn compare_with(&mut self, fastest: f64) {
        let speed = self.miner.speed();
        if speed > 0.0 && fastest > 0.0 {
            self.speed = (4.0 * speed / fastest).round();
        }
    }

    /// The points of its pair with that task, apart from the task's time. `sticky` is the miner that the task prefers.
    pub(super) fn score(&self, ask: &Asking<'_>, sticky: Option<MinerKey>) -> f64 {
        let prefix = ask.read.iter().find(|(one, _)| *one == self.key).map_or(0.0, |(_, share)| *share);
        let sticky = f64::from(u8::from(sticky == Some(self.key)));
        8.0 * prefix + sticky + self.speed - self.load + self.doubt + self.kept
    }
}
